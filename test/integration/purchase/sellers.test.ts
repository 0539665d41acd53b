import { afterAll, beforeAll, expect, test } from 'vitest';
import { addSeller, pauseSeller, resumeSeller } from '../../../src/marketplace/index.ts';
import { line, purchase } from '../../support/events.ts';
import { createMarketplaceWorld, type ListedSeller, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { stockOf } from '../../support/sales.ts';
import { until } from '../../support/wait.ts';

/** Protects: what is wrong with one seller's account stops that seller only, and their sales end all the same (P4, P6, P9). */
let world: MarketplaceWorld;
const BY = { who: 'tester', reason: 'a test' };

beforeAll(async () => {
  world = await createMarketplaceWorld();
  await world.startAll({ BRX_PURCHASE_HOLD_MS: '4000' });
});
afterAll(() => world.close());

const wants = ({ user, items }: ListedSeller, ...quantities: number[]) => purchase({ user_id: user, lines: quantities.map((quantity, index) => line(items[index]!.itemId, quantity)) });
const statusOf = async ({ user }: ListedSeller): Promise<string | undefined> => (await world.rows<{ status: string }>('SELECT status FROM marketplace_sellers WHERE user_id = $1', user))[0]?.status;
const newToken = ({ user, sellerId }: ListedSeller) => addSeller({ postgres: world.postgres, keyring: world.access.keyring, client: world.access.client }, user, world.simulator.control.regenerateToken(sellerId), { ...BY, otherAccount: false });

test.concurrent('a token that is revoked: that seller pauses, their sales wait until their deadline and end, others flow, a new token brings all back', async () => {
  const [seller, other] = [await world.seller(5), await world.seller(5)];
  world.simulator.control.revokeToken(seller.sellerId);
  const [sale, elsewhere] = [wants(seller, 2), wants(other, 2)];
  await world.send(sale, elsewhere);
  await world.reached(['CONFIRMED'], elsewhere);
  await until('the token is known to be rejected', async () => (await statusOf(seller)) === 'token_rejected');
  expect((await world.saga(sale))?.state).toBe('CALLING');
  const asked = world.simulator.control.requests(seller.sellerId);
  await world.reached(['COMPENSATED'], sale);
  expect((await world.outcomes()).get(sale.purchase_id)).toMatchObject([{ outcome: 'REJECTED', reason: 'expired' }]);
  expect(await stockOf(world, seller.user, seller.items[0]!.itemId)).toMatchObject({ on_hand: 5, held: 0 });
  expect(world.simulator.control.requests(seller.sellerId)).toEqual(asked); // nobody knocks at a door that is shut
  await newToken(seller);
  const later = wants(seller, 1);
  await world.send(later);
  await world.reached(['CONFIRMED'], later);
  expect(seller.items[0]!.now()?.quantity).toBe(4);
});

test.concurrent('a token that is revoked with an answer open: the sale waits past its deadline, because a sale may stand there, and ends once there is a new one', async () => {
  const seller = await world.seller(5);
  world.simulator.control.inject({ kind: 'response_lost', when: { sellerId: seller.sellerId, method: 'PUT' } });
  const sale = wants(seller, 2);
  await world.send(sale);
  await world.reached(['RECONCILING'], sale);
  world.simulator.control.revokeToken(seller.sellerId);
  await world.reached(['COMPENSATING'], sale);
  expect(await stockOf(world, seller.user, seller.items[0]!.itemId)).toMatchObject({ on_hand: 5, held: 2 });
  await newToken(seller);
  await world.reached(['COMPENSATED'], sale);
  expect(seller.items[0]!.now()?.quantity).toBe(5);
  expect(await stockOf(world, seller.user, seller.items[0]!.itemId)).toMatchObject({ on_hand: 5, held: 0 });
  for (const { operation_id: id } of await world.operations(sale.purchase_id)) expect(world.simulator.control.effects(id)).toBe(1);
});

test.concurrent('a new token while one is at work with the old: the 401 for that says nothing about the new one, and the sale goes on with it', async () => {
  const seller = await world.seller(5);
  world.simulator.control.inject({ kind: 'slow_answer', delayMs: 1_000, when: { sellerId: seller.sellerId, path: '/products/export' } });
  const sale = wants(seller, 2);
  const asked = world.simulator.control.requests(seller.sellerId).requests;
  await world.send(sale);
  await until('the product is being read', () => world.simulator.control.requests(seller.sellerId).requests > asked);
  await newToken(seller);
  await world.reached(['CONFIRMED'], sale);
  expect(await statusOf(seller)).toBe('active');
  expect(seller.items[0]!.now()?.quantity).toBe(3);
});

test.concurrent('paused: nothing is called; resumed: everything goes on', async () => {
  const seller = await world.seller(5);
  await pauseSeller(world.postgres, seller.user, BY);
  const asked = world.simulator.control.requests(seller.sellerId);
  const sale = wants(seller, 2);
  await world.send(sale);
  await world.reached(['CALLING'], sale);
  await resumeSeller(world.postgres, seller.user, BY);
  await world.reached(['CONFIRMED'], sale);
  expect(world.simulator.control.requests(seller.sellerId).requests - asked.requests).toBe(3); // read, write, look for sales
});

test.concurrent('no usable answers: the circuit opens for that seller, and closes by a read', async () => {
  const [seller, other] = [await world.seller(9, 9, 9, 9, 9, 9), await world.seller(5)];
  const outage = world.simulator.control.inject({ kind: 'error_before_apply', times: 1_000, when: { sellerId: seller.sellerId } });
  const sales = seller.items.map((item) => purchase({ user_id: seller.user, lines: [line(item.itemId, 1)] }));
  await world.send(...sales);
  await until('the circuit is open', async () => (await world.rows('SELECT FROM marketplace_sellers WHERE user_id = $1 AND open_until > now() AND lease_owner IS NULL', seller.user)).length === 1);
  const asked = world.simulator.control.requests(seller.sellerId).requests;
  const elsewhere = wants(other, 1);
  await world.send(elsewhere);
  await world.reached(['CONFIRMED'], elsewhere);
  expect(world.simulator.control.requests(seller.sellerId).requests).toBe(asked);
  outage.cancel();
  const since = world.simulator.control.recentRequests(seller.sellerId).length;
  await world.rows('UPDATE marketplace_sellers SET open_until = now(), work_at = now() WHERE user_id = $1', seller.user); // its time is over
  await until('it is closed', async () => (await world.rows('SELECT FROM marketplace_sellers WHERE user_id = $1 AND failures = 0', seller.user)).length === 1);
  const probe = world.simulator.control.recentRequests(seller.sellerId).slice(since);
  expect(probe[0]).toMatchObject({ method: 'GET' });
  await world.reached(['CONFIRMED', 'COMPENSATED'], ...sales);
});

test.concurrent('more sellers with work than are worked for at once: the same few connections, and all get their turn', async () => {
  const small = await createMarketplaceWorld();
  try {
    await small.start(['ingest']);
    const sellers: ListedSeller[] = [];
    for (let n = 0; n < 40; n += 1) sellers.push(await small.seller(3));
    const before = small.simulator.control.connections.most;
    const sales = sellers.map((seller) => wants(seller, 1));
    await small.send(...sales);
    const running = await small.start(['saga', 'relay', 'dispatcher'], { BRX_DISPATCHER_SELLERS: '3', BRX_DISPATCHER_OPERATIONS: '2', BRX_MARKETPLACE_CONNECTIONS: '6' });
    await small.reached(['CONFIRMED'], ...sales);
    expect(small.simulator.control.connections.most).toBeLessThanOrEqual(before + 6);
    expect(running.fatal).toEqual([]);
  } finally {
    await small.close();
  }
});

test.concurrent('a seller who has to wait an hour after a 429 keeps nobody else waiting, also where one seller is worked for at a time', async () => {
  const small = await createMarketplaceWorld();
  try {
    await small.start(['ingest']);
    const [first, second] = [await small.seller(3), await small.seller(3)];
    const running = await small.start(['saga', 'relay', 'dispatcher'], { BRX_DISPATCHER_SELLERS: '1' });
    small.simulator.control.inject({ kind: 'throttled', retryAfterSeconds: 3_600, when: { sellerId: first.sellerId } });
    const asked = small.simulator.control.requests(first.sellerId).requests;
    const [held, other] = [wants(first, 1), wants(second, 1)];
    await small.send(held);
    await until('it has been told to wait', () => small.simulator.control.requests(first.sellerId).requests > asked);
    await small.send(other);
    await small.reached(['CONFIRMED'], other);
    expect((await small.saga(held))?.state).toBe('CALLING');
    expect(running.fatal).toEqual([]);
  } finally {
    await small.close();
  }
});
