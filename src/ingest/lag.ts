/**
 * How far behind each owned partition is, exactly: in records (end offset minus next offset to do) and in seconds (age of the
 * oldest record not yet done). Kafka has no API for the second; we read every record, so we know. Pure.
 */
export class LagTracker {
  readonly #partitions = new Map<string, PartitionLag>();

  /** Forgets all and starts with the partitions now owned. */
  assign(partitions: readonly { topic: string; partition: number }[]): void {
    const owned = new Map(partitions.map(({ topic, partition }) => [key(topic, partition), { topic, partition }]));
    for (const known of this.#partitions.keys()) if (!owned.has(known)) this.#partitions.delete(known);
    for (const [name, { topic, partition }] of owned) {
      if (!this.#partitions.has(name)) this.#partitions.set(name, { topic, partition, next: undefined, end: undefined, oldestPending: undefined });
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

  /** The broker says where the partition ends, and, if nothing was done since the assignment, where the group stands. */
  ends(topic: string, partition: number, end: bigint, committed: bigint, now: number): void {
    const lag = this.#partitions.get(key(topic, partition));
    if (lag === undefined) return;
    lag.end = end;
    lag.next ??= committed;
    // Records are there that no fetch has brought yet: they are at most as old as this moment allows us to say.
    if (lag.next < end) lag.oldestPending ??= now;
    else lag.oldestPending = undefined;
  }

  read(now: number): { topic: string; partition: number; records: number; seconds: number }[] {
    return [...this.#partitions.values()]
      .filter((lag) => lag.next !== undefined && lag.end !== undefined)
      .map((lag) => {
        const records = Math.max(0, Number((lag.end ?? 0n) - (lag.next ?? 0n)));
        return { topic: lag.topic, partition: lag.partition, records, seconds: records === 0 || lag.oldestPending === undefined ? 0 : Math.max(0, (now - lag.oldestPending) / 1_000) };
      });
  }
}

interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  next: bigint | undefined;
  end: bigint | undefined;
  oldestPending: number | undefined;
}

const key = (topic: string, partition: number): string => `${topic}/${partition}`;
