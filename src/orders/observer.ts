import type { AppliedOrders } from './apply.ts';
import type { Relisted } from './relisted.ts';

/** What looking at orders tells whoever watches it: metrics and logs in production, signals in tests. */
export interface OrdersObserver {
  /** Sellers whose orders this process looks at now. */
  claimed(sellers: number): void;
  /** Something was new about orders of this seller. */
  applied(userId: string, what: AppliedOrders): void;
  /** Orders CardTrader sent that could not be read. */
  unreadable(userId: string, orders: number): void;
  /** The database does not take an order; it is set aside as unreadable. */
  refused(userId: string, error: string): void;
  /** Whether cancelled copies of an item are on sale again. */
  counted(userId: string, itemId: string, answer: Relisted): void;
  /** A look at a seller's orders has ended; `problem`: why it came to nothing. */
  looked(userId: string, look: { readonly listed: boolean; readonly webhooks: number; readonly problem: string | null }): void;
  /** The seller's token does not open with the keys of this process, or CardTrader rejects it. */
  tokenUnusable(userId: string, error: string): void;
  transactionRetried(reason: string): void;
  /** It waits for the database. */
  waiting(error: string): void;
}
