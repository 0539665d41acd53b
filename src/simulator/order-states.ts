import type { Guesses } from './guesses.ts';
import type { Order, OrderState } from './model.ts';

/**
 * What may happen to an order; pure.
 *
 *   direct:   paid ─ship─► sent ─arrive─► arrived ─review─► done
 *   CT Zero:  hub_pending ─merge─► closed, and the merged order of the week starts in paid
 *   either:   paid, sent ─request_cancellation─► request_for_cancel ─confirm_cancellation─► canceled
 *                                                    └─refuse_cancellation─► back (a guess)
 *             sent ─lose─► lost       paid, hub_pending ─cancel─► canceled (by CardTrader itself; inferred)
 */
export type OrderEvent = 'ship' | 'arrive' | 'review' | 'request_cancellation' | 'confirm_cancellation' | 'refuse_cancellation' | 'cancel' | 'lose' | 'merge';
export const ORDER_EVENTS: readonly OrderEvent[] = ['ship', 'arrive', 'review', 'request_cancellation', 'confirm_cancellation', 'refuse_cancellation', 'cancel', 'lose', 'merge'];

const NEXT: Readonly<Record<OrderState, Partial<Record<OrderEvent, OrderState | 'back'>>>> = {
  paid: { ship: 'sent', request_cancellation: 'request_for_cancel', cancel: 'canceled' },
  sent: { arrive: 'arrived', request_cancellation: 'request_for_cancel', lose: 'lost' },
  arrived: { review: 'done' },
  done: {},
  hub_pending: { merge: 'closed', cancel: 'canceled' },
  closed: {},
  request_for_cancel: { confirm_cancellation: 'canceled', refuse_cancellation: 'back' },
  canceled: {},
  lost: {},
};

export interface OrderMove {
  readonly event: OrderEvent;
  readonly at: number;
  readonly requester?: 'seller' | 'buyer' | undefined;
  /** Do canceled goods go back on sale; what was said at the request holds unless the confirmation says otherwise. */
  readonly relist?: boolean | undefined;
}

/** The order afterwards, or undefined where its state forbids it. */
export function moveOrder(order: Order, move: OrderMove, guesses: Guesses): Order | undefined {
  const next = NEXT[order.state][move.event];
  if (next === undefined) return undefined;
  const state = next === 'back' ? (guesses.afterRefusedCancel === 'paid' ? 'paid' : (order.stateBefore ?? 'paid')) : next;
  return {
    ...order,
    state,
    stateBefore: state === 'request_for_cancel' ? order.state : null,
    changedAt: move.at,
    sentAt: move.event === 'ship' ? move.at : order.sentAt,
    cancelledAt: state === 'canceled' ? move.at : order.cancelledAt,
    cancelRequester: move.event === 'request_cancellation' ? (move.requester ?? 'buyer') : move.event === 'refuse_cancellation' ? null : order.cancelRequester,
    relist: move.relist ?? order.relist,
  };
}
