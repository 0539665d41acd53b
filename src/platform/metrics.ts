import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { messageOf } from '../errors.ts';
import { systemClock, type Clock } from './clock.ts';
import { withDeadline } from './deadline.ts';
import type { Logger } from './log.ts';
import { BucketHistogram } from './metrics/bucket-histogram.ts';
import { packageVersion } from './version.ts';

/**
 * Every metric of the program, by its Prometheus name: prefix `brx_`, base units, `_total` on counters. There is never a
 * label with a user, item or event id (a thousand users would be a thousand series each); ids belong in the log.
 *
 * Counters and histograms are written where the thing happens. Gauges of something that lives elsewhere (pools, lag) are
 * read when somebody scrapes: `beforeScrape(() => gauge.set(...))`.
 */
export const EVENT_OUTCOMES = ['ok', 'duplicate', 'stale', 'rejected', 'dead', 'parked', 'retried'] as const;
export type EventOutcome = (typeof EVENT_OUTCOMES)[number];

/** Connections of a pool at this moment; `waiting` are requests for one. */
export interface PoolState {
  used: number;
  idle: number;
  max: number;
  waiting: number;
}

export interface ScrapeCount {
  readonly logger: Logger;
  /** For the log: "outbox not counted". */
  readonly what: string;
  readonly read: () => Promise<void>;
  /** Says of the gauges that `read` failed: NaN, or no series. */
  readonly unknown: () => void;
}

export type Metrics = ReturnType<typeof createMetrics>;

const LATENCY_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200];
const CHUNK_SECONDS_BUCKETS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];
const CHUNK_EVENTS_BUCKETS = [1, 10, 50, 100, 250, 500, 750, 1_000, 2_500, 5_000];
const SAGA_BUCKETS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600];
const UPSTREAM_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60, 180];
const LIMITER_WAIT_BUCKETS = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const HTTP_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const POOL_WAIT_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** All that one scrape waits for services: Prometheus waits 10 s, or its interval where that is shorter, and what comes later is as good as nothing. */
const COUNTING_MS = 3_000;
/** Counts under way: each takes a connection, that those with work to do have to themselves as a rule. */
const COUNTING_AT_ONCE = 3;

