import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pruneStep, createRetention } from '../../../src/inventory/index.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { createPostgres, LANE_LOCK_CLASS, type Postgres } from '../../../src/platform/postgres/index.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { randomUuid, uuid7 } from '../../support/events.ts';
import { fakeClock } from '../../support/fake-clock.ts';
import { until } from '../../support/wait.ts';

/** Protects P9: the ledger keeps what deduplication needs, forgets the rest, costs no scan and does not grow for ever. */
const DAY = 86_400_000;
const HORIZON = 30 * DAY;
const NOW = Date.now();
const clock = fakeClock({ now: NOW });

let database: TestDatabase;
let postgres: Postgres;

beforeAll(async () => {
  database = await createTestDatabase();
  postgres = createPostgres(databaseConfig(database.url, { statementTimeoutMs: 60_000, transactionTimeoutMs: 61_000, idleTransactionTimeoutMs: 60_000 }), { logger: silentLogger, applicationName: 'test', keyLookupsOnly: true, clock });
});
beforeEach(() => postgres.pool.query('TRUNCATE stock_ledger'));
afterAll(async () => {
  await postgres.close();
  await database.drop();
});

interface Row {
  id: string;
  recorded: number;
  occurred?: number;
}

async function insert(rows: readonly Row[]): Promise<void> {
  await postgres.pool.query(
    `INSERT INTO stock_ledger (event_id, user_id, item_id, occurred_at, recorded_at, quantity, delta, on_hand, kind, outcome, cause)
     SELECT id, id, id, to_timestamp(occurred / 1000.0), to_timestamp(recorded / 1000.0), 1, 1, 1, 'S', 'a', 'test' FROM unnest($1::uuid[], $2::float8[], $3::float8[]) AS r (id, recorded, occurred)`,
    [rows.map((row) => row.id), rows.map((row) => row.recorded), rows.map((row) => row.occurred ?? row.recorded)],
  );
}

const left = async (): Promise<string[]> => (await postgres.pool.query<{ event_id: string }>('SELECT event_id FROM stock_ledger ORDER BY event_id')).rows.map((row) => row.event_id);

/** Walks once from the front to the end. */
async function walk(rows = 5_000): Promise<{ deleted: number; steps: number }> {
  let [after, deleted, steps] = [null as string | null, 0, 0];
  do {
    const step = await pruneStep({ postgres, clock, horizonMs: HORIZON }, after, rows);
    after = step.next;
    deleted += step.deleted;
    steps += 1;
  } while (after !== null);
  return { deleted, steps };
}

describe('a walk', () => {
  test.each([2, 7, 5_000])('in steps of %i forgets exactly what is older than the horizon and a day, v7 and v4', async (rows) => {
    const keepSince = NOW - HORIZON - DAY;
    const old = Array.from({ length: 20 }, (_, n) => keepSince - 1 - n * DAY);
    const young = Array.from({ length: 20 }, (_, n) => Math.min(NOW, keepSince + n * 2 * DAY));
    const gone = [...old.map((at) => ({ id: uuid7(at), recorded: at })), ...old.map((at) => ({ id: randomUuid(), recorded: at }))];
    const kept = [
      ...young.map((at) => ({ id: uuid7(at), recorded: at })),
      ...young.map((at) => ({ id: randomUuid(), recorded: at })),
      // Of an old id, but recorded or said to have occurred lately.
      { id: uuid7(old[3]!), recorded: NOW - DAY, occurred: old[3]! },
      { id: uuid7(old[4]!), recorded: old[4]!, occurred: NOW - DAY },
    ];
    await insert([...gone, ...kept].toSorted((a, b) => (a.id < b.id ? 1 : -1)));
    expect((await walk(rows)).deleted).toBe(gone.length);
    expect(await left()).toEqual(kept.map((row) => row.id).toSorted());
    expect((await walk(rows)).deleted).toBe(0);
  });

  test('does not read through the rows to keep: a few steps, however many there are', async () => {
    await insert(Array.from({ length: 20_000 }, (_, n) => ({ id: uuid7(NOW - (n % 29) * DAY), recorded: NOW - (n % 29) * DAY })));
    expect(await walk(500)).toEqual({ deleted: 0, steps: 2 });
  });

  test('waits for nobody’s lane, and leaves the walk to whoever is at it', async () => {
    await insert([{ id: uuid7(NOW - 90 * DAY), recorded: NOW - 90 * DAY }]);
    const other = new pg.Client({ connectionString: database.url });
    await other.connect();
    try {
      await other.query('BEGIN');
      await other.query('SELECT pg_advisory_xact_lock($1, lane) FROM generate_series(0, 95) AS lane', [LANE_LOCK_CLASS]);
      expect((await walk()).deleted).toBe(1);
      await insert([{ id: uuid7(NOW - 90 * DAY), recorded: NOW - 90 * DAY }]);
      await other.query('SELECT pg_advisory_xact_lock($1, 1000)', [LANE_LOCK_CLASS]);
      expect(await walk()).toEqual({ deleted: 0, steps: 1 });
      await other.query('ROLLBACK');
      expect((await walk()).deleted).toBe(1);
    } finally {
      await other.end();
    }
  });
});

