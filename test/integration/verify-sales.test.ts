import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { generateEvents, publishWorkload } from '../../src/operations/generate/index.ts';
import { explainItem, historyWords } from '../../src/operations/item/index.ts';
import { verify, type Difference, type VerifyReport } from '../../src/operations/verify/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createCodec, createRegistry, leadersLead } from '../../src/platform/kafka/index.ts';
import { cancellation, change, line, purchase, randomUuid, uuid } from '../support/events.ts';
import { HORIZON_MS } from '../support/oracle-check.ts';
import { createSaleWorld, type SaleWorld } from '../support/sales.ts';
import { stackUrls } from '../support/stack.ts';

/**
 * A workload with purchases through the real roles; then the database is damaged by hand, one way at a time, and `verify` must say
 * exactly that. What was there is put back before each case.
 */
const TABLES = ['inventory_items', 'stock_ledger', 'purchase_sagas', 'purchase_history', 'stock_holds', 'marketplace_operations', 'marketplace_listings', 'marketplace_sellers', 'outbox', 'dead_letters'];
const USER = randomUuid();
const [A, B] = [randomUuid(), randomUuid()];
const sold = purchase({ user_id: USER, lines: [line(A, 1), line(B, 2)] });
const calledOff = purchase({ user_id: USER, lines: [line(A, 2)] });
const tooMuch = purchase({ user_id: USER, lines: [line(A, 1), line(B, 50)] });
const open = purchase({ user_id: USER, lines: [line(A, 1), line(B, 1)] });
const confirmed = { what: 'sale' as const, user_id: USER, purchase_id: sold.purchase_id, look: `brx-sync saga show ${sold.purchase_id} --user ${USER}` };

let world: SaleWorld;
let settled: VerifyReport;
let undamaged: VerifyReport;

const check = (options: { settled?: boolean; waitMs?: number; outcomesTopic?: string } = {}): Promise<VerifyReport> =>
  verify({
    kafka: world.topics.kafka,
    codec: createCodec(createRegistry({ url: stackUrls().registryUrl, username: undefined, password: undefined })),
    clock: systemClock,
    topic: world.topics.events,
    outcomesTopic: world.topics.outcomes,
    snapshotsTopic: world.topics.snapshots,
    groupId: world.topics.groupId,
    pool: world.pool,
    horizonMs: HORIZON_MS,
    ...options,
  });

/** What the guards of the database would refuse. */
async function force(sql: string, ...values: unknown[]): Promise<void> {
  const client = await world.pool.connect();
  try {
    await client.query('SET session_replication_role = replica');
    const { rowCount } = await client.query(sql, values);
    expect(rowCount).toBeGreaterThan(0);
  } finally {
    await client.query('RESET session_replication_role');
    client.release();
  }
}

beforeAll(async () => {
  world = await createSaleWorld();
  const { topics, pool } = world;
  await publishWorkload(generateEvents({ at: Date.now(), events: 4_000, users: 50, itemsPerUser: 10, poison: 0.01, negative: 0.01, purchases: 0.2, cancels: 0.4 }), { producer: topics.producer, topic: topics.events, schemaIds: topics.schemaIds, clock: systemClock });
  await world.send(change({ user_id: USER, item_id: A, quantity: 10 }), change({ user_id: USER, item_id: B, quantity: 10 }), sold, calledOff, tooMuch, cancellation({ user_id: USER, purchase_id: randomUuid() }));
  const all = await world.start(['ingest', 'saga', 'relay']);
  await world.reached(['CONFIRMED'], sold, calledOff);
  // Sold already: given back, and told a second time.
  await world.send(cancellation(calledOff));
  settled = await check({ waitMs: 60_000, settled: true });
  await all.stop();

  // Reserved, and nobody there to go on with it.
  const ingest = await world.start(['ingest']);
  await world.send(open);
  await world.reached(['RESERVED'], open);
  await world.caughtUp();
  await ingest.stop();
  undamaged = await check();

  await pool.query('CREATE SCHEMA kept');
  for (const table of TABLES) await pool.query(`CREATE TABLE kept.${table} AS TABLE ${table}`);
}, 120_000);

