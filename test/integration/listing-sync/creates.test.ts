import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openToken } from '../../../src/marketplace/index.ts';
import { line, purchase, randomUuid } from '../../support/events.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { stockOf } from '../../support/sales.ts';
import { syncWorld, type SyncWorld } from '../../support/sync-world.ts';
import { until } from '../../support/wait.ts';

/** Protects: an item is listed once, whatever becomes of the request; what CardTrader does not take is told, and not asked for again and again. */
let world: MarketplaceWorld;
let sync: SyncWorld;

beforeAll(async () => {
  world = await createMarketplaceWorld();
  sync = syncWorld(world);
  await world.startAll();
});
afterAll(() => world.close());
afterEach(() => expect(world.simulator.control.waitingFaults()).toEqual([])); // what was to go wrong did

const posts = (sellerId: number): number => world.simulator.control.recentRequests(sellerId).filter(({ method, path }) => method === 'POST' && path.endsWith('/products')).length;

test('an item with card, price and copies is listed, and from then on follows', async () => {
  const seller = await sync.seller();
  const item = await sync.unlisted(seller, { quantity: 3, properties: { condition: 'Played' } });
  await sync.quiet();
  expect(item.now()).toMatchObject({ quantity: 3, priceCents: 250, properties: { condition: 'Played' } });
  await sync.says(item, { quantity: 1, price_cents: 275 });
  await sync.quiet();
  expect(item.all().map(({ quantity, priceCents }) => [quantity, priceCents])).toEqual([[1, 275]]);
  expect(await sync.problem(item)).toBeUndefined();
});

test('without card, price or copies nothing is listed, until there are', async () => {
  const seller = await sync.seller();
  const [noCard, noPrice, none] = [await sync.unlisted(seller, { blueprint_id: null }), await sync.unlisted(seller, { price_cents: null }), await sync.unlisted(seller, { quantity: 0 })];
  await sync.quiet();
  expect([noCard.now(), noPrice.now(), none.now()]).toEqual([undefined, undefined, undefined]);
  expect(posts(seller.sellerId)).toBe(0);
  await sync.says(noPrice, { quantity: 2, price_cents: 199 });
  await sync.quiet();
  expect(noPrice.now()?.quantity).toBe(2);
});

describe('the answer to the create is lost', () => {
  test.each(['response_lost', 'applied_late', 'error_after_apply', 'error_before_apply', 'reset_before_apply', 'reset_mid_body', 'html_error'] as const)('%s: listed once', async (kind) => {
    const seller = await sync.seller();
    world.simulator.control.inject({ kind, when: { sellerId: seller.sellerId, method: 'POST' }, ...(kind === 'applied_late' && { delayMs: 300 }) });
    const item = await sync.unlisted(seller, { quantity: 2 });
    await until('it is listed', () => Promise.resolve(item.all().length > 0), { timeoutMs: 20_000 });
    await sync.quiet();
    expect(item.all().map(({ quantity }) => quantity)).toEqual([2]);
    expect(await world.rows('SELECT quantity, gone FROM marketplace_listings WHERE user_id = $1', seller.user)).toEqual([{ quantity: 2, gone: false }]);
    expect(world.simulator.control.repeated()).toEqual([]);
  });
});

test('a card CardTrader does not know is told once, and tried again when something else is wanted', async () => {
  const seller = await sync.seller();
  const item = await sync.unlisted(seller, { quantity: 2, properties: { condition: 'Chewed' } });
  await sync.quiet();
  expect(await sync.problem(item)).toMatchObject({ kind: 'refused', said: expect.stringContaining('Chewed') as string });
  await sync.says(item, { quantity: 5 });
  await sync.quiet();
  expect(posts(seller.sellerId)).toBe(1);
  await sync.says(item, { quantity: 5, properties: { condition: 'Played' } });
  await sync.quiet();
  expect(item.now()?.quantity).toBe(5);
  expect(await sync.problem(item)).toBeUndefined();
});

test('what is refused of a listed item holds up no quantity', async () => {
  const seller = await sync.seller(4);
  const [item] = seller.items as [(typeof seller.items)[0]];
  await sync.says(item, { quantity: 2, properties: { condition: 'Chewed' } });
  await sync.quiet();
  expect(item.now()?.quantity).toBe(2);
  expect(await sync.problem(item)).toMatchObject({ kind: 'refused' });
  await sync.says(item, { quantity: 3 });
  await sync.quiet();
  expect(item.now()?.quantity).toBe(3);
});

