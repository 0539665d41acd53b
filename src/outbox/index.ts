/** Records on their way to Kafka: rows of the transaction that decided them, published by the relay. */
export { readOutboxStats, type BlockedRow, type OutboxStats } from './blocked.sql.ts';
export { enqueue, selectUnpublished } from './enqueue.sql.ts';
export { createOutboxLimit, type OutboxLimit } from './limit.ts';
export { RELAY_SHARDS, shardOf, userMessage, type OutboxMessage } from './message.ts';
export { relayMetrics, watchOutbox } from './metrics.ts';
export type { RelayObserver } from './observer.ts';
export { listBlocked, retryBlocked, skipBlocked } from './operate.ts';
export { Relay, type RelayDeps } from './relay.ts';
export { RELAY_SESSION } from './shards.ts';
