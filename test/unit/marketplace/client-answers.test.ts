import { describe, expect, test } from 'vitest';
import { readErrorBody, readNotices } from '../../../src/marketplace/client/error-body.ts';
import { InfoSchema, JobSchema } from '../../../src/marketplace/client/job.ts';
import { read, readList } from '../../../src/marketplace/client/lenient.ts';
import { OrderSchema } from '../../../src/marketplace/client/order.ts';
import { ProductSchema } from '../../../src/marketplace/client/product.ts';
import { exported, resource } from '../../support/marketplace.ts';

/** Protects: every form of an answer that was seen in the wild (cardtrader.md sections 3 to 6) is read as what it means, and what cannot be read is told. */
const product = (value: unknown) => {
  const result = read(ProductSchema, value);
  if (!result.ok) throw new Error(result.problem);
  return result.value;
};

describe('a product', () => {
  test('is the same from the export and from a write', () => {
    const { name, sellerId, userDataField, expansionId, ...fromExport } = product(exported());
    const { name: _name, sellerId: _seller, userDataField: untold, expansionId: expansion, ...fromWrite } = product(resource());
    expect(fromExport).toEqual(fromWrite);
    expect(fromExport).toEqual({
      id: 101,
      blueprintId: 77,
      quantity: 3,
      priceCents: 6_258,
      currency: 'EUR',
      properties: { condition: 'Near Mint', mtg_foil: false, mtg_language: 'en' },
      description: null,
      graded: false,
      tag: null,
      bundleSize: 1,
      gameId: 1,
      categoryId: 1,
    });
    expect({ name, sellerId, userDataField, untold, expansionId, expansion }).toEqual({ name: 'Black Lotus', sellerId: 9, userDataField: 'shelf 4', untold: undefined, expansionId: null, expansion: 5 });
  });

  test.each<[string, Record<string, unknown>, object]>([
    ['ids as text', { id: '101', blueprint_id: '77', user_id: '9' }, { id: 101, blueprintId: 77, sellerId: 9 }],
    ['numbers as text', { quantity: '3', price_cents: '6258' }, { quantity: 3, priceCents: 6_258 }],
    ['a price object in the export', { price_cents: undefined, price_currency: undefined, price: { cents: 5, currency: 'USD', formatted: '$0.05' } }, { priceCents: 5, currency: 'USD' }],
    ['both prices', { price: { cents: 5, currency: 'USD' } }, { priceCents: 6_258, currency: 'EUR' }],
    ['graded 1', { graded: 1 }, { graded: true }],
    ['graded "true"', { graded: 'true' }, { graded: true }],
    ['graded null', { graded: null }, { graded: null }],
    ['graded absent', { graded: undefined }, { graded: null }],
    ['graded a word', { graded: 'PSA 10' }, { graded: null }],
    ['no description', { description: undefined }, { description: null }],
    ['an expansion object', { expansion: { id: 5, code: 'lea' } }, { expansionId: 5 }],
    ['no expansion', { expansion: null, expansion_id: null }, { expansionId: null }],
    ['an empty data field', { user_data_field: '' }, { userDataField: null }],
    ['a null data field', { user_data_field: null }, { userDataField: null }],
    ['no data field', { user_data_field: undefined }, { userDataField: undefined }],
    ['a data field of digits', { user_data_field: 12 }, { userDataField: '12' }],
    ['no properties', { properties_hash: null }, { properties: {} }],
    ['properties that nest', { properties_hash: { condition: 'Mint', odd: { deep: 1 }, list: [1] } }, { properties: { condition: 'Mint' } }],
    ['an unnamed currency', { price_currency: null }, { currency: null }],
    ['a bundle of nothing', { bundle_size: null }, { bundleSize: null }],
    ['nothing in stock', { quantity: 0 }, { quantity: 0 }],
    ['odd extras', { tag: 5, name_en: ['x'], game_id: 'one', expansion: 3 }, { tag: null, name: null, gameId: null, expansionId: null }],
  ])('%s', (_what, over, expected) => {
    expect(product(exported(over))).toMatchObject(expected);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['no id', { id: undefined }, /^id:/],
    ['id 0', { id: 0 }, /^id: is no id/],
    ['an id no number holds', { id: '9007199254740993000' }, /^id:/],
    ['no blueprint', { blueprint_id: null }, /^blueprint_id:/],
    ['no quantity', { quantity: undefined }, /^quantity:/],
    ['a negative quantity', { quantity: -1 }, /^quantity: is negative/],
    ['a quantity beyond what our columns hold', { quantity: 2_147_483_648 }, /^quantity: is no number of copies/],
    ['half a card', { quantity: 1.5 }, /^quantity:/],
    ['no price', { price_cents: undefined }, /^price_cents: there is no price/],
    ['a price in decimals', { price_cents: 62.58 }, /^price_cents:/],
    ['a data field that is no text', { user_data_field: { brx: 1 } }, /^user_data_field:/],
  ])('without what is essential it cannot be read: %s', (_what, over, problem) => {
    const result = read(ProductSchema, exported(over));
    expect(result).toMatchObject({ ok: false, problem: expect.stringMatching(problem) as string });
  });
});

