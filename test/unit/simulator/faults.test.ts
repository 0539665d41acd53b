import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/platform/clock.ts';
import { createRandom } from '../../../src/platform/random.ts';
import { FAULT_KINDS, FAULTS, planForAll, type FaultKind, type Injection } from '../../../src/simulator/index.ts';
import { Faults, type FaultTarget } from '../../../src/simulator/faults.ts';
import { openSimulator, type OpenSimulator } from '../../support/simulator.ts';
import { until } from '../../support/wait.ts';

/** Protects: each fault does what it says, when it says, once; what was applied and what was answered is never confused. */
const OPERATION = '0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f';
const headers = { 'x-request-id': OPERATION };

/** A PUT of quantity 42, and how it ended: a status, or the connection broke. */
async function put(simulator: OpenSimulator, signal?: AbortSignal): Promise<number | 'broken'> {
  const id = simulator.control.products(simulator.sellerId)[0]!.id;
  return simulator.api('PUT', `/products/${id}`, { quantity: 42 }, { headers, ...(signal !== undefined && { signal }) }).then(
    ({ status }) => status,
    () => 'broken',
  );
}

/** The same on a socket of its own, which the test may destroy. */
function rawPut({ url, token, first }: OpenSimulator, body: string, contentLength: number): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write(`PUT /api/v2/products/${first().id} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-length: ${contentLength}\r\n\r\n${body}`);
  return socket;
}

/** The same with a fault: how it ended, what became of the stock, what the ledger says. */
async function putWith(injection: Injection): Promise<{ simulator: OpenSimulator; ended: number | 'broken'; applied: boolean; answered: (boolean | null)[] }> {
  const simulator = await openSimulator();
  const injected = simulator.control.inject(injection);
  const ended = await put(simulator);
  expect([injected.fired, injected.spent, simulator.control.faults()[injection.kind]]).toEqual([1, true, 1]);
  expect(simulator.control.effects(OPERATION)).toBe(simulator.first().quantity === 42 ? 1 : 0);
  return { simulator, ended, applied: simulator.first().quantity === 42, answered: simulator.control.ledger().map((effect) => effect.answered) };
}

