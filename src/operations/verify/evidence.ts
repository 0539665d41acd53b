import type { Change } from './rules.ts';
import type { Position } from './topic-log.ts';

/**
 * The independent oracle: what the database must hold after this log, worked out another way than the ingest role does it. Not
 * chunk by chunk with all users mixed, but: first decide for every event id which of its records counts, then sort by item,
 * then replay one item at a time with the rule table of `rules.ts`.
 *
 * Four things a log cannot tell, and for these the oracle takes the database's word, within limits:
 * - *When* a record was processed, which decides `too_old`. It was between the record's own timestamp and now; where both
 *   answers are possible (TOLERANCE_MS for clocks that differ), the one the database recorded is accepted.
 * - In which order events of one user were taken that stand in several partitions (a producer with another partitioner). The
 *   database's order is accepted if it keeps the order inside each partition and every outcome follows from it.
 * - When a sale took its steps, between which events of its items. The steps and their places in the items' histories are
 *   the database's; what each does, and that each purchase and change finds what follows from it, is worked out here.
 * - Which products of a bulk sync became stock, and when. The rows are the ledger's, and their places; what each said is its chunk's.
 */
export interface Evidence {
  /** The ledger has a row of this event. */
  inLedger(event: number): boolean;
  /** That row says the same as this occurrence: item, kind, quantity, version, time. */
  ledgerMatches(event: number, occurrence: number): boolean;
  /** Reason of the dead letter at this position. */
  deadLetterAt(position: Position): string | undefined;
  /** Events of a parked user that wait. */
  isParked(event: number): boolean;
  /** Records of this partition from this offset on may not have been processed yet. */
  frontier(partition: number): number;
  /** The item's ledger rows in the database's order, oldest first. */
  chain(item: number): readonly number[] | undefined;
  /** What came from no record of this topic: imports of bulk syncs, drift that was mended. */
  readonly imports: readonly Import[];
  /** How a sale stands. */
  saga(sale: number): SagaEvidence | undefined;
  /** Of a ledger row: its outcome's letter, and the row before it in its item's history, -1 for none. */
  row(row: number): { outcome: string; previous: number } | undefined;
}

/** A ledger row of ours that set an item. */
export interface Import {
  readonly row: number;
  readonly item: number;
  readonly change: Change;
  /** False: what it said beside the quantity is not known any more. */
  readonly isWhole: boolean;
}

export interface SagaEvidence {
  /** The PurchaseRequested that started it. */
  readonly event: number;
  /** In order. */
  readonly steps: readonly SaleStep[];
}

export interface SaleStep {
  readonly version: number;
  readonly fact: string;
  /** After it. */
  readonly state: string;
  readonly eventId: string;
  readonly reason: string | null;
}

/** Nobody asked a database: everything was processed, a moment ago. */
export const NO_EVIDENCE: Evidence = {
  inLedger: () => false,
  ledgerMatches: () => false,
  deadLetterAt: () => undefined,
  isParked: () => false,
  frontier: () => Number.POSITIVE_INFINITY,
  chain: () => undefined,
  imports: [],
  saga: () => undefined,
  row: () => undefined,
};
