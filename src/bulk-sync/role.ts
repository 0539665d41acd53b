import type { Config } from '../config.ts';
import type { Catalogue } from '../catalogue/index.ts';
import { TOPICS, topicName } from '../contract/index.ts';
import type { BrxError } from '../errors.ts';
import type { Access } from '../marketplace/index.ts';
import type { Clock } from '../platform/clock.ts';
import { createHealth, EndOffsets, PartitionConsumer, type ConsumerRole, type GroupMemory } from '../platform/consumer/index.ts';
import { randomUuid } from '../platform/ids.ts';
import { createEncoder, type Codec, type Kafka, type Registry } from '../platform/kafka/index.ts';
import type { Logger } from '../platform/log.ts';
import type { Postgres } from '../platform/postgres/index.ts';
import { Decoder } from '../records/index.ts';
import { NOTHING, snapshotHandler, type SnapshotResult } from './handle.ts';
import type { BulkSyncObserver, SnapshotObserver } from './observer.ts';
import { pausesOf } from './retries.ts';
import { BulkSyncWorker } from './worker.ts';

export interface BulkSyncDeps {
  readonly config: Pick<Config, 'bulkSync' | 'dispatcher' | 'orders'>;
  readonly topicPrefix: string;
  readonly registry: Pick<Registry, 'versions'>;
  readonly postgres: Postgres;
  readonly access: Access;
  readonly clock: Clock;
  readonly observer: BulkSyncObserver;
  readonly onEnqueued: () => void;
  readonly onFatal: (error: BrxError) => void;
}

/** Works on jobs: part of the dispatcher role. */
export function createBulkSync({ config: { bulkSync, dispatcher, orders }, topicPrefix, registry, ...deps }: BulkSyncDeps): BulkSyncWorker {
  return new BulkSyncWorker({
    ...deps,
    owner: randomUuid(),
    leaseMs: dispatcher.leaseMs,
    jobsAtOnce: bulkSync.jobs,
    chunkProducts: bulkSync.chunkProducts,
    settleMs: orders.settleMs,
    ordersPatienceMs: bulkSync.ordersPatienceMs,
    reconcile: bulkSync.reconcile,
    encoder: createEncoder(registry, ['InventorySnapshotChunk']),
    snapshots: topicName(topicPrefix, TOPICS.inventorySnapshots),
  });
}

export interface SnapshotRoleDeps {
  readonly config: Pick<Config, 'bulkSync' | 'ingest' | 'orders'>;
  readonly topicPrefix: string;
  readonly kafka: Kafka;
  readonly codec: Codec;
  readonly registry: Pick<Registry, 'versions'>;
  readonly postgres: Postgres;
  readonly catalogue: Pick<Catalogue, 'lookup'> | undefined;
  readonly memory?: GroupMemory;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: SnapshotObserver;
  readonly onEnqueued: () => void;
  /** Listing sync has something to do. */
  readonly onOperations: () => void;
  readonly onFatal: (error: BrxError) => void;
}

/** Records of one poll of all partitions; what is done at once is for the handler to say. */
const CHUNK_RECORDS = 12;
/** Several records: one is some 100 KB. */
const FETCH_BYTES = 1_048_576;

/** Applies chunks: part of the ingest role, with a consumer group of its own, so that a large import holds up no event. */
export function createSnapshots({ config: { bulkSync, ingest, orders }, topicPrefix, kafka, codec, registry, postgres, catalogue, memory, clock, logger, observer, onEnqueued, onOperations, onFatal }: SnapshotRoleDeps): ConsumerRole {
  const topic = topicName(topicPrefix, TOPICS.inventorySnapshots);
  const handle = snapshotHandler(new Decoder(codec, ['InventorySnapshotChunk']), {
    postgres,
    clock,
    catalogue,
    consumerGroup: bulkSync.groupId,
    pauses: pausesOf(bulkSync.chunkRetries),
    encoder: createEncoder(registry, ['InventoryLevel']),
    inventoryLevels: topicName(topicPrefix, TOPICS.inventoryLevels),
    settleMs: orders.settleMs,
    onRetry: (failure) => observer.transactionRetried(failure.state ?? failure.kind),
  });
  const consumer = new PartitionConsumer<SnapshotResult>({
    name: 'snapshots',
    kafka,
    topic,
    groupId: bulkSync.groupId,
    sessionTimeoutMs: ingest.sessionTimeoutMs,
    rebalanceTimeoutMs: ingest.rebalanceTimeoutMs,
    concurrency: 2,
    chunkRecords: CHUNK_RECORDS,
    fetchBytes: FETCH_BYTES,
    handle: async (records) => {
      const result = await handle(records);
      if (result.enqueued > 0) onEnqueued();
      if (result.operations > 0) onOperations();
      return result;
    },
    nothing: NOTHING,
    clock,
    logger,
    observer,
    probe: async ({ code }) => (code.startsWith('BRX_DATABASE_') ? postgres.ping().then(() => true, () => false) : true), // the next try asks whatever it was
    onFatal,
    faults: { handled: 'bulk.commit-acknowledged', offsetCommitted: 'bulk.offset-committed' },
  });
  return {
    services: [consumer, new EndOffsets({ kafka, topic, groupId: bulkSync.groupId, lag: consumer.lag, memory, clock, logger })],
    health: createHealth(consumer, 2 * ingest.sessionTimeoutMs + 2 * postgres.config.transactionTimeoutMs),
    reading: () => consumer.reading(),
  };
}
