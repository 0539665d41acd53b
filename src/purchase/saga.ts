import type { PurchaseReason } from '../contract/index.ts';

/**
 * The words of a sale. Pure: what happens is decided in decide.ts, what follows from it for the saga in evolve.ts, and for stock,
 * operations and messages in fold.ts.
 *
 *                                  ┌──────────── found ────────────┐
 *                                  ▼                               │
 * (STARTED) ─reserved─► RESERVED ─called─► CALLING ─unknown─► RECONCILING
 *     │                    │  │               │ │                │ │
 *     │                    │  └──confirmed────┴─│────────────────┘ │        confirmed: all taken there, or nothing listed there
 *     │                    │         ▼          └──compensating────┤
 *     │                    │     CONFIRMED ─cancelled afterwards─► COMPENSATING ◄─┐ giving_back
 *     │                    │                                       │    └─────────┘
 *     └─rejected► REJECTED └────────────compensated──────────────► COMPENSATED
 *
 *                 stuck, from any state with calls out ──► NEEDS_OPERATOR ──(an operator's verb)──► back, or to the end
 */
export const STATES = ['RESERVED', 'CALLING', 'RECONCILING', 'COMPENSATING', 'NEEDS_OPERATOR', 'CONFIRMED', 'REJECTED', 'COMPENSATED'] as const;
export type State = (typeof STATES)[number];

/** Ended; only CONFIRMED can be left again, by a cancellation. */
export const ENDED: ReadonlySet<State> = new Set(['CONFIRMED', 'REJECTED', 'COMPENSATED']);

/** A quantity of one item; a saga has one line an item, whatever the purchase said. */
export interface SagaLine {
  readonly itemId: string;
  readonly quantity: number;
}

/** The purchase as it came, for those who are told how it ended. */
export interface PurchaseLine extends SagaLine {
  readonly unitPriceCents: number;
}

export interface Saga {
  readonly userId: string;
  readonly purchaseId: string;
  /** Of the PurchaseRequested that started it. */
  readonly eventId: string;
  /** Milliseconds since 1970; part of every id that is derived. */
  readonly startedAt: number;
  readonly currency: string;
  readonly buyerId: string | null;
  /** As the purchase said. */
  readonly lines: readonly PurchaseLine[];
  /** What is not called by then is not called any more. */
  readonly deadlineAt: number;
  /** Steps so far. */
  readonly version: number;
  readonly state: State;
  readonly reason: PurchaseReason | null;
  /** A cancellation has come that could not be carried out yet. */
  readonly cancelled: boolean;
  /** Its stock was taken from on_hand and not given back. */
  readonly sold: boolean;
  /** Trace the purchase came with, as `traceparent` says it: its records, operations and log lines belong there. */
  readonly traceparent: string | null;
}

/** What has happened, as the history says it. Each is one step: one version, one row, one record. */
export type Fact =
  | { readonly fact: 'reserved' }
  | { readonly fact: 'rejected'; readonly reason: PurchaseReason }
  | { readonly fact: 'called'; readonly take: readonly SagaLine[] }
  | { readonly fact: 'unknown'; readonly operations: readonly string[] }
  | { readonly fact: 'found' }
  | { readonly fact: 'confirmed' }
  | { readonly fact: 'compensating'; readonly reason: PurchaseReason; readonly withdraw: readonly string[]; readonly giveBack: readonly string[] }
  | { readonly fact: 'giving_back'; readonly giveBack: readonly string[] }
  | { readonly fact: 'compensated'; readonly reason: PurchaseReason }
  | { readonly fact: 'stuck'; readonly why: string }
  | { readonly fact: 'cancel_noted' }
  | { readonly fact: 'resumed'; readonly verb: OperatorVerb };

export type OperatorVerb = 'retry' | 'resolve';

/** Lines of the same item put together, in the order in which items come first. */
export function sagaLines(lines: readonly PurchaseLine[]): SagaLine[] {
  const quantities = new Map<string, number>();
  for (const { itemId, quantity } of lines) quantities.set(itemId, (quantities.get(itemId) ?? 0) + quantity);
  return [...quantities].map(([itemId, quantity]) => ({ itemId, quantity }));
}
