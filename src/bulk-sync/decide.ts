import type { Cause, Kind, Mode } from './job.ts';

/** What is known here of a product of the export, read under the lane. */
export interface State {
  /** The item it is tied to, else the one its text names; null: neither. */
  readonly itemId: string | null;
  /** Whether there is such an item. */
  readonly exists: boolean;
  readonly onHand: number;
  readonly held: number;
  readonly removed: boolean;
  readonly priceCents: number | null;
  readonly currency: string | null;
  /** The item's listing: its product, and whether it is thought to be gone; null: it has none. */
  readonly listing: { readonly productId: number; readonly gone: boolean } | null;
  /** An operation of it on CardTrader is not settled. */
  readonly busy: boolean;
  /** It changed here, was sold there, or was changed there by us, since shortly before the export was taken; or it is about to change by a sale that the export has already. */
  readonly changed: boolean;
}

export interface Rules {
  readonly mode: Mode;
  /** Copies of each item that are kept from CardTrader. */
  readonly buffer: number;
  readonly listingSync: boolean;
  /** The seller's orders were read since the export. */
  readonly ordersRead: boolean;
  /** Items several products of the export name. */
  readonly ambiguous: ReadonlySet<string>;
}

export interface Theirs {
  readonly productId: number;
  readonly quantity: number;
  readonly priceCents: number;
  readonly currency: string;
}

/** What is to be done about a product, and why. */
export interface Decision {
  readonly kind: Kind;
  readonly cause: Cause;
  /** Copies of ours CardTrader should show; null: no item is known. */
  readonly ours: number | null;
}

/**
 * What becomes of one product of an export. Whatever may be newer than the export, or is in motion, is left alone: the next job finds it as it is then. Pure.
 */
export function decide(theirs: Theirs, state: State, { mode, buffer, listingSync, ordersRead, ambiguous }: Rules): Decision {
  const { itemId, listing } = state;
  const shown = Math.max(0, state.onHand - buffer);
  const ours = state.exists ? shown : null;
  const left = (cause: Cause): Decision => ({ kind: 'left', cause, ours });
  if (itemId !== null && ambiguous.has(itemId)) return left('ambiguous');
  if (listing !== null && !listing.gone && listing.productId !== theirs.productId) return left('ambiguous');
  if (state.busy) return left('busy');
  if (state.changed) return left('changed_since');
  if (!state.exists) return { kind: mode === 'adopt-remote' ? 'created' : 'drifted', cause: mode === 'adopt-remote' ? 'new' : 'not_here', ours };
  if (state.held > 0) return left('held');

  const isLinked = listing !== null && !listing.gone;
  const differs = difference(theirs, state, shown, listingSync);
  if (differs === undefined && isLinked) return { kind: 'same', cause: 'quantity', ours };
  if (mode === 'report') return { kind: 'drifted', cause: differs ?? 'not_linked', ours };
  if (differs === undefined) return { kind: 'linked', cause: 'not_linked', ours };
  if (state.removed && theirs.quantity > 0 && mode === 'adopt-remote') return left('removed_here');
  // A sale there that is not heard of yet would be counted twice, or sold twice.
  if (differs !== 'price' && !ordersRead) return left('orders_not_read');
  if (mode === 'adopt-remote') return { kind: 'adopted', cause: differs === 'price' ? 'price' : 'quantity', ours };
  return { kind: 'pushed', cause: differs, ours };
}

/** In what the two sides differ. Prices are compared where they are kept in step: without listing sync they may be different on purpose. */
function difference(theirs: Theirs, { priceCents, currency }: State, shown: number, listingSync: boolean): Extract<Cause, 'fewer_there' | 'more_there' | 'price'> | undefined {
  if (theirs.quantity < shown) return 'fewer_there';
  if (theirs.quantity > shown) return 'more_there';
  const comparable = listingSync && priceCents !== null && (currency === null || currency === theirs.currency);
  return comparable && priceCents !== theirs.priceCents ? 'price' : undefined;
}
