import { afterAll, beforeAll, expect, test } from 'vitest';
import { applyFixes, selectDrift } from '../../../src/bulk-sync/index.ts';
import { readConfig } from '../../../src/config.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { createRegistry } from '../../../src/platform/kafka/index.ts';
import { BULK, bulkWorld, type BulkWorld } from '../../support/bulk-world.ts';
import { commandLine, type Ran } from '../../support/cli.ts';
import { randomUuid } from '../../support/events.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { until } from '../../support/wait.ts';

/** Protects: operators ask for bulk syncs, see what came of them, and mend what differs; reports come by themselves at night, one a seller. */
let world: MarketplaceWorld;
let bulk: BulkWorld;
let brx: (argv: readonly string[]) => Promise<Ran>;

beforeAll(async () => {
  world = await createMarketplaceWorld({ env: BULK });
  bulk = bulkWorld(world);
  ({ brx } = commandLine(world.environment));
  await world.startAll();
});
afterAll(() => world.close());

test('import: asked for, watched, reported, listed, written down', async () => {
  const seller = await bulk.stranger(1, 2, 3, 4, 5, 6, 7);
  const ran = await brx(['sync', seller.user, '--mode', 'adopt-remote', '--reason', 'first import']);
  expect([ran.exit, ran.stderr]).toEqual([0, expect.not.stringContaining('error') as string]);
  expect(ran.stdout).toContain('7 products in 2 chunks: 2 done, 0 parked');
  expect(ran.stdout).toContain('created 7, adopted 0');
  expect(ran.stdout).toContain('7 unmapped: no catalogue is configured');
  expect(await brx(['sync', 'list', seller.user, '--json'])).toMatchObject({ exit: 0, json: [{ mode: 'adopt-remote', state: 'DONE', created: 7 }] });
  expect(await world.rows('SELECT action, reason FROM operator_actions WHERE target = $1 AND action = $2', seller.user, 'sync.request')).toEqual([{ action: 'sync.request', reason: 'first import' }]);
});

test('--no-wait, --json, show, cancel; arguments that make no sense', async () => {
  const seller = await bulk.stranger(1);
  world.simulator.control.inject({ kind: 'slow_answer', delayMs: 1_500, when: { sellerId: seller.sellerId, path: '/products/export' } });
  const asked = await brx(['sync', seller.user, '--no-wait', '--json']);
  const [{ jobId }] = asked.json as [{ jobId: string }];
  expect((await brx(['sync', seller.user])).exit).toBe(4); // one is under way
  expect(await brx(['sync', 'cancel', jobId, '--reason', 'test', '--json'])).toMatchObject({ exit: 0, json: { cancelled: true } });
  expect((await brx(['sync', 'cancel', jobId, '--reason', 'test'])).exit).toBe(4);
  expect((await brx(['sync', 'show', jobId])).stdout).toContain('cancelled');
  expect([(await brx(['sync'])).exit, (await brx(['sync', seller.user, '--all'])).exit, (await brx(['sync', 'nobody'])).exit]).toEqual([2, 2, 2]);
  expect((await brx(['sync', '0190a000-0000-7000-8000-0000000000ff'])).exit).toBe(4);
});

test('a shrunk export: exit 1, and what to do; confirmed: 0', async () => {
  const seller = await bulk.stranger(1, 2, 3, 4);
  await bulk.run(seller.user, 'adopt-remote');
  for (const { id } of seller.products.slice(0, 2)) world.simulator.control.removeProduct(id);
  const ran = await brx(['sync', seller.user]);
  expect([ran.exit, ran.stdout]).toEqual([1, expect.stringContaining('--confirm-shrink') as string]);
  expect((await brx(['sync', seller.user, '--confirm-shrink'])).exit).toBe(0);
});

test('several sellers, one of whom is refused: the others are asked for and watched, and the exit code says that it was not all', async () => {
  const [first, last] = [await bulk.stranger(1), await bulk.stranger(2)];
  const nobody = randomUuid();
  const ran = await brx(['sync', first.user, nobody, last.user, '--mode', 'adopt-remote', '--json']);
  expect([ran.exit, ran.stderr]).toEqual([1, expect.stringContaining(`${nobody} is left out: `) as string]);
  expect(ran.stdout.trimEnd().split('\n').map((text) => (JSON.parse(text) as { userId: string; state: string }).userId)).toEqual([first.user, last.user]);
  expect((await brx(['sync', nobody])).exit).toBe(4);
});

