import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Bucket } from '../../../src/marketplace/buckets.ts';
import { startSimulator, type Simulator } from '../../../src/simulator/index.ts';
import { startPrivateRedis, type PrivateService } from '../../../stack/index.ts';
import { instance, type Instance } from '../../support/limiter.ts';
import { clientOf } from '../../support/marketplace.ts';
import { until } from '../../support/wait.ts';

/** Protects: limiter, client and server together, at the documented 200 in 10 s: three processes that ask for more get all of it, and not one 429. */
let server: PrivateService;
let simulator: Simulator;
const open: { close(): Promise<void> }[] = [];
beforeAll(async () => {
  server = await startPrivateRedis();
});
afterAll(async () => {
  await server.remove();
});
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

const DOCUMENTED = { requests: 200, windowMs: 10_000, marginMs: 250 };

function gated(url: string, limiter: Instance['limiter']) {
  const gate = ({ userId, bucket, signal }: { userId: string; bucket: Bucket; signal?: AbortSignal }): Promise<void> => limiter.take(userId, { bucket, ...(signal !== undefined && { signal }) });
  const client = clientOf(new URL(url).origin, { connections: 16 }, { gate });
  open.push(client);
  return client;
}

test('zero 429, fixed window and sliding, and the limit is used', async () => {
  simulator = await startSimulator({ stock: { sellers: 2, products: 10 }, latencyMs: 20 });
  open.push(simulator);
  const instances = Array.from({ length: 3 }, () => instance(server.url, DOCUMENTED));
  open.push(...instances);
  const clients = instances.map(({ limiter }) => gated(simulator.apiUrl, limiter));
  const sellers = simulator.control.sellers();
  const controller = new AbortController();
  const { signal } = controller;
  const ended = Promise.all(
    clients.flatMap((client) =>
      sellers.flatMap(({ id, token }) =>
        Array.from({ length: 5 }, async () => {
          while (!signal.aborted) await client.exportProducts({ userId: `seller-${id}`, token: token!, signal }, { blueprintId: 10_000 });
        }),
      ),
    ),
  );
  // The first window of a Redis nobody has used before is silence; then a burst, and after its window the next.
  const seen = (): number => Math.min(...sellers.map(({ id }) => simulator.control.requests(id).requests));
  await until('two windows were used', () => seen() >= 400, { timeoutMs: 50_000 });
  controller.abort(new Error('enough'));
  await ended;
  const observed = clients.flatMap((client) => client.seen);
  expect(observed.filter(({ status }) => status === 429)).toEqual([]);
  expect(simulator.control.requests().throttled).toBe(0);
  expect(observed.filter(({ outcome }) => outcome === 'applied').length).toBeGreaterThanOrEqual(760); // the last ones were called off
  for (const { id } of sellers) {
    expect(simulator.control.densestWindow(id)).toBeLessThanOrEqual(200);
    expect(simulator.control.densestWindow(id)).toBeGreaterThanOrEqual(190);
  }
});

test('a 429 all the same (somebody else uses the token): that seller rests and is slower afterwards, others do not notice', async () => {
  simulator = await startSimulator({ stock: { sellers: 2, products: 10 } });
  open.push(simulator);
  const one = instance(server.url, { requests: 100, windowMs: 2_000, marginMs: 250 });
  open.push(one);
  const client = gated(simulator.apiUrl, one.limiter);
  const [first, second] = simulator.control.sellers();
  simulator.control.inject({ kind: 'throttled', when: { sellerId: first!.id } });
  const callers = [first!, second!].map(({ id, token }) => ({ userId: `other-${id}`, token: token! }));
  const outcome = await client.info(callers[0]!);
  expect(outcome).toMatchObject({ outcome: 'throttled', reason: 'rate_limited', scope: 'all' });
  if (outcome.outcome === 'throttled') await one.limiter.throttled(callers[0]!.userId, { bucket: outcome.scope ?? 'all', retryAfterMs: outcome.retryAfterMs });
  const begun = performance.now();
  expect(await client.info(callers[1]!)).toMatchObject({ outcome: 'applied' });
  expect(performance.now() - begun).toBeLessThan(500);
  expect(await client.info(callers[0]!)).toMatchObject({ outcome: 'applied' });
  expect(performance.now() - begun).toBeGreaterThan(900);
  expect((await one.limiter.inspect(callers[0]!.userId)).buckets.all.limit).toBe(70);
});
