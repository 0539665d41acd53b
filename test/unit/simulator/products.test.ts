import { describe, expect, test } from 'vitest';
import { anyNumber, anyText, card, openSimulator, UUID, type View } from '../../support/simulator.ts';

/** Protects: the simulator's products behave as CardTrader's documentation says (reference sections 1, 3.2, 4, 5), line by line. */
const LISTING = { price: 62.58, quantity: 4, error_mode: 'strict' };
const envelope = (code: string, message: unknown = anyText, errors: unknown = []) => ({ error_code: code, errors, extra: { message }, request_id: expect.stringMatching(UUID) as string });

describe('who may', () => {
  test('a token that works is asked for on every call; else 401 in the documented envelope', async () => {
    const { api, token, apiUrl } = await openSimulator();
    expect(await api('GET', '/info', undefined, { token: 'nonsense' })).toMatchObject({ status: 401, body: envelope('unauthorized') });
    expect((await fetch(`${apiUrl}/info`)).status).toBe(401);
    expect((await fetch(`${apiUrl}/info`, { headers: { authorization: token } })).status).toBe(401);
    expect((await api('GET', '/info')).status).toBe(200);
  });

  test('GET /info is the app: id, name, shared_secret in hex, user_id', async () => {
    const { api, sellerId } = await openSimulator();
    expect((await api('GET', '/info')).body).toEqual({ id: anyNumber, name: anyText, shared_secret: expect.stringMatching(/^[0-9a-f]{64}$/) as string, user_id: sellerId });
  });

  test('the token is a JWT of an app; a new one kills the old one, a revoked one is a 401', async () => {
    const { api, control, sellerId, token } = await openSimulator();
    expect(JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())).toMatchObject({ sub: anyText, name: anyText, iat: anyNumber });
    const fresh = control.regenerateToken(sellerId);
    expect((await api('GET', '/info')).status).toBe(401);
    expect((await api('GET', '/info', undefined, { token: fresh })).status).toBe(200);
    control.revokeToken(sellerId);
    expect((await api('GET', '/info', undefined, { token: fresh })).status).toBe(401);
  });

  test('nobody sees or touches another seller’s products', async () => {
    const { api, control, first } = await openSimulator();
    const other = control.addSeller();
    const { id, quantity } = first();
    expect((await api('GET', '/products/export', undefined, other)).body).toEqual([]);
    for (const [method, path] of [['PUT', `/products/${id}`], ['DELETE', `/products/${id}`], ['POST', `/products/${id}/increment`]] as const) {
      expect((await api(method, path, { quantity: 1, delta_quantity: 1 }, other)).status).toBe(404);
    }
    expect(first().quantity).toBe(quantity);
  });
});

