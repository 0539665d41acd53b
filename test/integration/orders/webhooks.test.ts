import { createHmac, randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { randomUuid } from '../../support/events.ts';
import type { ListedItem, ListedSeller } from '../../support/marketplace-world.ts';
import { createOrdersWorld, httpUrl, SELDOM, type OrdersWorld } from '../../support/orders-world.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects: a webhook is a hint and nothing more. Who may say so is checked, what it says is not believed, and it does not matter how often, in
 * which order, or whether it comes. Nobody polls in this world unless a test asks for it.
 */
let world: OrdersWorld;
let url: string;

beforeAll(async () => {
  world = await createOrdersWorld({ env: { ...SELDOM, BRX_HTTP_TOKEN: 'a token nobody here has' } });
  const flow = await world.start(['ingest', 'saga', 'relay', 'dispatcher', 'http']);
  url = httpUrl(flow);
});
afterAll(() => world.close());

async function one(copies: number, hears = true): Promise<{ seller: ListedSeller; item: ListedItem; secret: string; hook: string }> {
  const seller = await world.seller(copies);
  const hook = `${url}/webhooks/cardtrader/${seller.user}`;
  await until('the first poll', async () => (await world.rows('SELECT FROM remote_order_polls WHERE user_id = $1 AND polled_at IS NOT NULL', seller.user)).length === 1);
  if (hears) world.simulator.control.setWebhook(seller.sellerId, hook);
  const { sharedSecret } = world.simulator.control.sellers().find(({ id }) => id === seller.sellerId)!;
  return { seller, item: seller.items[0]!, secret: sharedSecret, hook };
}

const post = async (hook: string, body: string | Buffer, signature?: string): Promise<{ status: number; text: string }> => {
  const response = await fetch(hook, { method: 'POST', body: typeof body === 'string' ? body : new Uint8Array(body), headers: { 'content-type': 'application/json', ...(signature !== undefined && { signature }) } });
  return { status: response.status, text: await response.text() };
};
const sign = (body: string | Buffer, secret: string): string => createHmac('sha256', secret).update(body).digest('base64');
const envelope = (more: object = {}): string => JSON.stringify({ id: randomUUID(), time: 1, cause: 'order.create', object_class: 'Order', object_id: 31_999_999, mode: 'live', data: {}, ...more });
const inbox = (user: string) => world.rows<{ cause: string; done: boolean }>('SELECT cause, processed_at IS NOT NULL AS done FROM webhook_inbox WHERE user_id = $1 ORDER BY received_at', user);
const noticed = (user: string, times: number): Promise<unknown> => until('the webhooks are dealt with', async () => (await inbox(user)).filter(({ done }) => done).length >= times);
const heard = (sellerId: number) => world.simulator.control.webhooks(sellerId).map(({ fault, status }) => [fault, status]);

test.concurrent('a sale is here a moment after it was made, without a poll; and once more in the merged order it is not', async () => {
  const { seller, item } = await one(5);
  world.sell(item, 1, { viaZero: true });
  await world.has(item, 4);
  world.simulator.control.mergeHub(seller.sellerId);
  await noticed(item.user, 3);
  await world.polled(seller); // sees the same orders again
  expect(await world.sold(item)).toEqual([-1]);
  expect(world.simulator.control.requests(seller.sellerId).throttled).toBe(0);
});

test.concurrent('sent twice, and replayed by somebody who has listened: known, no effect, not even a look', async () => {
  const { seller, item } = await one(5);
  world.simulator.control.injectWebhook({ kind: 'twice', sellerId: seller.sellerId });
  world.sell(item, 1);
  await world.has(item, 4);
  await noticed(item.user, 1);
  const before = world.simulator.control.requests(seller.sellerId).requests;
  world.simulator.control.replayWebhooks(seller.sellerId);
  await until('all are answered', () => Promise.resolve(heard(seller.sellerId).length === 4 && heard(seller.sellerId).every(([, status]) => status === 200)));
  expect(await inbox(item.user)).toHaveLength(1);
  expect(await world.sold(item)).toEqual([-1]);
  expect(world.simulator.control.requests(seller.sellerId).requests).toBe(before);
});

test.concurrent('out of order and late: as if in order', async () => {
  const { seller, item } = await one(9);
  const order = world.sell(item, 1);
  await world.has(item, 8);
  for (const kind of ['reordered', 'late', 'reordered'] as const) world.simulator.control.injectWebhook({ kind, sellerId: seller.sellerId, delayMs: 200 });
  for (const event of ['ship', 'arrive', 'review'] as const) world.simulator.control.moveOrder(order, { event });
  const other = world.sell(item, 2);
  await world.has(item, 6);
  await noticed(item.user, 5);
  expect(await world.sold(item)).toEqual([-1, -2]);
  expect((await world.rows<{ state: string }>('SELECT state FROM remote_orders WHERE user_id = $1 ORDER BY order_id', item.user)).map(({ state }) => state)).toEqual(['done', world.simulator.control.order(other)!.state]);
});

test.concurrent('lost: the poll makes up for it, once', async () => {
  const { seller, item } = await one(5);
  world.simulator.control.injectWebhook({ kind: 'lost', sellerId: seller.sellerId });
  world.sell(item, 1);
  await world.polled(seller);
  await world.has(item, 4);
  expect(await world.sold(item)).toEqual([-1]);
});

test.concurrent('seen by poll and webhook at the same time, again and again: one effect each', async () => {
  const { seller, item } = await one(40);
  for (let n = 0; n < 12; n += 1) {
    world.sell(item, 1);
    await world.rows('UPDATE remote_order_polls SET next_poll_at = now() WHERE user_id = $1', item.user);
  }
  await world.has(item, 28);
  await noticed(item.user, 12);
  await world.polled(seller);
  expect(await world.sold(item)).toEqual(Array.from({ length: 12 }, () => -1));
});

test.concurrent('forged: wrong secret, no signature, a signature of something else, of another seller', async () => {
  const [{ seller, item, secret, hook }, other] = await Promise.all([one(5), one(1)]);
  const body = envelope();
  for (const signature of [undefined, '', 'x', sign(body, 'guessed'), sign(body, other.secret), sign(`${body} `, secret), sign(body, secret).toLowerCase(), Buffer.from(secret).toString('base64')]) {
    expect((await post(hook, body, signature)).status).toBe(401);
  }
  world.simulator.control.injectWebhook({ kind: 'wrong_signature', sellerId: seller.sellerId });
  world.sell(item, 1);
  await until('it is answered', () => Promise.resolve(heard(seller.sellerId)[0]?.[1] === 401));
  expect(await inbox(item.user)).toEqual([]);
  expect(await world.onHand(item)).toBe(5);
});

test.concurrent('nobody learns who is a seller here: one who is not is answered like a wrong signature', async () => {
  const { hook } = await one(1);
  const body = envelope();
  const stranger = `${url}/webhooks/cardtrader/${randomUuid()}`;
  expect(await post(stranger, body, sign(body, 'x'))).toEqual(await post(hook, body, sign(body, 'x')));
  expect((await post(stranger, body, sign(body, 'no secret'))).status).toBe(401); // what is compared with where there is no secret opens nothing
  for (const path of ['not-a-uuid', `${randomUuid()}/more`, randomUuid().toUpperCase().replaceAll(/\d/g, 'A'), '']) expect((await post(`${url}/webhooks/cardtrader/${path}`, body)).status).toBe(404);
  expect((await fetch(hook)).status).toBe(405);
});

test.concurrent('too large: refused before it is read whole, and the sale is found by the poll', async () => {
  const { seller, item, hook, secret } = await one(5);
  world.simulator.control.injectWebhook({ kind: 'oversize', sellerId: seller.sellerId });
  world.sell(item, 1);
  await until('it is refused', () => Promise.resolve(world.simulator.control.webhooks(seller.sellerId).length === 1 && world.simulator.control.pending === 0));
  expect([413, null]).toContain(heard(seller.sellerId)[0]?.[1]); // null: it was still sending when the connection was closed
  expect(await inbox(item.user)).toEqual([]);
  // One that does not say how long it is.
  const { hostname, port, pathname } = new URL(hook);
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(`POST ${pathname} HTTP/1.1\r\nhost: x\r\nsignature: ${sign('', secret)}\r\ntransfer-encoding: chunked\r\n\r\n`);
      for (let n = 0; n < 20; n += 1) socket.write(`10000\r\n${'x'.repeat(0x10000)}\r\n`);
    });
    let text = '';
    socket.on('data', (part) => (text += part.toString()));
    socket.on('close', () => resolve(text));
    socket.on('error', (error) => (text === '' ? reject(error) : resolve(text)));
  });
  expect(answer).toMatch(/^HTTP\/1.1 413 /);
  await world.polled(seller);
  expect(await world.sold(item)).toEqual([-1]);
});

