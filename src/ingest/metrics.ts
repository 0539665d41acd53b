import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { IngestObserver } from './observer.ts';
import type { Outcome } from './record.ts';

const EVENT_TYPE = 'InventoryChanged';
const OUTCOMES: readonly Outcome[] = ['ok', 'duplicate', 'stale', 'dead', 'parked'];

/** The ingest role's observer for production: metrics, and a log line for what an operator would want to have been told. */
export function ingestMetrics(metrics: Metrics, { clock, logger }: { clock: Clock; logger: Logger }): IngestObserver {
  const endToEnd = new Map(OUTCOMES.map((outcome) => [outcome, metrics.endToEnd.series({ event_type: EVENT_TYPE, outcome })]));
  let lastHeartbeat = clock.monotonic();
  metrics.beforeScrape(() => metrics.heartbeatAgeSeconds.set((clock.monotonic() - lastHeartbeat) / 1_000));
  return {
    chunkCommitted(chunk) {
      const now = clock.now();
      const counts = new Map<Outcome, number>();
      chunk.outcomes.forEach((outcome, index) => {
        counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
        endToEnd.get(outcome)?.observe((now - (chunk.timestamps[index] ?? now)) / 1_000);
      });
      for (const [outcome, count] of counts) metrics.events.inc({ event_type: EVENT_TYPE, outcome }, count);
      for (const reason of chunk.deadLetters) metrics.dlqRecords.inc({ topic: chunk.topic, reason });
      metrics.chunkEvents.observe(chunk.outcomes.length);
      metrics.chunkSeconds.observe(chunk.durationMs / 1_000);
      metrics.lastEventProcessed.set({ topic: chunk.topic }, now / 1_000);
      if (chunk.misrouted > 0) metrics.misroutedEvents.inc(chunk.misrouted);
      const position = { topic: chunk.topic, partition: chunk.partition, offset: chunk.offset };
      if (chunk.deadLetters.length > 0) logger.warn({ ...position, reasons: tally(chunk.deadLetters) }, 'records dead-lettered; `brx-sync dlq list` shows them');
      if (counts.has('parked')) logger.warn({ ...position, events: counts.get('parked') }, 'events parked behind one that failed; `brx-sync parked list` shows whose');
      logger.debug({ ...position, events: chunk.outcomes.length, ms: Math.round(chunk.durationMs) }, 'chunk committed');
    },
    transactionRetried(reason) {
      metrics.transactionRetries.inc({ reason });
      logger.info({ reason }, 'transaction begun again');
    },
    held: (code, message) => logger.warn({ code, error: message }, 'paused until it answers again'),
    resumed: () => logger.info('resumed'),
    assigned(partitions) {
      metrics.rebalances.inc();
      logger.info({ partitions: partitions.map(({ partition }) => partition).sort((a, b) => a - b) }, 'partitions assigned');
    },
    crashed(error, restarting) {
      metrics.crashes.inc({ restart: String(restarting) });
      logger.error({ error: error.message, restarting }, 'the Kafka consumer crashed');
    },
    heartbeat() {
      lastHeartbeat = clock.monotonic();
    },
    deadLettersPublished: (count) => logger.info({ count }, 'dead letters published'),
  };
}

function tally(reasons: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const reason of reasons) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
}
