import type { SagaConfig } from '../config.ts';
import { TOPICS, topicName } from '../contract/index.ts';
import type { BrxError } from '../errors.ts';
import type { Clock } from '../platform/clock.ts';
import { createHealth, EndOffsets, PartitionConsumer, type ConsumerRole, type GroupMemory } from '../platform/consumer/index.ts';
import type { Codec, Kafka } from '../platform/kafka/index.ts';
import type { Logger } from '../platform/log.ts';
import type { Postgres } from '../platform/postgres/index.ts';
import type { Tracer } from '../platform/tracing/index.ts';
import { Decoder } from '../records/index.ts';
import type { AdvanceDeps } from './advance.ts';
import { NOTHING, SAGA_RECORDS, sagaHandler, type SagaResult } from './handle.ts';
import type { SagaObserver } from './observer.ts';
import type { PurchaseContext } from './store.ts';
import { createSweeper } from './sweeper.ts';

export interface SagaRoleDeps {
  readonly config: SagaConfig;
  readonly topicPrefix: string;
  readonly kafka: Kafka;
  readonly codec: Codec;
  readonly postgres: Postgres;
  readonly purchase: PurchaseContext;
  /** Of where the group had been. */
  readonly memory?: GroupMemory;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: SagaObserver;
  /** Something was committed to the outbox. */
  readonly onEnqueued: () => void;
  /** Operations on CardTrader were asked for. */
  readonly onOperations: () => void;
  readonly tracer?: Tracer;
  readonly onFatal: (error: BrxError) => void;
}

/** The saga role: records of `brx.saga-events` let sagas step, and a sweep finds those that no record comes for. */
export function createSagaRole(deps: SagaRoleDeps): ConsumerRole {
  const { config, kafka, postgres, purchase, clock, logger, observer, onFatal } = deps;
  const topic = topicName(deps.topicPrefix, TOPICS.sagaEvents);
  const advancing: AdvanceDeps = { postgres, clock, purchase, onRetry: (failure) => observer.transactionRetried(failure.state ?? failure.kind), ...(deps.tracer !== undefined && { tracer: deps.tracer }) };
  const told = ({ steps, operations }: Pick<SagaResult, 'steps' | 'operations'>, enqueued: number): void => {
    if (enqueued > 0) deps.onEnqueued();
    if (operations > 0 || steps.some(({ fact }) => fact.fact === 'compensating' || fact.fact === 'giving_back')) deps.onOperations();
  };
  const handle = sagaHandler(new Decoder(deps.codec, SAGA_RECORDS), { ...advancing, consumerGroup: config.groupId, onHalved: () => consumer.progress.tried() });
  const consumer = new PartitionConsumer<SagaResult>({
    name: 'saga',
    kafka,
    topic,
    groupId: config.groupId,
    sessionTimeoutMs: config.sessionTimeoutMs,
    rebalanceTimeoutMs: config.rebalanceTimeoutMs,
    concurrency: config.concurrency,
    chunkRecords: config.chunkEvents,
    handle: async (records) => {
      const result = await handle(records);
      told(result, result.enqueued); // before the offset is committed: nobody waits for that
      return result;
    },
    nothing: NOTHING,
    clock,
    logger,
    observer,
    probe: async (error) => {
      if (!error.code.startsWith('BRX_DATABASE_')) return true; // the next try asks whatever it was
      return postgres.ping().then(
        () => true,
        () => false,
      );
    },
    onFatal,
    faults: { handled: 'saga.commit-acknowledged', offsetCommitted: 'saga.offset-committed' },
  });
  const sweeper = createSweeper({
    ...advancing,
    onSwept(result) {
      told(result, result.steps.length);
      observer.swept(result.looked, result.steps);
    },
    onWaiting: (error) => observer.waiting(error),
    onFatal,
  });
  return {
    services: [consumer, new EndOffsets({ kafka, topic, groupId: config.groupId, lag: consumer.lag, memory: deps.memory, clock, logger }), sweeper],
    health: createHealth(consumer, 2 * config.sessionTimeoutMs + 2 * postgres.config.transactionTimeoutMs),
    reading: () => consumer.reading(),
  };
}
