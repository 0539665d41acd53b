import type { GroupMemory, SeenPartition } from '../../platform/consumer/index.ts';
import type { Logger } from '../../platform/log.ts';
import type { Postgres } from '../../platform/postgres/index.ts';
import { progressOf, type Moves } from './plan.ts';
import { insertDetected, markProgress, readRemembered, writePositions, type OpenReplay } from './replays.sql.ts';

/** What a look at a group has come to. */
export interface Judgement {
  readonly positions: readonly { readonly partition: number; readonly furthest: bigint; readonly anew: boolean }[];
  /** Moved back by somebody else. */
  readonly outside: Moves;
  readonly started: readonly bigint[];
  readonly caughtUp: readonly bigint[];
  /** Partitions that stand before where they had been, on purpose. */
  readonly replaying: ReadonlySet<number>;
}

/**
 * Tells a reset from a rewind, and follows replays. Pure.
 *
 * Kafka moves offsets for tools only while a group has no members. So an offset that is behind where the group had been *when a partition
 * is first looked at* was set by somebody between two readers: a replay. One that falls behind while it is read was not: that is a rewind.
 */
export function judge(remembered: { readonly furthest: ReadonlyMap<number, bigint>; readonly open: readonly OpenReplay[] }, seen: readonly SeenPartition[]): Judgement {
  const { furthest, open } = remembered;
  const covered = (partition: number): boolean => open.some(({ offsets }) => offsets[String(partition)] !== undefined);
  const positions = seen.flatMap(({ partition, committed, end, owned }) => {
    const before = furthest.get(partition);
    if (!owned || committed < 0n) return [];
    const anew = before !== undefined && end < before;
    return before === undefined || committed > before || anew ? [{ partition, furthest: committed, anew }] : [];
  });
  const outside: Record<string, readonly [string, string]> = {};
  const replaying = new Set<number>();
  for (const { partition, committed, end, owned, fresh } of seen) {
    const before = furthest.get(partition);
    if (before === undefined || committed >= before || end < before) continue;
    if (covered(partition)) replaying.add(partition);
    else if (owned && fresh) {
      outside[String(partition)] = [before.toString(), committed.toString()];
      replaying.add(partition);
    }
  }
  const standings = seen.map(({ partition, committed, end }) => ({ partition, committed, earliest: 0n, end }));
  const progress = open.filter(({ set }) => set).map((replay) => ({ ...replay, ...progressOf(replay.offsets, standings) }));
  const isOver = ({ offsets, partitions }: (typeof progress)[number]): boolean => Object.keys(offsets).length === partitions.length && partitions.every(({ left }) => left === 0);
  return {
    positions,
    outside,
    started: progress.filter((replay) => !replay.started && replay.done > 0).map(({ id }) => id),
    caughtUp: progress.filter(isOver).map(({ id }) => id),
    replaying,
  };
}

/** The memory of a group, in PostgreSQL: shared by all instances, and there when none runs. */
export function createGroupMemory({ postgres, logger }: { postgres: Pick<Postgres, 'prisma'>; logger: Logger }): GroupMemory {
  const { prisma } = postgres;
  return {
    async recall(group, topic) {
      const remembered = await readRemembered(prisma, group, topic);
      return async (seen) => {
        const { positions, outside, started, caughtUp, replaying } = judge(remembered, seen);
        if (Object.keys(outside).length > 0) {
          const { id, first } = await insertDetected(prisma, group, topic, outside);
          if (first) logger.warn({ group, topic, replay: id }, 'the group was set back by another tool: a replay; `brx-sync replay watch` shows it');
        }
        if (positions.length > 0) await writePositions(prisma, group, topic, positions);
        if (started.length > 0 || caughtUp.length > 0) await markProgress(prisma, { started, caughtUp });
        for (const id of caughtUp) logger.info({ group, topic, replay: id }, 'the replay is over');
        return replaying;
      };
    },
  };
}
