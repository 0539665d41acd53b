import { Redis as Client } from 'ioredis';
import type { RedisConfig } from '../../config.ts';
import { BrxError, messageOf } from '../../errors.ts';
import type { Logger } from '../log.ts';
import type { PoolState } from '../metrics.ts';

/** `connecting` until the first connection works; then `ready` and `away` in turn. */
export type RedisState = 'connecting' | 'ready' | 'away';

export interface Redis {
  readonly state: RedisState;
  /**
   * The run id of the server at the other end of this very connection, undefined while there is none. Another one means another process, which
   * may have lost what the last one knew.
   */
  readonly runId: string | undefined;
  /** A Lua script; loads itself into a server that does not have it (SCRIPT FLUSH, restart). Sent once; rejects with BRX_REDIS_UNAVAILABLE. */
  script(lua: string): (keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>;
  /** The values of these keys, in order. One round trip; rejects with BRX_REDIS_UNAVAILABLE. */
  getMany(keys: readonly string[]): Promise<(string | null)[]>;
  /** Keys that match the pattern, some at a time; one that stays all the while is met at least once. Rejects with BRX_REDIS_UNAVAILABLE. */
  scan(pattern: string): AsyncIterable<string[]>;
  /** One round trip. Rejects with BRX_REDIS_UNAVAILABLE. */
  ping(): Promise<void>;
  /** Calls `listener` at each change of state; the answer takes it back. */
  onState(listener: (state: RedisState) => void): () => void;
  /** Commands without an answer yet, against what one connection should have at most: ioredis has no pool. */
  stats(): PoolState;
  /** Connections of the whole server, whoever opened them, and its limit. Rejects with BRX_REDIS_UNAVAILABLE. */
  serverConnections(): Promise<{ readonly used: number; readonly max: number }>;
  /** What the server says of itself. One round trip each; rejects with BRX_REDIS_UNAVAILABLE. */
  server(): Promise<RedisServer>;
  /** Ends the connection; what is in flight is still answered, or rejects. May be called twice. */
  close(): Promise<void>;
}

export interface RedisServer {
  readonly version: string;
  /** `master`, or another one that takes no writes. */
  readonly role: string;
  /** maxmemory-policy. */
  readonly evicts: string;
  /** Its clock, ms since 1970. */
  readonly nowMs: number;
}

export interface RedisOptions {
  readonly logger: Logger;
  /** Shown by CLIENT LIST. */
  readonly connectionName?: string;
  readonly onState?: (state: RedisState) => void;
}

const FIRST_RETRY_MS = 50;
/** The rate limiter counts on every process being back within a window of each other (src/marketplace/limiter/README.md). */
const MAX_RETRY_MS = 2_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** 64 in flight are past the knee of the throughput curve (write-path.md section 11); more only wait. */
const COMMAND_BUDGET = 256;
/** Keys looked at by one SCAN: a fraction of a millisecond. */
const SCAN_COUNT = 1_000;

/** One connection a process, that fails fast and never sends a command twice. Connects at once, in the background. */
export function createRedis(config: RedisConfig & { url: string }, { logger, connectionName = 'brx-sync', onState }: RedisOptions): Redis {
  const client = new Client(config.url, {
    connectionName,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: config.commandTimeoutMs,
    // A server that says nothing at all: without this a half-open connection would time out command after command for a quarter of an hour.
    socketTimeout: 5 * config.commandTimeoutMs,
    // When the connection goes, what is in flight rejects at once and is not sent again: a script that ran twice would count twice.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    enableAutoPipelining: false,
    retryStrategy: (times) => Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(times - 1, 10)) * (0.5 + Math.random() / 2),
    reconnectOnError: (error) => error.message.startsWith('READONLY'), // a primary that became a replica
  });
  const listeners = new Set<(state: RedisState) => void>();
  if (onState !== undefined) listeners.add(onState);
  let state: RedisState = 'connecting';
  let runId: string | undefined;
  let lastError: string | undefined;
  let inFlight = 0;

  const change = (to: RedisState): void => {
    if (to === state) return;
    state = to;
    if (to === 'ready') logger.info('Redis answers');
    else logger.warn({ problem: lastError ?? 'the connection was closed' }, 'Redis is away; trying to reconnect');
    for (const listener of listeners) listener(to);
  };
  client.on('error', (error: Error) => {
    lastError = messageOf(error); // never the error itself: ioredis hangs the command's arguments on it, and AUTH is a command
    change('away');
  });
  client.on('close', () => {
    runId = undefined;
    change('away');
  });
  client.on('ready', () => {
    client.info('server').then(
      (text) => {
        runId = /^run_id:(\w+)/m.exec(text)?.[1] ?? 'unknown';
        lastError = undefined;
        change('ready');
      },
      (error: unknown) => {
        lastError = messageOf(error);
        client.disconnect(true); // without knowing who answers we do not ask
      },
    );
  });

  async function counted<T>(command: Promise<T>): Promise<T> {
    inFlight += 1;
    try {
      return await command;
    } catch (error) {
      throw unavailable(error);
    } finally {
      inFlight -= 1;
    }
  }
  let scripts = 0;

  return {
    get state() {
      return state;
    },
    get runId() {
      return runId;
    },
    script(lua) {
      scripts += 1;
      const name = `brxScript${scripts}`;
      client.defineCommand(name, { lua });
      const run = (client as unknown as Record<string, (...args: (string | number)[]) => Promise<unknown>>)[name]?.bind(client);
      if (run === undefined) throw new BrxError('BRX_INTERNAL', 'ioredis did not define the script');
      return (keys, args) => counted(run(keys.length, ...keys, ...args));
    },
    getMany: (keys) => counted(client.mget([...keys])),
    async *scan(pattern) {
      let cursor = '0';
      do {
        const [next, keys] = await counted(client.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT));
        cursor = next;
        if (keys.length > 0) yield keys;
      } while (cursor !== '0');
    },
    ping: async () => void (await counted(client.ping())),
    onState(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    stats: () => ({ used: Math.min(inFlight, COMMAND_BUDGET), idle: Math.max(0, COMMAND_BUDGET - inFlight), max: COMMAND_BUDGET, waiting: Math.max(0, inFlight - COMMAND_BUDGET) }),
    async serverConnections() {
      const text = await counted(client.info('clients'));
      const number = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
      return { used: number('connected_clients'), max: number('maxclients') };
    },
    async server() {
      const text = await counted(client.info());
      const field = (name: string): string => new RegExp(`^${name}:([^\\r\\n]+)`, 'm').exec(text)?.[1] ?? 'unknown';
      const [seconds, microseconds] = await counted(client.time());
      return { version: field('redis_version'), role: field('role'), evicts: field('maxmemory_policy'), nowMs: Number(seconds) * 1_000 + Number(microseconds) / 1_000 };
    },
    close() {
      listeners.clear();
      client.removeAllListeners('close');
      client.disconnect();
      return Promise.resolve();
    },
  };
}

/** The message only, never the error: its `command` carries every argument. */
function unavailable(error: unknown): BrxError {
  return new BrxError('BRX_REDIS_UNAVAILABLE', `Redis: ${messageOf(error)}`, { remedy: 'see that Redis runs and that BRX_REDIS_URL is right' });
}
