import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Bucket } from '../../../src/marketplace/buckets.ts';
import { MAX_BULK_ITEMS } from '../../../src/marketplace/client/index.ts';
import { caller, clientOf, exported, TOKEN, writtenAnswer } from '../../support/marketplace.ts';
import { httpServer, type TestServer } from '../../support/rude-server.ts';

/** Protects: what goes out is what CardTrader documents, and reading a product never mistakes "cannot tell" for "it is gone". */
let server: TestServer;
let client: ReturnType<typeof clientOf>;
let answer: unknown;
const gated: { userId: string; bucket: Bucket }[] = [];

beforeAll(async () => {
  server = await httpServer((_request, response) => void response.end(JSON.stringify(answer)));
  client = clientOf(server.url, {}, { gate: ({ userId, bucket }) => Promise.resolve(void gated.push({ userId, bucket })) });
});
afterAll(async () => {
  await client.close();
  await server.close();
});
beforeEach(() => {
  answer = {};
  server.seen.length = 0;
  gated.length = 0;
});

const operationId = '0197a3c2-1111-7000-8000-00000000abcd';
const writer = { ...caller, operationId };
const sent = () => server.seen.map(({ method, url, body }) => ({ call: `${method} ${url}`, body: body === '' ? undefined : (JSON.parse(body) as unknown) }));

describe('what is sent', () => {
  test('reads', async () => {
    answer = [];
    await client.info(caller);
    await client.exportProducts(caller);
    await client.exportProducts(caller, { blueprintId: 77 });
    await client.exportProducts(caller, { blueprintId: 77, expansionId: 5 });
    await client.job(caller, operationId);
    await client.orders(caller);
    await client.orders(caller, { page: 2, limit: 100, from: '2026-11-01', to: '2026-11-30', fromId: 5, toId: 9, state: 'paid', sort: 'id.asc' });
    await client.order(caller, 12);
    expect(sent().map(({ call }) => call)).toEqual([
      'GET /api/v2/info',
      'GET /api/v2/products/export',
      'GET /api/v2/products/export?blueprint_id=77',
      'GET /api/v2/products/export?blueprint_id=77&expansion_id=5',
      `GET /api/v2/jobs/${operationId}`,
      'GET /api/v2/orders?order_as=seller',
      'GET /api/v2/orders?order_as=seller&page=2&limit=100&from=2026-11-01&to=2026-11-30&from_id=5&to_id=9&state=paid&sort=id.asc',
      'GET /api/v2/orders/12',
    ]);
    expect(sent().every(({ body }) => body === undefined)).toBe(true);
  });

  test('writes, always strict, with only what is to change', async () => {
    await client.updateProduct(writer, 101, { quantity: 0 });
    await client.updateProduct(writer, 101, { quantity: 2, priceCents: 6_258, userDataField: 'shelf 4', description: '', properties: { condition: 'Played', mtg_foil: true }, graded: false });
    await client.createProduct(writer, { blueprintId: 77, quantity: 1, priceCents: 5 });
    await client.deleteProduct(writer, 101);
    await client.bulkCreate(writer, [{ blueprintId: 77, quantity: 1, priceCents: 100 }]);
    await client.bulkUpdate(writer, [{ id: 101, quantity: 1 }, { id: 102, priceCents: 99 }]);
    await client.bulkDestroy(writer, [101, 102]);
    expect(sent()).toEqual([
      { call: 'PUT /api/v2/products/101', body: { quantity: 0, error_mode: 'strict' } },
      { call: 'PUT /api/v2/products/101', body: { quantity: 2, price: 62.58, user_data_field: 'shelf 4', description: '', properties: { condition: 'Played', mtg_foil: true }, graded: false, error_mode: 'strict' } },
      { call: 'POST /api/v2/products', body: { blueprint_id: 77, quantity: 1, price: 0.05, error_mode: 'strict' } },
      { call: 'DELETE /api/v2/products/101', body: undefined },
      { call: 'POST /api/v2/products/bulk_create', body: { products: [{ blueprint_id: 77, quantity: 1, price: 1, error_mode: 'strict' }] } },
      { call: 'POST /api/v2/products/bulk_update', body: { products: [{ id: 101, quantity: 1, error_mode: 'strict' }, { id: 102, price: 0.99, error_mode: 'strict' }] } },
      { call: 'POST /api/v2/products/bulk_destroy', body: { products: [{ id: 101 }, { id: 102 }] } },
    ]);
  });

  test('the token, JSON, and the operation id with writes only', async () => {
    await client.updateProduct(writer, 101, { quantity: 0 });
    await client.deleteProduct(writer, 101);
    await client.info(writer);
    const [put, remove, get] = server.seen.map(({ headers }) => headers);
    expect(put).toMatchObject({ authorization: `Bearer ${TOKEN}`, accept: 'application/json', 'content-type': 'application/json', 'x-request-id': operationId, 'user-agent': expect.stringMatching(/^brx-sync\/\d/) as string });
    expect(remove).toMatchObject({ authorization: `Bearer ${TOKEN}`, 'x-request-id': operationId });
    expect(get).toMatchObject({ authorization: `Bearer ${TOKEN}` });
    expect(get).not.toHaveProperty('x-request-id');
    for (const headers of [remove, get]) expect(headers).not.toHaveProperty('content-type');
  });

  test('the gate is asked before each request, in the bucket of the call', async () => {
    await client.info(caller);
    await client.job(caller, 'j');
    await client.bulkDestroy(caller, [1]);
    expect(gated).toEqual((['all', 'jobs', 'all'] as const).map((bucket) => ({ userId: caller.userId, bucket })));
  });

  test.each<[string, () => unknown]>([
    ['no items', () => client.bulkUpdate(caller, [])],
    ['more than fit', () => client.bulkDestroy(caller, Array.from({ length: MAX_BULK_ITEMS + 1 }, (_, n) => n + 1))],
    ['no id', () => client.deleteProduct(caller, 0)],
    ['an id that is no number', () => client.order(caller, Number.NaN)],
    ['a negative quantity', () => client.updateProduct(caller, 1, { quantity: -1 })],
    ['half a card', () => client.updateProduct(caller, 1, { quantity: 1.5 })],
    ['half a cent', () => client.createProduct(caller, { blueprintId: 1, quantity: 1, priceCents: 0.5 })],
    ['a job that leads elsewhere', () => client.job(caller, '../info')],
  ])('refuses what cannot be meant: %s', (_what, call) => {
    expect(call).toThrow(expect.objectContaining({ code: 'BRX_INTERNAL' }) as Error);
    expect(server.seen).toEqual([]);
  });

  test('nothing, where the caller may not any more once the connection is there: a process frozen while it connected wakes with it', async () => {
    const fresh = clientOf(server.url); // it has no connection yet
    let asked = 0;
    const outcome = await fresh.updateProduct({ ...writer, may: () => ++asked === 1 }, 101, { quantity: 0 });
    expect([outcome, asked, server.seen]).toMatchObject([{ outcome: 'throttled', reason: 'aborted' }, 2, []]);
    expect(await fresh.updateProduct({ ...writer, may: () => true }, 101, { quantity: 0 })).toMatchObject({ status: 200 });
    await fresh.close();
  });

  test('an operation id no header can hold is a mistake of ours, not CardTrader’s', async () => {
    await expect(client.updateProduct({ ...caller, operationId: 'a\r\nb: c' }, 1, { quantity: 1 })).rejects.toMatchObject({ code: 'BRX_INTERNAL' });
    expect(client.state()).toMatchObject({ used: 0 });
    expect(server.seen).toEqual([]);
  });
});

