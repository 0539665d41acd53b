import type { RecordName, RecordOf } from '../../contract/index.ts';
import type { Result, Work } from './work.ts';

/** A record that tells a sale what became of its operation. */
export type RemoteStockMessage = { [Name in RemoteStockRecord]: { readonly record: Name; readonly value: RecordOf<Name> } }[RemoteStockRecord] & {
  /** Of the sale: sent as a header. */
  readonly traceparent: string | null;
};
export const REMOTE_STOCK_RECORDS = ['RemoteStockTaken', 'RemoteStockRefused', 'RemoteStockReturned', 'RemoteStockUnknown'] as const satisfies readonly RecordName[];
type RemoteStockRecord = (typeof REMOTE_STOCK_RECORDS)[number];

/**
 * What a result tells the operation's sale, if anything: that it is settled, or that its outcome is open now. The id follows from
 * the operation, what became of it and the attempt, so that a result recorded twice tells the same. Pure.
 */
export function messageOf(work: Work, result: Result, now: number, derive: (ms: number, name: string) => string): RemoteStockMessage | undefined {
  const { purchaseId, listing, kind, quantity, state, traceparent } = work;
  if (purchaseId === null) return undefined;
  const identity = identityOf(work, purchaseId, result.to, derive);
  const productId = result.listing?.productId ?? listing.productId;
  if (productId === 0) return undefined; // never listed, so there is nothing to name: the sale sees it when it looks again
  switch (result.to) {
    case 'APPLIED':
      return { traceparent, record: kind === 'RETURN' ? 'RemoteStockReturned' : 'RemoteStockTaken', value: { ...identity, product_id: productId, quantity, occurred_at: now } };
    case 'REFUSED':
      return { traceparent, record: 'RemoteStockRefused', value: { ...identity, product_id: productId, reason: result.reason ?? 'refused', occurred_at: now } };
    case 'NEEDS_OPERATOR':
      return { traceparent, record: 'RemoteStockUnknown', value: { ...identity, product_id: productId, reason: 'needs_operator', occurred_at: now } };
    case 'UNKNOWN':
      return state === 'PENDING' ? { traceparent, record: 'RemoteStockUnknown', value: { ...identity, product_id: productId, reason: 'answer_lost', occurred_at: now } } : undefined;
    case 'PENDING':
      return undefined;
  }
}

/** What tells a sale that is being undone that an operation was not carried out, and will not be. Pure. */
export function calledOffMessage(work: Work, now: number, derive: (ms: number, name: string) => string): RemoteStockMessage | undefined {
  const { purchaseId, listing, traceparent } = work;
  if (purchaseId === null || listing.productId === 0) return undefined;
  return { traceparent, record: 'RemoteStockRefused', value: { ...identityOf(work, purchaseId, 'WITHDRAWN', derive), product_id: listing.productId, reason: 'withdrawn', occurred_at: now } };
}

const identityOf = ({ userId, id, createdAt, attempts, listing }: Work, purchaseId: string, to: string, derive: (ms: number, name: string) => string) => ({ event_id: derive(createdAt, `operation/${userId}/${id}/${to}/${attempts}`), purchase_id: purchaseId, user_id: userId, operation_id: id, item_id: listing.itemId });
