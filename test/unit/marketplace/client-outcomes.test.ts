import { createServer } from 'node:net';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { caller, clientOf, exported, TOKEN, writtenAnswer } from '../../support/marketplace.ts';
import { httpServer, tcpServer, type TestServer } from '../../support/rude-server.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects: the verdict on a call. `applied`, `refused` and `throttled` are certain, whatever the server or the network does; all that
 * may have taken effect is `unknown`; and a request is sent once.
 */
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});
const keep = <T extends { close(): Promise<void> }>(each: T): T => {
  open.push(each);
  return each;
};

const json = (status: number, body: unknown, headers: Record<string, string> = {}) => (response: ServerResponse): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
};
const html = (status: number, page: string) => json(status, page, { 'content-type': 'text/html' });
const envelope = { error_code: 'validation_error', errors: { price: ['is too low'] }, extra: { message: 'Price is too low' }, request_id: 'a7f0' };
const page = (text: string): string => `<!DOCTYPE html><html><head><title>Oops</title></head><body><h1></h1><p>${text} <b>now</b></p></body></html>`;

/** A write against a server that answers in the given way. */
async function write(answer: (response: ServerResponse) => void, config: Parameters<typeof clientOf>[1] = {}) {
  const server = keep(await httpServer((_request, response) => answer(response)));
  const client = clientOf(server.url, config);
  open.splice(-1, 0, client); // closed after its server
  return { outcome: await client.updateProduct(caller, 101, { quantity: 3 }), server, client };
}

/** The same on bare TCP. */
async function writeRaw(answer: (socket: Socket) => void, config: Parameters<typeof clientOf>[1] = {}) {
  const server = keep(await tcpServer((socket) => answer(socket)));
  const client = clientOf(server.url, config);
  open.splice(-1, 0, client);
  return { outcome: await client.updateProduct(caller, 101, { quantity: 3 }), server, client };
}

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';
const OK = JSON.stringify(writtenAnswer());

describe('applied', () => {
  test.each<[string, (response: ServerResponse) => void]>([
    ['200', json(200, writtenAnswer())],
    ['201', json(201, writtenAnswer())],
    ['a warning', json(200, { ...writtenAnswer(), result: 'warning', warnings: { properties: { cmc: ['Read only property cmc has been ignored'] } } })],
    ['another content type', json(200, OK, { 'content-type': 'text/html' })],
    ['a byte order mark', json(200, `\uFEFF${OK}`)],
    ['without a length', (response) => void response.writeHead(200).end(OK)],
    ['fields nobody knows', json(200, { ...writtenAnswer({ brand_new: { deep: [1] } }), more: true })],
  ])('%s', async (_what, answer) => {
    const { outcome, server } = await write(answer);
    expect(outcome).toMatchObject({ outcome: 'applied', body: { product: { id: 101, quantity: 3, priceCents: 6_258 } } });
    expect(server.seen).toHaveLength(1);
  });

  test('in pieces, after an announcement', async () => {
    const { outcome } = await writeRaw((socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n');
      socket.write(`${HEAD}transfer-encoding: chunked\r\n\r\n${OK.slice(0, 9).length.toString(16)}\r\n${OK.slice(0, 9)}\r\n`);
      setImmediate(() => socket.write(`${OK.slice(9).length.toString(16)}\r\n${OK.slice(9)}\r\n0\r\n\r\n`));
    });
    expect(outcome).toMatchObject({ outcome: 'applied', status: 200 });
  });

  test('tells status, request id, the server’s time and how long it took', async () => {
    const { outcome } = await write(json(200, writtenAnswer(), { 'x-request-id': 'r-1', date: 'Wed, 25 Nov 2026 15:30:00 GMT' }));
    expect(outcome).toMatchObject({ outcome: 'applied', status: 200, requestId: 'r-1', serverDate: Date.UTC(2026, 10, 25, 15, 30) });
    expect(outcome.durationMs).toBeGreaterThan(0);
  });
});