beforeEach(async () => {
  await world.pool.query(`TRUNCATE ${TABLES.join(', ')} CASCADE`);
  for (const table of TABLES) {
    const [columns] = await world.rows<{ names: string }>(`SELECT string_agg(quote_ident(attname), ', ') AS names FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`, table);
    await world.pool.query(`INSERT INTO ${table} (${columns?.names}) OVERRIDING SYSTEM VALUE SELECT ${columns?.names} FROM kept.${table}`);
  }
});

afterAll(() => world?.close());

test('what the roles wrote is what follows from the topic, settled and with a sale under way', () => {
  expect(settled).toMatchObject({ ok: true, complete: true, differences: { total: 0 }, sales: { open: 0, outcomes_waiting: 0 } });
  const { applied, stale, rejected, duplicate, dead_letters, records } = settled.outcomes;
  expect(applied + stale + rejected + duplicate + Object.values(dead_letters).reduce((sum, count) => sum + count, 0)).toBe(records);
  expect(Math.min(rejected, stale, duplicate, dead_letters.unknown_purchase)).toBeGreaterThan(0);
  expect(Object.keys(settled.sales.by_state).toSorted()).toEqual(['COMPENSATED', 'CONFIRMED', 'REJECTED']);
  // One sold and given back has two.
  expect(settled.sales.outcomes_told).toBeGreaterThan(settled.sales.total);
  expect(undamaged).toMatchObject({ ok: true, complete: true, sales: { open: 1 }, differences: { total: 0 } });
});

test('asked for settled sales, one under way is a difference', async () => {
  expect((await check({ settled: true })).differences).toMatchObject({ total: 1, first: [{ what: 'sale', problem: 'a sale has not ended', purchase_id: open.purchase_id, found: 'RESERVED' }] });
});