test('drift: shown once two reports agree, mended through the ledger, audited; what has changed since is left', async () => {
  const seller = await world.seller(5, 6, 7);
  const { control } = world.simulator;
  control.setQuantity(seller.items[0]!.productId, 9);
  control.setQuantity(seller.items[1]!.productId, 8);
  control.removeProduct(seller.items[2]!.productId);
  await bulk.run(seller.user, 'report', { confirmShrink: true });
  expect(await brx(['drift', seller.user])).toMatchObject({ exit: 0, stdout: `nothing differs for ${seller.user}\n` });
  await bulk.run(seller.user, 'report');
  const shown = await brx(['drift', seller.user, '--json']);
  expect([shown.exit, (shown.json as { drift: { cause: string; ours: number; theirs: number; fix: string }[] }).drift.map(({ cause, ours, theirs, fix }) => [ours, theirs, cause, fix] as const).sort(([a], [b]) => a - b)]).toEqual([1, [[5, 9, 'more_there', 'set_here'], [6, 8, 'more_there', 'set_here'], [7, 0, 'gone', 'mark_gone']]]);
  await world.rows('UPDATE inventory_items SET updated_at = now() WHERE user_id = $1 AND item_id = $2', seller.user, seller.items[1]!.itemId);
  expect((await brx(['drift', seller.user, '--apply'])).exit).toBe(2);
  expect((await brx(['drift', seller.user, '--apply', '--reason', 'counted', '--json'])).json).toMatchObject({ applied: { done: [{}, {}], skipped: [{ subject: seller.items[1]!.itemId }] } });
  expect([...(await bulk.stock(seller.user)).values()]).toEqual([9, 6, 7]);
  expect(await world.rows("SELECT cause, on_hand FROM stock_ledger WHERE user_id = $1 AND cause = 'reconcile'", seller.user)).toEqual([{ cause: 'reconcile', on_hand: 9 }]);
  expect(await world.rows('SELECT gone FROM marketplace_listings WHERE user_id = $1 AND item_id = $2', seller.user, seller.items[2]!.itemId)).toEqual([{ gone: true }]);
  expect(await world.rows('SELECT reason FROM operator_actions WHERE target = $1 AND action = $2', seller.user, 'drift.apply')).toEqual([{ reason: 'counted' }]);
});

test('drift of a listing that is another product by now, or was tied anew: left to the next report', async () => {
  const seller = await world.seller(5, 6);
  const [sold, lost] = seller.items;
  const { control } = world.simulator;
  for (const { productId } of [sold!, lost!]) control.removeProduct(productId);
  await bulk.run(seller.user, 'report', { confirmShrink: true });
  await bulk.run(seller.user, 'report', { confirmShrink: true });
  // The seller puts one up again; CardTrader gives it another id.
  const { id } = control.addProduct(seller.sellerId, { quantity: 5, userData: sold!.itemId });
  await brx(['listings', 'link', seller.user, '--force']);
  expect((await brx(['drift', seller.user, '--apply', '--reason', 'counted', '--json'])).json).toMatchObject({ applied: { done: [{ subject: lost!.itemId, fix: 'mark_gone' }], skipped: [{ subject: sold!.itemId }] } });
  expect(await world.listing(sold!)).toMatchObject({ product_id: String(id), quantity: 5, gone: false });
});

test('drift that another report has seen anew since it was read is not mended by what the first one said', async () => {
  const seller = await world.seller(5);
  const [item] = seller.items;
  const { control } = world.simulator;
  control.setQuantity(item!.productId, 9);
  await bulk.run(seller.user, 'report');
  await bulk.run(seller.user, 'report');
  const read = await selectDrift(world.postgres.prisma, seller.user, { all: false, limit: 10 });
  expect(read).toMatchObject([{ theirs: 9 }]);
  control.setQuantity(item!.productId, 8);
  await bulk.run(seller.user, 'report');
  const deps = { postgres: world.postgres, clock: systemClock, registry: createRegistry(readConfig(world.environment).registry), topicPrefix: world.topics.prefix, ordersPatienceMs: 20_000 };
  expect(await applyFixes(deps, seller.user, read, { who: 'test', reason: 'test' })).toMatchObject({ done: [], skipped: [{ subject: item!.itemId }] });
  expect([...(await bulk.stock(seller.user)).values()]).toEqual([5]);
});

test('drift with listing sync on: what is here is pushed', async () => {
  const seller = await world.seller(5);
  const [item] = seller.items;
  await world.rows('UPDATE marketplace_sellers SET listing_sync = true WHERE user_id = $1', seller.user);
  world.simulator.control.setQuantity(item!.productId, 2);
  await bulk.run(seller.user, 'report');
  await bulk.run(seller.user, 'report');
  expect((await brx(['drift', seller.user, '--apply', '--reason', 'counted'])).exit).toBe(0);
  await until('CardTrader has it', () => Promise.resolve(item!.now()?.quantity === 5));
});

