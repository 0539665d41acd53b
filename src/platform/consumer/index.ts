/** A Kafka consumer that makes chunks of records durable before it commits their offsets. */
export { PartitionConsumer, type ConsumerDeps, type ConsumerReading } from './consumer.ts';
export { EndOffsets } from './end-offsets.ts';
export { checkAnswers, createHealth, type Check, type ConsumerHealth } from './health.ts';
export type { GroupMemory, SeenPartition } from './memory.ts';
export { watchConsumers } from './metrics.ts';
export type { CommittedChunk, ConsumerObserver } from './observer.ts';
export { CONSUMER_STATUSES, PartitionStatus, type ConsumerStatus } from './status.ts';
export type { ConsumerRole } from './role.ts';
export type { HeaderValue, Position, RecordHeaders, SourceRecord } from './record.ts';
