import type { Clock } from '../../platform/clock.ts';
import type { Standing } from './plan.ts';
import { progressOf, type ReplayProgress } from './plan.ts';
import { observedGroup, type ReplayDeps } from './replay.ts';
import { selectReplay, selectReplays, type ReplayRow } from './replays.sql.ts';

/** A replay as it stands at one moment. */
export interface Picture {
  readonly at: Date;
  readonly replay: ReplayRow;
  readonly progress: ReplayProgress;
  /** What stands behind the replay: new records that wait for it. */
  readonly behind: number;
  readonly members: number;
  /** Records of the replay a second since the first picture with any progress; null: not known yet. */
  readonly rate: number | null;
  /** Until it is over, at that rate. */
  readonly seconds: number | null;
  readonly over: boolean;
}

export interface ReplayWatcher {
  /** Undefined if there is no replay to watch. */
  read(): Promise<Picture | undefined>;
}

/** Watches one replay: the one named, or the newest that is not over. */
export function watchReplay(deps: ReplayDeps, id: bigint | undefined): ReplayWatcher {
  let watched = id;
  const speed = createSpeed(deps.clock);
  return {
    async read() {
      const { prisma } = deps.postgres;
      // Whoever looks also writes down that it is over.
      const { standings, members } = await observedGroup(deps);
      const replay = watched === undefined ? (await selectReplays(prisma, { group: deps.group.id, open: true, limit: 1 }))[0] : await selectReplay(prisma, watched);
      if (replay === undefined || replay.group !== deps.group.id) return undefined;
      watched = replay.id;
      const progress = progressOf(replay.offsets, standings);
      const { rate, seconds } = speed(progress.done, progress.of - progress.done);
      return { at: new Date(deps.clock.now()), replay, progress, behind: behindOf(standings), members: members.length, rate, seconds, over: replay.undoneAt !== null || replay.caughtUpAt !== null || (replay.setAt !== null && progress.done === progress.of) };
    },
  };
}

/** Records a second over all pictures so far, and what is left at that pace. */
export function createSpeed(clock: Pick<Clock, 'monotonic'>): (done: number, left: number) => { rate: number | null; seconds: number | null } {
  let first: { at: number; done: number } | undefined;
  return (done, left) => {
    const now = clock.monotonic();
    // From the first progress on: how long the instances took to start says nothing about how fast they read.
    if (first === undefined || (done === first.done && done === 0)) first = { at: now, done };
    const passed = (now - first.at) / 1_000;
    const rate = passed > 0 && done > first.done ? (done - first.done) / passed : null;
    return { rate, seconds: left === 0 ? 0 : rate === null ? null : left / rate };
  };
}

const behindOf = (standings: readonly Standing[]): number => standings.reduce((sum, { committed, earliest, end }) => sum + Number(end - (committed !== null && committed > earliest ? committed : earliest)), 0);
