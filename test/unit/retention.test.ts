import { describe, expect, test } from 'vitest';
import type { BrxError } from '../../src/errors.ts';
import { createRetention, leap } from '../../src/inventory/retention.ts';
import { silentLogger } from '../../src/platform/log.ts';
import type { Postgres } from '../../src/platform/postgres/index.ts';
import { refusingPostgres } from '../support/refusing-postgres.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { uuid7 } from '../support/events.ts';

/** Protects: the walk over the ledger passes what must be kept in one step, and never passes what may go. */
const DAY = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);
const KEEP_SINCE = NOW - 31 * DAY;
const first = (ms: number): string => {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
};

describe('leap', () => {
  test('from an id made within the horizon it goes behind the newest possible one', () => {
    for (const ms of [KEEP_SINCE, KEEP_SINCE + 1, NOW, NOW + DAY - 1]) expect(leap(uuid7(ms), KEEP_SINCE, NOW)).toBe(first(NOW + DAY));
  });

  test('from an id made before it, it goes on where it is: what follows may go', () => {
    for (const ms of [0, KEEP_SINCE - 1, KEEP_SINCE - 365 * DAY]) {
      const last = uuid7(ms);
      expect(leap(last, KEEP_SINCE, NOW)).toBe(last);
    }
  });

  test('behind the leap it goes on in steps: ids of other versions are spread over the whole key', () => {
    for (const last of [first(NOW + DAY), uuid7(NOW + 2 * DAY), 'ffffffff-ffff-4fff-bfff-ffffffffffff']) expect(leap(last, KEEP_SINCE, NOW)).toBe(last);
  });

  test('never goes back, wherever it stands', () => {
    for (let n = 0; n < 1_000; n += 1) {
      const last = uuid7(Math.floor((n / 1_000) * 2 ** 48));
      expect(leap(last, KEEP_SINCE, NOW) >= last).toBe(true);
    }
  });

  test('a horizon that reaches before 1970 keeps everything since then', () => {
    expect(leap(uuid7(5), -DAY, NOW)).toBe(first(NOW + DAY));
  });
});

describe('what PostgreSQL says', () => {
  const started = async (answers: Parameters<typeof refusingPostgres>[1]) => {
    const clock = fakeClock({ now: NOW });
    const fatal: BrxError[] = [];
    const { postgres, asked } = refusingPostgres(clock, answers);
    const service = createRetention({ postgres: postgres as Postgres, clock, logger: silentLogger, horizonMs: 30 * DAY, pruneMore: () => Promise.resolve(0), onFatal: (error) => fatal.push(error) });
    await service.start();
    await clock.advance(0);
    return { clock, fatal, asked, service };
  };

  test('a right that is missing is told, and ends the process: a ledger that nobody prunes grows for ever, without a word', async () => {
    const { fatal, asked, clock } = await started(['42501']);
    await clock.advance(3_600_000);
    expect(fatal).toMatchObject([{ code: 'BRX_DATABASE_SCHEMA' }]);
    expect(asked()).toBe(1);
  });

  test.each(['57P01', '57014'])('what waiting can mend is waited for (%s)', async (state) => {
    const { fatal, asked, clock, service } = await started([state, state]);
    await clock.advance(3 * 60_000);
    expect(asked()).toBeGreaterThan(2);
    expect(fatal).toEqual([]);
    await service.stop();
  });
});
