import { Redis as Client } from 'ioredis';
import { pino } from 'pino';
import { Writable } from 'node:stream';
import { createRedis, type Redis, type RedisState } from '../../src/platform/redis/index.ts';
import type { Logger } from '../../src/platform/log.ts';
import { until } from './wait.ts';

/** A plain connection, to look behind the back of the one under test. */
export function observer(url: string): Client {
  return new Client(url, { maxRetriesPerRequest: null, retryStrategy: () => 20 }).on('error', () => undefined);
}

/** A logger that keeps its lines. */
export function keepingLogger(): { logger: Logger; lines: { level: string; msg: string; [key: string]: unknown }[] } {
  const lines: { level: string; msg: string }[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as { level: string; msg: string });
      done();
    },
  });
  return { logger: pino({ level: 'trace', formatters: { level: (level) => ({ level }) } }, sink), lines };
}

/** A connection as the program makes it, once it is ready. */
export async function connected(url: string, { commandTimeoutMs = 1_000, logger = keepingLogger().logger, onState = (_state: RedisState): void => undefined } = {}): Promise<Redis> {
  const redis = createRedis({ url, commandTimeoutMs }, { logger, onState });
  await until('Redis is ready', () => redis.state === 'ready');
  return redis;
}

/** What `promise` rejects with, and after how long. */
export async function rejection(promise: Promise<unknown>): Promise<{ error: unknown; ms: number }> {
  const begun = performance.now();
  const error: unknown = await promise.then(
    (value) => {
      throw new Error(`resolved with ${JSON.stringify(value)}`);
    },
    (reason: unknown) => reason,
  );
  return { error, ms: performance.now() - begun };
}
