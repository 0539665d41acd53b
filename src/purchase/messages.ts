import type { PurchaseReason, RecordOf } from '../contract/index.ts';
import { sagaLines, type Fact, type Saga } from './saga.ts';

/** A record a saga publishes, before it has a topic's full name and bytes. Pure. */
export type SagaMessage = SagaRecordOf & {
  /** Of the saga: sent as a header. */
  readonly traceparent: string | null;
};
type SagaRecordOf =
  | { readonly topic: 'sagaEvents'; readonly record: 'PurchaseReserved'; readonly value: RecordOf<'PurchaseReserved'> }
  | { readonly topic: 'sagaEvents'; readonly record: 'PurchaseAdvanced'; readonly value: RecordOf<'PurchaseAdvanced'> }
  | { readonly topic: 'purchaseOutcomes'; readonly record: 'PurchaseSettled'; readonly value: RecordOf<'PurchaseSettled'> };

/**
 * The one record of a step: how a purchase ended goes to whoever sent it, everything else to ourselves. `before` and `after` are
 * the saga around the fact; `eventId` is the step's own.
 */
export function messageOf(fact: Fact, before: Saga, after: Saga, eventId: string, now: number): SagaMessage {
  const { traceparent } = after;
  const identity = { event_id: eventId, purchase_id: after.purchaseId, user_id: after.userId };
  switch (fact.fact) {
    case 'reserved':
      return { traceparent, topic: 'sagaEvents', record: 'PurchaseReserved', value: { ...identity, lines: sagaLines(after.lines).map(({ itemId, quantity }) => ({ item_id: itemId, quantity })), hold_expires_at: after.deadlineAt, occurred_at: now } };
    case 'rejected':
      return settled('REJECTED', fact.reason);
    case 'confirmed':
      return settled('CONFIRMED', null);
    case 'compensated':
      // Taken back if it was called off or had been confirmed before; else it never came about.
      return settled(fact.reason === 'cancelled' || before.sold ? 'CANCELLED' : 'REJECTED', fact.reason);
    case 'called':
    case 'unknown':
    case 'found':
    case 'compensating':
    case 'giving_back':
    case 'stuck':
    case 'cancel_noted':
    case 'resumed':
      return { traceparent, topic: 'sagaEvents', record: 'PurchaseAdvanced', value: { ...identity, version: after.version, fact: fact.fact, state: after.state.toLowerCase(), reason: after.reason, occurred_at: now } };
  }

  function settled(outcome: 'CONFIRMED' | 'REJECTED' | 'CANCELLED', reason: PurchaseReason | null): SagaMessage {
    const lines = after.lines.map(({ itemId, quantity, unitPriceCents }) => ({ item_id: itemId, quantity, unit_price_cents: unitPriceCents }));
    return { traceparent, topic: 'purchaseOutcomes', record: 'PurchaseSettled', value: { ...identity, outcome, reason, lines, occurred_at: now } };
  }
}