describe('refused: certainly not applied', () => {
  test.each<[string, (response: ServerResponse) => void, reason: string, message: string]>([
    ['401', json(401, { error_code: 'unauthorized', errors: [], extra: { message: 'You are not authorized' }, request_id: 'x' }), 'token_rejected', 'You are not authorized'],
    ['401 in HTML', html(401, page('Log in')), 'token_rejected', 'Log in now'],
    ['403 of the API', json(403, { error_code: 'forbidden', errors: [], extra: { message: 'Not yours' }, request_id: 'x' }), 'forbidden', 'Not yours'],
    ['404 of the API', json(404, { error_code: 'not_found', errors: [], extra: { message: 'No such product' }, request_id: 'x' }), 'not_found', 'No such product'],
    ['404 of who knows whom', html(404, page('Not here')), 'other', 'Not here now'],
    ['404 without a word', json(404, ''), 'other', 'HTTP 404'],
    ['422', json(422, envelope), 'validation', 'Price is too low'],
    ['422 that is a list of texts', json(422, { errors: ['Blueprint cant be blank', 'no'] }), 'validation', 'Blueprint cant be blank; no'],
    ['422 that is a list of fields', json(422, { errors: [{ scheduler: 'is running' }] }), 'validation', 'scheduler: is running'],
    ['400 with one text', json(400, { error: 'bad' }), 'validation', 'bad'],
    ['409 in HTML', html(409, page('Conflict')), 'other', 'Conflict now'],
    ['413 of a proxy', html(413, '<h1>Request Entity Too Large</h1>'), 'other', 'Request Entity Too Large'],
    ['422 of which half arrives', (response) => void response.writeHead(422, { 'content-length': 500 }).write('{"error_code":"valid', () => response.destroy()), 'other', '{"error_code":"valid'],
    ['422 of a megabyte', json(422, JSON.stringify({ error: 'x'.repeat(1_000_000) })), 'other', `{"error":"${'x'.repeat(289)}…`],
  ])('%s', async (_what, answer, reason, message) => {
    const { outcome, server } = await write(answer);
    expect(outcome).toMatchObject({ outcome: 'refused', reason, message });
    expect(server.seen).toHaveLength(1);
  });

  test('with its code, fields and request id', async () => {
    const { outcome } = await write(json(422, envelope));
    expect(outcome).toMatchObject({ status: 422, code: 'validation_error', requestId: 'a7f0', fields: [{ field: 'price', message: 'is too low' }] });
  });

  test('a token that no header can hold is not sent', async () => {
    const server = keep(await httpServer((_request, response) => json(200, OK)(response)));
    const client = keep(clientOf(server.url));
    for (const token of ['', 'a\r\nx-evil: 1', 'a\u00adb', 'Bearer x']) expect(await client.info({ ...caller, token })).toMatchObject({ outcome: 'refused', reason: 'token_rejected', status: null });
    expect(server.connections).toBe(0);
  });
});

