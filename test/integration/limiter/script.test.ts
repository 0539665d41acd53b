import fc from 'fast-check';
import type { Redis as Client } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BUCKETS, type Bucket } from '../../../src/marketplace/buckets.ts';
import { LocalSource } from '../../../src/marketplace/limiter/local.ts';
import { PATIENCE_MS, rulesFor } from '../../../src/marketplace/limiter/rules.ts';
import { INSPECT, PAUSE, TAKE, THROTTLED } from '../../../src/marketplace/limiter/scripts.ts';
import { startPrivateRedis, type PrivateService } from '../../../stack/index.ts';
import { densest } from '../../support/densest.ts';
import { observer } from '../../support/redis.ts';
import { seed } from '../../support/seed.ts';

/**
 * Protects: the script in a real Redis does what its pure twin does, for any history, and keeps the limit where only it can: flushed, taken over by another
 * server, with half of its keys gone, with its clock set back. Time is handed in instead of asked for; everything else is the script as it is.
 */
let server: PrivateService;
let client: Client;
beforeAll(async () => {
  server = await startPrivateRedis();
  client = observer(server.url);
});
afterAll(async () => {
  client.disconnect();
  await server.remove();
});
beforeEach(async () => {
  await client.flushall();
});

const CLOCK = /local t = redis\.call\('TIME'\)\nlocal now = .*/;
const timed = (lua: string): string => {
  expect(lua).toMatch(CLOCK);
  return lua.replace(CLOCK, 'local now = tonumber(table.remove(ARGV))');
};
const config = { requests: 20, windowMs: 1_000, marginMs: 25, fallbackShare: 1 };
const SILENCE = config.windowMs + config.marginMs;
const leases = (bucket: Bucket): string => `rate_limit:{u}${bucket === 'all' ? '' : `:${bucket}`}`;
const rule = (bucket: Bucket) => rulesFor(config, bucket).at(-1)!;

async function take(now: number, wanted: number, bucket: Bucket = 'all', run = 'run-a', left = { count: 0, stamp: 0 }): Promise<{ granted: number; wait: number; blocker: number }> {
  const rules = rulesFor(config, bucket);
  const keys = ['rate_limit:epoch', ...rules.flatMap((each) => [leases(each.bucket), `${leases(each.bucket)}:state`])];
  const answer = (await client.eval(timed(TAKE), keys.length, ...keys, run, PATIENCE_MS, SILENCE, config.windowMs, wanted, left.count, left.stamp, rules.length, ...rules.flatMap((each) => [each.limit, each.windowMs]), now)) as [number, number, number, number];
  expect(answer[0]).toBe(now);
  return { granted: answer[1], wait: answer[2], blocker: answer[3] };
}
const throttle = (now: number, bucket: Bucket, asked: number | null) => client.eval(timed(THROTTLED), 1, `${leases(bucket)}:state`, rule(bucket).limit, rule(bucket).windowMs, config.windowMs, asked ?? -1, 500, 100, 6_000, now);
const inspect = (now: number, bucket: Bucket = 'all') => client.eval(timed(INSPECT), 3, 'rate_limit:epoch', leases(bucket), `${leases(bucket)}:state`, 'run-a', SILENCE, rule(bucket).limit, rule(bucket).windowMs, config.windowMs, now);

/** The limiter has been in use for long, nothing of it counts any more. */
const START = 1_800_000_000_000;
async function settled(): Promise<number> {
  expect(await take(START, 1)).toEqual({ granted: 0, wait: SILENCE, blocker: -1 });
  return START + SILENCE;
}

