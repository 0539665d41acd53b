/**
 * The words of changes on CardTrader. Pure.
 *
 * An operation is written before it is sent, in the transaction that wants it, and settled by what CardTrader did:
 *
 *              ┌── certainly not: throttled, 401 ──┐
 *              ▼                                   │
 *  (asked) ─► PENDING ──intent written──────────► SENT ──answer lost, 5xx──► UNKNOWN
 *              │  ▲                                │                           │ a read after the quarantine
 *              │  └──────── certainly not ─────────┼───────────────────────────┤
 *              │                                   ▼                           ▼
 *              ├──► WITHDRAWN (nobody wants it) APPLIED, REFUSED        APPLIED, NEEDS_OPERATOR
 *              └──► APPLIED, REFUSED (seen by reading, nothing sent)
 */
export const OPERATION_STATES = ['PENDING', 'SENT', 'UNKNOWN', 'APPLIED', 'REFUSED', 'WITHDRAWN', 'NEEDS_OPERATOR'] as const;
export type OperationState = (typeof OPERATION_STATES)[number];

/**
 * TAKE lowers a listing for a sale, RETURN raises it again by what a TAKE took. LOWER lowers it for nobody's sale of ours: a copy
 * was sold on CardTrader between our read and our write, and the write put it up again. SYNC makes CardTrader show what is here
 * (listing-sync/README.md); what that is, is seen when it is carried out.
 */
export const OPERATION_KINDS = ['TAKE', 'RETURN', 'LOWER', 'SYNC'] as const;
export type OperationKind = (typeof OPERATION_KINDS)[number];

/** Why one was refused, or needs an operator. */
export const OPERATION_REASONS = {
  remote_insufficient_stock: 'CardTrader lists fewer copies than wanted, because some were sold there',
  remote_product_gone: 'the product is gone, and no order explains it',
  forbidden: 'CardTrader forbids it to this account',
  refused: 'CardTrader refused the change',
  unexplained: 'its answer was lost, and what CardTrader shows now fits neither that it took effect nor that it did not',
  merged: 'CardTrader added what was to be listed to another product',
  operator: 'an operator gave the verdict',
} as const;
export type OperationReason = keyof typeof OPERATION_REASONS;

/** What a sale must know of one of its operations. */
export interface Operation {
  readonly id: string;
  readonly itemId: string;
  readonly kind: OperationKind;
  readonly quantity: number;
  readonly state: OperationState;
  /** The TAKE whose effect a RETURN undoes. */
  readonly returns: string | null;
  readonly reason: OperationReason | null;
}

/** An operation somebody wants. */
export interface AskedOperation {
  readonly userId: string;
  readonly purchaseId: string;
  readonly operation: Operation;
  /** Null for a RETURN: whatever the listing is by then. */
  readonly productId: number | null;
}

/** A listing of an item on CardTrader. */
export interface Listed {
  readonly itemId: string;
  /** Null: it may be being listed at this moment. */
  readonly productId: number | null;
}

/** One call as it went, for people: kept with the operation. */
export interface Evidence {
  /** Milliseconds since 1970, ours. */
  readonly at: number;
  readonly call: 'read' | 'write' | 'orders' | 'note';
  readonly outcome: string;
  readonly reason?: string;
  readonly status?: number;
  readonly ms?: number;
  /** CardTrader's id of the request. */
  readonly requestId?: string;
  readonly quantity?: number | null;
  /** Whose marker was seen. */
  readonly marker?: string | null;
  readonly said?: string;
}
