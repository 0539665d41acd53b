import type { IngestConfig } from '../config.ts';
import { TOPICS, topicName } from '../contract/index.ts';
import type { BrxError } from '../errors.ts';
import type { OutboxLimit } from '../outbox/index.ts';
import type { Clock } from '../platform/clock.ts';
import { createHealth, EndOffsets, PartitionConsumer, type ConsumerRole, type GroupMemory } from '../platform/consumer/index.ts';
import type { Codec, Kafka } from '../platform/kafka/index.ts';
import type { Logger } from '../platform/log.ts';
import type { Postgres } from '../platform/postgres/index.ts';
import type { Tracer } from '../platform/tracing/index.ts';
import type { ApplyDeps } from './apply.ts';
import type { PurchaseContext } from '../purchase/index.ts';
import { Decoder } from '../records/index.ts';
import { chunkHandler } from './handle.ts';
import type { IngestObserver, IngestResult } from './observer.ts';
import { MARKETPLACE_RECORDS } from './record.ts';

export type { ApplyDeps } from './apply.ts';
export { bornAt } from './chunk.ts';
export { chunkHandler } from './handle.ts';
export { ingestMetrics } from './metrics.ts';
export type { IngestObserver, IngestResult } from './observer.ts';
export { discardParkedEvents, listParkedUsers, parkedTarget, retryParkedUser, type ParkingDeps, type RetryResult } from './parking.ts';
export { readWaiting, rehearseParkedUser, type Rehearsed } from './rehearse.ts';
export { countParked, selectParkedPage, selectParkedUsers, type ParkedUser } from './parking.sql.ts';
export { MARKETPLACE_RECORDS, type MarketplaceRecord, type Outcome } from './record.ts';

export interface IngestDeps {
  readonly config: IngestConfig;
  readonly topicPrefix: string;
  readonly kafka: Kafka;
  readonly codec: Codec;
  readonly postgres: Postgres;
  readonly purchase: PurchaseContext;
  /** Of where the group had been. */
  readonly memory?: GroupMemory;
  /** Asked before each chunk. */
  readonly outboxLimit: OutboxLimit;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: IngestObserver;
  /** Something was committed to the outbox. */
  readonly onEnqueued: () => void;
  readonly tracer?: Tracer;
  readonly onFatal: (error: BrxError) => void;
}

/** The ingest role: records of `brx.marketplace-events` into PostgreSQL; what it has to say goes into the outbox. */
export function createIngest(deps: IngestDeps): ConsumerRole {
  const { config, clock, logger, postgres, observer } = deps;
  const topic = topicName(deps.topicPrefix, TOPICS.marketplaceEvents);
  const apply: ApplyDeps = {
    postgres,
    clock,
    consumerGroup: config.groupId,
    horizonMs: config.horizonMs,
    maxParkedUsers: config.maxParkedUsers,
    purchase: deps.purchase,
    onRetry: (failure) => observer.transactionRetried(failure.state ?? failure.kind),
    onHalved: () => consumer.progress.tried(),
    ...(deps.tracer !== undefined && { tracer: deps.tracer }),
  };
  const handle = chunkHandler(new Decoder(deps.codec, MARKETPLACE_RECORDS), apply);
  const answers = (question: Promise<void>): Promise<boolean> =>
    question.then(
      () => true,
      () => false,
    );
  const consumer = new PartitionConsumer<IngestResult>({
    name: 'ingest',
    kafka: deps.kafka,
    topic,
    groupId: config.groupId,
    sessionTimeoutMs: config.sessionTimeoutMs,
    rebalanceTimeoutMs: config.rebalanceTimeoutMs,
    concurrency: config.concurrency,
    chunkRecords: config.chunkEvents,
    handle: async (records) => {
      await deps.outboxLimit.check();
      const result = await handle(records);
      if (result.enqueued > 0) deps.onEnqueued(); // before the offset is committed: nobody waits for that
      return result;
    },
    nothing: { types: [], misrouted: 0, outcomes: [], deadLetters: [], enqueued: 0, steps: [] },
    clock,
    logger,
    observer,
    probe: async ({ code }) => {
      if (code === 'BRX_OUTBOX_FULL') return answers(deps.outboxLimit.check());
      return code.startsWith('BRX_DATABASE_') ? answers(postgres.ping()) : true; // the next try asks whatever it was
    },
    onFatal: deps.onFatal,
    faults: { handled: 'ingest.commit-acknowledged', offsetCommitted: 'ingest.offset-committed' },
  });
  return {
    services: [consumer, new EndOffsets({ kafka: deps.kafka, topic, groupId: config.groupId, lag: consumer.lag, memory: deps.memory, clock, logger })],
    health: createHealth(consumer, 2 * config.sessionTimeoutMs + 2 * postgres.config.transactionTimeoutMs),
    reading: () => consumer.reading(),
  };
}
