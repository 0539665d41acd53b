import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { BucketHistogram } from './metrics/bucket-histogram.ts';
import { packageVersion } from './version.ts';

/**
 * Every metric of the program, by its Prometheus name: prefix `brx_`, base units, `_total` on counters. There is never a
 * label with a user, item or event id (a thousand users would be a thousand series each); ids belong in the log.
 *
 * Counters and histograms are written where the thing happens. Gauges of something that lives elsewhere (pools, lag) are
 * read when somebody scrapes: `beforeScrape(() => gauge.set(...))`.
 */
export const EVENT_OUTCOMES = ['ok', 'duplicate', 'stale', 'dead', 'parked', 'retried'] as const;
export type EventOutcome = (typeof EVENT_OUTCOMES)[number];

/** Connections of a pool at this moment; `waiting` are requests for one. */
export interface PoolState {
  used: number;
  idle: number;
  max: number;
  waiting: number;
}

export type Metrics = ReturnType<typeof createMetrics>;

const LATENCY_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200];
const CHUNK_SECONDS_BUCKETS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];
const CHUNK_EVENTS_BUCKETS = [1, 10, 50, 100, 250, 500, 750, 1_000, 2_500, 5_000];
const POOL_WAIT_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** A registry of its own with everything in it; `process: false` leaves out the Node.js and process metrics. */
export function createMetrics(options: { process?: boolean } = {}) {
  const register = new Registry();
  const registers = [register];
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []): Gauge<Label> => new Gauge({ name, help, labelNames, registers });
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []): Counter<Label> => new Counter({ name, help, labelNames, registers });
  const histogram = <Label extends string>(name: string, help: string, buckets: number[], labelNames: readonly Label[] = []): Histogram<Label> =>
    new Histogram({ name, help, buckets, labelNames, registers });

  const poolConnections = gauge('brx_pool_connections', 'connections of the pool, by state used or idle', ['pool', 'state']);
  const poolMaxConnections = gauge('brx_pool_max_connections', 'most connections the pool may open', ['pool']);
  const poolPendingRequests = gauge('brx_pool_pending_requests', 'requests that wait for a connection', ['pool']);
  gauge('brx_build_info', 'always 1; what runs is in the labels', ['version', 'node']).set({ version: packageVersion(), node: process.version }, 1);
  if (options.process !== false) collectDefaultMetrics({ register });

  const readers: (() => void | Promise<void>)[] = [];
  const beforeScrape = (read: () => void | Promise<void>): void => {
    readers.push(read);
  };

  return {
    recordsLag: gauge('brx_consumer_records_lag', 'records from the committed offset to the end of the partition', ['topic', 'partition', 'group']),
    lagSeconds: gauge('brx_consumer_lag_seconds', 'age of the oldest record that is not done yet; 0 when caught up', ['topic', 'partition']),
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

    dlqRecords: counter('brx_dlq_records_total', 'records dead-lettered, by source topic and reason', ['topic', 'reason']),
    dlqDepth: gauge('brx_dlq_depth', 'dead letters that are not published to their topic yet'),
    parkedUsers: gauge('brx_parked_users', 'users whose events wait for an operator or a retry'),
    parkedEvents: gauge('brx_parked_events', 'events of parked users'),
    misroutedEvents: counter('brx_misrouted_events_total', 'events on a partition that is not murmur2’s: a producer with another partitioner'),

    beforeScrape,
    /** Shows a pool: its numbers are read at each scrape. */
    watchPool(pool: string, read: () => PoolState): void {
      beforeScrape(() => {
        const state = read();
        poolConnections.set({ pool, state: 'used' }, state.used);
        poolConnections.set({ pool, state: 'idle' }, state.idle);
        poolMaxConnections.set({ pool }, state.max);
        poolPendingRequests.set({ pool }, state.waiting);
      });
    },
    contentType: register.contentType,
    /** The exposition, after every `beforeScrape`. */
    async render(): Promise<string> {
      for (const read of readers) await read();
      return register.metrics();
    },
    registry: register,
  };
}
