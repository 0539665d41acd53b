import type { Transaction } from '../../platform/postgres/index.ts';
import { accountRemoteChanges, askSync, selectSynced } from './sync.sql.ts';

/** What a transaction has changed of an item. */
export interface StockChange {
  readonly userId: string;
  readonly itemId: string;
  /** Copies by which CardTrader's own sales changed it. */
  readonly remote: number;
}

/**
 * Tells listing sync what a transaction has changed of stock, price, properties or card, in that transaction. For users without
 * listing sync it is one look-up a transaction. Needs the lanes of the users.
 */
export async function noteChanges(tx: Transaction, changes: readonly StockChange[]): Promise<void> {
  if (changes.length === 0) return;
  await accountRemoteChanges(tx, changes.filter(({ remote }) => remote !== 0).map(({ remote, ...item }) => ({ ...item, change: remote })));
  const synced = await selectSynced(tx, [...new Set(changes.map(({ userId }) => userId))]);
  if (synced.size > 0) await askSync(tx, changes.filter(({ userId }) => synced.has(userId)));
}
