import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { BrxError } from '../errors.ts';
import { failure, notFound, throttled, unauthorized, type Answer } from './answers.ts';
import { carryOut } from './exchange.ts';
import { operationOf } from './ledger.ts';
import type { Seller } from './model.ts';
import type { RequestRecord } from './requests.ts';
import type { Call, Route } from './routes/call.ts';
import { BASE_PATH, findRoute } from './routes/table.ts';
import { cut, send } from './wire.ts';
import type { World } from './world.ts';

/** Answers a request of the control side; undefined: there is no such route. */
export type ControlHandler = (method: string, url: URL, body: unknown) => Promise<Answer | undefined>;
export const CONTROL_PATH = '/_simulator';

const MAX_BODY_BYTES = 8 * 1_048_576;
/** Longer than any client of ours keeps a connection it does not use: an idle close would race with its next request. */
const KEEP_ALIVE_MS = 120_000;

export interface HttpParts {
  /** The world of now: a reset puts another one in its place. */
  readonly world: () => World;
  readonly control: ControlHandler;
  readonly latencyMs: number;
}

export function createHttp(parts: HttpParts): Server {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    response.on('error', () => undefined); // the client went away: what was to be applied is, the rest is its loss
    handle(parts, request, response).catch((error: unknown) => {
      parts.world().background.fail(error);
      cut(response);
    });
  });
  return server;
}

/** 127.0.0.1 and nothing else. Resolves to the port. Throws BRX_USAGE when it is taken. */
export function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new BrxError('BRX_USAGE', `the simulator cannot listen on 127.0.0.1:${port}`, { cause: error, remedy: 'take another port; 0 picks a free one' })));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

async function handle(parts: HttpParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const world = parts.world();
  const { method = 'GET', url: target = '/' } = request;
  const [path = '/', search = ''] = target.split('?', 2);
  if (path === CONTROL_PATH || path.startsWith(`${CONTROL_PATH}/`)) return handleControl(parts, request, response);

  // The limit and the token are looked at as the headers arrive, in the order of arrival.
  const now = world.clock.now();
  const below = path.startsWith(BASE_PATH) ? path.slice(BASE_PATH.length) : undefined;
  const found = below === undefined ? undefined : findRoute(method, below);
  const seller = sellerOf(world, request);
  const record = world.requests.arrived({ at: now, sellerId: seller?.id ?? null, method, path: target, bucket: found?.route.bucket ?? 'all' });
  const requestId = world.random.uuidV4();
  const refused = refusal(world, { found, seller, ip: request.socket.remoteAddress ?? '', now, requestId });
  // Also the body of a request that is refused is read: the connection goes on.
  const body = await readBody(request);
  if (body === GONE) return;
  if (refused !== undefined || found === undefined || seller === undefined || below === undefined) {
    const answer = refused ?? notFound('Resource', requestId);
    if (parts.latencyMs > 0) await world.clock.sleep(parts.latencyMs, world.background.signal);
    if (send(response, answer)) world.requests.answered(record, answer.status);
    return;
  }
  const operationId = operationOf(request.headers['x-request-id']);
  const call: Call = { world, seller, requestId, query: new URLSearchParams(search), body, id: found.id, uuid: found.uuid, writer: { seller, source: 'api', operationId, effects: [] } };
  world.background.run(async () => {
    try {
      await serve(parts, { call, route: found.route, response, record, method, path: below });
    } catch (error) {
      cut(response);
      throw error;
    }
  });
}

interface Served {
  readonly call: Call;
  readonly route: Route;
  readonly response: ServerResponse;
  readonly record: RequestRecord;
  readonly method: string;
  readonly path: string;
}

/** Half of the latency lies before the effect, half behind it. What was received is carried out also if the client goes away. */
async function serve({ latencyMs }: HttpParts, { call, route, response, record, method, path }: Served): Promise<void> {
  const { world, seller, query } = call;
  const pause = latencyMs > 0 ? () => world.clock.sleep(latencyMs / 2, world.background.signal) : undefined;
  await pause?.();
  const fault = world.faults.choose({
    sellerId: seller.id,
    method,
    path,
    operationId: call.writer.operationId,
    isWrite: route.writes,
    isExport: route.exports === true,
    productId: path.startsWith('/products/') && call.id > 0 ? call.id : undefined,
    covers: (productId) => (route.exports === true ? exports(world, seller, query, productId) : path.startsWith('/products/') && call.id === productId),
  });
  return carryOut({ call, route, response, record, pause }, fault);
}

/** Whether an export with these filters covers a product. */
function exports(world: World, seller: Seller, query: URLSearchParams, productId: number): boolean {
  const product = world.store.productOf(seller.id, productId);
  const [blueprint, expansion] = [query.get('blueprint_id'), query.get('expansion_id')];
  return product !== undefined && (blueprint === null || Number(blueprint) === product.blueprint.id) && (expansion === null || Number(expansion) === product.blueprint.expansion_id);
}

function refusal(world: World, { found, seller, ip, now, requestId }: { found: { route: Route } | undefined; seller: Seller | undefined; ip: string; now: number; requestId: string }): Answer | undefined {
  if (seller === undefined) return unauthorized(requestId);
  const over = world.limiter.admit(seller.id, ip, found?.route.bucket ?? 'all', now);
  if (over !== undefined) return throttled(over.text, world.guesses.retryAfter ? Math.ceil(over.freeInMs / 1_000) : undefined);
  return found === undefined ? failure(404, 'not_found', 'Resource not found', requestId) : undefined;
}

function sellerOf(world: World, request: IncomingMessage): Seller | undefined {
  const header = request.headers.authorization ?? '';
  return header.startsWith('Bearer ') ? world.store.byToken(header.slice(7)) : undefined;
}

async function handleControl({ control }: HttpParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  if (body === GONE) return;
  // A page in somebody's browser must not be able to reach it: browsers say where a request comes from.
  const answer = request.headers.origin === undefined ? await control(request.method ?? 'GET', new URL(request.url ?? '/', 'http://127.0.0.1'), body) : undefined;
  send(response, answer ?? failure(404, 'not_found', 'there is no such control', ''));
}

const GONE = Symbol('the client went away before its request was complete');

/** Parsed JSON, or undefined: what cannot be read has no parameters. A body that is too large ends the connection. */
function readBody(request: IncomingMessage): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) request.destroy();
      else chunks.push(chunk);
    });
    request.on('end', () => resolve(parse(Buffer.concat(chunks).toString())));
    request.on('close', () => resolve(GONE)); // after an end this says nothing
    request.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? resolve(GONE) : reject(error)));
  });
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
