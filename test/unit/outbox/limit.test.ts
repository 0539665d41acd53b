import { beforeEach, expect, test } from 'vitest';
import { createOutboxLimit, type OutboxLimit } from '../../../src/outbox/index.ts';
import type { Postgres } from '../../../src/platform/postgres/index.ts';
import { fakeClock, type FakeClock } from '../../support/fake-clock.ts';

/** Protects P9: whoever can wait does, while the outbox is full; looking costs one question every two seconds. */
let clock: FakeClock;
let limit: OutboxLimit;
let rows: number;
/** For how many rows was asked. */
let asked: number[];
let away: Error | undefined;

beforeEach(() => {
  clock = fakeClock();
  [rows, asked, away] = [0, [], undefined];
  const prisma = {
    $queryRawUnsafe: (_sql: string, atLeast: number) => {
      asked.push(atLeast);
      return away === undefined ? Promise.resolve([{ full: rows >= atLeast }]) : Promise.reject(away);
    },
  } as unknown as Postgres['prisma'];
  limit = createOutboxLimit({ postgres: { prisma }, clock, maxRows: 1_000 });
});

const full = { code: 'BRX_OUTBOX_FULL', retryable: true, message: 'the outbox holds 1000 unpublished rows or more' };

test('there is room below the limit; it is looked at every two seconds, once however many ask', async () => {
  rows = 999;
  await Promise.all([limit.check(), limit.check()]);
  await limit.check();
  expect(asked).toEqual([1_000]);
  rows = 1_000;
  await clock.advance(1_999);
  await limit.check();
  await clock.advance(1);
  await expect(limit.check()).rejects.toMatchObject(full);
  await expect(limit.check()).rejects.toMatchObject(full);
  expect(asked).toEqual([1_000, 1_000]);
});

test('full until a tenth of it is free', async () => {
  rows = 1_000;
  await expect(limit.check()).rejects.toMatchObject(full);
  rows = 900;
  await clock.advance(2_000);
  await expect(limit.check()).rejects.toMatchObject(full);
  rows = 899;
  await clock.advance(2_000);
  await limit.check();
  expect(asked).toEqual([1_000, 900, 900]);
  await clock.advance(2_000);
  await limit.check();
  expect(asked.at(-1)).toBe(1_000);
});

test('a database that does not answer is told as such, and asked again at once', async () => {
  away = Object.assign(new Error('terminating connection'), { code: '57P01', severity: 'FATAL' });
  await expect(limit.check()).rejects.toMatchObject({ code: 'BRX_DATABASE_UNAVAILABLE' });
  away = undefined;
  await limit.check();
  expect(asked).toHaveLength(2);
});