test.concurrent('rightly signed, and no webhook: 400; test calls and causes nobody knows: taken, and nothing is done', async () => {
  const { item, secret, hook } = await one(5);
  for (const body of ['', '{', '[]', 'null', '"x"', envelope({ id: undefined }), envelope({ id: 'x'.repeat(101) }), envelope({ id: 'a\0b' }), envelope({ object_id: 'x' }), envelope({ object_id: 0 }), envelope({ object_id: undefined }), Buffer.from([0xff, 0xfe, 0x00])]) {
    expect([body.toString().slice(0, 40), (await post(hook, body, sign(body, secret))).status]).toEqual([body.toString().slice(0, 40), 400]);
  }
  for (const body of [envelope({ mode: 'test' }), envelope({ cause: 'product.update' }), envelope({ object_class: 'Product' })]) expect(await post(hook, body, sign(body, secret))).toEqual({ status: 200, text: '{"status":"ignored"}\n' });
  expect(await inbox(item.user)).toEqual([]);
});

test.concurrent('what it says of the order is not believed, nor is the order it names taken for the seller’s', async () => {
  const [{ seller, item, secret, hook }, other] = await Promise.all([one(5), one(5, false)]);
  const theirs = world.sell(other.item, 1);
  const body = envelope({ object_id: theirs, data: { id: theirs, state: 'paid', order_items: [{ id: 1, product_id: item.productId, quantity: 5 }] } });
  expect((await post(hook, body, sign(body, secret))).status).toBe(200);
  await noticed(item.user, 1);
  const mine = world.sell(item, 1); // and what happens next is seen as ever
  await world.has(item, 4);
  expect((await world.rows<{ order_id: string }>('SELECT order_id FROM remote_orders WHERE user_id = $1', item.user)).map(({ order_id: id }) => Number(id))).toEqual([mine]);
  expect(seller.user).not.toBe(other.seller.user);
});

