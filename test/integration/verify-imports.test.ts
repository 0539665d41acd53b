import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RebuildReport } from '../../src/operations/replay/index.ts';
import { verify, type Difference, type VerifyReport } from '../../src/operations/verify/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createCodec, createRegistry } from '../../src/platform/kafka/index.ts';
import { BULK, bulkWorld, type BulkWorld, type Stranger } from '../support/bulk-world.ts';
import { commandLine, type Ran } from '../support/cli.ts';
import { change, line, purchase } from '../support/events.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../support/marketplace-world.ts';
import { HORIZON_MS } from '../support/oracle-check.ts';
import { stackUrls } from '../support/stack.ts';
import { until } from '../support/wait.ts';

/**
 * Protects: what bulk sync has imported is held against the chunks it came from and is no difference, wherever it stands between the events of its items; what somebody changed by hand
 * afterwards is one. A second build of the tables knows imports, too.
 */
const TABLES = ['inventory_items', 'stock_ledger', 'purchase_sagas', 'purchase_history', 'stock_holds', 'marketplace_operations', 'outbox', 'dead_letters', 'bulk_sync_chunks'];
let world: MarketplaceWorld;
let bulk: BulkWorld;
let brx: (argv: readonly string[]) => Promise<Ran>;
let stranger: Stranger;
let undamaged: VerifyReport;
/** Imported, and nothing has happened to it since; by product. */
let quiet: { user: string; item: string; row: string };
/** Imported, then changed by its upstream. */
let busy: { user: string; item: string; row: string };

const check = (options: { waitMs?: number; settled?: boolean } = {}): Promise<VerifyReport> =>
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

const itemOf = async (user: string, productId: number): Promise<string> => (await world.rows<{ item_id: string }>('SELECT item_id FROM marketplace_listings WHERE user_id = $1 AND product_id = $2', user, productId))[0]?.item_id ?? expect.fail('not listed');
const importOf = async (user: string, item: string): Promise<string> => (await world.rows<{ event_id: string }>("SELECT event_id FROM stock_ledger WHERE (user_id, item_id) = ($1, $2) AND cause = 'import'", user, item))[0]?.event_id ?? expect.fail('not imported');

beforeAll(async () => {
  world = await createMarketplaceWorld({ env: BULK });
  bulk = bulkWorld(world);
  ({ brx } = commandLine(world.environment));
  const { control } = world.simulator;
  const flow = await world.startAll();

  // Imported and never heard of otherwise; one of them is changed by its upstream afterwards, one is sold, and all are imported once more.
  stranger = await bulk.stranger(3, 4, 5, 6, 7, 8, 9);
  const early = purchase({ user_id: stranger.user, lines: [line(randomItem(), 1)] });
  await world.send(early);
  await world.reached(['REJECTED'], early);
  await bulk.run(stranger.user, 'adopt-remote');
  const [first, second, third] = stranger.products.map(({ id }) => id) as [number, number, number];
  const [firstItem, secondItem] = [await itemOf(stranger.user, first), await itemOf(stranger.user, second)];
  const sale = purchase({ user_id: stranger.user, lines: [line(secondItem, 2)] });
  await world.send(change({ user_id: stranger.user, item_id: firstItem, kind: 'ADJUST', quantity: 2, price_cents: 777 }), sale);
  await world.reached(['CONFIRMED'], sale);
  control.setQuantity(third, 11);
  expect(await bulk.run(stranger.user, 'adopt-remote')).toMatchObject({ adopted: 2 });

  // Known from events; a copy is kept from CardTrader, and that changes between two imports.
  const known = await world.seller(5, 6);
  await world.rows('UPDATE marketplace_sellers SET buffer = 1 WHERE user_id = $1', known.user);
  control.setQuantity(known.items[0]!.productId, 9);
  await bulk.run(known.user, 'adopt-remote');
  expect((await brx(['users', 'set', known.user, '--buffer', '2', '--reason', 'test'])).exit).toBe(0);
  control.setQuantity(known.items[1]!.productId, 1);
  await bulk.run(known.user, 'adopt-remote');

  // Drift that was mended.
  const drifted = await world.seller(5);
  control.setQuantity(drifted.items[0]!.productId, 8);
  await bulk.run(drifted.user, 'report');
  await bulk.run(drifted.user, 'report');
  expect((await brx(['drift', drifted.user, '--apply', '--reason', 'counted'])).exit).toBe(0);

  await world.settled();
  await world.published();
  await world.caughtUp();
  undamaged = await check({ waitMs: 60_000, settled: true });
  await flow.stop();
  const fourth = await itemOf(stranger.user, stranger.products[3]!.id);
  quiet = { user: stranger.user, item: fourth, row: await importOf(stranger.user, fourth) };
  busy = { user: stranger.user, item: firstItem, row: await importOf(stranger.user, firstItem) };
  await world.pool.query('CREATE SCHEMA kept');
  for (const table of TABLES) await world.pool.query(`CREATE TABLE kept.${table} AS TABLE ${table}`);
}, 180_000);

