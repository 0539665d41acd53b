import pg from 'pg';
import { afterEach, afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LANES, laneOf } from '../../../src/contract/index.ts';
import { CONFLICT_RETRIES, LANE_LOCK_CLASS } from '../../../src/platform/postgres/index.ts';
import { change, history, randomUuid } from '../../support/events.ts';
import { raising, slow, WELL } from '../../support/faults.sql.ts';
import { chainOf, createIngestWorld, itemOf, type IngestWorld, type RunningIngest } from '../../support/ingest.ts';
import { until } from '../../support/wait.ts';

/** Protects P3 and P4: what is the database's trouble is waited out, applied once, and never blamed on an event. */
let world: IngestWorld;
let worker: RunningIngest;
let other: pg.Client;

const LIMITS = { lockTimeoutMs: 300, statementTimeoutMs: 700, transactionTimeoutMs: 1_500, idleTransactionTimeoutMs: 1_400 };

beforeAll(async () => {
  world = await createIngestWorld();
  worker = await world.start({ postgres: LIMITS });
  other = new pg.Client({ connectionString: world.database.url });
  await other.connect();
});
afterEach(async () => {
  await other.query('ROLLBACK');
  await world.pool.query(WELL);
});
afterAll(async () => {
  await other.end();
  await world.close();
});

async function nothingParked(): Promise<void> {
  expect(await world.rows('SELECT user_id FROM parked_users')).toEqual([]);
  expect(await world.rows('SELECT reason FROM dead_letters')).toEqual([]);
}

/** Sends five events of one user and expects each applied once, in order, after whatever the database was up to. */
async function appliedOnceAfter(trouble: () => Promise<unknown>): Promise<void> {
  const [user, item] = [randomUuid(), randomUuid()];
  const events = history(user, item, ['SET', 1], ['ADJUST', 1], ['ADJUST', 1], ['ADJUST', 1], ['ADJUST', 1]);
  await trouble();
  await world.sendEvents(...events);
  await world.processed();
  expect(await chainOf(world.pool, user, item)).toEqual(events.map((event) => event.event_id));
  expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 5 });
  await nothingParked();
}

describe('a conflict', () => {
  test.each([['deadlock', '40P01'], ['serialization failure', '40001']])('(%s) is retried, and the chunk applied once', async (_, errcode) => {
    const before = { retried: worker.signals.retried.length, held: worker.signals.held.length };
    await appliedOnceAfter(() => world.pool.query(raising('stock_ledger', { errcode, message: 'a conflict of the test', times: 2 })));
    expect(worker.signals.retried.slice(before.retried)).toEqual([errcode, errcode]);
    expect(worker.signals.held.length).toBe(before.held);
  });

  test('that does not end is waited out: not parked, not split, and the group is kept', async () => {
    const before = { retried: worker.signals.retried.length, held: worker.signals.held.length, resumed: worker.signals.resumed, assigned: worker.signals.assigned };
    // More than two rounds of tries; the third one succeeds.
    await appliedOnceAfter(() => world.pool.query(raising('stock_ledger', { errcode: '40001', message: 'a conflict of the test', times: 2 * (1 + CONFLICT_RETRIES) + 1 })));
    expect(worker.signals.held.slice(before.held)).toEqual(['BRX_DATABASE_CONFLICT', 'BRX_DATABASE_CONFLICT']);
    expect(worker.signals.retried.length - before.retried).toBe(2 * CONFLICT_RETRIES + 1);
    expect(worker.signals.resumed - before.resumed).toBe(2);
    expect(worker.signals.assigned).toBe(before.assigned);
  });

  test('in earnest: another session holds the items and asks for our lanes', async () => {
    const own = await createIngestWorld();
    const patient = await own.start();
    const session = new pg.Client({ connectionString: own.database.url });
    await session.connect();
    try {
      const [user, item] = [randomUuid(), randomUuid()];
      await own.sendEvents(...history(user, item, ['SET', 5]));
      await own.processed();
      await session.query('BEGIN');
      await session.query("SET LOCAL deadlock_timeout = '10s'"); // ours notices first and is the one that is sacrificed
      await session.query('SELECT FROM inventory_items WHERE user_id = $1 FOR UPDATE', [user]);
      await own.sendEvents(...history(user, item, ['ADJUST', 2]));
      await until('the chunk has its lane and waits for the item', async () => (await own.rows("SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'ingest under test' AND wait_event_type = 'Lock'")).length === 1);
      await session.query('SELECT pg_advisory_xact_lock($1, $2)', [LANE_LOCK_CLASS, laneOf(user)]);
      await until('ours was sacrificed', () => patient.signals.retried.includes('40P01'));
      await session.query('COMMIT');
      await own.processed();
      expect(await itemOf(own.pool, user, item)).toMatchObject({ on_hand: 7 });
      expect(patient.signals.fatal).toEqual([]);
    } finally {
      await session.end();
      await own.close();
    }
  });
});

