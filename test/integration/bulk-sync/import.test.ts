import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { InventoryLevel } from '../../../src/contract/index.ts';
import { claimPolls, releasePolls } from '../../../src/orders/polls.sql.ts';
import { inTransaction } from '../../../src/platform/postgres/index.ts';
import { BULK, bulkWorld, type BulkWorld, type Stranger } from '../../support/bulk-world.ts';
import { commandLine, type Ran } from '../../support/cli.ts';
import { change, randomUuid } from '../../support/events.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { readDecoded } from '../../support/topic.ts';
import { until } from '../../support/wait.ts';

/** Protects: what CardTrader has becomes the stock here, each product once, with the upstream told; nothing that is newer than the export is overwritten. */
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
afterEach(() => expect(world.simulator.control.waitingFaults()).toEqual([]));

const there = ({ sellerId }: Stranger): Map<number, number> => new Map(world.simulator.control.products(sellerId).map(({ id, quantity }) => [id, quantity]));

async function levels(user: string): Promise<InventoryLevel[]> {
  await world.published();
  return (await readDecoded<InventoryLevel>(world.topics, world.topics.levels)).filter(({ key }) => key === user).map(({ event }) => event);
}

describe('adopt-remote', () => {
  test('a seller is imported: items, listings, ledger rows and levels, in chunks of their own', async () => {
    const seller = await bulk.stranger(...Array.from({ length: 23 }, (_, index) => index + 1));
    const job = await bulk.run(seller.user, 'adopt-remote');
    expect(job).toMatchObject({ state: 'DONE', problem: null, products: 23, chunks: 5, done: 5, parked: 0, created: 23, ordersRead: true, unmapped: 23 });
    expect(await bulk.stock(seller.user)).toEqual(there(seller));
    expect(await world.rows("SELECT cause, kind FROM stock_ledger WHERE user_id = $1 GROUP BY cause, kind", seller.user)).toEqual([{ cause: 'import', kind: 'S' }]);
    expect((await levels(seller.user)).map(({ on_hand, cause }) => [on_hand, cause]).sort(([a], [b]) => Number(a) - Number(b))).toEqual(Array.from({ length: 23 }, (_, index) => [index + 1, 'import']));
    const [listing] = await world.rows<{ product: { name: string | null; properties: Record<string, unknown> } }>('SELECT product FROM marketplace_listings WHERE user_id = $1 LIMIT 1', seller.user);
    expect(listing?.product.name).toEqual(expect.any(String));
    expect(Object.values(listing?.product.properties ?? {})).toContainEqual(expect.any(Boolean));
    expect(new Set((await bulk.findings(job.jobId)).filter(({ kind }) => kind === 'unmapped').map(({ cause }) => cause))).toEqual(new Set(['no_catalogue']));
  });

  test('once more: nothing is written, and every product is the same', async () => {
    const seller = await bulk.stranger(1, 2, 3);
    await bulk.run(seller.user, 'adopt-remote');
    const before = await world.rows('SELECT * FROM inventory_items WHERE user_id = $1 ORDER BY item_id', seller.user);
    const ledger = await world.rows('SELECT FROM stock_ledger WHERE user_id = $1', seller.user);
    expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', created: 0, adopted: 0, same: 3 });
    expect(await world.rows('SELECT * FROM inventory_items WHERE user_id = $1 ORDER BY item_id', seller.user)).toEqual(before);
    expect(await world.rows('SELECT FROM stock_ledger WHERE user_id = $1', seller.user)).toHaveLength(ledger.length);
  });

  test('a dry run says what would come of it, and writes no stock', async () => {
    const seller = await bulk.stranger(4, 5);
    const job = await bulk.run(seller.user, 'adopt-remote', { dryRun: true });
    expect(job).toMatchObject({ state: 'DONE', dryRun: true, created: 2 });
    expect((await bulk.findings(job.jobId)).filter(({ kind }) => kind === 'created')).toHaveLength(2);
    expect(await world.rows('SELECT FROM inventory_items WHERE user_id = $1', seller.user)).toEqual([]);
  });

  test('an item with another number of copies takes CardTrader’s, through the ledger; one that names it is tied to it', async () => {
    const seller = await world.seller(5, 6);
    const [first, second] = seller.items;
    await world.rows('DELETE FROM marketplace_listings WHERE user_id = $1 AND item_id = $2', seller.user, second!.itemId);
    world.simulator.control.setQuantity(first!.productId, 9);
    expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', adopted: 1, linked: 1, created: 0, same: 0 });
    expect(await bulk.stock(seller.user)).toEqual(new Map([[first!.productId, 9], [second!.productId, 6]]));
  });

  test('changed since the export was taken: left alone', async () => {
    const seller = await bulk.stranger(...Array.from({ length: 12 }, () => 3));
    await bulk.run(seller.user, 'adopt-remote');
    for (const { id } of seller.products) world.simulator.control.setQuantity(id, 8);
    world.simulator.control.inject({ kind: 'slow_loris', delayMs: 1_500, when: { sellerId: seller.sellerId, path: '/products/export' } });
    const jobId = await bulk.ask(seller.user, 'adopt-remote');
    await until('the export to be under way', async () => (await world.rows("SELECT FROM bulk_sync_jobs WHERE job_id = $1 AND state = 'EXPORTING'", jobId)).length === 1);
    const [item] = await world.rows<{ item_id: string }>('UPDATE inventory_items SET on_hand = 7, updated_at = now() WHERE (user_id, item_id) IN (SELECT user_id, item_id FROM marketplace_listings WHERE user_id = $1 AND product_id = $2) RETURNING item_id', seller.user, seller.products[4]!.id);
    expect(await bulk.over(jobId)).toMatchObject({ state: 'DONE', adopted: 11, left: 1 });
    expect((await bulk.findings(jobId)).filter(({ kind }) => kind === 'left')).toMatchObject([{ cause: 'changed_since', itemId: item!.item_id }]);
    expect((await bulk.stock(seller.user)).get(seller.products[4]!.id)).toBe(7);
  });

  test('sold there and not in stock yet: left to the sale, which would else be counted twice', async () => {
    const seller = await world.seller(5);
    const [item] = seller.items;
    // CardTrader's clock has whole seconds: a sale in the second in which the account was taken on counts as one from before.
    await world.rows("UPDATE marketplace_sellers SET added_at = now() - interval '1 hour' WHERE user_id = $1", seller.user);
    // The news of the sale waits behind a parked event.
    await world.rows("INSERT INTO parked_users (user_id, reason, error) VALUES ($1, 'data', 'by the test')", seller.user);
    world.simulator.control.sell({ sellerId: seller.sellerId, productId: item!.productId, quantity: 2 });
    await world.rows('UPDATE remote_order_polls SET next_poll_at = now() WHERE user_id = $1', seller.user);
    await until('the sale waits', async () => (await world.rows('SELECT FROM parked_events WHERE user_id = $1', seller.user)).length === 1);
    const job = await bulk.run(seller.user, 'adopt-remote');
    expect(job).toMatchObject({ state: 'DONE', adopted: 0, left: 1, ordersRead: true });
    expect((await bulk.findings(job.jobId)).filter(({ kind }) => kind === 'left')).toMatchObject([{ cause: 'changed_since', itemId: item!.itemId }]);
    expect((await brx(['parked', 'retry', seller.user])).exit).toBe(0);
    expect(await bulk.stock(seller.user)).toEqual(new Map([[item!.productId, 3]]));
    expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', same: 1, left: 0 });
  });

  test('of a parked user nothing is taken in: what waits would come on top of it, and bring back what was sold there since', async () => {
    const seller = await bulk.stranger();
    const itemId = randomUuid();
    const { id: productId } = world.simulator.control.addProduct(seller.sellerId, { quantity: 5, userData: itemId });
    await world.rows("UPDATE marketplace_sellers SET added_at = now() - interval '1 hour' WHERE user_id = $1", seller.user);
    await world.rows("INSERT INTO parked_users (user_id, reason, error) VALUES ($1, 'data', 'by the test')", seller.user);
    await world.send(change({ user_id: seller.user, item_id: itemId, quantity: 5 }));
    await until('the item waits', async () => (await world.rows('SELECT FROM parked_events WHERE user_id = $1', seller.user)).length === 1);
    world.simulator.control.sell({ sellerId: seller.sellerId, productId, quantity: 2 });
    expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', created: 0, left: 1 });
    expect((await brx(['parked', 'retry', seller.user])).exit).toBe(0);
    await world.rows('UPDATE remote_order_polls SET next_poll_at = now(), polled_at = NULL WHERE user_id = $1', seller.user);
    await until('the orders are read', async () => (await world.rows('SELECT FROM remote_order_polls WHERE user_id = $1 AND polled_at IS NOT NULL AND lease_owner IS NULL', seller.user)).length === 1);
    await world.published();
    await world.caughtUp();
    expect(await world.rows('SELECT on_hand FROM inventory_items WHERE user_id = $1 AND item_id = $2', seller.user, itemId)).toEqual([{ on_hand: 3 }]);
    expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', linked: 1, left: 0 });
  });

  /*
   *   a look: claimed, list read ─► 2 of 5 are sold there ─► export: 3 ─► the look ends ─► has the list been read since the export? No: 3 here would lose 2 more when the sale is heard of.
   */
  test('orders that were read before the export do not count as read, though the look at them ended after it', async () => {
    const seller = await world.seller(5);
    const [item] = seller.items;
    await world.rows("UPDATE marketplace_sellers SET added_at = now() - interval '1 hour' WHERE user_id = $1", seller.user);
    await until('the first look is over', async () => (await world.rows('SELECT FROM remote_order_polls WHERE user_id = $1 AND polled_at IS NOT NULL AND lease_owner IS NULL', seller.user)).length === 1);
    const look = randomUuid();
    const [claimed] = await inTransaction(world.postgres, async (tx) => {
      await tx.$executeRawUnsafe("UPDATE remote_order_polls SET next_poll_at = '2000-01-01' WHERE user_id = $1::uuid", seller.user);
      return claimPolls(tx, look, { leaseSeconds: 60, most: 1, but: [] });
    });
    expect(claimed?.userId).toBe(seller.user);

    world.simulator.control.sell({ sellerId: seller.sellerId, productId: item!.productId, quantity: 2 });
    const jobId = await bulk.ask(seller.user, 'adopt-remote');
    await until('it waits for the orders', async () => (await world.rows("SELECT FROM bulk_sync_jobs AS j JOIN remote_order_polls AS p USING (user_id) WHERE job_id = $1 AND state = 'APPLYING' AND next_poll_at > applying_at", jobId)).length === 1);
    await inTransaction(world.postgres, (tx) => releasePolls(tx, look, [{ ...claimed!, complete: true, problem: null, nextSeconds: 300 }]));
    expect(await bulk.over(jobId)).toMatchObject({ state: 'DONE', ordersRead: true, adopted: 0, left: 1 });
    await world.published();
    await world.caughtUp();
    expect(await bulk.stock(seller.user)).toEqual(new Map([[item!.productId, 3]]));
  });

  describe('imported once, and its listing forgotten', () => {
    async function forgotten(copies: number): Promise<{ seller: Stranger; itemId: string; onHand: () => Promise<number | undefined> }> {
      const seller = await bulk.stranger(copies);
      await bulk.run(seller.user, 'adopt-remote');
      const [item] = await world.rows<{ item_id: string }>('SELECT item_id FROM inventory_items WHERE user_id = $1', seller.user);
      expect((await brx(['listings', 'unlink', seller.user, item!.item_id, '--reason', 'test'])).exit).toBe(0);
      const onHand = async () => (await world.rows<{ on_hand: number }>('SELECT on_hand FROM inventory_items WHERE user_id = $1', seller.user))[0]?.on_hand;
      return { seller, itemId: item!.item_id, onHand };
    }

    test('it is the same item, and what changed since the export was taken is not overwritten', async () => {
      const { seller, itemId, onHand } = await forgotten(5);
      world.simulator.control.inject({ kind: 'slow_loris', delayMs: 1_500, when: { sellerId: seller.sellerId, path: '/products/export' } });
      const jobId = await bulk.ask(seller.user, 'adopt-remote');
      await until('the export to be under way', async () => (await world.rows("SELECT FROM bulk_sync_jobs WHERE job_id = $1 AND state = 'EXPORTING'", jobId)).length === 1);
      await world.rows('UPDATE inventory_items SET on_hand = 2, updated_at = now() WHERE user_id = $1', seller.user);
      expect(await bulk.over(jobId)).toMatchObject({ state: 'DONE', created: 0, left: 1 });
      expect((await bulk.findings(jobId)).filter(({ kind }) => kind === 'left')).toMatchObject([{ cause: 'changed_since', itemId }]);
      expect(await onHand()).toBe(2);
    });

    test('a sale from before the export that ties it again takes nothing more', async () => {
      const { seller, onHand } = await forgotten(5);
      await world.rows("UPDATE marketplace_sellers SET added_at = now() - interval '1 hour' WHERE user_id = $1", seller.user);
      world.simulator.control.sell({ sellerId: seller.sellerId, productId: seller.products[0]!.id, quantity: 2 });
      await world.rows('UPDATE remote_order_polls SET next_poll_at = now() WHERE user_id = $1', seller.user);
      await until('the sale is known, and tied to nothing', async () => (await world.rows('SELECT FROM remote_order_lines WHERE user_id = $1 AND item_id IS NULL', seller.user)).length === 1);
      expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', created: 0, adopted: 1 });
      await world.rows('UPDATE remote_order_polls SET next_poll_at = now(), polled_at = NULL WHERE user_id = $1', seller.user);
      await until('the orders are read', async () => (await world.rows('SELECT FROM remote_order_polls WHERE user_id = $1 AND polled_at IS NOT NULL', seller.user)).length === 1);
      await world.published();
      await world.caughtUp();
      expect(await onHand()).toBe(3);
    });
  });

  test('an item whose product came back while another one names it is left alone, and stops no other', async () => {
    const seller = await bulk.stranger(5, 6);
    await bulk.run(seller.user, 'adopt-remote');
    const [item] = await world.rows<{ item_id: string }>('SELECT item_id FROM marketplace_listings WHERE user_id = $1 AND product_id = $2', seller.user, seller.products[0]!.id);
    await world.rows('UPDATE marketplace_listings SET gone = true WHERE user_id = $1 AND item_id = $2', seller.user, item!.item_id);
    world.simulator.control.addProduct(seller.sellerId, { quantity: 4, userData: item!.item_id });
    world.simulator.control.addProduct(seller.sellerId, { quantity: 1 });
    const job = await bulk.run(seller.user, 'adopt-remote');
    expect(job).toMatchObject({ state: 'DONE', chunks: 1, parked: 0, same: 1, created: 1, left: 2 });
    expect((await bulk.findings(job.jobId)).filter(({ kind }) => kind === 'left')).toMatchObject([{ cause: 'ambiguous', itemId: item!.item_id }, { cause: 'ambiguous', itemId: item!.item_id }]);
  });

  test('a product two of which name one item is left alone, and told', async () => {
    const seller = await world.seller(2);
    const [item] = seller.items;
    world.simulator.control.addProduct(seller.sellerId, { quantity: 4, priceCents: 77, userData: item!.itemId });
    const job = await bulk.run(seller.user, 'adopt-remote');
    expect(job).toMatchObject({ state: 'DONE', left: 2, adopted: 0, created: 0 });
    expect(await bulk.stock(seller.user)).toEqual(new Map([[item!.productId, 2]]));
  });

  test('sold before it was imported: the sale is not counted a second time', async () => {
    const seller = await bulk.stranger(5);
    const [product] = seller.products;
    world.simulator.control.sell({ sellerId: seller.sellerId, productId: product!.id, quantity: 2 });
    const [clock] = await world.rows<{ at: Date }>('SELECT clock_timestamp() AS at');
    await until('CardTrader’s clock goes on', () => Promise.resolve(Date.now() > clock!.at.getTime() + 2_100));
    await bulk.run(seller.user, 'adopt-remote');
    expect(await bulk.stock(seller.user)).toEqual(new Map([[product!.id, 3]]));
    await world.rows('UPDATE remote_order_polls SET next_poll_at = now(), polled_at = NULL WHERE user_id = $1', seller.user);
    await until('the orders are read', async () => (await world.rows('SELECT FROM remote_order_polls WHERE user_id = $1 AND polled_at IS NOT NULL', seller.user)).length === 1);
    await world.published();
    await world.caughtUp();
    expect(await bulk.stock(seller.user)).toEqual(new Map([[product!.id, 3]]));
  });
});

