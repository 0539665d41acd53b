import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Access } from '../../src/http/access.ts';
import { createApp } from '../../src/http/app.ts';
import { Bodies } from '../../src/http/webhooks.ts';
import { report } from '../../src/http/index.ts';
import { apiRoutes } from '../../src/http/routes/api.ts';
import { consoleRoutes } from '../../src/http/routes/console.ts';
import { healthRoutes } from '../../src/http/routes/health.ts';
import { webhookRoute } from '../../src/http/routes/webhooks.ts';
import type { Route } from '../../src/http/route.ts';
import { route } from '../../src/http/route.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { createMetrics } from '../../src/platform/metrics.ts';
import type { Postgres, Readers } from '../../src/platform/postgres/index.ts';
import { REST } from '../support/http.ts';
import { until } from '../support/wait.ts';

/** Protects: who may use which route. A route that is not in the table fails the test, whatever it says of itself. */
const TABLE: Readonly<Record<string, Access>> = {
  'GET /health/live': 'open',
  'GET /health/ready': 'open',
  'GET /metrics': 'read',
  'POST /webhooks/cardtrader/{id}': 'signed',
  'GET /console': 'open',
  'GET /console/{file}': 'open',
  'GET /sagas': 'read',
  'GET /sagas/{purchase}': 'read',
  'POST /sagas/{purchase}/retry': 'write',
  'POST /sagas/{purchase}/compensate': 'write',
  'POST /sagas/{purchase}/confirm': 'write',
  'POST /sagas/{purchase}/resolve': 'write',
  'GET /parked': 'read',
  'GET /parked/{user}': 'read',
  'POST /parked/{user}/retry': 'write',
  'POST /parked/{user}/discard': 'write',
  'GET /dead-letters': 'read',
  'GET /dead-letters/outcomes': 'read',
  'GET /dead-letters/{letter}': 'read',
  'POST /dead-letters/redrive': 'write',
  'POST /dead-letters/discard': 'write',
  'GET /replays': 'read',
  'GET /replays/plan': 'read',
  'POST /replays': 'write',
  'GET /replays/{replay}': 'read',
  'POST /replays/{replay}/undo': 'write',
  'GET /limits': 'read',
  'GET /users/{id}/limits': 'read',
  'GET /syncs': 'read',
  'POST /users/{id}/sync': 'write',
  'GET /users/{id}/syncs': 'read',
  'GET /users/{id}/drift': 'read',
  'GET /syncs/{job}': 'read',
  'POST /syncs/{job}/cancel': 'write',
  'GET /find/{id}': 'read',
  'GET /overview': 'read',
  'GET /users': 'read',
  'GET /users/{id}': 'read',
  'POST /users/{id}/pause': 'write',
  'POST /users/{id}/resume': 'write',
  'GET /users/{id}/items': 'read',
  'GET /users/{id}/items/{item}': 'read',
  'GET /users/{id}/items/{item}/history': 'read',
  'GET /openapi.json': 'open',
};

/** Whoever gets as far as a database got in. */
const PASSED = 418;
const reached = (): never => {
  throw Object.assign(new Error('reached'), { code: 'REACHED' });
};
const readers = { readFrom: reached, position: reached, lags: reached, pools: [], close: reached } as unknown as Readers;
const postgres = new Proxy({}, { get: reached }) as Postgres;
const metrics = createMetrics({ process: false });
const fine = report([{ name: 'a', ok: true, detail: 'the detail' }]);
const allRoutes = (): Route[] => [
  ...healthRoutes({ live: () => fine, ready: () => Promise.resolve(fine) }, metrics, systemClock),
  webhookRoute(() => Promise.resolve({ status: PASSED, word: 'taken' })),
  ...apiRoutes({ readers, postgres, ...REST }),
  ...consoleRoutes(),
];

const TOKEN = 'the token of this test';
const apps: FastifyInstance[] = [];
async function appOf(token: string | undefined, { rateLimit = 1_000_000, routes = allRoutes() } = {}): Promise<FastifyInstance> {
  const app = await createApp({ config: { host: '127.0.0.1', port: 0, token, rateLimit }, logger: silentLogger, metrics, routes });
  await app.ready();
  apps.push(app);
  return app;
}
afterAll(async () => {
  for (const app of apps) await app.close();
});

