import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { BrxError } from '../../../src/errors.ts';
import { GUESSES, guessTable, readGuesses, type GuessName, type Guesses } from '../../../src/simulator/index.ts';
import { card, openSimulator, type OpenSimulator } from '../../support/simulator.ts';

/** Protects: every guess about CardTrader is a switch that does something, both ways, and the README lists them as they are. */
type Case = (simulator: OpenSimulator) => Promise<unknown>;

/** A second product like the seller's first, but for what `change` says; answers what the create said about ids and quantities. */
const again = (change: object, look: (simulator: OpenSimulator, id: number) => string = () => ''): Case => async (simulator) => {
  const { first, api } = simulator;
  const { id, quantity, blueprint, priceCents, description, properties, userData } = first();
  const { resource } = await api('POST', '/products', { blueprint_id: blueprint.id, price: priceCents / 100, description, properties, user_data_field: userData, quantity: 1, ...change });
  const merged = resource.id === id;
  return `${merged ? 'merged' : 'new'} ${resource.quantity - (merged ? quantity : 0)} ${look(simulator, resource.id)}`;
};
const jobState = async ({ api, clock }: OpenSimulator, uuid: string): Promise<string> => {
  await clock.advance(1_000);
  const { status, body } = await api('GET', `/jobs/${uuid}`);
  return status === 200 ? String((body as { state: unknown }).state) : String(status);
};
const bulk = async ({ api }: OpenSimulator, products: object[]): Promise<{ status: number; uuid: string }> => {
  const { status, body } = await api('POST', '/products/bulk_update', { products });
  return { status, uuid: (body as { job: string }).job };
};
const sold = ({ control, first, sellerId }: OpenSimulator, more: object = {}) => {
  const result = control.sell({ sellerId, productId: first().id, quantity: 1, ...more });
  if (!result.sold) throw new Error(result.reason);
  return result.order;
};
const throttledAfter = async (simulator: OpenSimulator, requests: [advance: number, path: string][]): Promise<string> => {
  const statuses: number[] = [];
  for (const [advance, path] of requests) {
    await simulator.clock.advance(advance);
    statuses.push((await simulator.api('GET', path)).status);
  }
  return statuses.map((status) => (status === 429 ? 'x' : '.')).join('');
};

