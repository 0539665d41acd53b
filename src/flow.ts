import { bulkSyncMetrics, createBulkSync, createSnapshots, snapshotMetrics, watchBulkSync } from './bulk-sync/index.ts';
import { openCatalogue, type OpenCatalogue } from './catalogue/index.ts';
import type { Config, Role } from './config.ts';
import type { BrxError } from './errors.ts';
import { apiRoutes, consoleRoutes, createHttpServer, report, type ApiDeps, type Route, type SelfDeps } from './http/index.ts';
import { countParked, createIngest, ingestMetrics, MARKETPLACE_RECORDS } from './ingest/index.ts';
import { createRetention } from './inventory/index.ts';
import { accessMetrics, createDispatcher, dispatcherMetrics, openAccess, openLimiter, watchAccess, watchMarketplace, type Access } from './marketplace/index.ts';
import { consumedTopics } from './operations/groups/index.ts';
import { assertMigrated } from './operations/migrate/index.ts';
import { createGroupMemory } from './operations/replay/index.ts';
import { createOrders, createWebhookReceiver, ordersMetrics, watchOrders, webhookMetrics } from './orders/index.ts';
import { createOutboxLimit, Relay, RELAY_SESSION, relayMetrics, watchOutbox } from './outbox/index.ts';
import type { Clock } from './platform/clock.ts';
import { checkAnswers, watchConsumers, type ConsumerRole, type GroupMemory } from './platform/consumer/index.ts';
import { COMMAND_RETRIES, createCodec, createKafka, createProducer, createRegistry, type Codec, type Kafka, type Registry } from './platform/kafka/index.ts';
import { silentLogger, type Logger } from './platform/log.ts';
import { createMetrics, type Metrics } from './platform/metrics.ts';
import { createPostgres, createReaders, openSession, readerMetrics, watchPostgres, watchReaders, type Postgres } from './platform/postgres/index.ts';
import { watchRedis } from './platform/redis/index.ts';
import { createKeyring } from './platform/secrets/index.ts';
import type { Service } from './platform/service.ts';
import { NO_TRACING, SPAN_OUTCOMES, type Tracer, type Tracing } from './platform/tracing/index.ts';
import { createPurchaseContext, createSagaRole, operateSaga, sagaMetrics, watchSagas, type PurchaseContext } from './purchase/index.ts';
import { Decoder, pruneDeadLetters } from './records/index.ts';

/**
 * THE MAP. An event's way, in data order, and the only file that knows every feature:
 *
 *   producers ──► brx.marketplace-events ──► ingest ──► PostgreSQL: items, ledger, holds, sagas, parked events, dead letters, outbox
 *                     (key = user_id)       decode, lock lanes,                       ▲                                        │
 *                                           fold, write, commit                       │                                      relay
 *                                                                                   saga ◄── brx.saga-events ◄─────────────────┤
 *                                                                        look, decide, write, commit                           │
 *                                                                                     │   brx.purchase-outcomes, <topic>.dlq ◄─┘
 *                                                                                 operations ──► dispatcher ──► CardTrader
 *                                                                                                 results ──► outbox
 *   CardTrader ──► webhook, poll ──► orders ──► outbox ──► brx.marketplace-events: what was sold there takes its place in the user's order
 *   CardTrader ──► export ──► bulk sync ──► outbox ──► brx.inventory-snapshots ──► snapshots: chunk by chunk into items, listings, findings
 *
 * Follow it: contract/ (what a record is) → platform/consumer → ingest/handle → records/decode → ingest/apply → ingest/chunk →
 * inventory/fold, purchase/fold → purchase/store → back in platform/consumer for the offset; outbox/relay → Kafka → purchase/handle →
 * purchase/advance → purchase/decide → purchase/store → marketplace/dispatcher/dispatcher → session → carry-out → client → store → outbox/relay.
 */
export interface Flow {
  /** In the order they are started; stopped in reverse. */
  readonly services: readonly Service[];
  /** Not ready from now on: told before the stop begins, so that whoever routes work here looks elsewhere. */
  draining(): void;
  /** Closes what the services shared, after they have stopped. */
  close(): Promise<void>;
}

