import { afterAll, beforeAll, expect, test } from 'vitest';
import { change } from '../../support/events.ts';
import { createOrdersWorld, type OrdersWorld } from '../../support/orders-world.ts';
import { until } from '../../support/wait.ts';

/** Protects: whatever happens to calls, to processes and to the topic, a sale on CardTrader takes its copies once. */
let world: OrdersWorld;

beforeAll(async () => {
  world = await createOrdersWorld();
  await world.startAll();
});
afterAll(() => world.close());

test.concurrent('calls that fail in every way: seen all the same, once', async () => {
  const seller = await world.seller(30);
  const item = seller.items[0]!;
  for (const kind of ['error_before_apply', 'reset_before_apply', 'html_error', 'throttled', 'reset_mid_body', 'edge_403'] as const) {
    world.simulator.control.inject({ kind, when: { sellerId: seller.sellerId, path: '/orders' } });
    world.sell(item, 1);
  }
  await world.has(item, 24);
  expect(await world.sold(item)).toHaveLength(6);
});

test.concurrent('a revoked token: nothing more is called until there is another one; then all is found', async () => {
  const seller = await world.seller(5);
  const item = seller.items[0]!;
  world.simulator.control.revokeToken(seller.sellerId);
  await until('it is noticed', async () => (await world.rows("SELECT FROM marketplace_sellers WHERE user_id = $1 AND status = 'token_rejected'", seller.user)).length === 1, { timeoutMs: 20_000 });
  world.sell(item, 2);
  const { addSeller } = await import('../../../src/marketplace/index.ts');
  await addSeller({ postgres: world.postgres, keyring: world.access.keyring, client: world.access.client }, seller.user, world.simulator.control.regenerateToken(seller.sellerId), { otherAccount: false, who: 'test', reason: 'test' });
  await world.has(item, 3);
});

test.concurrent('an order the database refuses is set aside, and stops no other', async () => {
  const seller = await world.seller(5);
  const item = seller.items[0]!;
  await world.rows(`ALTER TABLE remote_orders ADD CONSTRAINT refused_by_test CHECK (user_id <> '${seller.user}' OR state <> 'lost') NOT VALID`);
  const [bad, good] = [world.sell(item, 1), world.sell(item, 2)];
  for (const event of ['ship', 'lose'] as const) world.simulator.control.moveOrder(bad, { event });
  await until('the other is seen', async () => (await world.rows("SELECT FROM remote_orders WHERE user_id = $1 AND order_id = $2 AND state = 'paid'", seller.user, good)).length === 1, { timeoutMs: 20_000 });
  await until('it is set aside', async () => (await world.rows('SELECT FROM remote_orders WHERE user_id = $1 AND order_id = $2', seller.user, bad)).length === 1);
  await world.rows('ALTER TABLE remote_orders DROP CONSTRAINT refused_by_test');
  await world.has(item, 2); // once it can be kept, it counts
});

test('several processes look at many sellers at once: each sale once, and never more than the limit', async () => {
  const sellers = await Promise.all(Array.from({ length: 12 }, () => world.seller(6)));
  const others = await Promise.all([world.start(['dispatcher']), world.start(['dispatcher', 'relay'])]);
  for (let n = 0; n < 4; n += 1) for (const { items } of sellers) world.sell(items[0]!, 1);
  for (const { items } of sellers) await world.has(items[0]!, 2);
  for (const seller of sellers.slice(0, 3)) await world.polled(seller);
  for (const { items, sellerId } of sellers) {
    expect(await world.sold(items[0]!)).toEqual([-1, -1, -1, -1]);
    expect(world.simulator.control.densestWindow(sellerId)).toBeLessThanOrEqual(200);
  }
  for (const other of others) await other.stop();
});

test('replayed from the beginning, and read again as if never seen: no row, no record, no request that changes anything', async () => {
  const replayed = await createOrdersWorld();
  try {
    let flow = await replayed.startAll();
    const seller = await replayed.seller(9, 9);
    const [first, second] = seller.items;
    replayed.sell(first!, 2);
    replayed.sell(second!, 1, { viaZero: true });
    await replayed.has(first!, 7);
    await replayed.has(second!, 8);
    await replayed.polled(seller);
    await flow.stop();
    const state = async () => ({
      items: await replayed.rows('SELECT item_id, on_hand, held, flags, last_event_id FROM inventory_items ORDER BY 1'),
      ledger: await replayed.rows('SELECT event_id, delta FROM stock_ledger ORDER BY 1'),
      orders: await replayed.rows('SELECT order_id, changed_at FROM remote_orders ORDER BY 1'),
      events: (await replayed.topics.readAll(replayed.topics.events)).length,
      levels: (await replayed.topics.readAll(replayed.topics.levels)).length,
      effects: replayed.simulator.control.ledger().length,
    });
    const before = await state();
    await replayed.rewind();
    flow = await replayed.startAll();
    await replayed.caughtUp();
    await replayed.polled(seller);
    await flow.stop();
    expect(await state()).toEqual(before);

    // The ledger of orders is lost, the stock ledger is not: the same events again, and known.
    await replayed.rows('DELETE FROM remote_order_lines');
    await replayed.rows('DELETE FROM remote_orders');
    await replayed.rows('UPDATE remote_order_polls SET through_id = NULL');
    flow = await replayed.startAll();
    await replayed.polled(seller);
    expect(await replayed.rows('SELECT event_id, delta FROM stock_ledger ORDER BY 1')).toEqual(before.ledger);
    expect((await replayed.topics.readAll(replayed.topics.events)).length).toBe(before.events + 2);
    await replayed.send(change({ user_id: seller.user, item_id: first!.itemId, quantity: 4 }));
    await replayed.has(first!, 4);
    await flow.stop();
  } finally {
    await replayed.close();
  }
});