beforeEach(async () => {
  const client = await world.pool.connect();
  try {
    await client.query('SET session_replication_role = replica');
    for (const table of TABLES) {
      await client.query(`DELETE FROM ${table}`);
      const { rows } = await client.query<{ names: string }>('SELECT string_agg(quote_ident(attname), \', \') AS names FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped', [table]);
      await client.query(`INSERT INTO ${table} (${rows[0]?.names}) OVERRIDING SYSTEM VALUE SELECT ${rows[0]?.names} FROM kept.${table}`);
    }
  } finally {
    await client.query('RESET session_replication_role');
    client.release();
  }
});

afterAll(() => world?.close());

function randomItem(): string {
  return crypto.randomUUID();
}

test('what was imported follows from the chunks: before events of its item, between them, and without any', async () => {
  const imports = await world.rows<{ n: number }>("SELECT count(*)::int AS n FROM stock_ledger WHERE cause = 'import'");
  expect(undamaged.differences).toEqual({ total: 0, by_kind: expect.anything() as unknown, first: [] });
  expect(undamaged).toMatchObject({ ok: true, complete: true, imported: { compared: imports[0]?.n, not_on_topic: 0, reconciled: 1 } });
  expect(undamaged.imported.compared).toBeGreaterThan(10);
  const told = await brx(['verify']);
  expect([told.exit, told.stdout]).toEqual([0, expect.stringContaining(`imported:  ${undamaged.imported.compared} by bulk sync`) as string]);
});

