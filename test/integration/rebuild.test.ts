import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { laneOf } from '../../src/contract/index.ts';
import { generateEvents, publishWorkload } from '../../src/operations/generate/index.ts';
import type { RebuildReport } from '../../src/operations/replay/index.ts';
import { businessHash } from '../../src/operations/verify/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { LANE_LOCK_CLASS } from '../../src/platform/postgres/index.ts';
import { commandLine, type Ran } from '../support/cli.ts';
import { history, randomUuid } from '../support/events.ts';
import { createIngestWorld, type IngestWorld, type RunningIngest } from '../support/ingest.ts';
import { stackUrls } from '../support/stack.ts';
import { createSystem, REFUSED_SOURCE, refuse, salesWorkload, withRefused } from '../support/system.ts';
import { until } from '../support/wait.ts';

/** Protects: a second build from the topic finds every row somebody changed by hand, and no other; and leaves nothing behind. */
let world: IngestWorld;
let worker: RunningIngest;
let rebuild: (...argv: string[]) => Promise<Ran>;
let loose: { user_id: string; item_id: string; last_event_id: string };

const commandsOf = ({ database, topics }: IngestWorld, env: Readonly<Record<string, string>> = {}) =>
  commandLine({
    BRX_KAFKA_BROKERS: stackUrls().kafkaBrokers,
    BRX_SCHEMA_REGISTRY_URL: stackUrls().registryUrl,
    BRX_DATABASE_URL: database.url,
    BRX_TOPIC_PREFIX: topics.prefix,
    BRX_INGEST_GROUP_ID: topics.groupId,
    ...env,
  });

beforeAll(async () => {
  world = await createIngestWorld();
  const { brx } = commandsOf(world);
  rebuild = (...argv) => brx(['replay', 'rebuild-verify', '--wait', '20', ...argv, '--json']);
  // Somebody is parked, somebody misrouted, and much of what there is is no good.
  await refuse(world.pool);
  worker = await world.start();
  const { producer, events: topic, schemaIds } = world.topics;
  await publishWorkload(withRefused(salesWorkload({ events: 2_500, seed: 5 }), { from: 300, users: 2 }), { producer, topic, schemaIds, clock: systemClock });
  await publishWorkload(generateEvents({ events: 1_000, seed: 6, users: 40, at: Date.now(), poison: 0.05, negative: 0.05 }), { producer, topic, schemaIds, clock: systemClock });
  const [user, item] = [randomUuid(), randomUuid()];
  const [first, second] = history(user, item, ['SET', 5], ['ADJUST', 1]);
  await world.send(world.record(first!, { partition: 1 }));
  await world.send(world.record(second!, { partition: 2 }));
  await until('all of it is read', async () => {
    const [committed, ends] = [await world.topics.committed(), await world.topics.admin.fetchTopicOffsets(topic)];
    return ends.every(({ partition, high }) => (committed.get(partition) ?? 0) === Number(high));
  });
  [loose] = (await world.pool.query<typeof loose>(`SELECT i.user_id, i.item_id, i.last_event_id FROM inventory_items i JOIN stock_ledger l ON l.event_id = i.last_event_id
     WHERE l.outcome = 'a' AND i.user_id <> $1 AND NOT EXISTS (SELECT FROM stock_ledger s WHERE s.item_id = i.item_id AND s.kind NOT IN ('S', 'A', 'R')) ORDER BY i.user_id LIMIT 1`, [user])).rows as [typeof loose];
}, 120_000);
afterAll(() => world?.close());

const shadows = async (): Promise<string[]> => (await world.rows<{ name: string }>("SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE 'brx_rebuild%'")).map(({ name }) => name);

