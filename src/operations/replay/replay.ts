import { BrxError } from '../../errors.ts';
import { partitionOf } from '../../contract/index.ts';
import { inTransaction, recordOperatorAction, type Postgres } from '../../platform/postgres/index.ts';
import { counted } from '../../platform/words.ts';
import type { Member } from '../lag/index.ts';
import { examine, MOST_EXAMINED, type Effect, type EffectDeps } from './effect.ts';
import { membersWords, offsetsAt, readGroup, refuseMembers, setOffsets, STOP_THEM, type GroupState } from './group.ts';
import { createGroupMemory } from './memory.ts';
import { askedOffsets, movesNothing, movesOf, moving, planPartitions, totals, undoOffsets, type PlannedPartition, type PlanTotals, type Target } from './plan.ts';
import { APPLIED, insertReplay, markReplay, selectReplay, selectReplayRate, selectReplays, UNDONE, type ReplayRow } from './replays.sql.ts';
import { targetWords } from './target.ts';

export interface ReplayDeps extends EffectDeps {
  readonly postgres: Postgres;
  readonly logger: Parameters<typeof createGroupMemory>[0]['logger'];
}

/** What is asked for: where to, and of which partitions. */
export interface Request {
  readonly target: Target;
  /** Only these; all if left out. */
  readonly partitions?: readonly number[];
  /** Only the partition this user's events are in. */
  readonly user?: string;
  /** Whether a partition may be moved past records that were never read. */
  readonly allowSkip: boolean;
}

export interface Plan {
  readonly group: string;
  readonly topic: string;
  readonly how: string;
  readonly state: string;
  readonly members: readonly Member[];
  readonly partitions: readonly PlannedPartition[];
  readonly totals: PlanTotals;
  /** Records a second the time is reckoned with, and whether this group was ever measured. */
  readonly rate: { readonly records: number; readonly measured: boolean };
  /** What becomes of what is read again; null: it is more than is read for a plan, or of a topic of ours. */
  readonly effect: Effect | null;
  /** Why it may not run now. */
  readonly blocked: readonly { readonly why: string; readonly remedy: string }[];
}

/** Two cores that Kafka and PostgreSQL share read duplicates at least so fast. */
const ASSUMED_RATE = 10_000;
/** Less says more about how long it takes to start than about reading. */
const LEAST_MEASURED = 10_000;

/** Works out what a replay would do. It changes nothing in Kafka; a reset that somebody else made is noticed by the way. */
export async function planReplay(deps: ReplayDeps, request: Request): Promise<Plan> {
  const { group, postgres } = deps;
  const state = await observedGroup(deps);
  const named = namedPartitions(request, state);
  const atTime = request.target.to === 'time' ? await offsetsAt(deps, request.target.at) : new Map<number, bigint>();
  const standings = state.standings.filter(({ partition }) => named === undefined || named.has(partition));
  const partitions = planPartitions(request.target, standings, askedOffsets(request.target, standings, atTime));
  const measured = await selectReplayRate(postgres.prisma, group.id, LEAST_MEASURED);
  const rate = { records: Math.round(measured ?? ASSUMED_RATE), measured: measured !== null };
  const sums = totals(partitions, rate.records);
  const examined = group.role === 'ingest' && sums.records > 0 && sums.records <= MOST_EXAMINED;
  return {
    group: group.id,
    topic: group.topic,
    how: howWords(request),
    state: state.state,
    members: state.members,
    partitions,
    totals: sums,
    rate,
    effect: examined ? await examine(deps, partitions, state) : null,
    blocked: blockedBy(deps, request, state, partitions, sums),
  };
}

export interface By {
  readonly who: string;
  readonly reason: string;
}

/**
 * Sets the offsets of a plan. Written down first, with the old ones, then set, then read back: whatever fails in between can be undone.
 * Throws BRX_REFUSED if anything of the plan stands in the way, or the group has moved since.
 */
export async function applyReplay(deps: ReplayDeps, plan: Plan, by: By): Promise<ReplayRow> {
  const { group, postgres } = deps;
  const [obstacle] = plan.blocked;
  if (obstacle !== undefined) throw new BrxError('BRX_REFUSED', obstacle.why, { remedy: obstacle.remedy });
  const { standings, members } = await readGroup(deps);
  refuseMembers(group, members);
  const offsets = movesOf(plan.partitions);
  const moved = standings.filter(({ partition, committed }) => offsets[String(partition)] !== undefined && (committed?.toString() ?? null) !== offsets[String(partition)]?.[0]);
  if (moved.length > 0) throw new BrxError('BRX_REFUSED', `the group has moved since the plan was made (partition ${moved.map(({ partition }) => partition).join(', ')})`, { remedy: 'somebody else is at work on it: make a new plan' });

  const id = await inTransaction(postgres, async (tx) => {
    const written = await insertReplay(tx, { group: group.id, topic: group.topic, how: plan.how, offsets });
    await recordOperatorAction(tx, { ...by, action: APPLIED, target: String(written), detail: { group: group.id, topic: group.topic, how: plan.how, offsets } });
    return written;
  });
  try {
    await setOffsets(deps, new Map(moving(plan.partitions).map(({ partition, to }) => [partition, BigInt(to)])));
  } catch (error) {
    await withdraw(deps, id, standings).catch(() => undefined); // what went wrong is thrown; the old offsets are in the record
    throw error;
  }
  await inTransaction(postgres, (tx) => markReplay(tx, id, 'set'));
  return known(await selectReplay(postgres.prisma, id), id);
}

