import type pg from 'pg';
import type { PostgresConfig } from '../../config.ts';
import { systemClock, type Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { toBrxError } from './errors.ts';
import type { PrismaClient } from './generated/client.ts';
import { createPool } from './pool.ts';
import { PING } from './postgres.sql.ts';
import { assertSamePool, createPrisma } from './prisma.ts';
import type { TransactionBase } from './transaction.ts';

/** What reads: the client itself, or a transaction. */
export type Database = Pick<PrismaClient, '$queryRawUnsafe'>;

export interface PostgresOptions {
  logger: Logger;
  /** Shown in pg_stat_activity. */
  applicationName: string;
  /** True if every statement looks up keys handed over in arrays (the ingest role); see KEY_LOOKUPS in pool.ts. */
  keyLookupsOnly: boolean;
  /** The schema all statements mean, instead of the role's own. */
  schema?: string;
  /** Milliseconds each caller waited for its connection. */
  onPoolWait?: (ms: number) => void;
  clock?: Clock;
}

export interface Postgres extends TransactionBase {
  readonly pool: pg.Pool;
  readonly config: PostgresConfig;
  /** One round trip through Prisma and the pool. Throws a BrxError; the first one also proves that Prisma uses this pool. */
  ping(): Promise<void>;
  /** Waits for the connections in use to come back, then closes all. May be called twice. */
  close(): Promise<void>;
}

/** Connects to nothing yet: `ping()` does. */
export function createPostgres(config: PostgresConfig, options: PostgresOptions): Postgres {
  const { logger, applicationName, keyLookupsOnly, schema, onPoolWait, clock = systemClock } = options;
  const pool = createPool(config, { logger, clock, applicationName, keyLookupsOnly, schema, ...(onPoolWait === undefined ? {} : { onWait: onPoolWait }) });
  const prisma = createPrisma(pool, schema);
  let proven = false;
  let closing: Promise<void> | undefined;
  return {
    pool,
    prisma,
    config,
    clock,
    async ping() {
      try {
        if (proven) await prisma.$queryRawUnsafe(PING);
        else await assertSamePool(prisma, pool);
        proven = true;
      } catch (error) {
        throw toBrxError(error);
      }
    },
    close() {
      closing ??= prisma.$disconnect().then(() => pool.end());
      return closing;
    },
  };
}
