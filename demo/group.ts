import { askWhileMoving, partitionsOf, type createKafka } from '../src/platform/kafka/index.ts';

/** Where the consumer group stands, as Kafka itself says: it survives every worker. */
export interface GroupState {
  /** Committed offset and end, by partition. */
  readonly partitions: readonly { partition: number; committed: number; end: number }[];
  /** Kafka's word: Stable, PreparingRebalance... */
  readonly state: string;
  /** Partitions by client id; empty while the group rebalances. */
  readonly owned: ReadonlyMap<string, readonly number[]>;
}

export interface GroupReader {
  read(): Promise<GroupState>;
  close(): Promise<void>;
}

export async function openGroupReader(kafka: ReturnType<typeof createKafka>, topic: string, groupId: string): Promise<GroupReader> {
  const admin = kafka.admin();
  await admin.connect();
  return {
    // A stack that was just started may still be handing out its groups.
    read: () => askWhileMoving(async () => {
      // Committed before ends: never further than there is.
      const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] });
      const ends = await admin.fetchTopicOffsets(topic);
      const [group] = (await admin.describeGroups([groupId])).groups;
      const offsets = new Map(committed?.partitions.map(({ partition, offset }) => [partition, Math.max(0, Number(offset))]));
      return {
        partitions: ends.map(({ partition, high }) => ({ partition, committed: offsets.get(partition) ?? 0, end: Number(high) })).sort((a, b) => a.partition - b.partition),
        state: group?.state ?? 'Dead',
        owned: new Map((group?.members ?? []).map(({ clientId, memberAssignment }) => [clientId, memberAssignment.length === 0 ? [] : (partitionsOf(memberAssignment)[topic] ?? [])])),
      };
    }),
    close: () => admin.disconnect(),
  };
}

export const committedOf = (group: GroupState): number => group.partitions.reduce((sum, { committed }) => sum + committed, 0);
export const publishedIn = (group: GroupState): number => group.partitions.reduce((sum, { end }) => sum + end, 0);
export const lagOf = (group: GroupState): number => group.partitions.reduce((sum, { committed, end }) => sum + Math.max(0, end - committed), 0);