/** What each value of a switch leads to. The clock stands at a multiple of 10 s. */
const CASES: { [Name in GuessName]: [run: Case, by: [value: Guesses[Name], outcome: unknown][], others?: Partial<Guesses>] } = {
  rateWindow: [
    (simulator) => throttledAfter(simulator, [[9_500, '/jobs/x'], [600, '/jobs/x'], [100, '/jobs/x']]),
    [['both', '.xx'], ['sliding', '.xx'], ['fixed', '..x'], ['none', '...']],
  ],
  fixedWindowFrom: [(simulator) => throttledAfter(simulator, [[0, '/jobs/x'], [500, '/jobs/x'], [800, '/jobs/x'], [800, '/jobs/x']]), [['epoch', '.x..'], ['first_request', '.x.x']], { rateWindow: 'fixed' }],
  limitKey: [
    async ({ api, control }) => {
      const other = control.addSeller();
      await api('GET', '/jobs/x');
      const [own, others] = [await api('GET', '/jobs/x'), await api('GET', '/jobs/x', undefined, other)];
      return [own.status, others.status];
    },
    [['token', [429, 200]], ['ip', [429, 429]], ['both', [429, 429]]],
  ],
  refusedCounts: [(simulator) => throttledAfter(simulator, [[0, '/jobs/x'], [900, '/jobs/x'], [200, '/jobs/x']]), [[false, '.x.'], [true, '.xx']]],
  retryAfter: [
    async ({ api }) => {
      await api('GET', '/jobs/x');
      return (await api('GET', '/jobs/x')).headers.get('retry-after');
    },
    [[false, null], [true, '1']],
  ],
  marketplacePerSecond: [(simulator) => throttledAfter(simulator, Array.from({ length: 11 }, () => [0, '/marketplace/products?blueprint_id=1'])), [[10, '..........x'], [1, '.xxxxxxxxxx']]],
  mergeOnCreate: [
    async (simulator) => {
      const outcomes = [];
      for (const change of [{}, { user_data_field: 'other' }, { description: 'other' }, { price: 9_999 }, { properties: { condition: 'Poor', signed: true } }]) outcomes.push(((await again(change)(simulator)) as string)[0]);
      return outcomes.join('');
    },
    [['user_data', 'mnnnn'], ['price_description', 'mmnnn'], ['price', 'mmmnn'], ['properties', 'mmmmn'], ['never', 'nnnnn']],
  ],
  mergedUserData: [again({ user_data_field: 'sent' }, ({ control }, id) => (control.product(id)!.userData === 'sent' ? 'sent' : 'old')), [['keep', 'merged 1 old'], ['replace', 'merged 1 sent']]],
  mergeOnUpdate: [
    async ({ api, control, first, sellerId }) => {
      const { id, blueprint, priceCents, properties, description } = control.setQuantity(first().id, 3);
      const twin = control.addProduct(sellerId, { blueprintId: blueprint.id, quantity: 2, priceCents: priceCents + 1, properties, description });
      const { resource } = await api('PUT', `/products/${twin.id}`, { price: priceCents / 100 }, { headers: { 'x-request-id': '0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f' } });
      return [resource.id === twin.id, resource.quantity, control.product(id)?.quantity, control.effects('0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f')];
    },
    [[false, [true, 2, 3, 1]], [true, [true, 5, undefined, 1]]],
  ],
  quantityZero: [
    async ({ api, control, first }) => {
      const { id } = first();
      const { status } = await api('PUT', `/products/${id}`, { quantity: 0 });
      return [status, control.product(id) === undefined ? 'gone' : control.product(id)!.quantity === 0 ? 'at 0' : 'as before'];
    },
    [['keep', [200, 'at 0']], ['delete', [200, 'gone']], ['refuse', [422, 'as before']]],
  ],
  soldOut: [
    async ({ api, control, first, sellerId }) => {
      const { id } = control.setQuantity(first().id, 2);
      control.sell({ sellerId, productId: id, quantity: 2 });
      return (await api('GET', '/products/export')).rows.find((row) => row.id === id)?.quantity;
    },
    [['vanish', undefined], ['keep', 0]],
  ],
  omittedOnUpdate: [
    async (simulator) => {
      const { id } = simulator.control.addProduct(simulator.sellerId, { blueprintId: card(simulator, 'both finishes').id, properties: { condition: 'Poor' } });
      return (await simulator.api('PUT', `/products/${id}`, { price: 5 })).resource.properties['condition'];
    },
    [['keep', 'Poor'], ['default', 'Near Mint']],
  ],
  wrongValueOnUpdate: [
    async (simulator) => {
      const { id } = simulator.control.addProduct(simulator.sellerId, { blueprintId: card(simulator, 'both finishes').id, properties: { condition: 'Poor' } });
      return (await simulator.api('PUT', `/products/${id}`, { properties: { condition: 'Good' } })).resource.properties['condition'];
    },
    [['default', 'Near Mint'], ['keep', 'Poor']],
  ],
  aliases: [
    async (simulator) => {
      const { status, resource } = await simulator.api('POST', '/products', { blueprint_id: card(simulator, 'both finishes').id, price: 1, quantity: 1, error_mode: 'strict', properties: { foil: true, language: 'Japanese' } });
      return status === 200 ? [resource.properties['mtg_foil'], resource.properties['mtg_language']] : status;
    },
    [[true, [true, 'jp']], [false, 422]],
  ],
  validationStatus: [async ({ api, first }) => (await api('PUT', `/products/${first().id}`, { quantity: -1 })).status, [[422, 422], [400, 400]]],
  userDataMaxLength: [async ({ api, first }) => (await api('PUT', `/products/${first().id}`, { user_data_field: 'x'.repeat(41) })).status, [[0, 200], [41, 200], [40, 422]]],
  resourceUserData: [async ({ api, first }) => (await api('PUT', `/products/${first().id}`, { user_data_field: 'mine' })).resource.user_data_field, [[false, undefined], [true, 'mine']]],
  getProduct: [
    async ({ api, first }) => {
      const { status, body } = await api('GET', `/products/${first().id}`);
      return status === 200 ? ('price_cents' in (body as object) ? 'export shape' : 'resource shape') : status;
    },
    [['missing', 404], ['resource', 'resource shape'], ['export', 'export shape']],
  ],
  exportExpansion: [async ({ api }) => 'expansion' in (await api('GET', '/products/export')).rows[0]!, [[true, true], [false, false]]],
  gamesShape: [async ({ api }) => Array.isArray((await api('GET', '/games')).body), [['wrapped', false], ['bare', true]]],
  infoUserId: [async ({ api }) => 'user_id' in ((await api('GET', '/info')).body as object), [[true, true], [false, false]]],
  bulkMax: [async (simulator) => (await bulk(simulator, Array.from({ length: 451 }, () => ({})))).status, [[450, 422], [451, 202], [0, 202]]],
  bulkTooLarge: [
    async (simulator) => {
      const { status, uuid } = await bulk(simulator, Array.from({ length: 451 }, () => ({})));
      return status === 202 ? jobState(simulator, uuid) : status;
    },
    [['refuse', 422], ['unprocessable', 'unprocessable']],
  ],
  bulkStatus: [async (simulator) => (await bulk(simulator, [])).status, [[202, 202], [200, 200]]],
  jobPendingMs: [async (simulator) => jobState(simulator, (await bulk(simulator, [{}])).uuid), [[200, 'completed'], [2_000, 'pending']]],
  jobItemMs: [async (simulator) => jobState(simulator, (await bulk(simulator, [{}])).uuid), [[2, 'completed'], [0, 'completed'], [2_000, 'running']]],
  jobOrder: [
    async (simulator) => {
      const jobs = [await bulk(simulator, [{}, {}]), await bulk(simulator, [{}, {}])];
      await simulator.clock.advance(250);
      return (await Promise.all(jobs.map(({ uuid }) => simulator.api('GET', `/jobs/${uuid}`)))).map(({ body }) => (body as { state: string }).state);
    },
    [['parallel', ['completed', 'completed']], ['serial', ['completed', 'pending']]],
    { rateWindow: 'none' },
  ],
  jobKeptMs: [async (simulator) => jobState(simulator, (await bulk(simulator, [])).uuid), [[86_400_000, 'completed'], [500, 'unknown']]],
  unknownJob: [(simulator) => jobState(simulator, 'nobody-knows-it'), [['unknown', 'unknown'], ['not_found', '404']]],
  orderListSellerPrice: [
    async (simulator) => {
      const order = sold(simulator);
      const [list, single] = [await simulator.api('GET', '/orders'), await simulator.api('GET', `/orders/${order.id}`)];
      return [list.rows[0]!, single.body as typeof list.rows[0]].map(({ order_items: [line] }) => line!.seller_price !== undefined);
    },
    [[true, [true, true]], [false, [false, true]]],
  ],
  orderLineProductId: [
    async (simulator) => {
      const order = sold(simulator);
      return (await simulator.api('GET', '/orders')).rows[0]!.order_items[0]!.product_id === order.lines[0]!.product.id;
    },
    [['id', true], ['null', false]],
  ],
  hubPendingOrderId: [
    async (simulator) => {
      const order = sold(simulator, { viaZero: true });
      return (await simulator.api('GET', '/orders')).rows[0]!.order_items[0]!.hub_pending_order_id === order.id;
    },
    [['set', true], ['null', false]],
  ],
  orderDates: [
    async (simulator) => {
      const order = sold(simulator);
      await simulator.clock.advance(86_400_000);
      simulator.control.moveOrder(order.id, { event: 'ship' });
      return (await simulator.api('GET', '/orders?from=2026-01-02')).rows.length;
    },
    [['creation', 0], ['change', 1]],
  ],
  orderAsDefault: [
    async (simulator) => {
      sold(simulator);
      sold(simulator, { as: 'buyer' });
      return (await simulator.api('GET', '/orders')).rows.length;
    },
    [['all', 2], ['seller', 1]],
  ],
  afterRefusedCancel: [
    async (simulator) => {
      const { control } = simulator;
      const { id } = sold(simulator);
      for (const event of ['ship', 'request_cancellation', 'refuse_cancellation'] as const) control.moveOrder(id, { event });
      return Promise.resolve(control.order(id)!.state);
    },
    [['before', 'sent'], ['paid', 'paid']],
  ],
  relistedProduct: [
    async (simulator) => {
      const { control, first, sellerId } = simulator;
      const { id } = control.setQuantity(first().id, 1);
      const order = sold(simulator);
      control.moveOrder(order.id, { event: 'cancel', relist: true });
      return Promise.resolve([control.product(id)?.quantity, control.products(sellerId).length]);
    },
    [['new', [undefined, 10]], ['same', [1, 10]]],
  ],
};

