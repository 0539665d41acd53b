import type { ConsumerStatus } from '../../platform/consumer/index.ts';

/** What `brx-sync lag` knows, and how it is reckoned from what Kafka says. Pure. */
export interface LagReport {
  topic: string;
  group: string;
  /** Kafka's word: Stable, PreparingRebalance, CompletingRebalance, Empty (no member runs), Dead (no such group). */
  state: string;
  /** When it was read. */
  at: Date;
  members: Member[];
  partitions: PartitionLag[];
  total: { records: number; seconds: number | null; trend: Trend | null };
}

export interface Member {
  id: string;
  clientId: string;
  host: string;
  partitions: number[];
}

export interface PartitionLag {
  partition: number;
  /** The next offset the group will read; null if it never committed: it then starts at `earliest`. */
  committed: string | null;
  earliest: string;
  end: string;
  records: number;
  /** Age of the oldest record not yet committed; 0 when caught up, null if it could not be read in time. */
  seconds: number | null;
  /** Records that retention deleted before the group had read them. */
  lost: number;
  owner: string | null;
  /** Against the report before; null for the first. */
  trend: Trend | null;
  /** Records behind in the reports until now, this one last. */
  history: number[];
  /** By Burrow's rules; null while it was not watched for long enough to tell. */
  status: ConsumerStatus | null;
}

/** How many readings a history keeps. */
const HISTORY = 16;

export type Trend = 'up' | 'down' | 'same';

/** Offsets of one partition as Kafka gives them; `committed` is "-1" for "never". */
export interface Offsets {
  partition: number;
  committed: string;
  earliest: string;
  end: string;
}

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** Where the group would go on, if anything is there: the offset whose record's age is the lag. */
export function oldestPending(offsets: Offsets): string | undefined {
  const next = max(BigInt(offsets.committed), BigInt(offsets.earliest));
  return next < BigInt(offsets.end) ? next.toString() : undefined;
}

export function buildReport(known: {
  topic: string;
  group: string;
  state: string;
  at: number;
  members: readonly Member[];
  offsets: readonly Offsets[];
  /** By partition, in ms since 1970, of the record at `oldestPending`. */
  timestamps: ReadonlyMap<number, number>;
  previous: LagReport | undefined;
  /** By partition, of those for which it can be told. */
  statuses?: ReadonlyMap<number, ConsumerStatus>;
}): LagReport {
  const partitions = known.offsets.map((offsets): PartitionLag => {
    const { partition } = offsets;
    const [committed, earliest, end] = [BigInt(offsets.committed), BigInt(offsets.earliest), BigInt(offsets.end)];
    const never = committed < 0n;
    const records = Number(max(0n, end - max(committed, earliest)));
    const timestamp = known.timestamps.get(partition);
    const before = known.previous?.partitions.find((other) => other.partition === partition);
    return {
      partition,
      committed: never ? null : offsets.committed,
      earliest: offsets.earliest,
      end: offsets.end,
      records,
      seconds: records === 0 ? 0 : timestamp === undefined ? null : Math.max(0, (known.at - timestamp) / 1_000),
      lost: never ? 0 : Number(max(0n, earliest - committed)),
      owner: known.members.find((member) => member.partitions.includes(partition))?.id ?? null,
      trend: before === undefined ? null : trendOf(before.records, records),
      history: [...(before?.history ?? []), records].slice(-HISTORY),
      // Behind by nothing is well whenever it is seen.
      status: known.statuses?.get(partition) ?? (records === 0 ? 'ok' : null),
    };
  });
  const records = partitions.reduce((sum, partition) => sum + partition.records, 0);
  return {
    topic: known.topic,
    group: known.group,
    state: known.state,
    at: new Date(known.at),
    members: [...known.members],
    partitions: partitions.sort((a, b) => a.partition - b.partition),
    total: {
      records,
      // The oldest known age is a lower bound only while another partition's is unknown: better no number than a soothing one.
      seconds: partitions.some((partition) => partition.seconds === null) ? null : Math.max(0, ...partitions.map((partition) => partition.seconds ?? 0)),
      trend: known.previous === undefined ? null : trendOf(known.previous.total.records, records),
    },
  };
}

const trendOf = (before: number, now: number): Trend => (now > before ? 'up' : now < before ? 'down' : 'same');

/** Several groups as one: behind by all of it, as old as the oldest. */
export function totalOf(reports: readonly LagReport[], previous: LagReport['total'] | undefined): LagReport['total'] {
  const records = reports.reduce((sum, { total }) => sum + total.records, 0);
  return {
    records,
    seconds: reports.some(({ total }) => total.seconds === null) ? null : Math.max(0, ...reports.map(({ total }) => total.seconds ?? 0)),
    trend: previous === undefined ? null : trendOf(previous.records, records),
  };
}
