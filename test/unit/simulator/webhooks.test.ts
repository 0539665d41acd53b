import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { WEBHOOK_FAULT_KINDS, webhookTable } from '../../../src/simulator/index.ts';
import { openSimulator, type OpenSimulator } from '../../support/simulator.ts';

/** Protects: webhooks as CardTrader documents them, and every way in which they may go wrong. */
interface Heard {
  readonly body: Buffer;
  readonly signature: string;
  readonly envelope: { id: string; cause: string; object_class: string; object_id: number; mode: string; time: number; data: { state?: string; order_items?: unknown[] } };
}

async function listening(options: { status?: number } = {}): Promise<{ simulator: OpenSimulator; heard: Heard[]; secret: string }> {
  const heard: Heard[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      heard.push({ body, signature: String(request.headers['signature']), envelope: JSON.parse(body.toString()) as Heard['envelope'] });
      response.writeHead(options.status ?? 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => { server.closeAllConnections(); server.close(() => resolve()); }));
  const simulator = await openSimulator();
  simulator.control.setWebhook(simulator.sellerId, `http://127.0.0.1:${(server.address() as { port: number }).port}/hook`);
  return { simulator, heard, secret: simulator.control.sellers()[0]!.sharedSecret };
}

const sell = ({ control, sellerId, first }: OpenSimulator): number => {
  const sold = control.sell({ sellerId, productId: first().id, quantity: 1 });
  if (!sold.sold) throw new Error(sold.reason);
  return sold.order.id;
};
const signed = (body: Buffer, secret: string): string => createHmac('sha256', secret).update(body).digest('base64');

test('an order that comes about, and one that changes: the documented envelope, signed over its bytes', async () => {
  const { simulator, heard, secret } = await listening();
  const id = sell(simulator);
  simulator.control.moveOrder(id, { event: 'request_cancellation' });
  await simulator.control.idle();
  expect(heard.map(({ envelope }) => [envelope.cause, envelope.object_class, envelope.object_id, envelope.mode, envelope.data.state])).toEqual([
    ['order.create', 'Order', id, 'live', 'paid'],
    ['order.update', 'Order', id, 'live', 'request_for_cancel'],
  ]);
  for (const { body, signature } of heard) expect(signature).toBe(signed(body, secret));
  expect(new Set(heard.map(({ envelope }) => envelope.id)).size).toBe(2);
  expect(simulator.control.webhooks(simulator.sellerId)).toMatchObject([{ orderId: id, status: 200, fault: null }, { orderId: id, status: 200 }]);
});

test('none for what the owner does through the API, none without a URL', async () => {
  const { simulator, heard } = await listening();
  const id = sell(simulator);
  await simulator.api('PUT', `/orders/${id}/ship`);
  simulator.control.setWebhook(simulator.sellerId, null);
  sell(simulator);
  await simulator.control.idle();
  expect(heard).toHaveLength(1);
});

test('what is not answered well is not sent again', async () => {
  const { simulator, heard } = await listening({ status: 500 });
  sell(simulator);
  await simulator.control.idle();
  expect(heard).toHaveLength(1);
  expect(simulator.control.webhooks()).toMatchObject([{ status: 500 }]);
});

test('nobody listens: told by its status, and no failure', async () => {
  const simulator = await openSimulator();
  simulator.control.setWebhook(simulator.sellerId, 'http://127.0.0.1:1/');
  sell(simulator);
  await simulator.control.idle();
  expect(simulator.control.webhooks()).toMatchObject([{ status: null, fault: null }]);
});

test('replayed: the same bytes again', async () => {
  const { simulator, heard } = await listening();
  sell(simulator);
  await simulator.control.idle();
  expect(simulator.control.replayWebhooks(simulator.sellerId)).toBe(1);
  await simulator.control.idle();
  expect(heard[1]?.body.equals(heard[0]!.body)).toBe(true);
  expect(heard[1]?.signature).toBe(heard[0]?.signature);
});

test('lost', async () => {
  const { simulator, heard } = await listening();
  simulator.control.injectWebhook({ kind: 'lost' });
  sell(simulator);
  sell(simulator);
  await simulator.control.idle();
  expect(heard).toHaveLength(1);
  expect(simulator.control.webhooks().map(({ fault, status }) => [fault, status])).toEqual([['lost', null], [null, 200]]);
});

