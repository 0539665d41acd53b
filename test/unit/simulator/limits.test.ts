import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readGuesses, type Guesses } from '../../../src/simulator/index.ts';
import { documentedLimits, Limiter } from '../../../src/simulator/limits.ts';
import { densestWindow } from '../../../src/simulator/requests.ts';
import { openSimulator } from '../../support/simulator.ts';
import { seed } from '../../support/seed.ts';

/** Protects: the judge of rate limits is exact, to the request and to the millisecond, for fixed and for sliding windows. */
const START = 1_000_000_000_000; // a multiple of 10 s
const limiter = (said: Partial<Guesses> = {}) => {
  const guesses = readGuesses(said);
  const judge = new Limiter(guesses, documentedLimits(guesses));
  return { passes: (at: number, bucket: 'all' | 'marketplace' | 'jobs' = 'all', sellerId = 1, ip = 'a') => judge.admit(sellerId, ip, bucket, START + at) === undefined, judge };
};
const times = (count: number, use: () => boolean): number => Array.from({ length: count }, use).filter(Boolean).length;

describe('200 in 10 s', () => {
  test('a fixed window lets 200 pass and begins anew on the multiple of 10 s', () => {
    const { passes } = limiter({ rateWindow: 'fixed' });
    expect(times(250, () => passes(9_900))).toBe(200);
    expect(passes(9_999)).toBe(false);
    expect(times(250, () => passes(10_000))).toBe(200);
    expect(passes(19_999)).toBe(false);
  });

  test('a sliding window counts the last 10 s at every moment', () => {
    const { passes } = limiter({ rateWindow: 'sliding' });
    expect(times(250, () => passes(9_900))).toBe(200);
    expect(passes(10_000)).toBe(false);
    expect(passes(19_899)).toBe(false);
    expect(times(250, () => passes(19_900))).toBe(200);
  });

  test('both refuse what either would; none refuses nothing', () => {
    const both = limiter();
    expect(times(250, () => both.passes(9_900))).toBe(200);
    expect(both.passes(10_000)).toBe(false);
    const none = limiter({ rateWindow: 'none' });
    expect(times(1_000, () => none.passes(0, 'jobs'))).toBe(1_000);
  });

  test('a steady 20 a second never meets it', () => {
    const { passes } = limiter();
    let at = 0;
    expect(times(2_000, () => passes((at += 50)))).toBe(2_000);
  });

  test('sellers do not share it; the address is not looked at', () => {
    const { passes } = limiter();
    expect(times(250, () => passes(0))).toBe(200);
    expect(times(250, () => passes(0, 'all', 2))).toBe(200);
  });

  test(`against a count by hand, over any times (seed ${seed})`, () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 300 }), fc.constantFrom('fixed' as const, 'sliding' as const, 'both' as const), fc.boolean(), (gaps, rateWindow, refusedCounts) => {
        const guesses = readGuesses({ rateWindow, refusedCounts });
        const limits = { ...documentedLimits(guesses), all: { requests: 7, windowMs: 1_000 } };
        const judge = new Limiter(guesses, limits);
        const counted: number[] = [];
        let at = START;
        for (const gap of gaps) {
          at += gap;
          const fixed = counted.filter((time) => Math.floor(time / 1_000) === Math.floor(at / 1_000)).length;
          const sliding = counted.filter((time) => time > at - 1_000).length;
          const fits = (rateWindow === 'sliding' || fixed < 7) && (rateWindow === 'fixed' || sliding < 7);
          expect(judge.admit(1, '', 'all', at) === undefined).toBe(fits);
          if (fits || refusedCounts) counted.push(at);
        }
        if (rateWindow !== 'fixed' && !refusedCounts) expect(densestWindow(counted, 1_000)).toBeLessThanOrEqual(7);
      }),
      { seed },
    );
  });

  test('what it says about when the next one passes is true', () => {
    const { judge, passes } = limiter();
    times(200, () => passes(3_000));
    const refusal = judge.admit(1, '', 'all', START + 5_000);
    expect(refusal).toEqual({ text: 'Too many requests: max 200 requests per 10 seconds', freeInMs: 8_000 });
    expect(passes(12_999)).toBe(false);
    expect(passes(13_000)).toBe(true);
  });
});

