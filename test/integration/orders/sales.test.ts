import { afterAll, beforeAll, expect, test } from 'vitest';
import { addSeller, linkListings, openToken } from '../../../src/marketplace/index.ts';
import { selectOrders } from '../../../src/orders/index.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { change, line, purchase, randomUuid } from '../../support/events.ts';
import type { ListedItem, ListedSeller } from '../../support/marketplace-world.ts';
import { createOrdersWorld, type OrdersWorld } from '../../support/orders-world.ts';
import { stockOf } from '../../support/sales.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects: what is sold and called off on CardTrader changes stock here once, by the order's state (cardtrader.md section 8), found by
 * the poll alone; with the answers of CardTrader and everything of ours in between.
 */
let world: OrdersWorld;

beforeAll(async () => {
  world = await createOrdersWorld();
  await world.startAll();
});
afterAll(() => world.close());

async function one(copies: number): Promise<{ seller: ListedSeller; item: ListedItem }> {
  const seller = await world.seller(copies);
  return { seller, item: seller.items[0]! };
}
const move = (orderId: number, ...events: ('ship' | 'arrive' | 'review' | 'request_cancellation' | 'confirm_cancellation' | 'refuse_cancellation' | 'cancel' | 'lose')[]): void => {
  for (const event of events) expect(world.simulator.control.moveOrder(orderId, { event })).toBeDefined();
};
const line0 = (orderId: number): number => world.simulator.control.order(orderId)!.lines[0]!.id;

test.concurrent('a direct sale: once, whatever becomes of it, and the upstream is told', async () => {
  const { seller, item } = await one(5);
  const order = world.sell(item, 2);
  await world.has(item, 3);
  for (const event of ['ship', 'arrive', 'review'] as const) {
    move(order, event);
    await world.polled(seller);
  }
  expect(await world.sold(item)).toEqual([-2]);
  expect(await world.levels(item.user)).toMatchObject([{ item_id: item.itemId, on_hand: 3, held: 0, cause: 'remote_sale' }]);
  expect(item.now()?.quantity).toBe(3); // no echo: CardTrader has lowered it itself
});

test.concurrent('CT Zero: where it was sold, and not again at the week’s end', async () => {
  const { seller, item } = await one(5);
  world.sell(item, 1, { viaZero: true });
  world.sell(item, 1, { viaZero: true });
  await world.has(item, 3);
  const merged = world.simulator.control.mergeHub(seller.sellerId);
  await world.polled(seller);
  move(merged!.id, 'ship', 'arrive');
  await world.polled(seller);
  expect(await world.sold(item)).toEqual([-1, -1]);
});

test.concurrent('CT Zero of which nothing was seen before the week’s end', async () => {
  const { seller, item } = await one(5);
  await world.rows("UPDATE marketplace_sellers SET status = 'paused' WHERE user_id = $1", item.user);
  world.sell(item, 2, { viaZero: true });
  world.simulator.control.mergeHub(seller.sellerId);
  await world.rows("UPDATE marketplace_sellers SET status = 'active' WHERE user_id = $1", item.user);
  await world.has(item, 3);
  expect(await world.sold(item)).toEqual([-2]);
});

test.concurrent('a presale: where it was sold, not in the order that follows when it is out', async () => {
  const { seller, item } = await one(5);
  const order = world.sell(item, 1, { viaZero: true, presale: true });
  await world.has(item, 4);
  world.simulator.control.endPresale(order);
  await world.polled(seller);
  world.simulator.control.mergeHub(seller.sellerId);
  await world.polled(seller);
  expect(await world.sold(item)).toEqual([-1]);
});

test.concurrent('a cancellation that is asked for, refused, asked for again: nothing comes back', async () => {
  const { seller, item } = await one(5);
  const order = world.sell(item, 1);
  await world.has(item, 4);
  for (const event of ['request_cancellation', 'refuse_cancellation', 'request_cancellation'] as const) {
    move(order, event);
    await world.polled(seller);
  }
  expect(await world.sold(item)).toEqual([-1]);
});

