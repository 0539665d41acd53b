/** A partition as Kafka shows it to one instance. */
export interface SeenPartition {
  readonly partition: number;
  /** Where the group would go on. */
  readonly committed: bigint;
  readonly end: bigint;
  /** Read by whoever looks, so that no other instance says anything about it. */
  readonly owned: boolean;
  /** For the first time since it was assigned: until now the offset may have been moved by somebody else's tool. */
  readonly fresh: boolean;
}

/**
 * What is remembered of a group from before this process: how far it had come, and which replays are under way. With it a group that was
 * set back on purpose is told from one that moved back while it was read.
 */
export interface GroupMemory {
  /**
   * Asked before Kafka is: what is remembered is then never newer than what Kafka says, and an offset below it was moved back. What it
   * answers is handed what Kafka said, and tells the partitions that are read again on purpose.
   */
  recall(group: string, topic: string): Promise<(seen: readonly SeenPartition[]) => Promise<ReadonlySet<number>>>;
}
