import type { Result, Work } from './work.ts';

/** What the dispatcher tells whoever watches it: metrics and logs in production, signals in tests. */
export interface DispatcherObserver {
  /** Sellers this process took on. */
  claimed(sellers: number): void;
  settled(work: Work, result: Result): void;
  /** Somebody else has the seller: the lease was over before its work was. */
  leaseLost(userId: string): void;
  tokenRejected(userId: string): void;
  /** The seller's token does not open with the keys of this process. */
  tokenUnreadable(userId: string, error: string): void;
  circuitOpened(userId: string, ms: number): void;
  /** The database does not take what is to be recorded for this seller; the seller is left alone until the lease is over. */
  refused(userId: string, error: string): void;
  transactionRetried(reason: string): void;
  /** It waits for the database. */
  waiting(error: string): void;
}
