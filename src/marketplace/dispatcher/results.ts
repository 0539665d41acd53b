import type { Refused, Throttled, ThrottledReason, Unknown } from '../client/index.ts';
import { fingerprintOf, type Problem } from '../listing-sync/index.ts';
import type { Listing } from '../listings/index.ts';
import type { OperationReason } from '../operations/index.ts';
import { mismatch, type Result, type Work } from './work.ts';

/** What becomes of an operation, from what CardTrader said. Pure. */

type Known = Partial<Pick<Result, 'listing' | 'lower' | 'own' | 'problem' | 'look'>>;

export const applied = (known: Known): Result => ({ to: 'APPLIED', reason: null, againMs: null, listing: null, lower: 0, own: 0, answered: true, tokenRejected: false, ...known });

export const refused = (reason: OperationReason, known: Known = {}): Result => ({ to: 'REFUSED', reason, againMs: null, listing: null, lower: 0, own: 0, answered: true, tokenRejected: false, ...known });

/** What CardTrader refused of an item. */
export const refusedProblem = ({ stock }: Pick<Work, 'stock'>, said: string): { problem?: Problem } => (stock === null ? {} : { problem: { kind: 'refused', said, wanted: fingerprintOf(stock) } });

/** There is nothing to do on CardTrader. */
export const notAsked = (): Result => ({ ...applied({}), answered: null });

export const needsOperator = (): Result => ({ to: 'NEEDS_OPERATOR', reason: 'unexplained', againMs: null, listing: null, lower: 0, own: 0, answered: true, tokenRejected: false });

/** It was certainly not carried out: from the start, in so long. */
export const again = (againMs: number, known: Partial<Pick<Result, 'listing' | 'own' | 'problem' | 'answered' | 'tokenRejected'>> = {}): Result => ({ to: 'PENDING', reason: null, againMs, listing: null, lower: 0, own: 0, answered: true, tokenRejected: false, ...known });

/** It may have been carried out: to be looked into, in so long. */
export const unknown = (againMs: number, known: Partial<Pick<Result, 'listing' | 'answered' | 'tokenRejected'>> = {}): Result => ({ to: 'UNKNOWN', reason: null, againMs, listing: null, lower: 0, own: 0, answered: false, tokenRejected: false, ...known });

/** How long to leave CardTrader alone after it did not take a request. */
const PATIENCE_MS: Readonly<globalThis.Record<ThrottledReason, number>> = { rate_limited: 0, busy: 200, aborted: 0, unreachable: 5_000, edge: 10_000 };

export const patienceMs = ({ reason }: Throttled): number => PATIENCE_MS[reason];

/** A read that came to nothing: the operation stays what it was. */
export function stalled({ state, kind }: Pick<Work, 'state' | 'kind'>, outcome: Refused | Throttled | Unknown, backoffMs: number): Result {
  const stay = state === 'PENDING' ? again : unknown;
  switch (outcome.outcome) {
    case 'throttled':
      return stay(patienceMs(outcome), { answered: null });
    case 'unknown':
      return stay(backoffMs, { answered: false });
    case 'refused':
      if (outcome.reason === 'token_rejected') return stay(0, { answered: true, tokenRejected: true });
      // Whoever asked for a LOWER or a SYNC will not ask again: given up, it would leave copies for sale that are not there.
      if (state !== 'PENDING' || kind === 'LOWER' || kind === 'SYNC') return stay(Math.max(backoffMs, 30_000), { answered: true });
      return refused(reasonOf(outcome));
  }
}

export const reasonOf = ({ reason }: Refused): OperationReason => (reason === 'forbidden' ? 'forbidden' : 'refused');

/** What was found, or made, for an item turned out to be another item's product: for people to see, and nothing is tied to it. */
export function ofAnother(work: Work, result: Result, now: number): Result {
  const { productId, quantity } = result.listing ?? work.listing;
  if (work.kind !== 'SYNC') return { ...result, listing: { ...work.listing, gone: true, mismatch: mismatch('merged', now, null, quantity, work.id) }, own: 0 };
  return refused('merged', work.stock === null ? {} : { problem: { kind: 'merged', said: `product ${productId} is the listing of another item`, wanted: fingerprintOf(work.stock) } });
}

/** The product of a listing is not there any more. */
export const withoutProduct = (listing: Listing): Listing => ({ ...listing, gone: true, quantity: 0, operationId: null });
