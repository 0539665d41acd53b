import type { InventoryChanged } from '../contract/index.ts';
import { applyToItem, unseenItem, type Item, type Refusal } from './item.ts';

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
    this.#record(item, event, item.onHand - before, refusal);
    return refusal;
  }

  /** Records an event that an operator gave up on: it has no effect, and a replay will know it. */
  discard(event: InventoryChanged): void {
    this.#record(this.touch(event.user_id, event.item_id), event, 0, 'discarded');
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