/** A registry of its own with everything in it; `process: false` leaves out the Node.js and process metrics. */
export function createMetrics({ clock = systemClock, ...options }: { process?: boolean; clock?: Clock } = {}) {
  const register = new Registry();
  const registers = [register];
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []): Gauge<Label> => new Gauge({ name, help, labelNames, registers });
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []): Counter<Label> => new Counter({ name, help, labelNames, registers });
  const histogram = <Label extends string>(name: string, help: string, buckets: number[], labelNames: readonly Label[] = []): Histogram<Label> =>
    new Histogram({ name, help, buckets, labelNames, registers });

  const poolConnections = gauge('brx_pool_connections', 'connections of the pool, by state used or idle', ['pool', 'state']);
  const poolMaxConnections = gauge('brx_pool_max_connections', 'most connections the pool may open', ['pool']);
  const poolPendingRequests = gauge('brx_pool_pending_requests', 'requests that wait for a connection', ['pool']);
  const serverConnections = gauge('brx_server_connections', 'connections of the server, whoever opened them', ['server']);
  const serverMaxConnections = gauge('brx_server_max_connections', 'most connections the server gives to programs like this one', ['server']);
  gauge('brx_build_info', 'always 1; what runs is in the labels', ['version', 'node']).set({ version: packageVersion(), node: process.version }, 1);
  if (options.process !== false) collectDefaultMetrics({ register });

  const pools = new Map<string, () => PoolState>();
  const readers: ((until: number) => void | Promise<void>)[] = [];
  const beforeScrape = (read: (until: number) => void | Promise<void>): void => {
    readers.push(read);
  };
  const late = (): string => 'no answer in time';
  const countBeforeScrape = ({ logger, what, read, unknown }: ScrapeCount): void => {
    let underWay: Promise<string | undefined> | undefined;
    const problem = (until: number): string | undefined | Promise<string | undefined> => {
      const ms = until - clock.monotonic();
      if (ms <= 0) return late();
      // One at a time, however many scrape and however long a service says nothing: those who ask meanwhile share its answer.
      underWay ??= read()
        .then(() => undefined, messageOf)
        .finally(() => {
          underWay = undefined;
        });
      return withDeadline(underWay, { ms, clock, late });
    };
    beforeScrape(async (until) => {
      const error = await problem(until);
      if (error === undefined) return;
      logger.debug({ error }, what);
      unknown();
    });
  };

  return {
    recordsLag: gauge('brx_consumer_records_lag', 'records from the committed offset to the end of the partition', ['topic', 'partition', 'group']),
    lagSeconds: gauge('brx_consumer_lag_seconds', 'age of the oldest record that is not done yet; 0 when caught up', ['topic', 'partition', 'group']),
    consumerStatus: gauge('brx_consumer_status', 'always 1; how an owned partition does over two minutes is in the label status: ok, warn, stall, rewind, replay', ['topic', 'partition', 'group', 'status']),
    topicPartitions: gauge('brx_consumer_topic_partitions', 'partitions the topic has, whoever owns them', ['topic', 'group']),
    consumerHeld: gauge('brx_consumer_held', '1: reading is paused because something is away (PostgreSQL, the registry, room in the outbox); 0: it is not', ['group']),
    loopStillSeconds: gauge('brx_consumer_loop_still_seconds', 'time since the consumer’s loop last moved, work or no work', ['group']),
    rebalances: counter('brx_consumer_rebalances_total', 'times the consumer group was rebalanced, seen from here'),
    crashes: counter('brx_consumer_crashes_total', 'crashes of the Kafka client; restart says whether it came back by itself', ['restart']),
    heartbeatAgeSeconds: gauge('brx_consumer_heartbeat_age_seconds', 'time since the last heartbeat the group coordinator answered'),
    lastEventProcessed: gauge('brx_last_event_processed_timestamp_seconds', 'when an event of the topic was last done, seconds since 1970', ['topic']),

    /** Counted a chunk at a time: `events.inc({ event_type, outcome }, n)`. */
    events: counter('brx_events_total', 'events by what became of them', ['event_type', 'outcome']),
    /** Observed for every event: take `endToEnd.series({ event_type, outcome })` once and call `observe(seconds)` on it. */
    endToEnd: new BucketHistogram({
      name: 'brx_event_end_to_end_seconds',
      help: 'from the record’s timestamp to the commit of its effect',
      labelNames: ['event_type', 'outcome'],
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    chunkEvents: histogram('brx_chunk_events', 'events of a committed chunk', CHUNK_EVENTS_BUCKETS),
    chunkSeconds: histogram('brx_chunk_seconds', 'time a chunk took, from decoding to the commit', CHUNK_SECONDS_BUCKETS),
    transactionRetries: counter('brx_transaction_retries_total', 'transactions begun again, by reason', ['reason']),

    poolWaitSeconds: histogram('brx_pool_wait_seconds', 'time a request waited for its connection', POOL_WAIT_BUCKETS, ['pool']),

    serverConnections,
    serverMaxConnections,

    reads: counter('brx_reads_total', 'inventory queries, by who answered: primary, or a replica by its place in BRX_DATABASE_REPLICA_URLS', ['server']),
    readFallbacks: counter('brx_read_fallbacks_total', 'inventory queries the primary answered although there are replicas: none near enough (lag), none answering (away), or the query did not get through there (failed)', ['reason']),
    replicaLag: gauge('brx_replica_lag_seconds', 'how far a replica is behind the primary; 0 where it has all of its log; no number where it is not known', ['replica']),
    httpSeconds: histogram('brx_http_request_seconds', 'time an HTTP request took, by route and class of its status', HTTP_BUCKETS, ['route', 'status']),

    dlqRecords: counter('brx_dlq_records_total', 'records dead-lettered, by source topic and reason', ['topic', 'reason']),
    dlqDepth: gauge('brx_dlq_depth', 'dead letters that are not published to their topic yet'),
    sagaActive: gauge('brx_saga_active', 'sales that have not ended, by state', ['state']),
    sagaStuck: gauge('brx_saga_stuck', 'sales that need an operator, or that nobody looked at for a minute though they were due'),
    sagaSteps: counter('brx_saga_steps_total', 'steps of sales, by what happened', ['fact']),
    sagaSeconds: histogram('brx_saga_seconds', 'from the start of a sale to its end, by how it ended', SAGA_BUCKETS, ['state']),
    outboxPending: gauge('brx_outbox_pending', 'outbox rows that are not published yet, by topic', ['topic']),
    outboxOldestSeconds: gauge('brx_outbox_oldest_age_seconds', 'age of the oldest outbox row that could be published; 0 when there is none'),
    outboxBlockedRows: gauge('brx_outbox_blocked', 'outbox rows Kafka refuses for good; they and their users wait for an operator'),
    outboxPublished: counter('brx_outbox_published_total', 'outbox rows Kafka has acknowledged, by topic', ['topic']),
    outboxBelowFloor: counter('brx_outbox_below_floor_total', 'outbox rows found where none may appear any more: a fault of the program'),
    relayShards: gauge('brx_relay_shards', 'outbox shards this instance publishes'),
    upstreamRequests: counter('brx_upstream_requests_total', 'requests to CardTrader, by what became of them', ['endpoint', 'outcome', 'reason']),
    upstreamSeconds: histogram('brx_upstream_request_seconds', 'time a request to CardTrader took, without waiting for its turn', UPSTREAM_BUCKETS, ['endpoint']),
    limiterWaitSeconds: histogram('brx_rate_limit_wait_seconds', 'time a request waited for its turn', LIMITER_WAIT_BUCKETS, ['bucket']),
    limiterWaiting: gauge('brx_rate_limit_waiting', 'requests that wait for their turn'),
    limiterShared: gauge('brx_rate_limit_shared', '1: requests are counted by all processes together; 0: by this one alone, at a share of the limit'),
    limiterThrottled: counter('brx_rate_limit_throttled_total', 'times CardTrader answered 429', ['bucket']),
    limiterLost: counter('brx_rate_limit_lost_tokens_total', 'turns that came too late to be used'),
    operations: counter('brx_operations_total', 'operations on CardTrader, by the state they came to', ['kind', 'state']),
    operationSeconds: histogram('brx_operation_seconds', 'from an operation being asked for to its being settled', SAGA_BUCKETS, ['kind']),
    operationsOpen: gauge('brx_operations_open', 'operations on CardTrader that are not settled, by state', ['state']),
    syncDue: gauge('brx_listing_sync_due', 'items CardTrader may show otherwise than they are here'),
    syncOldest: gauge('brx_listing_sync_oldest_age_seconds', 'how long the oldest of them has waited; 0 when there is none'),
    syncSeconds: histogram('brx_listing_sync_seconds', 'from the commit of a change to CardTrader’s confirmation', LATENCY_BUCKETS),
    listingProblems: counter('brx_listing_problems_total', 'times CardTrader refused something of an item or took it with a warning, by kind', ['kind']),
    listingsProblematic: gauge('brx_listing_problems', 'items with something CardTrader does not take'),
    operationsOldest: gauge('brx_operations_oldest_due_age_seconds', 'how long the oldest operation has been due, of sellers for whom CardTrader may be called; 0 when none is'),
    operationsNeedOperator: gauge('brx_operations_need_operator', 'operations whose outcome cannot be told'),
    openCircuits: gauge('brx_circuits_open', 'sellers for whom CardTrader gives no usable answers'),
    sellers: gauge('brx_marketplace_sellers', 'sellers with a CardTrader account, by status', ['status']),
    listingMismatches: counter('brx_listing_mismatches_total', 'times CardTrader showed what nothing here explains, by kind', ['kind']),
    listingsMismatched: gauge('brx_listings_mismatched', 'listings with a mismatch nobody has looked at'),
    catalogueLookups: counter('brx_catalogue_lookups_total', 'blueprints looked up, by where the answer was and what it is (print, unknown, ambiguous)', ['source', 'result']),
    catalogueQueries: counter('brx_catalogue_mysql_queries_total', 'look-ups sent to MySQL, each of up to 500 blueprints', ['server', 'outcome']),
    catalogueRedisErrors: counter('brx_catalogue_redis_errors_total', 'look-ups that went on without Redis, because it was away or failed', ['operation']),
    webhooks: counter('brx_webhooks_total', 'webhooks of CardTrader, by what became of them', ['outcome']),
    webhooksWaiting: gauge('brx_webhooks_waiting', 'webhooks whose orders have not been read yet'),
    ordersSeen: counter('brx_orders_seen_total', 'orders on CardTrader that were new or changed, by the state they were in', ['state']),
    orderCopies: counter('brx_order_copies_total', 'copies that orders on CardTrader took out of stock (sold) and put back (returned)', ['way']),
    ordersUnreadable: counter('brx_orders_unreadable_total', 'orders CardTrader sent that could not be read or kept'),
    orderCounts: counter('brx_order_counts_total', 'times it was counted whether cancelled copies are on sale again', ['answer']),
    orderLooks: counter('brx_order_looks_total', 'looks at a seller’s orders', ['why', 'outcome']),
    orderPollOverdue: gauge('brx_order_poll_overdue_seconds', 'for how long orders of a seller should have been read and were not, whoever has it longest; 0 when all are'),
    orderPollsFailing: gauge('brx_order_polls_failing', 'sellers whose orders could not be read the last time'),
    orderLinesUnmapped: gauge('brx_order_lines_unmapped', 'lines of orders of the last week that are tied to nothing here, so that they change no stock'),
    orderCopiesUnresolved: gauge('brx_order_copies_unresolved', 'copies of cancelled orders of which it is not known whether they are on sale again'),
    ordersUndecided: gauge('brx_orders_undecided', 'orders in a state nobody here knows, or that cannot be read'),
    bulkSyncJobs: counter('brx_bulk_sync_jobs_total', 'bulk syncs that have ended, by how', ['mode', 'state']),
    bulkSyncChunks: counter('brx_bulk_sync_chunks_total', 'chunks of bulk syncs by what became of them', ['outcome']),
    bulkSyncRetries: counter('brx_bulk_sync_chunk_retries_total', 'parked chunks of bulk syncs that were sent again by themselves'),
    bulkSyncProducts: counter('brx_bulk_sync_products_total', 'products of bulk syncs by what was done about them; unmapped: the catalogue has no one print', ['kind']),
    bulkSyncOpen: gauge('brx_bulk_sync_open', 'bulk syncs that have not ended, by state', ['state']),
    bulkSyncOldest: gauge('brx_bulk_sync_oldest_age_seconds', 'for how long the oldest open bulk sync of an active seller has had something to be done for it; 0 when there is none'),
    bulkSyncParked: gauge('brx_bulk_sync_parked_chunks', 'parked chunks by what is next: tried again by themselves (retry), or not (operator), until a newer bulk sync of their seller has ended', ['next']),
    driftItems: gauge('brx_drift_items', 'items whose number here and on CardTrader differ, by two reports that agree'),
    parkedUsers: gauge('brx_parked_users', 'users whose events wait for an operator or a retry'),
    parkedEvents: gauge('brx_parked_events', 'events of parked users'),
    traceSpans: counter('brx_trace_spans_total', 'spans of traces by what became of them: exported, or dropped because too many waited (queue_full), the receiver did not take them (not_taken) or the process stopped (stopped)', ['outcome']),
    misroutedEvents: counter('brx_misrouted_events_total', 'events on a partition that is not murmur2’s: a producer with another partitioner'),

    beforeScrape,
    /** Reads at each scrape what a service has that may be away or slow: that it is, is what other metrics are there to show, and the rest is still served, in time. */
    countBeforeScrape,
    /** Shows connections of a whole server, whoever opened them. */
    watchServer(server: string, read: () => Promise<{ readonly used: number; readonly max: number }>, { logger, what }: { logger: Logger; what: string }): void {
      const show = ({ used, max }: { readonly used: number; readonly max: number }): void => {
        serverConnections.set({ server }, used);
        serverMaxConnections.set({ server }, max);
      };
      countBeforeScrape({ logger, what, read: async () => show(await read()), unknown: () => show({ used: Number.NaN, max: Number.NaN }) });
    },
    /** Shows a pool: its numbers are read at each scrape. */
    watchPool(pool: string, read: () => PoolState): void {
      pools.set(pool, read);
      beforeScrape(() => {
        const state = read();
        poolConnections.set({ pool, state: 'used' }, state.used);
        poolConnections.set({ pool, state: 'idle' }, state.idle);
        poolMaxConnections.set({ pool }, state.max);
        poolPendingRequests.set({ pool }, state.waiting);
      });
    },
    /** The pools that are shown, by name. */
    pools: pools as ReadonlyMap<string, () => PoolState>,
    contentType: register.contentType,
    /** The exposition, after every `beforeScrape`. */
    async render(): Promise<string> {
      const until = clock.monotonic() + COUNTING_MS;
      const left = readers.values();
      const some = async (): Promise<void> => {
        for (const read of left) await read(until);
      };
      await Promise.all(Array.from({ length: COUNTING_AT_ONCE }, some));
      return register.metrics();
    },
    registry: register,
  };
}
