import { readUserDataField, type RemoteProduct } from '../client/index.ts';
import type { Listing } from '../listings/index.ts';
import { copies, soldSince, DATE_SLACK_MS, type CardLine, type SoldLine } from './remote-sales.ts';
import type { Intent, Sibling, Work } from './work.ts';

/**
 * Whether an operation whose answer was lost took effect, from what CardTrader shows after the quarantine. Pure
 * (outbox-and-saga.md section 4.2, "reconcile table").
 *
 *   applied      its marker is there, or the quantity can be nothing else
 *   not_applied  the quantity is what it was before, less what was sold since
 *   gone         the product is not there, and no sale explains it: whoever took it off, there is nothing to take from
 *   unclear      anything else: an operator must look
 */
export type Verdict = 'applied' | 'not_applied' | 'gone' | 'unclear';

/** `listing` as it was confirmed before the operation; `lines`: sales of the product that are not accounted for in it. */
export function judge(operationId: string, intent: Intent, listing: Confirmed, { product, at: shownAt }: Shown, lines: readonly SoldLine[]): Verdict {
  const { before, target, marked } = intent;
  const [least, most] = soldBetween(intent, product === null ? Number.POSITIVE_INFINITY : shownAt, listing, lines); // nothing is sold of what is gone
  if (product === null) return judgeGone(before, target, least, most);
  if (readUserDataField(product.userDataField).operationId === operationId) return 'applied';
  const wasNot = isBetween(before - product.quantity, marked ? 0 : least, most);
  const was = isBetween(target - product.quantity, 0, most); // a sale between our read and our write is overwritten, and lowers nothing
  // The marker goes with the quantity in one write, so without it the write was not done, unless the quantity allows of nothing else.
  if (marked) return wasNot ? 'not_applied' : was ? 'applied' : 'unclear';
  if (was === wasNot) return 'unclear';
  return was ? 'applied' : 'not_applied';
}

type Confirmed = Pick<Listing, 'quantity' | 'confirmedAt'>;

export interface Shown {
  /** null: it is not there. */
  readonly product: RemoteProduct | null;
  /** CardTrader's clock, milliseconds; orders were read later. */
  readonly at: number;
}

/**
 * How many copies were sold between the two reads, at least and at most: a sale in the second of either may be in what it showed or not.
 * Where none is so near to the confirmation or to the second read, all that was sold since the confirmation and is not in `before` was sold after it.
 */
function soldBetween({ before, readAt }: Intent, shownAt: number, { quantity, confirmedAt }: Confirmed, lines: readonly SoldLine[]): readonly [number, number] {
  const most = copies(soldSince(lines, readAt - DATE_SLACK_MS));
  const least = copies(lines.filter(({ at }) => at !== null && at >= readAt + DATE_SLACK_MS && at < shownAt - DATE_SLACK_MS));
  const doubtful = lines.some(({ at }) => at === null || at >= shownAt - DATE_SLACK_MS || Math.abs(at - confirmedAt) <= DATE_SLACK_MS);
  if (doubtful) return [least, most];
  const exact = copies(soldSince(lines, confirmedAt)) - (quantity - before);
  return exact >= least && exact <= most ? [exact, exact] : [least, most];
}

/** Between `least` and `most` copies were sold since `before` was read, and there is no product any more. */
function judgeGone(before: number, target: number, least: number, most: number): Verdict {
  if (target > before && most >= target) return least > before ? 'applied' : 'unclear'; // more than there were: of those that we put back
  if (most >= before && before > 0) return 'not_applied'; // sold out, without our write
  if (target === 0 || most >= target) return 'applied'; // taken off by our write, or sold out after it
  return 'gone';
}

const isBetween = (value: number, least: number, most: number): boolean => value >= least && value <= most;

export type CreateVerdict =
  | { readonly verdict: 'applied'; readonly product: RemoteProduct; readonly merged: boolean }
  /** It was listed anew, and all of it was sold before anybody looked. */
  | { readonly verdict: 'sold_out'; readonly productId: number | null }
  | { readonly verdict: 'not_applied' | 'unclear' };

/**
 * The same where a product was listed anew. Creating is not idempotent and may be added to an equal product of the seller's, which
 * then keeps its own text. So it was done if a product carries the marker, or one that was not there is this item's; if what was sold
 * does; or if one of those that were there has grown by as much, less what was sold of it. `lines`: sales of the card since about then.
 */
export function judgeCreate({ id: operationId, quantity, listing: { itemId } }: Pick<Work, 'id' | 'quantity' | 'listing'>, siblings: readonly Sibling[], products: readonly RemoteProduct[], lines: readonly CardLine[]): CreateVerdict {
  const isKnown = (productId: number | null): boolean => siblings.some((sibling) => sibling.productId === productId);
  const isOurs = (productId: number | null, text: string | null | undefined): boolean => {
    const field = readUserDataField(text);
    return field.operationId === operationId || (productId !== null && !isKnown(productId) && field.operationId === null && field.itemId === itemId);
  };
  const ours = products.filter(({ id, userDataField }) => isOurs(id, userDataField));
  if (ours.length > 1) return { verdict: 'unclear' };
  if (ours[0] !== undefined) return { verdict: 'applied', product: ours[0], merged: isKnown(ours[0].id) };
  const sold = lines.find(({ productId, userDataField }) => isOurs(productId, userDataField));
  if (sold !== undefined) return { verdict: 'sold_out', productId: sold.productId };

  const known = siblings.map(({ productId, quantity: had }) => {
    const product = products.find(({ id }) => id === productId);
    const has = product?.quantity ?? 0;
    const gone = copies(lines.filter((line) => line.productId === productId));
    return { product, isLess: has <= had, mayHaveGrown: isBetween(had + quantity - has, 0, gone) };
  });
  const grown = known.filter(({ mayHaveGrown }) => mayHaveGrown);
  const [only] = grown;
  if (only?.product !== undefined && grown.length === 1 && !only.isLess) return { verdict: 'applied', product: only.product, merged: true };
  // What carries another operation's marker was written by that one.
  const isStrange = ({ productId, userDataField }: Pick<CardLine, 'productId' | 'userDataField'>): boolean => !isKnown(productId) && readUserDataField(userDataField).operationId === null;
  const isOpen = grown.length > 0 || known.some(({ isLess }) => !isLess) || lines.some(isStrange) || products.some((product) => isStrange({ productId: product.id, userDataField: product.userDataField }));
  return { verdict: isOpen ? 'unclear' : 'not_applied' };
}