describe('throttled: certainly not applied, later it may be', () => {
  const tooMany = (text: string) => json(429, { error: `Too many requests: max ${text}` });

  test.each<[string, (response: ServerResponse) => void, Record<string, unknown>]>([
    ['429', tooMany('200 requests per 10 seconds'), { reason: 'rate_limited', scope: 'all', retryAfterMs: null }],
    ['429 with seconds', json(429, { error: 'x' }, { 'retry-after': '7' }), { reason: 'rate_limited', scope: 'all', retryAfterMs: 7_000 }],
    ['429 with a date', json(429, '', { 'retry-after': 'Wed, 25 Nov 2026 15:30:09 GMT', date: 'Wed, 25 Nov 2026 15:30:00 GMT' }), { scope: 'all', retryAfterMs: 9_000 }],
    ['429 with a date gone by', json(429, '', { 'retry-after': 'Wed, 25 Nov 2026 15:29:00 GMT', date: 'Wed, 25 Nov 2026 15:30:00 GMT' }), { retryAfterMs: 0 }],
    ['429 with nonsense', json(429, '', { 'retry-after': 'soon' }), { retryAfterMs: null }],
    ['429 for a week', json(429, '', { 'retry-after': '604800' }), { retryAfterMs: 3_600_000 }],
    ['429 in HTML', html(429, page('error 1015')), { reason: 'rate_limited', scope: 'all', message: 'error 1015 now' }],
    ['403 of the edge', html(403, page('You have been blocked')), { reason: 'edge', scope: null, message: 'You have been blocked now' }],
    ['403 without a word', json(403, ''), { reason: 'edge' }],
    ['403 in JSON without a code', json(403, { error: 'blocked' }), { reason: 'edge' }],
  ])('%s', async (_what, answer, expected) => {
    expect((await write(answer)).outcome).toMatchObject({ outcome: 'throttled', ...expected });
  });

  test('a limit "per second" is that of the call', async () => {
    const server = keep(await httpServer((request, response) => tooMany(request.url.includes('jobs') ? '1 request per second' : '200 requests per 10 seconds')(response)));
    const client = keep(clientOf(server.url));
    expect(await client.job(caller, 'j-1')).toMatchObject({ outcome: 'throttled', scope: 'jobs' });
    expect(await client.info(caller)).toMatchObject({ outcome: 'throttled', scope: 'all' });
  });

  test('nobody listens', async () => {
    const server = await httpServer(() => undefined);
    await server.close();
    const client = keep(clientOf(server.url));
    expect(await client.updateProduct(caller, 101, { quantity: 3 })).toMatchObject({ outcome: 'throttled', reason: 'unreachable', status: null, message: expect.stringContaining('ECONNREFUSED') as string });
  });

  test('nobody of that name', async () => {
    const client = keep(clientOf('http://no-such-host.invalid'));
    expect(await client.info(caller)).toMatchObject({ outcome: 'throttled', reason: 'unreachable' });
  });

  test('a connection that never comes about, also past the deadline', async () => {
    // A listener whose queue is full lets further connections hang in the kernel: one it takes, those behind it wait.
    const server = createServer({ pauseOnConnect: true });
    await new Promise<void>((resolve) => void server.listen({ port: 0, host: '127.0.0.1' }, resolve));
    const { port } = server.address() as { port: number };
    server.on('connection', (socket) => socket.destroy());
    const tls = keep(clientOf(`https://127.0.0.1:${port}`, { connectTimeoutMs: 200 }));
    expect(await tls.updateProduct(caller, 101, { quantity: 3 })).toMatchObject({ outcome: 'throttled', reason: 'unreachable' });
    server.removeAllListeners('connection'); // now the handshake gets no answer at all
    const hanging = keep(clientOf(`https://127.0.0.1:${port}`, { connectTimeoutMs: 200 }));
    expect(await hanging.updateProduct(caller, 101, { quantity: 3 })).toMatchObject({ outcome: 'throttled', reason: 'unreachable', message: expect.stringContaining('UND_ERR_CONNECT_TIMEOUT') as string });
    const impatient = keep(clientOf(`https://127.0.0.1:${port}`, { connectTimeoutMs: 500, writeTimeoutMs: 100 }));
    expect(await impatient.updateProduct(caller, 101, { quantity: 3 })).toMatchObject({ outcome: 'throttled', reason: 'unreachable', message: expect.stringContaining('100 ms') as string });
    server.close();
  });

  test('all connections are in use', async () => {
    let finish = (): void => undefined;
    const server = keep(await httpServer((_request, response) => (finish = () => json(200, writtenAnswer())(response))));
    const client = keep(clientOf(server.url, { connections: 1 }));
    const first = client.updateProduct(caller, 101, { quantity: 3 });
    await until('the first request is there', () => server.seen.length === 1);
    const [second, third] = await Promise.all([client.updateProduct(caller, 102, { quantity: 3 }), client.info(caller)]);
    expect(second).toMatchObject({ outcome: 'throttled', reason: 'busy' });
    expect(third).toMatchObject({ outcome: 'throttled', reason: 'busy' });
    const fourth = client.updateProduct(caller, 101, { quantity: 4 });
    await until('the fourth waits', () => client.state().waiting === 1);
    finish();
    expect(await first).toMatchObject({ outcome: 'applied' });
    await until('the fourth is there', () => server.seen.length === 2);
    finish();
    expect(await fourth).toMatchObject({ outcome: 'applied' });
    expect(server.connections).toBe(1);
    expect(client.state()).toMatchObject({ used: 0, waiting: 0, max: 1 });
  });

  test('the caller gives up before it is sent: at once, at the gate, or while the connection is made', async () => {
    const server = keep(await httpServer((_request, response) => json(200, OK)(response)));
    const gaveUp = AbortSignal.abort(new Error('gave up'));
    const client = keep(clientOf(server.url));
    expect(await client.info({ ...caller, signal: gaveUp })).toMatchObject({ outcome: 'throttled', reason: 'aborted' });
    const controller = new AbortController();
    const gated = keep(clientOf(server.url, {}, { gate: ({ signal }) => new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error))) }));
    const waiting = gated.info({ ...caller, signal: controller.signal });
    controller.abort(new Error('gave up'));
    expect(await waiting).toMatchObject({ outcome: 'throttled', reason: 'aborted' });
    const later = new AbortController();
    const connecting = client.updateProduct({ ...caller, signal: later.signal }, 101, { quantity: 3 });
    queueMicrotask(() => queueMicrotask(() => later.abort()));
    expect(await connecting).toMatchObject({ outcome: 'throttled', reason: 'aborted' });
    expect(await client.info(caller)).toMatchObject({ outcome: expect.stringMatching(/unknown/) as string }); // its answer is no app: only that the client still works
    expect(server.seen.map(({ url }) => url)).toEqual(['/api/v2/info']);
  });

  test('a gate that is broken is not swallowed', async () => {
    const client = keep(clientOf('http://127.0.0.1:1', {}, { gate: () => Promise.reject(new Error('limiter broken')) }));
    await expect(client.info(caller)).rejects.toThrow('limiter broken');
  });

  test('after close() nothing is sent', async () => {
    const client = clientOf('http://127.0.0.1:1');
    await client.close();
    expect(await client.info(caller)).toMatchObject({ outcome: 'throttled', reason: 'aborted' });
  });
});

