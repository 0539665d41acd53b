import type { FastifyInstance } from 'fastify';
import type { HttpConfig } from '../config.ts';
import { BrxError } from '../errors.ts';
import { systemClock, type Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { Service } from '../platform/service.ts';
import { createApp } from './app.ts';
import type { HealthSource } from './health.ts';
import type { Route } from './route.ts';
import { healthRoutes } from './routes/health.ts';
import { webhookRoute } from './routes/webhooks.ts';
import type { WebhookHandler } from './webhooks.ts';

export interface HttpServer extends Service {
  /** Where it listens, once started: the real port when 0 was asked for. */
  readonly url: string;
}

export interface HttpServerParts {
  config: HttpConfig;
  logger: Logger;
  health: HealthSource;
  metrics: Pick<Metrics, 'render' | 'contentType' | 'httpSeconds'>;
  /** Takes CardTrader's webhooks; they prove themselves by their signature and need no token. */
  webhooks?: WebhookHandler;
  /** The API. */
  routes?: readonly Route[];
  clock?: Clock;
}

/** CardTrader may call for a thousand sellers at once, as at the week's end. */
const MAX_CONNECTIONS = 1_024;
const STOP_TIMEOUT_MS = 1_000;

/** Health, metrics, webhooks and the API on one port. `start` throws BRX_CONFIG when it cannot listen there. */
export function createHttpServer({ config, logger, health, metrics, webhooks, routes = [], clock = systemClock }: HttpServerParts): HttpServer {
  const all = [...healthRoutes(health, metrics, clock), ...(webhooks === undefined ? [] : [webhookRoute(webhooks)]), ...routes];
  let server: FastifyInstance | undefined;
  let url = '';

  return {
    name: 'http',
    get url() {
      return url;
    },
    async start() {
      const app = await createApp({ config, logger, metrics, routes: all });
      await listen(app, config);
      app.server.maxConnections = MAX_CONNECTIONS;
      const address = app.server.address();
      const port = typeof address === 'object' && address !== null ? address.port : config.port;
      url = `http://${config.host.includes(':') ? `[${config.host.replaceAll(/[[\]]/g, '')}]` : config.host}:${port}`;
      server = app;
      logger.info({ url, routes: all.map(({ path }) => path) }, 'health and metrics are served');
    },
    async stop() {
      const closing = server;
      if (closing === undefined) return;
      server = undefined;
      const done = new AbortController();
      const late = clock.sleep(STOP_TIMEOUT_MS, done.signal).then(
        () => closing.server.closeAllConnections(),
        () => undefined, // closed in time
      );
      await closing.close();
      done.abort(new Error('closed'));
      await late;
    },
  };
}

async function listen(app: FastifyInstance, { host, port }: HttpConfig): Promise<void> {
  try {
    await app.listen({ host: host.replaceAll(/[[\]]/g, ''), port });
  } catch (error) {
    throw listenError(error as NodeJS.ErrnoException, host, port);
  }
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
