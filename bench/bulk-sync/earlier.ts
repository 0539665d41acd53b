import { createPool, type PoolConnection } from 'mysql2/promise';
import pg from 'pg';
import { PRINT_TABLES } from '../../src/catalogue/index.ts';
import { migrate } from '../../src/operations/migrate/index.ts';
import { silentLogger } from '../../src/platform/log.ts';

/** A product as it is written: id, copies, cents, blueprint. */
export type Row = readonly [id: number, quantity: number, priceCents: number, blueprintId: number];

export interface Earlier {
  readonly chunks: number;
  readonly seconds: number;
  readonly productsPerSecond: number;
  /** Chunks that got no connection in time: their products are missing. */
  readonly timeouts: number;
  /** Most at any moment. */
  readonly connections: { readonly postgres: number; readonly mysql: number };
}

const CHUNKS_A_SELLER = 3;
/** 25 and 50 more when those are in use; 5 and 5 more. */
const POSTGRES = 75;
const MYSQL = 10;
/** How long SQLAlchemy's pools, which that service has, wait by default. */
const ACQUIRE_MS = 30_000;

/**
 * How the service before this one did it, by what is known of it: all sellers at once, three chunks of each at once, each chunk with a connection of both servers from its first
 * statement to its commit. Written in its favour: no export, no Kafka, no ledger and no listings, the rows in memory, one upsert a chunk.
 */
export async function earlier(adminUrl: string, mysqlUrl: string, sellers: ReadonlyMap<string, readonly Row[]>, say: (line: string) => void): Promise<Earlier> {
  const name = `bench_earlier_${Date.now().toString(36)}`;
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  await migrate(url.href, { logger: silentLogger });
  const postgres = new pg.Pool({ connectionString: url.href, max: POSTGRES, connectionTimeoutMillis: ACQUIRE_MS });
  postgres.on('error', () => undefined); // the database is dropped before the last connections have heard that they are to close
  const mysql = createPool({ uri: mysqlUrl, connectionLimit: MYSQL });
  const most = { postgres: 0, mysql: 0 };
  const held = { mysql: 0 };
  let timeouts = 0;
  try {
    const chunks = [...sellers].flatMap(([userId, rows]) => cut(rows).map((part) => ({ userId, part })));
    const products = chunks.reduce((sum, { part }) => sum + part.length, 0);
    say(`the pools of the earlier service: ${chunks.length} chunks at once`);
    const begun = performance.now();
    await Promise.all(
      chunks.map(async ({ userId, part }) => {
        let client: pg.PoolClient | undefined;
        let lookups: PoolConnection | undefined;
        try {
          client = await postgres.connect();
          most.postgres = Math.max(most.postgres, postgres.totalCount);
          await client.query('BEGIN');
          lookups = await inTime(mysql.getConnection());
          most.mysql = Math.max(most.mysql, ++held.mysql);
          await lookUp(lookups, part);
          await client.query({ name: 'upsert', text: UPSERT, values: [userId, JSON.stringify(part)] });
          await client.query('COMMIT');
          client.release();
        } catch (error) {
          client?.release(true);
          if (!isTimeout(error)) throw error;
          timeouts += 1;
        } finally {
          if (lookups !== undefined) held.mysql -= 1;
          lookups?.release();
        }
      }),
    );
    const seconds = (performance.now() - begun) / 1_000;
    const { rows } = await postgres.query<{ n: number }>('SELECT count(*)::int AS n FROM inventory_items');
    const written = rows[0]?.n ?? 0;
    if (timeouts === 0 && written !== products) throw new Error(`${written} of ${products} products were written`);
    return { chunks: chunks.length, seconds, productsPerSecond: written / seconds, timeouts, connections: most };
  } finally {
    await mysql.end();
    await postgres.end();
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.end();
  }
}

const UPSERT = `INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand, price_cents, blueprint_id, currency)
  SELECT $1::uuid, md5($1::text || (p ->> 0))::uuid, gen_random_uuid(), (p ->> 1)::int, (p ->> 2)::bigint, (p ->> 3)::bigint, 'EUR' FROM json_array_elements($2::json) AS p
  ON CONFLICT (user_id, item_id) DO UPDATE SET on_hand = excluded.on_hand, price_cents = excluded.price_cents, updated_at = now()`;

async function lookUp(connection: PoolConnection, part: readonly Row[]): Promise<void> {
  const ids = [...new Set(part.map(([, , , blueprint]) => blueprint))];
  for (const table of PRINT_TABLES) await connection.query(`SELECT id, cardtrader_id FROM ${table} WHERE cardtrader_id IN (?)`, [ids]);
}

function cut(rows: readonly Row[]): Row[][] {
  const size = Math.ceil(rows.length / CHUNKS_A_SELLER);
  return Array.from({ length: CHUNKS_A_SELLER }, (_, index) => rows.slice(index * size, (index + 1) * size));
}

const TIMEOUT = 'no connection in time';
const isTimeout = (error: unknown): boolean => error instanceof Error && (error.message === TIMEOUT || error.message.includes('timeout exceeded when trying to connect'));

/** mysql2's pool waits for ever; one that comes too late is given back. */
async function inTime(connection: Promise<PoolConnection>): Promise<PoolConnection> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(TIMEOUT));
      connection.then((each) => each.release(), () => undefined);
    }, ACQUIRE_MS);
  });
  try {
    return await Promise.race([connection, late]);
  } finally {
    clearTimeout(timer);
  }
}
