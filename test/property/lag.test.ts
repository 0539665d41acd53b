import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LagTracker } from '../../src/platform/consumer/lag.ts';
import { seed } from '../support/seed.ts';

/** Protects: lag is never negative, 0 exactly when caught up, and never more than there is, whatever comes in which order. */
type Step = { what: 'append' | 'fetch' | 'done' | 'ends' | 'tick'; n: number };

const steps = fc.array(fc.record({ what: fc.constantFrom<Step['what']>('append', 'fetch', 'done', 'ends', 'tick'), n: fc.integer({ min: 1, max: 20 }) }), { maxLength: 80 });

test(`against a partition whose every record is known (seed ${seed})`, () => {
  fc.assert(
    fc.property(steps, fc.bigInt({ min: 0n, max: 2n ** 62n }), (list, start) => {
      const lag = new LagTracker();
      lag.assign([{ topic: 't', partition: 0 }]);
      const stamps: number[] = [];
      let [now, done, fetched, knownEnd] = [1_000_000, 0, 0, 0];
      let told = false;
      for (const { what, n } of list) {
        if (what === 'tick') now += n * 1_000;
        if (what === 'append') for (let index = 0; index < n; index += 1) stamps.push(now);
        if (what === 'ends') {
          lag.ends('t', 0, start + BigInt(stamps.length), start + BigInt(done), now);
          knownEnd = stamps.length;
          told = true;
        }
        if (what === 'fetch' && done < stamps.length) {
          lag.fetched('t', 0, start + BigInt(done), stamps[done] ?? 0, start + BigInt(stamps.length));
          [fetched, knownEnd, told] = [stamps.length, stamps.length, true];
        }
        if (what === 'done' && done < fetched) {
          done = Math.min(fetched, done + n);
          lag.done('t', 0, start + BigInt(done), done < fetched ? stamps[done] : undefined);
        }
        const [reading] = lag.read(now);
        if (!told) {
          expect(reading).toBeUndefined();
          continue;
        }
        expect(reading?.records).toBe(Math.max(0, knownEnd - done));
        expect(reading?.seconds).toBeGreaterThanOrEqual(0);
        expect(reading?.seconds).toBeLessThanOrEqual((now - (stamps[done] ?? now)) / 1_000);
        if (done < fetched) expect(reading?.seconds).toBe((now - (stamps[done] ?? now)) / 1_000);
        if (done >= knownEnd) expect(reading).toMatchObject({ records: 0, seconds: 0 });
      }
    }),
    { seed, numRuns: 2_000 },
  );
});