describe('report and push-local', () => {
  test('a report changes nothing, and names what differs and why', async () => {
    const seller = await world.seller(5, 6, 7, 8);
    const { control } = world.simulator;
    control.setQuantity(seller.items[0]!.productId, 9);
    control.setQuantity(seller.items[1]!.productId, 1);
    control.removeProduct(seller.items[2]!.productId);
    const extra = control.addProduct(seller.sellerId, { quantity: 3, priceCents: 5 });
    const job = await bulk.run(seller.user, 'report', { confirmShrink: true });
    expect(job).toMatchObject({ state: 'DONE', drifted: 3, same: 1 });
    const drifted = (await bulk.findings(job.jobId)).filter(({ kind }) => kind === 'drifted').map(({ cause, productId, ours, theirs }) => [cause, productId, ours, theirs]);
    expect(drifted.sort(([, a], [, b]) => Number(a) - Number(b))).toEqual([
      ['more_there', seller.items[0]!.productId, 5, 9],
      ['fewer_there', seller.items[1]!.productId, 6, 1],
      ['gone', seller.items[2]!.productId, 7, 0],
      ['not_here', extra.id, null, 3],
    ]);
    expect([...(await bulk.stock(seller.user)).values()]).toEqual([5, 6, 7, 8]);
  });

  test('a difference counts once two reports agree on it, and is over when a report does not find it', async () => {
    const seller = await world.seller(5, 6);
    world.simulator.control.setQuantity(seller.items[0]!.productId, 9);
    const drift = (): Promise<{ cause: string; confirmed: boolean; theirs: number }[]> => world.rows('SELECT cause, confirmed, theirs FROM drift WHERE user_id = $1', seller.user);
    await bulk.run(seller.user, 'report');
    expect(await drift()).toEqual([{ cause: 'more_there', confirmed: false, theirs: 9 }]);
    world.simulator.control.setQuantity(seller.items[0]!.productId, 8);
    await bulk.run(seller.user, 'report');
    expect(await drift()).toEqual([{ cause: 'more_there', confirmed: false, theirs: 8 }]);
    await bulk.run(seller.user, 'report');
    expect(await drift()).toEqual([{ cause: 'more_there', confirmed: true, theirs: 8 }]);
    world.simulator.control.setQuantity(seller.items[0]!.productId, 5);
    await bulk.run(seller.user, 'report');
    expect(await drift()).toEqual([]);
  });

  test('push-local: CardTrader gets what is here, also where it has fewer', async () => {
    const seller = await world.seller(5, 6, 7);
    const { control } = world.simulator;
    await world.rows('UPDATE marketplace_sellers SET listing_sync = true WHERE user_id = $1', seller.user);
    control.setQuantity(seller.items[0]!.productId, 9);
    control.setQuantity(seller.items[1]!.productId, 1);
    expect(await bulk.run(seller.user, 'push-local')).toMatchObject({ state: 'DONE', pushed: 2, same: 1, adopted: 0 });
    await world.settled();
    expect(seller.items.map((item) => item.now()?.quantity)).toEqual([5, 6, 7]);
  });

  test('push-local without listing sync, and a second job beside one, are refused', async () => {
    const seller = await world.seller(5);
    await expect(bulk.ask(seller.user, 'push-local')).rejects.toMatchObject({ code: 'BRX_REFUSED', message: expect.stringContaining('listing sync') as string });
    await world.rows("UPDATE marketplace_sellers SET status = 'active', lease_until = NULL WHERE user_id = $1", seller.user);
    world.simulator.control.inject({ kind: 'slow_answer', delayMs: 1_000, when: { sellerId: seller.sellerId, path: '/products/export' } });
    const jobId = await bulk.ask(seller.user, 'report');
    await expect(bulk.ask(seller.user, 'report')).rejects.toMatchObject({ code: 'BRX_REFUSED', message: expect.stringContaining('under way') as string });
    await bulk.over(jobId);
  });
});
