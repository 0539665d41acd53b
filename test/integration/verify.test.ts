import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { InventoryChanged } from '../../src/contract/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createCodec, createRegistry } from '../../src/platform/kafka/index.ts';
import { generateEvents, publishWorkload, valueBytes } from '../../src/operations/generate/index.ts';
import { explainItem } from '../../src/operations/item/index.ts';
import { businessHash, verify, type Difference, type VerifyReport } from '../../src/operations/verify/index.ts';
import { createTestDatabase, openPool, type TestDatabase } from '../support/database.ts';
import { history, randomUuid } from '../support/events.ts';
import { HORIZON_MS } from '../support/oracle-check.ts';
import { stackUrls } from '../support/stack.ts';
import { createTestTopics, type TestTopics } from '../support/topic.ts';
import { Worker } from '../support/worker.ts';

/**
 * One workload through the real ingest role; then the database is damaged by hand, one way at a time, and `verify` must say
 * exactly that. What was there is put back before each case.
 */
const TABLES = ['inventory_items', 'stock_ledger', 'dead_letters', 'parked_users', 'parked_events'];
const SCATTERED = randomUuid();
/** All alike, so that their order shows in the chain alone. */
const scattered = history(SCATTERED, randomUuid(), ['SET', 5], ['SET', 5], ['SET', 5], ['SET', 5], ['SET', 5], ['SET', 5]);

let database: TestDatabase;
let topics: TestTopics;
let pool: pg.Pool;
let undamaged: VerifyReport;
/** An item with a history of at least four applied events, and its events, oldest first. */
let user: string;
let item: string;
let events: string[];

const check = (options: { waitMs?: number; groupId?: string; topic?: string } = {}): Promise<VerifyReport> =>
  verify({
    kafka: topics.kafka,
    codec: createCodec(createRegistry({ url: stackUrls().registryUrl, username: undefined, password: undefined })),
    clock: systemClock,
    topic: topics.events,
    outcomesTopic: topics.outcomes,
    snapshotsTopic: topics.snapshots,
    groupId: topics.groupId,
    pool,
    horizonMs: HORIZON_MS,
    ...options,
  });

async function one<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row> {
  const { rows } = await pool.query<Row>(sql, values);
  return rows[0] ?? expect.fail(`nothing found: ${sql}`);
}

const send = (change: InventoryChanged, partition?: number): Promise<void> =>
  topics.producer.sendBatch([{ topic: topics.events, key: change.user_id, value: valueBytes({ record: 'InventoryChanged', value: change }, topics.schemaIds), ...(partition !== undefined && { partition }) }]);

beforeAll(async () => {
  [database, topics] = await Promise.all([createTestDatabase(), createTestTopics()]);
  pool = openPool(database, 3);
  await publishWorkload(generateEvents({ at: Date.now(), events: 4_000, users: 50, itemsPerUser: 10, poison: 0.02, negative: 0.02 }), { producer: topics.producer, topic: topics.events, schemaIds: topics.schemaIds, clock: systemClock });
  // A producer with another partitioner: the events of one user in two partitions, and one event in both.
  for (const [index, change] of scattered.entries()) await send(change, index % 2);
  if (scattered[0] !== undefined) await send(scattered[0], 1);

  const worker = new Worker(['start', '--roles', 'ingest'], {
    BRX_KAFKA_BROKERS: stackUrls().kafkaBrokers,
    BRX_SCHEMA_REGISTRY_URL: stackUrls().registryUrl,
    BRX_DATABASE_URL: database.url,
    BRX_TOPIC_PREFIX: topics.prefix,
    BRX_INGEST_GROUP_ID: topics.groupId,
    BRX_LOG_FORMAT: 'json',
  });
  try {
    undamaged = await Promise.race([check({ waitMs: 60_000 }), worker.exited.then(() => expect.fail(worker.tail()))]);
  } finally {
    worker.signal('SIGTERM');
    await worker.exited;
  }
  await pool.query('CREATE SCHEMA kept');
  for (const table of TABLES) await pool.query(`CREATE TABLE kept.${table} AS TABLE ${table}`);
  const row = await one<{ user_id: string; item_id: string }>(
    `SELECT user_id, item_id FROM stock_ledger WHERE outcome = 'a' GROUP BY 1, 2 HAVING count(*) > 3 AND count(*) FILTER (WHERE delta <> 0) > 3 ORDER BY 1, 2 LIMIT 1`,
  );
  [user, item] = [row.user_id, row.item_id];
  events = (await explainItem(pool, user, item, 1_000)).history.map(({ event_id }) => event_id).toReversed();
});

