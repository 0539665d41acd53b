import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandLine } from '../../support/cli.ts';
import { randomUuid } from '../../support/events.ts';
import type { ListedItem, ListedSeller } from '../../support/marketplace-world.ts';
import { createOrdersWorld, SELDOM, type OrdersWorld } from '../../support/orders-world.ts';

/** Protects: what operators see of orders and can do about them, in words and in JSON. */
let world: OrdersWorld;
let brx: ReturnType<typeof commandLine>['brx'];
let seller: ListedSeller;
let item: ListedItem;
let order: number;

beforeAll(async () => {
  world = await createOrdersWorld({ env: { ...SELDOM, BRX_ORDERS_SETTLE_MS: '3600000' } });
  ({ brx } = commandLine(world.environment));
  await world.startAll();
  seller = await world.seller(5);
  item = seller.items[0]!;
  order = world.sell(item, 2);
});
afterAll(() => world.close());

describe.sequential('one after the other', () => {
  test('poll: waits until a dispatcher has looked', async () => {
    expect(await brx(['orders', 'poll', seller.user])).toMatchObject({ exit: 0, stdout: 'the orders have been looked at\n' });
    await world.has(item, 3);
  });

  test('list', async () => {
    const words = await brx(['orders', 'list', seller.user]);
    expect(words).toMatchObject({ exit: 0 });
    expect(words.stdout).toMatch(/looked at .* ago, next in/);
    expect(words.stdout).toMatch(new RegExp(`${order} .*paid .*1 .*2 .*2`));
    expect((await brx(['orders', 'list', seller.user, '--json'])).json).toMatchObject({ poll: { failures: 0, problem: null, waiting: 0 }, orders: [{ orderId: order, state: 'paid', copies: 2, out: 2, unmapped: 0, unresolved: 0 }] });
    expect((await brx(['orders', 'list', seller.user, '--unmapped'])).stdout).toContain('there is no such order');
  });

  test('show, and the buyer is nowhere', async () => {
    const words = await brx(['orders', 'show', seller.user, String(order)]);
    expect(words.stdout).toContain(`order ${order} (`);
    expect(words.stdout).toContain('2 sold, 2 taken out of stock');
    expect(words.stdout).not.toContain('what can be done');
    const { stdout } = await brx(['orders', 'show', seller.user, String(order), '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ orderId: order, lines: [{ itemId: item.itemId, quantity: 2, taken: 2 }] });
    expect(stdout).not.toMatch(/buyer|example\.invalid|Bianca/);
  });

  test('a product that is tied to nothing', async () => {
    const product = world.simulator.control.addProduct(seller.sellerId, { quantity: 1 });
    const sold = world.simulator.control.sell({ sellerId: seller.sellerId, productId: product.id });
    if (!sold.sold) throw new Error(sold.reason);
    await brx(['orders', 'poll', seller.user]);
    expect((await brx(['orders', 'list', seller.user, '--unmapped', '--json'])).json).toMatchObject({ orders: [{ orderId: sold.order.id, unmapped: 1, out: 0 }] });
    const { stdout } = await brx(['orders', 'show', seller.user, String(sold.order.id)]);
    expect(stdout).toContain('tied to nothing here');
    expect(stdout).toContain('brx-sync listings link');
  });

  test('cancelled, and an operator has looked: stock follows, it is written down, and once', async () => {
    world.simulator.control.moveOrder(order, { event: 'cancel', relist: true });
    await brx(['orders', 'poll', seller.user]);
    const { lines } = (await brx(['orders', 'show', seller.user, String(order), '--json'])).json as { lines: { lineId: number; words: string }[] };
    expect(lines[0]?.words).toContain('2 perhaps on sale again');
    expect((await brx(['orders', 'list', seller.user, '--unresolved'])).stdout).toContain(String(order));
    expect((await brx(['orders', 'show', seller.user, String(order)])).stdout).toContain(`brx-sync orders resolve ${seller.user} ${order} ${lines[0]!.lineId} --relisted`);
    const resolve = ['orders', 'resolve', seller.user, String(order), String(lines[0]!.lineId), '--reason', 'seen on the site'];
    expect(await brx(resolve)).toMatchObject({ exit: 2 });
    expect(await brx([...resolve, '--relisted', '--kept'])).toMatchObject({ exit: 2 });
    expect((await brx([...resolve, '--relisted', '--json'])).json).toMatchObject({ line: { relisted: 2, returned: 2 }, events: [{ itemId: item.itemId, quantity: 2 }] });
    await world.has(item, 5);
    expect(await brx([...resolve, '--kept'])).toMatchObject({ exit: 4, stderr: expect.stringContaining('nothing is open about line') as string });
    expect(await world.rows("SELECT reason, detail FROM operator_actions WHERE action = 'orders.resolve'")).toEqual([{ reason: 'seen on the site', detail: { relisted: true } }]);
  });

  test('what there is not', async () => {
    const stranger = randomUuid();
    expect(await brx(['orders', 'list', stranger])).toMatchObject({ exit: 4, stderr: expect.stringContaining('has no CardTrader account here') as string });
    expect(await brx(['orders', 'poll', stranger])).toMatchObject({ exit: 4 });
    expect(await brx(['orders', 'show', seller.user, '1'])).toMatchObject({ exit: 4, stderr: expect.stringContaining('has been seen') as string });
    expect(await brx(['orders', 'show', seller.user, 'x'])).toMatchObject({ exit: 2 });
  });

  test('poll of a seller who is paused, and of one whose token is dead', async () => {
    await world.rows("UPDATE marketplace_sellers SET status = 'paused' WHERE user_id = $1", seller.user);
    expect(await brx(['orders', 'poll', seller.user, '--wait', '1'])).toMatchObject({ exit: 4, stderr: expect.stringContaining('nobody has looked') as string });
    expect(await brx(['orders', 'poll', seller.user, '--wait', '0'])).toMatchObject({ exit: 0 });
    world.simulator.control.revokeToken(seller.sellerId);
    await world.rows("UPDATE marketplace_sellers SET status = 'active' WHERE user_id = $1", seller.user);
    expect(await brx(['orders', 'poll', seller.user])).toMatchObject({ exit: 69, stderr: expect.stringContaining('users check') as string });
  });
});