const USER = '0197a3c2-0000-7000-8000-000000000001';
const pathOf = (name: string): string => name.split(' ')[1]!.replace('{id}', USER).replace('{item}', USER).replace('{job}', USER).replace('{file}', 'app.js').replace('{purchase}', USER).replace('{user}', USER).replace('{letter}', '1').replace('{replay}', '1');
const methodOf = (name: string): 'GET' | 'POST' => name.split(' ')[0] as 'GET' | 'POST';
const ask = (app: FastifyInstance, name: string, headers: Record<string, string> = {}): Promise<{ statusCode: number; body: string; headers: Record<string, unknown> }> =>
  app.inject({ method: methodOf(name), url: pathOf(name), headers: { host: 'localhost:8080', ...headers }, ...(methodOf(name) === 'POST' && { payload: { reason: 'why' } }) });

test('the table names every route the server has, and no other; each is what it says there', async () => {
  const served = await appOf(TOKEN);
  const methods = [...served.printRoutes({ commonPrefix: false }).matchAll(/\(([A-Z, ]+)\)/g)].flatMap(([, list = '']) => list.split(', ')).filter((method) => method !== 'HEAD');
  expect(methods).toHaveLength(Object.keys(TABLE).length);
  for (const name of Object.keys(TABLE)) {
    expect(served.hasRoute({ method: methodOf(name), url: name.split(' ')[1]!.replaceAll(/\{(\w+)\}/g, ':$1') }), name).toBe(true);
  }
  expect(Object.fromEntries(allRoutes().map(({ method, path, access }) => [`${method} ${path}`, access]))).toEqual(TABLE);
});

describe.each(Object.entries(TABLE))('%s (%s)', (name, access) => {
  let without: FastifyInstance;
  let withToken: FastifyInstance;
  beforeAll(async () => {
    [without, withToken] = [await appOf(undefined), await appOf(TOKEN)];
  });
  const status = async (app: FastifyInstance, headers?: Record<string, string>): Promise<number> => (await ask(app, name, headers)).statusCode;
  /** Anything but a refusal at the door. */
  const got = expect.toSatisfy((code: number) => ![401, 403, 421, 429].includes(code), 'let in') as number;

  test('without a configured token', async () => {
    expect(await status(without)).toEqual(access === 'write' ? 403 : got);
    expect(await status(without, { authorization: `Bearer ${TOKEN}` })).toEqual(access === 'write' ? 403 : got);
  });

  test('with one', async () => {
    for (const authorization of ['', 'Bearer', `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(0, -1)}`, `bearer ${TOKEN}`, TOKEN, `Basic ${TOKEN}`]) {
      expect([authorization, await status(withToken, { authorization })]).toEqual([authorization, access === 'read' || access === 'write' ? 401 : got]);
    }
    expect(await status(withToken)).toEqual(access === 'read' || access === 'write' ? 401 : got);
    expect(await status(withToken, { authorization: `Bearer ${TOKEN}` })).toEqual(got);
  });

  test('asked by a page that has its own name resolve to this machine', async () => {
    for (const host of ['evil.example', 'evil.example:8080', 'localhost.evil.example', '127.0.0.1.evil.example', 'localhost@evil.example']) {
      expect([host, await status(without, { host })]).toEqual([host, access === 'signed' ? got : 421]);
    }
    for (const host of ['127.0.0.1', '127.0.0.1:8080', 'LOCALHOST', '[::1]:8080', '127.1.2.3:1']) expect(await status(without, { host })).toEqual(access === 'write' ? 403 : got);
    expect(await status(withToken, { host: 'brx.example', authorization: `Bearer ${TOKEN}` })).toEqual(got); // who has the token is no page
  });

  test('tells nobody of other origins anything', async () => {
    const answer = await ask(withToken, name, { origin: 'https://evil.example', authorization: `Bearer ${TOKEN}` });
    expect(Object.keys(answer.headers).filter((header) => header.startsWith('access-control'))).toEqual([]);
    expect((await withToken.inject({ method: 'OPTIONS', url: pathOf(name), headers: { host: 'localhost', origin: 'https://evil.example', 'access-control-request-method': methodOf(name) } })).statusCode).toBe(405);
  });
});