describe('a list', () => {
  test.each<[string, unknown]>([
    ['bare', [exported()]],
    ['wrapped', { array: [exported()] }],
    ['wrapped under its name', { products: [exported()] }],
  ])('%s', (_what, value) => {
    expect(readList(ProductSchema, value, 'products')).toMatchObject({ ok: true, value: { items: [{ id: 101 }], unread: [] } });
  });

  test('an entry that cannot be read is told with its place and loses no other', () => {
    const result = readList(ProductSchema, [exported({ id: 1 }), exported({ id: 2, quantity: null }), null, exported({ id: 'x' }), exported({ id: 5 })], 'products');
    if (!result.ok) throw new Error(result.problem);
    expect(result.value.items.map(({ id }) => id)).toEqual([1, 5]);
    expect(result.value.unread).toMatchObject([{ index: 1, id: 2 }, { index: 2, id: null }, { index: 3, id: null }]);
  });

  test.each([null, 'x', 5, {}, { array: 'x' }, { error: 'x' }, { array: { 0: exported() } }])('%j is no list, and no empty one', (value) => {
    expect(readList(ProductSchema, value, 'products')).toMatchObject({ ok: false });
  });
});

describe('errors and warnings', () => {
  test.each<[string, unknown, [field: string, message: string][]]>([
    ['none, as an object', {}, []],
    ['none, as a list', [], []],
    ['none at all', undefined, []],
    ['fields with texts', { price: ['a', 'b'], quantity: ['c'] }, [['price', 'a'], ['price', 'b'], ['quantity', 'c']]],
    ['fields with a text', { price: 'a' }, [['price', 'a']]],
    ['under properties', { properties: { condition: ['x'] } }, [['properties.condition', 'x']]],
    ['texts', ['a', 'b'], [['', 'a'], ['', 'b']]],
    ['fields in a list', [{ scheduler: 'busy' }], [['scheduler', 'busy']]],
    ['what is neither', { a: 5, b: null, c: [true] }, []],
  ])('%s', (_what, value, expected) => {
    expect(readNotices(value)).toEqual(expected.map(([field, message]) => ({ field, message })));
  });

  test('are bounded, however much a server sends', () => {
    let deep: unknown = 'x';
    for (let n = 0; n < 10_000; n += 1) deep = { a: deep };
    expect(readNotices(deep)).toEqual([]);
    expect(readNotices(Array.from({ length: 10_000 }, () => 'x'))).toHaveLength(50);
  });

  test('a page made to be slow is not', () => {
    const begun = performance.now();
    readErrorBody('<p>'.repeat(20_000));
    readErrorBody(`<title>${'<'.repeat(60_000)}`);
    expect(performance.now() - begun).toBeLessThan(1_000); // some milliseconds; tens of seconds were the time to grow with the square of all of it
  });
});

