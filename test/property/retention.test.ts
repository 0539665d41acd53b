import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bornAt } from '../../src/ingest/chunk.ts';
import { leap } from '../../src/inventory/retention.ts';
import { uuid7 } from '../support/events.ts';
import { seed } from '../support/seed.ts';

/** Protects: the ledger forgets only what would be refused as too old anyway, and the walk misses nothing that may go. */
const DAY = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);
const HORIZON = 30 * DAY;
const KEEP_SINCE = NOW - HORIZON - DAY;

const around = fc.oneof(fc.integer({ min: NOW - 60 * DAY, max: NOW }), fc.constantFrom(KEEP_SINCE - 1, KEEP_SINCE, KEEP_SINCE + 1, NOW - HORIZON, NOW - HORIZON - 1, NOW));

test(`an event whose row is gone is too old when it comes again unchanged (seed ${seed})`, () => {
  fc.assert(
    fc.property(around, around, fc.nat(HORIZON), (occurredAt, madeAt, delay) => {
      const recordedAt = Math.min(NOW, Math.max(occurredAt, madeAt) + delay);
      const forgotten = Math.max(recordedAt, occurredAt) < KEEP_SINCE;
      if (forgotten) expect(bornAt(uuid7(madeAt), occurredAt)).toBeLessThan(NOW - HORIZON);
    }),
    { seed, numRuns: 5_000 },
  );
});

test(`and when its producer stamps it anew, if its id is v7 (seed ${seed})`, () => {
  fc.assert(
    fc.property(around, around, (madeAt, restamped) => {
      const forgotten = madeAt < KEEP_SINCE; // recorded no earlier than it was made
      if (forgotten) expect(bornAt(uuid7(madeAt), restamped)).toBeLessThan(NOW - HORIZON);
    }),
    { seed, numRuns: 5_000 },
  );
});

test(`walking in any steps looks at every v7 row that may go, and at every id outside the horizon’s range (seed ${seed})`, () => {
  const ids = fc.array(fc.oneof(fc.uuid({ version: 4 }), fc.integer({ min: NOW - 90 * DAY, max: NOW }).map(uuid7)), { minLength: 1, maxLength: 200 }).map((list) => [...new Set(list)].toSorted());
  fc.assert(
    fc.property(ids, fc.integer({ min: 1, max: 50 }), (sorted, rows) => {
      const looked = new Set<string>();
      for (let after = ''; ; ) {
        const step = sorted.filter((id) => id > after).slice(0, rows);
        const last = step.at(-1);
        if (last === undefined) break;
        for (const id of step) looked.add(id);
        after = leap(last, KEEP_SINCE, NOW);
        expect(after >= last).toBe(true);
      }
      for (const id of sorted) {
        const prefix = Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16);
        if (prefix < KEEP_SINCE || prefix >= NOW + DAY) expect(looked.has(id)).toBe(true);
      }
    }),
    { seed, numRuns: 1_000 },
  );
});
