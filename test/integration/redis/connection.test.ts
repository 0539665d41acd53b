import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Redis as Client } from 'ioredis';
import { processState, until } from '../../support/wait.ts';
import { connected, keepingLogger, observer, rejection } from '../../support/redis.ts';
import { tcpServer } from '../../support/rude-server.ts';
import { startPrivateRedis, type PrivateService } from '../../../stack/index.ts';
import { createRedis, type Redis, type RedisState } from '../../../src/platform/redis/index.ts';

/** Protects: a Redis that goes away is told quickly, nothing is ever sent twice, and the connection comes back by itself (traps of write-path.md section 11). */
let server: PrivateService;
let behind: Client;
let redis: Redis;
let frozen: number | undefined;
const states: RedisState[] = [];
let lines: ReturnType<typeof keepingLogger>['lines'];

beforeAll(async () => {
  server = await startPrivateRedis();
  behind = observer(server.url);
});
afterAll(async () => {
  behind.disconnect();
  await server.remove();
});
beforeEach(async () => {
  const kept = keepingLogger();
  lines = kept.lines;
  states.length = 0;
  redis = await connected(server.url, { commandTimeoutMs: 400, logger: kept.logger, onState: (state) => states.push(state) });
  await until('the observer is back', () => behind.status === 'ready');
});
afterEach(async () => {
  if (frozen !== undefined) process.kill(frozen, 'SIGCONT');
  frozen = undefined;
  await redis.close();
});

const away = { code: 'BRX_REDIS_UNAVAILABLE', retryable: true };
const pid = async (): Promise<number> => Number(/^process_id:(\d+)/m.exec(await behind.info('server'))?.[1]);
/** Counts, and keeps the server busy for a while, in which it answers nobody. */
const BUSY = `redis.call('INCR', KEYS[1]) local t = redis.call('TIME') local until_ = t[1] * 1000 + t[2] / 1000 + ARGV[1] repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > until_ return redis.call('GET', KEYS[1])`;

describe('a server that is killed', () => {
  test('in the middle of commands: they reject at once and are not sent again', async () => {
    const incr = redis.script(`return redis.call('INCR', KEYS[1])`);
    expect(await incr(['killed'], [])).toBe(1);
    const server_ = await pid();
    process.kill(server_, 'SIGSTOP'); // so that the commands are on their way and cannot be answered
    frozen = server_;
    await until('it is frozen', () => processState(server_) === 'T');
    const sent = [incr(['killed'], []), redis.ping()].map(rejection);
    await new Promise((resolve) => setImmediate(resolve)); // written to the socket
    await server.kill();
    frozen = undefined;
    for (const { error, ms } of await Promise.all(sent)) {
      expect(error).toMatchObject(away);
      expect(ms).toBeLessThan(390); // by the connection's end, not by the timeout
    }
    await server.start();
    await until('it is back', () => redis.state === 'ready');
    await redis.ping();
    expect(await behind.get('killed')).toBeNull(); // nothing was sent again to the new server
    expect(await incr(['killed'], [])).toBe(1);
  });

  test('while it is away commands reject at once instead of waiting in a queue', async () => {
    await server.kill();
    await until('it is away', () => redis.state === 'away');
    const { error, ms } = await rejection(redis.ping());
    expect(error).toMatchObject(away);
    expect(ms).toBeLessThan(390); // not by the timeout
    expect(redis.runId).toBeUndefined();
    await server.start();
    await until('it is back', () => redis.state === 'ready');
    expect(states).toEqual(['ready', 'away', 'ready']);
  });

  test('says so once each way, however often it tries', async () => {
    await server.stop();
    await until('it is away', () => redis.state === 'away');
    await until('it has tried again', () => behind.status === 'reconnecting');
    for (let n = 0; n < 50; n += 1) await rejection(redis.ping());
    await server.start();
    await until('it is back', () => redis.state === 'ready');
    expect(lines.map(({ level, msg }) => `${level} ${msg}`)).toEqual(['info Redis answers', 'warn Redis is away; trying to reconnect', 'info Redis answers']);
  });

  test('the new process is known by its run id', async () => {
    const before = redis.runId;
    expect(before).toMatch(/^[0-9a-f]{40}$/);
    await server.kill();
    await server.start();
    await until('it is back', () => redis.state === 'ready' && redis.runId !== before);
    expect(redis.runId).toMatch(/^[0-9a-f]{40}$/);
  });
});

