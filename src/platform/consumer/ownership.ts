/**
 * Which partitions this member owns, and since which rejoin.
 *
 * kafkajs can rejoin the group while a handler is still at work, and lets that handler commit afterwards, for a partition that
 * somebody else owns by now (kafkajs issue 1046; `isStale()` does not know). Nothing is lost by that (the ledger knows what
 * was applied, and the new owner re-reads), but the group would be moved back; so a handler keeps the epoch it began in and
 * commits only if the partition is still its own.
 */
export class Ownership {
  #epoch = 0;
  #assigned: ReadonlyMap<string, ReadonlySet<number>> = new Map();

  get joined(): boolean {
    return this.#epoch > 0;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get assigned(): { topic: string; partition: number }[] {
    return [...this.#assigned].flatMap(([topic, partitions]) => [...partitions].map((partition) => ({ topic, partition })));
  }

  /** The member has (re)joined and was given these partitions. */
  joinedWith(assignment: Readonly<Record<string, readonly number[]>>): void {
    this.#epoch += 1;
    this.#assigned = new Map(Object.entries(assignment).map(([topic, partitions]) => [topic, new Set(partitions)]));
  }

  /** Whether work begun in `epoch` may still commit: no rejoin since, or one that left the partition here. */
  holds(topic: string, partition: number, epoch: number): boolean {
    return epoch === this.#epoch || this.owns(topic, partition);
  }

  owns(topic: string, partition: number): boolean {
    return this.#assigned.get(topic)?.has(partition) ?? false;
  }
}
