import { CARDTRADER_SOURCE, type InventoryChanged } from '../contract/index.ts';

/** Bits of `inventory_items.flags`. */
export const REMOVED = 1;
export const DRIFTED = 2;
export const OVERSOLD = 4;

/** Largest stock PostgreSQL's integer holds. */
export const MAX_ON_HAND = 2_147_483_647;

/**
 * One item while a chunk is folded: what the database said (or nothing, for an item never seen), changed event by event.
 * `null` in the descriptive fields means "no event of this chunk said anything": the stored value stays.
 */
export interface Item {
  readonly userId: string;
  readonly itemId: string;
  /** Whether there is, or after this chunk will be, a row. */
  exists: boolean;
  /** Where its row lies (ctid), for the transaction that has read it; null if it has none yet. */
  place: string | null;
  /** Whether an event of this chunk has reached it, so that it has a ledger row (and itself, if it exists, is to be written). */
  changed: boolean;
  /** Whether what is on hand of it, its price, properties or card may be other than before. */
  altered: boolean;
  onHand: number;
  held: number;
  version: number | null;
  flags: number;
  /** Newest ledger row; the next one points back to it. */
  lastEventId: string | null;
  blueprintId: number | null;
  priceCents: number | null;
  currency: string | null;
  properties: Record<string, string> | null;
}

export function unseenItem(userId: string, itemId: string): Item {
  return {
    userId,
    itemId,
    exists: false,
    place: null,
    changed: false,
    altered: false,
    onHand: 0,
    held: 0,
    version: null,
    flags: 0,
    lastEventId: null,
    blueprintId: null,
    priceCents: null,
    currency: null,
    properties: null,
  };
}

/** Why an event that reached its item has no effect on the stock. */
export type Refusal = 'stale' | 'would_go_negative' | 'out_of_range';

/**
 * Applies one event to its item; DESIGN section 4's table of meanings, row by row. Returns undefined if it took effect, else
 * why not. Changes `item` in place: a chunk folds a thousand events and an object each would cost more than the fold.
 */
export function applyToItem(item: Item, event: InventoryChanged): Refusal | undefined {
  if (event.version !== null && item.version !== null && event.version <= item.version) return 'stale';

  switch (event.kind) {
    case 'SET':
      item.onHand = event.quantity;
      item.flags &= ~(REMOVED | DRIFTED);
      break;
    case 'ADJUST': {
      const onHand = item.onHand + event.quantity;
      if (onHand > MAX_ON_HAND) return 'out_of_range';
      if (onHand < 0) {
        item.flags |= DRIFTED;
        item.exists = true;
        if (event.source !== CARDTRADER_SOURCE) return 'would_go_negative';
      }
      // What was sold on CardTrader is sold: stock we believed in and did not have must not be offered on either side.
      item.onHand = Math.max(0, onHand);
      break;
    }
    case 'REMOVE':
      item.onHand = 0;
      item.flags |= REMOVED;
      break;
  }

  item.flags = item.onHand < item.held ? item.flags | OVERSOLD : item.flags & ~OVERSOLD;
  if (event.version !== null) item.version = event.version;
  if (event.blueprint_id !== null) item.blueprintId = event.blueprint_id;
  if (event.price_cents !== null) item.priceCents = event.price_cents;
  if (event.currency !== null) item.currency = event.currency;
  if (event.properties !== null) item.properties = event.properties;
  item.exists = true;
  return undefined;
}

/**
 * Adds to stock and to what is held. A sale must not fail any more once CardTrader's side is done, so stock that a SET has lowered
 * below what was held goes to 0 and no further, and the item is marked drifted: its number is not certain until the next SET.
 */
export function applyMove(item: Item, move: { readonly onHand: number; readonly held: number }): void {
  const onHand = item.onHand + move.onHand;
  if (onHand < 0) item.flags |= DRIFTED;
  item.onHand = Math.min(Math.max(0, onHand), MAX_ON_HAND);
  item.held += move.held;
  item.flags = item.onHand < item.held ? item.flags | OVERSOLD : item.flags & ~OVERSOLD;
}