test('twice', async () => {
  const { simulator, heard } = await listening();
  simulator.control.injectWebhook({ kind: 'twice' });
  sell(simulator);
  await simulator.control.idle();
  expect(heard.map(({ envelope }) => envelope.id)).toEqual([heard[0]?.envelope.id, heard[0]?.envelope.id]);
});

test('late: behind what happens afterwards', async () => {
  const { simulator, heard } = await listening();
  simulator.control.injectWebhook({ kind: 'late', delayMs: 500 });
  const [late, other] = [sell(simulator), sell(simulator)];
  await simulator.clock.advance(499);
  expect(heard.some(({ envelope }) => envelope.object_id === late)).toBe(false);
  await simulator.clock.advance(1);
  await simulator.control.idle();
  expect(heard.map(({ envelope }) => envelope.object_id)).toEqual([other, late]);
});

test('reordered: behind the next one', async () => {
  const { simulator, heard } = await listening();
  simulator.control.injectWebhook({ kind: 'reordered' });
  const [first, second, third] = [sell(simulator), sell(simulator), sell(simulator)];
  await simulator.clock.advance(1_000);
  await simulator.control.idle();
  expect(heard.map(({ envelope }) => envelope.object_id)).toEqual([second, first, third]);
});

test('reordered, and no other comes: a moment later', async () => {
  const { simulator, heard } = await listening();
  simulator.control.injectWebhook({ kind: 'reordered', delayMs: 10 });
  const first = sell(simulator);
  await simulator.clock.advance(10);
  await simulator.control.idle();
  expect(heard.map(({ envelope }) => envelope.object_id)).toEqual([first]);
});

test('wrongly signed, in test mode, of an unknown cause, destroyed, and too large', async () => {
  const { simulator, heard, secret } = await listening();
  for (const kind of ['wrong_signature', 'test_mode', 'unknown_cause', 'destroyed', 'oversize'] as const) simulator.control.injectWebhook({ kind });
  const id = sell(simulator);
  simulator.control.moveOrder(id, { event: 'ship' });
  simulator.control.moveOrder(id, { event: 'request_cancellation' });
  simulator.control.moveOrder(id, { event: 'refuse_cancellation' });
  simulator.control.moveOrder(id, { event: 'arrive' });
  await simulator.control.idle();
  const [wrong, testing, unknown, destroyed, large] = heard;
  expect(wrong?.signature).not.toBe(signed(wrong!.body, secret));
  expect(testing?.envelope.mode).toBe('test');
  expect(unknown?.envelope).toMatchObject({ cause: 'product.update', object_class: 'Product' });
  expect(destroyed?.envelope).toMatchObject({ cause: 'order.destroy', data: {} });
  expect(large?.body.length).toBeGreaterThan(2_000_000);
  for (const call of [testing, unknown, destroyed, large]) expect(call?.signature).toBe(signed(call!.body, secret));
});

test('by chance every kind comes, and what is not known is refused', async () => {
  const { simulator } = await listening();
  for (const kind of WEBHOOK_FAULT_KINDS) {
    simulator.control.setWebhookFaults({ [kind]: 1 });
    const product = simulator.control.addProduct(simulator.sellerId, { quantity: 1 });
    simulator.control.sell({ sellerId: simulator.sellerId, productId: product.id });
  }
  await simulator.clock.advance(1_000);
  await simulator.control.idle();
  expect(simulator.control.webhookFaults()).toEqual(Object.fromEntries(WEBHOOK_FAULT_KINDS.map((kind) => [kind, 1])));
  expect(() => simulator.control.setWebhookFaults({ gone: 1 } as never)).toThrow(/there is no webhook fault gone/);
});

test('over HTTP', async () => {
  const simulator = await openSimulator();
  expect((await simulator.hand('PUT', `/sellers/${simulator.sellerId}/webhook`, { url: 'http://127.0.0.1:1/' })).status).toBe(200);
  expect((await simulator.hand('PUT', '/webhook-faults', { lost: 1 })).status).toBe(200);
  sell(simulator);
  expect((await simulator.hand('GET', '/webhooks')).body).toMatchObject({ fired: { lost: 1 }, deliveries: [{ fault: 'lost', status: null }] });
  expect((await simulator.hand('PUT', '/webhook-faults', { gone: 1 })).status).toBe(400);
});

test('the table in the README is this list', () => {
  expect(readFileSync(new URL('../../../src/simulator/README.md', import.meta.url), 'utf8')).toContain(webhookTable());
});
