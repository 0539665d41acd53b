import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../../../src/platform/random.ts';
import { makeStock, planForAll, readStock, startSimulator } from '../../../src/simulator/index.ts';
import { COMMANDS } from '../../../src/simulator/control-http.ts';
import { openSimulator } from '../../support/simulator.ts';
import { until } from '../../support/wait.ts';

/** Protects: a simulator in another process is controlled like one in this one; made-up and given stock is what was asked for. */
const OPERATION = '0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f';

describe('over HTTP', () => {
  test('sellers, tokens, products and stock', async () => {
    const { hand, api, control, sellerId, token } = await openSimulator();
    expect((await hand('GET', '/sellers')).body).toMatchObject([{ id: sellerId, token }]);
    const added = (await hand('POST', '/sellers', { id: 5, name: 'five', token: 'a-token-of-five' })).body;
    expect(added).toMatchObject({ id: 5, name: 'five', token: 'a-token-of-five' });
    const product = (await hand('POST', '/sellers/5/products', { quantity: 3, userData: 'mine' })).body as { id: number };
    expect((await api('GET', '/products/export', undefined, { token: 'a-token-of-five' })).rows).toMatchObject([{ id: product.id, quantity: 3, user_data_field: 'mine' }]);
    await hand('PUT', `/products/${product.id}`, { quantity: 8 });
    expect((await hand('GET', `/products/${product.id}`)).body).toMatchObject({ quantity: 8 });
    expect((await hand('GET', '/sellers/5/products')).body).toEqual([control.product(product.id)]);
    await hand('DELETE', `/products/${product.id}`);
    expect((await hand('GET', `/products/${product.id}`)).body).toBeNull();
    const { token: fresh } = (await hand('POST', '/sellers/5/regenerate-token')).body as { token: string };
    expect((await api('GET', '/info', undefined, { token: fresh })).status).toBe(200);
    await hand('POST', '/sellers/5/revoke-token');
    expect((await api('GET', '/info', undefined, { token: fresh })).status).toBe(401);
  });

  test('sales and orders', async () => {
    const { hand, control, first, sellerId } = await openSimulator();
    const { id } = control.setQuantity(first().id, 9);
    const direct = (await hand('POST', '/sell', { sellerId, productId: id, quantity: 2 })).body as { order: { id: number; lines: { id: number }[] } };
    expect(direct).toMatchObject({ sold: true, order: { state: 'paid' } });
    expect((await hand('POST', '/sell', { sellerId, lines: [{ productId: id, quantity: 99 }] })).body).toEqual({ sold: false, reason: 'insufficient_stock' });
    const presale = (await hand('POST', '/sell', { sellerId, productId: id, viaZero: true, presale: true })).body as { order: { id: number } };
    expect((await hand('POST', `/orders/${presale.order.id}/end-presale`)).body).toMatchObject({ state: 'hub_pending' });
    expect((await hand('POST', `/sellers/${sellerId}/merge-hub`)).body).toMatchObject({ state: 'paid', viaZero: true });
    expect((await hand('POST', `/orders/${direct.order.id}/cancel-line`, { lineId: direct.order.lines[0]!.id, relist: true })).body).toMatchObject({ lines: [{ deletedAt: expect.any(Number) as number }] });
    expect((await hand('POST', `/orders/${direct.order.id}/move`, { event: 'ship' })).body).toMatchObject({ state: 'sent' });
    expect((await hand('POST', `/orders/${direct.order.id}/move`, { event: 'ship' })).body).toBeNull();
    expect(((await hand('GET', `/sellers/${sellerId}/orders`)).body as object[]).length).toBe(4);
    expect(first().quantity).toBe(8);
  });

  test('faults, effects and requests', async () => {
    const { hand, api, first, control, sellerId } = await openSimulator();
    await hand('POST', '/faults', { kind: 'error_after_apply', status: 504, when: { sellerId, method: 'PUT' } });
    expect((await hand('GET', '/faults')).body).toMatchObject({ waiting: [{ kind: 'error_after_apply' }] });
    expect((await api('PUT', `/products/${first().id}`, { quantity: 3 }, { headers: { 'x-request-id': OPERATION } })).status).toBe(504);
    expect((await hand('GET', '/faults')).body).toMatchObject({ waiting: [], fired: { error_after_apply: 1 } });
    expect((await hand('GET', `/effects?operationId=${OPERATION}`)).body).toMatchObject([{ after: 3, answered: false }]);
    expect((await hand('GET', `/effects?sellerId=${sellerId}&productId=${first().id}`)).body).toHaveLength(1);
    expect((await hand('GET', '/effects?productId=1')).body).toEqual([]);
    expect((await hand('GET', '/repeated')).body).toEqual([]);
    await hand('PUT', '/faults', { edge_403: 1, slow_answer: { chance: 0, delayMs: 5 } });
    expect((await api('GET', '/info')).status).toBe(403);
    await hand('DELETE', '/faults');
    expect((await hand('GET', `/requests?sellerId=${sellerId}`)).body).toMatchObject({ requests: 2, throttled: 0, densest: { all: 2, marketplace: 0, jobs: 0 }, recent: [{ status: 504, fault: 'error_after_apply' }, { status: 403 }] });
    expect((await hand('GET', '/requests')).body).toEqual(control.requests());
    expect((await hand('GET', '/guesses')).body).toEqual(control.guesses);
    expect((await hand('GET', '')).body).toMatchObject({ sellers: 1, products: 10, repeated: 0, pending: 0 });
    expect((await hand('POST', '/idle')).status).toBe(200);
  });

  test('what cannot be used is a 400 that says why, what there is not a 404; nothing happened', async () => {
    const { hand, control } = await openSimulator();
    for (const [method, path, body, message] of [
      ['POST', '/faults', { kind: 'nonsense' }, /kind/],
      ['PUT', '/faults', { edge_403: 2 }, /edge_403/],
      ['POST', '/sell', {}, /./],
      ['PUT', '/products/1', { quantity: 1 }, /there is no product 1/],
      ['GET', '/sellers/7/products', undefined, /there is no seller 7/],
      ['POST', '/sellers', { id: 1_001 }, /seller 1001 is there already/],
      ['POST', '/sellers/1001/products', { blueprintId: 1 }, /there is no blueprint 1/],
    ] as const) {
      const reply = await hand(method, path, body);
      expect([reply.status, (reply.body as { error: string }).error]).toEqual([400, expect.stringMatching(message)]);
    }
    expect((await hand('GET', '/nothing')).status).toBe(404);
    expect(control.ledger()).toEqual([]);
  });

  test('a page in a browser cannot reach it, and it is no part of the limit', async () => {
    const { url, control } = await openSimulator();
    expect((await fetch(`${url}/_simulator/sellers`, { headers: { origin: 'https://example.com' } })).status).toBe(404);
    expect(control.requests().requests).toBe(0);
  });

  test('reset: everything as at the start', async () => {
    const { hand, api, control, first, token, sellerId } = await openSimulator();
    const before = [control.sellers(), control.products(sellerId)];
    control.sell({ sellerId, productId: first().id });
    control.inject({ kind: 'edge_403' });
    await api('POST', '/products/bulk_update', { products: [{ id: first().id, quantity: 77 }] });
    control.regenerateToken(sellerId);
    await hand('POST', '/reset');
    expect([control.sellers(), control.products(sellerId)]).toEqual(before);
    expect([control.orders(sellerId), control.ledger(), control.waitingFaults(), control.pending, control.requests().requests]).toEqual([[], [], [], 0, 0]);
    expect((await api('GET', '/info', undefined, { token })).status).toBe(200);
  });

  test('the README names every route', () => {
    const readme = readFileSync(new URL('../../../src/simulator/README.md', import.meta.url), 'utf8');
    for (const route of Object.keys(COMMANDS)) expect(readme, route).toContain(`\`${route.trim()}\``);
  });
});

