import { PartitionStatus, type ConsumerStatus } from './status.ts';

/**
 * How far behind each owned partition is, exactly: in records (end offset minus next offset to do) and in seconds (age of the
 * oldest record not yet done). Kafka has no API for the second; we read every record, so we know. Pure.
 */
export class LagTracker {
  readonly #partitions = new Map<string, PartitionLag>();
  readonly #known = new Map<string, number>();
  readonly #fresh = new Set<string>();
  #answeredAt: number | undefined;

  /** Forgets all and starts with the partitions now owned. */
  assign(partitions: readonly { topic: string; partition: number }[]): void {
    const owned = new Map(partitions.map(({ topic, partition }) => [key(topic, partition), { topic, partition }]));
    for (const known of this.#partitions.keys()) if (!owned.has(known)) this.#forget(known);
    for (const [name, { topic, partition }] of owned) {
      this.#fresh.add(name);
      if (!this.#partitions.has(name)) this.#partitions.set(name, { topic, partition, next: undefined, end: undefined, oldestPending: undefined, status: new PartitionStatus(), replaying: false });
    }
  }

  /** A batch has arrived: `first` is its first offset, stamped `timestamp` (ms). */
  fetched(topic: string, partition: number, first: bigint, timestamp: number, end: bigint): void {
    const lag = this.#partitions.get(key(topic, partition));
    if (lag === undefined) return;
    lag.next = first;
    lag.oldestPending = timestamp;
    lag.end = end;
  }

  /** Everything below `next` is done; `oldestPending` is the stamp of the record at `next`, if it is known. */
  done(topic: string, partition: number, next: bigint, oldestPending: number | undefined): void {
    const lag = this.#partitions.get(key(topic, partition));
    if (lag === undefined) return;
    lag.next = next;
    lag.oldestPending = oldestPending;
  }

  /** The broker says where the partition ends, and, if nothing was done since the assignment, where the group stands; `monotonic` is when (ms). */
  ends(topic: string, partition: number, end: bigint, committed: bigint, now: number, monotonic = now): void {
    const lag = this.#partitions.get(key(topic, partition));
    if (lag === undefined) return;
    lag.end = end;
    lag.next ??= committed;
    // Records are there that no fetch has brought yet: they are at most as old as this moment allows us to say.
    if (lag.next < end) lag.oldestPending ??= now;
    else lag.oldestPending = undefined;
    lag.status.sample(monotonic, committed, end);
  }

  /** Whether a partition is owned here, and not yet looked at since it was assigned. */
  look(topic: string, partition: number): { owned: boolean; fresh: boolean } {
    return { owned: this.#partitions.has(key(topic, partition)), fresh: this.#fresh.has(key(topic, partition)) };
  }

  /** Somebody who remembers has looked at the topic: `replaying` and no other partitions are read again on purpose. */
  looked(topic: string, replaying: ReadonlySet<number>): void {
    for (const [name, lag] of this.#partitions) {
      if (lag.topic !== topic) continue;
      lag.replaying = replaying.has(lag.partition);
      this.#fresh.delete(name);
    }
  }

  /** The broker has said that the topic has so many partitions, owned here or not; `monotonic` is when (ms). */
  counted(topic: string, partitions: number, monotonic: number): void {
    this.#known.set(topic, partitions);
    this.#answeredAt = monotonic;
  }

  /** When the broker last answered, monotonic milliseconds; undefined: it never has. */
  get answeredAt(): number | undefined {
    return this.#answeredAt;
  }

  /** Partitions by topic, of those that were counted. */
  get partitions(): ReadonlyMap<string, number> {
    return this.#known;
  }

  read(now: number): PartitionReading[] {
    return [...this.#partitions.values()]
      .filter((lag) => lag.next !== undefined && lag.end !== undefined)
      .map((lag) => {
        const records = Math.max(0, Number((lag.end ?? 0n) - (lag.next ?? 0n)));
        return { topic: lag.topic, partition: lag.partition, records, seconds: records === 0 || lag.oldestPending === undefined ? 0 : Math.max(0, (now - lag.oldestPending) / 1_000), status: lag.status.read({ replaying: lag.replaying }), trend: lag.status.trend };
      });
  }

  #forget(name: string): void {
    this.#partitions.delete(name);
    this.#fresh.delete(name);
  }
}

export interface PartitionReading {
  readonly topic: string;
  readonly partition: number;
  readonly records: number;
  readonly seconds: number;
  readonly status: ConsumerStatus;
  /** Records it is further behind than two minutes ago. */
  readonly trend: number;
}

interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  next: bigint | undefined;
  end: bigint | undefined;
  oldestPending: number | undefined;
  readonly status: PartitionStatus;
  replaying: boolean;
}

const key = (topic: string, partition: number): string => `${topic}/${partition}`;