test('a job: states, results by their place, and one nobody knows', () => {
  const done = { uuid: 'u', state: 'completed', spawned_children: 3, duration: 1.5, stats: { ok: 1 }, results: [
    { result: 'ok', job_index: 0, product_id: '5', warnings: {} },
    { result: 'error', job_index: '1', errors: { base: ['Blueprint cant be blank'] } },
    { result: 'warning', job_index: 2, product_id: 7, warnings: { properties: { cmc: ['ignored'] } } },
  ] };
  expect(read(JobSchema, done)).toEqual({
    ok: true,
    value: {
      uuid: 'u',
      state: 'completed',
      results: [
        { result: 'ok', index: 0, productId: 5, errors: [], warnings: [] },
        { result: 'error', index: 1, productId: null, errors: [{ field: 'base', message: 'Blueprint cant be blank' }], warnings: [] },
        { result: 'warning', index: 2, productId: 7, errors: [], warnings: [{ field: 'properties.cmc', message: 'ignored' }] },
      ],
    },
  });
  expect(read(JobSchema, { uuid: null, state: 'unknown', spawned_children: null })).toMatchObject({ ok: true, value: { uuid: null, state: 'unknown', results: [] } });
  expect(read(JobSchema, { uuid: 'u', state: 'a new one' })).toMatchObject({ ok: true });
  expect(read(JobSchema, { uuid: 'u', state: 'completed', results: [{ result: 'ok' }] })).toMatchObject({ ok: false }); // whose result would it be?
  expect(read(JobSchema, { uuid: 'u' })).toMatchObject({ ok: false });
});

test('the app: with and without the seller’s id', () => {
  expect(read(InfoSchema, { id: 1, name: 'App', shared_secret: 'aa', user_id: 9 })).toEqual({ ok: true, value: { id: 1, name: 'App', sharedSecret: 'aa', sellerId: 9 } });
  expect(read(InfoSchema, { id: '1', name: 'App' })).toMatchObject({ ok: true, value: { id: 1, sellerId: null, sharedSecret: null } });
  expect(read(InfoSchema, { error: 'x' })).toMatchObject({ ok: false });
});

describe('an order', () => {
  const line = (over: object = {}) => ({ id: 1, product_id: 101, blueprint_id: 77, quantity: 2, user_data_field: 'x', name: 'Lotus', seller_price: { cents: 100, currency: 'EUR' }, created_at: '2026-11-25T10:00:00.000Z', deleted_at: null, mkm_id: 5, ...over });
  const order = (over: object = {}) => ({ id: 12, code: 'C', state: 'paid', via_cardtrader_zero: false, order_as: 'seller', presale: null, paid_at: '2026-11-25T10:00:00.000Z', buyer: { username: 'b', email: 'buyer@example.com', phone: '555' }, order_shipping_address: { name: 'Jane' }, order_items: [line()], ...over });

  test('without the buyer', () => {
    const result = read(OrderSchema, order());
    expect(result).toMatchObject({ ok: true, value: { id: 12, state: 'paid', viaCardtraderZero: false, presale: null, paidAt: Date.UTC(2026, 10, 25, 10), sentAt: null, lines: [{ productId: 101, quantity: 2, priceCents: 100, createdAt: Date.UTC(2026, 10, 25, 10), deletedAt: null }] } });
    expect(JSON.stringify(result)).not.toMatch(/example\.com|555|Jane/);
  });

  test.each<[string, object, object]>([
    ['a state nobody knows', order({ state: 'teleported' }), { state: 'teleported' }],
    ['cancelled with two l', order({ state: 'cancelled', cancelled_at: '2026-11-25T10:00:00Z' }), { state: 'canceled', cancelledAt: Date.UTC(2026, 10, 25, 10) }],
    ['a line whose product is gone', order({ order_items: [line({ product_id: null })] }), { lines: [{ productId: null, userDataField: 'x' }] }],
    ['a line without prices', order({ order_items: [line({ seller_price: undefined })] }), { lines: [{ priceCents: null, currency: null }] }],
    ['a CT Zero line', order({ state: 'hub_pending', via_cardtrader_zero: 1, order_items: [line({ hub_pending_order_id: '12' })] }), { viaCardtraderZero: true, lines: [{ hubPendingOrderId: 12 }] }],
    ['a line taken out', order({ order_items: [line({ deleted_at: '2026-11-25T10:00:00.000Z' })] }), { lines: [{ deletedAt: Date.UTC(2026, 10, 25, 10) }] }],
    ['times that are none', order({ paid_at: 'soon' }), { paidAt: null }],
  ])('%s', (_what, value, expected) => {
    expect(read(OrderSchema, value)).toMatchObject({ ok: true, value: expected });
  });

  test.each([order({ id: null }), order({ state: null }), order({ order_items: undefined }), order({ order_items: [line({ quantity: null })] }), order({ order_items: [line({ product_id: 'x' })] })])('that lacks what is essential cannot be read', (value) => {
    expect(read(OrderSchema, value)).toMatchObject({ ok: false });
  });
});