describe('the server', () => {
  test('listens on loopback only, on a port that is free or says who is in the way', async () => {
    const { url } = await openSimulator();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    await expect(startSimulator({ port: Number(new URL(url).port) })).rejects.toThrow(/cannot listen on 127\.0\.0\.1/);
  });

  test('connections are counted: how many there are, and the most at once', async () => {
    const { url, control } = await openSimulator();
    const sockets = await Promise.all([1, 2, 3].map(async () => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    }));
    await until('all are seen', () => control.connections.open === 3);
    for (const socket of sockets) socket.destroy();
    await until('all are gone', () => control.connections.open === 0);
    expect(control.connections).toEqual({ open: 0, most: 3 });
  });

  test('the latency lies around the effect: half before it, half behind', async () => {
    const { api, clock, first, control } = await openSimulator({ latencyMs: 100 });
    const reply = api('PUT', `/products/${first().id}`, { quantity: 42 });
    while (control.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(49);
    expect(first().quantity).not.toBe(42);
    await clock.advance(1);
    expect([first().quantity, control.ledger()[0]!.answered]).toEqual([42, false]);
    await clock.advance(50);
    expect((await reply).status).toBe(200);
  });

  test('a failure in the background is told at once and thrown at the end', async () => {
    const told: unknown[] = [];
    const simulator = await startSimulator({ onFailure: (error) => told.push(error), onOrder: () => { throw new Error('observer broke'); } });
    const { id } = simulator.control.sellers()[0]!;
    simulator.control.inject({ kind: 'sale_after_read' });
    await expect(fetch(`${simulator.apiUrl}/products/export`, { headers: { authorization: `Bearer ${simulator.control.token(id)!}` } })).rejects.toThrow();
    await expect(simulator.close()).rejects.toThrow('observer broke');
    expect(told).toHaveLength(1);
  });
});