test.each([['theirs is taken over', false], ['ours is pushed', true]])('drift that is a sale nobody has heard of is left to the sale where %s', async (_, listingSync) => {
  const seller = await world.seller(5);
  const [item] = seller.items;
  // CardTrader's clock has whole seconds: a sale in the second in which the account was taken on counts as one from before.
  await world.rows("UPDATE marketplace_sellers SET listing_sync = $2, added_at = now() - interval '1 hour' WHERE user_id = $1", seller.user, listingSync);
  // Orders are read every five minutes: the first look is over, the next one is not due.
  await until('the orders have been read', async () => (await world.rows('SELECT FROM remote_order_polls WHERE user_id = $1 AND polled_at IS NOT NULL AND lease_owner IS NULL', seller.user)).length === 1);
  world.simulator.control.sell({ sellerId: seller.sellerId, productId: item!.productId, quantity: 2 });
  await bulk.run(seller.user, 'report');
  await bulk.run(seller.user, 'report');
  expect((await brx(['drift', seller.user, '--apply', '--reason', 'counted', '--json'])).json).toMatchObject({ applied: { done: [], skipped: [{ subject: item!.itemId }] } });
  await until('the sale is heard of', async () => (await world.rows("SELECT FROM stock_ledger WHERE user_id = $1 AND cause = 'cardtrader'", seller.user)).length === 1);
  await world.settled();
  expect([...(await bulk.stock(seller.user)).values()]).toEqual([3]);
  expect(item!.now()?.quantity).toBe(3);
});

test('drift while nobody reads orders: numbers are left, prices and what is gone are mended', async () => {
  const alone = await createMarketplaceWorld({ env: { ...BULK, BRX_ORDERS_SELLERS: '0' } });
  try {
    const own = bulkWorld(alone);
    await alone.startAll();
    const seller = await alone.seller(5, 6);
    const [counted, gone] = seller.items;
    alone.simulator.control.setQuantity(counted!.productId, 9);
    alone.simulator.control.removeProduct(gone!.productId);
    await own.run(seller.user, 'report');
    await own.run(seller.user, 'report');
    const deps = { postgres: alone.postgres, clock: systemClock, registry: createRegistry(readConfig(alone.environment).registry), topicPrefix: alone.topics.prefix, ordersPatienceMs: 300 };
    const found = await selectDrift(alone.postgres.prisma, seller.user, { all: false, limit: 10 });
    expect(await applyFixes(deps, seller.user, found, { who: 'test', reason: 'test' })).toMatchObject({ done: [{ subject: gone!.itemId, fix: 'mark_gone' }], skipped: [{ subject: counted!.itemId }] });
  } finally {
    await alone.close();
  }
});

test('at night each seller is reported on once, however many processes run', async () => {
  const night = await createMarketplaceWorld({ env: BULK });
  try {
    const here = bulkWorld(night);
    const sellers = [await here.stranger(1), await here.stranger(2), await here.stranger(3)];
    const now = Date.now();
    const clock = (minutes: number): string => new Date(now + minutes * 60_000).toISOString().slice(11, 16);
    // All day but the next minutes, of which one or two are left: everyone's place has come, and nobody is surprised by the end, whatever second it is.
    const env = { BRX_RECONCILE_WINDOW: `${clock(3)}-${clock(2)}` };
    await night.start(['relay', 'ingest']);
    for (let processes = 0; processes < 3; processes += 1) await night.start(['dispatcher'], env);
    const reports = (): Promise<{ user_id: string; n: number }[]> => night.rows("SELECT user_id, count(*)::int AS n FROM bulk_sync_jobs WHERE scheduled AND state = 'DONE' GROUP BY user_id");
    await until('all are reported on', async () => (await reports()).length === sellers.length, { timeoutMs: 110_000 }); // the place of one in a thousand comes in the last minutes
    expect((await reports()).every(({ n }) => n === 1)).toBe(true);
  } finally {
    await night.close();
  }
});

test('nobody applies what is sent: who has to, and since when', async () => {
  const alone = await createMarketplaceWorld({ env: BULK });
  try {
    const here = bulkWorld(alone);
    const seller = await here.stranger(1, 2);
    await alone.start(['dispatcher']);
    const jobId = await here.ask(seller.user, 'report');
    await until('a chunk is sent', async () => (await alone.rows("SELECT FROM bulk_sync_chunks WHERE state = 'SENT'")).length === 1);
    const show = async (): Promise<string> => (await commandLine(alone.environment).brx(['sync', 'show', jobId])).stdout;
    expect(await show()).not.toContain('on their way');
    await alone.rows("UPDATE bulk_sync_chunks SET sent_at = now() - interval '2 minutes'");
    expect(await show()).toMatch(/chunks are on their way since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: .*the role ingest/);
  } finally {
    await alone.close();
  }
});
