/**
 * What a consumer tells whoever watches it: metrics and logs in production, signals in tests ("await a signal, never sleep").
 * Every value is computed before it is handed over; an observer changes nothing.
 */
export interface ConsumerObserver<Result> {
  chunkCommitted(chunk: CommittedChunk & Result): void;
  /** The role waits for something that is away; `resumed` when it goes on. */
  held(code: string, message: string): void;
  resumed(): void;
  /** Which partitions this instance owns from now on. */
  assigned(partitions: readonly { topic: string; partition: number }[]): void;
  crashed(error: Error, restarting: boolean): void;
  heartbeat(): void;
}

/**
 * A chunk of one partition whose offset is committed. Small chunks of several partitions share a transaction: then what came of all of
 * them is told with one, and the others come to nothing.
 */
export interface CommittedChunk {
  readonly topic: string;
  readonly partition: number;
  /** Last offset of the chunk. */
  readonly offset: string;
  /** Time each of the records told of was stamped at, milliseconds; none: they are told of with another chunk. */
  readonly timestamps: readonly number[];
  /** From the beginning of the work to the commit of what the records did, milliseconds. */
  readonly durationMs: number;
}
