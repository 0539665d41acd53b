import { describe, expect, test, type TestContext } from 'vitest';
import type { Guesses, Injection } from '../../../src/simulator/index.ts';
import { cancellation, line, purchase } from '../../support/events.ts';
import { createMarketplaceWorld, type ListedItem, type ListedSeller, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { checkSales } from '../../support/sale-invariants.ts';
import { stockOf } from '../../support/sales.ts';

/**
 * Protects: nobody knows how CardTrader behaves where its documentation is silent (guesses.ts of the simulator), and sales come out right
 * either way: they end as they should, stock here and there agree, no operation takes effect twice (P5 to P7). For each guess that a sale can
 * meet, every value but the default, which all other tests have.
 */
const COPIES = 3;
/** Longer than any other field: no room behind an item's id for a marker. */
const NO_ROOM = { userDataMaxLength: 64 };

async function running({ onTestFinished }: TestContext, guesses: Partial<Guesses>, env: Readonly<Record<string, string>> = {}): Promise<MarketplaceWorld> {
  const world = await createMarketplaceWorld({ guesses, env });
  onTestFinished(() => world.close());
  await world.startAll();
  return world;
}

const wants = ({ user, itemId }: ListedItem, quantity: number) => purchase({ user_id: user, lines: [line(itemId, quantity)] });
const copiesHere = async (at: MarketplaceWorld, { user, itemId }: ListedItem): Promise<number | undefined> => (await stockOf(at, user, itemId))?.on_hand;

type Variant = [what: string, guesses: Partial<Guesses>, env?: Readonly<Record<string, string>>];

const VARIANTS: Variant[] = [
  ['a quantity of 0 deletes the product', { quantityZero: 'delete' }],
  ['a quantity of 0 is refused', { quantityZero: 'refuse' }],
  ['a quantity of 0 is refused with a 400', { quantityZero: 'refuse', validationStatus: 400 }],
  ['a product that is sold out stays', { soldOut: 'keep' }],
  ['a product that is sold out stays, and a quantity of 0 deletes', { soldOut: 'keep', quantityZero: 'delete' }],
  ['no room for a marker', NO_ROOM, { BRX_MARKETPLACE_DATA_FIELD_LENGTH: '64' }],
  ['no room for a marker, and a quantity of 0 deletes', { ...NO_ROOM, quantityZero: 'delete' }, { BRX_MARKETPLACE_DATA_FIELD_LENGTH: '64' }],
  ['answers to writes tell user_data_field', { resourceUserData: true }],
  ['order lines name no product', { orderLineProductId: 'null' }],
  ['lines of CardTrader Zero name no order', { hubPendingOrderId: 'null' }],
  ['export rows and lists of orders say less', { exportExpansion: false, orderListSellerPrice: false }],
  ['orders are listed for the seller only, by the date of change', { orderAsDefault: 'seller', orderDates: 'change' }],
  ['updates make properties the default, and merge what has become equal', { omittedOnUpdate: 'default', mergeOnUpdate: true }],
];

describe.concurrent.each(VARIANTS)('%s', (_, guesses, env = {}) => {
  test('sales, cancellations, lost answers and buyers there: all end as they should', { timeout: 120_000 }, async (context) => {
    const at = await running(context, guesses, env);
    const { control } = at.simulator;
    const marked = env['BRX_MARKETPLACE_DATA_FIELD_LENGTH'] === undefined;
    const put = (seller: ListedSeller, fault: Omit<Injection, 'when'>, method = 'PUT') => control.inject({ ...fault, when: { sellerId: seller.sellerId, method } });
    const soldThere = (seller: ListedSeller) => control.inject({ kind: 'sale_after_read', quantity: 1, when: { sellerId: seller.sellerId } });

    // One seller for each story, so that a fault meets the request it is for.
    const sellers: ListedSeller[] = [];
    for (let n = 0; n < 9; n += 1) sellers.push(await at.seller(COPIES));
    const [plain, lost, all, allLost, overwritten, before, last, zero, never] = sellers as [ListedSeller, ListedSeller, ListedSeller, ListedSeller, ListedSeller, ListedSeller, ListedSeller, ListedSeller, ListedSeller];
    const sale = (seller: ListedSeller, quantity: number) => wants(seller.items[0]!, quantity);
    const there = ({ items: [item] }: ListedSeller): number => item?.now()?.quantity ?? 0;

    put(lost, { kind: 'response_lost' });
    put(allLost, { kind: 'response_lost' });
    put(never, { kind: 'reset_before_apply' });
    soldThere(overwritten);
    soldThere(last);
    control.sell({ sellerId: before.sellerId, productId: before.items[0]!.productId, quantity: 1 });
    control.sell({ sellerId: zero.sellerId, productId: zero.items[0]!.productId, quantity: 1, viaZero: true });

    const sold = [sale(plain, 1), sale(lost, 1), sale(all, COPIES), sale(allLost, COPIES), sale(overwritten, 1), sale(before, 2), sale(zero, 2), sale(never, 1)];
    const refused = sale(last, COPIES);
    await at.send(...sold, refused);
    await at.reached(['CONFIRMED'], ...sold);
    await at.reached(['COMPENSATED'], refused);
    expect((await at.saga(refused))?.reason).toBe('remote_insufficient_stock');
    await at.settled();
    expect([plain, lost, all, allLost, overwritten, before, zero, never].map(there)).toEqual([2, 2, 0, 0, 1, 0, 0, 2]);

    // What was all sold comes back, once with its answer lost, and is sold again.
    put(allLost, { kind: 'response_lost' });
    put(allLost, { kind: 'response_lost' }, 'POST');
    const cancelled = [sold[1]!, sold[2]!, sold[3]!];
    await at.send(...cancelled.map((each) => cancellation(each)));
    await at.reached(['COMPENSATED'], ...cancelled);
    expect([lost, all, allLost].map(there)).toEqual([3, 3, 3]);
    for (const { items: [item] } of [lost, all, allLost]) expect(await copiesHere(at, item!)).toBe(COPIES);
    const again = [sale(all, 2), sale(allLost, 2)];
    await at.send(...again);
    await at.reached(['CONFIRMED'], ...again);
    expect([all, allLost].map(there)).toEqual([1, 1]);

    await at.settled();
    await at.published();
    const { byState } = await checkSales(at, sellers, COPIES);
    expect(byState).toEqual({ CONFIRMED: 7, COMPENSATED: 4 });
    expect((await at.operations(sold[0]!.purchase_id))[0]).toMatchObject({ state: 'APPLIED' });
    expect(/ brx:/.test(plain.items[0]!.now()?.userData ?? '')).toBe(marked); // the variant is what it is called
  });
});

describe.concurrent.each<[string, Partial<Guesses>, merges: boolean]>([
  ['equal by price and description', { mergeOnCreate: 'price_description' }, true],
  ['equal by price', { mergeOnCreate: 'price' }, true],
  ['equal by properties', { mergeOnCreate: 'properties' }, true],
  ['equal by user_data_field too', { mergeOnCreate: 'user_data' }, false],
  ['never equal', { mergeOnCreate: 'never' }, false],
  ['equal by price, and the text sent last is kept', { mergeOnCreate: 'price', mergedUserData: 'replace' }, true],
])('a create adds to another product of the seller’s: %s', (_, guesses, merges) => {
  test.for([['is answered', false], ['is not answered', true]] as const)('what comes back is up for sale once, and where it is not under its own product that is to be seen; the create %s', async ([_answer, isLost], context) => {
    const at = await running(context, { ...guesses, quantityZero: 'delete' });
    const { control } = at.simulator;
    const seller = await at.seller(COPIES);
    const [item] = seller.items as [ListedItem];
    const listed = item.now()!;
    const twin = control.addProduct(seller.sellerId, { blueprintId: listed.blueprint.id, quantity: 4, priceCents: listed.priceCents, properties: listed.properties, userData: 'another shelf' });
    const sale = wants(item, COPIES);
    await at.send(sale);
    await at.reached(['CONFIRMED'], sale);
    expect(control.products(seller.sellerId).map(({ id }) => id)).toEqual([twin.id]);
    if (isLost) control.inject({ kind: 'response_lost', when: { sellerId: seller.sellerId, method: 'POST' } });
    await at.send(cancellation(sale));
    await at.reached(['COMPENSATED'], sale);
    const giveBack = (await at.operations(sale.purchase_id)).find(({ kind }) => kind === 'RETURN');
    expect(giveBack).toMatchObject({ state: 'APPLIED', attempts: 1 });
    expect(control.effects(giveBack!.operation_id)).toBe(1);
    expect(control.products(seller.sellerId).map(({ quantity }) => quantity).toSorted((a, b) => a - b)).toEqual(merges ? [7] : [3, 4]);
    expect(await copiesHere(at, item)).toBe(COPIES);
    const listing = await at.listing(item);
    if (merges) expect(listing).toMatchObject({ gone: true, mismatch: { kind: 'merged', found: 7 } });
    else expect(listing).toMatchObject({ gone: false, quantity: COPIES, product_id: String(control.products(seller.sellerId).find(({ id }) => id !== twin.id)?.id) });
  });
});

test.concurrent('there is less room for our text than we were told: the write is refused, the sale ends, nothing is changed', async (context) => {
  const at = await running(context, NO_ROOM);
  const seller = await at.seller(COPIES);
  const sale = wants(seller.items[0]!, 1);
  await at.send(sale);
  await at.reached(['COMPENSATED'], sale);
  expect((await at.outcomes()).get(sale.purchase_id)).toMatchObject([{ outcome: 'REJECTED', reason: 'remote_refused' }]);
  expect([seller.items[0]!.now()?.quantity, await copiesHere(at, seller.items[0]!)]).toEqual([COPIES, COPIES]);
  await at.published();
  await checkSales(at, [seller], COPIES);
});
