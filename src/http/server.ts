import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { HttpConfig } from '../config.ts';
import { BrxError, messageOf } from '../errors.ts';
import { systemClock, type Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { Service } from '../platform/service.ts';
import type { HealthReport, HealthSource } from './health.ts';

export interface HttpServer extends Service {
  /** Where it listens, once started: the real port when 0 was asked for. */
  readonly url: string;
}

export interface HttpServerParts {
  config: HttpConfig;
  logger: Logger;
  health: HealthSource;
  metrics: Pick<Metrics, 'render' | 'contentType'>;
  clock?: Clock;
}

interface Answer {
  status: number;
  body: string;
  type?: string;
  headers?: Record<string, string>;
}
type Route = (query: URLSearchParams, trusted: boolean) => Answer | Promise<Answer>;

/** A request is headers only, small and quick; there is nothing to upload here. */
const MAX_HEADER_BYTES = 8_192;
const MAX_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 5_000;
/** Below what probes usually wait for, so that the answer is ours and says why. */
const READY_TIMEOUT_MS = 2_000;
const STOP_TIMEOUT_MS = 1_000;

/** Health and metrics over plain HTTP. `start` throws BRX_CONFIG when it cannot listen there. */
export function createHttpServer({ config, logger, health, metrics, clock = systemClock }: HttpServerParts): HttpServer {
  const trusts = tokenCheck(config.token);
  const routes: Readonly<Record<string, Route>> = {
    '/health/live': (query, trusted) => healthAnswer(health.live(), trusted, query.has('verbose')),
    '/health/ready': async (query, trusted) => healthAnswer(await withDeadline(health.ready(), clock), trusted, query.has('verbose')),
    '/metrics': async (_query, trusted) => (trusted ? { status: 200, body: await metrics.render(), type: metrics.contentType } : unauthorized()),
  };
  let server: Server | undefined;
  let url = '';

  const handle = async (request: IncomingMessage): Promise<Answer> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined;
    if (route === undefined) return json(404, { error: `there is no ${pathname}`, routes: Object.keys(routes) });
    if (request.method !== 'GET' && request.method !== 'HEAD') return { ...json(405, { error: 'only GET and HEAD' }), headers: { allow: 'GET, HEAD' } };
    try {
      return await route(searchParams, trusts(request));
    } catch (error) {
      logger.error({ err: error, path: pathname }, 'an answer over HTTP failed');
      return json(500, { error: 'could not be answered; the log says why' });
    }
  };

  return {
    name: 'http',
    get url() {
      return url;
    },
    async start() {
      const created = createServer({ maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
        handle(request)
          .then((answer) => send(request, response, answer))
          .catch((error: unknown) => {
            logger.warn({ problem: messageOf(error) }, 'an HTTP request could not be read');
            send(request, response, json(400, { error: 'not a request' }));
          });
      });
      created.maxConnections = MAX_CONNECTIONS;
      await listen(created, config);
      const address = created.address();
      const port = typeof address === 'object' && address !== null ? address.port : config.port;
      url = `http://${config.host.includes(':') ? `[${config.host.replaceAll(/[[\]]/g, '')}]` : config.host}:${port}`;
      server = created;
      logger.info({ url, routes: Object.keys(routes) }, 'health and metrics are served');
    },
    async stop() {
      const closing = server;
      if (closing === undefined) return;
      server = undefined;
      const done = new AbortController();
      const closed = new Promise<void>((resolve) => closing.close(() => resolve()));
      closing.closeIdleConnections();
      const late = clock.sleep(STOP_TIMEOUT_MS, done.signal).then(
        () => closing.closeAllConnections(),
        () => undefined, // closed in time
      );
      await closed;
      done.abort();
      await late;
    },
  };
}

function healthAnswer({ ok, checks }: HealthReport, trusted: boolean, verbose: boolean): Answer {
  const shown = verbose ? checks : checks.filter((check) => !check.ok);
  return json(ok ? 200 : 503, { status: ok ? 'ok' : 'failing', ...(trusted && { checks: shown }) });
}

async function withDeadline(answer: Promise<HealthReport>, clock: Clock): Promise<HealthReport> {
  const done = new AbortController();
  const late = clock.sleep(READY_TIMEOUT_MS, done.signal).then(
    (): HealthReport => ({ ok: false, checks: [{ name: 'ready', ok: false, detail: `the checks did not answer within ${READY_TIMEOUT_MS / 1_000} s` }] }),
    () => answer, // the answer came first
  );
  try {
    return await Promise.race([answer, late]);
  } finally {
    done.abort(new Error('answered'));
  }
}

/** Does the request carry the token? Compared in constant time; without a token (loopback only) everyone is trusted. */
function tokenCheck(token: string | undefined): (request: IncomingMessage) => boolean {
  if (token === undefined) return () => true;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return (request) => timingSafeEqual(digest(request.headers.authorization ?? ''), expected);
}

const unauthorized = (): Answer => ({ ...json(401, { error: 'needs the header Authorization: Bearer with BRX_HTTP_TOKEN' }), headers: { 'www-authenticate': 'Bearer' } });
const json = (status: number, body: unknown): Answer => ({ status, body: `${JSON.stringify(body)}\n` });

function send(request: IncomingMessage, response: ServerResponse, { status, body, type = 'application/json; charset=utf-8', headers = {} }: Answer): void {
  const hasBody = request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
    ...(hasBody && { connection: 'close' }), // an upload nobody reads ends with its connection
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function listen(server: Server, { host, port }: HttpConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    server.listen({ host: host.replaceAll(/[[\]]/g, ''), port }, resolve);
  });
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  switch (error.code ?? '') {
    case 'EADDRINUSE':
      return new BrxError('BRX_CONFIG', `port ${port} of ${host} is taken by another program`, { cause: error, remedy: 'set BRX_HTTP_PORT (or --port) to a free port, 0 picks one; or stop what listens there' });
    case 'EACCES':
      return new BrxError('BRX_CONFIG', `this user may not listen on port ${port}`, { cause: error, remedy: 'set BRX_HTTP_PORT to a port above 1023' });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new BrxError('BRX_CONFIG', `${host} is not an address of this machine`, { cause: error, remedy: 'set BRX_HTTP_HOST to one, for example 127.0.0.1' });
    default:
      return error;
  }
}
