import rateLimit from '@fastify/rate-limit';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { HttpConfig } from '../config.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import { ACCESS, createGate, type Access } from './access.ts';
import { Problem, toProblem } from './problems.ts';
import type { Answer, Route } from './route.ts';
import { Bodies } from './webhooks.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    readonly access?: Access;
    readonly isLimited?: boolean;
  }
  interface FastifyRequest {
    isTrusted: boolean;
  }
}

export interface AppParts {
  readonly config: HttpConfig;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'httpSeconds'>;
  readonly routes: readonly Route[];
  /** Of routes that take bytes. */
  readonly bodies?: Bodies;
}

/** A request is headers and a few lines, but for webhooks, small and quick. */
const MAX_HEADER_BYTES = 8_192;
const MAX_BODY_BYTES = 16_384;
const REQUEST_TIMEOUT_MS = 5_000;
const RATE_WINDOW_MS = 10_000;
const JSON_TYPE = 'application/json; charset=utf-8';

/**
 * Fastify with these routes and nothing of its own: who may ask, how often and how much is decided before a body is read; every answer that is no
 * success is a problem. A route that does not say who may use it ends the start.
 */
export async function createApp({ config, logger, metrics, routes, bodies = new Bodies() }: AppParts): Promise<FastifyInstance> {
  const failed = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const problem = toProblem(error);
    if (problem.status >= 500) logger.error({ err: problem.cause ?? error, path: request.routeOptions.url }, 'an answer over HTTP failed');
    return reply.code(problem.status).headers(problem.headers).type('application/problem+json; charset=utf-8').send(`${JSON.stringify(problem.body())}\n`);
  };
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: REQUEST_TIMEOUT_MS,
    http: { maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: REQUEST_TIMEOUT_MS },
    requestIdHeader: false,
    forceCloseConnections: 'idle',
    frameworkErrors: (error, request, reply) => void failed(error, request as FastifyRequest, reply as FastifyReply),
    clientErrorHandler(error, socket) {
      logger.debug({ problem: messageOf(error) }, 'an HTTP request could not be read');
      const status = { HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large', ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout' }[error.code] ?? '400 Bad Request';
      if (socket.writable) socket.write(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      socket.destroy(error);
    },
  });
  app.decorateRequest('isTrusted', false);
  app.addHook('onRoute', ({ config: route, url }) => {
    if (route?.access === undefined || !ACCESS.includes(route.access)) throw new TypeError(`the route ${url} does not say who may use it`);
  });
  app.removeContentTypeParser('text/plain');
  await app.register(rateLimit, { global: false });
  const overLimit = app.createRateLimit({ max: config.rateLimit, timeWindow: RATE_WINDOW_MS });
  const mayUse = createGate(config);

  app.addHook('onRequest', async (request, reply) => {
    const { access, isLimited } = request.routeOptions.config;
    if (request.is404) throw noRoute(routes, request);
    if (isLimited === true) {
      const used = await overLimit(request);
      if (!used.isAllowed && used.isExceeded) throw new Problem('too_many_requests', `more than ${config.rateLimit} requests in ${RATE_WINDOW_MS / 1_000} s`, { remedy: 'wait as long as the header Retry-After says', headers: { 'retry-after': String(used.ttlInSeconds) } });
    }
    const { authorization, host } = request.headers;
    request.isTrusted = mayUse(access ?? 'write', { authorization, host });
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  });
  // An upload nobody reads ends with its connection.
  app.addHook('onSend', async (request, reply) => void (hasBody(request) && !request.raw.complete && reply.header('connection', 'close')));
  app.addHook('onResponse', async (request, reply) => {
    metrics.httpSeconds.observe({ route: request.is404 ? 'none' : (request.routeOptions.url ?? 'none'), status: `${Math.floor(reply.statusCode / 100)}xx` }, reply.elapsedTime / 1_000);
  });
  app.setErrorHandler(failed);
  app.setNotFoundHandler((request, reply) => failed(noRoute(routes, request), request, reply));
  for (const route of routes) await app.register(async (scope) => addRoute(scope, route, bodies));
  return app;
}

async function addRoute(scope: FastifyInstance, route: Route, bodies: Bodies): Promise<void> {
  if (route.bytes !== undefined) {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (request: FastifyRequest) => bodies.read(request.raw));
  }
  scope.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    config: { access: route.access, isLimited: route.isLimited },
    handler: async ({ params, query, body, isTrusted, headers: { signature, 'if-none-match': known } }, reply) => {
      const answering = route.handle({ params, query, body, isTrusted, signature: typeof signature === 'string' ? signature : undefined });
      return send(reply, await answering.finally(() => bodies.give(body)), known);
    },
  });
}

/** As it stands: what fastify's own serializer would leave out of it is no business of a serializer. */
function send(reply: FastifyReply, { status = 200, body, type, headers = {} }: Answer, known: string | undefined): FastifyReply {
  reply.headers(headers);
  if (known !== undefined && known === headers['etag']) return reply.code(304).send();
  return reply.code(status).type(type ?? JSON_TYPE).send(type === undefined ? `${JSON.stringify(body)}\n` : body);
}

const hasBody = ({ headers }: FastifyRequest): boolean => headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** Another method on a path there is, or a path there is not. */
function noRoute(routes: readonly Route[], request: FastifyRequest): Problem {
  const path = request.url.split('?', 1)[0] ?? '/';
  const methods = routes.filter((route) => new RegExp(`^${route.path.replaceAll(/[.]/g, '\\$&').replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path)).map(({ method }) => method);
  if (methods.length === 0) return new Problem('unknown_route', 'there is nothing at this path', { remedy: 'GET /openapi.json lists the routes' });
  const allowed = [...new Set(methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])))].join(', ');
  return new Problem('method_not_allowed', `only ${allowed}`, { headers: { allow: allowed } });
}
