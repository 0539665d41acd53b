import pg from 'pg';
import type { PostgresConfig } from '../../config.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { watchCommit } from './commit.ts';
import { refuseUrlSettings } from './url.ts';
import { createWatchdog } from './watchdog.ts';

export interface PoolOptions {
  logger: Logger;
  clock: Clock;
  /** Shown in pg_stat_activity. */
  applicationName: string;
  /** True for a pool whose every statement looks up keys it was handed in arrays; see KEY_LOOKUPS. */
  keyLookupsOnly: boolean;
  /** The schema all statements mean, instead of the role's own. */
  schema?: string | undefined;
  /** Milliseconds each caller waited for its connection, connecting included; also for those that gave up. */
  onWait?: (ms: number) => void;
}

/** Connections, for the gauges: `total` = `used` + `idle` (+ those just being opened, which count as used). */
export interface PoolStats {
  max: number;
  total: number;
  used: number;
  idle: number;
  waiting: number;
}

/**
 * Planner settings of the ingest pool. A named statement is soon planned generically, and the generic plan takes every
 * unnest() for 100 rows: from some table size on it prefers to hash or merge the whole ledger instead of looking 1,000 keys up
 * in its index. Everything that pool runs is a key look-up, so the other joins are switched off and the first plan is the one
 * plan. Not for a pool that reads ranges.
 */
const KEY_LOOKUPS = ['plan_cache_mode=force_generic_plan', 'enable_hashjoin=off', 'enable_mergejoin=off', 'enable_seqscan=off', 'jit=off'];

/** A pg.Pool (adapter-pg insists on the very class) that tells how long each connect() waited. */
class MeasuredPool extends pg.Pool {
  readonly #clock: Clock;
  readonly #onWait: ((ms: number) => void) | undefined;

  constructor(config: pg.PoolConfig, clock: Clock, onWait: ((ms: number) => void) | undefined) {
    super(config);
    this.#clock = clock;
    this.#onWait = onWait;
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: (error: Error | undefined, client: pg.PoolClient | undefined, done: (release?: unknown) => void) => void): void;
  override connect(callback?: (error: Error | undefined, client: pg.PoolClient | undefined, done: (release?: unknown) => void) => void): Promise<pg.PoolClient> | void {
    const start = this.#clock.monotonic();
    const told = (): void => this.#onWait?.(this.#clock.monotonic() - start);
    if (callback === undefined) return super.connect().finally(told);
    super.connect((error, client, done) => {
      told();
      callback(error, client, done);
    });
  }
}

/**
 * The pool everything of a process shares. No `query_timeout`: with it a connection goes back to the pool inside an open
 * transaction, and the next user commits the first one's rows (write-path.md 8.4). The limits are the server's instead.
 */
export function createPool(config: PostgresConfig, options: PoolOptions): pg.Pool {
  const { logger } = options;
  refuseUrlSettings(config.url);
  const settings = [...(options.keyLookupsOnly ? KEY_LOOKUPS : []), ...(options.schema === undefined ? [] : [`search_path=${options.schema}`])];
  const pool = new MeasuredPool(
    {
      connectionString: config.url,
      max: config.poolMax,
      connectionTimeoutMillis: config.acquireTimeoutMs,
      idleTimeoutMillis: 60_000,
      maxLifetimeSeconds: 3_600,
      keepAlive: true,
      statement_timeout: config.statementTimeoutMs,
      lock_timeout: config.lockTimeoutMs,
      idle_in_transaction_session_timeout: config.idleTransactionTimeoutMs,
      application_name: options.applicationName,
      ...(settings.length > 0 ? { options: settings.map((setting) => `-c ${setting}`).join(' ') } : {}),
    },
    options.clock,
    options.onWait,
  );
  pool.on('connect', (client) => {
    watchCommit(client);
    // pg-pool listens only while the client is idle; without this a connection that breaks while it is used ends the process.
    client.on('error', (error) => logger.warn({ error: error.message }, 'PostgreSQL connection broke'));
  });
  pool.on('error', () => undefined); // of idle connections: told by the listener above, but pg-pool throws it if nobody listens here
  // A connection that comes back inside a transaction must never be handed on; ended here, pg-pool drops it.
  pool.on('release', (_error, client) => {
    if (client.getTransactionStatus() === 'I') return;
    logger.warn({ transactionStatus: client.getTransactionStatus() }, 'PostgreSQL connection came back inside a transaction; closing it');
    client.end().catch((error: unknown) => logger.warn({ error: String(error) }, 'closing it failed'));
  });
  createWatchdog(pool, { logger, clock: options.clock, silenceMs: config.statementTimeoutMs * 1.25 });
  return pool;
}

export function poolStats(pool: pg.Pool): PoolStats {
  return { max: pool.options.max, total: pool.totalCount, used: pool.totalCount - pool.idleCount, idle: pool.idleCount, waiting: pool.waitingCount };
}