describe('each kind of damage is found, and only it', () => {
  const ofSold = [USER, sold.purchase_id];
  const ofOpen = [USER, open.purchase_id];
  const operation = (id: number, more: Record<string, unknown>): [string, ...unknown[]] => {
    const row = { operation_id: uuid(id), user_id: USER, item_id: A, purchase_id: sold.purchase_id, quantity: 1, kind: 'TAKE', state: 'APPLIED', ...more };
    return [`INSERT INTO marketplace_operations (${Object.keys(row).join(', ')}) VALUES (${Object.keys(row).map((_, index) => `$${index + 1}`).join(', ')})`, ...Object.values(row)];
  };
  const cases: [string, () => Promise<unknown>, Partial<Difference>[]][] = [
    ['a hold that was deleted', () => force('DELETE FROM stock_holds WHERE (user_id, purchase_id) = ($1, $2) AND item_id = $3', ...ofOpen, A), [{ what: 'hold', problem: 'a sale under way holds nothing of one of its items', user_id: USER, purchase_id: open.purchase_id, expected: { item_id: A, quantity: 1 }, found: null }]],
    ['a hold of another quantity', () => force('UPDATE stock_holds SET quantity = 3 WHERE (user_id, purchase_id) = ($1, $2) AND item_id = $3', ...ofOpen, A), [{ what: 'hold', problem: 'a sale holds another quantity than it reserved', expected: { item_id: A, quantity: 1 }, found: { item_id: A, quantity: 3 } }]],
    ['a hold of a sale that has ended', () => force('INSERT INTO stock_holds (user_id, purchase_id, item_id, quantity) VALUES ($1, $2, $3, 1)', ...ofSold, A), [{ what: 'hold', problem: 'a sale that has ended, or has no such item, still holds stock', purchase_id: sold.purchase_id }]],
    ['a hold of no sale at all', () => force('INSERT INTO stock_holds (user_id, purchase_id, item_id, quantity) VALUES ($1, $2, $3, 1)', USER, randomUuid(), A), [{ what: 'hold', problem: 'stock is held for a sale that is not there', user_id: USER }]],
    ['a changed held', () => force('UPDATE inventory_items SET held = held + 1 WHERE (user_id, item_id) = ($1, $2)', USER, A), [{ what: 'item', problem: 'an item’s held is wrong', user_id: USER, item_id: A, look: `brx-sync item ${USER} ${A}` }]],
    ['a changed on_hand', () => force('UPDATE inventory_items SET on_hand = on_hand + 1 WHERE (user_id, item_id) = ($1, $2)', USER, B), [{ what: 'item', problem: 'an item’s on_hand is wrong', item_id: B }]],
    ['the row of a purchase’s second item that is gone', () => force(`DELETE FROM stock_ledger WHERE (user_id, purchase_id) = ($1, $2) AND item_id = $3 AND kind = 'P'`, ...ofOpen, B), [{ what: 'ledger', problem: 'a purchase has no ledger row', purchase_id: open.purchase_id, item_id: B, found: null }]],
    ['a confirmed sale that took no stock', () => force(`DELETE FROM stock_ledger WHERE (user_id, purchase_id) = ($1, $2) AND item_id = $3 AND kind = 'T'`, ...ofSold, A), [{ what: 'ledger', problem: 'a sale that was confirmed took no stock', purchase_id: sold.purchase_id, item_id: A }]],
    ['stock taken twice', () => force(`INSERT INTO stock_ledger SELECT (jsonb_populate_record(l, jsonb_build_object('event_id', $4::uuid))).* FROM stock_ledger AS l WHERE (user_id, purchase_id) = ($1, $2) AND item_id = $3 AND kind = 'T'`, ...ofSold, A, randomUuid()), [{ what: 'ledger', problem: 'a ledger row that no purchase, cancellation or step of a sale explains', expected: null }]],
    ['a step of a sale that stands elsewhere', () => force(`UPDATE stock_ledger SET previous_event_id = $4 WHERE (user_id, purchase_id) = ($1, $2) AND item_id = $3 AND kind = 'T'`, ...ofSold, A, randomUuid()), [{ what: 'order', problem: 'a step of a sale stands nowhere in its item’s history', item_id: A }]],
    ['another quantity taken', () => force(`UPDATE stock_ledger SET delta = delta - 1, on_hand = on_hand - 1 WHERE (user_id, purchase_id) = ($1, $2) AND item_id = $3 AND kind = 'T'`, ...ofSold, A), [{ what: 'ledger', problem: 'a ledger row of a sale says something else', item_id: A }]],
    ['a rejection of what was there', () => force(`WITH s AS (UPDATE purchase_history SET fact = 'rejected', state = 'REJECTED', detail = '{"reason":"insufficient_stock"}' WHERE (user_id, purchase_id) = ($1, $2)), h AS (DELETE FROM stock_holds WHERE (user_id, purchase_id) = ($1, $2)), l AS (UPDATE stock_ledger SET outcome = 'r', cause = 'insufficient_stock', held_delta = 0 WHERE (user_id, purchase_id) = ($1, $2)), i AS (UPDATE inventory_items SET held = 0 WHERE user_id = $1), o AS (DELETE FROM outbox) UPDATE purchase_sagas SET state = 'REJECTED', reason = 'insufficient_stock', next_action_at = NULL WHERE (user_id, purchase_id) = ($1, $2)`, ...ofOpen), [{ what: 'sale', problem: 'a purchase was rejected although all of it was available', purchase_id: open.purchase_id, expected: { decision: 'reserved', lacking: [] }, found: 'insufficient_stock' }, { what: 'outcome', problem: 'how a sale ended was never told' }]],
    ['a rejection for another reason', () => force(`WITH h AS (UPDATE purchase_history SET detail = '{"reason":"unknown_item"}' WHERE (user_id, purchase_id) = ($1, $2)), l AS (UPDATE stock_ledger SET cause = 'unknown_item' WHERE (user_id, purchase_id) = ($1, $2)) UPDATE purchase_sagas SET reason = 'unknown_item' WHERE (user_id, purchase_id) = ($1, $2)`, USER, tooMuch.purchase_id), [{ what: 'sale', problem: 'a purchase was rejected for another reason', expected: { decision: 'insufficient_stock', lacking: [{ item_id: B, wanted: 50, available: 8 }] } }, { what: 'outcome', problem: 'an outcome says something else', purchase_id: tooMuch.purchase_id }]],
    ['a sale that is gone', () => force('WITH h AS (DELETE FROM purchase_history WHERE (user_id, purchase_id) = ($1, $2)), x AS (DELETE FROM stock_holds WHERE (user_id, purchase_id) = ($1, $2)) DELETE FROM purchase_sagas WHERE (user_id, purchase_id) = ($1, $2)', ...ofOpen), [{ what: 'sale', problem: 'a purchase was taken and has no sale', purchase_id: open.purchase_id, found: null }]],
    ['a sale nobody asked for', () => force(`INSERT INTO purchase_sagas SELECT (jsonb_populate_record(s, jsonb_build_object('purchase_id', $3::uuid))).* FROM purchase_sagas AS s WHERE (user_id, purchase_id) = ($1, $2)`, ...ofOpen, randomUuid()), [{ what: 'sale', problem: 'a sale nobody asked for', user_id: USER }]],
    ['a sale of another price', () => force(`UPDATE purchase_sagas SET lines = jsonb_set(lines, '{0,unit_price_cents}', '1') WHERE (user_id, purchase_id) = ($1, $2)`, ...ofOpen), [{ what: 'sale', problem: 'a sale is not the purchase of the topic', purchase_id: open.purchase_id }]],
    ['another state than its last step', () => force(`UPDATE purchase_sagas SET state = 'CALLING' WHERE (user_id, purchase_id) = ($1, $2)`, ...ofOpen), [{ what: 'sale', problem: 'a sale is not what its last step made of it', expected: { state: 'RESERVED', version: 1, sold: false, reason: null } }]],
    ['a step that is missing', () => force('DELETE FROM purchase_history WHERE (user_id, purchase_id) = ($1, $2) AND version = 1', ...ofSold), [{ ...confirmed, problem: 'a step of a sale is missing', expected: 'version 1', found: 'version 2 (confirmed)' }]],
    ['steps of no sale', () => force('INSERT INTO purchase_history (user_id, purchase_id, event_id, at, version, fact, state, detail) VALUES ($1, $2, $2, now(), 1, $3, $4, $5)', USER, randomUuid(), 'reserved', 'RESERVED', '{}'), [{ what: 'sale', problem: 'steps of a sale that is not there', user_id: USER }]],
    ['a sale taken twice on CardTrader', async () => (await force(...operation(1, {})), await force(...operation(2, {}))), [{ what: 'operation', problem: 'an item of a sale was to be taken on CardTrader more than once', purchase_id: sold.purchase_id }]],
    ['a sale confirmed with an operation open', () => force(...operation(1, { state: 'PENDING', due_at: new Date() })), [{ what: 'operation', problem: 'a sale has ended with operations on CardTrader still open' }]],
    ['a sale confirmed and refused on CardTrader', () => force(...operation(1, { state: 'REFUSED', reason: 'refused' })), [{ what: 'operation', problem: 'a sale was confirmed without all of it being taken on CardTrader' }]],
    ['an undone sale that keeps what it took', () => force(...operation(1, { purchase_id: calledOff.purchase_id, quantity: 2 })), [{ what: 'operation', problem: 'a sale was undone, and what it took on CardTrader was not given back', purchase_id: calledOff.purchase_id }]],
    ['given back what was never taken', async () => (await force(...operation(1, { purchase_id: calledOff.purchase_id, quantity: 2, state: 'WITHDRAWN' })), await force(...operation(2, { purchase_id: calledOff.purchase_id, quantity: 2, kind: 'RETURN', returns: uuid(1) }))), [{ what: 'operation', problem: 'something is given back on CardTrader that was not taken there' }]],
    ['a cancellation that changed nothing', () => force(`UPDATE purchase_history SET detail = '{"reason":"operator"}' WHERE (user_id, purchase_id) = ($1, $2) AND fact = 'compensated'`, USER, calledOff.purchase_id), [{ what: 'ledger', item_id: A, problem: 'a ledger row of a sale says something else' }, { what: 'sale', problem: 'a sale is not what its last step made of it' }, { what: 'sale', problem: 'a cancellation that was taken changed nothing' }, { what: 'outcome', problem: 'an outcome says something else' }]],
  ];

  test.each(cases)('%s', async (_name, damage, expected) => {
    await damage();
    const { ok, differences } = await check();
    expect(ok).toBe(false);
    expect(differences.first).toMatchObject(expected);
    expect(differences.total).toBe(expected.length);
  });

  test('a sale that was confirmed twice', async () => {
    await force(`INSERT INTO purchase_history SELECT (jsonb_populate_record(h, jsonb_build_object('version', 3, 'event_id', $3::uuid))).* FROM purchase_history AS h WHERE (user_id, purchase_id) = ($1, $2) AND fact = 'confirmed'`, ...ofSold, randomUuid());
    const { differences } = await check();
    expect(differences.first).toContainEqual(expect.objectContaining({ ...confirmed, problem: 'a sale took a step that may not follow', found: 'version 3: confirmed, CONFIRMED' }));
    expect(differences.first).toContainEqual(expect.objectContaining({ what: 'ledger', problem: 'a sale that was confirmed took no stock' }));
    expect(differences.first).toContainEqual(expect.objectContaining({ what: 'outcome', problem: 'how a sale ended was never told' }));
  });
});