test('the service walks by itself, rests, and walks again', async () => {
  const own = fakeClock({ now: NOW });
  const more: number[] = [];
  const pruneMore = (keepSince: number): Promise<number> => Promise.resolve(more.push(keepSince) === 1 ? 5 : 0);
  const service = createRetention({ postgres, clock: own, logger: silentLogger, horizonMs: HORIZON, pruneMore, onFatal: (error) => expect.unreachable(error.message) });
  await insert([{ id: uuid7(NOW - 90 * DAY), recorded: NOW - 90 * DAY }]);
  await service.start();
  // Each step of it is over when it sleeps; only then the clock moves.
  const passed = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 1_000) {
      await until('the service sleeps', () => own.sleeping === 1);
      await own.advance(1_000);
    }
  };
  await until('the service sleeps', () => own.sleeping === 1);
  expect(await left()).toEqual([]);
  await passed(3_000); // to the end of the key, where the other rows are asked for until none is left
  expect(more.length).toBe(2);
  expect(more[0]).toBeLessThanOrEqual(NOW - HORIZON - DAY + 3_000);
  await insert([{ id: uuid7(NOW - 90 * DAY), recorded: NOW - 90 * DAY }]);
  await until('the service sleeps', () => own.sleeping === 1);
  expect(await left()).toHaveLength(1); // it rests
  await passed(601_000);
  await until('it walked again', async () => (await left()).length === 0);
  await service.stop();
  await service.stop();
});

test('cycle after cycle the table does not bloat, and pruning is quicker than ingest writes', { timeout: 120_000 }, async () => {
  // Each cycle is a day of 40,000 events, a third of them with v4 ids; a window of three days is kept.
  const [rows, days, kept] = [40_000, 9, 3];
  const sizes: number[] = [];
  const speeds: number[] = [];
  for (let day = 0; day < days; day += 1) {
    const at = NOW + day * DAY;
    await postgres.pool.query(
      `INSERT INTO stock_ledger (event_id, user_id, item_id, occurred_at, recorded_at, quantity, delta, on_hand, kind, outcome, cause)
       SELECT CASE WHEN n % 3 = 0 THEN gen_random_uuid() ELSE overlay(overlay(md5(n::text || $1) placing lpad(to_hex($2::bigint + n), 12, '0') from 1 for 12) placing '7' from 13)::uuid END,
              gen_random_uuid(), gen_random_uuid(), to_timestamp($2 / 1000.0), to_timestamp($2 / 1000.0), 1, 1, 1, 'S', 'a', 'test' FROM generate_series(1, $3) AS n`,
      [String(day), at, rows],
    );
    const today = fakeClock({ now: at });
    const begun = performance.now();
    let [after, deleted] = [null as string | null, 0];
    do {
      const step = await pruneStep({ postgres, clock: today, horizonMs: (kept - 1) * DAY - DAY }, after);
      after = step.next;
      deleted += step.deleted;
    } while (after !== null);
    if (deleted > 0) speeds.push(Math.round(deleted / ((performance.now() - begun) / 1_000)));
    await postgres.pool.query('VACUUM stock_ledger'); // as autovacuum does at 2 %
    const { rows: size } = await postgres.pool.query<{ mb: number }>("SELECT (pg_total_relation_size('stock_ledger') / 1048576.0)::float8 AS mb");
    sizes.push(Math.round((size[0]?.mb ?? 0) * 10) / 10);
  }
  process.stderr.write(`retention: ${speeds.toSorted((a, b) => a - b)[speeds.length >> 1]} rows/s pruned (${speeds.join(', ')}); ledger MB day by day ${sizes.join(', ')}\n`);
  expect(speeds.length).toBeGreaterThanOrEqual(days - kept - 1);
  // In the steady state it stays within a quarter of what the kept days take.
  const steady = sizes[kept]!;
  for (const size of sizes.slice(kept)) expect(size).toBeLessThan(steady * 1.25);
});