beforeEach(async () => {
  await pool.query(`TRUNCATE ${TABLES.join(', ')}`);
  for (const table of TABLES) {
    const { columns } = await one<{ columns: string }>(`SELECT string_agg(quote_ident(attname), ', ') AS columns FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`, [table]);
    await pool.query(`INSERT INTO ${table} (${columns}) OVERRIDING SYSTEM VALUE SELECT ${columns} FROM kept.${table}`);
  }
});

afterAll(async () => {
  await pool?.end();
  await topics?.remove();
  await database?.drop();
});

test('what the ingest role wrote is what follows from the topic', () => {
  expect(undamaged).toMatchObject({ ok: true, complete: true, scattered_users: 1, parked_users: 0, differences: { total: 0 } });
  expect(undamaged.compared.records).toBe(4_007);
  const { applied, stale, duplicate, dead_letters } = undamaged.outcomes;
  expect(applied + stale + duplicate + Object.values(dead_letters).reduce((sum, count) => sum + count, 0)).toBe(4_007);
  expect(Math.min(applied, stale, duplicate, dead_letters.would_go_negative, dead_letters.undecodable, dead_letters.too_old)).toBeGreaterThan(0);
  expect(undamaged.compared.ledger_rows).toBe(applied + stale + dead_letters.would_go_negative);
});