test.concurrent('cancelled, and on sale again: back', async () => {
  const { item } = await one(5);
  await world.settledClock(item);
  const order = world.sell(item, 2);
  await world.has(item, 3);
  move(order, 'request_cancellation');
  world.simulator.control.moveOrder(order, { event: 'confirm_cancellation', relist: true });
  expect(item.now()?.quantity).toBe(5);
  await world.has(item, 5);
  expect(await world.sold(item)).toEqual([-2, 2]);
  expect((await world.levels(item.user)).map(({ cause, on_hand }) => [cause, on_hand])).toEqual([['remote_sale', 3], ['remote_cancel', 5]]);
});

test.concurrent('cancelled, and not on sale again: gone', async () => {
  const { seller, item } = await one(5);
  await world.settledClock(item);
  const order = world.sell(item, 2);
  await world.has(item, 3);
  move(order, 'cancel');
  await until('it is counted', async () => (await world.rows('SELECT FROM remote_order_lines WHERE user_id = $1 AND kept = 2', item.user)).length === 1, { timeoutMs: 20_000 });
  await world.polled(seller);
  expect(await world.sold(item)).toEqual([-2]);
});

test.concurrent('the last copy, cancelled and listed anew under another id: back', async () => {
  const { item } = await one(1);
  await world.settledClock(item);
  const order = world.sell(item, 1);
  await world.has(item, 0);
  world.simulator.control.moveOrder(order, { event: 'cancel', relist: true });
  expect(item.now()?.id).not.toBe(item.productId);
  await world.has(item, 1);
  const again = world.sell(item, 1); // by the text of the new product: its id belongs to nothing here
  await world.has(item, 0);
  expect(world.simulator.control.order(again)?.lines[0]?.product.id).not.toBe(item.productId);
});

test.concurrent('one line of two is taken out, and on sale again', async () => {
  const seller = await world.seller(5, 5);
  const [first, second] = seller.items as [ListedItem, ListedItem];
  await world.settledClock(first);
  const sold = world.simulator.control.sell({ sellerId: seller.sellerId, lines: seller.items.map(({ productId }) => ({ productId, quantity: 2 })) });
  if (!sold.sold) throw new Error(sold.reason);
  await world.has(first, 3);
  await world.has(second, 3);
  world.simulator.control.cancelLine(sold.order.id, line0(sold.order.id), { relist: true });
  await world.has(first, 5);
  expect([await world.onHand(first), await world.onHand(second)]).toEqual([5, 3]);
});

test.concurrent('lost on the way: gone', async () => {
  const { seller, item } = await one(5);
  const order = world.sell(item, 1);
  move(order, 'ship', 'lose');
  await world.has(item, 4);
  await world.polled(seller);
  expect(await world.sold(item)).toEqual([-1]);
});

test.concurrent('what the account bought itself is no sale', async () => {
  const { seller, item } = await one(5);
  world.sell(item, 1, { as: 'buyer' });
  world.sell(item, 1);
  await world.has(item, 4);
  await world.polled(seller);
  expect(await world.rows('SELECT FROM remote_orders WHERE user_id = $1', item.user)).toHaveLength(1);
});

test.concurrent('sold there of what is here no more: 0, drifted, and told; a SET settles it', async () => {
  const { seller, item } = await one(2);
  await world.send(change({ user_id: item.user, item_id: item.itemId, quantity: 1 }));
  await world.has(item, 1);
  world.sell(item, 2);
  await world.has(item, 0);
  await world.polled(seller);
  expect(await stockOf(world, item.user, item.itemId)).toEqual({ on_hand: 0, held: 0, flags: 2 });
  expect(await world.rows('SELECT FROM dead_letters WHERE user_id = $1', item.user)).toEqual([]);
  expect(await world.levels(item.user)).toMatchObject([{ on_hand: 0, cause: 'remote_sale' }]);
});