test(`grants, waits and throttles as its twin does (seed ${seed})`, async () => {
  const step = fc.record({
    after: fc.oneof({ weight: 10, arbitrary: fc.nat(3) }, { weight: 10, arbitrary: fc.nat(150) }, { weight: 2, arbitrary: fc.nat(2_000) }, { weight: 1, arbitrary: fc.constant(20_000) }),
    bucket: fc.oneof({ weight: 3, arbitrary: fc.constant('all' as const) }, { weight: 1, arbitrary: fc.constantFrom(...BUCKETS) }),
    wanted: fc.integer({ min: 1, max: 12 }),
    throttle: fc.oneof({ weight: 30, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(5_000) }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), async (steps) => {
      await client.flushall();
      const twin = new LocalSource(config);
      let now = await settled();
      for (const { after, bucket, wanted, throttle: asked } of steps) {
        now += after;
        if (asked !== undefined) {
          twin.throttled('u', bucket, asked, now);
          await throttle(now, bucket, asked);
        }
        const expected = twin.take('u', bucket, wanted, now);
        const { granted, wait, blocker } = await take(now, wanted, bucket);
        expect({ granted, waitMs: wait, ownBucketOnly: blocker > 1 }).toEqual({ granted: expected.granted, waitMs: expected.waitMs, ownBucketOnly: expected.ownBucketOnly });
        const { limit, used, pausedMs } = twin.inspect('u', bucket, now);
        expect(await inspect(now, bucket)).toEqual([limit, used, pausedMs, 0]);
      }
    }),
    { seed, numRuns: 60 },
  );
});

describe('what was counted cannot be lost without silence', () => {
  test('flushed: nothing for a window, then everything', async () => {
    let now = await settled();
    expect(await take(now, 20)).toEqual({ granted: 20, wait: 0, blocker: 0 });
    await client.flushall();
    now += 3;
    expect(await take(now, 5)).toEqual({ granted: 0, wait: SILENCE, blocker: -1 });
    expect(await take(now + SILENCE - 1, 5)).toEqual({ granted: 0, wait: 1, blocker: -1 });
    expect(await take(now + SILENCE, 20)).toMatchObject({ granted: 20 });
  });

  test('another server that knows the epoch, but perhaps not the last seconds', async () => {
    const now = await settled();
    await take(now, 20);
    await client.del(leases('all'), `${leases('all')}:state`);
    expect(await take(now + 5, 5, 'all', 'run-b')).toEqual({ granted: 0, wait: SILENCE, blocker: -1 });
    expect(await take(now + 5 + SILENCE, 5, 'all', 'run-b')).toMatchObject({ granted: 5 });
  });

  test.each(['', 'x', '12', '12 ', 'soon run-a'])('an epoch that is nonsense (%j)', async (text) => {
    const now = await settled();
    await client.set('rate_limit:epoch', text);
    expect(await take(now, 1)).toEqual({ granted: 0, wait: SILENCE, blocker: -1 });
  });

  test('an epoch from the future, as after the clock was set back, holds nobody up for longer than a window', async () => {
    const now = await settled();
    expect(await take(now - 3_600_000, 1)).toEqual({ granted: 0, wait: SILENCE, blocker: -1 });
    expect(await take(now - 3_600_000 + SILENCE, 1)).toMatchObject({ granted: 1 });
  });

  test('the clock set back: what was taken counts for a window from then on, no longer', async () => {
    const now = await settled();
    await take(now + 10_000, 20);
    expect((await take(now + 5_000, 5)).granted).toBe(0);
    expect((await take(now + 5_000 + SILENCE, 5)).granted).toBe(0);
    expect((await take(now + 5_000 + SILENCE + 1, 20)).granted).toBe(20);
  });

  test('the hash goes, the list stays: counted again', async () => {
    const now = await settled();
    await take(now, 7);
    await take(now + 1, 7);
    await client.del(`${leases('all')}:state`);
    expect(await take(now + 2, 10)).toMatchObject({ granted: 6 });
  });
});

