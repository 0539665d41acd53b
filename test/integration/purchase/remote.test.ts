import { afterAll, beforeAll, expect, test } from 'vitest';
import { businessHash } from '../../../src/operations/verify/index.ts';
import { cancellation, line, purchase } from '../../support/events.ts';
import { createMarketplaceWorld, type ListedSeller, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import type { RunningFlow } from '../../support/flow.ts';
import { stockOf } from '../../support/sales.ts';

/** Protects: a sale takes its stock here and on CardTrader, or neither (P5 to P7). */
let world: MarketplaceWorld;

let running: RunningFlow;

beforeAll(async () => {
  world = await createMarketplaceWorld();
  running = await world.startAll();
});
afterAll(() => world.close());

const wants = ({ user, items }: ListedSeller, ...quantities: number[]) => purchase({ user_id: user, lines: quantities.flatMap((quantity, index) => (quantity === 0 ? [] : [line(items[index]!.itemId, quantity)])) });

test('a sale of what is listed lowers the listing, once', async () => {
  const seller = await world.seller(5);
  const sale = wants(seller, 2);
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  expect(await world.facts(sale)).toEqual(['reserved', 'called', 'confirmed']);
  expect(seller.items[0]!.now()?.quantity).toBe(3);
  const [operation] = await world.operations(sale.purchase_id);
  expect(operation).toMatchObject({ kind: 'TAKE', state: 'APPLIED', attempts: 1, before: 5, target: 3 });
  expect(world.simulator.control.effects(operation!.operation_id)).toBe(1);
  expect(await stockOf(world, seller.user, seller.items[0]!.itemId)).toMatchObject({ on_hand: 3, held: 0 });
  expect(await world.listing(seller.items[0]!)).toMatchObject({ quantity: 3, operation_id: operation!.operation_id, mismatch: null });
});

test('several lines are several operations; the text of the seller stays as it was', async () => {
  const seller = await world.seller(5, 4, 3);
  const sale = wants(seller, 1, 2, 3);
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  expect(seller.items.map((item) => item.now()?.quantity)).toEqual([4, 2, 0]);
  expect(seller.items[0]!.now()?.userData).toMatch(new RegExp(`^${seller.items[0]!.itemId} brx:[0-9a-f-]{36}$`));
});

test('cancelled afterwards: back on both sides', async () => {
  const seller = await world.seller(2);
  const sale = wants(seller, 2);
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  await world.send(cancellation(sale));
  await world.reached(['COMPENSATED'], sale);
  expect(seller.items[0]!.now()?.quantity).toBe(2);
  expect(await stockOf(world, seller.user, seller.items[0]!.itemId)).toMatchObject({ on_hand: 2, held: 0 });
});

test('a replay of both topics from the beginning changes no row, enqueues nothing and calls nobody', { timeout: 120_000 }, async () => {
  await world.settled();
  await world.published();
  await running.stop();
  const state = async () => ({ hash: await businessHash(world.pool), drawn: await world.rows('SELECT last_value FROM outbox_id_seq'), asked: world.simulator.control.requests().requests });
  const before = await state();
  await world.rewind();
  running = await world.startAll();
  await world.caughtUp();
  expect(await state()).toEqual(before);
});