describe('reading one product', () => {
  test.each<[string, unknown, unknown]>([
    ['found among others', [exported({ id: 100 }), exported({ user_data_field: 'x' }), exported({ id: 102 })], { outcome: 'applied', body: { product: { id: 101, userDataField: 'x' } } }],
    ['gone', [exported({ id: 100 })], { outcome: 'applied', body: { product: null } }],
    ['nothing left', [], { outcome: 'applied', body: { product: null } }],
    ['found, another cannot be read', [exported({ id: 100, quantity: null }), exported()], { outcome: 'applied', body: { product: { id: 101 } } }],
    ['found, one without an id cannot be read', ['?', exported()], { outcome: 'applied', body: { product: { id: 101 } } }],
    ['it is the one that cannot be read', [exported({ quantity: null })], { outcome: 'unknown', reason: 'unreadable' }],
    ['it may be the one that cannot be read', [exported({ id: 100 }), exported({ id: 'x' })], { outcome: 'unknown', reason: 'unreadable' }],
    ['there twice', [exported(), exported({ quantity: 2 })], { outcome: 'unknown', reason: 'unreadable' }],
    ['there twice, once not to be read', [exported(), exported({ quantity: null })], { outcome: 'unknown', reason: 'unreadable' }],
    ['no list', { products: 'none' }, { outcome: 'unknown', reason: 'unreadable' }],
  ])('%s', async (_what, body, expected) => {
    answer = body;
    expect(await client.readProduct(caller, 101, 77)).toMatchObject(expected as object);
    expect(sent().map(({ call }) => call)).toEqual(['GET /api/v2/products/export?blueprint_id=77']);
  });
});

test('a write tells what CardTrader warned of', async () => {
  answer = { ...writtenAnswer(), result: 'warning', warnings: { properties: { cmc: ['Read only property cmc has been ignored'] } } };
  expect(await client.updateProduct(caller, 101, { quantity: 3 })).toMatchObject({ outcome: 'applied', body: { warnings: [{ field: 'properties.cmc', message: 'Read only property cmc has been ignored' }] } });
});

test.each<[string, unknown, object]>([
  ['with what was deleted', { result: 'ok', warnings: [], resource: { id: 101 } }, { outcome: 'applied', body: { warnings: [] } }],
  ['without', { result: 'ok', warnings: [] }, { outcome: 'applied' }],
  ['of another product', { result: 'ok', resource: { id: 7 } }, { outcome: 'unknown', reason: 'unreadable' }],
  ['that says nothing', {}, { outcome: 'unknown', reason: 'unreadable' }],
])('a deletion %s', async (_what, body, expected) => {
  answer = body;
  expect(await client.deleteProduct(caller, 101)).toMatchObject(expected);
});

test.each<[string, unknown, object]>([
  ['with a job', { job: operationId }, { outcome: 'applied', body: { job: operationId } }],
  ['without', { job: null }, { outcome: 'unknown', reason: 'unreadable' }],
  ['with one that is no id', { job: 'a/../b' }, { outcome: 'unknown', reason: 'unreadable' }],
])('a bulk call %s', async (_what, body, expected) => {
  answer = body;
  expect(await client.bulkUpdate(caller, [{ id: 1, quantity: 1 }])).toMatchObject(expected);
});