describe('each kind of damage is found, and only it', () => {
  const cases: [string, () => Promise<unknown>, () => Partial<Difference>[]][] = [
    ['a changed on_hand', () => pool.query('UPDATE inventory_items SET on_hand = on_hand + 1 WHERE (user_id, item_id) = ($1, $2)', [user, item]), () => [{ what: 'item', problem: 'an item’s on_hand is wrong', user_id: user, item_id: item, look: `brx-sync item ${user} ${item}` }]],
    ['a changed flag and price', () => pool.query(`UPDATE inventory_items SET flags = flags # 2, price_cents = 1 + coalesce(price_cents, 0) WHERE (user_id, item_id) = ($1, $2)`, [user, item]), () => [{ what: 'item', problem: 'an item’s flags, price_cents are wrong' }]],
    ['changed properties', () => pool.query(`UPDATE inventory_items SET properties = '{"condition":"Burnt"}' WHERE (user_id, item_id) = ($1, $2)`, [user, item]), () => [{ what: 'item', problem: 'an item’s properties is wrong' }]],
    ['a missing item', () => pool.query('DELETE FROM inventory_items WHERE (user_id, item_id) = ($1, $2)', [user, item]), () => [{ what: 'item', problem: 'an item is missing', user_id: user, item_id: item, found: null }]],
    ['an extra item', () => pool.query('INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand) VALUES ($1, $2, $2, 1)', [user, randomUuid()]), () => [{ what: 'item', problem: 'an item that should not exist', expected: null }]],
    ['a missing ledger row', () => pool.query('DELETE FROM stock_ledger WHERE event_id = $1', [events[1]]), () => [{ what: 'ledger', problem: 'an event has no ledger row', event_id: events[1] ?? '', found: null }]],
    [
      'an extra ledger row',
      () => pool.query(`INSERT INTO stock_ledger SELECT occurred_at, recorded_at, version, quantity, 0, on_hand, $2::uuid, user_id, item_id, previous_event_id, kind, 's', cause FROM stock_ledger WHERE event_id = $1`, [events[1], randomUuid()]),
      () => [{ what: 'ledger', problem: 'a ledger row of an event that is not in the topic', expected: null }],
    ],
    ['a changed delta', () => pool.query(`UPDATE stock_ledger SET delta = delta + 1 WHERE event_id = $1`, [events[0]]), () => [{ what: 'ledger', problem: 'a ledger row says something else', event_id: events[0] ?? '' }]],
    ['another outcome', () => pool.query(`UPDATE stock_ledger SET outcome = 's', cause = 'stale', delta = 0 WHERE event_id = $1`, [events[0]]), () => [{ what: 'ledger', problem: 'a ledger row says something else' }]],
    ['another quantity', () => pool.query(`UPDATE stock_ledger SET quantity = quantity + 1 WHERE event_id = $1`, [events[0]]), () => [{ what: 'ledger', problem: 'a ledger row is not the event of the topic' }]],
    [
      'two events of an item in the wrong order',
      async () => {
        const [first, second, third] = events;
        await pool.query('UPDATE stock_ledger SET previous_event_id = $2 WHERE event_id = $1', [third, first]);
        await pool.query('UPDATE stock_ledger SET previous_event_id = $2 WHERE event_id = $1', [second, third]);
      },
      () => [{ what: 'order', problem: 'an event stands at another place in its item’s history', user_id: user, item_id: item }],
    ],
    ['a missing dead letter', () => pool.query(`DELETE FROM dead_letters WHERE id = (SELECT min(id) FROM dead_letters WHERE reason = 'undecodable')`), () => [{ what: 'dead_letter', problem: 'a record that had to be refused is not among the dead letters', expected: 'undecodable', found: null }]],
    ['a dead letter with another reason', () => pool.query(`UPDATE dead_letters SET reason = 'invalid' WHERE id = (SELECT min(id) FROM dead_letters WHERE reason = 'would_go_negative')`), () => [{ what: 'dead_letter', problem: 'a dead letter has another reason', expected: 'would_go_negative', found: 'invalid' }]],
    [
      'a dead letter of a good record',
      () => pool.query(`INSERT INTO dead_letters ("offset", record_timestamp, partition, topic, consumer_group, reason, detail, record_headers) VALUES (0, now(), 0, $1, 'g', 'invalid', 'x', '[]')`, [topics.events]),
      () => [{ what: 'dead_letter', problem: 'a dead letter of a record that is good', expected: null, found: 'invalid', position: { partition: 0, offset: 0 } }],
    ],
    [
      'the scattered user’s events against the order of a partition',
      async () => {
        const [, , third, , fifth] = scattered.map(({ event_id }) => event_id);
        const chain = (await explainItem(pool, SCATTERED, scattered[0]?.item_id ?? '', 100)).history.map(({ event_id }) => event_id).toReversed();
        const swapped = chain.map((id) => (id === third ? fifth : id === fifth ? third : id));
        for (const [index, id] of swapped.entries()) await pool.query('UPDATE stock_ledger SET previous_event_id = $2 WHERE event_id = $1', [id, swapped[index - 1] ?? null]);
        await pool.query('UPDATE inventory_items SET last_event_id = $2 WHERE user_id = $1', [SCATTERED, swapped.at(-1)]);
      },
      () => [{ what: 'order', problem: 'an item’s history goes against the order of a partition', user_id: SCATTERED }],
    ],
  ];

  test.each(cases)('%s', async (_name, damage, expected) => {
    await damage();
    const { ok, differences } = await check();
    expect(ok).toBe(false);
    expect(differences.first).toMatchObject(expected());
    expect(differences.total).toBe(expected().length);
  });

  test('a dead letter cannot be there twice', async () => {
    await expect(pool.query(`INSERT INTO dead_letters ("offset", record_timestamp, partition, topic, consumer_group, reason, detail, record_headers) SELECT "offset", now(), partition, topic, 'g', 'invalid', 'x', '[]' FROM dead_letters LIMIT 1`)).rejects.toMatchObject({ code: '23505' });
  });

  test('many differences: all are counted, the first twenty told, one an item', async () => {
    await pool.query('UPDATE inventory_items SET on_hand = on_hand + 1');
    await pool.query('DELETE FROM stock_ledger');
    const { differences, compared } = await check();
    expect(differences.first.length).toBe(20);
    expect(differences.by_kind).toMatchObject({ item: compared.items, ledger: compared.items });
  });
});