describe('the densest window', () => {
  test(`is within the limit whatever happens to the keys, and what was given back can be had again (seed ${seed})`, async () => {
    const step = fc.record({
      after: fc.oneof({ weight: 10, arbitrary: fc.nat(3) }, { weight: 10, arbitrary: fc.nat(60) }, { weight: 1, arbitrary: fc.nat(600) }),
      wanted: fc.integer({ min: 1, max: 12 }),
      unused: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(12) }),
      event: fc.oneof({ weight: 30, arbitrary: fc.constant('none') }, { weight: 1, arbitrary: fc.constantFrom('flush', 'restart') }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), async (steps) => {
        await client.flushall();
        let now = await settled();
        let [run, left, lost] = [0, { count: 0, stamp: 0 }, false];
        const taken: number[] = [];
        for (const { after, wanted, unused, event } of steps) {
          now += after;
          if (event === 'flush') await client.flushall();
          if (event === 'restart') {
            run += 1;
            await client.del(leases('all')); // the last seconds, perhaps all of them
          }
          lost ||= event !== 'none';
          const { granted } = await take(now, wanted, 'all', run === 0 ? 'run-a' : `run-${run}`, left);
          left = { count: Math.min(unused, granted), stamp: now };
          for (let n = left.count; n < granted; n += 1) taken.push(now);
          if (!lost) expect((await inspect(now)) as number[]).toMatchObject({ 1: taken.filter((at) => at + rule('all').windowMs >= now).length + left.count });
        }
        expect(densest(taken, config.windowMs)).toBeLessThanOrEqual(config.requests);
      }),
      { seed, numRuns: 60 },
    );
  });
});

describe('what is left over', () => {
  test('is given back as if it had not been taken; the rest counts from when it was', async () => {
    const now = await settled();
    await take(now, 12);
    expect(await take(now + 50, 20, 'all', 'run-a', { count: 5, stamp: now })).toMatchObject({ granted: 13 });
    expect(await inspect(now + 50)).toEqual([20, 20, 0, 0]);
    expect((await take(now + rule('all').windowMs + 1, 20)).granted).toBe(7);
  });

  test('of a lease that is gone, or smaller, or of another time, changes nothing', async () => {
    const now = await settled();
    await take(now, 3);
    await take(now + 10, 3);
    for (const left of [{ count: 4, stamp: now }, { count: 1, stamp: now + 5 }, { count: 1, stamp: now - 1_000 }, { count: 1, stamp: 0 }]) await take(now + 20, 0, 'all', 'run-a', left);
    expect(await inspect(now + 20)).toEqual([20, 6, 0, 0]);
  });
});

test('a pause is no 429: it takes nothing from the limit, and a longer one stays', async () => {
  const now = await settled();
  const pause = (at: number, ms: number) => client.eval(timed(PAUSE), 1, `${leases('all')}:state`, ms, at);
  await pause(now, 400);
  expect(await take(now, 5)).toEqual({ granted: 0, wait: 400, blocker: 0 });
  await pause(now, 100);
  expect(await take(now + 399, 5)).toMatchObject({ granted: 0, wait: 1 });
  expect(await take(now + 400, 20)).toMatchObject({ granted: 20 });
  expect(await inspect(now + 400)).toEqual([20, 20, 0, 0]);
  await pause(now + 400, 400);
  await throttle(now + 500, 'all', null);
  expect(await inspect(now + 500)).toEqual([14, 20, 500, 0]); // a 429 during it is one all the same
});

test('nothing of a seller stays for longer than it can matter', async () => {
  const now = await settled();
  await take(now, 5, 'jobs');
  for (const key of await client.keys('rate_limit:{u}*')) expect(await client.pttl(key), key).toBeLessThanOrEqual(2_100);
  await throttle(now, 'all', 3_000);
  expect(await client.pttl(`${leases('all')}:state`)).toBeGreaterThanOrEqual(13_000); // until the limit is full again
  await take(now + 3_000, 1);
  expect(await client.pttl(`${leases('all')}:state`)).toBeGreaterThanOrEqual(10_000 - 100);
  expect(await client.pttl('rate_limit:epoch')).toBe(-1);
  expect((await client.keys('*')).sort()).toEqual(['rate_limit:epoch', 'rate_limit:{u}', 'rate_limit:{u}:jobs', 'rate_limit:{u}:jobs:state', 'rate_limit:{u}:state']);
});

test('looking changes nothing', async () => {
  const now = await settled();
  await take(now, 3);
  const before = await client.dump(leases('all'));
  expect(await inspect(now + 1)).toEqual([20, 3, 0, 0]);
  expect(await client.dump(leases('all'))).toEqual(before);
  await client.del('rate_limit:epoch');
  expect(await inspect(now + 1)).toEqual([20, 3, 0, SILENCE]);
  expect(await client.exists('rate_limit:epoch')).toBe(0);
});
