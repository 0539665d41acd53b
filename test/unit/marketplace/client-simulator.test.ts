import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { markUserDataField, readUserDataField, type Caller } from '../../../src/marketplace/client/index.ts';
import { planForAll, startSimulator, type Simulator, type SimulatorOptions } from '../../../src/simulator/index.ts';
import { clientOf } from '../../support/marketplace.ts';
import { seed } from '../../support/seed.ts';

/**
 * Protects: against a CardTrader that keeps a ledger of what it did and misbehaves in every way it knows, each verdict is true: applied is in the ledger once,
 * refused and throttled are not in it, and only unknown may be either.
 */
let simulator: Simulator;
let client: ReturnType<typeof clientOf>;
let caller: Caller;
let sellerId: number;

async function begin(options: SimulatorOptions = {}): Promise<void> {
  simulator = await startSimulator({ stock: { sellers: 1, products: 20 }, ...options });
  client = clientOf(new URL(simulator.apiUrl).origin, { connections: 8, writeTimeoutMs: 250, readTimeoutMs: 250 });
  const [seller] = simulator.control.sellers();
  sellerId = seller!.id;
  caller = { userId: 'u', token: seller!.token! };
}
beforeEach(() => begin());
afterEach(async () => {
  await client.close();
  await simulator.close();
});
const products = () => simulator.control.products(sellerId);

describe('without faults', () => {
  test('what is written is what is read, marker and all', async () => {
    const [product] = products();
    const operationId = randomUUID();
    const text = markUserDataField(product!.userData, operationId)!;
    const written = await client.updateProduct({ ...caller, operationId }, product!.id, { quantity: 7, priceCents: 6_258, userDataField: text });
    expect(written).toMatchObject({ outcome: 'applied', body: { product: { id: product!.id, quantity: 7, priceCents: 6_258 } } });
    const read = await client.readProduct(caller, product!.id, product!.blueprint.id);
    expect(read).toMatchObject({ outcome: 'applied', body: { product: { quantity: 7, priceCents: 6_258 } } });
    if (read.outcome === 'applied') expect(readUserDataField(read.body.product?.userDataField).operationId).toBe(operationId);
    expect(simulator.control.effects(operationId)).toBe(1);
  });

  test('create, delete, export, info, orders and jobs', async () => {
    const info = await client.info(caller);
    expect(info).toMatchObject({ outcome: 'applied', body: { sharedSecret: expect.any(String) as string } });
    const all = await client.exportProducts(caller);
    expect(all).toMatchObject({ outcome: 'applied', body: { unread: [] } });
    if (all.outcome === 'applied') expect(new Set(all.body.items.map(({ id }) => id))).toEqual(new Set(products().map(({ id }) => id)));
    const [first, second, third] = products();
    expect(await client.deleteProduct(caller, first!.id)).toMatchObject({ outcome: 'applied' });
    expect(await client.deleteProduct(caller, first!.id)).toMatchObject({ outcome: 'refused', reason: 'not_found' });
    expect(await client.readProduct(caller, first!.id, first!.blueprint.id)).toMatchObject({ outcome: 'applied', body: { product: null } });
    expect(await client.createProduct(caller, { blueprintId: second!.blueprint.id, quantity: 1, priceCents: 99_999 })).toMatchObject({ outcome: 'applied', body: { product: { quantity: 1 } } });
    expect(await client.createProduct(caller, { blueprintId: second!.blueprint.id, quantity: 1, priceCents: 100, properties: { condition: 'Eaten' } })).toMatchObject({ outcome: 'refused', reason: 'validation' });
    simulator.control.sell({ sellerId, productId: third!.id, quantity: 1, viaZero: true });
    const orders = await client.orders(caller);
    expect(orders).toMatchObject({ outcome: 'applied', body: { unread: [], items: [{ state: 'hub_pending', viaCardtraderZero: true, lines: [{ productId: third!.id, quantity: 1 }] }] } });
    if (orders.outcome === 'applied') expect(await client.order(caller, orders.body.items[0]!.id)).toMatchObject({ outcome: 'applied' });
    const job = await client.bulkUpdate(caller, [{ id: second!.id, quantity: 3 }]);
    expect(job).toMatchObject({ outcome: 'applied' });
    if (job.outcome === 'applied') expect(await client.job(caller, job.body.job)).toMatchObject({ outcome: 'applied', body: { uuid: job.body.job } });
  });
});

test.each(['', 'x', 'revoked'])('a token that is not good (%j) is told', async (kind) => {
  const { token } = caller;
  if (kind === 'revoked') simulator.control.revokeToken(sellerId);
  expect(await client.info({ ...caller, token: kind === 'revoked' ? token : kind })).toMatchObject({ outcome: 'refused', reason: 'token_rejected' });
});

test('the documented limit answers as a throttled call of the right bucket, without effect', async () => {
  const [product] = products();
  const outcomes = [];
  for (let n = 0; n < 201; n += 1) outcomes.push(await client.info(caller));
  expect(outcomes.filter(({ outcome }) => outcome === 'applied')).toHaveLength(200);
  const operationId = randomUUID();
  expect(await client.updateProduct({ ...caller, operationId }, product!.id, { quantity: 9 })).toMatchObject({ outcome: 'throttled', reason: 'rate_limited', scope: 'all' });
  expect(simulator.control.effects(operationId)).toBe(0);
});

describe(`with every fault it knows (seed ${seed})`, () => {
  test('each verdict on a write is true', async () => {
    await client.close();
    await simulator.close();
    await begin({ seed, faults: planForAll(0.04), guesses: { rateWindow: 'none' }, stock: { sellers: 1, products: 60 } });
    const { control } = simulator;
    const seen = new Map<string, number>();
    const targets = products();
    await Promise.all(
      Array.from({ length: 6 }, async (_, worker) => {
        for (let n = 0; n < 60; n += 1) {
          const seller = control.sellers()[0]!;
          // A token that a fault took away comes back as the seller would enter it anew.
          const token = seller.token ?? control.regenerateToken(sellerId);
          const operationId = randomUUID();
          const who = { ...caller, token, operationId };
          const product = targets[(worker * 10 + n) % targets.length]!;
          const outcome = n % 7 === 0 ? await client.deleteProduct(who, product.id) : n % 5 === 0 ? await client.readProduct(who, product.id, product.blueprint.id) : await client.updateProduct(who, product.id, { quantity: n % 4, priceCents: 100 + n });
          const effects = control.effects(operationId);
          const what = outcome.outcome === 'applied' ? 'applied' : `${outcome.outcome} ${outcome.reason}`;
          seen.set(what, (seen.get(what) ?? 0) + 1);
          const read = n % 7 !== 0 && n % 5 === 0;
          if (outcome.outcome === 'applied') expect(effects, what).toBe(read ? 0 : 1);
          if (outcome.outcome === 'refused' || outcome.outcome === 'throttled') expect(effects, what).toBe(0);
        }
      }),
    );
    await control.idle();
    expect(control.repeated()).toEqual([]);
    expect([...seen.keys()]).toEqual(expect.arrayContaining(['applied', 'throttled edge', 'throttled rate_limited', 'unknown reset', 'unknown server_error', 'unknown timeout']));
  }, 30_000);
});
