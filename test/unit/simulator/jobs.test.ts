import { describe, expect, test } from 'vitest';
import { card, openSimulator, UUID, type OpenSimulator } from '../../support/simulator.ts';

/** Protects: bulk calls as documented (section 6): answered at once, carried out later, each item for itself, ties by index only. */
const OPERATION = '0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f';
interface JobView {
  uuid: string | null;
  state: string;
  spawned_children: number | null;
  stats: Record<string, number>;
  results: { result: string; job_index: number; product_id?: number; errors: Record<string, string[]>; warnings: object }[];
}

async function bulk({ api }: OpenSimulator, verb: 'create' | 'update' | 'destroy', products: unknown[], headers: Record<string, string> = {}): Promise<string> {
  const { status, body } = await api('POST', `/products/bulk_${verb}`, { products }, { headers });
  expect(status).toBe(202);
  expect(body).toEqual({ job: expect.stringMatching(UUID) as string });
  return (body as { job: string }).job;
}

/** The job's status, asked for when the limit of one a second allows it. */
async function statusOf(simulator: OpenSimulator, uuid: string, after = 1_000): Promise<JobView> {
  await simulator.clock.advance(after);
  return (await simulator.api('GET', `/jobs/${uuid}`)).body as JobView;
}

test('pending, running item by item, completed; nothing happens before it runs', async () => {
  const simulator = await openSimulator({ guesses: { rateWindow: 'none', jobItemMs: 10 } });
  const [a, b] = simulator.control.products(simulator.sellerId);
  const uuid = await bulk(simulator, 'update', [a, b].map((product) => ({ id: product!.id, quantity: 77 })));
  const quantities = (): number[] => [a, b].map((product) => simulator.control.product(product!.id)!.quantity);
  expect(await statusOf(simulator, uuid, 199)).toMatchObject({ uuid, state: 'pending', spawned_children: 2, stats: { ok: 0, warning: 0, error: 0 }, results: [] });
  expect(quantities()).toEqual([a!.quantity, b!.quantity]);
  expect(await statusOf(simulator, uuid, 11)).toMatchObject({ state: 'running', stats: { ok: 1 }, results: [{ job_index: 0 }] });
  expect(quantities()).toEqual([77, b!.quantity]);
  expect(await statusOf(simulator, uuid, 10)).toMatchObject({ state: 'completed', stats: { ok: 2 }, results: [{ job_index: 0 }, { job_index: 1 }] });
  expect([quantities(), simulator.control.pending]).toEqual([[77, 77], 0]);
});

test('completed says nothing about the items: one ok, one warning, one error, each by its index', async () => {
  const simulator = await openSimulator();
  const blueprint = card(simulator, 'both finishes');
  const uuid = await bulk(simulator, 'create', [
    { blueprint_id: blueprint.id, price: 1, quantity: 1, error_mode: 'strict' },
    { blueprint_id: blueprint.id, price: 2, quantity: 1, properties: { condition: 'Good' } },
    { blueprint_id: blueprint.id, price: 3, quantity: 1, error_mode: 'strict', properties: { condition: 'Good' } },
    { blueprint_id: 1, price: 3, quantity: 1 },
    'nonsense',
  ]);
  const job = await statusOf(simulator, uuid);
  expect(job).toMatchObject({ state: 'completed', spawned_children: 5, stats: { ok: 1, warning: 1, error: 3 } });
  expect(job.results.map(({ result, job_index }) => [result, job_index])).toEqual([['ok', 0], ['warning', 1], ['error', 2], ['error', 3], ['error', 4]]);
  expect(job.results[1]!.warnings).toEqual({ properties: { condition: ['Not allowed value Good for condition has been ignored'] } });
  expect(job.results[2]!.errors).toEqual({ properties: ['Not allowed value Good for condition'] });
  expect(job.results[3]!.errors).toEqual({ blueprint: ['Blueprint cant be blank'] });
  for (const { result, product_id: productId } of job.results) expect(productId === undefined).toBe(result === 'error');
});