describe('what waits is no difference', () => {
  /** As the ingest role parks: the last `count` events of the item’s user, not applied yet. */
  async function park(eventId: string): Promise<void> {
    await pool.query(`INSERT INTO parked_users (user_id, reason, error) VALUES ($1, 'data', 'refused by the test')`, [user]);
    await pool.query(`INSERT INTO parked_events ("offset", record_timestamp, partition, user_id, event_id, topic, record_headers) VALUES (0, now(), 99, $1, $2, $3, '[]')`, [user, eventId, topics.events]);
  }

  test('a parked event, unless a later one of its user took effect', async () => {
    const parked = events[1] ?? '';
    await park(parked);
    await pool.query('DELETE FROM stock_ledger WHERE event_id = $1', [parked]);
    const { outcomes, differences, parked_users } = await check();
    expect([outcomes.parked, parked_users]).toEqual([1, 1]);
    const order = differences.first.filter(({ what, user_id, problem }) => what === 'order' && user_id === user && problem === 'an event took effect although an earlier one of its user waits, parked');
    expect(order).toMatchObject([{ expected: `waiting behind ${parked}` }]);
    expect(differences.first.filter(({ event_id }) => event_id === parked)).toEqual([]);
  });

  test('a parked event that took effect all the same', async () => {
    const last = events.at(-1) ?? '';
    await park(last);
    const { differences } = await check();
    expect(differences.first).toContainEqual(expect.objectContaining({ what: 'parked', event_id: last }));
  });

  test('records nobody has read yet; read they must be there', async () => {
    const change = history(randomUuid(), randomUuid(), ['SET', 3])[0] ?? expect.fail('no event');
    await send(change, 7);
    const before = await check();
    expect(before).toMatchObject({ ok: true, complete: false, outcomes: { pending: 1 } });
    expect(await check({ waitMs: 1 })).toMatchObject({ ok: true, complete: false });

    const committed = await topics.committed();
    await topics.admin.setOffsets({ groupId: topics.groupId, topic: topics.events, partitions: [{ partition: 7, offset: String((committed.get(7) ?? 0) + 1) }] });
    const { differences } = await check();
    expect(differences.first).toMatchObject([{ what: 'ledger', problem: 'an event has no ledger row', event_id: change.event_id }, { what: 'item', problem: 'an item is missing' }]);
    await topics.admin.setOffsets({ groupId: topics.groupId, topic: topics.events, partitions: [{ partition: 7, offset: String(committed.get(7) ?? 0) }] });
  });

  test('a group that never committed anything is held to everything', async () => {
    await pool.query('DELETE FROM stock_ledger WHERE event_id = $1', [events[0]]);
    expect((await check({ groupId: `${topics.groupId}-other` })).differences.first).toContainEqual(expect.objectContaining({ event_id: events[0] }));
  });
});

test('it leaves no consumer group behind', async () => {
  await check();
  const { groups } = await topics.admin.listGroups();
  expect(groups.filter(({ groupId }) => groupId.startsWith(`${topics.groupId}-verify-`))).toEqual([]);
});

