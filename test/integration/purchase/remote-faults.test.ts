import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Injection } from '../../../src/simulator/index.ts';
import { cancellation, line, purchase } from '../../support/events.ts';
import { createMarketplaceWorld, type ListedItem, type ListedSeller, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { stockOf } from '../../support/sales.ts';

/**
 * Protects: whatever goes wrong on the way to CardTrader, at whichever call, an operation takes effect once or not at all, the sale ends,
 * and stock here and there agree (P6, P7). Each fault is put on one call of one seller.
 */
let world: MarketplaceWorld;

beforeAll(async () => {
  world = await createMarketplaceWorld();
  await world.startAll();
});
afterAll(() => world.close());

const wants = ({ user, items }: ListedSeller, ...quantities: number[]) => purchase({ user_id: user, lines: quantities.map((quantity, index) => line(items[index]!.itemId, quantity)) });

const onHand = async ({ user, itemId }: ListedItem): Promise<number | undefined> => (await stockOf(world, user, itemId))?.on_hand;

/** Every fault a call can have without ending the account; those that are worse have tests of their own. */
const LOST: [what: string, fault: Omit<Injection, 'when'>][] = [
  ['the answer is lost', { kind: 'response_lost' }],
  ['it is applied after we gave up', { kind: 'applied_late', answer: 'hang', delayMs: 1_100 }],
  ['it is applied a moment after the connection was cut', { kind: 'applied_late', delayMs: 300 }],
  ['it is applied, and answered with a 500', { kind: 'error_after_apply' }],
  ['it is not applied, and answered with a 503', { kind: 'error_before_apply' }],
  ['the connection is reset before', { kind: 'reset_before_apply' }],
  ['the connection is reset in the middle of the answer', { kind: 'reset_mid_body' }],
  ['an HTML page comes back', { kind: 'html_error' }],
  ['the answer is slower than our patience', { kind: 'slow_answer', delayMs: 1_500 }],
  ['the answer trickles in', { kind: 'slow_loris', delayMs: 3_000 }],
  ['a 429 for no reason', { kind: 'throttled' }],
];

describe.concurrent.each(LOST)('%s', (_, fault) => {
  test('to the write of a sale', async () => {
    const seller = await world.seller(5);
    world.simulator.control.inject({ ...fault, when: { sellerId: seller.sellerId, method: 'PUT' } });
    const sale = wants(seller, 2);
    await world.send(sale);
    await world.reached(['CONFIRMED'], sale);
    const [operation] = await world.operations(sale.purchase_id);
    expect(operation?.state).toBe('APPLIED');
    expect(world.simulator.control.effects(operation!.operation_id)).toBe(1);
    expect([seller.items[0]!.now()?.quantity, await onHand(seller.items[0]!)]).toEqual([3, 3]);
    expect((await world.listing(seller.items[0]!)).quantity).toBe(3);
  });

  test('to the write that gives back', async () => {
    const seller = await world.seller(5);
    const sale = wants(seller, 2);
    await world.send(sale);
    await world.reached(['CONFIRMED'], sale);
    world.simulator.control.inject({ ...fault, when: { sellerId: seller.sellerId, method: 'PUT' } });
    await world.send(cancellation(sale));
    await world.reached(['COMPENSATED'], sale);
    for (const { operation_id: id } of await world.operations(sale.purchase_id)) expect(world.simulator.control.effects(id)).toBe(1);
    expect([seller.items[0]!.now()?.quantity, await onHand(seller.items[0]!)]).toEqual([5, 5]);
  });
});

const READS: [what: string, fault: Omit<Injection, 'when'>][] = [
  ['fails with a 503', { kind: 'error_before_apply' }],
  ['is reset', { kind: 'reset_mid_body' }],
  ['is a page of HTML', { kind: 'html_error' }],
  ['is slower than our patience', { kind: 'slow_answer', delayMs: 2_000 }],
  ['gets a 429', { kind: 'throttled' }],
];

test.concurrent.each(READS)('the read before a write %s: it is read again', async (_, fault) => {
  const seller = await world.seller(5);
  world.simulator.control.inject({ ...fault, when: { sellerId: seller.sellerId, path: '/products/export' } });
  const sale = wants(seller, 2);
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  expect([seller.items[0]!.now()?.quantity, await onHand(seller.items[0]!)]).toEqual([3, 3]);
  expect(world.simulator.control.repeated()).toEqual([]);
});

test.concurrent.each(READS)('the look for sales after a write %s: nothing is said before it was looked', async (_, fault) => {
  const seller = await world.seller(5);
  world.simulator.control.inject({ ...fault, when: { sellerId: seller.sellerId, path: '/orders' } });
  const sale = wants(seller, 2);
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  expect([seller.items[0]!.now()?.quantity, await onHand(seller.items[0]!)]).toEqual([3, 3]);
  expect(world.simulator.control.repeated()).toEqual([]);
});

test.concurrent('every write of a product fails while it can be read: the sale ends at its deadline, and nothing is sent for it after that', async () => {
  const seller = await world.seller(5);
  world.simulator.control.inject({ kind: 'error_before_apply', times: 1_000, when: { sellerId: seller.sellerId, method: 'PUT' } });
  const sale = { ...wants(seller, 2), expires_at: Date.now() + 6_000 };
  await world.send(sale);
  await world.reached(['RECONCILING'], sale);
  await world.reached(['COMPENSATED'], sale);
  expect((await world.outcomes()).get(sale.purchase_id)).toMatchObject([{ outcome: 'REJECTED', reason: 'expired' }]);
  expect(await world.operations(sale.purchase_id)).toMatchObject([{ kind: 'TAKE', state: 'WITHDRAWN' }]);
  expect(await stockOf(world, seller.user, seller.items[0]!.itemId)).toMatchObject({ on_hand: 5, held: 0 });
  expect(seller.items[0]!.now()?.quantity).toBe(5);
});

test.concurrent('an export that was cut short does not make a product gone', async () => {
  const seller = await world.seller(5);
  world.simulator.control.inject({ kind: 'truncated_export', keep: 0, when: { sellerId: seller.sellerId } });
  const sale = wants(seller, 2);
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  expect([seller.items[0]!.now()?.quantity, await onHand(seller.items[0]!)]).toEqual([3, 3]);
});

test.concurrent('an export from before our last write does not bring back what was sold', async () => {
  const seller = await world.seller(5, 3, 3);
  const listedAt = Date.now();
  for (const quantities of [[0, 1], [0, 0, 1], [2]]) {
    const sale = purchase({ user_id: seller.user, lines: quantities.flatMap((quantity, index) => (quantity === 0 ? [] : [line(seller.items[index]!.itemId, quantity)])) });
    await world.send(sale);
    await world.reached(['CONFIRMED'], sale);
  }
  world.simulator.control.inject({ kind: 'stale_export', delayMs: Date.now() - listedAt, when: { sellerId: seller.sellerId } });
  const last = wants(seller, 1);
  await world.send(last);
  await world.reached(['CONFIRMED'], last);
  const [operation] = await world.operations(last.purchase_id);
  expect(operation?.evidence[0]).toMatchObject({ call: 'read', quantity: 5 }); // it was stale indeed
  expect([seller.items[0]!.now()?.quantity, await onHand(seller.items[0]!)]).toEqual([2, 2]);
  expect((await world.listing(seller.items[0]!)).mismatch).toMatchObject({ kind: 'echo', expected: 3, found: 5 });
});
