import { randomBytes } from 'node:crypto';
import { createConnection, type Connection } from 'mysql2/promise';
import type { CatalogueConfig, MysqlConfig } from '../../src/config.ts';
import { Catalogue, type CatalogueObserver, type PrintTable } from '../../src/catalogue/index.ts';
import { createTables } from '../../src/catalogue/seed.sql.ts';
import { SharedMappings } from '../../src/catalogue/shared.ts';
import { systemClock, type Clock } from '../../src/platform/clock.ts';
import type { Logger } from '../../src/platform/log.ts';
import { createMysql, type Mysql, type MysqlOptions, type Row, type RunStatement } from '../../src/platform/mysql/index.ts';
import type { Redis } from '../../src/platform/redis/index.ts';
import { TEST_PREFIX } from './database.ts';
import { keepingLogger } from './redis.ts';

export interface TestCatalogueDatabase {
  readonly url: string;
  /** A connection past the one under test. */
  readonly behind: Connection;
  /** The same database through another port. */
  through(port: number): string;
  /** Sets which prints name a blueprint. */
  put(table: PrintTable, id: number, blueprintId: number | null): Promise<void>;
  drop(): Promise<void>;
}

/** An empty database of its own on this server, `brx_test_<random>`, with the four tables. */
export async function createCatalogueDatabase(serverUrl: string, { tables = true } = {}): Promise<TestCatalogueDatabase> {
  const name = `${TEST_PREFIX}${randomBytes(6).toString('hex')}`;
  const admin = await createConnection(serverUrl);
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  let behind = await createConnection({ uri: url.toString(), multipleStatements: false });
  behind.on('error', () => undefined);
  const run: RunStatement = async (sql, values = []) => {
    const [rows] = await behind.query(sql, [...values]);
    return rows as Row[];
  };
  if (tables) await createTables(run);
  return {
    url: url.toString(),
    get behind() {
      return behind;
    },
    through(port) {
      const other = new URL(url);
      other.port = String(port);
      return other.toString();
    },
    async put(table, id, blueprintId) {
      await behind.query(`REPLACE INTO ${table} (id, cardtrader_id) VALUES (?, ?)`, [id, blueprintId]).catch(async () => {
        behind = await createConnection(url.toString()); // its server was restarted
        await behind.query(`REPLACE INTO ${table} (id, cardtrader_id) VALUES (?, ?)`, [id, blueprintId]);
      });
    },
    async drop() {
      await behind.query(`DROP DATABASE ${name}`).catch(() => undefined);
      behind.destroy();
    },
  };
}

export const CATALOGUE: CatalogueConfig = { memoryEntries: 1_000, memoryTtlMs: 600_000, ttlMs: 86_400_000, unknownTtlMs: 300_000 };

export function mysqlOf(config: Partial<MysqlConfig> & { url: string }, options: Partial<MysqlOptions> = {}): Mysql {
  return createMysql({ replicaUrls: [], poolMax: 10, acquireTimeoutMs: 1_000, queryTimeoutMs: 1_000, ...config }, { logger: keepingLogger().logger, clock: systemClock, ...options });
}

export interface WatchedCatalogue {
  readonly catalogue: Catalogue;
  /** How many ids each query to MySQL asked for. */
  readonly queries: number[];
  /** `source kind` → look-ups. */
  readonly answered: Map<string, number>;
  readonly redisFailures: string[];
}

/** A catalogue as a process has it, whose work can be counted. */
export function watched({ mysql, redis, config = {}, clock = systemClock, logger = keepingLogger().logger }: { mysql: Pick<Mysql, 'query'>; redis?: Redis; config?: Partial<CatalogueConfig>; clock?: Clock; logger?: Logger }): WatchedCatalogue {
  const queries: number[] = [];
  const answered = new Map<string, number>();
  const redisFailures: string[] = [];
  const observer: CatalogueObserver = {
    answered: (source, kind, count) => answered.set(`${source} ${kind}`, (answered.get(`${source} ${kind}`) ?? 0) + count),
    redisFailed: (operation) => redisFailures.push(operation),
  };
  const counted: RunStatement = (sql, values = []) => {
    queries.push((values[0] as number[]).length);
    return mysql.query(sql, values);
  };
  const all = { ...CATALOGUE, ...config };
  const catalogue = new Catalogue({ mysql: { query: counted }, shared: redis === undefined ? undefined : new SharedMappings(redis, all, clock), config: all, clock, logger, observer });
  return { catalogue, queries, answered, redisFailures };
}