describe('outcomes', () => {
  // At the end: a producer asks for all the topics it has ever written to, and is told nothing when one is gone.
  const made: string[] = [];
  afterAll(() => world.topics.admin.deleteTopics({ topics: made }));

  /** The topic of outcomes once more, with `alter` made of its records. */
  async function altered(name: string, alter: (records: { id: string; key: Buffer | null; value: Buffer | null; partition: number }[]) => { key: Buffer | null; value: Buffer | null; partition: number }[]): Promise<string> {
    const { admin, producer, prefix, outcomes } = world.topics;
    const topic = `${prefix}${name}`;
    made.push(topic);
    await admin.createTopics({ topics: [{ topic, numPartitions: 12, replicationFactor: 1 }], waitForLeaders: false });
    await leadersLead(admin, [topic]);
    const records = (await world.topics.readAll(outcomes)).map(({ key, value, partition, headers }) => ({ id: String(headers?.['brx-event-id']), key, value, partition }));
    await producer.sendBatch(alter(records).map(({ key, value, partition }) => ({ topic, key: key ?? '', value, partition })));
    return topic;
  }
  const eventOf = async (of: { purchase_id: string }, fact: string): Promise<string> => (await world.rows<{ event_id: string }>('SELECT event_id FROM purchase_history WHERE purchase_id = $1 AND fact = $2', of.purchase_id, fact))[0]?.event_id ?? expect.fail('no such step');

  test.each<[string, (id: string) => Parameters<typeof altered>[1], Partial<Difference>[]]>([
    ['one that was dropped', (id) => (records) => records.filter((record) => record.id !== id), [{ what: 'outcome', problem: 'how a sale ended was never told', purchase_id: sold.purchase_id, look: confirmed.look, found: null }]],
    ['copies of one, which at least once allows', (id) => (records) => [...records, ...records.filter((record) => record.id === id)], []],
    ['what is no outcome', () => (records) => [...records, { key: Buffer.from(USER), value: Buffer.from('none'), partition: 3 }], [{ what: 'outcome', problem: 'a record among the outcomes that is none' }]],
    ['one under another seller’s key', (id) => (records) => records.map((record) => (record.id === id ? { ...record, key: Buffer.from(randomUuid()) } : record)), [{ what: 'outcome', problem: 'how a sale ended was never told' }, { what: 'outcome', problem: 'a record among the outcomes that is none' }]],
  ])('%s', async (name, alter, expected) => {
    const topic = await altered(name.replaceAll(/[^a-z]+/g, '-'), alter(await eventOf(sold, 'confirmed')));
    const { differences } = await check({ outcomesTopic: topic });
    expect(differences.first).toMatchObject(expected);
    expect(differences.total).toBe(expected.length);
  });

  test('two of one sale in the wrong order', async () => {
    const [first, second] = [await eventOf(calledOff, 'confirmed'), await eventOf(calledOff, 'compensated')];
    const topic = await altered('swapped', (records) => [...records.filter(({ id }) => id !== first), ...records.filter(({ id }) => id === first)]);
    expect((await check({ outcomesTopic: topic })).differences).toMatchObject({ total: 1, first: [{ what: 'outcome', problem: 'outcomes of a sale stand in another order than they happened', event_id: second }] });
  });

  test('one that waits in the outbox is no difference, unless all must be settled', async () => {
    const id = await eventOf(sold, 'confirmed');
    const topic = await altered('waiting', (records) => records.filter((record) => record.id !== id));
    await force('INSERT INTO outbox (shard, user_id, event_id, topic) VALUES (0, $1, $2, $3)', USER, id, topic);
    expect(await check({ outcomesTopic: topic })).toMatchObject({ ok: true, sales: { outcomes_waiting: 1 } });
    expect((await check({ outcomesTopic: topic, settled: true })).differences.first).toContainEqual(expect.objectContaining({ what: 'outcome', problem: 'how a sale ended is not published yet', event_id: id }));
  });

  test('one nobody knows of', async () => {
    await force(`UPDATE purchase_history SET fact = 'reserved', state = 'RESERVED' WHERE event_id = $1`, await eventOf(tooMuch, 'rejected'));
    expect((await check()).differences.first).toContainEqual(expect.objectContaining({ what: 'outcome', problem: 'an outcome that no sale explains', purchase_id: tooMuch.purchase_id, found: 'REJECTED' }));
  });

  test('a topic of outcomes that is not there is asked for', async () => {
    await expect(check({ outcomesTopic: `${world.topics.prefix}nowhere` })).rejects.toMatchObject({ code: 'BRX_REFUSED' });
  });
});