describe('a write', () => {
  test('without a fault is applied and answered', async () => {
    const simulator = await openSimulator();
    expect(await put(simulator)).toBe(200);
    expect(simulator.control.ledger()).toMatchObject([{ operationId: OPERATION, after: 42, answered: true }]);
  });

  test.each<[kind: FaultKind, details: Partial<Injection>, ended: number | 'broken', applied: boolean, answered: boolean[]]>([
    ['response_lost', {}, 'broken', true, [false]],
    ['error_after_apply', {}, 500, true, [false]],
    ['error_after_apply', { status: 504, shape: 'html' }, 504, true, [false]],
    ['error_before_apply', {}, 503, false, []],
    ['reset_before_apply', {}, 'broken', false, []],
    ['reset_mid_body', {}, 'broken', true, [false]],
    ['html_error', {}, 502, false, []],
    ['edge_403', {}, 403, false, []],
    ['throttled', {}, 429, false, []],
    ['token_revoked', {}, 401, false, []],
    ['token_regenerated', {}, 401, false, []],
  ])('%s %j: the client sees %s, applied %s', async (kind, details, ended, applied, answered) => {
    expect(await putWith({ kind, ...details })).toMatchObject({ ended, applied, answered });
  });

  test('applied_late: cut at once, the effect comes later', async () => {
    const { simulator, ended, applied } = await putWith({ kind: 'applied_late', delayMs: 3_000 });
    expect([ended, applied, simulator.control.pending]).toEqual(['broken', false, 1]);
    await simulator.clock.advance(2_999);
    expect(simulator.control.effects(OPERATION)).toBe(0);
    await simulator.clock.advance(1);
    await simulator.control.idle();
    expect(simulator.first().quantity).toBe(42);
    expect(simulator.control.ledger()).toMatchObject([{ operationId: OPERATION, at: simulator.clock.now(), answered: false }]);
  });

  test('applied_late and sent again meanwhile: two effects, the late one overwrites', async () => {
    const simulator = await openSimulator();
    simulator.control.inject({ kind: 'applied_late' });
    await put(simulator);
    await put(simulator);
    await simulator.api('PUT', `/products/${simulator.first().id}`, { quantity: 7 });
    await simulator.clock.advance(1_000);
    await simulator.control.idle();
    expect([simulator.control.effects(OPERATION), simulator.first().quantity]).toEqual([2, 42]);
    expect(simulator.control.repeated()).toEqual([{ operationId: OPERATION, times: 2 }]);
  });

  test('applied_late with silence: the client gives up by itself, and it is applied all the same', async () => {
    const simulator = await openSimulator();
    simulator.control.inject({ kind: 'applied_late', answer: 'hang', delayMs: 5_000 });
    const patience = new AbortController();
    const ended = put(simulator, patience.signal);
    await until('the request arrives', () => simulator.control.pending === 1);
    patience.abort();
    expect(await ended).toBe('broken');
    await simulator.clock.advance(5_000);
    await simulator.control.idle();
    expect(simulator.first().quantity).toBe(42);
  });

  test('slow_answer: applied at once, answered when the time has come', async () => {
    const simulator = await openSimulator();
    simulator.control.inject({ kind: 'slow_answer', delayMs: 2_500 });
    const ended = put(simulator);
    await until('it is applied', () => simulator.first().quantity === 42);
    expect(simulator.control.ledger()).toMatchObject([{ answered: false }]);
    await simulator.clock.advance(2_500);
    expect(await ended).toBe(200);
    expect(simulator.control.ledger()).toMatchObject([{ answered: true }]);
  });

  test('slow_answer to a client that does not wait: applied, never answered', async () => {
    const simulator = await openSimulator();
    simulator.control.inject({ kind: 'slow_answer' });
    const socket = rawPut(simulator, '{"quantity":42}', 15);
    await until('it is applied', () => simulator.first().quantity === 42);
    socket.destroy();
    await until('the server sees it go', () => simulator.control.connections.open === 0);
    await simulator.clock.advance(2_000);
    await simulator.control.idle();
    expect(simulator.control.ledger()).toMatchObject([{ after: 42, answered: false }]);
    expect(simulator.control.recentRequests()).toMatchObject([{ status: null, fault: 'slow_answer' }]);
  });

  test('whose body never arrives whole is not carried out', async () => {
    const simulator = await openSimulator();
    const socket = rawPut(simulator, '{"quantity":42', 40);
    await until('its headers arrive', () => simulator.control.requests().requests === 1);
    socket.destroy();
    await until('the server sees it go', () => simulator.control.connections.open === 0);
    await simulator.control.idle();
    expect([simulator.control.ledger(), simulator.first().quantity === 42]).toEqual([[], false]);
  });

  test('slow_loris: the body dribbles, and is whole in the end', async () => {
    const simulator = await openSimulator();
    simulator.control.inject({ kind: 'slow_loris', delayMs: 800 });
    const ended = simulator.api('PUT', `/products/${simulator.first().id}`, { quantity: 42 });
    await until('it is applied', () => simulator.first().quantity === 42);
    for (let n = 0; n < 7; n += 1) await simulator.clock.advance(100);
    expect(simulator.control.pending).toBe(1);
    await simulator.clock.advance(100);
    expect(await ended).toMatchObject({ status: 200, body: { resource: { quantity: 42 } } });
    expect(simulator.clock.sleeps).toEqual(Array.from({ length: 8 }, () => 100));
  });

  test('product_vanishes: gone when the write arrives', async () => {
    const simulator = await openSimulator();
    const { id, quantity } = simulator.first();
    simulator.control.inject({ kind: 'product_vanishes' });
    expect(await put(simulator)).toBe(404);
    expect(simulator.control.product(id)).toBeUndefined();
    expect(simulator.control.ledger()).toMatchObject([{ productId: id, verb: 'vanish', source: 'fault', before: quantity, after: null, answered: null }]);
  });

  test('token_regenerated leaves a token that works, token_revoked none', async () => {
    const regenerated = (await putWith({ kind: 'token_regenerated' })).simulator;
    const token = regenerated.control.token(regenerated.sellerId)!;
    expect(token).not.toBe(regenerated.token);
    expect((await regenerated.api('GET', '/info', undefined, { token })).status).toBe(200);
    const revoked = (await putWith({ kind: 'token_revoked' })).simulator;
    expect(revoked.control.token(revoked.sellerId)).toBeUndefined();
    expect(await put(revoked)).toBe(401);
  });
});

