import { BrxError } from '../../errors.ts';
import type { Clock } from '../../platform/clock.ts';
import { PartitionStatus, type ConsumerStatus } from '../../platform/consumer/index.ts';
import { askWhileMoving, kafkaUnavailable, partitionsOf, type createKafka } from '../../platform/kafka/index.ts';
import { openPeeker, type Peeker } from './peek.ts';
import { buildReport, oldestPending, type LagReport, type Member, type Offsets } from './report.ts';

type Kafka = ReturnType<typeof createKafka>;
type Admin = ReturnType<Kafka['admin']>;

/** Reads the lag of a consumer group, as often as wanted; `close` when done. It changes nothing in Kafka. */
export interface LagReader {
  /** Trends are against the read before. */
  read(): Promise<LagReport>;
  close(): Promise<void>;
}

export interface LagOptions {
  kafka: Kafka;
  brokers: readonly string[];
  topic: string;
  group: string;
  clock: Clock;
  /** Over how long a status is told; none without. */
  windowMs?: number;
  /** Where partitions stood that were set back on purpose: until they are there again, that they stand behind is no rewind. Other partitions of the group are none of this. */
  replaying?: () => Promise<ReadonlyMap<number, bigint>>;
}

/** Throws BRX_KAFKA_UNAVAILABLE, and BRX_DIFFERENT if there is no such topic. */
export async function openLagReader(options: LagOptions): Promise<LagReader> {
  const { kafka, brokers, topic, group, clock } = options;
  let admin = kafka.admin();
  let peeker: Peeker | undefined;
  let previous: LagReport | undefined;
  const watched = new Map<number, PartitionStatus>();

  const asked = async <T>(doing: string, ask: () => Promise<T>): Promise<T> => {
    try {
      return await ask();
    } catch (error) {
      throw kafkaUnavailable(error, doing, brokers);
    }
  };
  const close = async (): Promise<void> => {
    await peeker?.close();
    await admin.disconnect();
  };

  try {
    await asked('connect', () => admin.connect());
    await asked('list topics', () => requireTopic(admin, topic));
  } catch (error) {
    await close();
    throw error;
  }
  /** kafkajs asks the leaders it knew; while leadership moves they refuse. A new client asks anew who leads. */
  const withFreshLeaders = <T>(ask: () => Promise<T>): Promise<T> =>
    askWhileMoving(ask, {
      clock,
      async anew() {
        await admin.disconnect();
        admin = kafka.admin();
        await admin.connect();
      },
    });

  const judged = (offsets: readonly Offsets[], members: readonly Member[], windowMs: number, stoodAt: ReadonlyMap<number, bigint>): Map<number, ConsumerStatus> => {
    const statuses = new Map<number, ConsumerStatus>();
    for (const { partition, committed, earliest, end } of offsets) {
      const seen = watched.get(partition) ?? new PartitionStatus(windowMs);
      watched.set(partition, seen);
      seen.sample(clock.monotonic(), BigInt(committed) < 0n ? BigInt(earliest) : BigInt(committed), BigInt(end), members.some(({ partitions }) => partitions.includes(partition)));
      const status = seen.read({ replaying: BigInt(committed) < (stoodAt.get(partition) ?? -1n) });
      if (status !== 'ok' || seen.isFull) statuses.set(partition, status);
    }
    return statuses;
  };

  return {
    close,
    read: () =>
      asked('read lag', async () => {
        const offsets = await withFreshLeaders(() => readOffsets(admin, topic, group));
        const { state, members } = await withFreshLeaders(() => readMembers(admin, topic, group));
        const pending = new Map(offsets.flatMap((one) => (oldestPending(one) === undefined ? [] : [[one.partition, oldestPending(one) ?? ''] as const])));
        if (pending.size > 0) peeker ??= await openPeeker(options);
        const timestamps = (await peeker?.timestamps(pending)) ?? new Map<number, number>();
        const statuses = options.windowMs === undefined ? undefined : judged(offsets, members, options.windowMs, (await options.replaying?.()) ?? new Map());
        previous = buildReport({ topic, group, state, at: clock.now(), members, offsets, timestamps, previous, ...(statuses !== undefined && { statuses }) });
        return previous;
      }),
  };
}

/** Asked of the list, because asking for a topic by name creates it on brokers that create topics by themselves. */
async function requireTopic(admin: Admin, topic: string): Promise<void> {
  const topics = await admin.listTopics();
  if (!topics.includes(topic)) throw new BrxError('BRX_DIFFERENT', `there is no topic ${topic}`, { remedy: 'create it with `brx-sync topics apply`, or see whether BRX_TOPIC_PREFIX is right' });
}

/** Where the group stands and the partitions begin and end. */
export async function readOffsets(admin: Admin, topic: string, group: string): Promise<Offsets[]> {
  // Committed before end: so the difference is never negative while the group works.
  const [committed] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
  const ends = await admin.fetchTopicOffsets(topic);
  const byPartition = new Map(committed?.partitions.map(({ partition, offset }) => [partition, offset]));
  return ends.map(({ partition, low, high }) => ({ partition, committed: byPartition.get(partition) ?? '-1', earliest: low, end: high }));
}

/** Who is in the group, and what works on what. */
export async function readMembers(admin: Admin, topic: string, group: string): Promise<{ state: string; members: Member[] }> {
  const { groups } = await admin.describeGroups([group]);
  const described = groups[0];
  if (described === undefined) return { state: 'Dead', members: [] };
  const members = described.members.map(({ memberId, clientId, clientHost, memberAssignment }) => ({
    id: memberId,
    clientId,
    host: clientHost.replace(/^\//, ''),
    partitions: (memberAssignment.length === 0 ? [] : (partitionsOf(memberAssignment)[topic] ?? [])).toSorted((a, b) => a - b),
  }));
  return { state: described.state, members };
}
