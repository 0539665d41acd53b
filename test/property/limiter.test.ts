import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BUCKETS } from '../../src/marketplace/buckets.ts';
import { isOver, limitAt, throttled, type Throttle } from '../../src/marketplace/limiter/adaptive.ts';
import { LocalSource } from '../../src/marketplace/limiter/local.ts';
import { comeBack, fallBack, SHARED } from '../../src/marketplace/limiter/mode.ts';
import { SlidingWindow } from '../../src/marketplace/limiter/window.ts';
import { densest } from '../support/densest.ts';
import { seed } from '../support/seed.ts';

/** Protects: no schedule of requests, pauses, throttling or outages puts more than the limit into any window, and none starves. */
const runs = { seed, numRuns: 300 };
const config = { requests: 20, windowMs: 1_000, marginMs: 25, fallbackShare: 1 };

describe(`the sliding window (seed ${seed})`, () => {
  const schedule = fc.array(fc.record({ after: fc.oneof({ weight: 10, arbitrary: fc.nat(3) }, { weight: 10, arbitrary: fc.nat(60) }, { weight: 1, arbitrary: fc.nat(1_500) }), wanted: fc.integer({ min: 1, max: 12 }) }), { minLength: 1, maxLength: 200, size: 'max' });

  test('never lets more than the limit into any window, whatever becomes of the requests within the margin', () => {
    fc.assert(
      fc.property(schedule, fc.integer({ min: 1, max: 20 }), fc.array(fc.double({ min: 0, max: 25, noNaN: true }), { minLength: 7, maxLength: 7 }), (steps, limit, jitter) => {
        const window = new SlidingWindow(config.windowMs + config.marginMs);
        const arrived: number[] = [];
        let now = 0;
        for (const { after, wanted } of steps) {
          now += after;
          const granted = Math.min(wanted, Math.max(0, limit - window.used(now)));
          window.take(now, granted);
          for (let n = 0; n < granted; n += 1) arrived.push(now + jitter[arrived.length % 7]!);
        }
        expect(densest(arrived, config.windowMs)).toBeLessThanOrEqual(limit);
      }),
      runs,
    );
  });

  test('says truly when more can be had: not before, and then at least one', () => {
    fc.assert(
      fc.property(schedule, fc.integer({ min: 1, max: 20 }), fc.nat(100), (steps, limit, patience) => {
        const window = new SlidingWindow(1_000);
        let now = 0;
        for (const { after, wanted } of steps) {
          now += after;
          const granted = Math.min(wanted, Math.max(0, limit - window.used(now)));
          window.take(now, granted);
          const wait = window.waitFor(now, wanted - granted, limit, patience);
          if (granted === wanted) {
            expect(wait).toBe(0);
            continue;
          }
          expect(wait).toBeGreaterThan(0);
          if (patience === 0) expect(limit - window.used(now + wait - 1)).toBeLessThanOrEqual(0); // the earlier one first: it forgets as it goes
          expect(limit - window.used(now + wait)).toBeGreaterThan(0);
          now += wait;
        }
      }),
      runs,
    );
  });

  test('whoever asks as told gets all of the limit: at least 20 in every 1,001 ms from the first on', () => {
    const window = new SlidingWindow(1_000);
    const taken: number[] = [];
    for (let now = 0; now < 20_000; ) {
      const granted = Math.min(10, Math.max(0, 20 - window.used(now)));
      window.take(now, granted);
      for (let n = 0; n < granted; n += 1) taken.push(now);
      now += Math.max(window.waitFor(now, 10, 20, 50), granted > 0 ? 0 : 1);
    }
    expect(taken.length).toBeGreaterThanOrEqual(20 * 19);
    expect(densest(taken, 1_000)).toBe(20);
  });
});

describe(`a process by itself (seed ${seed})`, () => {
  const step = fc.record({
    after: fc.oneof({ weight: 10, arbitrary: fc.nat(3) }, { weight: 10, arbitrary: fc.nat(100) }, { weight: 1, arbitrary: fc.nat(2_000) }),
    bucket: fc.oneof({ weight: 3, arbitrary: fc.constant('all' as const) }, { weight: 1, arbitrary: fc.constantFrom(...BUCKETS) }),
    wanted: fc.integer({ min: 1, max: 12 }),
    throttle: fc.oneof({ weight: 30, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(5_000) }),
  });

  test('keeps every bucket’s limit, at its share, also while it is throttled', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), fc.constantFrom(1, 0.5, 0.3, 0.01), (steps, fallbackShare) => {
        const source = new LocalSource({ ...config, fallbackShare });
        const taken: Record<string, number[]> = { all: [], search: [], jobs: [] };
        let now = 0;
        for (const { after, bucket, wanted, throttle } of steps) {
          now += after;
          if (throttle !== undefined) source.throttled('u', bucket, throttle, now);
          const { granted } = source.take('u', bucket, wanted, now);
          for (let n = 0; n < granted; n += 1) {
            taken['all']?.push(now);
            if (bucket !== 'all') taken[bucket]?.push(now);
          }
        }
        const atMost = (limit: number): number => Math.max(1, Math.floor(limit * fallbackShare));
        expect(densest(taken['all'] ?? [], 1_000)).toBeLessThanOrEqual(atMost(20));
        expect(densest(taken['search'] ?? [], 1_000)).toBeLessThanOrEqual(atMost(10));
        expect(densest(taken['jobs'] ?? [], 1_000)).toBeLessThanOrEqual(1);
        if (fallbackShare === 0.5) expect(densest(taken['jobs'] ?? [], 2_000)).toBeLessThanOrEqual(1);
      }),
      runs,
    );
  });

  test('what one seller does is nothing to another', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50, size: 'max' }), (steps) => {
        const [alone, together] = [new LocalSource(config), new LocalSource(config)];
        let now = 0;
        for (const { after, bucket, wanted, throttle } of steps) {
          now += after;
          if (throttle !== undefined) together.throttled('other', bucket, throttle, now);
          together.take('other', bucket, wanted, now);
          expect(together.take('u', bucket, 1, now)).toEqual(alone.take('u', bucket, 1, now));
        }
      }),
      runs,
    );
  });
});