test.concurrent('a product that is tied to nothing: seen, no effect; once it is linked, sold', async () => {
  const { seller, item } = await one(1);
  const itemId = randomUuid();
  const product = world.simulator.control.addProduct(seller.sellerId, { quantity: 3, userData: itemId });
  world.simulator.control.sell({ sellerId: seller.sellerId, productId: product.id, quantity: 1 });
  await world.polled(seller);
  expect(await selectOrders(world.postgres.prisma, item.user, { unmapped: true, unresolved: false, limit: 10 })).toMatchObject([{ unmapped: 1, out: 0, copies: 1 }]);
  const stray: ListedItem = { ...item, itemId, productId: product.id };
  await world.send(change({ user_id: item.user, item_id: itemId, quantity: 3 }));
  await world.has(stray, 2);
  expect(await selectOrders(world.postgres.prisma, item.user, { unmapped: true, unresolved: false, limit: 10 })).toEqual([]);
});

test.concurrent('orders from before the account was taken on are in the stock that was reported', async () => {
  const user = randomUuid();
  const account = world.simulator.control.addSeller();
  const itemId = randomUuid();
  const { id: productId } = world.simulator.control.addProduct(account.id, { quantity: 5, userData: itemId });
  world.simulator.control.sell({ sellerId: account.id, productId, quantity: 1 });
  await world.send(change({ user_id: user, item_id: itemId, quantity: 4 }));
  const item: ListedItem = { user, sellerId: account.id, itemId, productId, now: () => world.simulator.control.product(productId) };
  await world.has(item, 4);
  const deps = { postgres: world.postgres, keyring: world.access.keyring, client: world.access.client };
  await addSeller(deps, user, account.token, { otherAccount: false, who: 'test', reason: 'test' });
  await linkListings({ postgres: world.postgres, clock: systemClock, client: world.access.client }, { userId: user, token: await openToken(deps, user) }, { who: 'test', force: false });
  world.sell(item, 1);
  await world.has(item, 3);
  await world.polled({ user });
  expect(await world.sold(item)).toEqual([-1]);
  expect((await world.rows<{ counting: string }>('SELECT counting FROM remote_order_lines WHERE user_id = $1 ORDER BY line_id', user)).map(({ counting }) => counting)).toEqual(['before', 'sold']);
});

test.concurrent('another account instead: what that one had sold before is in the stock that is there, and what it sells from then on counts', async () => {
  const { seller, item } = await one(5);
  world.sell(item, 1);
  await world.has(item, 4);
  const { control } = world.simulator;
  const account = control.addSeller();
  const product = control.addProduct(account.id, { quantity: 6, userData: item.itemId });
  const sell = (quantity: number): void => expect(control.sell({ sellerId: account.id, productId: product.id, quantity })).toMatchObject({ sold: true });
  sell(2);
  const deps = { postgres: world.postgres, keyring: world.access.keyring, client: world.access.client };
  await addSeller(deps, seller.user, account.token, { otherAccount: true, who: 'test', reason: 'test' });
  await world.polled(seller);
  expect(await world.onHand(item)).toBe(4);
  expect(await world.rows("SELECT counting FROM remote_order_lines WHERE user_id = $1 AND product_id = $2", seller.user, product.id)).toEqual([{ counting: 'before' }]);
  sell(1);
  await world.polled(seller);
  expect(await world.onHand(item)).toBe(3);
});

test.concurrent('the last copy is sold on both sides within the same moment: one sale stands, and stock here and there is 0', async () => {
  const { seller, item } = await one(1);
  const sale = purchase({ user_id: item.user, lines: [line(item.itemId, 1)] });
  world.simulator.control.inject({ kind: 'sale_after_read', quantity: 1, when: { sellerId: seller.sellerId } });
  await world.send(sale);
  await world.reached(['COMPENSATED'], sale);
  await world.has(item, 0);
  await world.polled(seller);
  expect(await stockOf(world, item.user, item.itemId)).toMatchObject({ on_hand: 0, held: 0 });
  expect(item.now()).toBeUndefined();
  expect(await world.sold(item)).toEqual([-1]);
});

test.concurrent('many orders, over pages', async () => {
  const { seller, item } = await one(400);
  for (let n = 0; n < 230; n += 1) world.sell(item, 1);
  await world.has(item, 170);
  await world.polled(seller);
  expect(await world.sold(item)).toHaveLength(230);
  expect(world.simulator.control.densestWindow(seller.sellerId)).toBeLessThanOrEqual(200);
});
