import { describe, expect, test } from 'vitest';
import type { Bucket } from '../../../src/marketplace/buckets.ts';
import { RateLimiter } from '../../../src/marketplace/limiter/index.ts';
import { LocalSource } from '../../../src/marketplace/limiter/local.ts';
import { comeBack, fallBack, SHARED } from '../../../src/marketplace/limiter/mode.ts';
import { densest } from '../../support/densest.ts';
import { fakeClock } from '../../support/fake-clock.ts';
import { keepingLogger } from '../../support/redis.ts';

/** Protects: the order in which requests go, what wakes them and what does not, and a process that counts by itself. With a clock that is moved by hand. */
function setUp({ requests = 20, fallbackShare = 1 } = {}) {
  const time = fakeClock();
  // What was asked for before the clock moves begins to wait before it moves.
  const clock = Object.assign(Object.create(time) as typeof time, { advance: async (ms: number) => time.advance(0).then(() => time.advance(ms)) });
  const { logger, lines } = keepingLogger();
  const waits: { bucket: Bucket; ms: number }[] = [];
  const modes: string[] = [];
  const limiter = new RateLimiter({
    redis: undefined,
    config: { requests, windowMs: 1_000, marginMs: 0, fallbackShare },
    clock,
    logger,
    observer: { waited: (bucket, ms) => waits.push({ bucket, ms }), mode: (source) => modes.push(source) },
  });
  const granted: { who: string; at: number }[] = [];
  const refused: { who: string; reason: unknown }[] = [];
  const take = (who: string, userId = 'u', options: { bucket?: Bucket; signal?: AbortSignal } = {}): void =>
    void limiter.take(userId, options).then(
      () => granted.push({ who, at: clock.monotonic() }),
      (reason: unknown) => refused.push({ who, reason }),
    );
  return { clock, limiter, lines, waits, modes, granted, refused, take };
}

describe('without Redis', () => {
  test('nothing for a window, as nobody knows what was used before; then a share of the limit in every window', async () => {
    const { clock, take, granted, limiter, lines, modes, waits } = setUp({ fallbackShare: 0.5 });
    for (let n = 0; n < 40; n += 1) take(`${n}`);
    await clock.advance(999);
    expect(granted).toEqual([]);
    await clock.advance(5_000);
    expect(granted).toHaveLength(40);
    expect(densest(granted.map(({ at }) => at), 1_000)).toBe(10);
    expect(granted[0]?.at).toBe(1_000);
    expect(granted[39]?.at).toBeLessThanOrEqual(4_003);
    expect(limiter.source).toBe('local');
    expect(modes).toEqual(['local']);
    expect(lines).toMatchObject([{ level: 'warn', problem: 'BRX_REDIS_URL is not set', share: 0.5 }]);
    expect(waits.map(({ ms }) => ms)).toEqual(granted.map(({ at }) => at));
  });
});

test('a process by itself forgets who is idle, and nobody whose tokens or 429 still count', () => {
  const source = new LocalSource({ requests: 20, windowMs: 1_000, marginMs: 0, fallbackShare: 1 });
  const takes = (count: number, userId: (n: number) => string, now: number): void => Array.from({ length: count }, (_, n) => userId(n)).forEach((user) => source.take(user, 'search', 1, now));
  takes(500, (n) => `idle ${n}`, 0);
  source.take('throttled', 'all', 1, 0);
  source.throttled('throttled', 'all', 60_000, 0);
  takes(499, () => 'busy', 5_000);
  expect([source.size, source.inspect('throttled', 'all', 5_000).pausedMs, source.inspect('busy', 'search', 5_000).used]).toEqual([2, 55_000, 10]);
  takes(1_000, () => 'busy', 200_000);
  expect(source.size, 'the 429 is over').toBe(1);
});

test('Redis lost: a window of silence; found again: another, unless it was away for less than half of one', () => {
  expect(SHARED).toEqual({ source: 'shared', silentUntil: -Infinity });
  expect(fallBack(1_000, 10_000)).toEqual({ source: 'local', silentUntil: 11_000 });
  expect(comeBack(1_000, 5_999, 10_000)).toEqual({ source: 'shared', silentUntil: 5_999 });
  expect(comeBack(1_000, 6_000, 10_000)).toEqual({ source: 'shared', silentUntil: 16_000 });
});