test('details of health are for who has the token', async () => {
  const app = await appOf(TOKEN);
  const health = async (headers?: Record<string, string>): Promise<unknown> => (await app.inject({ url: '/health/ready?verbose', headers: { host: 'x', ...headers } })).json();
  expect(await health()).toEqual({ status: 'ok' });
  expect(await health({ authorization: `Bearer ${TOKEN}` })).toMatchObject({ checks: [{ detail: 'the detail' }] });
});

test('a route that does not say who may use it ends the start', async () => {
  const routes = [route({ method: 'GET', path: '/x', access: undefined as unknown as Access, isLimited: false, summary: '', problems: [], handle: () => ({ body: 1 }) })];
  await expect(appOf(TOKEN, { routes })).rejects.toThrow('does not say who may use it');
});

describe('limits', () => {
  test('a client that asks too often is told when to come back; health, metrics and webhooks are not counted', async () => {
    const app = await appOf(TOKEN, { rateLimit: 3 });
    const list = (address: string) => app.inject({ url: '/openapi.json', headers: { host: 'x' }, remoteAddress: address });
    for (let n = 0; n < 3; n += 1) expect((await list('10.0.0.1')).statusCode).toBe(200);
    const refused = await list('10.0.0.1');
    expect(refused.json()).toMatchObject({ status: 429, code: 'too_many_requests' });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await app.inject({ url: '/users', headers: { host: 'x' }, remoteAddress: '10.0.0.1' })).statusCode).toBe(429); // before the token: who guesses is slowed down
    expect((await list('10.0.0.2')).statusCode).toBe(200);
    for (let n = 0; n < 6; n += 1) expect((await app.inject({ url: '/health/live', headers: { host: 'x' }, remoteAddress: '10.0.0.1' })).statusCode).toBe(200);
    for (let n = 0; n < 6; n += 1) expect((await app.inject({ method: 'POST', url: pathOf('POST /webhooks/cardtrader/{id}'), remoteAddress: '10.0.0.1', payload: 'x' })).statusCode).toBe(PASSED);
  });

  const POST = `/users/${USER}/pause`;
  const sends = async (payload: string | object, headers: Record<string, string> = {}): Promise<{ status: number; code: string }> => {
    const answer = await (await appOf(TOKEN)).inject({ method: 'POST', url: POST, headers: { host: 'x', authorization: `Bearer ${TOKEN}`, ...headers }, payload });
    const { code } = answer.json<{ code: string }>();
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    return { status: answer.statusCode, code };
  };
  test('a body that is too large, no JSON, not what is taken, or of another type', async () => {
    expect(await sends({ reason: 'x'.repeat(20_000) })).toEqual({ status: 413, code: 'too_large' });
    for (const payload of ['{', '', '[]', '{}', '{"reason":""}', '{"reason":1}', '{"reason":"x","more":1}', '{"reason":"x","__proto__":{"a":1}}', String.raw`{"reason":"a\u0000b"}`, String.raw`{"reason":"x","who":"\ud800"}`]) {
      expect([payload, await sends(payload, { 'content-type': 'application/json' })]).toEqual([payload, { status: 400, code: 'invalid_request' }]);
    }
    for (const type of ['text/plain', 'application/xml', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) expect(await sends('{"reason":"x"}', { 'content-type': type })).toEqual({ status: 415, code: 'unsupported_media_type' });
  });

  const place = (...parts: (string | number)[]): string => Buffer.from(JSON.stringify(parts)).toString('base64url');
  test.each(['/users?limit=0', '/users?limit=201', '/users?limit=x', '/users?limit=1&limit=2', '/users?cursor=x', '/users?status=gone', '/users?mine=1', '/users?after=0', '/users/x', `/users/${USER}/items?status=x`, `/users/${USER}/items?blueprint=0`, `/users/${USER}/items?q=`, `/users/${USER}/items?q=a%00b`, `/users/${USER}/items?changed_since=yesterday`, `/users/${USER}/items?changed_since=0000-01-01T00:00:00Z`, `/parked?cursor=${place(9_007_199_254_740_991, USER)}`, `/sagas?cursor=${place(-1, USER, USER)}`, `/users/${USER}/items/x`, `/users/${USER}/items/${USER}/history?limit=1001`])('%s: refused, and said why', async (url) => {
    const answer = await (await appOf(undefined)).inject({ url, headers: { host: 'localhost' } });
    expect(answer.json()).toMatchObject({ status: 400, code: 'invalid_request', errors: [{ at: expect.any(String) as string, problem: expect.any(String) as string }], remedy: expect.any(String) as string });
  });

  test('what is thrown is not told; the log has it', async () => {
    const lines: unknown[] = [];
    const logger = { ...silentLogger, error: (...line: unknown[]) => void lines.push(line) } as unknown as typeof silentLogger;
    const app = await createApp({ config: { host: '127.0.0.1', port: 0, token: undefined, rateLimit: 10 }, logger, metrics, routes: allRoutes() });
    apps.push(app);
    const answer = await app.inject({ url: '/users', headers: { host: 'localhost' } });
    expect(answer.json()).toEqual({ type: 'urn:brx-sync:problem:internal', title: 'it could not be answered', status: 500, code: 'internal', detail: 'the log says why' });
    expect(JSON.stringify(lines)).toContain('an answer over HTTP failed');
  });
});