describe('unknown: it may have been applied', () => {
  test.each<[string, (response: ServerResponse) => void, reason: string]>([
    ['500', json(500, { error: 'x' }), 'server_error'],
    ['502 in HTML', html(502, page('Bad gateway')), 'server_error'],
    ['503 with Retry-After', json(503, '', { 'retry-after': '1' }), 'server_error'],
    ['504', json(504, ''), 'server_error'],
    ['520 of the edge', html(520, page('unknown')), 'server_error'],
    ['a redirect', json(302, '', { location: '/elsewhere' }), 'redirected'],
    ['a redirect that keeps the method', json(307, '', { location: 'http://127.0.0.1:1/' }), 'redirected'],
    ['304', (response) => void response.writeHead(304).end(), 'redirected'],
    ['408', json(408, ''), 'unexpected'],
    ['204', (response) => void response.writeHead(204).end(), 'unreadable'],
    ['200 without a body', json(200, ''), 'unreadable'],
    ['200 in HTML', html(200, page('Under maintenance')), 'unreadable'],
    ['200 with half a body', (response) => void response.writeHead(200).end(OK.slice(0, 40)), 'unreadable'],
    ['200 that is no UTF-8', (response) => void response.writeHead(200).end(Buffer.from(JSON.stringify(writtenAnswer({ description: '\u00ff' })), 'latin1')), 'unreadable'],
    ['200 compressed without having been asked', (response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(Buffer.from([0x1f, 0x8b, 8, 0])), 'unreadable'],
    ['200 with a list', json(200, []), 'unreadable'],
    ['200 with null', json(200, 'null'), 'unreadable'],
    ['200 with an error in it', json(200, envelope), 'unreadable'],
    ['200 whose result is an error', json(200, { ...writtenAnswer(), result: 'error' }), 'unreadable'],
    ['200 without the quantity', json(200, writtenAnswer({ quantity: null })), 'unreadable'],
    ['200 about another product', json(200, writtenAnswer({ id: 102 })), 'unreadable'],
    ['200 of 9 MB', json(200, JSON.stringify({ ...writtenAnswer(), padding: 'x'.repeat(9_000_000) })), 'too_large'],
  ])('%s', async (_what, answer, reason) => {
    const { outcome, server } = await write(answer);
    expect(outcome).toMatchObject({ outcome: 'unknown', reason });
    expect(server.seen).toHaveLength(1);
  });

  test.each<[string, (socket: Socket) => void, reason: string]>([
    ['reset before the answer', (socket) => void socket.resetAndDestroy(), 'reset'],
    ['closed before the answer', (socket) => void socket.end(), 'reset'],
    ['reset in the middle of the head', (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-', () => socket.resetAndDestroy()), 'reset'],
    ['closed in the middle of the body', (socket) => void socket.end(`${HEAD}content-length: ${OK.length}\r\n\r\n${OK.slice(0, 50)}`), 'reset'],
    ['reset in the middle of the body', (socket) => void socket.write(`${HEAD}content-length: ${OK.length}\r\n\r\n${OK.slice(0, 50)}`, () => socket.resetAndDestroy()), 'reset'],
    ['a chunked body without its end', (socket) => void socket.end(`${HEAD}transfer-encoding: chunked\r\n\r\n${OK.length.toString(16)}\r\n${OK}\r\n`), 'reset'],
    ['no HTTP at all', (socket) => void socket.end('SSH-2.0-OpenSSH\r\n'), 'reset'],
    ['a head that does not end', (socket) => void socket.end(`${HEAD}x: ${'x'.repeat(100_000)}`), 'reset'],
    ['two lengths', (socket) => void socket.end(`${HEAD}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`), 'reset'],
  ])('%s', async (_what, answer, reason) => {
    const { outcome, server } = await writeRaw(answer);
    expect(outcome).toMatchObject({ outcome: 'unknown', reason });
    expect(server.seen).toHaveLength(1);
  });

  test.each<[string, (socket: Socket) => void]>([
    ['no answer', () => undefined],
    ['an answer without its body', (socket) => void socket.write(`${HEAD}content-length: ${OK.length}\r\n\r\n`)],
    ['slow loris: a byte now and then, for ever', (socket) => {
      socket.write(`${HEAD}content-length: 100000\r\n\r\n`);
      const timer = setInterval(() => socket.write(' '), 20);
      socket.on('close', () => clearInterval(timer));
    }],
    ['a slow head', (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nx: ');
      const timer = setInterval(() => socket.write('x'), 20);
      socket.on('close', () => clearInterval(timer));
    }],
  ])('%s', async (_what, answer) => {
    const { outcome, server, client } = await writeRaw(answer, { writeTimeoutMs: 150 });
    expect(outcome).toMatchObject({ outcome: 'unknown', reason: 'timeout', message: 'no complete answer within 150 ms' });
    expect(outcome.durationMs).toBeLessThan(1_000);
    expect(server.seen).toHaveLength(1);
    await until('its connection is let go', () => client.state().used === 0);
  });

  test('the caller gives up after it was sent', async () => {
    const controller = new AbortController();
    const server = keep(await httpServer(() => controller.abort(new Error('gave up'))));
    const client = keep(clientOf(server.url));
    expect(await client.updateProduct({ ...caller, signal: controller.signal }, 101, { quantity: 3 })).toMatchObject({ outcome: 'unknown', reason: 'aborted' });
  });

  test('what cannot be read is described, not repeated', async () => {
    const { outcome } = await write(json(200, writtenAnswer({ quantity: 'sixteen secret words' })));
    expect(outcome).toMatchObject({ outcome: 'unknown', reason: 'unreadable', message: expect.stringMatching(/^HTTP 200: the answer resource: quantity: /) as string });
    expect(JSON.stringify(outcome)).not.toContain('sixteen');
  });
});

describe('a request is sent once', () => {
  test('also when a kept connection turns out to be dead', async () => {
    let server: TestServer | undefined;
    server = keep(
      await tcpServer((socket) => {
        if (server?.seen.length === 1) socket.write(`${HEAD}content-length: ${OK.length}\r\nkeep-alive: timeout=60\r\n\r\n${OK}`);
        else socket.resetAndDestroy();
      }),
    );
    const client = keep(clientOf(server.url, { connections: 1 }));
    expect(await client.updateProduct(caller, 101, { quantity: 3 })).toMatchObject({ outcome: 'applied' });
    expect(await client.updateProduct(caller, 101, { quantity: 2 })).toMatchObject({ outcome: 'unknown', reason: 'reset' });
    expect(await client.info(caller)).toMatchObject({ outcome: 'unknown', reason: 'reset' }); // a read is not repeated either
    expect(server.seen).toHaveLength(3);
  });

  test('an answer too many on a connection is nobody’s answer', async () => {
    const answer = (quantity: number): string => {
      const body = JSON.stringify(writtenAnswer({ quantity }));
      return `${HEAD}content-length: ${body.length}\r\n\r\n${body}`;
    };
    let n = 0;
    const server = keep(await tcpServer((socket) => socket.write(n++ === 0 ? answer(3) + answer(471_147) : answer(2))));
    const client = keep(clientOf(server.url, { connections: 1 }));
    await client.updateProduct(caller, 101, { quantity: 3 });
    const second = await client.updateProduct(caller, 101, { quantity: 2 });
    expect(JSON.stringify(second)).not.toContain('471147');
  });
});

test('lists in lists, deeper than a stack can go, are read no further than errors are nested', async () => {
  const deep = `${'['.repeat(30_000)}"no"${']'.repeat(30_000)}`;
  expect((await write(json(422, `{"errors":${deep}}`))).outcome).toMatchObject({ outcome: 'refused' });
  expect((await write(json(200, `${OK.slice(0, -1)},"warnings":${deep}}`))).outcome).toMatchObject({ outcome: 'applied', body: { warnings: [] } });
});

describe('no secret leaves', () => {
  test('whatever the server echoes or the network says', async () => {
    const said: unknown[] = [];
    const parts = TOKEN.split('.');
    const echoes: ((response: ServerResponse) => void)[] = [
      json(401, { error_code: `bad ${TOKEN}`, errors: { [TOKEN]: [`Bearer ${TOKEN}`] }, extra: { message: `Bearer ${TOKEN} is bad` }, request_id: 'x' }),
      html(403, page(`authorization: Bearer ${TOKEN}`)),
      json(429, { error: TOKEN }),
      json(422, { errors: parts.map((part) => `${'-'.repeat(280)}${part}`) }),
      html(500, `<p>${'x'.repeat(270)} ${TOKEN}</p>`),
      json(200, TOKEN),
      json(200, writtenAnswer({ quantity: TOKEN })),
      json(302, '', { location: `/?token=${TOKEN}` }),
      json(422, { error: 'no' }, { 'x-request-id': parts[2] ?? '' }),
      json(500, { error: 'no', request_id: TOKEN }),
      json(200, { ...writtenAnswer(), warnings: { properties: { [TOKEN]: [`Bearer ${TOKEN}`] } } }),
    ];
    for (const answer of echoes) {
      const { outcome, client } = await write(answer);
      said.push(outcome, client.seen);
    }
    const raw = await writeRaw((socket) => void socket.end(`HTTP/1.1 ${TOKEN}\r\n\r\n`));
    said.push(raw.outcome, raw.client.seen);
    const text = JSON.stringify(said);
    expect(said).toHaveLength(2 * echoes.length + 2);
    for (const part of [TOKEN, ...parts, ...parts.map((each) => each.slice(0, 12))]) expect(text).not.toContain(part);
    expect(text).toContain('[token]');
  });
});

test('each call is observed once, with what came of it', async () => {
  const server = keep(await httpServer((request, response) => json(request.method === 'GET' ? 200 : 422, request.method === 'GET' ? [exported()] : envelope)(response)));
  const client = keep(clientOf(server.url));
  await client.readProduct(caller, 101, 77);
  await client.updateProduct(caller, 101, { quantity: 3 });
  await client.info({ ...caller, signal: AbortSignal.abort() });
  expect(client.seen).toEqual([
    { endpoint: 'export_filtered', outcome: 'applied', reason: '', status: 200, durationMs: expect.any(Number) as number },
    { endpoint: 'product_update', outcome: 'refused', reason: 'validation', status: 422, durationMs: expect.any(Number) as number },
    { endpoint: 'info', outcome: 'throttled', reason: 'aborted', status: null, durationMs: 0 },
  ]);
});