describe('for people', () => {
  test('the busiest first, but before them whoever waits because of a 429; no more than asked for, and how many there are', async () => {
    const { clock, take, limiter } = setUp();
    await clock.advance(1_000);
    for (const [seller, requests] of [['a', 2], ['b', 5], ['c', 1]] as const) for (let n = 0; n < requests; n += 1) take(`${n}`, seller);
    await clock.advance(1);
    await limiter.throttled('c', { retryAfterMs: 300 });
    const found = await limiter.busiest(2);
    expect(found).toMatchObject({ source: 'local', silentMs: 0, active: 3, sellers: [{ userId: 'c', used: 1, limit: 14, full: 20, pausedMs: 300 }, { userId: 'b', used: 5, limit: 20, pausedMs: 0 }] });
    expect((await limiter.busiest(9)).sellers.map(({ userId }) => userId)).toEqual(['c', 'b', 'a']);
  });
});

describe('order', () => {
  test('of one seller: as they came, also those that come while others wait', async () => {
    const { clock, take, granted } = setUp({ requests: 3 });
    const names = Array.from({ length: 12 }, (_, n) => `${n}`);
    for (const name of names.slice(0, 5)) take(name);
    await clock.advance(1_500);
    for (const name of names.slice(5)) take(name);
    await clock.advance(10_000);
    expect(granted.map(({ who }) => who)).toEqual(names);
  });

  test('of several sellers: each for itself', async () => {
    const { clock, take, granted } = setUp({ requests: 2 });
    for (let n = 0; n < 10; n += 1) take(`greedy ${n}`, 'greedy');
    take('modest', 'modest');
    await clock.advance(1_000);
    expect(granted.map(({ who }) => who).sort()).toEqual(['greedy 0', 'greedy 1', 'modest']);
  });

  test('a request that waits for its own bucket holds up no other', async () => {
    const { clock, take, granted } = setUp();
    for (let n = 0; n < 3; n += 1) take(`job ${n}`, 'u', { bucket: 'jobs' });
    take('first');
    await clock.advance(1_000);
    expect(granted.map(({ who }) => who)).toEqual(['job 0', 'first']);
    await clock.advance(500);
    take('second'); // wakes the seller's sleep, which is for the jobs
    await clock.advance(0);
    expect(granted.map(({ who }) => who)).toEqual(['job 0', 'first', 'second']);
    await clock.advance(1_600);
    expect(granted.map(({ who }) => who)).toEqual(['job 0', 'first', 'second', 'job 1', 'job 2']);
  });

  test('a request of a special bucket is not starved by younger ones that take all tokens', async () => {
    const { clock, take, granted } = setUp({ requests: 5 });
    await clock.advance(1_000);
    for (let n = 0; n < 5; n += 1) take(`before ${n}`);
    await clock.advance(10);
    take('search', 'u', { bucket: 'search' });
    for (let n = 0; n < 50; n += 1) take(`after ${n}`);
    await clock.advance(1_010);
    expect(granted[5]?.who).toBe('search');
  });
});

describe('waiting', () => {
  test('is one sleep a seller, however many requests', async () => {
    const { clock, take, limiter } = setUp({ requests: 1 });
    for (let n = 0; n < 500; n += 1) for (const seller of ['a', 'b', 'c']) take('x', seller);
    await clock.advance(1_200);
    expect(clock.sleeping).toBe(3);
    expect(limiter.waiting).toEqual({ sellers: 3, requests: 3 * 499 });
  });

  test('nobody new wakes a seller all of whose requests wait', async () => {
    const { clock, take } = setUp({ requests: 1 });
    take('a');
    take('b');
    await clock.advance(1_100);
    const { length } = clock.sleeps;
    for (let n = 0; n < 100; n += 1) take('c');
    await clock.advance(100);
    expect(clock.sleeps).toHaveLength(length);
  });

  test('leaves nothing behind', async () => {
    const { clock, take, limiter } = setUp();
    for (let seller = 0; seller < 100; seller += 1) take('x', `${seller}`);
    await clock.advance(3_000);
    expect(limiter.waiting).toEqual({ sellers: 0, requests: 0 });
    expect(clock.sleeping).toBe(0);
  });
});

