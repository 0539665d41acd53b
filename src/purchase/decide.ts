import type { PurchaseReason } from '../contract/index.ts';
import type { Listed, Operation } from '../marketplace/index.ts';
import { ENDED, sagaLines, type Fact, type OperatorVerb, type Saga } from './saga.ts';

/**
 * What makes somebody look at a saga. The record that arrived says no more than "look": everything that counts is in the saga and
 * its operations, so a record that comes twice, late or out of order decides nothing wrongly.
 */
export type Stimulus =
  | { readonly kind: 'look' }
  | { readonly kind: 'cancel' }
  /** An operator lets a stuck saga go on, after its operations were told to try again or were given a verdict; for others a look. */
  | { readonly kind: 'resume'; readonly verb: OperatorVerb }
  /** An operator undoes it. */
  | { readonly kind: 'compensate' }
  /** An operator lets it stand: what was called for has been done, by us or by hand. */
  | { readonly kind: 'confirm' }
  /** It cannot go on: an operator must look. */
  | { readonly kind: 'stick'; readonly why: string };

export interface View {
  /** Operations of this saga, oldest first. */
  readonly operations: readonly Operation[];
  /** Listings of its items; asked for only while RESERVED. */
  readonly listings: readonly Listed[];
  /** While RESERVED: whether the stock still covers what it holds. A SET may have gone below what is held since. */
  readonly covered: boolean;
  readonly now: number;
}

/**
 * The next fact, or nothing when there is nothing to do but wait. Whoever asks applies the fact and asks again with `look`, until
 * there is none.
 *
 * Before the pivot (the first call that may have been sent) a saga can simply be undone. After it only what CardTrader did decides:
 * an operation whose outcome is unknown is waited for, never guessed, so no stock is released while a remote sale may stand.
 */
export function decide(saga: Saga, view: View, stimulus: Stimulus): Fact | undefined {
  switch (stimulus.kind) {
    case 'cancel':
      return onCancel(saga, view);
    case 'resume':
      if (saga.state === 'NEEDS_OPERATOR') return { fact: 'resumed', verb: stimulus.verb };
      break;
    case 'stick':
      return ENDED.has(saga.state) || saga.state === 'NEEDS_OPERATOR' ? undefined : { fact: 'stuck', why: stimulus.why };
    case 'compensate':
      return saga.state === 'REJECTED' || saga.state === 'COMPENSATED' || saga.state === 'COMPENSATING' ? undefined : undo(saga, view, 'operator');
    case 'confirm':
      return stands(saga, view) ? { fact: 'confirmed' } : undefined;
    case 'look':
      break;
  }
  switch (saga.state) {
    case 'RESERVED':
      return onReserved(saga, view);
    case 'CALLING':
    case 'RECONCILING':
      return onCalls(saga, view);
    case 'COMPENSATING':
      return onCompensating(saga, view);
    case 'NEEDS_OPERATOR':
    case 'CONFIRMED':
    case 'REJECTED':
    case 'COMPENSATED':
      return undefined;
  }
}

function onCancel(saga: Saga, view: View): Fact | undefined {
  switch (saga.state) {
    case 'RESERVED':
    case 'CALLING':
    case 'RECONCILING':
    case 'CONFIRMED':
      return undo(saga, view, 'cancelled');
    case 'NEEDS_OPERATOR':
      return saga.cancelled ? undefined : { fact: 'cancel_noted' };
    case 'COMPENSATING': // being undone already, for a reason of its own
    case 'REJECTED':
    case 'COMPENSATED':
      return undefined;
  }
}

function onReserved(saga: Saga, view: View): Fact {
  if (view.now >= saga.deadlineAt) return { fact: 'compensated', reason: 'expired' };
  if (!view.covered) return { fact: 'compensated', reason: 'insufficient_stock' };
  const listed = new Set(view.listings.map(({ itemId }) => itemId));
  const take = sagaLines(saga.lines).filter(({ itemId }) => listed.has(itemId));
  return take.length === 0 ? { fact: 'confirmed' } : { fact: 'called', take };
}

