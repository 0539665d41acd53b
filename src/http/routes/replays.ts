import { z } from 'zod';
import { applyReplay, durationOf, instantOf, planReplay, planUndo, selectReplay, selectReplays, undoObstacle, undoReplay, watchReplay, type Plan, type ReplayDeps, type ReplayRow, type Request, type Target } from '../../operations/replay/index.ts';
import { withDeadline } from '../../platform/deadline.ts';
import { id, limit } from '../models.ts';
import { byOf, operatorBody } from '../operator.ts';
import { Problem } from '../problems.ts';
import { route, type Model, type Route } from '../route.ts';
import { toText } from '../times.ts';
import type { ApiDeps } from './users.ts';

const MOST_REPLAYS = 200;
/** Kafka is asked several times, and up to 50,000 records are read for a plan. */
const PLAN_MS = 9_000;
/** Replays whose pace is followed. */
const MOST_WATCHED = 20;
const ROLES = ['ingest', 'saga'] as const;
const TARGETS = ['earliest', 'offset', 'time', 'since', 'shift'] as const;
const STATES = ['half_set', 'never_set', 'waits', 'running', 'over', 'undone'] as const;

const time = z.iso.datetime();
const count = z.int().min(0);
const offset = z.string();
const replay = z.object({
  replay_id: z.string(),
  group: z.string(),
  topic: z.string(),
  how: z.string().meta({ description: 'where to, as it was asked for' }),
  state: z.enum(STATES).meta({ description: 'waits: its offsets are set, and nobody has begun to read; half_set: what was to be set was not, undo it or apply again' }),
  detected: z.boolean().meta({ description: 'by another tool than ours' }),
  who: z.string().nullable(),
  reason: z.string().nullable(),
  begun_at: time,
  caught_up_at: time.nullable(),
  undone_at: time.nullable(),
  moves: z.array(z.object({ partition: z.int(), from: offset.nullable(), to: offset })),
});
const refusal = z.object({ problem: z.string(), remedy: z.string() });
const list = { name: 'Replays', schema: z.object({ replays: z.array(replay).meta({ description: 'newest first' }) }) } satisfies Model;
const picture = {
  name: 'ReplayPicture',
  schema: replay.extend({
    done: count.meta({ description: 'records of it that are read again' }),
    of: count,
    behind: count.meta({ description: 'to the end of the topic' }),
    members: count.meta({ description: 'that read' }),
    records_per_second: z.number().nullable(),
    seconds_left: z.number().nullable(),
    left: z.array(z.object({ partition: z.int(), at: offset, goal: offset, left: count })).meta({ description: 'partitions that are not where they had been' }),
    undo_refused: refusal.nullable().meta({ description: 'why it may not be undone now; null: it may' }),
  }),
} satisfies Model;
const plan = {
  name: 'ReplayPlan',
  schema: z.object({
    group: z.string(),
    topic: z.string(),
    how: z.string(),
    group_state: z.string().meta({ description: 'Kafka’s word' }),
    members: z.array(z.object({ client: z.string(), host: z.string(), partitions: z.array(z.int()) })),
    partitions: z.array(z.object({ partition: z.int(), from: offset.nullable(), to: offset, again: count, skipped: count, pending: count, gone: count.nullable().meta({ description: 'asked for, and removed by retention; null: nobody can tell how many' }) })),
    again: count,
    skipped: count,
    pending: count,
    seconds: z.number(),
    records_per_second: z.number(),
    measured: z.boolean().meta({ description: 'at the pace of this group’s last replay; else assumed' }),
    effect: z
      .object({ duplicates: count, buried: count, too_old: count, fresh: count, unusable: count })
      .nullable()
      .meta({ description: 'what becomes of what is read again; null: it is too much to be counted, or of the topic of sales, whose steps are recognised' }),
    refused: z.array(refusal).meta({ description: 'why it may not run now' }),
  }),
} satisfies Model;
const undone = { name: 'ReplayUndone', schema: z.object({ replay_id: z.string(), offsets: z.array(z.object({ partition: z.int(), to: offset })) }) } satisfies Model;

const replayId = z.string().regex(/^[1-9]\d{0,17}$/, { error: 'must be the id of a replay' });
const group = z.enum(ROLES).default('ingest').meta({ description: 'whose offsets: of events, or of the steps of sales' });
const to = z.enum(TARGETS).default('earliest');
const value = z.string().max(64).optional().meta({ description: 'an offset; a time with its zone, 2026-11-23T18:00:00Z; a duration, 90m or 1d12h; or so many records, -1000 for back' });
const partitions = z.string().regex(/^\d{1,6}(?:,\d{1,6})*$/, { error: 'must be numbers of partitions, separated by commas' }).optional();
const query = z.strictObject({ group, to, value, user: id.optional(), partitions, allow_skip: z.enum(['true', 'false']).default('false') });
const confirm = z.string().max(249).meta({ description: 'the name of the group, so that nobody moves another one' });
const body = operatorBody.extend({ group, to, value, user: id.optional(), partitions, allow_skip: z.boolean().default(false).meta({ description: 'let a partition move past records that were never read' }), confirm });
const CHANGES = ['invalid_request', 'unauthorized', 'forbidden', 'conflict', 'too_large', 'unsupported_media_type'] as const;