test('the business hash changes with any business column, and with nothing else', async () => {
  const before = await businessHash(pool);
  await pool.query('UPDATE inventory_items SET updated_at = now()');
  await pool.query('UPDATE stock_ledger SET recorded_at = now()');
  await pool.query(`UPDATE dead_letters SET created_at = now(), consumer_group = 'other'`);
  expect(await businessHash(pool)).toBe(before);
  const seen = new Set([before]);
  for (const change of [
    'UPDATE inventory_items SET on_hand = on_hand + 1 WHERE last_event_id = (SELECT min(last_event_id::text)::uuid FROM inventory_items)',
    `UPDATE stock_ledger SET cause = 'x' WHERE event_id = (SELECT min(event_id::text)::uuid FROM stock_ledger)`,
    `UPDATE dead_letters SET record_value = 'x' WHERE id = (SELECT min(id) FROM dead_letters)`,
    `INSERT INTO parked_users (user_id, reason, error) VALUES ('${SCATTERED}', 'data', 'x')`,
    `INSERT INTO parked_events ("offset", record_timestamp, partition, user_id, event_id, topic, record_headers) VALUES (0, now(), 0, '${SCATTERED}', '${SCATTERED}', 't', '[]')`,
  ]) {
    await pool.query(change);
    seen.add(await businessHash(pool));
  }
  expect(seen.size).toBe(6);
});

describe('one item', () => {
  test('its history is the chain, newest first, and says where it ends', async () => {
    const report = await explainItem(pool, user, item, 1_000);
    expect(report).toMatchObject({ history_end: 'all', parked: null });
    expect(report.item?.on_hand).toBe(report.history[0]?.on_hand);
    expect(report.history.reduce((sum, { delta }) => sum + delta, 0)).toBe(report.item?.on_hand);
    expect(await explainItem(pool, user, item, 2)).toMatchObject({ history_end: 'more', history: [{ event_id: events.at(-1) }, { event_id: events.at(-2) }] });
    await pool.query('DELETE FROM stock_ledger WHERE event_id = $1', [events[0]]);
    expect(await explainItem(pool, user, item, 1_000)).toMatchObject({ history_end: 'gone' });
  });

  test('that does not exist, of a user who does and of one who does not', async () => {
    expect(await explainItem(pool, user, randomUuid(), 10)).toMatchObject({ item: null, history: [], history_end: 'all' });
    expect((await explainItem(pool, user, randomUuid(), 10)).user_items).toBeGreaterThan(0);
    expect(await explainItem(pool, randomUuid(), item, 10)).toMatchObject({ item: null, user_items: 0 });
  });

  test('of a parked user', async () => {
    await pool.query(`INSERT INTO parked_users (user_id, reason, error, attempts) VALUES ($1, 'data', 'refused by the test', 3)`, [user]);
    await pool.query(`INSERT INTO parked_events ("offset", record_timestamp, partition, user_id, event_id, topic, record_headers) VALUES (0, now(), 0, $1, $1, 't', '[]')`, [user]);
    expect((await explainItem(pool, user, item, 1)).parked).toMatchObject({ reason: 'data', error: 'refused by the test', attempts: 3, waiting: 1 });
  });
});

test('a topic that does not exist is said to be so', async () => {
  await expect(check({ topic: `${topics.events}-other` })).rejects.toMatchObject({ code: 'BRX_REFUSED', message: expect.stringContaining('does not exist') as string });
});

test('a topic whose beginning is gone cannot be verified, and says so', async () => {
  const [partition] = (await topics.admin.fetchTopicOffsets(topics.events)).filter(({ high }) => Number(high) > 0);
  await topics.admin.deleteTopicRecords({ topic: topics.events, partitions: [{ partition: partition?.partition ?? 0, offset: '1' }] });
  await expect(check()).rejects.toMatchObject({ code: 'BRX_REFUSED', message: expect.stringContaining('retention has removed the beginning') as string });
});
