/** What setting a group's offsets means, partition by partition. Pure: what Kafka says goes in, a plan comes out. */

/** Where a group stands in one partition. Offsets are 64-bit: text towards people and files, BigInt to reckon with. */
export interface Standing {
  readonly partition: number;
  /** The next offset it will read; null: it never committed, and would begin at `earliest`. */
  readonly committed: bigint | null;
  /** The oldest record there is. */
  readonly earliest: bigint;
  readonly end: bigint;
}

export type Target =
  | { readonly to: 'earliest' }
  | { readonly to: 'offset'; readonly offset: bigint }
  /** The first record stamped at or after it. */
  | { readonly to: 'time'; readonly at: number }
  | { readonly to: 'shift'; readonly by: bigint }
  /** As of a file: partitions it does not name stay where they are. */
  | { readonly to: 'file'; readonly offsets: ReadonlyMap<number, bigint> };

export interface PlannedPartition {
  readonly partition: number;
  /** Where the group stands; null: it never committed. */
  readonly from: string | null;
  readonly to: string;
  /** Read again. */
  readonly records: number;
  /** Never read, if it goes forward. */
  readonly skipped: number;
  /** Behind already: what is read besides. */
  readonly pending: number;
  /** Asked for, but removed by retention; null: some may be, of a time nobody can tell how many. */
  readonly gone: number | null;
}

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** Where a group goes on: its offset, or where the records begin if those before are gone or it never committed. */
export const goesOnAt = ({ committed, earliest }: Standing): bigint => max(committed ?? earliest, earliest);

/** The offset that was asked for, by partition, wherever it lies. `atTime`: what Kafka says of a time. */
export function askedOffsets(target: Target, standings: readonly Standing[], atTime: ReadonlyMap<number, bigint>): Map<number, bigint> {
  const asked = (standing: Standing): bigint | undefined => {
    switch (target.to) {
      case 'earliest':
        return standing.earliest;
      case 'offset':
        return target.offset;
      case 'time':
        return atTime.get(standing.partition);
      case 'shift':
        return (standing.committed ?? standing.earliest) + target.by;
      case 'file':
        return target.offsets.get(standing.partition);
    }
  };
  return new Map(standings.flatMap((standing) => {
    const offset = asked(standing);
    return offset === undefined ? [] : [[standing.partition, offset] as const];
  }));
}

/** The plan for the partitions that were asked for. What lies outside of the partition is moved to its nearest end, and told. */
export function planPartitions(target: Target, standings: readonly Standing[], asked: ReadonlyMap<number, bigint>): PlannedPartition[] {
  return standings
    .flatMap((standing) => {
      const offset = asked.get(standing.partition);
      return offset === undefined ? [] : [planned(target, standing, offset)];
    })
    .sort((a, b) => a.partition - b.partition);
}

function planned(target: Target, standing: Standing, asked: bigint): PlannedPartition {
  const { partition, committed, earliest, end } = standing;
  const to = max(earliest, min(asked, end));
  const at = min(goesOnAt(standing), end);
  // What begins with the oldest record there is may be meant to begin before it: only an offset tells.
  const cut = earliest > 0n && to === earliest && (target.to === 'time' || target.to === 'earliest');
  return {
    partition,
    from: committed === null ? null : committed.toString(),
    to: to.toString(),
    records: Number(max(0n, at - to)),
    skipped: Number(max(0n, to - at)),
    pending: Number(end - max(at, to)),
    gone: cut ? null : Number(max(0n, earliest - max(0n, asked))),
  };
}

export interface PlanTotals {
  readonly records: number;
  readonly skipped: number;
  readonly pending: number;
  /** Until the group is at the end again, at `rate`. */
  readonly seconds: number;
}

/** @param rate records a second */
export function totals(partitions: readonly PlannedPartition[], rate: number): PlanTotals {
  const sum = (of: (partition: PlannedPartition) => number): number => partitions.reduce((all, partition) => all + of(partition), 0);
  const [records, skipped, pending] = [sum(({ records: n }) => n), sum(({ skipped: n }) => n), sum(({ pending: n }) => n)];
  return { records, skipped, pending, seconds: (records + pending) / rate };
}

/** Whether setting the offsets would move the group anywhere. A first commit at the beginning moves nothing. */
export const movesNothing = (partitions: readonly PlannedPartition[]): boolean => partitions.every(({ records, skipped }) => records === 0 && skipped === 0);

/** The partitions whose offsets are to be set: the others stay as they are. */
export const moving = (partitions: readonly PlannedPartition[]): PlannedPartition[] => partitions.filter(({ records, skipped }) => records > 0 || skipped > 0);

/** Old (null: never committed) and new offset by partition, as the record of a replay keeps them. */
export type Moves = Readonly<Record<string, readonly [old: string | null, now: string]>>;

export const movesOf = (partitions: readonly PlannedPartition[]): Moves => Object.fromEntries(moving(partitions).map(({ partition, from, to }) => [String(partition), [from, to] as const]));

/**
 * Offsets that bring a group back to where it stood before `moves`. A partition that has come back there by itself, or is further, is left
 * alone, unless it was moved forward: what was skipped is then read after all. One that had never committed cannot be made so again.
 */
export function undoOffsets(moves: Moves, standings: readonly Standing[]): Map<number, bigint> {
  const back = new Map<number, bigint>();
  for (const standing of standings) {
    const [old, now] = moves[String(standing.partition)] ?? [null, '0'];
    if (old === null) continue;
    const wasAt = max(BigInt(old), standing.earliest);
    const forward = BigInt(now) > BigInt(old);
    const at = goesOnAt(standing);
    if (forward ? at > wasAt : at < wasAt) back.set(standing.partition, min(wasAt, standing.end));
  }
  return back;
}

/** Where partitions stood before they were set back: until one is there again, it is being replayed. What was never committed, or was set forward, is not. */
export function stoodAt(replays: readonly { readonly offsets: Moves }[]): Map<number, bigint> {
  const stood = new Map<number, bigint>();
  for (const { offsets } of replays) {
    for (const [name, [old, now]] of Object.entries(offsets)) {
      if (old === null || BigInt(now) >= BigInt(old)) continue;
      const partition = Number(name);
      stood.set(partition, max(stood.get(partition) ?? 0n, BigInt(old)));
    }
  }
  return stood;
}

/** How far a replay has come: of the records to be read again, those that are. */
export interface ReplayProgress {
  readonly done: number;
  readonly of: number;
  readonly partitions: readonly { readonly partition: number; readonly at: string; readonly goal: string; readonly left: number }[];
}

/** A partition is done when it has reached where it stood, or where it now ends, whichever comes first. */
export function progressOf(moves: Moves, standings: readonly Standing[]): ReplayProgress {
  const partitions = standings.flatMap((standing) => {
    const move = moves[String(standing.partition)];
    if (move === undefined) return [];
    const begin = max(BigInt(move[1]), standing.earliest);
    const goal = max(begin, min(BigInt(move[0] ?? begin), standing.end));
    const at = max(begin, min(goesOnAt(standing), goal));
    return [{ partition: standing.partition, at: goesOnAt(standing).toString(), goal: goal.toString(), left: Number(goal - at), all: Number(goal - begin) }];
  });
  const of = partitions.reduce((sum, { all }) => sum + all, 0);
  const left = partitions.reduce((sum, partition) => sum + partition.left, 0);
  return { done: of - left, of, partitions: partitions.map(({ partition, at, goal, left: missing }) => ({ partition, at, goal, left: missing })) };
}
