import type { Config } from '../../config.ts';
import { messageOf, BrxError } from '../../errors.ts';
import { openAccess } from '../../marketplace/index.ts';
import type { Clock } from '../../platform/clock.ts';
import { COMMAND_RETRIES, createKafka, createRegistry } from '../../platform/kafka/index.ts';
import type { Logger } from '../../platform/log.ts';
import { createPostgres } from '../../platform/postgres/index.ts';
import { createRedis, type Redis } from '../../platform/redis/index.ts';
import { judgeConfiguration } from './configuration.ts';
import { examineSafely } from './examine.ts';
import { AREAS, sayOf, type Area, type Finding, type Verdict } from './finding.ts';
import { examineKafka } from './kafka.ts';
import { examineMysql } from './mysql.ts';
import { examinePostgres } from './postgres.ts';
import { examineRedis } from './redis.ts';
import { examineRegistry } from './registry.ts';
import { examineSellers } from './sellers.ts';

export interface DoctorOptions {
  readonly readConfig: () => Config;
  readonly nodeVersion: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Most tokens that are tried at CardTrader. */
  readonly tokens: number;
  readonly onProgress?: (doing: string) => void;
}

export interface Diagnosis {
  /** No failure. */
  readonly ok: boolean;
  readonly counts: Readonly<Record<Verdict, number>>;
  /** By area, in the order of AREAS. */
  readonly findings: readonly Finding[];
}

const REDIS_CONNECT_MS = 3_000;

/**
 * Looks at everything BRX Sync depends on and changes nothing. Rejects for nothing that is wrong with them: whatever does not answer is a
 * finding, and the others are looked at all the same.
 */
export async function diagnose(options: DoctorOptions): Promise<Diagnosis> {
  const config = read(options.readConfig);
  if (!('kafka' in config)) return diagnosis([config, ...AREAS.filter((area) => area !== 'configuration').map((area) => sayOf(area).skipped('everything', 'there is no configuration to look with'))]);
  const findings: Finding[] = [...judgeConfiguration(config, options.nodeVersion)];
  for (const [area, examine] of Object.entries(examinations(config, options)) as [Area, () => Promise<readonly Finding[]>][]) {
    options.onProgress?.(`looking at ${area} …`);
    const unusable = area === 'sellers' && findings.some((finding) => finding.area === 'postgres' && finding.verdict === 'failure' && ['connection', 'migrations'].includes(finding.check));
    findings.push(...(unusable ? [sayOf(area).skipped('everything', 'they are in PostgreSQL, which is not usable')] : await examineSafely(area, 'connection', examine)));
  }
  return diagnosis(findings);
}

function examinations(config: Config, { clock, logger, tokens, onProgress }: DoctorOptions): Record<Exclude<Area, 'configuration'>, () => Promise<readonly Finding[]>> {
  const applicationName = 'brx-sync doctor';
  const withPostgres = async (use: (postgres: ReturnType<typeof createPostgres>) => Promise<readonly Finding[]>): Promise<readonly Finding[]> => {
    const postgres = createPostgres(config.postgres, { logger, applicationName, keyLookupsOnly: false });
    try {
      return await use(postgres);
    } finally {
      await postgres.close();
    }
  };
  const { redis, mysql } = config;
  return {
    postgres: () => withPostgres((postgres) => examinePostgres(postgres, config, clock)),
    kafka: () => examineKafka(createKafka(config.kafka, logger, { retries: COMMAND_RETRIES }), config),
    registry: () => examineRegistry(createRegistry(config.registry)),
    redis: async () => {
      if (redis.url === undefined) return [sayOf('redis').skipped('everything', 'BRX_REDIS_URL is not set')];
      const client = createRedis({ ...redis, url: redis.url }, { logger, connectionName: applicationName });
      try {
        await connected(client, clock);
        return await examineRedis(client, clock);
      } finally {
        await client.close();
      }
    },
    mysql: async () => (mysql.url === undefined ? [sayOf('mysql').skipped('everything', 'BRX_MYSQL_URL is not set')] : examineMysql({ ...mysql, url: mysql.url }, { clock, logger })),
    sellers: async () => {
      const access = openAccess(config, { clock, logger, connectionName: applicationName });
      try {
        return await withPostgres((postgres) => examineSellers({ postgres, keyring: access.keyring, client: access.client }, { tokens, onProgress: (done, of) => onProgress?.(`trying tokens at CardTrader: ${done} of ${of} …`) }));
      } finally {
        await access.close();
      }
    },
  };
}

/** The client connects in the background and refuses commands until it has. */
async function connected(redis: Redis, clock: Clock): Promise<void> {
  const until = clock.monotonic() + REDIS_CONNECT_MS;
  while (redis.state !== 'ready' && clock.monotonic() < until) await clock.sleep(20);
  await redis.ping();
}

function read(readConfig: () => Config): Config | Finding {
  try {
    return readConfig();
  } catch (error) {
    if (!(error instanceof BrxError)) throw error;
    return sayOf('configuration').failure('settings', messageOf(error), error.remedy ?? 'see .env.example');
  }
}

function diagnosis(findings: readonly Finding[]): Diagnosis {
  const counts: Record<Verdict, number> = { ok: 0, warning: 0, failure: 0, skipped: 0 };
  for (const { verdict } of findings) counts[verdict] += 1;
  return { ok: counts.failure === 0, counts, findings };
}
