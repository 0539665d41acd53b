import type { InventoryChanged } from '../contract/index.ts';
import { applyMove, applyToItem, unseenItem, type Item, type Refusal } from './item.ts';

/** One row of the stock ledger: what one event did, or why it did nothing. */
export interface LedgerRow {
  readonly event: InventoryChanged;
  readonly item: Item;
  /** The item's ledger row before this one. */
  readonly previousEventId: string | null;
  /** What on_hand changed by; 0 unless applied. */
  readonly delta: number;
  /** on_hand after. */
  readonly onHand: number;
  readonly outcome: 'applied' | 'stale' | 'dead_lettered';
  /** The event's source, or the reason it was refused. */
  readonly cause: string;
}

/** What a purchase does to an item: `move` of stock and of what is held, and how the ledger tells it. */
export interface StockMove {
  /** Id of the ledger row: of the event, or derived from it. */
  readonly id: string;
  readonly purchaseId: string;
  /** P reserves, C is cancelled, T is sold, B is given back. */
  readonly kind: 'P' | 'C' | 'T' | 'B';
  /** As asked for. */
  readonly quantity: number;
  readonly onHand: number;
  readonly held: number;
  readonly outcome: 'applied' | 'stale' | 'rejected' | 'dead_lettered';
  readonly cause: string;
  /** Milliseconds since 1970. */
  readonly occurredAt: number;
}

/** A move as the ledger keeps it: what really changed, and what was there afterwards. */
export interface MoveRow extends StockMove {
  readonly item: Item;
  readonly previousId: string | null;
  readonly delta: number;
  readonly onHandAfter: number;
}

/**
 * The items one chunk touches, and the ledger rows it has earned. Pure: state in, events in order, state out. Whoever runs it
 * holds the lanes of all users in it (DESIGN section 5), so nobody else changes these items meanwhile.
 *
 * Memory: one Item a touched item and one row an event of one chunk; nothing survives the chunk.
 */
export class StockFold {
  readonly #users = new Map<string, Map<string, Item>>();
  readonly #items: Item[] = [];
  readonly ledger: LedgerRow[] = [];
  readonly moves: MoveRow[] = [];

  /** Every user touched. */
  get userIds(): string[] {
    return [...this.#users.keys()];
  }

  /** Every item touched, in order of first touch; the order `load` answers to. */
  get items(): readonly Item[] {
    return this.#items;
  }

  /** Declares that an event of this item is in the chunk, so that its state is read before the fold. */
  touch(userId: string, itemId: string): Item {
    let items = this.#users.get(userId);
    if (items === undefined) {
      items = new Map();
      this.#users.set(userId, items);
    }
    let item = items.get(itemId);
    if (item === undefined) {
      item = unseenItem(userId, itemId);
      items.set(itemId, item);
      this.#items.push(item);
    }
    return item;
  }

  /** Applies the next event, in order. Returns why it had no effect, if it had none. Each event earns exactly one ledger row. */
  apply(event: InventoryChanged): Refusal | undefined {
    const item = this.touch(event.user_id, event.item_id);
    const before = item.onHand;
    const refusal = applyToItem(item, event);
    if (refusal === undefined) item.altered = true;
    this.#record(item, event, item.onHand - before, refusal);
    return refusal;
  }

  /** Records an event that an operator gave up on: it has no effect, and a replay will know it. */
  discard(event: InventoryChanged): void {
    this.#record(this.touch(event.user_id, event.item_id), event, 0, 'discarded');
  }

  /** Moves stock of an item, for a purchase; `onHand` and `held` of the move are what it adds. Earns exactly one ledger row. */
  move(item: Item, move: StockMove): void {
    const before = item.onHand;
    if (move.onHand !== 0 || move.held !== 0) applyMove(item, move);
    if (move.onHand !== 0) item.altered = true;
    this.moves.push({ ...move, item, previousId: item.lastEventId, delta: item.onHand - before, onHandAfter: item.onHand });
    item.changed = true;
    if (item.exists) item.lastEventId = move.id;
  }

  #record(item: Item, event: InventoryChanged, delta: number, refusal: Refusal | 'discarded' | undefined): void {
    this.ledger.push({
      event,
      item,
      previousEventId: item.lastEventId,
      delta,
      onHand: item.onHand,
      outcome: refusal === undefined ? 'applied' : refusal === 'stale' ? 'stale' : 'dead_lettered',
      cause: refusal ?? event.source,
    });
    item.changed = true;
    // An item that does not exist (only `discarded` can leave it so) has no row that could point here.
    if (item.exists) item.lastEventId = event.event_id;
  }

  /**
   * The items that have earned ledger rows, sorted by user and item: two writers that sort alike cannot deadlock, whatever
   * locks they forgot (write-path.md section 7). User by user, because a chunk has few users and comparing ids is what costs.
   */
  itemsToWrite(): Item[] {
    const sorted: Item[] = [];
    for (const userId of this.userIds.sort()) {
      const items = [...(this.#users.get(userId)?.values() ?? [])].filter((item) => item.changed);
      sorted.push(...items.sort((a, b) => (a.itemId < b.itemId ? -1 : 1)));
    }
    return sorted;
  }
}
