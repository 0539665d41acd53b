import { afterAll, afterEach, expect, test } from 'vitest';
import type { List, RemoteProduct } from '../../../src/marketplace/client/index.ts';
import { caller, clientOf, exported } from '../../support/marketplace.ts';
import { httpServer, type TestServer } from '../../support/rude-server.ts';
import { until } from '../../support/wait.ts';

/** Protects: a whole stock is read as it comes, never faster than it is taken, and nothing but a whole list of products counts. */
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});
afterAll(() => expect(open).toEqual([]));

async function serve(answer: Parameters<typeof httpServer>[0]): Promise<{ server: TestServer; client: ReturnType<typeof clientOf> }> {
  const server = await httpServer(answer);
  const client = clientOf(server.url, { exportTimeoutMs: 20_000 });
  open.push(server, client);
  return { server, client };
}

const product = (id: number): string => JSON.stringify(exported({ id, description: 'x'.repeat(300) }));
const nothing = (): undefined => undefined;

test('products and what could not be read come in their order, and the outcome counts both', async () => {
  const { client } = await serve((_request, response) => void response.end(`[${product(1)},{"id":2},${product(3)}]`));
  const seen: List<RemoteProduct>[] = [];
  const outcome = await client.streamProducts(caller, (part) => void seen.push(part));
  expect(outcome).toMatchObject({ outcome: 'applied', body: { products: 3 } });
  expect(seen.flatMap(({ items }) => items.map(({ id }) => id))).toEqual([1, 3]);
  expect(seen.flatMap(({ unread }) => unread)).toMatchObject([{ index: 1, id: 2 }]);
  expect(client.seen).toMatchObject([{ endpoint: 'export', outcome: 'applied' }]);
});

test('while what was visited is at work nothing more is read: the server waits, and memory holds a part', async () => {
  const PRODUCTS = 60_000; // 40 MB, far more than all buffers on the way
  let written = 0;
  const { client } = await serve((_request, response) => {
    const go = (): void => {
      for (; written < PRODUCTS; written += 1) {
        if (!response.write(`${written === 0 ? '[' : ','}${product(written + 1)}`)) {
          written += 1;
          return void response.once('drain', go);
        }
      }
      response.end(']');
    };
    go();
  });
  let release: (() => void) | undefined;
  let visited = 0;
  const reading = client.streamProducts(caller, ({ items }) => {
    visited += items.length;
    return release === undefined ? new Promise((resolve) => (release = resolve)) : undefined;
  });
  await until('the first part', () => release !== undefined);
  let [last, still] = [-1, 0];
  await until('the server to wait', () => ([last, still] = [written, written === last ? still + 1 : 0])[1] === 20); // it has filled the buffers on the way, and gets no further
  expect(written).toBeLessThan(PRODUCTS / 2);
  release?.();
  expect(await reading).toMatchObject({ outcome: 'applied', body: { products: PRODUCTS } });
  expect(visited).toBe(PRODUCTS);
});

test.each([
  ['cut off in the middle, and still a good answer', `[${product(1)},${product(2).slice(0, 50)}`, 'is cut off'],
  ['an object', '{"error":"Data is not ready"}', 'neither a list'],
  ['empty', '', 'is empty'],
  ['a page', '<html></html>', 'neither a list'],
])('%s: unknown, unreadable', async (_name, body, problem) => {
  const { client } = await serve((_request, response) => void response.end(body));
  expect(await client.streamProducts(caller, nothing)).toMatchObject({ outcome: 'unknown', reason: 'unreadable', message: expect.stringContaining(problem) as string });
});

test('the connection breaks in the middle: unknown', async () => {
  const { client } = await serve((_request, response) => {
    response.write(`[${product(1)},`);
    response.socket?.destroy();
  });
  expect(await client.streamProducts(caller, nothing)).toMatchObject({ outcome: 'unknown', reason: 'reset' });
});

test('an error’s body is read for its words, and visited by nobody', async () => {
  const { client } = await serve((_request, response) => {
    response.statusCode = 401;
    response.end(JSON.stringify({ error_code: 'unauthorized', errors: [], extra: { message: 'bad token' }, request_id: 'r' }));
  });
  let visits = 0;
  expect(await client.streamProducts(caller, () => void (visits += 1))).toMatchObject({ outcome: 'refused', reason: 'token_rejected', message: 'bad token' });
  expect(visits).toBe(0);
});

test.each([
  ['at once', () => { throw new Error('no room'); }],
  ['later', () => Promise.reject(new Error('no room'))],
] as const)('what the visitor throws (%s) is thrown, and the connection is let go', async (_name, visit) => {
  const { client } = await serve((_request, response) => void response.end(`[${product(1)}]`));
  await expect(client.streamProducts(caller, visit)).rejects.toThrow('no room');
  await until('no connection in use', () => client.state().used === 0);
});
