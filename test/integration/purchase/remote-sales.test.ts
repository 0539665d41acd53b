import { afterAll, beforeAll, expect, test } from 'vitest';
import { cancellation, line, purchase } from '../../support/events.ts';
import { createMarketplaceWorld, type ListedItem, type ListedSeller, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { stockOf } from '../../support/sales.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects: buyers on CardTrader buy while we sell. A copy sold there is never sold again by us, and what does not fit is to be seen (P5,
 * cardtrader.md section 10 "absolute PUT vs concurrent sale").
 */
let world: MarketplaceWorld;

beforeAll(async () => {
  world = await createMarketplaceWorld();
  await world.startAll();
});
afterAll(() => world.close());

const wants = ({ user, items }: ListedSeller, ...quantities: number[]) => purchase({ user_id: user, lines: quantities.map((quantity, index) => line(items[index]!.itemId, quantity)) });
const soldThere = (seller: ListedSeller, quantity: number): void => void world.simulator.control.inject({ kind: 'sale_after_read', quantity, when: { sellerId: seller.sellerId } });
const quantityOf = (item: ListedItem): number => item.now()?.quantity ?? 0;

test.concurrent('a copy sold there between our read and our write is taken off again', async () => {
  const seller = await world.seller(5);
  soldThere(seller, 1);
  const sale = wants(seller, 2);
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  await until('the copy is taken off', () => Promise.resolve(quantityOf(seller.items[0]!) === 2));
  await until('the listing says so', async () => (await world.listing(seller.items[0]!)).quantity === 2);
  expect((await world.listing(seller.items[0]!)).mismatch).toMatchObject({ kind: 'overwritten_sale', found: 5, expected: 4 });
  expect(await world.rows("SELECT kind, state, quantity FROM marketplace_operations WHERE user_id = $1 AND kind = 'LOWER'", seller.user)).toEqual([{ kind: 'LOWER', state: 'APPLIED', quantity: 1 }]);
});

test.concurrent('sold before we looked: it is in what we read, and nothing is taken off twice', async () => {
  const seller = await world.seller(5);
  world.simulator.control.sell({ sellerId: seller.sellerId, productId: seller.items[0]!.productId, quantity: 1 });
  const sale = wants(seller, 2);
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  await world.settled();
  expect(quantityOf(seller.items[0]!)).toBe(2);
  expect((await world.listing(seller.items[0]!)).mismatch).toMatchObject({ kind: 'fewer', expected: 5, found: 4 });
  const again = wants(seller, 1);
  await world.send(again);
  await world.reached(['CONFIRMED'], again);
  await world.settled();
  expect(quantityOf(seller.items[0]!)).toBe(1);
});

test.concurrent('the last copy is sold there first: ours is refused, and comes back here', async () => {
  const seller = await world.seller(1);
  soldThere(seller, 1);
  const sale = wants(seller, 1);
  await world.send(sale);
  await world.reached(['COMPENSATED'], sale);
  expect((await world.outcomes()).get(sale.purchase_id)).toMatchObject([{ outcome: 'REJECTED', reason: 'remote_insufficient_stock' }]);
  expect(seller.items[0]!.now()).toBeUndefined();
  expect(await stockOf(world, seller.user, seller.items[0]!.itemId)).toMatchObject({ on_hand: 1, held: 0 });
  const another = wants(seller, 1); // still on hand here, but not for sale any more
  await world.send(another);
  await world.reached(['COMPENSATED'], another);
});

test.concurrent('too few are left there for a sale that wanted more: refused, and the sale there stands', async () => {
  const seller = await world.seller(3);
  soldThere(seller, 2);
  const sale = wants(seller, 2);
  await world.send(sale);
  await world.reached(['COMPENSATED'], sale);
  await world.settled();
  expect(quantityOf(seller.items[0]!)).toBe(1);
  expect((await world.saga(sale))?.reason).toBe('remote_insufficient_stock');
});

test.concurrent('one line is refused: what was taken for the others is given back before the sale ends', async () => {
  const seller = await world.seller(4, 4, 1);
  world.simulator.control.removeProduct(seller.items[2]!.productId);
  const sale = wants(seller, 1, 2, 1);
  await world.send(sale);
  await world.reached(['COMPENSATED'], sale);
  expect((await world.outcomes()).get(sale.purchase_id)).toMatchObject([{ outcome: 'REJECTED', reason: 'remote_product_gone' }]);
  expect(seller.items.map((item) => item.now()?.quantity)).toEqual([4, 4, undefined]);
  for (const item of seller.items) expect(await stockOf(world, item.user, item.itemId)).toMatchObject({ held: 0 });
  for (const { operation_id: id, kind, state } of await world.operations(sale.purchase_id)) expect([kind, state, world.simulator.control.effects(id)]).toEqual([kind, state, state === 'APPLIED' ? 1 : 0]);
  expect((await world.listing(seller.items[2]!)).mismatch).toMatchObject({ kind: 'gone' });
});

test.concurrent('what was sold out there by us and comes back is listed anew, as it was', async () => {
  const seller = await world.seller(2);
  const [item] = seller.items as [ListedItem];
  const sale = wants(seller, 2);
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  world.simulator.control.removeProduct(item.productId); // the seller tidies up what stands at 0
  await world.send(cancellation(sale));
  await world.reached(['COMPENSATED'], sale);
  const anew = item.now();
  expect(anew).toMatchObject({ quantity: 2, priceCents: 100 });
  expect(anew?.id).not.toBe(item.productId);
  expect(await world.listing(item)).toMatchObject({ product_id: String(anew?.id), quantity: 2, gone: false });
});

test.concurrent('listing anew, and the answer is lost: once, not twice', async () => {
  const seller = await world.seller(2);
  const [item] = seller.items as [ListedItem];
  const sale = wants(seller, 1);
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  world.simulator.control.removeProduct(item.productId);
  world.simulator.control.inject({ kind: 'response_lost', when: { sellerId: seller.sellerId, method: 'POST' } });
  await world.send(cancellation(sale));
  await world.reached(['COMPENSATED'], sale);
  expect(world.simulator.control.products(seller.sellerId).map(({ quantity }) => quantity)).toEqual([1]);
  const giveBack = (await world.operations(sale.purchase_id)).find(({ kind }) => kind === 'RETURN');
  expect(giveBack).toMatchObject({ state: 'APPLIED', attempts: 1 });
  expect(world.simulator.control.effects(giveBack!.operation_id)).toBe(1);
});

test.concurrent('many sales of one product, one after the other: each takes its own', async () => {
  const seller = await world.seller(20);
  const sales = Array.from({ length: 12 }, () => wants(seller, 1));
  await world.send(...sales);
  await world.reached(['CONFIRMED'], ...sales);
  expect(quantityOf(seller.items[0]!)).toBe(8);
  expect((await world.listing(seller.items[0]!)).mismatch).toBeNull();
});

test.concurrent('two sales race for the last copy: one', async () => {
  const seller = await world.seller(1);
  const sales = [wants(seller, 1), wants(seller, 1)];
  await world.send(...sales);
  await world.reached(['CONFIRMED', 'REJECTED'], ...sales);
  expect(quantityOf(seller.items[0]!)).toBe(0);
});