test('a webhook’s bytes come as they were sent, whatever it says they are; its headers decide nothing but the signature', async () => {
  const taken: unknown[] = [];
  const take = (call: unknown): Promise<{ status: number; word: string }> => {
    taken.push(call);
    return Promise.resolve({ status: 200, word: 'taken' });
  };
  const app = await appOf(undefined, { routes: [webhookRoute(take)] });
  const body = Buffer.from([0x7b, 0, 255, 13, 10, 0xc3, 0x28]);
  const url = pathOf('POST /webhooks/cardtrader/{id}');
  for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=latin1', undefined]) {
    taken.length = 0;
    const answer = await app.inject({ method: 'POST', url, headers: { signature: 'the signature', ...(type !== undefined && { 'content-type': type }) }, payload: body });
    expect([type, answer.statusCode, answer.body]).toEqual([type, 200, '{"status":"taken"}\n']);
    expect(taken).toEqual([{ userId: USER, body, signature: 'the signature' }]);
  }
  taken.length = 0;
  await app.inject({ method: 'POST', url });
  expect(taken).toEqual([{ userId: USER, body: Buffer.alloc(0), signature: undefined }]);
});

test('bodies of strangers have room for so many bytes together; who finds none is told to come again', async () => {
  let answer = (): void => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  let taken = 0;
  const take = async (): Promise<{ status: number; word: string }> => {
    taken += 1;
    await answered;
    return { status: 200, word: 'taken' };
  };
  const app = await createApp({ config: { host: '127.0.0.1', port: 0, token: undefined, rateLimit: 1 }, logger: silentLogger, metrics, routes: [webhookRoute(take)], bodies: new Bodies(100) });
  apps.push(app);
  const send = (bytes: number) => app.inject({ method: 'POST', url: `/webhooks/cardtrader/${USER}`, payload: 'x'.repeat(bytes) });
  const [first, second] = [send(60), send(40)];
  await until('both are taken', () => taken === 2);
  const refused = await send(1);
  expect([refused.statusCode, refused.headers['retry-after'], taken]).toEqual([503, '1', 2]);
  answer();
  expect([(await first).statusCode, (await second).statusCode]).toEqual([200, 200]);
  expect((await send(100)).statusCode).toBe(200);
  expect((await send(101)).statusCode).toBe(503);
  expect((await send(100)).statusCode).toBe(200); // what was refused has left its room
});