describe('too slow', () => {
  const heldSince = (from: number): string[] => worker.signals.held.slice(from);

  test('a lane that another session holds is waited for, with the membership kept', async () => {
    const [user, item] = [randomUuid(), randomUuid()];
    const before = { held: worker.signals.held.length, assigned: worker.signals.assigned };
    await other.query('BEGIN');
    await other.query('SELECT pg_advisory_xact_lock($1, $2)', [LANE_LOCK_CLASS, laneOf(user)]);
    await world.sendEvents(...history(user, item, ['SET', 4]));
    // A user of another lane in another partition flows meanwhile.
    const free = change();
    await world.sendEvents(free);
    await until('the other user is served', async () => (await itemOf(world.pool, free.user_id, free.item_id)) !== undefined || laneOf(free.user_id) % 12 === laneOf(user) % 12);
    await until('the chunk is held twice', () => heldSince(before.held).length >= 2);
    await other.query('COMMIT');
    await world.processed();
    expect(new Set(heldSince(before.held))).toEqual(new Set(['BRX_DATABASE_UNAVAILABLE']));
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 4 });
    expect(worker.signals.assigned).toBe(before.assigned);
    await nothingParked();
  });

  test('a lane that another session holds keeps no other partition waiting, though one fetch brings both', async () => {
    const user = randomUuid();
    const free = Array.from({ length: 20 }, () => change()).find(({ user_id }) => laneOf(user_id) % 12 !== laneOf(user) % 12)!;
    await other.query('BEGIN');
    await other.query('SELECT pg_advisory_xact_lock($1, $2)', [LANE_LOCK_CLASS, laneOf(user)]);
    await world.sendEvents(change({ user_id: user }), free);
    await until('the other user is served', async () => (await itemOf(world.pool, free.user_id, free.item_id)) !== undefined);
    await other.query('COMMIT');
    await world.processed();
    await nothingParked();
  });

  test('a statement that takes too long for a chunk is tried in halves', async () => {
    const from = worker.signals.held.length;
    const users = Array.from({ length: 8 }, randomUuid);
    await world.pool.query(slow({ seconds: 0.2 })); // eight rows are too slow for one statement, two are not
    const events = users.map((user) => change({ user_id: user }));
    await world.send(...events.map((event) => world.record(event, { partition: 5 })));
    await world.processed();
    expect(heldSince(from)).toEqual([]);
    expect(await world.rows('SELECT FROM stock_ledger WHERE user_id = ANY($1)', users)).toHaveLength(8);
    await nothingParked();
  });

  test('nor does a database that is too slow for anything look like a consumer that hangs', async () => {
    const own = await createIngestWorld();
    try {
      // Nine tries of 0.7 s in a row stand for eleven of 20: all of them together are longer than a loop may stand still.
      const { ingest, signals } = await own.start({ postgres: LIMITS, config: { sessionTimeoutMs: 3_000 } });
      await own.pool.query(slow({ seconds: 5 }));
      await own.send(...Array.from({ length: 256 }, () => own.record(change(), { partition: 0 })));
      let longest = 0;
      await until('it is held', () => {
        longest = Math.max(longest, ingest.reading().stillSeconds);
        return signals.held.includes('BRX_DATABASE_TIMEOUT');
      });
      expect(longest).toBeLessThan(2.5);
    } finally {
      await own.close();
    }
  });

  test('nor is a member expelled by a rebalance that waits for its chunk', async () => {
    const own = await createIngestWorld();
    try {
      const slowly = { postgres: { statementTimeoutMs: 12_000, transactionTimeoutMs: 13_000, idleTransactionTimeoutMs: 12_500 }, config: { sessionTimeoutMs: 3_000, rebalanceTimeoutMs: 30_000 } };
      await own.start(slowly);
      const [member] = await own.topics.members();
      const event = change();
      await own.pool.query(slow({ seconds: 8 })); // longer than a session
      await own.sendEvents(event);
      await until('its chunk is at work', async () => (await own.rows("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'")).length === 1);
      const other = await own.start(slowly); // in the group once the first one has joined again
      await own.processed();
      expect(await own.topics.members()).toContain(member);
      expect(other.signals.assigned).toBe(1);
      expect(await chainOf(own.pool, event.user_id, event.item_id)).toEqual([event.event_id]);
    } finally {
      await own.close();
    }
  });

  test('one event that takes too long is waited for, never parked', async () => {
    const from = worker.signals.held.length;
    const event = change();
    await world.pool.query(slow({ when: `NEW.event_id = '${event.event_id}'`, seconds: 5 }));
    await world.sendEvents(event);
    await until('it is held', () => heldSince(from).includes('BRX_DATABASE_TIMEOUT'));
    await world.pool.query(WELL);
    await world.processed();
    expect(await itemOf(world.pool, event.user_id, event.item_id)).toMatchObject({ on_hand: 1 });
    await nothingParked();
  });

  test('a transaction that takes too long though each statement is quick likewise', async () => {
    const own = await createIngestWorld();
    try {
      // The transaction's own limit is the shortest here, and Prisma's timer is what ends it.
      const { signals } = await own.start({ postgres: { lockTimeoutMs: 500, statementTimeoutMs: 5_000, transactionTimeoutMs: 900, idleTransactionTimeoutMs: 5_000 } });
      const event = change();
      await own.pool.query(slow({ seconds: 2 }));
      await own.sendEvents(event);
      await until('it is held', () => signals.held.includes('BRX_DATABASE_TIMEOUT'));
      await own.pool.query(WELL);
      await own.processed();
      expect(await itemOf(own.pool, event.user_id, event.item_id)).toMatchObject({ on_hand: 1 });
      expect(await own.rows('SELECT FROM parked_users')).toEqual([]);
    } finally {
      await own.close();
    }
  });
});