function onCalls(saga: Saga, view: View): Fact | undefined {
  const takes = view.operations.filter(({ kind }) => kind === 'TAKE');
  if (takes.length === 0) return { fact: 'stuck', why: 'its operations are not there' }; // somebody deleted rows: nothing may be concluded from that
  if (saga.cancelled) return undo(saga, view, 'cancelled');
  const stuck = takes.find(({ state }) => state === 'NEEDS_OPERATOR');
  if (stuck !== undefined) return { fact: 'stuck', why: stuck.reason ?? 'unexplained' };
  const refused = takes.find(({ state }) => state === 'REFUSED' || state === 'WITHDRAWN');
  if (refused !== undefined) return undo(saga, view, reasonOf(refused));
  if (takes.every(({ state }) => state === 'APPLIED')) return { fact: 'confirmed' };
  // Late, but what may have been sent must be known first: with an outcome open the undoing only takes back what is still here.
  if (view.now >= saga.deadlineAt) return undo(saga, view, 'expired');
  const unknown = takes.filter(({ state }) => state === 'UNKNOWN');
  if (saga.state === 'CALLING' && unknown.length > 0) return { fact: 'unknown', operations: unknown.map(({ id }) => id) };
  if (saga.state === 'RECONCILING' && unknown.length === 0) return { fact: 'found' };
  return undefined;
}

/** From here on only backwards. Ended as soon as nothing is out and nothing is left to give back. */
function onCompensating(saga: Saga, view: View): Fact | undefined {
  const stuck = view.operations.find(({ state, kind }) => state === 'NEEDS_OPERATOR' || (kind === 'RETURN' && state === 'REFUSED'));
  if (stuck !== undefined) return { fact: 'stuck', why: stuck.reason ?? 'unexplained' };
  // Not carried out after all, and so far not sent again: nobody wants it any more. (Most are called off where that is found out: dispatcher/store.ts.)
  if (view.operations.some(isUnsent)) return undo(saga, view, saga.reason ?? 'operator');
  const giveBack = toGiveBack(view.operations);
  if (giveBack.length > 0) return { fact: 'giving_back', giveBack };
  if (view.operations.some(({ state }) => state === 'PENDING' || state === 'SENT' || state === 'UNKNOWN')) return undefined;
  return { fact: 'compensated', reason: saga.reason ?? 'operator' };
}

/** Whether it can be let stand: everything it called for is done, nothing was given back, and nobody has called it off. */
function stands(saga: Saga, { operations }: View): boolean {
  const calling = saga.state === 'CALLING' || saga.state === 'RECONCILING' || saga.state === 'NEEDS_OPERATOR';
  return calling && !saga.cancelled && operations.every(({ kind, state }) => kind === 'TAKE' && state === 'APPLIED');
}

/** Takes back what can be taken back at once; what was never sent is withdrawn. */
function undo(saga: Saga, view: View, reason: PurchaseReason): Fact {
  const withdraw = view.operations.filter(isUnsent).map(({ id }) => id);
  const giveBack = toGiveBack(view.operations);
  const out = view.operations.some(({ state }) => state === 'SENT' || state === 'UNKNOWN' || state === 'NEEDS_OPERATOR');
  // Nothing was ever asked of CardTrader: one step is enough.
  if (withdraw.length + giveBack.length === 0 && !out && (saga.state === 'RESERVED' || saga.state === 'CONFIRMED')) return { fact: 'compensated', reason };
  return { fact: 'compensating', reason, withdraw, giveBack };
}

const isUnsent = ({ kind, state }: Operation): boolean => kind === 'TAKE' && state === 'PENDING';

/** TAKEs that took effect and have no RETURN yet. */
function toGiveBack(operations: readonly Operation[]): string[] {
  const returned = new Set(operations.map(({ returns }) => returns));
  return operations.filter(({ id, kind, state }) => kind === 'TAKE' && state === 'APPLIED' && !returned.has(id)).map(({ id }) => id);
}

function reasonOf({ reason }: Operation): PurchaseReason {
  switch (reason) {
    case 'remote_insufficient_stock':
    case 'remote_product_gone':
    case 'operator':
      return reason;
    case 'forbidden':
    case 'refused':
    case 'merged':
    case 'unexplained':
    case null:
      return 'remote_refused';
  }
}