describe('the smaller limits', () => {
  test('10 searches and 1 job status a second, each also counted in the 200', () => {
    const { passes } = limiter();
    expect(times(15, () => passes(100, 'marketplace'))).toBe(10);
    expect(times(15, () => passes(100, 'jobs'))).toBe(1);
    expect(times(300, () => passes(100))).toBe(189);
    expect(passes(1_100, 'jobs')).toBe(false);
    expect(passes(10_100, 'jobs')).toBe(true);
  });

  test('a search refused by its own limit uses up nothing of the 200', () => {
    const { passes } = limiter();
    times(500, () => passes(0, 'marketplace'));
    expect(times(300, () => passes(0))).toBe(190);
  });
});

describe('over HTTP', () => {
  test('the documented bodies, without code, request id or Retry-After', async () => {
    const { api, control, sellerId } = await openSimulator();
    await api('GET', '/jobs/x');
    const job = await api('GET', '/jobs/x');
    for (let n = 0; n < 10; n += 1) await api('GET', '/marketplace/products?blueprint_id=10000');
    const search = await api('GET', '/marketplace/products?blueprint_id=10000');
    for (let n = 0; n < 189; n += 1) await api('GET', '/info');
    const any = await api('DELETE', '/products/1');
    expect([job, search, any].map(({ status, body }) => [status, body])).toEqual([
      [429, { error: 'Too many requests: max 1 request per second' }],
      [429, { error: 'Too many requests: max 10 requests per second' }],
      [429, { error: 'Too many requests: max 200 requests per 10 seconds' }],
    ]);
    expect(any.headers.get('retry-after')).toBeNull();
    expect(control.requests(sellerId)).toMatchObject({ requests: 203, throttled: 3, throttledByFault: 0, byStatus: { 429: 3 } });
  });

  test('a request that was refused did nothing', async () => {
    const { api, control, first, sellerId } = await openSimulator({ limits: { all: { requests: 1, windowMs: 10_000 } } });
    const before = first();
    await api('GET', '/info');
    expect((await api('PUT', `/products/${before.id}`, { quantity: 99 })).status).toBe(429);
    expect([first(), control.ledger({ sellerId })]).toEqual([before, []]);
  });

  test('the limit can be set lower than documented, and the body says so', async () => {
    const { api, clock } = await openSimulator({ limits: { all: { requests: 2, windowMs: 1_000 } } });
    await api('GET', '/info');
    await api('GET', '/info');
    expect((await api('GET', '/info')).body).toEqual({ error: 'Too many requests: max 2 requests per second' });
    await clock.advance(1_000);
    expect((await api('GET', '/info')).status).toBe(200);
  });

  test('arrivals are kept with their times, refused ones too, so that the densest window can be worked out', async () => {
    const { api, control, clock, sellerId } = await openSimulator({ limits: { all: { requests: 2, windowMs: 1_000 } } });
    for (const pause of [0, 300, 5_000, 4_699, 1]) {
      await clock.advance(pause);
      await api('GET', '/info');
    }
    await api('GET', '/jobs/x');
    expect(control.arrivals(sellerId).map((at) => at - control.arrivals(sellerId)[0]!)).toEqual([0, 300, 5_300, 9_999, 10_000, 10_000]);
    expect(control.densestWindow(sellerId)).toBe(5);
    expect(control.densestWindow(sellerId, { windowMs: 301 })).toBe(3);
    expect(control.densestWindow(sellerId, { bucket: 'jobs' })).toBe(1);
    expect(control.recentRequests(sellerId).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429]);
  });

  test('requests without a token that works count for nobody', async () => {
    const { api, control, sellerId } = await openSimulator();
    await api('GET', '/info', undefined, { token: 'nonsense' });
    expect([control.requests(sellerId).requests, control.requests().byStatus]).toEqual([0, { 401: 1 }]);
  });
});

test('the densest window of no requests is empty, of one is one', () => {
  expect([densestWindow([], 10), densestWindow([5], 10), densestWindow([0, 10, 19, 20], 10)]).toEqual([0, 1, 2]);
});