test.concurrent('a webhook of what the account bought itself: no sale', async () => {
  const { item } = await one(5);
  world.sell(item, 1, { as: 'buyer' });
  await noticed(item.user, 1);
  expect(await world.rows('SELECT FROM remote_orders WHERE user_id = $1', item.user)).toEqual([]);
  world.sell(item, 1);
  await world.has(item, 4);
});

test.concurrent('an order that is destroyed: seen, stock stays', async () => {
  const { seller, item } = await one(5);
  world.sell(item, 1);
  await world.has(item, 4);
  world.simulator.control.injectWebhook({ kind: 'destroyed', sellerId: seller.sellerId });
  world.simulator.control.moveOrder(world.simulator.control.orders(seller.sellerId)[0]!.id, { event: 'ship' });
  await noticed(item.user, 2);
  expect(await world.sold(item)).toEqual([-1]);
});

test.concurrent('a storm of 300 at once: each is taken, the order is read a few times, sold once', async () => {
  const { seller, item, secret, hook } = await one(5);
  const order = world.sell(item, 1);
  await world.has(item, 4);
  const bodies = Array.from({ length: 300 }, () => envelope({ object_id: order }));
  const before = world.simulator.control.requests(seller.sellerId).requests;
  for (const { status } of await Promise.all(bodies.map((body) => post(hook, body, sign(body, secret))))) expect(status).toBe(200);
  await noticed(item.user, 301);
  expect(world.simulator.control.requests(seller.sellerId).requests - before).toBeLessThan(150);
  expect(await world.sold(item)).toEqual([-1]);
  expect(world.simulator.control.densestWindow(seller.sellerId)).toBeLessThanOrEqual(200);
});

test('while PostgreSQL refuses, CardTrader is asked to try again; nothing of it is told', async () => {
  const { item, secret, hook } = await one(5);
  await world.rows('ALTER TABLE webhook_inbox RENAME TO webhook_inbox_away');
  const body = envelope();
  const answer = await post(hook, body, sign(body, secret));
  await world.rows('ALTER TABLE webhook_inbox_away RENAME TO webhook_inbox');
  expect(answer).toEqual({ status: 503, text: '{"status":"try again"}\n' });
  expect((await post(hook, body, sign(body, secret))).status).toBe(200);
  expect(await inbox(item.user)).toHaveLength(1);
});
