import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { Postgres } from '../platform/postgres/index.ts';
import { DEAD_LETTER_REASONS } from '../records/index.ts';
import type { ChunkOutcome } from './handle.ts';
import { KINDS } from './job.ts';
import { countBulkSync } from './jobs.sql.ts';
import type { BulkSyncObserver, SnapshotObserver } from './observer.ts';

const OUTCOMES: readonly ChunkOutcome[] = ['applied', 'over', 'parked', 'dead'];
const OPEN = ['REQUESTED', 'EXPORTING', 'APPLYING'] as const;

/** The worker's observer for production. */
export function bulkSyncMetrics(metrics: Metrics, logger: Logger): BulkSyncObserver {
  metrics.bulkSyncRetries.inc(0);
  return {
    stepped({ jobId, userId, mode }, state, said) {
      if (state === 'DONE' || state === 'FAILED') metrics.bulkSyncJobs.inc({ mode, state: state.toLowerCase() });
      const log = { jobId, userId, mode, ...(said !== null && { said }) };
      if (state === 'FAILED') logger.warn(log, 'a bulk sync has come to nothing; `brx-sync sync show` tells what to do');
      else logger.info(log, `bulk sync ${state.toLowerCase()}`);
    },
    retried({ jobId, userId }, chunks) {
      metrics.bulkSyncRetries.inc(chunks);
      logger.info({ jobId, userId, chunks }, 'parked chunks of a bulk sync are tried again');
    },
    exportFailed: (userId, said) => logger.warn({ userId, said }, 'an export came to nothing and is tried again'),
    transactionRetried(reason) {
      metrics.transactionRetries.inc({ reason });
      logger.info({ reason }, 'transaction begun again');
    },
    waiting: (error) => logger.warn({ error }, 'bulk sync waits'),
  };
}

/** The same of whoever applies chunks. */
export function snapshotMetrics(metrics: Metrics, { clock, logger }: { clock: Clock; logger: Logger }): SnapshotObserver {
  for (const outcome of OUTCOMES) metrics.bulkSyncChunks.inc({ outcome }, 0);
  for (const kind of [...KINDS, 'unmapped']) metrics.bulkSyncProducts.inc({ kind }, 0);
  for (const restart of ['true', 'false']) metrics.crashes.inc({ restart }, 0);
  return {
    chunkCommitted({ topic, outcomes, counts, parked, deadLetters, timestamps }) {
      if (timestamps.length === 0) return; // told of with another partition's chunk
      for (const outcome of outcomes) metrics.bulkSyncChunks.inc({ outcome });
      for (const each of counts) for (const [kind, count] of Object.entries(each)) metrics.bulkSyncProducts.inc({ kind }, count);
      for (const reason of deadLetters) metrics.dlqRecords.inc({ topic, reason });
      for (const each of parked) logger.error(each, 'a chunk of a bulk sync is refused by the database and was put aside; the others go on');
      metrics.lastEventProcessed.set({ topic }, clock.now() / 1_000);
    },
    transactionRetried(reason) {
      metrics.transactionRetries.inc({ reason });
      logger.info({ reason }, 'transaction begun again');
    },
    held: (code, message) => logger.warn({ code, error: message }, 'snapshots are not read until it answers again'),
    resumed: () => logger.info('snapshots are read again'),
    assigned(partitions) {
      metrics.rebalances.inc();
      for (const topic of new Set(partitions.map((each) => each.topic))) for (const reason of Object.keys(DEAD_LETTER_REASONS)) metrics.dlqRecords.inc({ topic, reason }, 0);
    },
    crashed(error, restarting) {
      metrics.crashes.inc({ restart: String(restarting) });
      logger.error({ error: error.message, restarting }, 'the Kafka consumer of snapshots crashed');
    },
    heartbeat: () => undefined,
  };
}

/** Open jobs and drift as they stand, read at each scrape. */
export function watchBulkSync(metrics: Metrics, postgres: Postgres, logger: Logger): void {
  metrics.countBeforeScrape({
    logger,
    what: 'jobs of bulk sync are not counted',
    async read() {
      const { open, oldestSeconds, retried, left, drift } = await countBulkSync(postgres.prisma);
      for (const state of OPEN) metrics.bulkSyncOpen.set({ state: state.toLowerCase() }, open.get(state) ?? 0);
      metrics.bulkSyncOldest.set(oldestSeconds);
      metrics.bulkSyncParked.set({ next: 'retry' }, retried);
      metrics.bulkSyncParked.set({ next: 'operator' }, left);
      metrics.driftItems.set(drift);
    },
    unknown() {
      for (const gauge of [metrics.bulkSyncOpen, metrics.bulkSyncParked]) gauge.reset();
      for (const gauge of [metrics.bulkSyncOldest, metrics.driftItems]) gauge.set(Number.NaN);
    },
  });
}