describe('what an error looks like', () => {
  test.each([
    ['envelope', { error_code: 'internal_error', errors: [], extra: { message: 'Something went wrong' } }],
    ['error', { error: 'Something went wrong' }],
    ['errors_text', { errors: ['Something went wrong'] }],
    ['errors_object', { errors: [{ scheduler: 'Something went wrong' }] }],
  ] as const)('shape %s', async (shape, body) => {
    const { api, control } = await openSimulator();
    control.inject({ kind: 'error_before_apply', shape, status: 422 });
    expect(await api('GET', '/info')).toMatchObject({ status: 422, body });
  });

  test('shape html, and pages of the edge: a <p> with the message, no JSON', async () => {
    const { api, control } = await openSimulator();
    control.inject({ kind: 'error_before_apply', shape: 'html' });
    control.inject({ kind: 'html_error' });
    control.inject({ kind: 'edge_403' });
    for (const status of [503, 502, 403]) {
      const reply = await api('GET', '/info');
      expect([reply.status, reply.headers.get('content-type')]).toEqual([status, 'text/html; charset=utf-8']);
      expect(reply.body).toMatch(/<p>.+<\/p>/);
    }
  });

  test('a spurious 429 has the body of the real one, and Retry-After only if asked for; it is counted apart', async () => {
    const { api, control } = await openSimulator();
    control.inject({ kind: 'throttled' });
    control.inject({ kind: 'throttled', retryAfterSeconds: 3 });
    const [plain, withHeader] = [await api('GET', '/info'), await api('GET', '/info')];
    expect([plain.body, plain.headers.get('retry-after')]).toEqual([{ error: 'Too many requests: max 200 requests per 10 seconds' }, null]);
    expect(withHeader.headers.get('retry-after')).toBe('3');
    expect(control.requests()).toMatchObject({ throttled: 0, throttledByFault: 2 });
  });
});

describe('an export', () => {
  test('stale: says what was true some seconds ago: sold, changed, removed and new products', async () => {
    const { api, control, clock, sellerId } = await openSimulator();
    const [a, b, c] = control.products(sellerId);
    const before = (await api('GET', '/products/export')).body;
    await clock.advance(5_000);
    control.setQuantity(a!.id, 99);
    control.removeProduct(b!.id);
    control.sell({ sellerId, productId: c!.id });
    const added = control.addProduct(sellerId);
    control.inject({ kind: 'stale_export', delayMs: 1_000 });
    expect((await api('GET', '/products/export')).body).toEqual(before);
    control.inject({ kind: 'stale_export', delayMs: 1_000 });
    expect((await api('GET', `/products/export?blueprint_id=${b!.blueprint.id}`)).rows.map((row) => row.id)).toContain(b!.id);
    await clock.advance(1_000);
    control.inject({ kind: 'stale_export', delayMs: 1_000 });
    const now = (await api('GET', '/products/export')).rows;
    expect(now.map((row) => row.id)).toContain(added.id);
    expect(now.map((row) => row.id)).not.toContain(b!.id);
    expect(now).toEqual((await api('GET', '/products/export')).body);
  });

  test('truncated: valid JSON that ends early; 0 is an empty one', async () => {
    const { api, control } = await openSimulator();
    const whole = (await api('GET', '/products/export')).rows;
    control.inject({ kind: 'truncated_export' });
    control.inject({ kind: 'truncated_export', keep: 0 });
    expect((await api('GET', '/products/export')).body).toEqual(whole.slice(0, 5));
    expect((await api('GET', '/products/export')).body).toEqual([]);
  });

  test('sale_after_read: the read shows the stock before, the next write overwrites the sale', async () => {
    const { api, control, first } = await openSimulator();
    const { id, blueprint } = control.setQuantity(first().id, 5);
    control.inject({ kind: 'sale_after_read', quantity: 2, when: { productId: id } });
    const read = (await api('GET', `/products/export?blueprint_id=${blueprint.id}`)).rows.find((row) => row.id === id)!;
    expect([read.quantity, first().quantity]).toEqual([5, 3]);
    expect((await api('GET', '/orders')).rows).toMatchObject([{ state: 'paid', order_items: [{ product_id: id, quantity: 2 }] }]);
    await api('PUT', `/products/${id}`, { quantity: read.quantity - 1 });
    expect(first().quantity).toBe(4);
    expect(control.ledger({ productId: id }).map(({ verb, before, after }) => [verb, before, after]).slice(1)).toEqual([['sale', 5, 3], ['update', 3, 4]]);
  });

  test('sale_after_read without a product takes one of those read; of an empty export nothing', async () => {
    const { api, control, sellerId } = await openSimulator();
    const stock = (): number => control.products(sellerId).reduce((sum, product) => sum + product.quantity, 0);
    const before = stock();
    control.inject({ kind: 'sale_after_read' });
    await api('GET', '/products/export');
    expect(stock()).toBe(before - 1);
    control.inject({ kind: 'sale_after_read' });
    await api('GET', '/products/export?blueprint_id=1');
    expect(stock()).toBe(before - 1);
  });

  test('reset in the middle of the body: what came is not the whole', async () => {
    const { api, control, token, apiUrl } = await openSimulator();
    control.inject({ kind: 'reset_mid_body' });
    const response = await fetch(`${apiUrl}/products/export`, { headers: { authorization: `Bearer ${token}` } });
    expect([response.status, Number(response.headers.get('content-length')) > 100]).toEqual([200, true]);
    await expect(response.text()).rejects.toThrow(/terminated/);
    expect((await api('GET', '/products/export')).rows).toHaveLength(10);
  });
});

