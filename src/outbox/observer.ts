/** What a relay tells whoever watches it: metrics and logs in production, signals in tests. */
export interface RelayObserver {
  /** Rows Kafka has acknowledged, by topic. */
  published(topic: string, rows: number): void;
  /** A row Kafka refuses for good: its user waits. */
  blocked(topic: string, userId: string | null, error: string, traceId?: string): void;
  /** Shards this relay owns now. */
  owns(shards: readonly number[]): void;
  /** PostgreSQL or Kafka does not answer; tried again. */
  waiting(error: string): void;
  /** A row stood below the floor: a fault of the program, mended by publishing it, out of its order. */
  belowFloor(shard: number, id: string): void;
}
