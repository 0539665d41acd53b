import type { DeadLetterReason, Outcome } from './record.ts';

/**
 * What the ingest role tells whoever watches it: metrics and logs in production, signals in tests ("await a signal, never
 * sleep"). Every value is computed before it is handed over; an observer changes nothing.
 */
export interface IngestObserver {
  chunkCommitted(chunk: CommittedChunk): void;
  transactionRetried(reason: string): void;
  /** The role waits for something that is away; `resumed` when it goes on. */
  held(code: string, message: string): void;
  resumed(): void;
  /** Which partitions this instance owns from now on. */
  assigned(partitions: readonly { topic: string; partition: number }[]): void;
  crashed(error: Error, restarting: boolean): void;
  heartbeat(): void;
  deadLettersPublished(count: number): void;
}

export interface CommittedChunk {
  readonly topic: string;
  readonly partition: number;
  /** Last offset of the chunk. */
  readonly offset: string;
  readonly outcomes: readonly Outcome[];
  /** Time each record was stamped at, milliseconds; same order as `outcomes`. */
  readonly timestamps: readonly number[];
  readonly deadLetters: readonly DeadLetterReason[];
  readonly misrouted: number;
  /** Decode to commit, milliseconds. */
  readonly durationMs: number;
}