describe('which request', () => {
  const target = (given: Partial<FaultTarget> = {}): FaultTarget => ({ sellerId: 1, method: 'PUT', path: '/products/5', operationId: OPERATION, isWrite: true, isExport: false, productId: 5, covers: (id) => id === 5, ...given });
  const fires = (when: Injection['when'], given: Partial<FaultTarget> = {}): boolean => {
    const faults = new Faults(createRandom(1));
    faults.inject({ kind: 'reset_before_apply', when });
    return faults.choose(target(given)) !== undefined;
  };

  test('seller, product, operation, method and path must all fit', () => {
    const all = { sellerId: 1, productId: 5, operationId: OPERATION.toUpperCase(), method: 'put', path: '/products/5' };
    expect(fires(all)).toBe(true);
    for (const other of [{ sellerId: 2 }, { productId: 6 }, { operationId: '0197a3c2-5b1e-7c3d-9f00-000000000000' }, { method: 'POST' }, { path: '/orders' }]) expect(fires({ ...all, ...other }), JSON.stringify(other)).toBe(false);
    expect(fires({})).toBe(true);
    expect(fires(undefined)).toBe(true);
  });

  test('the n-th that fits; times: so many in a row', () => {
    const faults = new Faults(createRandom(1));
    const injected = faults.inject({ kind: 'response_lost', times: 2, when: { nth: 3 } });
    const seen = Array.from({ length: 6 }, (_, n) => (faults.choose(target({ isWrite: n !== 1 })) === undefined ? '-' : 'x'));
    expect(seen.join('')).toBe('---xx-');
    expect([injected.fired, injected.spent, faults.fired.response_lost]).toEqual([2, true, 2]);
  });

  test('one fault a request: two injections hit two requests, oldest first; cancel takes one back', () => {
    const faults = new Faults(createRandom(1));
    faults.inject({ kind: 'response_lost' });
    const second = faults.inject({ kind: 'html_error' });
    faults.inject({ kind: 'edge_403' });
    second.cancel();
    expect(faults.waiting.map(({ kind }) => kind)).toEqual(['response_lost', 'edge_403']);
    expect([0, 1, 2].map(() => faults.choose(target())?.kind)).toEqual(['response_lost', 'edge_403', undefined]);
    expect([second.fired, second.spent]).toEqual([0, true]);
  });

  test('a kind waits for a request to which it can happen', () => {
    const read = target({ isWrite: false, method: 'GET', path: '/orders', productId: undefined });
    const exported = target({ isWrite: false, isExport: true, method: 'GET', path: '/products/export', productId: undefined });
    const create = target({ method: 'POST', path: '/products', productId: undefined });
    for (const kind of FAULT_KINDS) {
      const happens = [read, exported, create, target()].map((one) => {
        const faults = new Faults(createRandom(1));
        faults.inject({ kind });
        return faults.choose(one) !== undefined;
      });
      expect(happens, kind).toEqual({ any: [true, true, true, true], write: [false, false, true, true], export: [false, true, false, false], product: [false, false, false, true] }[FAULTS[kind].on]);
    }
  });

  test('a request that is refused for its token, its limit or its path does not use up a fault', async () => {
    const { api, control } = await openSimulator({ limits: { all: { requests: 1, windowMs: 1_000 } } });
    const injected = control.inject({ kind: 'edge_403' });
    await api('GET', '/info', undefined, { token: 'nonsense' });
    await api('GET', '/nothing');
    await api('GET', '/info');
    expect(injected.fired).toBe(0);
  });
});