export interface FlowOptions {
  readonly roles: readonly Role[];
  readonly logger: Logger;
  readonly clock: Clock;
  readonly onFatal: (error: BrxError) => void;
  /** Where spans go; nowhere by default. Whoever opened it closes it, after the flow. */
  readonly tracing?: Tracing;
}

/** What the roles of a process share. */
interface Shared extends FlowOptions {
  readonly config: Config;
  readonly metrics: Metrics;
  readonly postgres: Postgres;
  readonly kafka: Kafka;
  readonly codec: Codec;
  readonly purchase: PurchaseContext;
  readonly memory: GroupMemory;
  readonly tracer: Tracer;
  readonly wakeRelay: () => void;
  readonly wakeDispatcher: () => void;
}

export function buildFlow(config: Config, options: FlowOptions): Flow {
  const { clock, logger, roles, tracing = NO_TRACING } = options;
  const metrics = createMetrics();
  watchTracing(metrics, tracing);
  const poolWait = metrics.poolWaitSeconds.labels({ pool: 'postgres' });
  const postgres = createPostgres(config.postgres, { logger, clock, applicationName: config.kafka.clientId, keyLookupsOnly: true, onPoolWait: (ms) => poolWait.observe(ms / 1_000) });
  watchPostgres(metrics, postgres, logger);
  const registry = createRegistry(config.registry);

  // Rows of the outbox → Kafka. First, because everything else has something to say through it.
  const relay = roles.includes('relay') ? buildRelay(config, options, metrics) : undefined;
  const shared: Shared = {
    ...options,
    config,
    metrics,
    postgres,
    kafka: createKafka(config.kafka, logger),
    codec: createCodec(registry),
    purchase: createPurchaseContext(registry, { topicPrefix: config.kafka.topicPrefix, holdMs: config.purchase.holdMs }),
    memory: createGroupMemory({ postgres, logger }),
    tracer: tracing.tracer,
    wakeRelay: () => relay?.wake(),
    wakeDispatcher: () => dispatcher?.service.wake(),
  };
  // Operations → CardTrader → their results
  const dispatcher = roles.includes('dispatcher') ? buildDispatcher(shared, registry) : undefined;
  // By every process, whatever its roles: that a role runs nowhere is seen by those who do something else.
  for (const { topic, group, partitions } of consumedTopics(config)) metrics.topicPartitions.set({ topic, group }, partitions);
  watchMarketplace(metrics, postgres, logger);
  watchOutbox(metrics, postgres, logger);
  watchSagas(metrics, postgres, logger);
  watchOrders(metrics, postgres, { logger, pollMs: config.orders.pollMs });
  watchBulkSync(metrics, postgres, logger);

  // Kafka record → committed transaction → committed offset
  const ingest = roles.includes('ingest') ? buildIngest(shared) : undefined;

  // What CardTrader's export said, chunk by chunk → the same
  const catalogue = roles.includes('ingest') && config.mysql.url !== undefined ? openCatalogue(config, { logger, clock, metrics }) : undefined;
  const snapshots = roles.includes('ingest') ? buildSnapshots(shared, registry, catalogue) : undefined;

  // A step of a sale → the next one
  const saga = roles.includes('saga') ? buildSaga(shared) : undefined;

  // What people and probes see of it
  const consumers = [ingest, snapshots, saga].filter((role) => role !== undefined);
  watchConsumers(metrics, consumers);
  let draining = false;
  const self = { clock, roles, consumers, pools: metrics.pools, isWritable: config.http.token !== undefined };
  const api = roles.includes('http') ? buildApi(shared, registry, self, dispatcher?.access) : undefined;
  const http = createHttpServer({
    config: config.http,
    logger,
    metrics,
    clock,
    webhooks: createWebhookReceiver({
      postgres,
      keyring: createKeyring(config.secrets.keys),
      onOutcome: webhookMetrics(metrics),
      onAccepted: () => dispatcher?.orders.wake(),
      onProblem: (error) => logger.warn({ error }, 'a webhook could not be kept'),
    }),
    ...(api !== undefined && { routes: api.routes }),
    health: {
      live: () => report(consumers.length === 0 ? [{ name: 'process', ok: true, detail: 'no role that could stall' }] : consumers.flatMap(({ health }) => health.live())),
      ready: async () =>
        report([{ name: 'not stopping', ok: !draining, detail: draining ? 'stopping' : 'ok' }, ...consumers.flatMap(({ health }) => health.ready()), await checkAnswers('PostgreSQL', () => postgres.ping())]),
    },
  });

  return {
    services: [
      { name: 'migrated', start: () => assertMigrated(postgres.pool), stop: () => Promise.resolve() },
      ...(roles.includes('http') ? [http] : []),
      ...(relay === undefined ? [] : [relay]),
      ...(dispatcher === undefined ? [] : [dispatcher.service, dispatcher.orders, ...dispatcher.bulkSync]),
      ...(saga?.services ?? []),
      ...(snapshots?.services ?? []),
      ...(ingest?.services ?? []),
      ...(roles.includes('ingest') ? [createRetention({ ...options, postgres, horizonMs: config.ingest.horizonMs, pruneMore: (keepSince) => pruneDeadLetters(postgres, keepSince) })] : []),
    ],
    draining: () => {
      draining = true;
    },
    async close() {
      await dispatcher?.access.close();
      await api?.close();
      await catalogue?.close();
      await postgres.close();
    },
  };
}

