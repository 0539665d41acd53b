import type { PurchaseReason } from '../../contract/index.ts';
import type { EnvelopeReason, Position } from './topic-log.ts';
import type { ItemState, Outcome } from './rules.ts';

export type DeadLetterReason = EnvelopeReason | 'too_old' | 'would_go_negative' | 'out_of_range' | 'unknown_purchase' | 'discarded';
export type EventOutcome = Outcome | 'discarded';

export interface ExpectedRow {
  outcome: EventOutcome;
  delta: number;
  on_hand: number;
  /** The item's event before this one. */
  previous: number | null;
  /** The record that counts for this event. */
  occurrence: number;
}

/** A ledger row of a sale: P reserves, C is cancelled, T is sold, B is given back. */
export interface ExpectedSaleRow {
  kind: 'P' | 'C' | 'T' | 'B';
  /** a applied, s stale, r rejected, d discarded. */
  outcome: string;
  cause: string;
  quantity: number;
  delta: number;
  held: number;
  on_hand: number;
  previous: number | null;
  item: number;
  sale: number;
  /** Of the purchase, for a step of its. */
  occurrence: number;
}

/** A purchase that counts, and what it found. */
export interface ExpectedSale {
  /** The record that started it. */
  occurrence: number;
  decision: 'reserved' | PurchaseReason;
  /** What was not there: items, how many were wanted and available (null: never seen). */
  lacking: readonly { item: number; wanted: number; available: number | null }[];
  /** Cancellations that reached it. */
  cancels: readonly number[];
}

/** A ledger row of an import. */
export interface ExpectedImport {
  item: number;
  quantity: number;
  cause: string;
  delta: number;
  on_hand: number;
  previous: number | null;
  /** It stands nowhere in its item's history. */
  adrift: boolean;
}

/** What an import says beside the number of copies. */
export type Described = 'price_cents' | 'currency' | 'blueprint_id' | 'properties';

export interface ExpectedItem extends ItemState {
  last: number;
  /** Columns of which nobody knows any more what was said. */
  unknown: ReadonlySet<Described>;
}

export interface Verdict {
  /** What the ledger must say of a stock change; nothing when it must have no row. */
  row(event: number): ExpectedRow | undefined;
  /** What an item must be; nothing when it must not exist. */
  item(item: number): ExpectedItem | undefined;
  /** Ledger rows of sales, by their number. */
  saleRows: ReadonlyMap<number, ExpectedSaleRow>;
  /** Ledger rows of imports, by their number. */
  imports: ReadonlyMap<number, ExpectedImport>;
  /** Rows of steps of sales for which the database has no place in their item's history. */
  adrift: ReadonlySet<number>;
  sales: ReadonlyMap<number, ExpectedSale>;
  /** Items of scattered users whose history in the database goes against the order of a partition; all else is worked out in that order. */
  disordered: ReadonlySet<number>;
  deadLetters: readonly (Position & { reason: DeadLetterReason; occurrence: number | null })[];
  counts: Counts;
  /** Users with events in several partitions. */
  scatteredUsers: number;
}

export interface Counts {
  records: number;
  applied: number;
  stale: number;
  /** Purchases that did not find their stock. */
  rejected: number;
  /** Same event id, or same purchase, again. */
  duplicate: number;
  /** Events of parked users, waiting for `brx-sync parked retry`. */
  parked: number;
  /** Not processed yet. */
  pending: number;
  dead_letters: Record<DeadLetterReason, number>;
}

export interface OracleOptions {
  /** Deduplication horizon, milliseconds. */
  horizonMs: number;
  /** Latest time at which anything of the log can have been processed. */
  now: number;
}