/** Records read again: what that would do, doing it, how far it is, and taking it back, as `brx-sync replay` has it. */
export function replayRoutes({ readers, replays }: Pick<ApiDeps, 'readers' | 'replays'>): Route[] {
  const watchers = new Map<string, ReturnType<typeof watchReplay>>();
  let planning = false;
  const depsOf = (role: (typeof ROLES)[number]): ReplayDeps => {
    const deps = replays.find((one) => one.group.role === role);
    if (deps === undefined) throw new Error(`no group has the role ${role}`);
    return deps;
  };
  const known = async (wanted: string): Promise<{ row: ReplayRow; deps: ReplayDeps }> => {
    const row = await readers.readFrom(({ prisma }) => selectReplay(prisma, BigInt(wanted)), { maxLagMs: 0 });
    const deps = replays.find((one) => one.group.id === row?.group);
    if (row === undefined || deps === undefined) throw new Problem('unknown_replay', `there is no replay ${wanted}`, { remedy: 'GET /replays lists them' });
    return { row, deps };
  };
  const watcherOf = (wanted: string, deps: ReplayDeps): ReturnType<typeof watchReplay> => {
    const watcher = watchers.get(wanted) ?? watchReplay(deps, BigInt(wanted));
    watchers.delete(wanted);
    watchers.set(wanted, watcher);
    for (const oldest of watchers.keys()) if (watchers.size > MOST_WATCHED) watchers.delete(oldest);
    return watcher;
  };
  return [
    route({
      method: 'GET',
      path: '/replays',
      access: 'read',
      isLimited: true,
      summary: 'Replays, newest first: who, why, and what became of them',
      query: z.strictObject({ group: z.enum(ROLES).optional(), limit: limit(MOST_REPLAYS, 20) }),
      answer: list,
      problems: ['invalid_request', 'unauthorized'],
      handle: async ({ query: { group: role, limit: most } }) => ({ body: { replays: (await readers.readFrom(({ prisma }) => selectReplays(prisma, { group: role === undefined ? null : depsOf(role).group.id, open: false, limit: most }))).map(replayOf) } }),
    }),
    route({
      method: 'GET',
      path: '/replays/plan',
      access: 'read',
      isLimited: true,
      summary: 'What a replay would do, partition by partition, and what is in its way; changes nothing',
      description: 'Asks Kafka, and reads up to 50,000 records of it; one plan at a time.',
      query,
      answer: plan,
      problems: ['invalid_request', 'unauthorized', 'conflict'],
      async handle({ query: asked }) {
        const deps = depsOf(asked.group);
        const request = requestOf({ ...asked, allow_skip: asked.allow_skip === 'true' }, deps);
        if (planning) throw new Problem('conflict', 'another plan is being made in this process', { remedy: 'try again in a moment' });
        planning = true;
        const planned = planReplay(deps, request).finally(() => (planning = false));
        const late = (): never => {
          throw new Problem('unavailable', `Kafka gave no answer within ${PLAN_MS / 1_000} s`, { remedy: 'see whether the brokers run; `brx-sync replay plan` waits longer' });
        };
        return { body: planOf(await withDeadline(planned, { ms: PLAN_MS, clock: deps.clock, late })) };
      },
    }),
    route({
      method: 'POST',
      path: '/replays',
      access: 'write',
      isLimited: true,
      summary: 'Set a group’s offsets; it must have no members',
      description: 'Plans anew, writes the old offsets down, sets the new ones and reads them back; takes some seconds. Written down with who and why.',
      body,
      answer: { name: 'Replay', schema: replay },
      problems: CHANGES,
      async handle({ body: asked }) {
        const deps = depsOf(asked.group);
        mustConfirm(asked.confirm, deps);
        return { body: replayOf(await applyReplay(deps, await planReplay(deps, requestOf(asked, deps)), byOf(asked))) };
      },
    }),
    route({
      method: 'GET',
      path: '/replays/{replay}',
      access: 'read',
      isLimited: true,
      summary: 'A replay: how far it has come, at which pace, and whether it can be undone',
      params: z.strictObject({ replay: replayId }),
      answer: picture,
      problems: ['invalid_request', 'unauthorized', 'unknown_replay'],
      async handle({ params: { replay: wanted } }) {
        const { deps } = await known(wanted);
        const seen = await watcherOf(wanted, deps).read();
        if (seen === undefined) throw new Problem('unknown_replay', `there is no replay ${wanted}`, { remedy: 'GET /replays lists them' });
        const obstacle = await undoObstacle(deps, BigInt(wanted));
        const { progress, behind, members, rate, seconds } = seen;
        return {
          body: {
            ...replayOf(seen.replay),
            done: progress.done,
            of: progress.of,
            behind,
            members,
            records_per_second: rate,
            seconds_left: seconds,
            left: progress.partitions.filter(({ left }) => left > 0),
            undo_refused: obstacle === null ? null : { problem: obstacle.why, remedy: obstacle.remedy },
          },
        };
      },
    }),
    route({
      method: 'POST',
      path: '/replays/{replay}/undo',
      access: 'write',
      isLimited: true,
      summary: 'Restore the offsets from before a replay; the group must have no members',
      description: 'Partitions that have caught up already stay where they are. Takes some seconds. Written down with who and why.',
      params: z.strictObject({ replay: replayId }),
      body: operatorBody.extend({ confirm }),
      answer: undone,
      problems: [...CHANGES, 'unknown_replay'],
      async handle({ params: { replay: wanted }, body: asked }) {
        const { deps } = await known(wanted);
        mustConfirm(asked.confirm, deps);
        const undo = await planUndo(deps, BigInt(wanted));
        await undoReplay(deps, undo, byOf(asked));
        return { body: { replay_id: wanted, offsets: [...undo.offsets].map(([partition, back]) => ({ partition, to: back.toString() })) } };
      },
    }),
  ];
}