describe('stock', () => {
  test('the same seed makes the same sellers, tokens and products; another seed others', async () => {
    const look = async (seed: number): Promise<unknown> => {
      const { control, sellerId } = await openSimulator({ seed, stock: { sellers: 2, products: 20 } });
      return [control.sellers(), control.products(sellerId)];
    };
    expect(await look(5)).toEqual(await look(5));
    expect(await look(5)).not.toEqual(await look(6));
  });

  test('as many as asked for, none would merge, each with its own user data; the oddities of the real catalogue are there', () => {
    const { sellers, catalogue } = makeStock(createRandom(1), { sellers: 3, products: 2_500 });
    expect(sellers.map((seller) => seller.products.length)).toEqual([2_500, 2_500, 2_500]);
    const all = sellers.flatMap((seller) => seller.products);
    expect(new Set(all.map((product) => product.id)).size).toBe(7_500);
    expect(new Set(all.map((product) => product.userData)).size).toBe(7_500);
    for (const { products } of sellers) expect(new Set(products.map((product) => JSON.stringify([product.blueprint.id, product.properties, product.priceCents, product.description, product.graded ?? false]))).size).toBe(2_500);
    for (const { blueprint, properties, priceCents } of all) {
      expect(priceCents).toBeGreaterThan(0);
      for (const { name, possible_values: values } of blueprint.editable_properties) expect(values).toContain(properties[name]);
    }
    expect(all.some((product) => product.properties['mtg_language'] === 'zh-CN')).toBe(true);
    expect(all.some((product) => product.graded === null) && all.some((product) => product.description === null)).toBe(true);
    const some = (test: (blueprint: (typeof catalogue.blueprints)[number]) => boolean): boolean => catalogue.blueprints.some(test);
    expect(some((one) => one.editable_properties.some(({ type, possible_values: values }) => type === 'boolean' && values.length === 1 && values[0] === true))).toBe(true);
    expect(some((one) => one.editable_properties.some(({ type, default_value: value }) => type === 'boolean' && value === 'false'))).toBe(true);
    expect(some((one) => one.expansion_id === null) && some((one) => one.tcg_player_id === null) && some((one) => one.scryfall_id === null) && some((one) => one.version === null) && some((one) => one.version === '')).toBe(true);
    expect(new Set(catalogue.blueprints.map((one) => one.game_id)).size).toBe(6);
  });

  test('from a file: given ids, tokens and cards; properties left out take the card’s defaults', async () => {
    const blueprint = { id: 7, name: 'Black Lotus', editable_properties: [{ name: 'condition', type: 'string', possible_values: ['Near Mint', 'Poor'], default_value: 'Near Mint' }, { name: 'mtg_foil', type: 'boolean', possible_values: [true], default_value: 'true' }] };
    const text = JSON.stringify({ blueprints: [blueprint], sellers: [{ id: 12, token: 'twelve-token', products: [{ id: 9, blueprint_id: 7, quantity: 2, price_cents: 5, user_data_field: 'lot', properties: { condition: 'Poor' } }, { id: 8, blueprint_id: 7, quantity: 0, price_cents: 5 }] }] });
    const { api } = await openSimulator({ stock: readStock(text, createRandom(1)) });
    expect((await api('GET', '/products/export', undefined, { token: 'twelve-token' })).rows).toMatchObject([
      { id: 8, quantity: 0, properties_hash: { condition: 'Near Mint', mtg_foil: true } },
      { id: 9, quantity: 2, price_cents: 5, user_data_field: 'lot', name_en: 'Black Lotus', properties_hash: { condition: 'Poor', mtg_foil: true } },
    ]);
  });

  test('a file may use the made-up cards', () => {
    expect(readStock('{"sellers":[{"id":1,"products":[{"id":1,"blueprint_id":10000,"quantity":1,"price_cents":1}]}]}', createRandom(1)).sellers[0]!.products[0]!.blueprint.id).toBe(10_000);
  });

  test.each([
    ['{', /is no JSON/],
    ['{}', /sellers/],
    ['{"sellers":[{"id":1,"products":[{"id":1,"blueprint_id":1,"quantity":1,"price_cents":1}]}]}', /blueprint 1, which there is not/],
    ['{"sellers":[{"id":1,"products":[{"id":1,"blueprint_id":10000,"quantity":-1,"price_cents":0}]}]}', /quantity.*; .*price_cents/],
    ['{"sellers":[1,2].map}', /is no JSON/],
    [JSON.stringify({ sellers: [1, 2].map((id) => ({ id, products: [{ id: 3, blueprint_id: 10_000, quantity: 1, price_cents: 1 }] })) }), /product 3 is there twice/],
  ])('a file %s is refused', (text, message) => {
    expect(() => readStock(text, createRandom(1))).toThrow(message);
  });
});

test('the plan for all kinds leaves out those after which a seller cannot go on', () => {
  expect(Object.keys(planForAll(0.1))).toHaveLength(15);
  expect(planForAll(0.1)).not.toHaveProperty('token_revoked');
});
