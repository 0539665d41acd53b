import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { Postgres } from '../platform/postgres/index.ts';
import { readOutboxStats } from './blocked.sql.ts';
import { RELAY_SHARDS } from './message.ts';
import type { RelayObserver } from './observer.ts';

/** The relay's observer for production. */
export function relayMetrics(metrics: Metrics, logger: Logger): RelayObserver {
  return {
    published(topic, rows) {
      metrics.outboxPublished.inc({ topic }, rows);
      logger.debug({ topic, rows }, 'outbox published');
    },
    blocked: (topic, userId, error, traceId) => logger.error({ topic, userId, error, ...(traceId !== undefined && { trace_id: traceId }) }, 'Kafka refuses a record for good; its user waits until `brx-sync outbox retry` or `skip`'),
    owns(shards) {
      metrics.relayShards.set(shards.length);
      logger.info({ shards }, 'outbox shards owned');
    },
    waiting: (error) => logger.warn({ error }, 'outbox not published; trying again'),
    belowFloor(shard, id) {
      metrics.outboxBelowFloor.inc();
      logger.error({ shard, id }, 'an outbox row appeared below the floor of its shard; it is published now, later than it should have been. Please report this');
    },
  };
}

/** What waits in the outbox, read at each scrape, by whichever role is asked. */
export function watchOutbox(metrics: Metrics, postgres: Postgres, logger: Logger): void {
  metrics.countBeforeScrape({
    logger,
    what: 'outbox not counted',
    async read() {
      metrics.outboxPending.reset();
      const stats = await readOutboxStats(postgres.prisma, RELAY_SHARDS);
      let deadLetters = 0;
      for (const [topic, rows] of stats.pending) {
        metrics.outboxPending.set({ topic }, rows);
        if (topic.endsWith('.dlq')) deadLetters += rows;
      }
      metrics.dlqDepth.set(deadLetters);
      metrics.outboxOldestSeconds.set(stats.oldestSeconds);
      metrics.outboxBlockedRows.set(stats.blockedRows);
    },
    unknown() {
      for (const gauge of [metrics.outboxOldestSeconds, metrics.outboxBlockedRows, metrics.dlqDepth]) gauge.set(Number.NaN);
    },
  });
}