describe.each(Object.entries(CASES))('%s', (name, [run, outcomes, others]) => {
  test.each(outcomes as [unknown, unknown][])('%s', async (value, outcome) => {
    expect(await run(await openSimulator({ guesses: { ...others, [name]: value } }))).toEqual(outcome);
  });

  test('every choice, and the default, is tried', () => {
    const guess = GUESSES[name as GuessName];
    const tried = (outcomes as [unknown, unknown][]).map(([value]) => value);
    expect(tried).toContain(guess.default);
    expect(tried.length).toBeGreaterThan(1);
    if ('choices' in guess) expect(new Set(tried)).toEqual(new Set<unknown>(guess.choices as readonly unknown[]));
  });
});

describe('reading guesses', () => {
  test('defaults, with what was said instead; texts as a command line has them', () => {
    expect(Object.keys(readGuesses())).toEqual(Object.keys(GUESSES));
    expect(readGuesses({ retryAfter: 'true', bulkMax: '100', marketplacePerSecond: '1', soldOut: 'keep', limitKey: undefined })).toMatchObject({ retryAfter: true, bulkMax: 100, marketplacePerSecond: 1, soldOut: 'keep', limitKey: 'token' });
  });

  test.each([{ nonsense: 1 }, { soldOut: 'maybe' }, { retryAfter: 'yes' }, { bulkMax: -1 }, { bulkMax: 1.5 }, { bulkMax: 'many' }, { jobItemMs: 1e9 }])('%j is refused with what could be said', (said) => {
    expect(() => readGuesses(said)).toThrow(BrxError);
  });
});

test('each guess names where the question stands', () => {
  for (const [name, { source, meaning }] of Object.entries(GUESSES)) {
    expect(source, name).toMatch(/^section \d/);
    expect(meaning, name).toMatch(/\S.{10}/);
  }
});

test('the table in the README is this list', () => {
  const readme = readFileSync(new URL('../../../src/simulator/README.md', import.meta.url), 'utf8');
  expect(readme).toContain(`\n${guessTable()}\n`);
});