test('destroy; ids that are not there or not one’s own are errors of their item', async () => {
  const simulator = await openSimulator();
  const { id } = simulator.first();
  const others = simulator.control.addProduct(simulator.control.addSeller().id);
  const job = await statusOf(simulator, await bulk(simulator, 'destroy', [{ id }, { id }, { id: others.id }]));
  expect(job.results.map(({ result }) => result)).toEqual(['ok', 'error', 'error']);
  expect([simulator.control.product(id), simulator.control.product(others.id)?.id]).toEqual([undefined, others.id]);
});

test('a sale while it waits is overwritten by its absolute quantity', async () => {
  const simulator = await openSimulator();
  const { id } = simulator.control.setQuantity(simulator.first().id, 5);
  const uuid = await bulk(simulator, 'update', [{ id, quantity: 5 }]);
  simulator.control.sell({ sellerId: simulator.sellerId, productId: id, quantity: 2 });
  await statusOf(simulator, uuid);
  expect(simulator.first().quantity).toBe(5);
});

test('effects are counted by item, with the job’s id; nobody is answered', async () => {
  const simulator = await openSimulator();
  const { id } = simulator.first();
  const uuid = await bulk(simulator, 'update', [{ id, quantity: 5, user_data_field: `mine brx:${OPERATION}` }]);
  await statusOf(simulator, uuid);
  expect(simulator.control.effects(OPERATION)).toBe(1);
  expect(simulator.control.ledger({ operationId: OPERATION })).toMatchObject([{ verb: 'update', source: 'job', jobId: uuid, after: 5, answered: null }]);
});

test('the header of a bulk call names no operation: its items do', async () => {
  const simulator = await openSimulator();
  const [a, b] = simulator.control.products(simulator.sellerId);
  await statusOf(simulator, await bulk(simulator, 'update', [{ id: a!.id, quantity: 5 }, { id: b!.id, quantity: 5, user_data_field: `mine brx:${OPERATION}` }], { 'x-request-id': '0197a3c2-5b1e-7c3d-9f00-000000000001' }));
  expect([simulator.control.effects('0197a3c2-5b1e-7c3d-9f00-000000000001'), simulator.control.effects(OPERATION), simulator.control.repeated()]).toEqual([0, 1, []]);
  expect(simulator.control.ledger().map(({ operationId }) => operationId)).toEqual(Array(2).fill('0197a3c2-5b1e-7c3d-9f00-000000000001'));
});

test('accepted, and the answer lost: it runs all the same, and no list of jobs tells', async () => {
  const simulator = await openSimulator();
  simulator.control.inject({ kind: 'response_lost' });
  await expect(simulator.api('POST', '/products/bulk_update', { products: [{ id: simulator.first().id, quantity: 88 }] })).rejects.toThrow();
  await simulator.clock.advance(1_000);
  expect(simulator.first().quantity).toBe(88);
  expect((await simulator.api('GET', '/jobs')).status).toBe(404);
});

test('a job of another seller is unknown; without products it is refused', async () => {
  const simulator = await openSimulator();
  const uuid = await bulk(simulator, 'update', []);
  expect((await simulator.api('GET', `/jobs/${uuid}`, undefined, simulator.control.addSeller())).body).toMatchObject({ uuid: null, state: 'unknown', spawned_children: null });
  for (const body of [{}, { products: {} }, undefined]) expect((await simulator.api('POST', '/products/bulk_update', body)).body).toMatchObject({ error_code: 'missing_parameter', extra: { message: 'Missing parameter: products' } });
});

describe('ending', () => {
  test('closing gives up what waits', async () => {
    const simulator = await openSimulator();
    await bulk(simulator, 'update', [{ id: simulator.first().id, quantity: 88 }]);
    await simulator.close();
    expect([simulator.control.pending, simulator.first().quantity === 88]).toEqual([0, false]);
  });
});
