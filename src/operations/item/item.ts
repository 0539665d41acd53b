import type pg from 'pg';
import { readHistory, readHolds, readItem, readListing, readOpenOperations, readUser, type HistoryRow, type HoldRow, type ItemRow, type ListingRow, type OperationRow, type ParkedRow } from './item.sql.ts';

export interface ItemReport {
  user_id: string;
  item_id: string;
  /** Null when there is no such item. */
  item: ItemRow | null;
  /** Sales under way that keep some of it back, oldest first. */
  holds: HoldRow[];
  /** Null when it is not listed on CardTrader. */
  listing: ListingRow | null;
  /** Changes on CardTrader that are not settled. */
  operations: OperationRow[];
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
  const holds = await readHolds(pool, userId, itemId);
  const listing = await readListing(pool, userId, itemId);
  const operations = await readOpenOperations(pool, userId, itemId);
  return { user_id: userId, item_id: itemId, item: item ?? null, holds, listing: listing ?? null, operations, history, history_end: endOf(item, history, limit), user_items: user.items, parked: user.parked };
}

export interface ItemHistory {
  /** Newest first. */
  readonly history: readonly HistoryRow[];
  readonly end: ItemReport['history_end'];
  /** The event with which the rest begins; null: there is none. */
  readonly next: string | null;
}

/** A part of an item's history: from its last event on, or from the one where the part before ended. Undefined: there is no such item. */
export async function itemHistory(pool: pg.Pool, userId: string, itemId: string, { limit, from }: { limit: number; from: string | null }): Promise<ItemHistory | undefined> {
  const item = await readItem(pool, userId, itemId);
  if (item === undefined) return undefined;
  const history = await readHistory(pool, userId, itemId, limit, from);
  const end = endOf(item, history, limit);
  return { history, end, next: end === 'more' ? (history.at(-1)?.previous_event_id ?? null) : null };
}

function endOf(item: ItemRow | undefined, history: readonly HistoryRow[], limit: number): ItemReport['history_end'] {
  const oldest = history.at(-1);
  if (oldest === undefined) return item === undefined ? 'all' : 'gone';
  if (oldest.previous_event_id === null) return 'all';
  return history.length >= limit ? 'more' : 'gone';
}
