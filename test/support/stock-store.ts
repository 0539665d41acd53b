import { decide } from '../../src/ingest/chunk.ts';
import type { IngestEntry, Outcome } from '../../src/ingest/record.ts';
import type { Item, LedgerRow, StockFold } from '../../src/inventory/index.ts';
import { folds } from './events.ts';

/** The tables as the fold sees them, in memory: what `readStock` and `writeStock` do, so that chunks can be folded one after the other without PostgreSQL. */
export class StockStore {
  readonly items = new Map<string, Item>();
  readonly ledger: LedgerRow[] = [];
  readonly #known = new Set<string>();

  /** One chunk: read, decide, write. */
  apply(entries: readonly IngestEntry[], tooOldBefore = 0): Outcome[] {
    const both = folds();
    const fold = both.stock;
    for (const entry of entries) if (entry.kind === 'event' && entry.type === 'InventoryChanged') this.load(fold, entry.event.user_id, entry.event.item_id);
    const { outcomes } = decide(entries, both, { tooOldBefore }, { inLedger: this.#known, parkedEvents: new Set(), parkedUsers: new Set(), buried: new Set() });
    this.save(fold);
    return outcomes;
  }

  load(fold: StockFold, userId: string, itemId: string): void {
    const stored = this.items.get(`${userId}/${itemId}`);
    const item = fold.touch(userId, itemId);
    if (stored === undefined || item.exists) return;
    const { onHand, held, version, flags, lastEventId } = stored;
    Object.assign(item, { exists: true, onHand, held, version, flags, lastEventId });
  }

  save(fold: StockFold): void {
    for (const item of fold.itemsToWrite()) {
      if (item.lastEventId === null) continue;
      const before = this.items.get(`${item.userId}/${item.itemId}`);
      this.items.set(`${item.userId}/${item.itemId}`, {
        ...item,
        changed: false,
        altered: false,
        blueprintId: item.blueprintId ?? before?.blueprintId ?? null,
        priceCents: item.priceCents ?? before?.priceCents ?? null,
        currency: item.currency ?? before?.currency ?? null,
        properties: item.properties ?? before?.properties ?? null,
      });
    }
    for (const row of fold.ledger) this.#known.add(row.event.event_id);
    this.ledger.push(...fold.ledger);
  }
}