describe('a plan', () => {
  test('every kind can happen by chance, each counted; nothing waits afterwards', async () => {
    const plan = { ...planForAll(0.1), token_regenerated: 0.05, slow_answer: { chance: 0.1, delayMs: 2 }, slow_loris: { chance: 0.1, delayMs: 2 }, applied_late: { chance: 0.1, delayMs: 2 } };
    const { api, control, sellerId } = await openSimulator({ clock: systemClock, faults: plan, guesses: { rateWindow: 'none' }, stock: { sellers: 1, products: 300 } });
    const ids = control.products(sellerId).map((product) => product.id);
    for (let n = 0; n < 300; n += 1) {
      const request = n % 2 === 0 ? api('GET', `/products/export?blueprint_id=${n}`, undefined, { token: control.token(sellerId)! }) : api('PUT', `/products/${ids[n]}`, { quantity: 1 }, { token: control.token(sellerId)! });
      await request.catch(() => 'broken');
    }
    await control.idle();
    expect(control.pending).toBe(0);
    const fired = control.faults();
    for (const kind of FAULT_KINDS) if (kind !== 'token_revoked') expect(fired[kind], kind).toBeGreaterThan(0);
    expect(fired.token_revoked).toBe(0);
  });

  test('the same seed brings the same faults, another seed others; a plan of nothing none', () => {
    const drawn = (seed: number, chance: number): string => {
      const faults = new Faults(createRandom(seed), planForAll(chance));
      return Array.from({ length: 500 }, () => faults.choose({ sellerId: 1, method: 'PUT', path: '/products/5', operationId: null, isWrite: true, isExport: false, productId: 5, covers: () => false })?.kind ?? '-').join();
    };
    expect(drawn(7, 0.02)).toBe(drawn(7, 0.02));
    expect(drawn(7, 0.02)).not.toBe(drawn(8, 0.02));
    expect(new Set(drawn(7, 0).split(','))).toEqual(new Set(['-']));
  });

  test('can be changed and cleared while it runs; a kind there is not is refused', async () => {
    const { api, control } = await openSimulator({ faults: { edge_403: 1 } });
    expect((await api('GET', '/info')).status).toBe(403);
    control.setFaults({ html_error: { chance: 1, status: 504 } });
    expect((await api('GET', '/info')).status).toBe(504);
    control.inject({ kind: 'edge_403', when: { nth: 9 } });
    control.clearFaults();
    expect([(await api('GET', '/info')).status, control.waitingFaults()]).toEqual([200, []]);
    expect(control.faults()).toMatchObject({ edge_403: 1, html_error: 1 });
    expect(() => control.setFaults({ nonsense: 1 } as never)).toThrow(/there is no fault nonsense/);
    expect(() => control.inject({ kind: 'nonsense' } as never)).toThrow(/there is no fault nonsense/);
  });
});

test('the table in the README is this list', () => {
  const readme = readFileSync(new URL('../../../src/simulator/README.md', import.meta.url), 'utf8');
  for (const [kind, { meaning }] of Object.entries(FAULTS)) expect(readme).toMatch(new RegExp(`^\\| \`${kind}\` \\| [^|]+ \\| ${meaning.replaceAll(/[().?]/g, '\\$&')} \\|$`, 'm'));
});
