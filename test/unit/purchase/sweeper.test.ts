import { describe, expect, test } from 'vitest';
import type { BrxError } from '../../../src/errors.ts';
import type { Postgres } from '../../../src/platform/postgres/index.ts';
import { createSweeper, type SweeperDeps } from '../../../src/purchase/sweeper.ts';
import { fakeClock } from '../../support/fake-clock.ts';
import { refusingPostgres } from '../../support/refusing-postgres.ts';

/** Protects P10: what ends the process says what it is, in the same words whichever loop has met it. */
async function sweeping(states: readonly string[]) {
  const clock = fakeClock();
  const fatal: BrxError[] = [];
  const waiting: string[] = [];
  const { postgres, asked } = refusingPostgres(clock, states);
  const purchase = { encoder: { prepare: () => Promise.resolve() } } as unknown as SweeperDeps['purchase'];
  const sweeper = createSweeper({ postgres: postgres as Postgres, clock, purchase, onRetry: () => undefined, onSwept: () => undefined, onWaiting: (error) => waiting.push(error), onFatal: (error) => fatal.push(error) });
  await sweeper.start();
  await clock.advance(0);
  return { clock, fatal, waiting, asked, sweeper };
}

describe('the sweep', () => {
  test('ends the process at a missing table, and says that the database is not migrated', async () => {
    const { fatal, clock, asked } = await sweeping(['42P01']);
    await clock.advance(10_000);
    expect(fatal).toMatchObject([{ code: 'BRX_DATABASE_SCHEMA', remedy: expect.stringContaining('brx-sync migrate') as string }]);
    expect(asked()).toBe(1);
  });

  test('waits for what comes back, tells it, and sweeps on', async () => {
    const { fatal, waiting, clock, asked, sweeper } = await sweeping(['57P01', '57014']);
    await clock.advance(5_000);
    expect(waiting).toEqual(['refused with 57P01', 'refused with 57014']);
    expect(asked()).toBeGreaterThan(3);
    expect(fatal).toEqual([]);
    await sweeper.stop();
  });
});