describe('reading', () => {
  test('the export is a bare array of own products in the export shape', async () => {
    const simulator = await openSimulator();
    const { api, control, sellerId } = simulator;
    const blueprint = card(simulator, 'both finishes');
    const listed = control.addProduct(sellerId, { blueprintId: blueprint.id, quantity: 3, priceCents: 1_299, graded: true, tag: 'box', userData: 'mine', description: null });
    const { status, rows } = await api('GET', '/products/export');
    expect(status).toBe(200);
    expect(rows).toHaveLength(11);
    expect(rows.at(-1)).toEqual({
      id: listed.id,
      name_en: blueprint.name,
      quantity: 3,
      description: null,
      price_cents: 1_299,
      price_currency: 'EUR',
      game_id: 1,
      category_id: 1,
      blueprint_id: blueprint.id,
      properties_hash: { collector_number: anyText, mtg_rarity: anyText, condition: 'Near Mint', signed: false, altered: false, mtg_foil: false, mtg_language: 'en' },
      user_id: sellerId,
      graded: true,
      tag: 'box',
      user_data_field: 'mine',
      bundle_size: 1,
      bundled_quantity: 3,
      uploaded_images: [],
      expansion: { id: blueprint.expansion_id, code: anyText, name_en: anyText },
    });
  });

  test('the export filters by blueprint_id and expansion_id', async () => {
    const { api, control, sellerId } = await openSimulator();
    const [a, b] = control.products(sellerId);
    control.addProduct(sellerId, { blueprintId: a!.blueprint.id, quantity: 1 });
    const ids = async (query: string): Promise<number[]> => (await api('GET', `/products/export?${query}`)).rows.map((row) => row.blueprint_id);
    expect(await ids(`blueprint_id=${a!.blueprint.id}`)).toEqual([a!.blueprint.id, a!.blueprint.id]);
    expect(await ids('blueprint_id=1')).toEqual([]);
    const inExpansion = control.products(sellerId).filter((product) => product.blueprint.expansion_id === b!.blueprint.expansion_id);
    expect(await ids(`expansion_id=${b!.blueprint.expansion_id}`)).toEqual(inExpansion.map((product) => product.blueprint.id));
  });

  test('a blueprint without expansion is exported with expansion null', async () => {
    const simulator = await openSimulator();
    const { id } = simulator.control.addProduct(simulator.sellerId, { blueprintId: card(simulator, 'no expansion').id });
    expect((await simulator.api('GET', '/products/export')).rows.find((row) => row.id === id)!.expansion).toBeNull();
  });

  test('GET /expansions/export: those in which I have products', async () => {
    const { api, control, sellerId } = await openSimulator();
    const { rows } = await api('GET', '/expansions/export');
    const expected = new Set(control.products(sellerId).flatMap((product) => product.blueprint.expansion_id ?? []));
    expect(new Set(rows.map((expansion) => expansion.id))).toEqual(expected);
    expect(rows[0]).toEqual({ id: anyNumber, game_id: anyNumber, code: anyText, name: anyText });
  });

  test('GET /blueprints/export: of one expansion; an unknown or missing one is a 404', async () => {
    const { api, first } = await openSimulator();
    const { id, expansion_id: expansionId } = first().blueprint;
    expect((await api('GET', `/blueprints/export?expansion_id=${expansionId}`)).rows.map((one) => one.id)).toContain(id);
    expect((await api('GET', '/blueprints/export')).status).toBe(404);
    expect((await api('GET', '/blueprints/export?expansion_id=7')).body).toEqual(envelope('not_found'));
  });

  test('marketplace: blueprint id → the 25 cheapest offers of all sellers, by blueprint or expansion, foil and language', async () => {
    const simulator = await openSimulator();
    const { api, control, sellerId } = simulator;
    const other = control.addSeller();
    const blueprint = card(simulator, 'both finishes');
    const query = `/marketplace/products?blueprint_id=${blueprint.id}`;
    for (let n = 0; n < 30; n += 1) control.addProduct(n % 2 === 0 ? sellerId : other.id, { blueprintId: blueprint.id, priceCents: 1_000 - n, properties: { mtg_foil: n === 0, mtg_language: n === 1 ? 'zh-CN' : 'en' } });
    const offers = async (search: string): Promise<View[]> => ((await api('GET', search)).body as Record<string, View[]>)[blueprint.id] ?? [];
    expect(Object.keys((await api('GET', query)).body as object)).toEqual([String(blueprint.id)]);
    expect((await offers(query)).map((row) => row.price_cents)).toEqual(Array.from({ length: 25 }, (_, n) => 971 + n));
    expect((await offers(query))[0]).toMatchObject({ price: { cents: 971, currency: 'EUR' }, user: { username: anyText, can_sell_via_hub: true }, on_vacation: false });
    await simulator.clock.advance(1_000);
    expect(await offers(`${query}&foil=true`)).toHaveLength(1);
    expect(await offers(`${query}&language=zh-CN`)).toHaveLength(1);
    expect(await offers(`/marketplace/products?expansion_id=${blueprint.expansion_id}`)).toHaveLength(25);
    expect((await api('GET', '/marketplace/products?blueprint_id[]=1')).status).toBe(400);
    expect((await api('GET', '/marketplace/products')).body).toEqual(envelope('missing_parameter', expect.stringContaining('blueprint_id')));
  });

  test('what there is not is a 404 in the envelope', async () => {
    const { api } = await openSimulator();
    expect(await api('GET', '/nothing')).toMatchObject({ status: 404, body: envelope('not_found') });
    expect((await api('PATCH', '/products/1')).status).toBe(404);
    expect((await fetch((await openSimulator()).url)).status).toBe(401);
  });
});

