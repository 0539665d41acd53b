import { createPool, type Pool, type PoolConnection } from 'mysql2/promise';
import { BrxError } from '../../errors.ts';
import type { Clock } from '../clock.ts';
import type { PoolState } from '../metrics.ts';
import { mysqlFailure, toMysqlError } from './errors.ts';
import type { MysqlPlace } from './url.ts';

export type Row = Readonly<Record<string, unknown>>;
/** One statement; `values` replace its question marks, a list becomes `1, 2, 3`. Rejects with a BrxError. */
export type RunStatement = (sql: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

export interface ServerOptions {
  readonly name: string;
  readonly connectionLimit: number;
  readonly acquireTimeoutMs: number;
  readonly clock: Clock;
  /** Milliseconds each caller waited for its connection, connecting included; also those that gave up. */
  readonly onWait: (ms: number) => void;
}

const IDLE_TIMEOUT_MS = 60_000;

/** One MySQL server and its pool: the traps of mysql2 (write-path.md section 10) end here. */
export class MysqlServer {
  readonly title: string;
  readonly #pool: Pool;
  readonly #options: ServerOptions;

  constructor(place: MysqlPlace, options: ServerOptions) {
    const { connectionLimit, acquireTimeoutMs, name } = options;
    this.title = `${name} (${place.host}:${place.port}/${place.database})`;
    this.#options = options;
    this.#pool = createPool({
      host: place.host,
      port: place.port,
      user: place.user,
      password: place.password,
      database: place.database,
      ...(place.tls === undefined ? {} : { ssl: { rejectUnauthorized: place.tls.rejectUnauthorized } }),
      connectionLimit,
      maxIdle: connectionLimit - 1, // its reaper does not exist unless this is below the limit, and idle connections would live for ever
      idleTimeout: IDLE_TIMEOUT_MS,
      connectTimeout: acquireTimeoutMs,
      enableKeepAlive: true,
      resetOnRelease: true, // a connection released inside a transaction would be handed on inside it
      supportBigNumbers: true,
      connectAttributes: { program_name: 'brx-sync' },
    });
    // Errors of a connection reach whoever uses it, and the pool drops it; unheard they would end the process.
    this.#pool.on('connection', (connection) => connection.on('error', () => undefined));
  }

  /** One statement on any connection of the pool. */
  query(sql: string, values: readonly unknown[], timeoutMs: number): Promise<readonly Row[]> {
    return this.session(timeoutMs, (run) => run(sql, values));
  }

  /** One connection for several statements, each of at most `timeoutMs`. */
  async session<Result>(timeoutMs: number, use: (run: RunStatement) => Promise<Result>): Promise<Result> {
    const connection = await this.#acquire();
    let broken = false;
    try {
      return await use(async (sql, values = []) => {
        try {
          const [rows] = await connection.query({ sql, values: [...values], timeout: timeoutMs });
          return Array.isArray(rows) ? (rows as Row[]) : [];
        } catch (error) {
          // After a timeout the server goes on with the query, and the connection is of no use until it ends.
          broken = mysqlFailure(error) !== 'refused' || (error as { fatal?: unknown }).fatal === true;
          throw toMysqlError(error, this.title);
        }
      });
    } finally {
      if (broken) connection.destroy();
      else connection.release();
    }
  }

  /** mysql2 waits for ever for a connection; here the wait ends, and a connection that comes too late goes back. */
  #acquire(): Promise<PoolConnection> {
    const { clock, acquireTimeoutMs, onWait } = this.#options;
    const begun = clock.monotonic();
    const timer = new AbortController();
    return new Promise((resolve, reject) => {
      let late = false;
      const settle = (): void => {
        timer.abort();
        if (!late) onWait(clock.monotonic() - begun);
      };
      clock.sleep(acquireTimeoutMs, timer.signal).then(
        () => {
          settle();
          late = true;
          reject(new BrxError('BRX_MYSQL_UNAVAILABLE', `MySQL ${this.title}: no connection within ${acquireTimeoutMs} ms`, { remedy: 'the server does not answer, or all connections are in use: see brx_pool_connections{pool="mysql"}, BRX_MYSQL_POOL_MAX' }));
        },
        () => undefined, // it came in time
      );
      this.#pool.getConnection().then(
        (connection) => {
          settle();
          if (late) connection.release();
          else resolve(connection);
        },
        (error: unknown) => {
          settle();
          reject(toMysqlError(error, this.title));
        },
      );
    });
  }

  /** mysql2 has no public numbers, and its events miss those that had to wait. */
  stats(): PoolState {
    const { _allConnections: all, _freeConnections: free, _connectionQueue: queue } = (this.#pool as unknown as { pool: Record<'_allConnections' | '_freeConnections' | '_connectionQueue', { length: number }> }).pool;
    return { used: all.length - free.length, idle: free.length, max: this.#options.connectionLimit, waiting: queue.length };
  }

  async close(): Promise<void> {
    await this.#pool.end().catch(() => undefined); // a server that is away cannot say goodbye
  }
}