describe(`throttling (seed ${seed})`, () => {
  const QUIET = 10_000;
  const events = fc.array(fc.record({ after: fc.oneof(fc.nat(500), fc.nat(20_000), fc.nat(300_000)), retryAfterMs: fc.oneof(fc.constant(null), fc.nat(60_000)) }), { minLength: 1, maxLength: 30, size: 'max' });

  test('pauses, lowers, and comes back to the full limit after at most ten quiet windows, whatever came before', () => {
    fc.assert(
      fc.property(events, fc.constantFrom(1, 10, 200), (all, full) => {
        let throttle: Throttle | undefined;
        let now = 0;
        for (const { after, retryAfterMs } of all) {
          now += after;
          const [before, duringPause] = [limitAt(throttle, full, now, QUIET), throttle !== undefined && throttle.pausedUntil > now ? throttle : undefined];
          throttle = throttled(throttle, full, now, QUIET, retryAfterMs);
          const limit = limitAt(throttle, full, now, QUIET);
          expect(throttle.pausedUntil).toBeGreaterThan(now);
          if (retryAfterMs !== null) expect(throttle.pausedUntil).toBeGreaterThanOrEqual(now + retryAfterMs);
          expect(limit).toBeGreaterThanOrEqual(Math.ceil(full / 10));
          if (duringPause !== undefined) expect(throttle).toMatchObject({ lowered: duringPause.lowered, strikes: duringPause.strikes }); // told before
          else expect(limit).toBeLessThanOrEqual(Math.max(Math.ceil(full / 10), before * 0.7));
        }
        if (throttle === undefined) return;
        let last = 0;
        for (let n = 0; n <= 10; n += 1) {
          const limit = limitAt(throttle, full, throttle.pausedUntil + n * QUIET, QUIET);
          expect(limit).toBeGreaterThanOrEqual(last);
          last = limit;
        }
        expect(last).toBe(full);
        expect(isOver(throttle, full, throttle.pausedUntil + 10 * QUIET, QUIET)).toBe(true);
      }),
      runs,
    );
  });
});

/**
 * Redis is away from 1,000 on; the second process finds it again up to half a window after the first. Heartbeats go out every 100 ms, each process at its own
 * moment; asks come at any time, or none for long.
 */
test(`two processes that lose Redis together and find it again soon after each other keep the limit (seed ${seed})`, () => {
  const [limit, windowMs, beat] = [20, 1_000, 100];
  const asks = fc.array(fc.record({ who: fc.nat(1), after: fc.oneof({ weight: 5, arbitrary: fc.nat(40) }, { weight: 1, arbitrary: fc.nat(900) }) }), { minLength: 100, maxLength: 400, size: 'max' });
  fc.assert(
    fc.property(fc.oneof(fc.integer({ min: 10, max: 4_000 }), fc.integer({ min: 400, max: 1_300 })), fc.nat(windowMs / 2 - 1), fc.boolean(), fc.tuple(fc.nat(beat - 1), fc.nat(beat - 1)), asks, (outage, later, restarted, phases, steps) => {
      const processes = [outage, outage + later].map((away, who) => ({
        back: 1_000 + away,
        heardAt: 900 + phases[who]!,
        noticesAt: 1_000 + phases[who]!,
        mode: SHARED,
        local: new LocalSource({ requests: limit, windowMs, marginMs: 0, fallbackShare: 0.5 }),
      }));
      let [shared, epoch, reset, pausedUntil, now] = [new SlidingWindow(windowMs), -Infinity, false, -Infinity, 0];
      const taken: number[] = [];
      const use = (granted: number): void => void taken.push(...Array.from({ length: granted }, () => now));
      for (const { who, after } of steps) {
        now += after;
        for (const each of processes) {
          if (each.mode === SHARED && now >= each.noticesAt && each.noticesAt < each.back) each.mode = fallBack(each.noticesAt, windowMs);
          if (each.mode.source !== 'local' || now < each.back) continue;
          for (const { agoMs } of each.local.recent(each.back)) pausedUntil = Math.max(pausedUntil, each.back + windowMs - agoMs);
          each.mode = comeBack(each.heardAt, each.back, windowMs);
        }
        const process = processes[who]!;
        if (process.mode === SHARED && now >= 1_000 && now < process.back) process.mode = fallBack(now, windowMs);
        if (now < process.mode.silentUntil) continue;
        if (process.mode.source === 'local') {
          use(process.local.take('u', 'all', 3, now).granted);
          continue;
        }
        if (now < 1_000) process.heardAt = Math.max(process.heardAt, now);
        if (restarted && !reset && now >= 1_000 + outage) [shared, epoch, reset] = [new SlidingWindow(windowMs), now, true];
        if (now <= epoch + windowMs || now < pausedUntil) continue;
        const granted = Math.min(3, Math.max(0, limit - shared.used(now)));
        shared.take(now, granted);
        use(granted);
      }
      expect(densest(taken, windowMs)).toBeLessThanOrEqual(limit);
    }),
    { seed, numRuns: 3_000 },
  );
});
