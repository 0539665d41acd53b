import type { Config, Role } from './config.ts';
import { messageOf, type BrxError } from './errors.ts';
import { createHttpServer, report } from './http/index.ts';
import { countParked, countUnpublished, createIngest, ingestMetrics, pruneDeadLetters, type Ingest } from './ingest/index.ts';
import { createRetention } from './inventory/index.ts';
import { assertMigrated } from './operations/migrate/index.ts';
import type { Clock } from './platform/clock.ts';
import { createCodec, createKafka, createProducer, createRegistry } from './platform/kafka/index.ts';
import type { Logger } from './platform/log.ts';
import { createMetrics, type Metrics } from './platform/metrics.ts';
import { createPostgres, poolStats, type Postgres } from './platform/postgres/index.ts';
import type { Service } from './platform/service.ts';

/**
 * THE MAP. An event's way, in data order, and the only file that knows every feature:
 *
 *   producers ──► brx.marketplace-events ──► ingest ──► PostgreSQL: items, ledger, parked events, dead letters
 *                     (key = user_id)       decode, lock lanes,              │
 *                                           fold, write, commit      dead-letter publisher ──► brx.marketplace-events.dlq
 *
 * Follow it: contract/ (what a record is) → ingest/consumer → ingest/decode → ingest/apply → ingest/chunk → inventory/fold →
 * inventory/stock.sql → back in ingest/consumer for the offset.
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
}

export function buildFlow(config: Config, options: FlowOptions): Flow {
  const { clock, logger, roles, onFatal } = options;
  const metrics = createMetrics();
  const poolWait = metrics.poolWaitSeconds.labels({ pool: 'postgres' });
  const postgres = createPostgres(config.postgres, { logger, clock, applicationName: config.kafka.clientId, keyLookupsOnly: true, onPoolWait: (ms) => poolWait.observe(ms / 1_000) });
  metrics.watchPool('postgres', () => poolStats(postgres.pool));

  // Kafka record → committed transaction → committed offset
  const ingest = roles.includes('ingest') ? buildIngest(config, options, postgres, metrics) : undefined;

  // What people and probes see of it
  let draining = false;
  const http = createHttpServer({
    config: config.http,
    logger,
    metrics,
    clock,
    health: {
      live: () => report(ingest?.health.live() ?? [{ name: 'process', ok: true, detail: 'no role that could stall' }]),
      ready: async () => report([{ name: 'not stopping', ok: !draining, detail: draining ? 'stopping' : 'ok' }, ...((await ingest?.health.ready()) ?? [])]),
    },
  });

  return {
    services: [
      { name: 'migrated', start: () => assertMigrated(postgres.pool), stop: () => Promise.resolve() },
      ...(roles.includes('http') ? [http] : []),
      ...(ingest?.services ?? []),
      ...(roles.includes('ingest') ? [createRetention({ postgres, clock, logger, horizonMs: config.ingest.horizonMs, pruneMore: (keepSince) => pruneDeadLetters(postgres, keepSince), onFatal })] : []),
    ],
    draining: () => {
      draining = true;
    },
    close: () => postgres.close(),
  };
}

function buildIngest(config: Config, { clock, logger, onFatal }: FlowOptions, postgres: Postgres, metrics: Metrics): Ingest {
  const kafka = createKafka(config.kafka, logger);
  const ingest = createIngest({
    config: config.ingest,
    topicPrefix: config.kafka.topicPrefix,
    kafka,
    producer: createProducer(kafka),
    codec: createCodec(createRegistry(config.registry)),
    postgres,
    clock,
    logger,
    observer: ingestMetrics(metrics, { clock, logger }),
    onFatal,
  });
  const group = config.ingest.groupId;
  metrics.beforeScrape(() => {
    metrics.recordsLag.reset();
    metrics.lagSeconds.reset();
    for (const { topic, partition, records, seconds } of ingest.readLag()) {
      metrics.recordsLag.set({ topic, partition, group }, records);
      metrics.lagSeconds.set({ topic, partition }, seconds);
    }
  });
  metrics.beforeScrape(async () => {
    try {
      const [parked, unpublished] = [await countParked(postgres.prisma), await countUnpublished(postgres.prisma)];
      metrics.parkedUsers.set(parked.users);
      metrics.parkedEvents.set(parked.events);
      metrics.dlqDepth.set(unpublished);
    } catch (error) {
      // PostgreSQL being away is what the other metrics are there to show: these three are unknown, the rest is still served.
      logger.debug({ error: messageOf(error) }, 'counts of waiting rows not read');
      for (const gauge of [metrics.parkedUsers, metrics.parkedEvents, metrics.dlqDepth]) gauge.set(Number.NaN);
    }
  });
  return ingest;
}