describe('create', () => {
  test('answers result, empty warnings and the resource shape, which is not the export’s', async () => {
    const simulator = await openSimulator();
    const { api, control } = simulator;
    const blueprint = card(simulator, 'both finishes');
    const { status, body, resource } = await api('POST', '/products', { ...LISTING, blueprint_id: blueprint.id, user_data_field: 'mine', properties: { condition: 'Played', mtg_language: 'zh-CN', mtg_foil: true } });
    expect(status).toBe(200);
    expect(body).toEqual({
      result: 'ok',
      warnings: {},
      resource: {
        id: anyNumber,
        quantity: 4,
        bundle_size: 1,
        description: null,
        graded: 0,
        game_id: 1,
        category_id: 1,
        expansion_id: blueprint.expansion_id,
        blueprint_id: blueprint.id,
        price: { cents: 6_258, currency: 'EUR' },
        properties: { collector_number: anyText, mtg_rarity: anyText, condition: 'Played', signed: false, altered: false, mtg_foil: true, mtg_language: 'zh-CN' },
      },
    });
    expect(control.product(resource.id)).toMatchObject({ userData: 'mine', graded: false });
  });

  test('an equal product is not made again: its quantity grows, so a create is not idempotent', async () => {
    const { api, first, control, sellerId } = await openSimulator();
    const { id, quantity, blueprint, priceCents, properties, description } = first();
    const same = { blueprint_id: blueprint.id, price: priceCents / 100, quantity: 2, properties, description };
    expect((await api('POST', '/products', same)).resource).toMatchObject({ id, quantity: quantity + 2 });
    expect((await api('POST', '/products', same)).resource).toMatchObject({ id, quantity: quantity + 4 });
    expect(control.products(sellerId)).toHaveLength(10);
  });

  test('properties left out take the card’s defaults; a foil-only card is foil', async () => {
    const simulator = await openSimulator();
    const { resource } = await simulator.api('POST', '/products', { ...LISTING, blueprint_id: card(simulator, 'foil-only').id });
    expect(resource.properties).toMatchObject({ condition: 'Near Mint', mtg_foil: true, mtg_language: 'en' });
  });

  test.each(['blueprint_id', 'price', 'quantity'])('without %s: 422 missing_parameter that names it', async (name) => {
    const { api, first } = await openSimulator();
    const body: Record<string, unknown> = { ...LISTING, blueprint_id: first().blueprint.id };
    delete body[name];
    expect(await api('POST', '/products', body)).toMatchObject({ status: 422, body: envelope('missing_parameter', `Missing parameter: ${name}`) });
  });

  test('of no known card: "Blueprint cant be blank"', async () => {
    const { api } = await openSimulator();
    expect((await api('POST', '/products', { ...LISTING, blueprint_id: 1 })).body).toEqual(envelope('validation_error', 'Blueprint cant be blank', { blueprint: ['Blueprint cant be blank'] }));
  });

  test.each([
    ['quantity', 0],
    ['quantity', -1],
    ['quantity', 1.5],
    ['quantity', 'many'],
    ['price', 0],
    ['price', 'cheap'],
  ])('with %s %s: 422 by field, nothing listed', async (field, value) => {
    const { api, first, control, sellerId } = await openSimulator();
    expect(await api('POST', '/products', { ...LISTING, blueprint_id: first().blueprint.id, [field]: value })).toMatchObject({ status: 422, body: { error_code: 'validation_error', errors: { [field]: [anyText] } } });
    expect(control.products(sellerId)).toHaveLength(10);
  });

  test('a body that is no JSON has no parameters', async () => {
    const { api } = await openSimulator();
    expect((await api('POST', '/products', '{"price":')).body).toEqual(envelope('missing_parameter', 'Missing parameter: blueprint_id'));
  });

  test('prices come in as decimals, also as text, and go out in cents without drift', async () => {
    const { api, first } = await openSimulator();
    for (const [price, cents] of [[0.07, 7], ['19.99', 1_999], [1.1, 110], [4.35, 435]] as const) {
      expect((await api('PUT', `/products/${first().id}`, { price })).resource.price.cents).toBe(cents);
    }
  });
});

describe('error_mode', () => {
  test('strict: a wrong property fails the item, nothing is listed', async () => {
    const simulator = await openSimulator();
    const blueprint = card(simulator, 'both finishes');
    const before = simulator.control.products(simulator.sellerId).length;
    const wrong = await simulator.api('POST', '/products', { ...LISTING, blueprint_id: blueprint.id, properties: { condition: 'Good', nonsense: 1 } });
    expect(wrong).toMatchObject({ status: 422, body: { error_code: 'validation_error', errors: { properties: ['Not allowed value Good for condition', 'Unknown property nonsense'] } } });
    expect(simulator.control.products(simulator.sellerId)).toHaveLength(before);
  });

  test.each([undefined, 'lenient'])('%s: a wrong condition is silently Near Mint, with a warning', async (mode) => {
    const simulator = await openSimulator();
    const { body } = await simulator.api('POST', '/products', { ...LISTING, error_mode: mode, blueprint_id: card(simulator, 'both finishes').id, properties: { condition: 'Good' } });
    expect(body).toMatchObject({ result: 'warning', warnings: { properties: { condition: ['Not allowed value Good for condition has been ignored'] } }, resource: { properties: { condition: 'Near Mint' } } });
  });

  test('not foil on a foil-only card: ignored with the warning seen in the wild', async () => {
    const simulator = await openSimulator();
    const { body } = await simulator.api('POST', '/products', { price: 1, quantity: 1, blueprint_id: card(simulator, 'foil-only').id, properties: { mtg_foil: false } });
    expect(body).toMatchObject({ warnings: { properties: { mtg_foil: ['Not allowed value false for mtg_foil has been ignored'] } }, resource: { properties: { mtg_foil: true } } });
  });

  test.each(['strict', undefined])('a read-only property is ignored with a warning, mode %s', async (mode) => {
    const { api, first } = await openSimulator();
    const { body } = await api('PUT', `/products/${first().id}`, { error_mode: mode, properties: { cmc: 3, collector_number: '7' } });
    expect(body).toMatchObject({ result: 'warning', warnings: { properties: { cmc: ['Read only property cmc has been ignored'], collector_number: ['Read only property collector_number has been ignored'] } } });
  });

  test('booleans may come as text', async () => {
    const { api, first } = await openSimulator();
    expect((await api('PUT', `/products/${first().id}`, { error_mode: 'strict', properties: { signed: 'true' } })).resource.properties['signed']).toBe(true);
  });
});

