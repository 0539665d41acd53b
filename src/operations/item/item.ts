import type pg from 'pg';
import { readHistory, readItem, readUser, type HistoryRow, type ItemRow, type ParkedRow } from './item.sql.ts';

export interface ItemReport {
  user_id: string;
  item_id: string;
  /** Null when there is no such item. */
  item: ItemRow | null;
  /** Newest first. */
  history: HistoryRow[];
  /** What comes before the oldest row: nothing (`all`), more than was asked for (`more`), or rows the ledger keeps no more (`gone`). */
  history_end: 'all' | 'more' | 'gone';
  /** How many items the user has. */
  user_items: number;
  parked: ParkedRow | null;
}

/** Why does this number say 3? Ids are UUIDs. */
export async function explainItem(pool: pg.Pool, userId: string, itemId: string, limit: number): Promise<ItemReport> {
  const item = await readItem(pool, userId, itemId);
  const history = await readHistory(pool, userId, itemId, limit);
  const user = await readUser(pool, userId);
  return { user_id: userId, item_id: itemId, item: item ?? null, history, history_end: endOf(item, history, limit), user_items: user.items, parked: user.parked };
}

function endOf(item: ItemRow | undefined, history: readonly HistoryRow[], limit: number): ItemReport['history_end'] {
  const oldest = history.at(-1);
  if (oldest === undefined) return item === undefined ? 'all' : 'gone';
  if (oldest.previous_event_id === null) return 'all';
  return history.length >= limit ? 'more' : 'gone';
}
