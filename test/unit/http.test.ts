import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createHttpServer, report, type HealthSource, type HttpServer, type HttpServerParts } from '../../src/http/index.ts';
import type { Clock } from '../../src/platform/clock.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { createMetrics } from '../../src/platform/metrics.ts';

/** What orchestrators and Prometheus get, above all when something is wrong. */
const running: HttpServer[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
});

const healthy: HealthSource = {
  live: () => report([{ name: 'loop', ok: true, detail: 'moved 0.2 s ago' }]),
  ready: () => Promise.resolve(report([{ name: 'postgres', ok: true, detail: 'answered in 2 ms' }, { name: 'group', ok: true, detail: 'joined' }])),
};

async function serve(parts: Partial<HttpServerParts> = {}): Promise<HttpServer> {
  const server = createHttpServer({ config: { host: '127.0.0.1', port: 0, token: undefined, rateLimit: 1_000 }, logger: silentLogger, health: healthy, metrics: createMetrics({ process: false }), ...parts });
  await server.start();
  running.push(server);
  return server;
}

const get = async (server: HttpServer, path: string, init?: RequestInit): Promise<{ status: number; body: unknown; headers: Headers }> => {
  const response = await fetch(`${server.url}${path}`, init);
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text };
};

/** Sends raw bytes and collects the answer until the server closes. */
const raw = (server: HttpServer, bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.write(bytes));
    let answer = '';
    socket.on('data', (data) => (answer += data.toString())).on('close', () => resolve(answer)).on('error', reject);
  });

describe('health', () => {
  test('says ok in one word, and every check with ?verbose', async () => {
    const server = await serve();
    expect(await get(server, '/health/live')).toMatchObject({ status: 200, body: { status: 'ok', checks: [] } });
    expect(await get(server, '/health/ready?verbose')).toMatchObject({
      status: 200,
      body: { status: 'ok', checks: [{ name: 'postgres', ok: true, detail: 'answered in 2 ms' }, { name: 'group', ok: true, detail: 'joined' }] },
    });
  });

  test('a failing check is a 503 that names the check, without those that pass', async () => {
    const server = await serve({ health: { ...healthy, live: () => report([{ name: 'a', ok: true, detail: '' }, { name: 'loop', ok: false, detail: 'nothing done for 5 min with lag 12' }]) } });
    expect(await get(server, '/health/live')).toMatchObject({ status: 503, body: { status: 'failing', checks: [{ name: 'loop', ok: false, detail: 'nothing done for 5 min with lag 12' }] } });
  });

  test('readiness that does not answer is answered by a deadline; live is answered while ready hangs', async () => {
    let elapse = (): void => undefined;
    const sleeping = new Promise<void>((resolve) => (elapse = resolve));
    const clock: Clock = { ...systemClock, sleep: (_ms, signal) => Promise.race([sleeping, new Promise<void>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)))]) };
    const server = await serve({ clock, health: { ...healthy, ready: () => new Promise(() => undefined) } });
    const ready = get(server, '/health/ready');
    expect((await get(server, '/health/live')).status).toBe(200);
    elapse();
    expect(await ready).toMatchObject({ status: 503, body: { checks: [{ name: 'ready', ok: false, detail: 'the checks did not answer within 2 s' }] } });
  });

  test('a check that throws is a 500 without the error, which may name hosts and users; the log has it', async () => {
    const server = await serve({ health: { ...healthy, ready: () => Promise.reject(new Error('password authentication failed for brx at 10.0.0.7')) } });
    const { status, body } = await get(server, '/health/ready?verbose');
    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toMatch(/password|10\.0\.0\.7/);
  });
});

describe('metrics and access', () => {
  test('metrics are Prometheus text', async () => {
    const { status, body, headers } = await get(await serve(), '/metrics');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(body).toContain('brx_build_info{');
  });

  test('with a token, metrics and details need it; the status of health does not', async () => {
    const token = 'a-token-of-the-test';
    const server = await serve({ config: { host: '127.0.0.1', port: 0, token, rateLimit: 1_000 } });
    expect(await get(server, '/metrics')).toMatchObject({ status: 401 });
    expect(await get(server, '/metrics', { headers: { authorization: `Bearer ${token}x` } })).toMatchObject({ status: 401 });
    expect(await get(server, '/metrics', { headers: { authorization: `Bearer ${token}` } })).toMatchObject({ status: 200 });
    expect((await get(server, '/health/ready?verbose')).body).toEqual({ status: 'ok' });
    expect((await get(server, '/health/ready?verbose', { headers: { authorization: `Bearer ${token}` } })).body).toMatchObject({ checks: [{}, {}] });
  });
});

describe('bad requests', () => {
  test('unknown paths and other methods are answered as JSON', async () => {
    const server = await serve();
    expect(await get(server, '/nothing')).toMatchObject({ status: 404, body: { code: 'unknown_route', title: 'there is no such route' } });
    expect(await get(server, '/constructor')).toMatchObject({ status: 404 });
    const posted = await get(server, '/metrics', { method: 'POST' });
    expect(posted).toMatchObject({ status: 405 });
    expect(posted.headers.get('allow')).toBe('GET, HEAD');
    const head = await fetch(`${server.url}/health/live`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  test('a target that is no URL is a 400, and the server goes on', async () => {
    const server = await serve();
    expect(await raw(server, 'GET http://[ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect((await get(server, '/health/live')).status).toBe(200);
  });

  test('headers that are too large are refused', async () => {
    expect(await raw(await serve(), `GET /metrics HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(9_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('an upload ends with its connection', async () => {
    expect(await raw(await serve(), 'POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\nabc')).toMatch(/^HTTP\/1\.1 405 [\s\S]*connection: close/i);
  });
});

describe('start and stop', () => {
  test('a taken port is an error that names it and the variable', async () => {
    const first = await serve();
    const port = Number(new URL(first.url).port);
    const second = createHttpServer({ config: { host: '127.0.0.1', port, token: undefined, rateLimit: 1_000 }, logger: silentLogger, health: healthy, metrics: createMetrics({ process: false }) });
    await expect(second.start()).rejects.toMatchObject({ code: 'BRX_CONFIG', message: `port ${port} of 127.0.0.1 is taken by another program`, remedy: expect.stringContaining('BRX_HTTP_PORT') as string });
    await second.stop(); // never started: nothing to do
  });

  test('an address of another machine is an error that names BRX_HTTP_HOST', async () => {
    const server = createHttpServer({ config: { host: '192.0.2.1', port: 0, token: undefined, rateLimit: 1_000 }, logger: silentLogger, health: healthy, metrics: createMetrics({ process: false }) });
    await expect(server.start()).rejects.toMatchObject({ code: 'BRX_CONFIG', remedy: expect.stringContaining('BRX_HTTP_HOST') as string });
  });

  test('stop lets go of a connection that someone keeps open with half a request', async () => {
    const clock: Clock = { ...systemClock, sleep: () => Promise.resolve() }; // the deadline is over at once
    const server = await serve({ clock });
    const answer = raw(server, 'GET /health/live HTTP/1.1\r\nhost: x\r\n');
    await get(server, '/health/live'); // the server has accepted both by now
    await server.stop();
    await answer.catch(() => undefined); // closed, by reset or end
    await expect(fetch(server.url)).rejects.toThrow();
    await server.stop(); // twice is fine
  });
});
