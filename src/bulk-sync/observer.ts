import type { ConsumerObserver } from '../platform/consumer/index.ts';
import type { SnapshotResult } from './handle.ts';
import type { JobState, Mode } from './job.ts';

/** What the worker tells whoever watches it. */
export interface BulkSyncObserver {
  /** A step of a job: an export was begun, its chunks are sent, it is over. */
  stepped(job: { readonly jobId: string; readonly userId: string; readonly mode: Mode }, to: JobState, said: string | null): void;
  /** An export came to nothing; it is tried again. */
  exportFailed(userId: string, said: string): void;
  /** So many parked chunks of a job are sent again. */
  retried(job: { readonly jobId: string; readonly userId: string }, chunks: number): void;
  transactionRetried(reason: string): void;
  waiting(error: string): void;
}

/** What whoever applies chunks tells. */
export interface SnapshotObserver extends ConsumerObserver<SnapshotResult> {
  transactionRetried(reason: string): void;
}
