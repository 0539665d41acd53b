import type { MysqlConfig } from '../../config.ts';
import { messageOf } from '../../errors.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { PoolState } from '../metrics.ts';
import { Rotation } from '../rotation.ts';
import { PING } from './mysql.sql.ts';
import { MysqlServer, type RunStatement } from './server.ts';
import { isLocal, readMysqlUrl } from './url.ts';

export interface MysqlOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Milliseconds each caller waited for its connection, connecting included. */
  readonly onWait?: (ms: number) => void;
  /** Told of every read that was sent: to whom, and what came of it. */
  readonly onQuery?: (query: { readonly server: 'primary' | 'replica'; readonly outcome: 'ok' | 'failed' }) => void;
  /** A replica that failed is left alone for so long; then one query tries it. */
  readonly restoreReplicaMs?: number;
}

export interface Mysql {
  /** The primary, for people: address and database. */
  readonly title: string;
  /** The primary can only be a server of this machine. */
  readonly isLocal: boolean;
  /** A read: the replicas in turn, the primary when none of them can. Rejects with a BrxError of the primary. */
  readonly query: RunStatement;
  /** One connection to the primary for several statements, each of at most `timeoutMs`. */
  session<Result>(timeoutMs: number, use: (run: RunStatement) => Promise<Result>): Promise<Result>;
  /** One round trip to the primary. */
  ping(): Promise<void>;
  /** Connections to all servers together; at most BRX_MYSQL_POOL_MAX. */
  stats(): PoolState;
  /** May be called twice. */
  close(): Promise<void>;
}

const RESTORE_REPLICA_MS = 5_000;

/** Connects to nothing yet. Throws BRX_CONFIG for URLs that cannot be used. */
export function createMysql(config: MysqlConfig & { url: string }, options: MysqlOptions): Mysql {
  const { logger, clock, onWait = () => undefined, onQuery = () => undefined, restoreReplicaMs = RESTORE_REPLICA_MS } = options;
  const place = readMysqlUrl(config.url, 'BRX_MYSQL_URL');
  const each = Math.floor(config.poolMax / (1 + config.replicaUrls.length));
  const pool = { acquireTimeoutMs: config.acquireTimeoutMs, clock, onWait };
  const primary = new MysqlServer(place, { ...pool, name: 'primary', connectionLimit: config.poolMax - each * config.replicaUrls.length });
  const replicas = config.replicaUrls.map((url, index) => new MysqlServer(readMysqlUrl(url, 'BRX_MYSQL_REPLICA_URLS'), { ...pool, name: `replica ${index + 1}`, connectionLimit: each }));
  const rotation = new Rotation(replicas, {
    clock,
    restMs: () => restoreReplicaMs,
    onOut: (_server, error, restMs) => logger.warn({ problem: messageOf(error), retryMs: restMs }, 'MySQL replica failed; reads go to the other servers'),
    onBack: ({ title }) => logger.info({ replica: title }, 'MySQL replica is back in rotation'),
  });
  const servers = [primary, ...replicas];
  let closing: Promise<void> | undefined;

  const query: RunStatement = async (sql, values = []) => {
    for (const replica of rotation.turn()) {
      try {
        const rows = await replica.query(sql, values, config.queryTimeoutMs);
        onQuery({ server: 'replica', outcome: 'ok' });
        rotation.answered(replica);
        return rows;
      } catch (error) {
        onQuery({ server: 'replica', outcome: 'failed' });
        rotation.failed(replica, error);
      }
    }
    try {
      const rows = await primary.query(sql, values, config.queryTimeoutMs);
      onQuery({ server: 'primary', outcome: 'ok' });
      return rows;
    } catch (error) {
      onQuery({ server: 'primary', outcome: 'failed' });
      throw error;
    }
  };

  return {
    title: primary.title,
    isLocal: isLocal(place),
    query,
    session: (timeoutMs, use) => primary.session(timeoutMs, use),
    ping: async () => void (await primary.query(PING, [], config.queryTimeoutMs)),
    stats() {
      const states = servers.map((server) => server.stats());
      const sum = (of: keyof PoolState): number => states.reduce((total, state) => total + state[of], 0);
      return { used: sum('used'), idle: sum('idle'), max: sum('max'), waiting: sum('waiting') };
    },
    close() {
      closing ??= Promise.all(servers.map((server) => server.close())).then(() => undefined);
      return closing;
    },
  };
}
