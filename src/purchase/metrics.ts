import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { Postgres } from '../platform/postgres/index.ts';
import { traceFields } from '../platform/tracing/index.ts';
import { DEAD_LETTER_REASONS } from '../records/index.ts';
import type { HistoryRow } from './fold.ts';
import type { SagaObserver } from './observer.ts';
import { ENDED, STATES } from './saga.ts';
import { countActiveSagas } from './sagas.sql.ts';

/** The saga role's observer for production. */
export function sagaMetrics(metrics: Metrics, { clock, logger }: { clock: Clock; logger: Logger }): SagaObserver {
  for (const restart of ['true', 'false']) metrics.crashes.inc({ restart }, 0);
  const stepped = (steps: readonly HistoryRow[]): void => {
    const now = clock.now();
    for (const { saga, fact } of steps) {
      metrics.sagaSteps.inc({ fact: fact.fact });
      if (ENDED.has(saga.state)) metrics.sagaSeconds.observe({ state: saga.state.toLowerCase() }, (now - saga.startedAt) / 1_000);
      if (fact.fact === 'stuck') logger.error({ userId: saga.userId, purchaseId: saga.purchaseId, why: fact.why, ...traceFields(saga.traceparent) }, 'a sale needs an operator; `brx-sync saga show` tells it');
    }
  };
  return {
    chunkCommitted(chunk) {
      if (chunk.timestamps.length === 0) return; // told of with another partition's chunk
      stepped(chunk.steps);
      for (const reason of chunk.deadLetters) metrics.dlqRecords.inc({ topic: chunk.topic, reason });
      metrics.lastEventProcessed.set({ topic: chunk.topic }, clock.now() / 1_000);
      if (chunk.deadLetters.length > 0) logger.warn({ topic: chunk.topic, partition: chunk.partition, offset: chunk.offset, reasons: chunk.deadLetters }, 'records dead-lettered; `brx-sync dlq list` shows them');
      logger.debug({ topic: chunk.topic, partition: chunk.partition, offset: chunk.offset, steps: chunk.steps.length, ms: Math.round(chunk.durationMs) }, 'saga chunk committed');
    },
    swept(looked, steps) {
      stepped(steps);
      logger.debug({ looked, steps: steps.length }, 'overdue sagas looked at');
    },
    transactionRetried(reason) {
      metrics.transactionRetries.inc({ reason });
      logger.info({ reason }, 'transaction begun again');
    },
    waiting: (error) => logger.warn({ error }, 'overdue sagas not looked at; trying again'),
    held: (code, message) => logger.warn({ code, error: message }, 'paused until it answers again'),
    resumed: () => logger.info('resumed'),
    assigned(partitions) {
      metrics.rebalances.inc();
      for (const topic of new Set(partitions.map((each) => each.topic))) for (const reason of Object.keys(DEAD_LETTER_REASONS)) metrics.dlqRecords.inc({ topic, reason }, 0);
      logger.info({ topic: partitions[0]?.topic, partitions: partitions.map(({ partition }) => partition).sort((a, b) => a - b) }, 'partitions assigned');
    },
    crashed(error, restarting) {
      metrics.crashes.inc({ restart: String(restarting) });
      logger.error({ error: error.message, restarting }, 'the Kafka consumer crashed');
    },
    heartbeat: () => undefined,
  };
}

/** Sagas that have not ended, by state, and those that should have moved and did not; read at each scrape. */
export function watchSagas(metrics: Metrics, postgres: Postgres, logger: Logger): void {
  metrics.countBeforeScrape({
    logger,
    what: 'sagas not counted',
    async read() {
      const { byState, overdue } = await countActiveSagas(postgres.prisma);
      for (const state of STATES) if (!ENDED.has(state)) metrics.sagaActive.set({ state: state.toLowerCase() }, byState.get(state) ?? 0);
      metrics.sagaStuck.set((byState.get('NEEDS_OPERATOR') ?? 0) + overdue);
    },
    unknown() {
      metrics.sagaActive.reset();
      metrics.sagaStuck.set(Number.NaN);
    },
  });
}
