import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createRegistry } from '../../../src/platform/kafka/index.ts';

/**
 * Protects: "the registry has no such schema" (the record's fault, dead-lettered) is never confused with "the registry is not
 * there, or is not a registry" (nobody's fault, waited out): one wrong base URL must not dead-letter a whole topic.
 */
let server: Server | undefined;
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
});

async function serve(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const started = createServer(handler);
  server = started;
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(started.address() as AddressInfo).port}/base`;
}
const answer = (status: number, body: string) => (_request: IncomingMessage, response: ServerResponse) => void response.writeHead(status).end(body);
const open = (url: string, auth: { username?: string; password?: string } = {}) => createRegistry({ url, username: auth.username, password: auth.password }, { timeoutMs: 300 });

const schema = JSON.stringify({ type: 'record', name: 'R', namespace: 'brx.test', fields: [] });

describe('a schema id', () => {
  test('that exists is given with its full name, asked for once, also by many at a time', async () => {
    let asked = 0;
    const registry = open(await serve((request, response) => {
      asked += 1;
      expect(request.url).toBe('/base/schemas/ids/7');
      response.end(JSON.stringify({ schema }));
    }));
    const answers = await Promise.all(Array.from({ length: 20 }, () => registry.schemaOf(7)));
    expect(answers[0]).toMatchObject({ kind: 'avro', fullName: 'brx.test.R' });
    await registry.schemaOf(7);
    expect(asked).toBe(1);
  });

  test('that does not exist is undefined', async () => {
    const registry = open(await serve(answer(404, '{"error_code":40403,"message":"Schema 7 not found."}')));
    expect(await registry.schemaOf(7)).toBeUndefined();
  });

  test('that no registry gives out is undefined without asking', async () => {
    expect(await open('http://127.0.0.1:1').schemaOf(-5)).toBeUndefined();
  });

  test.each<[string, string, object]>([
    ['JSON schema', '{"schemaType":"JSON","schema":"{}"}', { kind: 'foreign', description: 'a JSON schema' }],
    ['Avro without a name', '{"schema":"\\"string\\""}', { kind: 'foreign', description: 'an Avro schema that is no named record' }],
    ['a name with its namespace in it', '{"schema":"{\\"name\\":\\"a.b.C\\"}"}', { kind: 'avro', fullName: 'a.b.C' }],
  ])('of %s', async (_what, body, expected) => {
    expect(await open(await serve(answer(200, body))).schemaOf(7)).toMatchObject(expected);
  });
});

describe('is unavailable, to be waited out, when', () => {
  test.each<[string, (request: IncomingMessage, response: ServerResponse) => void, RegExp]>([
    ['a wrong base URL answers 404', answer(404, '<html>Not found</html>'), /answered GET \/schemas\/ids\/7 with status 404/],
    ['a web framework answers 404 in JSON', answer(404, '{"status":404}'), /status 404/],
    ['it answers 500', answer(500, '{"message":"database is gone"}'), /status 500: database is gone/],
    ['it wants a password', answer(401, ''), /status 401/],
    ['a proxy says hello with 200', answer(200, '<html>hello</html>'), /status 200/],
    ['it does not answer', () => undefined, /no answer within 0.3 s/],
    ['it hangs up', (request) => void request.socket.destroy(), /does not answer/],
  ])('%s', async (_what, handler, message) => {
    await expect(open(await serve(handler)).schemaOf(7)).rejects.toMatchObject({ code: 'BRX_REGISTRY_UNAVAILABLE', retryable: true, message: expect.stringMatching(message) as string });
  });

  test('nobody listens', async () => {
    await expect(open('http://127.0.0.1:1/base').schemaOf(7)).rejects.toMatchObject({ code: 'BRX_REGISTRY_UNAVAILABLE' });
  });

  test('and the next call asks again', async () => {
    let away = true;
    const registry = open(await serve((_request, response) => void (away ? response.writeHead(503).end() : response.end(JSON.stringify({ schema })))));
    await expect(registry.schemaOf(7)).rejects.toMatchObject({ retryable: true });
    away = false;
    expect(await registry.schemaOf(7)).toMatchObject({ fullName: 'brx.test.R' });
  });
});

test.each(['variables', 'URL'])('user name and password from the %s are sent, and are in no message', async (where) => {
  let authorization: string | undefined;
  const url = await serve((request, response) => {
    ({ authorization } = request.headers);
    response.writeHead(500).end();
  });
  const registry = where === 'URL' ? open(url.replace('//', '//me:s%20cret@')) : open(url, { username: 'me', password: 's cret' });
  const error = await registry.schemaOf(7).catch((thrown: unknown) => thrown as Error);
  expect(authorization).toBe(`Basic ${Buffer.from('me:s cret').toString('base64')}`);
  expect(String((error as Error).message)).not.toMatch(/cret/);
});
