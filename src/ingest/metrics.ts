import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import { DEAD_LETTER_REASONS } from '../records/index.ts';
import type { IngestObserver, IngestResult } from './observer.ts';
import { MARKETPLACE_RECORDS, type Outcome } from './record.ts';

const TYPES = [...MARKETPLACE_RECORDS, 'unusable'] as const;
const OUTCOMES: readonly Outcome[] = ['ok', 'duplicate', 'stale', 'rejected', 'dead', 'parked'];

/** The ingest role's observer for production: metrics, and a log line for what an operator would want to have been told. */
export function ingestMetrics(metrics: Metrics, { clock, logger }: { clock: Clock; logger: Logger }): IngestObserver {
  const endToEnd = new Map(TYPES.map((type) => [type, new Map(OUTCOMES.map((outcome) => [outcome, metrics.endToEnd.series({ event_type: type, outcome })]))]));
  // From the start: of a counter that appears with its first event, nothing can see that it grew.
  for (const type of TYPES) for (const outcome of OUTCOMES) metrics.events.inc({ event_type: type, outcome }, 0);
  for (const restart of ['true', 'false']) metrics.crashes.inc({ restart }, 0);
  let lastHeartbeat = clock.monotonic();
  metrics.beforeScrape(() => metrics.heartbeatAgeSeconds.set((clock.monotonic() - lastHeartbeat) / 1_000));
  return {
    chunkCommitted(chunk) {
      if (chunk.timestamps.length === 0) return; // told of with another partition's chunk
      const now = clock.now();
      let parked = 0;
      for (const [type, counts] of tallyByType(chunk)) for (const [outcome, count] of counts) metrics.events.inc({ event_type: type, outcome }, count);
      chunk.outcomes.forEach((outcome, index) => {
        if (outcome === 'parked') parked += 1;
        endToEnd.get(chunk.types[index] ?? 'unusable')?.get(outcome)?.observe((now - (chunk.timestamps[index] ?? now)) / 1_000);
      });
      for (const reason of chunk.deadLetters) metrics.dlqRecords.inc({ topic: chunk.topic, reason });
      metrics.chunkEvents.observe(chunk.outcomes.length);
      metrics.chunkSeconds.observe(chunk.durationMs / 1_000);
      metrics.lastEventProcessed.set({ topic: chunk.topic }, now / 1_000);
      if (chunk.misrouted > 0) metrics.misroutedEvents.inc(chunk.misrouted);
      const position = { topic: chunk.topic, partition: chunk.partition, offset: chunk.offset };
      if (chunk.deadLetters.length > 0) logger.warn({ ...position, reasons: tally(chunk.deadLetters) }, 'records dead-lettered; `brx-sync dlq list` shows them');
      if (parked > 0) logger.warn({ ...position, events: parked }, 'events parked behind one that failed; `brx-sync parked list` shows whose');
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
      for (const topic of new Set(partitions.map((each) => each.topic))) for (const reason of Object.keys(DEAD_LETTER_REASONS)) metrics.dlqRecords.inc({ topic, reason }, 0);
      logger.info({ partitions: partitions.map(({ partition }) => partition).sort((a, b) => a - b) }, 'partitions assigned');
    },
    crashed(error, restarting) {
      metrics.crashes.inc({ restart: String(restarting) });
      logger.error({ error: error.message, restarting }, 'the Kafka consumer crashed');
    },
    heartbeat() {
      lastHeartbeat = clock.monotonic();
    },
  };
}

function tallyByType({ types, outcomes }: IngestResult): Map<string, Map<Outcome, number>> {
  const counts = new Map<string, Map<Outcome, number>>();
  outcomes.forEach((outcome, index) => {
    const type = types[index] ?? 'unusable';
    const ofType = counts.get(type) ?? new Map<Outcome, number>();
    counts.set(type, ofType.set(outcome, (ofType.get(outcome) ?? 0) + 1));
  });
  return counts;
}

function tally(reasons: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const reason of reasons) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
}