describe('a server that is slow', () => {
  test('a command without an answer rejects by its timeout, is executed once, and the connection goes on', async () => {
    const busy = redis.script(BUSY);
    const { error, ms } = await rejection(busy(['slow'], [700]));
    expect(error).toMatchObject(away);
    expect(ms).toBeGreaterThan(350);
    expect(ms).toBeLessThan(700);
    await until('it answers again', () => redis.ping().then(() => true, () => false));
    expect(await behind.get('slow')).toBe('1');
    expect(states).toEqual(['ready']);
  });

  test('frozen for long, the connection is given up and made anew', async () => {
    const server_ = await pid();
    process.kill(server_, 'SIGSTOP');
    frozen = server_;
    expect((await rejection(redis.ping())).error).toMatchObject(away);
    await until('it is given up', () => redis.state === 'away');
    process.kill(server_, 'SIGCONT');
    frozen = undefined;
    await until('it is back', () => redis.state === 'ready');
    await redis.ping();
  });
});

describe('scripts', () => {
  test('load themselves again after SCRIPT FLUSH, also many at once, and count once', async () => {
    const incr = redis.script(`return redis.call('INCR', KEYS[1])`);
    await Promise.all(Array.from({ length: 50 }, () => incr(['flushed'], [])));
    await behind.script('FLUSH');
    await Promise.all(Array.from({ length: 50 }, () => incr(['flushed'], [])));
    expect(await behind.get('flushed')).toBe('100');
  });

  test('an error inside is an error, and tells no arguments', async () => {
    const broken = redis.script(`return redis.call('INCR', KEYS[1], ARGV[1])`);
    const { error } = await rejection(broken(['x'], ['hush-0815']));
    expect(error).toMatchObject({ code: 'BRX_REDIS_UNAVAILABLE', message: expect.stringContaining('Wrong number of args') as string });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('hush-0815');
    expect((error as Error).cause).toBeUndefined();
  });

  test('keys and arguments arrive as they are', async () => {
    const echo = redis.script('return {KEYS[1], KEYS[2], ARGV[1], ARGV[2]}');
    expect(await echo(['a', 'b {c}'], [1.5, 'ü'])).toEqual(['a', 'b {c}', '1.5', 'ü']);
  });
});

test('while a connection is being made nothing is queued for it', async () => {
  const silent = await tcpServer(() => undefined);
  const waiting = createRedis({ url: silent.url.replace('http:', 'redis:'), commandTimeoutMs: 5_000 }, { logger: keepingLogger().logger });
  await until('it is connected, to somebody who says nothing', () => silent.connections === 1);
  const { error, ms } = await rejection(waiting.ping());
  expect(error).toMatchObject(away);
  expect(ms).toBeLessThan(1_000);
  await waiting.close();
  await silent.close();
});

test('not there at the start: told once, and found when it comes', async () => {
  await server.stop();
  const kept = keepingLogger();
  const late = createRedis({ url: server.url, commandTimeoutMs: 400 }, { logger: kept.logger });
  expect(late.state).toBe('connecting');
  expect((await rejection(late.ping())).error).toMatchObject(away);
  await until('it is away', () => late.state === 'away');
  await server.start();
  await until('it is there', () => late.state === 'ready');
  await late.ping();
  expect(kept.lines.map(({ msg }) => msg)).toEqual(['Redis is away; trying to reconnect', 'Redis answers']);
  await late.close();
});

test('a wrong password: told, not repeated anywhere', async () => {
  await behind.config('SET', 'requirepass', 'right-4711');
  const kept = keepingLogger();
  const wrong = createRedis({ url: server.url.replace('redis://', 'redis://:hush-0815@'), commandTimeoutMs: 400 }, { logger: kept.logger });
  await until('it is refused', () => wrong.state === 'away');
  const { error } = await rejection(wrong.ping());
  await wrong.close();
  await behind.config('SET', 'requirepass', '');
  expect(kept.lines).toHaveLength(1);
  expect(kept.lines[0]).toMatchObject({ problem: expect.stringContaining('WRONGPASS') as string });
  expect(JSON.stringify(kept.lines) + String(error) + String((error as Error).stack)).not.toContain('hush');
});

test('the gauge counts what has no answer yet', async () => {
  expect(redis.stats()).toEqual({ used: 0, idle: 256, max: 256, waiting: 0 });
  const pings = Array.from({ length: 300 }, () => redis.ping());
  expect(redis.stats()).toEqual({ used: 256, idle: 0, max: 256, waiting: 44 });
  await Promise.all(pings);
  expect(redis.stats()).toMatchObject({ used: 0, waiting: 0 });
});

test('closing twice is fine, what is in flight ends, and it says nothing of being away', async () => {
  const pending = Promise.allSettled([redis.script(BUSY)(['closing'], [50])]);
  await redis.close();
  await redis.close();
  await pending;
  expect((await rejection(redis.ping())).error).toMatchObject(away);
  expect(lines.map(({ level }) => level)).toEqual(['info']);
});