/** A replay of which nothing was set never was one. */
async function withdraw(deps: ReplayDeps, id: bigint, before: GroupState['standings']): Promise<void> {
  const { standings } = await readGroup(deps);
  const same = standings.every(({ partition, committed }) => committed === before.find((one) => one.partition === partition)?.committed);
  if (same) await inTransaction(deps.postgres, (tx) => markReplay(tx, id, 'undone'));
}

export interface Undo {
  readonly replay: ReplayRow;
  /** Where each partition goes back to. */
  readonly offsets: ReadonlyMap<number, bigint>;
}

/** What undoing a replay would restore: the newest one that is not over, or the one named. Throws BRX_REFUSED if there is nothing to undo. */
export async function planUndo(deps: ReplayDeps, id: bigint | undefined): Promise<Undo> {
  const { group, postgres } = deps;
  const { standings } = await observedGroup(deps);
  const replay = id === undefined ? (await selectReplays(postgres.prisma, { group: group.id, open: true, limit: 1 }))[0] : await selectReplay(postgres.prisma, id);
  const remedy = '`brx-sync replay list` shows what there was';
  if (replay === undefined) throw new BrxError('BRX_REFUSED', id === undefined ? `no replay of ${group.id} is under way: there is nothing to undo` : `there is no replay ${id}`, { remedy });
  if (replay.group !== group.id) throw new BrxError('BRX_REFUSED', `replay ${replay.id} is of group ${replay.group}`, { remedy: 'name that group with --group' });
  if (replay.undoneAt !== null) throw new BrxError('BRX_REFUSED', `replay ${replay.id} is undone already`, { remedy });
  const offsets = undoOffsets(replay.offsets, standings);
  if (offsets.size === 0) throw new BrxError('BRX_REFUSED', `replay ${replay.id} is over: every partition is where it had been`, { remedy });
  return { replay, offsets };
}

/** Why a replay may not be undone now; null: it may. */
export async function undoObstacle(deps: ReplayDeps, id: bigint): Promise<{ readonly why: string; readonly remedy: string } | null> {
  try {
    await planUndo(deps, id);
    refuseMembers(deps.group, (await readGroup(deps)).members);
    return null;
  } catch (error) {
    if (error instanceof BrxError && error.code === 'BRX_REFUSED') return { why: error.message, remedy: error.remedy ?? '' };
    throw error;
  }
}

/** Restores the old offsets. The group must have no member. */
export async function undoReplay(deps: ReplayDeps, { replay, offsets }: Undo, by: By): Promise<void> {
  const { group, postgres } = deps;
  const { members } = await readGroup(deps);
  refuseMembers(group, members);
  await setOffsets(deps, offsets);
  await inTransaction(postgres, async (tx) => {
    await markReplay(tx, replay.id, 'undone');
    await recordOperatorAction(tx, { ...by, action: UNDONE, target: String(replay.id), detail: { group: group.id, topic: group.topic, offsets: Object.fromEntries([...offsets].map(([partition, offset]) => [partition, offset.toString()])) } });
  });
}

/**
 * The group as Kafka shows it, looked at with what is remembered of it: a reset made with another tool, while no instance ran, is written
 * down as a replay here, too.
 */
export async function observedGroup(deps: Pick<ReplayDeps, 'kafka' | 'clock' | 'group' | 'postgres' | 'logger'>): Promise<GroupState> {
  const observe = await createGroupMemory(deps).recall(deps.group.id, deps.group.topic);
  const state = await readGroup(deps);
  const nobody = state.members.length === 0;
  await observe(state.standings.map(({ partition, committed, earliest, end }) => ({ partition, committed: committed ?? earliest, end, owned: nobody, fresh: nobody })));
  return state;
}

function namedPartitions({ partitions, user }: Request, { standings }: GroupState): ReadonlySet<number> | undefined {
  if (user !== undefined) return new Set([partitionOf(user, standings.length)]);
  const unknown = partitions?.filter((partition) => partition >= standings.length) ?? [];
  if (unknown.length > 0) throw new BrxError('BRX_USAGE', `the topic has partitions 0 to ${standings.length - 1}, not ${unknown.join(', ')}`);
  return partitions === undefined ? undefined : new Set(partitions);
}

function howWords({ target, partitions, user }: Request): string {
  const of = user !== undefined ? `, user ${user}` : partitions !== undefined ? `, partitions ${partitions.join(', ')}` : '';
  return `${targetWords(target)}${of}`;
}

function blockedBy({ group }: ReplayDeps, { allowSkip }: Request, { members }: GroupState, partitions: readonly PlannedPartition[], sums: PlanTotals): Plan['blocked'] {
  return [
    ...(movesNothing(partitions) ? [{ why: 'it would move no partition: there is nothing to read again', remedy: 'choose an earlier offset or time' }] : []),
    ...(sums.skipped > 0 && !allowSkip ? [{ why: `${counted(sums.skipped, 'record that was', 'records that were')} never read would be skipped: ${sums.skipped === 1 ? 'it' : 'they'} would have no effect until somebody replays ${sums.skipped === 1 ? 'it' : 'them'}`, remedy: 'choose an earlier offset or time; --allow-skip if that is what you want' }] : []),
    ...(members.length > 0 ? [{ why: membersWords(group, members), remedy: STOP_THEM }] : []),
  ];
}

function known(replay: ReplayRow | undefined, id: bigint): ReplayRow {
  if (replay === undefined) throw new BrxError('BRX_INTERNAL', `replay ${id} is gone`);
  return replay;
}