test('what a running instance made of the topic is what a second build makes of it; nothing is changed, nothing is left', async () => {
  const hash = await businessHash(world.pool);
  const ran = await rebuild();
  const report = ran.json as RebuildReport;
  expect(report, ran.stderr).toMatchObject({ ok: true, refused: 0, scatteredUsers: 1, schema: null, differences: { total: 0, first: [] }, compared: { movedOn: 0 } });
  expect(ran.exit).toBe(0);
  expect(report.records).toBe((await world.topics.admin.fetchTopicOffsets(world.topics.events)).reduce((sum, { high }) => sum + Number(high), 0));
  expect(Math.min(report.compared.items, report.compared.ledgerRows, report.compared.deadLetters, report.compared.itemsOfSales, report.decided)).toBeGreaterThan(0);
  expect(await businessHash(world.pool)).toBe(hash);
  expect(await shadows()).toEqual([]);
  expect((await world.rows("SELECT FROM stock_ledger WHERE cause = $1", REFUSED_SOURCE)).length).toBe(0);
});

describe('a row that was changed by hand is found, and only it', () => {
  const byItem = 'WHERE (user_id, item_id) = ($1, $2)';
  test.each<[string, string, object[]]>([
    ['a number', `UPDATE inventory_items SET on_hand = on_hand + 1 ${byItem}`, [{ what: 'item', problem: 'different' }]],
    ['a price and properties', `UPDATE inventory_items SET price_cents = 1 + coalesce(price_cents, 0), properties = '{"condition":"Burnt"}' ${byItem}`, [{ what: 'item', problem: 'different' }]],
    ['an item that is gone', `DELETE FROM inventory_items ${byItem}`, [{ what: 'item', problem: 'missing', found: null }]],
    ['a ledger row', `UPDATE stock_ledger SET on_hand = on_hand + 1 WHERE event_id = (SELECT last_event_id FROM inventory_items ${byItem})`, [{ what: 'ledger', problem: 'different' }]],
    ['a ledger row that is gone', `DELETE FROM stock_ledger WHERE event_id = (SELECT last_event_id FROM inventory_items ${byItem})`, [{ what: 'ledger', problem: 'missing', found: null }]],
    ['an item that nobody sent', 'INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand) VALUES ($1::uuid, $1::uuid, $2::uuid, 1)', [{ what: 'item', problem: 'extra', expected: null }]],
    ['a dead letter’s reason', "UPDATE dead_letters SET reason = 'invalid' WHERE id = (SELECT max(id) FROM dead_letters WHERE reason = 'undecodable' AND ($1::uuid, $2::uuid) IS NOT NULL)", [{ what: 'dead_letter', problem: 'different', expected: 'undecodable', found: 'invalid' }]],
  ])('%s', async (_what, damage, expected) => {
    await world.pool.query('CREATE SCHEMA kept');
    for (const table of ['inventory_items', 'stock_ledger', 'dead_letters']) await world.pool.query(`CREATE TABLE kept.${table} AS SELECT * FROM ${table}`);
    try {
      await world.pool.query(damage, [loose.user_id, loose.item_id]);
      const ran = await rebuild();
      expect(ran.exit).toBe(1);
      expect(JSON.parse(ran.stdout)).toMatchObject({ ok: false, differences: { total: expected.length, first: expected } });
    } finally {
      for (const table of ['inventory_items', 'stock_ledger', 'dead_letters']) await world.pool.query(`TRUNCATE ${table}; INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM kept.${table}`);
      await world.pool.query('DROP SCHEMA kept CASCADE');
    }
  });
});

test('shadow tables that were kept are named, and gone with the next rebuild', async () => {
  const { schema } = (await rebuild('--keep')).json as RebuildReport;
  expect(await shadows()).toEqual([schema]);
  await rebuild();
  expect(await shadows()).toEqual([]);
});

