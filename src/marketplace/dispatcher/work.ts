import type { Listing, Mismatch } from '../listings/index.ts';
import type { Problem, Stock } from '../listing-sync/index.ts';
import type { OperationKind, OperationReason, OperationState } from '../operations/index.ts';

/** An operation that is due, with its listing: what it takes to carry it out or to find out what became of it. */
export interface Work {
  readonly id: string;
  readonly userId: string;
  readonly purchaseId: string | null;
  readonly kind: OperationKind;
  /** Copies. */
  readonly quantity: number;
  readonly state: Extract<OperationState, 'PENDING' | 'SENT' | 'UNKNOWN'>;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** How often it was sent. */
  readonly attempts: number;
  /** What was written down before it was sent last; null if it never was. */
  readonly intent: Intent | null;
  /** Of an item that was never listed: one with product 0 that is gone. */
  readonly listing: Listing;
  /** Whether there is, or was, a product. */
  readonly listed: boolean;
  /** What is here of the item; null: the seller has no listing sync, or there is no such item. */
  readonly stock: Stock | null;
  readonly problem: Problem | null;
  /** Of a RETURN: what its TAKE took from CardTrader; null: all of it. */
  readonly taken: number | null;
  /** The bulk job it was sent with; empty: its id was never heard; null: it was sent alone. */
  readonly jobId: string | null;
  /** Milliseconds since 1970, when it was sent last. */
  readonly sentAt: number | null;
  /** Of its sale; null: it has none, or nobody's. */
  readonly traceparent: string | null;
}

/** What is written down before a call that may change something. */
export interface Intent {
  readonly productId: number | null;
  /** CardTrader's clock, milliseconds, when `before` was read. */
  readonly readAt: number;
  /** What the write starts from; what was read, or less where the reading cannot be trusted. */
  readonly before: number;
  /** What it is to be afterwards. */
  readonly target: number;
  /** Whether the operation's marker is sent along. */
  readonly marked: boolean;
  /** Where a product is listed anew: products of its blueprint and how many copies they had. */
  readonly siblings: readonly Sibling[] | null;
  /** The item's newest ledger row when this was decided; with another one now it is not sent. Null: it does not depend on that. */
  readonly eventId?: string | null;
  /** Of one that lists an item: the card it lists. */
  readonly blueprintId?: number | null;
  /** It goes with others in one job. */
  readonly bulk?: boolean;
}

export interface Sibling {
  readonly productId: number;
  readonly quantity: number;
}

/** What became of a piece of work: the operation's next state, and what was learned on the way. */
export interface Result {
  readonly to: Exclude<OperationState, 'SENT' | 'WITHDRAWN'>;
  readonly reason: OperationReason | null;
  /** While it is not settled: when somebody looks again, milliseconds from now. */
  readonly againMs: number | null;
  /** The listing as it is known now; null: nothing new. */
  readonly listing: Listing | null;
  /** Copies that a write of ours put up again although they were sold there. */
  readonly lower: number;
  /** What the operation itself did to CardTrader's number, where `listing` is given: the rest of the change was CardTrader's own. */
  readonly own: number;
  /** What CardTrader said of the item; null: nothing is wrong any more; undefined: nothing new. */
  readonly problem?: Problem | null;
  /** Of a TAKE that is applied: copies that were taken from CardTrader. */
  readonly taken?: number;
  /** Whether somebody must look again whether CardTrader shows what is here. */
  readonly look?: boolean;
  /** For the circuit: whether CardTrader gave a usable answer; null: it was not asked. */
  readonly answered: boolean | null;
  /** The seller's token does not work any more. */
  readonly tokenRejected: boolean;
}

export const mismatch = (kind: Mismatch['kind'], at: number, expected: number | null, found: number | null, operationId: string | null): Mismatch => ({ kind, at, expected, found, operationId });
