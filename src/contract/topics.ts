import type { RecordName } from './records.ts';

/**
 * The one list of topics: creation, schema registration, documentation and tests all read it.
 *
 * Every retention is below the deduplication horizon (30 days by default): what can still be read again is still known.
 */
export interface Topic {
  /** Without the environment's prefix; see `topicName`. */
  readonly name: string;
  readonly records: readonly RecordName[];
  /** Fixed for good: growing would move users to other partitions past their own unread events. */
  readonly partitions: number;
  readonly retentionMs: number;
  readonly cleanupPolicy: 'delete';
  readonly writtenBy: string;
}

const PARTITIONS = 12;
const DAY_MS = 86_400_000;

const topic = (name: string, retentionDays: number, writtenBy: string, records: readonly RecordName[]): Topic => ({
  name,
  records,
  partitions: PARTITIONS,
  retentionMs: retentionDays * DAY_MS,
  cleanupPolicy: 'delete',
  writtenBy,
});

export const TOPICS = {
  marketplaceEvents: topic('brx.marketplace-events', 7, 'producers; BRX Sync, for sales on CardTrader', ['InventoryChanged', 'PurchaseRequested', 'PurchaseCancelled']),
  sagaEvents: topic('brx.saga-events', 7, 'BRX Sync', ['PurchaseReserved', 'PurchaseAdvanced', 'RemoteStockTaken', 'RemoteStockRefused', 'RemoteStockReturned', 'RemoteStockUnknown']),
  purchaseOutcomes: topic('brx.purchase-outcomes', 7, 'BRX Sync', ['PurchaseSettled']),
  inventoryLevels: topic('brx.inventory-levels', 7, 'BRX Sync', ['InventoryLevel']),
  inventorySnapshots: topic('brx.inventory-snapshots', 3, 'BRX Sync', ['InventorySnapshotChunk']),
} as const satisfies Record<string, Topic>;

export type TopicKey = keyof typeof TOPICS;

/** Dead letters are kept longer than what they came from, yet below the horizon: whatever is there can be sent again. */
const DEAD_LETTER_DAYS = 28;

/** The dead-letter twin of a topic: the original bytes, keys and headers, in as many partitions. */
export function deadLetterTopic(source: Topic): Topic {
  return { ...source, name: `${source.name}.dlq`, retentionMs: DEAD_LETTER_DAYS * DAY_MS, writtenBy: 'BRX Sync' };
}

/** Every topic there must be, dead-letter twins included. */
export const ALL_TOPICS: readonly Topic[] = Object.values(TOPICS).flatMap((source: Topic) => [source, deadLetterTopic(source)]);

/** The topic's name on the cluster: prefix and name as they stand, e.g. `staging.` + `brx.marketplace-events`. */
export function topicName(prefix: string, of: Topic): string {
  return `${prefix}${of.name}`;
}
