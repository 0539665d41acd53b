import { faultPoint } from '../../platform/fault-points.ts';
import { markUserDataField, noticesText, readUserDataField, type NewProduct, type RemoteProduct } from '../client/index.ts';
import { copiesWanted, fingerprintOf, mayMergeWith, typedProperties } from '../listing-sync/index.ts';
import { snapshotOf, type Listing } from '../listings/index.ts';
import { readSiblings, type Desk, type Record } from './desk.ts';
import { again, applied, patienceMs, reasonOf, refused, refusedProblem, stalled, unknown } from './results.ts';
import { mismatch, type Intent, type Result, type Work } from './work.ts';

const NOT_NOW_MS = 1_000;

/**
 * An item is listed that has no product: copies go back to one that is not there any more, as it was, or it is put up for the first time.
 * Creating is not idempotent (cardtrader.md section 5), so what the card's products looked like before is written down with the
 * intent; a lost answer is then told by the marker, or by which of them has grown.
 */
export async function createAnew(desk: Desk, record: Record, work: Work): Promise<Result | null> {
  const { id } = work;
  const product = productOf(work);
  const read = await readSiblings(desk, record, product.blueprintId);
  if (read.outcome !== 'applied') return stalled(work, read, desk.backoffMs());
  const readAt = read.serverDate ?? desk.clock.now();
  const found = lookBefore(desk, record, work, read.body.items, readAt);
  if (found !== null) return found;
  const { field, intent } = intentOf(desk, work, product, read.body.items, readAt);
  if (!(await desk.intend(work, intent))) return again(NOT_NOW_MS, { answered: null }); // another product of the card is being listed, or it was called off
  faultPoint('dispatcher.before-send');
  const answer = await desk.client.createProduct(desk.caller(id), withText(product, field));
  faultPoint('dispatcher.after-response');
  await desk.heard(answer);
  record.call('write', answer, { quantity: product.quantity });
  switch (answer.outcome) {
    case 'throttled':
      return again(patienceMs(answer), { answered: null });
    case 'unknown':
      return unknown(desk.quarantineMs);
    case 'refused':
      if (answer.reason === 'token_rejected') return again(0, { tokenRejected: true });
      return refused(reasonOf(answer), work.kind === 'SYNC' ? refusedProblem(work, answer.message) : {});
    case 'applied':
      return listedResult(work, intent, answer.body.product, answer.serverDate ?? desk.clock.now(), desk.clock.now(), noticesText(answer.body.warnings));
  }
}

/** What is to be listed: what is here, or for a sale that is undone what was there. */
export function productOf({ kind, listing, quantity, stock }: Work): NewProduct {
  const { description, graded, properties } = listing.product;
  const text = { ...(description !== null && { description }), ...(graded !== null && { graded }) };
  if (kind !== 'SYNC') return { blueprintId: listing.blueprintId, quantity, priceCents: listing.priceCents, properties, ...text };
  if (stock === null || stock.blueprintId === null || stock.priceCents === null) throw new Error('an item without card or price is not listed');
  return { blueprintId: stock.blueprintId, quantity: copiesWanted(stock, listing.unaccounted), priceCents: stock.priceCents, properties: typedProperties(stock.properties), ...text };
}

/** What the products of the card say before another one is made: it may be there, or CardTrader would add to one that is not this item's. Null: it may be made. */
export function lookBefore(desk: Pick<Desk, 'clock'>, record: Record, work: Work, products: readonly RemoteProduct[], readAt: number): Result | null {
  const { id, kind, listing, listed, stock } = work;
  const now = desk.clock.now();
  const there = products.find((product) => readUserDataField(product.userDataField).operationId === id);
  if (there !== undefined) {
    record.note('its marker is there: an earlier attempt took effect');
    // Made by an attempt that was given up: how many copies it had is not known any more, so none is called CardTrader's own change.
    return { ...applied({ listing: listedAnew(work, there, false, readAt, now), own: there.quantity - listing.quantity }), look: true };
  }
  if (listed && products.some((product) => product.id === listing.productId)) {
    record.note('the product is there after all');
    return kind === 'SYNC' ? again(0, { listing: { ...listing, gone: false, mismatch: null } }) : again(1_000);
  }
  if (kind !== 'SYNC' || stock === null) return null;
  const named = products.find((product) => readUserDataField(product.userDataField).itemId === listing.itemId);
  if (named !== undefined) {
    record.note(`product ${named.id} names the item: it is taken for its listing`);
    const missing = Math.min(0, named.quantity - copiesWanted(stock, 0)); // perhaps sold there: not put up again by itself
    return { ...applied({ listing: listedAnew(work, named, false, readAt, now), own: named.quantity - listing.quantity - missing + listing.unaccounted }), look: true };
  }
  const twin = products.find((product) => mayMergeWith(stock, product));
  if (twin === undefined) return null;
  return refused('merged', { problem: { kind: 'would_merge', said: `CardTrader would perhaps add it to product ${twin.id}, which is the same card in the same state at the same price`, wanted: fingerprintOf(stock) } });
}

/** What is written down before it is listed, and the text that goes with it; null: it has no room for the marker. */
export function intentOf(desk: Pick<Desk, 'dataFieldLength'>, { id, kind, listing, stock }: Work, product: NewProduct, products: readonly RemoteProduct[], readAt: number): { field: string | null; intent: Intent } {
  const marked = markUserDataField(listing.product.userDataField, id, desk.dataFieldLength);
  const siblings = products.map(({ id: productId, quantity }) => ({ productId, quantity }));
  const intent: Intent = { productId: null, readAt, before: 0, target: product.quantity, marked: marked !== null, siblings, blueprintId: product.blueprintId, eventId: kind === 'SYNC' ? (stock?.eventId ?? null) : null };
  return { field: marked ?? listing.product.userDataField, intent };
}

export const withText = (product: NewProduct, field: string | null): NewProduct => (field === null ? product : { ...product, userDataField: field });

/** It is listed now, or was added to another product. */
export function listedResult(work: Work, intent: Intent, product: RemoteProduct, confirmedAt: number, now: number, warned: string): Result {
  const { kind, stock, listed, listing } = work;
  const merged = intent.siblings?.some(({ productId }) => productId === product.id) ?? false;
  const known = listedAnew(work, product, merged, confirmedAt, now);
  if (!merged) return applied({ listing: known, own: intent.target - listing.quantity, ...(kind === 'SYNC' && stock !== null && { problem: warned === '' ? null : { kind: 'warning', said: warned, wanted: fingerprintOf(stock) } }) });
  if (kind !== 'SYNC') return applied({ listing: known });
  return refused('merged', { ...(listed && { listing: known }), ...(stock !== null && { problem: { kind: 'merged', said: `CardTrader added it to product ${product.id}`, wanted: fingerprintOf(stock) } }) });
}

/**
 * The listing once its copies are up again. Added to another product of the seller's, they are on sale, but under a product that is
 * not this item's: the listing stays gone, for people to see.
 */
export function listedAnew({ id, listing }: Work, product: RemoteProduct, merged: boolean, confirmedAt: number, now: number): Listing {
  if (merged) return { ...listing, gone: true, mismatch: mismatch('merged', now, null, product.quantity, id) };
  return {
    ...listing,
    productId: product.id,
    blueprintId: product.blueprintId,
    quantity: product.quantity,
    confirmedAt,
    operationId: product.userDataField === null || product.userDataField === undefined ? id : readUserDataField(product.userDataField).operationId,
    priceCents: product.priceCents,
    currency: product.currency ?? listing.currency,
    gone: false,
    product: snapshotOf(product, listing.product.userDataField),
    soldLines: [],
  };
}
