import { afterAll, beforeAll, expect, test } from 'vitest';
import { createOrdersWorld, type OrdersWorld } from '../../support/orders-world.ts';

/** Protects: the same where CardTrader tells less than its documentation says (cardtrader.md sections 3.4, 4, 8). */
let world: OrdersWorld;

beforeAll(async () => {
  world = await createOrdersWorld({ guesses: { orderLineProductId: 'null', hubPendingOrderId: 'null', orderListSellerPrice: false, orderDates: 'change', orderAsDefault: 'all', relistedProduct: 'same', soldOut: 'keep' } });
  await world.startAll();
});
afterAll(() => world.close());

test.concurrent('no product id: by the item’s id in user_data_field', async () => {
  const seller = await world.seller(5, 5);
  world.sell(seller.items[1]!, 2);
  await world.has(seller.items[1]!, 3);
  expect(await world.onHand(seller.items[0]!)).toBe(5);
});

test.concurrent('CT Zero that does not say where it was sold: hub, week’s end, cancelled merged order', async () => {
  const seller = await world.seller(5);
  const item = seller.items[0]!;
  await world.settledClock(item);
  world.sell(item, 2, { viaZero: true });
  await world.has(item, 3);
  const merged = world.simulator.control.mergeHub(seller.sellerId)!;
  await world.polled(seller);
  expect(await world.sold(item)).toEqual([-2]);
  await world.settledClock(item);
  world.simulator.control.moveOrder(merged.id, { event: 'cancel', relist: true });
  await world.has(item, 5);
});

test.concurrent('a presale that does not say it', async () => {
  const seller = await world.seller(5);
  const item = seller.items[0]!;
  const order = world.sell(item, 1, { viaZero: true, presale: true });
  await world.has(item, 4);
  world.simulator.control.endPresale(order);
  await world.polled(seller);
  world.simulator.control.mergeHub(seller.sellerId);
  await world.polled(seller);
  expect(await world.sold(item)).toEqual([-1]);
});

test.concurrent('the last copy, cancelled and on sale again under its old id', async () => {
  const seller = await world.seller(1);
  const item = seller.items[0]!;
  await world.settledClock(item);
  const order = world.sell(item, 1);
  await world.has(item, 0);
  world.simulator.control.moveOrder(order, { event: 'cancel', relist: true });
  await world.has(item, 1);
});