function mustConfirm(confirmed: string, { group: { id: name } }: ReplayDeps): void {
  if (confirmed !== name) throw invalid('body.confirm', `must be the name of the group that is moved, ${name}`);
}

const invalid = (at: string, problem: string): Problem => new Problem('invalid_request', `${at}: ${problem}`, { errors: [{ at, problem }] });

function requestOf({ to: kind, value: text, user, partitions: named, allow_skip: allowSkip }: Pick<z.output<typeof body>, 'to' | 'value' | 'user' | 'partitions' | 'allow_skip'>, { clock }: ReplayDeps): Request {
  if (user !== undefined && named !== undefined) throw invalid('partitions', 'a user names its partition: others cannot be named beside it');
  return { target: targetOf(kind, text ?? '', clock.now()), allowSkip, ...(user !== undefined && { user }), ...(named !== undefined && { partitions: [...new Set(named.split(',').map(Number))].toSorted((a, b) => a - b) }) };
}

function targetOf(kind: (typeof TARGETS)[number], text: string, now: number): Target {
  switch (kind) {
    case 'earliest':
      return { to: 'earliest' };
    case 'offset':
      if (!/^\d{1,18}$/.test(text)) throw invalid('value', 'must be an offset, a whole number from 0');
      return { to: 'offset', offset: BigInt(text) };
    case 'shift':
      if (!/^[+-]?\d{1,18}$/.test(text)) throw invalid('value', 'must be a whole number of records, below 0 for back');
      return { to: 'shift', by: BigInt(text.replace('+', '')) };
    case 'time': {
      const at = instantOf(text);
      if (at === undefined) throw invalid('value', 'must be a time with its zone, like 2026-11-23T18:00:00Z');
      return { to: 'time', at };
    }
    case 'since': {
      const duration = durationOf(text);
      if (duration === undefined) throw invalid('value', 'must be a duration, like 90m, 2h or 1d12h');
      return { to: 'time', at: now - duration };
    }
  }
}

function replayOf(row: ReplayRow): z.input<typeof replay> {
  return {
    replay_id: String(row.id),
    group: row.group,
    topic: row.topic,
    how: row.how,
    state: stateOf(row),
    detected: row.detected,
    who: row.who,
    reason: row.reason,
    begun_at: row.begunAt.toISOString(),
    caught_up_at: toText(row.caughtUpAt),
    undone_at: toText(row.undoneAt),
    moves: Object.entries(row.offsets).map(([partition, [from, now]]) => ({ partition: Number(partition), from, to: now })),
  };
}

function stateOf({ setAt, startedAt, caughtUpAt, undoneAt }: ReplayRow): (typeof STATES)[number] {
  if (undoneAt !== null) return setAt === null ? 'never_set' : 'undone';
  if (caughtUpAt !== null) return 'over';
  if (setAt === null) return 'half_set';
  return startedAt === null ? 'waits' : 'running';
}

function planOf({ group: name, topic, how, state, members, partitions: all, totals, rate, effect, blocked }: Plan): z.input<typeof plan.schema> {
  return {
    group: name,
    topic,
    how,
    group_state: state,
    members: members.map(({ clientId, host, partitions: own }) => ({ client: clientId, host, partitions: [...own] })),
    partitions: all.map(({ partition, from, to: where, records, skipped, pending, gone }) => ({ partition, from, to: where, again: records, skipped, pending, gone })),
    again: totals.records,
    skipped: totals.skipped,
    pending: totals.pending,
    seconds: totals.seconds,
    records_per_second: rate.records,
    measured: rate.measured,
    effect: effect === null ? null : { duplicates: effect.duplicates, buried: effect.buried, too_old: effect.tooOld, fresh: effect.fresh, unusable: effect.unusable },
    refused: blocked.map(({ why, remedy }) => ({ problem: why, remedy })),
  };
}
