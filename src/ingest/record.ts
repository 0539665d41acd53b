import type { DeadEntry, EventEntry } from '../records/index.ts';

/** What the topic of marketplace events carries. */
export const MARKETPLACE_RECORDS = ['InventoryChanged', 'PurchaseRequested', 'PurchaseCancelled'] as const;
export type MarketplaceRecord = (typeof MARKETPLACE_RECORDS)[number];

/** An event of ours, in whichever of these records it came. */
export type MarketplaceEntry = EventEntry<MarketplaceRecord>;
export type IngestEntry = MarketplaceEntry | DeadEntry;

/**
 * What became of a record: the value a bad message is, never an exception. `rejected`: a purchase that could not be reserved; it
 * has its answer.
 */
export type Outcome = 'ok' | 'duplicate' | 'stale' | 'rejected' | 'dead' | 'parked';
