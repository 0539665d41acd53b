import type { ConsumerObserver } from '../platform/consumer/index.ts';
import type { HistoryRow } from './fold.ts';
import type { SagaResult } from './handle.ts';

/** What the saga role tells whoever watches it: metrics and logs in production, signals in tests. */
export interface SagaObserver extends ConsumerObserver<SagaResult> {
  /** A sweep found sagas that were due, and these steps to take. */
  swept(looked: number, steps: readonly HistoryRow[]): void;
  transactionRetried(reason: string): void;
  /** The sweeper waits for the database. */
  waiting(error: string): void;
}