/** Without an exporter there is nothing to count, and no series says 0 of it. */
function watchTracing(metrics: Metrics, tracing: Tracing): void {
  if (!tracing.tracer.enabled) return;
  for (const outcome of SPAN_OUTCOMES) metrics.traceSpans.inc({ outcome }, 0);
  tracing.observe((outcome, spans) => metrics.traceSpans.inc({ outcome }, spans));
}

/** Nobody waits longer for an answer of the API. */
const API_STATEMENT_MS = 5_000;

/** Few retries of the client's own: the relay waits better, because it looks whether its shards are still its own. */
const RELAY_RETRIES = 4;

function buildRelay(config: Config, { clock, logger, onFatal, tracing = NO_TRACING }: FlowOptions, metrics: Metrics): Relay {
  return new Relay({
    openSession: () => openSession(config.postgres, { ...RELAY_SESSION, logger, applicationName: `${config.kafka.clientId} relay` }),
    producer: createProducer(createKafka(config.kafka, logger, { retries: RELAY_RETRIES })),
    clock,
    observer: relayMetrics(metrics, logger),
    tracer: tracing.tracer,
    onFatal,
  });
}

function buildIngest({ config, metrics, postgres, kafka, codec, purchase, memory, clock, logger, tracer, onFatal, wakeRelay }: Shared): ConsumerRole {
  metrics.countBeforeScrape({
    logger,
    what: 'counts of waiting rows not read',
    async read() {
      const parked = await countParked(postgres.prisma);
      metrics.parkedUsers.set(parked.users);
      metrics.parkedEvents.set(parked.events);
    },
    unknown() {
      for (const gauge of [metrics.parkedUsers, metrics.parkedEvents]) gauge.set(Number.NaN);
    },
  });
  const observer = ingestMetrics(metrics, { clock, logger });
  const outboxLimit = createOutboxLimit({ postgres, clock, maxRows: config.outbox.maxRows });
  return createIngest({ config: config.ingest, topicPrefix: config.kafka.topicPrefix, kafka, codec, purchase, memory, outboxLimit, postgres, clock, logger, observer, onEnqueued: wakeRelay, tracer, onFatal });
}

function buildDispatcher({ config, metrics, postgres, clock, logger, tracer, onFatal, wakeRelay }: Shared, registry: Registry): { service: ReturnType<typeof createDispatcher>; orders: ReturnType<typeof createOrders>; bulkSync: readonly Service[]; access: Access } {
  const access = openAccess(config, { clock, logger, connectionName: `${config.kafka.clientId} dispatcher`, tracer, ...accessMetrics(metrics) });
  watchAccess(metrics, access, logger);
  const observer = dispatcherMetrics(metrics, { clock, logger });
  const service = createDispatcher({ config, topicPrefix: config.kafka.topicPrefix, registry, postgres, access, clock, observer, onEnqueued: wakeRelay, tracer, onFatal });
  const orders = createOrders({ config: config.orders, topicPrefix: config.kafka.topicPrefix, registry, postgres, access, clock, observer: ordersMetrics(metrics, logger), onEnqueued: wakeRelay, onFatal });
  const bulkSync = config.bulkSync.jobs === 0 ? [] : [createBulkSync({ config, topicPrefix: config.kafka.topicPrefix, registry, postgres, access, clock, observer: bulkSyncMetrics(metrics, logger), onEnqueued: wakeRelay, onFatal })];
  return { service, orders, bulkSync, access };
}

