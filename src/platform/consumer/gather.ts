import type { Clock } from '../clock.ts';
import { Together } from '../together.ts';
import type { SourceRecord } from './record.ts';

export interface GatherDeps<Result> {
  readonly handle: (records: readonly SourceRecord[]) => Promise<Result>;
  /** Transactions at once. */
  readonly atOnce: number;
  readonly clock: Pick<Clock, 'monotonic'>;
}

export interface Gathered<Result> {
  /** Told to one of the chunks that went together; undefined to the others. */
  readonly result: Result | undefined;
  /** All that went together, in the order of the result. */
  readonly records: readonly SourceRecord[];
  /** Of the work itself, ms. */
  readonly durationMs: number;
}

/**
 * Chunks of several partitions, made durable in one transaction where they are small: a dozen partitions with a record each cost one
 * commit and not a dozen. What comes up while as many transactions are under way as may be makes the next one; a chunk that is as
 * large as one may be goes alone. Records of one partition stay in their order, because it hands in one chunk at a time.
 *
 * What fails, fails for all chunks of the transaction: they come again, and what was done is known to the database. They come again together, from one fetch; so
 * each goes alone then, until it succeeds. Else what holds up one of them (a lane that somebody holds, a schema that the registry, which is away, has not told
 * yet, an event that takes too long) would hold up all the others for as long.
 */
export class Gather<Result> {
  readonly #together: Together<readonly SourceRecord[], Gathered<Result> | undefined>;
  /** Partitions whose last chunk failed. */
  readonly #alone = new Set<string>();
  #most = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor({ handle, atOnce, clock }: GatherDeps<Result>) {
    this.#together = new Together<readonly SourceRecord[], Gathered<Result> | undefined>(
      async (chunks) => {
        const records = chunks.flat();
        const started = clock.monotonic();
        try {
          const result = await handle(records);
          const durationMs = clock.monotonic() - started;
          for (const chunk of chunks) this.#alone.delete(partitionOf(chunk));
          return chunks.map((_, index) => ({ result: index === 0 ? result : undefined, records, durationMs }));
        } catch (error) {
          for (const chunk of chunks) this.#alone.add(partitionOf(chunk));
          throw error;
        }
      },
      { most: () => this.#most, weigh: (records) => (this.#alone.has(partitionOf(records)) ? Number.POSITIVE_INFINITY : records.length), parallel: atOnce },
    );
  }

  /** Begins nothing any more: a stop waits for what is under way, not for what waits behind it. */
  stop(): void {
    this.#stopped = true;
    this.#together.answerWaiting(undefined);
  }

  /** Resolves once `records` are durable, or with undefined if they were not begun; goes together with at most `most` records in all. */
  do(records: readonly SourceRecord[], most: number): Promise<Gathered<Result> | undefined> {
    this.#most = most;
    return this.#stopped ? Promise.resolve(undefined) : this.#together.do(records);
  }
}

/** All records of a chunk are of one. */
const partitionOf = ([first]: readonly SourceRecord[]): string => `${first?.topic}/${first?.partition}`;