describe('giving up', () => {
  test('rejects at once with the signal’s reason, and takes no token', async () => {
    const { clock, take, granted, refused, limiter } = setUp({ requests: 2 });
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    take('never', 'u', { signal: controller.signal });
    take('a');
    take('b');
    controller.abort(reason);
    await clock.advance(0);
    expect(refused).toEqual([{ who: 'never', reason }]);
    await clock.advance(1_000);
    expect(granted.map(({ who }) => who)).toEqual(['a', 'b']);
    take('late', 'u', { signal: controller.signal });
    await clock.advance(0);
    expect(refused).toEqual([{ who: 'never', reason }, { who: 'late', reason }]);
    expect(limiter.waiting).toEqual({ sellers: 0, requests: 0 });
  });

  test('of everybody ends the seller’s sleep; whoever comes next begins anew', async () => {
    const { clock, take, granted, limiter } = setUp({ requests: 1 });
    const controller = new AbortController();
    take('a');
    take('b', 'u', { signal: controller.signal });
    await clock.advance(1_100);
    controller.abort(new Error('enough'));
    await clock.advance(0);
    expect(limiter.waiting).toEqual({ sellers: 0, requests: 0 });
    expect(clock.sleeping).toBe(0);
    take('c');
    await clock.advance(1_000);
    expect(granted.map(({ who }) => who)).toEqual(['a', 'c']);
  });

  test('close() turns everybody away, and everybody after', async () => {
    const { clock, take, refused, limiter } = setUp({ requests: 1 });
    take('a');
    take('b');
    limiter.close();
    take('c');
    await clock.advance(5_000);
    expect(refused.map(({ who }) => who).sort()).toEqual(['a', 'b', 'c']);
    expect(refused[0]?.reason).toMatchObject({ code: 'BRX_REFUSED' });
    expect(clock.sleeping).toBe(0);
  });
});

test('a 429 pauses that seller alone and lowers its limit, by steps back to all of it', async () => {
  const { clock, take, granted, limiter } = setUp();
  await clock.advance(1_000);
  await limiter.throttled('u');
  expect((await limiter.inspect('u')).buckets.all).toEqual({ full: 20, limit: 14, used: 0, pausedMs: 500, silentMs: 0 });
  for (let n = 0; n < 200; n += 1) take('u');
  for (let n = 0; n < 20; n += 1) take('other', 'other');
  await clock.advance(400);
  expect(granted.map(({ who }) => who)).toEqual(Array.from({ length: 20 }, () => 'other'));
  await clock.advance(8_000);
  const mine = granted.filter(({ who }) => who === 'u').map(({ at }) => at);
  expect(mine[0]).toBe(1_500);
  const within = (from: number): number => mine.filter((at) => at >= from && at < from + 1_000).length;
  expect(within(1_500)).toBe(14);
  expect(within(2_501)).toBe(16);
  expect(within(6_000)).toBeGreaterThanOrEqual(18);
  expect(densest(mine, 1_000)).toBe(20);
  expect((await limiter.inspect('u')).buckets.all).toMatchObject({ limit: 20, pausedMs: 0 });
});

test('a 429 with Retry-After pauses for so long; one for a special bucket leaves the others alone', async () => {
  const { clock, take, granted, limiter } = setUp();
  await clock.advance(1_000);
  await limiter.throttled('u', { bucket: 'search', retryAfterMs: 3_000 });
  take('search', 'u', { bucket: 'search' });
  take('other');
  await clock.advance(2_900);
  expect(granted.map(({ who }) => who)).toEqual(['other']);
  await clock.advance(200);
  expect(granted.map(({ who }) => who)).toEqual(['other', 'search']);
});