describe('update', () => {
  test('the quantity is absolute, whatever was sold meanwhile; what is left out stays', async () => {
    const { api, control, first, sellerId } = await openSimulator();
    const before = control.setQuantity(first().id, 9);
    control.sell({ sellerId, productId: before.id, quantity: 2 });
    expect((await api('PUT', `/products/${before.id}`, { quantity: 4 })).body).toMatchObject({ result: 'ok', warnings: {}, resource: { id: before.id, quantity: 4, price: { cents: before.priceCents } } });
    expect(first()).toEqual({ ...before, quantity: 4 });
    await api('PUT', `/products/${before.id}`, { price: 3, description: 'signed by nobody', tag: 'shelf', user_data_field: 'other', graded: true });
    expect(first()).toEqual({ ...before, quantity: 4, priceCents: 300, description: 'signed by nobody', tag: 'shelf', userData: 'other', graded: true });
    await api('PUT', `/products/${before.id}`, { user_data_field: null, graded: 0 });
    expect(first()).toMatchObject({ userData: null, graded: false });
  });

  test('a negative quantity is refused, a product there is not is a 404', async () => {
    const { api, first } = await openSimulator();
    expect((await api('PUT', `/products/${first().id}`, { quantity: -1 })).status).toBe(422);
    expect(await api('PUT', '/products/1', { quantity: 1 })).toMatchObject({ status: 404, body: envelope('not_found', 'Product not found') });
  });
});

describe('increment', () => {
  test('adds a signed delta and touches nothing else', async () => {
    const { api, control, first } = await openSimulator();
    const before = control.setQuantity(first().id, 5);
    expect((await api('POST', `/products/${before.id}/increment`, { delta_quantity: 3 })).body).toMatchObject({ result: 'ok', warnings: {}, resource: { quantity: 8 } });
    expect((await api('POST', `/products/${before.id}/increment`, { delta_quantity: -2 })).resource.quantity).toBe(6);
    expect(first()).toEqual({ ...before, quantity: 6 });
  });

  test.each([-5, -6])('a result of 0 or less (5 %i) deletes the product', async (delta) => {
    const { api, control, first } = await openSimulator();
    const { id } = control.setQuantity(first().id, 5);
    expect(await api('POST', `/products/${id}/increment`, { delta_quantity: delta })).toMatchObject({ status: 200, body: { resource: { id, quantity: 0 } } });
    expect(control.product(id)).toBeUndefined();
    expect((await api('POST', `/products/${id}/increment`, { delta_quantity: 1 })).status).toBe(404);
  });

  test('without a delta 422; with one that is no number 422; of nothing 404', async () => {
    const { api, first } = await openSimulator();
    expect((await api('POST', `/products/${first().id}/increment`, {})).body).toEqual(envelope('missing_parameter', 'Missing parameter: delta_quantity'));
    expect((await api('POST', `/products/${first().id}/increment`, { delta_quantity: 'x' })).status).toBe(422);
    expect((await api('POST', '/products/1/increment', { delta_quantity: 1 })).status).toBe(404);
  });
});

describe('delete', () => {
  test('whatever the quantity; its empty warnings are a list; the second time it is a 404', async () => {
    const { api, first } = await openSimulator();
    const { id } = first();
    expect(await api('DELETE', `/products/${id}`)).toMatchObject({ status: 200, body: { result: 'ok', warnings: [], resource: { id } } });
    expect((await api('GET', '/products/export')).body).toHaveLength(9);
    expect((await api('DELETE', `/products/${id}`)).status).toBe(404);
  });
});
