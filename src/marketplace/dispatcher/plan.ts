import { readUserDataField, type RemoteProduct } from '../client/index.ts';
import { copiesWanted, detailsToSend, spareCopies, type Details } from '../listing-sync/index.ts';
import type { Listing, MismatchKind } from '../listings/index.ts';
import type { Work } from './work.ts';

/**
 * What to do about an operation that was certainly not carried out, given the product as CardTrader shows it now. Pure.
 *
 * The write is an absolute quantity (outbox-and-saga.md section 4.2): repeated it does the same, and its marker tells it. What it
 * starts from is what was read, unless the product carries another marker than the one we confirmed last: then the reading is an
 * older state (a stale export), or a write of ours took effect very late, and the lower of the two numbers is the safe one.
 */
export type Plan =
  | { readonly plan: 'write'; readonly before: number; readonly target: number; /** Of a SYNC. */ readonly details?: Details; readonly mismatch: MismatchKind | null }
  /** It is there already: an earlier attempt did take effect. */
  | { readonly plan: 'done' }
  /** Fewer copies than wanted. */
  | { readonly plan: 'too_few'; readonly found: number }
  /** There is no product: sold out, or taken off. */
  | { readonly plan: 'gone' }
  /** There is no product to put copies back to: it is to be listed anew. */
  | { readonly plan: 'create' }
  /** CardTrader shows what it should. */
  | { readonly plan: 'same'; readonly before: number; readonly mismatch: MismatchKind | null }
  /** Of a SYNC: the reading is older than what we know. It is better read again, unless it has been so for long. */
  | { readonly plan: 'stale'; readonly otherwise: Plan };

type Subject = Pick<Work, 'id' | 'kind' | 'quantity' | 'listing' | 'stock' | 'problem'>;

export function plan(work: Subject, product: RemoteProduct | null): Plan {
  const { id, kind, quantity, listing } = work;
  if (product === null) return { plan: kind === 'RETURN' ? 'create' : 'gone' };
  const marker = readUserDataField(product.userDataField).operationId;
  if (marker === id) return { plan: 'done' };
  const trusted = listing.gone || marker === listing.operationId; // one that was gone and is there again has nothing to be compared with
  const before = trusted ? product.quantity : Math.min(product.quantity, listing.quantity);
  const surprise = surpriseOf(product.quantity, listing, trusted);
  switch (kind) {
    case 'TAKE':
      return before < quantity ? { plan: 'too_few', found: before } : { plan: 'write', before, target: before - quantity, mismatch: surprise };
    case 'LOWER':
      return { plan: 'write', before, target: Math.max(0, before - quantity), mismatch: surprise };
    case 'RETURN':
      return { plan: 'write', before, target: before + quantity, mismatch: surprise };
    case 'SYNC':
      return trusted ? planSync(work, product, before, surprise) : { plan: 'stale', otherwise: planSync(work, product, before, surprise) };
  }
}

/**
 * What a SYNC writes: our own changes since CardTrader was seen last, on top of what is there now. A copy that was sold there in between is
 * missing from both sides of that sum, so it is not put up again, whether or not the stock has heard of the sale.
 */
function planSync({ stock, listing, problem }: Subject, product: RemoteProduct, before: number, mismatch: MismatchKind | null): Plan {
  if (stock === null) return { plan: 'same', before, mismatch };
  const target = copiesWanted(stock, listing.unaccounted + before - listing.quantity);
  const details = target === 0 ? {} : detailsToSend(stock, { priceCents: product.priceCents, currency: product.currency, product: { ...listing.product, properties: product.properties } }, problem);
  return target === before && Object.keys(details).length === 0 ? { plan: 'same', before, mismatch } : { plan: 'write', before, target, details, mismatch };
}

function surpriseOf(found: number, { quantity: confirmed, unaccounted }: Listing, trusted: boolean): MismatchKind | null {
  if (found === confirmed || (trusted && found - confirmed === -unaccounted)) return null; // a sale there our stock knows of already
  if (!trusted) return found > confirmed ? 'echo' : 'fewer';
  return found > confirmed ? 'more' : 'fewer';
}

/** How many copies an operation moves on CardTrader: a sale takes first what is here and not listed there, and gives back what it took. */
export function copiesMoved({ kind, quantity, state, intent, stock, listing, listed, taken }: Work): number {
  switch (kind) {
    case 'TAKE':
      if (state !== 'PENDING' && intent !== null) return intent.before - intent.target;
      if (!listed) return 0;
      return stock === null ? quantity : Math.max(0, quantity - spareCopies(stock, listing));
    case 'RETURN':
      return taken ?? quantity;
    case 'LOWER':
      return quantity;
    case 'SYNC':
      return 0;
  }
}