function buildSnapshots({ config, metrics, postgres, kafka, codec, memory, clock, logger, onFatal, wakeRelay, wakeDispatcher }: Shared, registry: Registry, catalogue: OpenCatalogue | undefined): ConsumerRole {
  const observer = snapshotMetrics(metrics, { clock, logger });
  return createSnapshots({ config, topicPrefix: config.kafka.topicPrefix, kafka, codec, registry, postgres, catalogue: catalogue?.catalogue, memory, clock, logger, observer, onEnqueued: wakeRelay, onOperations: wakeDispatcher, onFatal });
}

function buildSaga({ config, metrics, postgres, kafka, codec, purchase, memory, clock, logger, tracer, onFatal, wakeRelay, wakeDispatcher }: Shared): ConsumerRole {
  const observer = sagaMetrics(metrics, { clock, logger });
  return createSagaRole({ config: config.saga, topicPrefix: config.kafka.topicPrefix, kafka, codec, purchase, memory, postgres, clock, logger, observer, onEnqueued: wakeRelay, onOperations: wakeDispatcher, tracer, onFatal });
}

/** The API reads through connections of its own, so that nobody who asks much keeps events waiting, and plans as the ingest pool may not. */
function buildApi({ config, metrics, postgres, codec, purchase, clock, logger, tracer, wakeRelay, wakeDispatcher }: Shared, registry: Registry, self: SelfDeps, access: Access | undefined): { routes: Route[]; close: () => Promise<void> } {
  const counts = readerMetrics(metrics);
  const applicationName = `${config.kafka.clientId} reads`;
  const least = (ms: number): number => Math.min(ms, API_STATEMENT_MS);
  const limits = { poolMax: config.replicas.poolMax, statementTimeoutMs: least(config.postgres.statementTimeoutMs), lockTimeoutMs: least(config.postgres.lockTimeoutMs) };
  const primary = createPostgres({ ...config.postgres, ...limits }, { logger, clock, applicationName, keyLookupsOnly: false, onPoolWait: (ms) => counts.onPoolWait('reads', ms) });
  const readers = createReaders(config.replicas, config.postgres, { primary, logger, clock, applicationName, ...counts });
  watchReaders(metrics, primary.pool, readers, logger);
  // Who calls nobody counts nothing, and looks at what the others count.
  const counting = access ?? openLimiter(config, { clock, logger: config.redis.url === undefined ? silentLogger : logger, connectionName: applicationName });
  if (access === undefined && counting.redis !== undefined) watchRedis(metrics, counting.redis, logger);
  const close = async (): Promise<void> => {
    if (access === undefined) {
      counting.limiter.close();
      await counting.redis?.close();
    }
    await readers.close();
    await primary.close();
  };
  const onEnqueued = (): void => {
    wakeRelay();
    wakeDispatcher();
  };
  const operate: ApiDeps['operate'] = async (target, verb, by) => {
    const done = await operateSaga({ postgres, clock, purchase, tracer, onRetry: () => undefined }, target, verb, by);
    onEnqueued();
    return done;
  };
  const { horizonMs, groupId } = config.ingest;
  // What operators do asks Kafka as a command does: it says soon that nobody answers.
  const asking = { postgres: primary, kafka: createKafka(config.kafka, logger, { retries: COMMAND_RETRIES }), codec, clock, logger, horizonMs };
  const deps: ApiDeps = {
    readers,
    postgres,
    self,
    operate,
    onEnqueued,
    limits: { limiter: counting.limiter, calls: access !== undefined, isShared: config.redis.url !== undefined, windowMs: config.limiter.windowMs },
    redrive: { postgres: primary, codec, registry, clock, topicPrefix: config.kafka.topicPrefix, horizonMs },
    parking: { postgres, decoder: new Decoder(codec, MARKETPLACE_RECORDS), consumerGroup: groupId, clock, purchase },
    replays: consumedTopics(config).flatMap(({ role, topic, group }) => (role === 'snapshots' ? [] : [{ ...asking, group: { role, id: group, topic } }])),
  };
  return { routes: [...apiRoutes(deps), ...consoleRoutes()], close };
}