describe('one item', () => {
  test('its sales are told in its history, from reservation to what was given back', async () => {
    const report = await explainItem(world.pool, USER, A, 100);
    expect(report).toMatchObject({ item: { on_hand: 9, held: 1 }, listing: null, operations: [], history_end: 'all', holds: [{ purchase_id: open.purchase_id, quantity: 1, state: 'RESERVED' }] });
    // In between stands, at a place that is the sagas', the rest of what the two sales did.
    const words = report.history.map(historyWords).toReversed();
    expect(words[0]).toBe('SET to 10 by test (+10), now 10');
    expect(words).toContain(`purchase ${tooMuch.purchase_id} wanted 1: rejected, fewer copies are available here than the purchase wants; still ${report.history.find(({ purchase_id }) => purchase_id === tooMuch.purchase_id)?.on_hand}`);
    expect(words.filter((text) => text.includes(sold.purchase_id)).map((text) => text.replace(/; still.*|, now.*/, ''))).toEqual([`1 held for purchase ${sold.purchase_id}`, `1 sold to purchase ${sold.purchase_id} (-1)`]);
    expect(words.filter((text) => text.includes(calledOff.purchase_id)).length).toBe(4);
    expect(words.slice(-2)).toEqual([`2 of purchase ${calledOff.purchase_id} given back: a PurchaseCancelled called it off (+2), now 9`, `1 held for purchase ${open.purchase_id}; still 9 on hand`]);
  });

  test('its listing and what is wanted on CardTrader', async () => {
    await force(`INSERT INTO marketplace_sellers (user_id, status, token, token_key_id, token_hint) VALUES ($1, 'paused', 'x', 'k', 'x')`, USER);
    await force(`INSERT INTO marketplace_listings (user_id, item_id, product_id, blueprint_id, confirmed_at, quantity, price_cents, product) VALUES ($1, $2, 77, 5, now(), 3, 100, '{"name":"Black Lotus"}')`, USER, A);
    await force(`INSERT INTO marketplace_operations (operation_id, user_id, item_id, purchase_id, quantity, kind, state, due_at) VALUES ($3, $1, $2, $4, 1, 'TAKE', 'PENDING', now())`, USER, A, uuid(1), open.purchase_id);
    expect(await explainItem(world.pool, USER, A, 1)).toMatchObject({ listing: { product_id: 77, name: 'Black Lotus', quantity: 3, gone: false, mismatch: null, seller_status: 'paused' }, operations: [{ kind: 'TAKE', state: 'PENDING', purchase_id: open.purchase_id }] });
    expect(await explainItem(world.pool, USER, B, 1)).toMatchObject({ listing: null, operations: [] });
    // One that needs an operator is found through its sale.
    await force(`UPDATE marketplace_operations SET state = 'NEEDS_OPERATOR', reason = 'unexplained', due_at = NULL WHERE operation_id = $1`, uuid(1));
    await force(`UPDATE purchase_sagas SET state = 'NEEDS_OPERATOR' WHERE purchase_id = $1`, open.purchase_id);
    expect(await explainItem(world.pool, USER, A, 1)).toMatchObject({ operations: [{ state: 'NEEDS_OPERATOR', reason: 'unexplained' }] });
  });
});
