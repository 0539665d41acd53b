import type { IngestConfig } from '../config.ts';
import { TOPICS, topicName } from '../contract/index.ts';
import type { BrxError } from '../errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { Codec, Kafka, Producer } from '../platform/kafka/index.ts';
import type { Logger } from '../platform/log.ts';
import type { Postgres } from '../platform/postgres/index.ts';
import type { Service } from '../platform/service.ts';
import { IngestConsumer } from './consumer.ts';
import { DeadLetterPublisher } from './dead-letters.ts';
import { Decoder } from './decode.ts';
import { EndOffsets } from './end-offsets.ts';
import { createHealth, type IngestHealth } from './health.ts';
import type { IngestObserver } from './observer.ts';

export { Decoder } from './decode.ts';
export { listDeadLetters, pruneDeadLetters } from './dead-letters.ts';
export type { DeadLetter } from './dead-letters.sql.ts';
export { countUnpublished } from './dead-letters.sql.ts';
export { ingestMetrics } from './metrics.ts';
export type { CommittedChunk, IngestObserver } from './observer.ts';
export { discardParkedEvents, listParkedUsers, retryParkedUser, type ParkingDeps, type RetryResult } from './parking.ts';
export { countParked, type ParkedUser } from './parking.sql.ts';
export { DEAD_LETTER_REASONS, type DeadLetterReason, type Outcome } from './record.ts';

export interface IngestDeps {
  readonly config: IngestConfig;
  readonly topicPrefix: string;
  readonly kafka: Kafka;
  readonly producer: Producer;
  readonly codec: Codec;
  readonly postgres: Postgres;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: IngestObserver;
  readonly onFatal: (error: BrxError) => void;
}

export interface Ingest {
  /** In the order they are started. */
  readonly services: readonly Service[];
  readonly health: IngestHealth;
  /** Exact lag of the partitions this instance owns. */
  readLag(): { topic: string; partition: number; records: number; seconds: number }[];
}

/** The ingest role: records of `brx.marketplace-events` into PostgreSQL, dead letters out to their topic. */
export function createIngest(deps: IngestDeps): Ingest {
  const { config, clock, logger, postgres, observer } = deps;
  const topic = topicName(deps.topicPrefix, TOPICS.marketplaceEvents);
  const deadLetters = new DeadLetterPublisher({
    postgres,
    clock,
    logger,
    producer: deps.producer,
    onPublished: (count) => observer.deadLettersPublished(count),
    onFatal: deps.onFatal,
  });
  const consumer = new IngestConsumer({
    kafka: deps.kafka,
    topic,
    groupId: config.groupId,
    sessionTimeoutMs: config.sessionTimeoutMs,
    rebalanceTimeoutMs: config.rebalanceTimeoutMs,
    concurrency: config.concurrency,
    chunkEvents: config.chunkEvents,
    decoder: new Decoder(deps.codec),
    apply: {
      postgres,
      clock,
      consumerGroup: config.groupId,
      horizonMs: config.horizonMs,
      maxParkedUsers: config.maxParkedUsers,
      onRetry: (failure) => observer.transactionRetried(failure.state ?? failure.kind),
    },
    clock,
    logger,
    observer: {
      ...observer,
      chunkCommitted(chunk) {
        observer.chunkCommitted(chunk);
        if (chunk.deadLetters.length > 0) deadLetters.wake();
      },
    },
    probe: async (error) => {
      if (!error.code.startsWith('BRX_DATABASE_')) return true; // the next try asks whatever it was
      return postgres.ping().then(
        () => true,
        () => false,
      );
    },
    onFatal: deps.onFatal,
  });
  return {
    services: [deadLetters, consumer, new EndOffsets({ kafka: deps.kafka, topic, groupId: config.groupId, lag: consumer.lag, clock, logger })],
    health: createHealth({ consumer, postgres, stillLimitMs: 2 * config.sessionTimeoutMs + 2 * postgres.config.transactionTimeoutMs }),
    readLag: () => consumer.lag.read(clock.now()),
  };
}