test('a database that is not the one we were written for stops the process: nothing is parked or skipped', async () => {
  const own = await createIngestWorld();
  try {
    await own.pool.query('ALTER TABLE stock_ledger RENAME TO stock_ledger_gone');
    const { signals } = await own.start();
    await own.sendEvents(change(), change());
    const fatal = await until('the process wants to end', () => signals.fatal[0]);
    expect(fatal).toMatchObject({ code: 'BRX_DATABASE_SCHEMA', retryable: false });
    expect(fatal.message).toContain('stock_ledger');
    expect(await own.rows('SELECT FROM parked_users')).toEqual([]);
    expect(await own.rows('SELECT FROM dead_letters')).toEqual([]);
    expect([...(await own.topics.committed()).values()].filter((offset) => offset > 0)).toEqual([]);
  } finally {
    await own.close();
  }
});

test('lanes are taken in ascending order, whatever order the users come in', async () => {
  const own = await createIngestWorld();
  const session = new pg.Client({ connectionString: own.database.url });
  await session.connect();
  try {
    await own.start();
    const users = Array.from({ length: 40 }, randomUuid);
    const lanes = [...new Set(users.map(laneOf))].toSorted((a, b) => a - b);
    const middle = lanes[lanes.length >> 1]!;
    await session.query('BEGIN');
    await session.query('SELECT pg_advisory_xact_lock($1, $2)', [LANE_LOCK_CLASS, middle]);
    await own.send(...users.map((user) => own.record(change({ user_id: user }), { partition: 8 })));
    const locks = (granted: boolean) =>
      own.rows<{ lane: number }>(
        `SELECT objid::int AS lane FROM pg_locks JOIN pg_stat_activity USING (pid)
          WHERE locktype = 'advisory' AND classid = $1 AND granted = $2 AND application_name = 'ingest under test' AND datname = current_database() ORDER BY lane`,
        LANE_LOCK_CLASS,
        granted,
      );
    await until('the chunk waits for the lane in the middle', async () => (await locks(false)).length === 1);
    expect(await locks(false)).toEqual([{ lane: middle }]);
    expect((await locks(true)).map(({ lane }) => lane)).toEqual(lanes.filter((lane) => lane < middle));
    expect(Math.max(...lanes)).toBeLessThan(LANES);
    await session.query('COMMIT');
    await own.processed();
  } finally {
    await session.end();
    await own.close();
  }
});