describe('what was changed by hand after an import is found, and only it', () => {
  const byItem = 'WHERE (user_id, item_id) = ($1, $2)';
  type Case = [string, () => Promise<unknown>, () => Partial<Difference>[]];
  const cases: Case[] = [
    ['a number', () => world.rows(`UPDATE inventory_items SET on_hand = on_hand + 1 ${byItem}`, quiet.user, quiet.item), () => [{ what: 'item', problem: 'an item’s on_hand is wrong', item_id: quiet.item }]],
    ['a price and properties', () => world.rows(`UPDATE inventory_items SET price_cents = 1, properties = '{}' ${byItem}`, quiet.user, quiet.item), () => [{ what: 'item', problem: 'an item’s price_cents, properties are wrong', item_id: quiet.item }]],
    ['an item that is gone', () => world.rows(`DELETE FROM inventory_items ${byItem}`, quiet.user, quiet.item), () => [{ what: 'item', problem: 'an item is missing', item_id: quiet.item }]],
    ['a number with the ledger row it came from', () => world.rows(`WITH l AS (UPDATE stock_ledger SET quantity = 99, delta = 99, on_hand = 99 WHERE event_id = $3) UPDATE inventory_items SET on_hand = 99 ${byItem}`, quiet.user, quiet.item, quiet.row), () => [{ what: 'ledger', problem: 'a ledger row of an import says something else', event_id: quiet.row }, { what: 'item', problem: 'an item’s on_hand is wrong' }]],
    ['an item with its ledger row', () => world.rows(`WITH l AS (DELETE FROM stock_ledger WHERE event_id = $3) DELETE FROM inventory_items ${byItem}`, quiet.user, quiet.item, quiet.row), () => [{ what: 'ledger', problem: 'a chunk of a bulk sync has not the ledger rows it was counted to', user_id: quiet.user, expected: 5, found: 4 }]],
    ['an import’s place', () => world.rows('UPDATE stock_ledger SET previous_event_id = $2 WHERE event_id = $1', busy.row, quiet.row), () => [{ what: 'order', problem: 'an import stands at another place in its item’s history', event_id: busy.row }, { what: 'item', problem: 'an item’s properties is wrong', item_id: busy.item }]],
    ['a delta', () => world.rows('UPDATE stock_ledger SET delta = delta + 1 WHERE event_id = $1', busy.row), () => [{ what: 'ledger', problem: 'a ledger row of an import says something else', event_id: busy.row }]],
    [
      'an import nobody made',
      () => world.rows("WITH l AS (INSERT INTO stock_ledger SELECT (jsonb_populate_record(l, jsonb_build_object('event_id', $3::uuid, 'item_id', $3::uuid))).* FROM stock_ledger AS l WHERE l.event_id = $2) INSERT INTO inventory_items SELECT (jsonb_populate_record(i, jsonb_build_object('item_id', $3::uuid, 'last_event_id', $3::uuid))).* FROM inventory_items AS i WHERE i.user_id = $1 AND i.last_event_id = $2", quiet.user, quiet.row, randomItem()),
      () => [{ what: 'ledger', problem: 'a ledger row of an import that no chunk on the topic of snapshots explains', expected: null }],
    ],
  ];
  test.each(cases)('%s', async (_what, damage, expected) => {
    await damage();
    const { ok, differences } = await check();
    expect(ok).toBe(false);
    expect(differences.first).toMatchObject(expected());
    expect(differences.total).toBe(expected().length);
  });
});

describe('a second build', () => {
  const rebuild = async (): Promise<RebuildReport> => JSON.parse((await brx(['replay', 'rebuild-verify', '--wait', '20', '--json'])).stdout) as RebuildReport;

  test('of items that were imported compares what their producers sent, and says of how many', async () => {
    const items = await world.rows("SELECT DISTINCT user_id, item_id FROM stock_ledger WHERE cause IN ('import', 'reconcile')");
    expect(await rebuild()).toMatchObject({ ok: true, differences: { total: 0, first: [] }, compared: { itemsOfImports: items.length } });
  });

  test('finds a number that was changed, and an item that is gone', async () => {
    await world.rows('UPDATE inventory_items SET on_hand = on_hand + 1 WHERE (user_id, item_id) = ($1, $2)', busy.user, busy.item);
    await world.rows('DELETE FROM inventory_items WHERE (user_id, item_id) = ($1, $2)', quiet.user, quiet.item);
    const { ok, differences } = await rebuild();
    expect(ok).toBe(false);
    expect(differences.first.map(({ problem, item_id: item }) => `${problem} ${item}`).sort()).toEqual([`different ${busy.item}`, `missing ${quiet.item}`]);
  });
});

test('once retention has removed the chunks, imports count on the ledger’s word, and that is told; a number that is not the ledger’s is still found', async () => {
  const { admin, snapshots } = world.topics;
  const offsets = await admin.fetchTopicOffsets(snapshots);
  await admin.deleteTopicRecords({ topic: snapshots, partitions: offsets.filter(({ high }) => high !== '0').map(({ partition, high }) => ({ partition, offset: high })) });
  await until('the records are gone', async () => (await admin.fetchTopicOffsets(snapshots)).every(({ low, high }) => low === high));
  expect(await check()).toMatchObject({ ok: true, imported: { compared: 0, not_on_topic: undamaged.imported.compared, reconciled: 1 } });
  const told = await brx(['verify']);
  expect([told.exit, told.stdout]).toEqual([0, expect.stringContaining('as the ledger has them') as string]);
  await world.rows('UPDATE inventory_items SET on_hand = on_hand + 1 WHERE (user_id, item_id) = ($1, $2)', quiet.user, quiet.item);
  expect((await check()).differences).toMatchObject({ total: 1, first: [{ what: 'item', problem: 'an item’s on_hand is wrong' }] });
});