test('the same card in the same state at the same price is there already: not listed, and told', async () => {
  const seller = await sync.seller();
  const first = await sync.unlisted(seller);
  await sync.quiet();
  const second = await sync.unlisted(seller);
  await sync.quiet();
  expect([first.now()?.quantity, second.now()]).toEqual([2, undefined]);
  expect(await sync.problem(second)).toMatchObject({ kind: 'would_merge' });
});

test('two of them at the same moment: one is listed, nothing is added to it, and the other is told', async () => {
  const seller = await sync.seller();
  await sync.set(seller.user, { listingSync: false });
  const items = [await sync.unlisted(seller), await sync.unlisted(seller)];
  await until('both are here', async () => (await world.rows('SELECT FROM inventory_items WHERE user_id = $1', seller.user)).length === 2);
  await sync.set(seller.user, { listingSync: true }); // one transaction asks for both
  await sync.quiet();
  expect(world.simulator.control.products(seller.sellerId).map(({ quantity }) => quantity)).toEqual([2]);
  expect(await world.rows('SELECT quantity FROM marketplace_listings WHERE user_id = $1', seller.user)).toEqual([{ quantity: 2 }]);
  expect((await Promise.all(items.map((item) => sync.problem(item)))).filter((problem) => problem !== undefined)).toMatchObject([{ kind: 'would_merge' }]);
});

test('sold out there, heard of, and more come: listed anew', async () => {
  const seller = await sync.seller(1);
  const [item] = seller.items as [(typeof seller.items)[0]];
  world.simulator.control.sell({ sellerId: seller.sellerId, productId: item.productId, quantity: 1 });
  await sync.hears(item, -1);
  await sync.says(item, { kind: 'ADJUST', quantity: 4, blueprint_id: world.simulator.control.blueprints()[3]!.id, price_cents: 500, currency: 'EUR' });
  await sync.quiet();
  expect(item.now()?.quantity).toBe(4);
  expect(await sync.unaccounted(item)).toBe(0);
});

test('a product that names the item is taken for its listing, not made a second time', async () => {
  const seller = await sync.seller();
  const blueprintId = world.simulator.control.blueprints()[5]!.id;
  const item = { user: seller.user, itemId: '01900000-0000-7000-8000-00000000abcd' };
  world.simulator.control.addProduct(seller.sellerId, { blueprintId, quantity: 2, priceCents: 250, userData: `shelf 4 ${item.itemId}` });
  await sync.says(item, { quantity: 2, blueprint_id: blueprintId, price_cents: 300, currency: 'EUR' });
  await sync.quiet();
  expect(world.simulator.control.products(seller.sellerId)).toMatchObject([{ quantity: 2, priceCents: 300 }]);
});

test('a product that names the item and is another one’s listing is left to that one, and the seller’s other changes go on', async () => {
  const seller = await sync.seller(5, 5);
  const [other, third] = seller.items as [(typeof seller.items)[0], (typeof seller.items)[0]];
  const item = { user: seller.user, itemId: randomUuid() };
  const blueprintId = other.now()!.blueprint.id;
  const token = await openToken({ postgres: world.postgres, keyring: world.access.keyring }, seller.user);
  await world.access.client.updateProduct({ userId: seller.user, token }, other.productId, { userDataField: item.itemId }); // by hand, on the site
  await sync.says(item, { quantity: 2, blueprint_id: blueprintId, price_cents: 300, currency: 'EUR' });
  await sync.says(third, { quantity: 3 });
  await sync.quiet();
  expect(await sync.problem(item)).toMatchObject({ kind: 'merged' });
  expect(await world.rows('SELECT item_id FROM marketplace_listings WHERE user_id = $1 AND product_id = $2', seller.user, other.productId)).toEqual([{ item_id: other.itemId }]);
  expect(third.now()?.quantity).toBe(3);
});

test('sold by us while it is being listed: the sale waits for what becomes of that, and CardTrader ends with what is left', async () => {
  const seller = await sync.seller();
  world.simulator.control.inject({ kind: 'slow_answer', delayMs: 600, when: { sellerId: seller.sellerId, method: 'POST' } });
  const item = await sync.unlisted(seller, { quantity: 3 });
  await until('it is being listed', async () => (await world.rows("SELECT FROM marketplace_operations WHERE user_id = $1 AND state = 'SENT'", seller.user)).length === 1);
  const sale = purchase({ user_id: seller.user, lines: [line(item.itemId, 2)] });
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  await sync.quiet();
  expect(item.now()?.quantity).toBe(1);
  expect((await stockOf(world, seller.user, item.itemId))?.on_hand).toBe(1);
});