test('a comparison may take longer than any other statement', async () => {
  const own = await createIngestWorld();
  try {
    const instance = await own.start();
    await own.sendEvents(...history(randomUuid(), randomUuid(), ['SET', 5]));
    await own.processed();
    await instance.stop();
    // In the snapshot of the comparison, and nowhere else, to look at the dead letters takes longer than any statement may.
    await own.pool.query(`ALTER TABLE dead_letters RENAME TO dead_letters_quick;
      CREATE VIEW dead_letters AS SELECT d.* FROM (SELECT pg_sleep(CASE current_setting('transaction_isolation') WHEN 'repeatable read' THEN 4 ELSE 0 END)) AS s CROSS JOIN dead_letters_quick AS d`);
    const { brx } = commandsOf(own, { BRX_DATABASE_STATEMENT_TIMEOUT_MS: '2000', BRX_DATABASE_LOCK_TIMEOUT_MS: '1000' });
    const ran = await brx(['replay', 'rebuild-verify', '--json']);
    expect(ran.json, ran.stderr).toMatchObject({ ok: true, records: 1 });
    expect((ran.json as RebuildReport).durationMs).toBeGreaterThan(4_000); // so it had to be waited for
  } finally {
    await own.close();
  }
});

test('a lane that the live tables need for longer than a lock is waited for is waited for all the same', async () => {
  const own = await createIngestWorld();
  const holder = await own.pool.connect();
  try {
    const instance = await own.start();
    const user = randomUuid();
    await own.sendEvents(...history(user, randomUuid(), ['SET', 5]));
    await own.processed();
    await instance.stop();
    await holder.query('SELECT pg_advisory_lock($1, $2)', [LANE_LOCK_CLASS, laneOf(user)]);
    const running = commandsOf(own, { BRX_DATABASE_LOCK_TIMEOUT_MS: '200' }).brx(['replay', 'rebuild-verify', '--json']);
    const waits = new Set<string>();
    await until('it has waited in vain, and waits again', async () => {
      const rows = await own.rows<{ began: string }>("SELECT xact_start::text AS began FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'brx-sync rebuild' AND wait_event = 'advisory'");
      for (const { began } of rows) waits.add(began);
      return waits.size > 1;
    });
    await holder.query('SELECT pg_advisory_unlock_all()');
    const ran = await running;
    expect(ran.json, ran.stderr).toMatchObject({ ok: true, records: 1 });
  } finally {
    holder.release();
    await own.close();
  }
});

test('one at a time; a group that is behind is waited for, and told', async () => {
  const holder = await world.pool.connect();
  await holder.query('SELECT pg_advisory_lock(72707371)');
  try {
    expect(await rebuild()).toMatchObject({ exit: 4, json: { error: { message: expect.stringContaining('another rebuild') as string } } });
  } finally {
    await holder.query('SELECT pg_advisory_unlock_all()');
    holder.release();
  }
  await worker.stop();
  await world.sendEvents(...history(randomUuid(), randomUuid(), ['SET', 5]));
  expect(await rebuild('--wait', '1')).toMatchObject({ exit: 4, json: { error: { message: expect.stringContaining('1 record behind') as string } } });
  expect(await shadows()).toEqual([]);
});

test('a system with sales that goes on taking events is compared all the same', { timeout: 180_000 }, async (context) => {
  const system = await createSystem(context, { sales: true });
  const instance = system.start();
  await system.publish(salesWorkload({ events: 2_000, seed: 8 }));
  await system.finished(instance);
  const done = new AbortController();
  const publishing = system.publish(salesWorkload({ events: 50_000, seed: 9 }), { rate: 300, signal: done.signal }).catch((error: unknown) => {
    if (!done.signal.aborted) throw error;
  });
  const command = system.run(['replay', 'rebuild-verify', '--json']);
  expect(await command.ended(), command.text).toEqual({ code: 0, signal: null });
  done.abort(new Error('enough'));
  await publishing;
  const report = JSON.parse(command.text.split('\n').find((line) => line.startsWith('{')) ?? '') as RebuildReport;
  expect(report).toMatchObject({ ok: true, differences: { total: 0 } });
  const [sales] = (await system.pool.query<{ taken: number }>("SELECT count(*)::int AS taken FROM stock_ledger WHERE kind = 'T'")).rows;
  expect(Math.min(sales?.taken ?? 0, report.compared.itemsOfSales, report.compared.items)).toBeGreaterThan(0);
});
