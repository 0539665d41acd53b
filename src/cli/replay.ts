import { readFile } from 'node:fs/promises';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { BrxError, messageOf } from '../errors.ts';
import type * as Replay from '../operations/replay/index.ts';
import { systemClock } from '../platform/clock.ts';
import { integerOption, uuidArgument } from './arguments.ts';
import { withPostgres } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { operator } from './operator.ts';
import { formatCount } from './output.ts';
import { groupOf, ROLES, withReplays, type Role } from './replay-deps.ts';
import { addRebuildVerify } from './replay-rebuild.ts';
import { showPicture, showPlan, stateOf } from './replay-words.ts';

const WATCH_SECONDS = 2;

interface GroupOption {
  group: Role;
}

interface TargetOptions extends GroupOption {
  toEarliest?: true;
  toOffset?: bigint;
  toTime?: string;
  since?: string;
  shift?: bigint;
  fromFile?: string;
  user?: string;
  partitions?: number[];
  allowSkip?: true;
}

interface Confirmed {
  reason: string;
  dryRun?: true;
  yes?: true;
}

/** `brx-sync replay plan | apply | undo | watch | list | rebuild-verify`. */
export function registerReplay(program: Command, context: CliContext): void {
  const replay = program
    .command('replay')
    .description('read records again: set a group’s offsets back, see what that does, watch it, take it back')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync replay plan --to-time 2026-11-23T18:00:00Z', 'what would be read again, and what would come of it'],
        ['brx-sync replay apply --to-time 2026-11-23T18:00:00Z --reason "lost rows" --yes', 'do it; all instances must be stopped'],
        ['brx-sync replay apply --user 0197a3c2-... --reason "one seller" --yes', 'only the partition of one user'],
        ['brx-sync replay watch', 'how far it has come'],
        ['brx-sync replay undo --reason "wrong time" --yes', 'back to where the group had been'],
      ])}\n\nSafe at any time: events that took effect are recognised by their id and change nothing, holes are filled. What is done here is\nwritten down with who and why. A reset made with Kafka’s own tools shows here, too.`,
    );
  targeted(replay.command('plan').description('what a replay would do, partition by partition, and what is in its way; changes nothing')).action((options: TargetOptions) => plan(context, options));
  confirmed(targeted(replay.command('apply').description('set the offsets; the group must have no members'))).action((options: TargetOptions & Confirmed) => apply(context, options));
  confirmed(grouped(replay.command('undo').description('restore the offsets from before a replay').argument('[id]', 'the replay; the newest that is not over if left out', replayId))).action((id: bigint | undefined, options: GroupOption & Confirmed) => undo(context, id, options));
  grouped(replay.command('watch').description('see it catch up, until every partition is where it had been').argument('[id]', 'the replay; the newest that is not over if left out', replayId))
    .option('--every <seconds>', 'look again so often', integerOption(1, 3_600), WATCH_SECONDS)
    .option('--once', 'one look')
    .addHelpText('after', '\nWith --json a line each look. Exit code 0 when it is over, 1 if --once finds that it is not.')
    .action((id: bigint | undefined, options: GroupOption & { every: number; once?: true }) => watch(context, id, options));
  replay
    .command('list')
    .description('replays, newest first: who, why, and what became of them')
    .addOption(new Option('--group <role>', 'only of this group').choices(ROLES))
    .option('--limit <number>', 'at most so many', integerOption(1, 10_000), 20)
    .action((options: { group?: Role; limit: number }) => list(context, options));
  addRebuildVerify(replay, context);
}

const grouped = (command: Command): Command => command.addOption(new Option('--group <role>', 'whose offsets: of events, or of the steps of sales').choices(ROLES).default('ingest'));

const confirmed = (command: Command): Command => command.requiredOption('--reason <text>', 'why, for the record').option('--dry-run', 'only show what it would do').option('--yes', 'really do it');

function targeted(command: Command): Command {
  return grouped(command)
    .option('--to-earliest', 'everything that is still there')
    .option('--to-offset <offset>', 'this offset in each partition', offset)
    .option('--to-time <time>', 'what was published since then: ISO 8601 with its zone, 2026-11-23T18:00:00Z')
    .option('--since <duration>', 'what was published in the last 90m, 2h, 1d12h')
    .option('--shift <records>', 'so many records back (-1000) or forward in each partition', signed)
    .option('--from-file <file>', 'offsets as `kafka-consumer-groups --reset-offsets --export` writes them')
    .option('--user <user>', 'only the partition this user’s events are in; to its beginning if nothing else is said', uuidArgument)
    .option('--partitions <list>', 'only these, separated by commas', partitionList)
    .option('--allow-skip', 'let a partition move past records that were never read');
}

function replayId(text: string): bigint {
  if (!/^[1-9]\d{0,17}$/.test(text)) throw new InvalidArgumentError('It must be the id of a replay, as `brx-sync replay list` shows it.');
  return BigInt(text);
}

function offset(text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) throw new InvalidArgumentError('An offset is a whole number from 0.');
  return BigInt(text);
}

function signed(text: string): bigint {
  if (!/^[+-]?\d{1,18}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of records, below 0 for back.');
  return BigInt(text.replace('+', ''));
}

function partitionList(text: string): number[] {
  if (!/^\d{1,6}(?:,\d{1,6})*$/.test(text)) throw new InvalidArgumentError('It must be numbers of partitions, separated by commas.');
  return [...new Set(text.split(',').map(Number))].sort((a, b) => a - b);
}

async function plan(context: CliContext, options: TargetOptions): Promise<void> {
  const { out } = context;
  const planned = await withReplays(context, options.group, async (deps, replay) => replay.planReplay(deps, await requestOf(options, deps.group, replay)));
  out.json(planned);
  showPlan(out, planned);
  if (planned.blocked.length === 0) out.note('`brx-sync replay apply` with the same options, --reason and --yes does it');
}

async function apply(context: CliContext, options: TargetOptions & Confirmed): Promise<void> {
  const { out } = context;
  await withReplays(context, options.group, async (deps, replay) => {
    const planned = await replay.planReplay(deps, await requestOf(options, deps.group, replay));
    if (options.dryRun === true) {
      out.json(planned);
      return showPlan(out, planned);
    }
    showPlan(out, planned);
    if (planned.blocked.length === 0 && options.yes !== true) throw new BrxError('BRX_REFUSED', 'nothing was changed: this is what it would do', { remedy: 'add --yes if that is what you want' });
    const done = await replay.applyReplay(deps, planned, { who: operator(), reason: options.reason });
    out.json(done);
    out.line(`replay ${done.id} is set: start the instances, then \`brx-sync replay watch\`; \`brx-sync replay undo\` takes it back`);
  });
}

async function undo(context: CliContext, id: bigint | undefined, options: GroupOption & Confirmed): Promise<void> {
  const { out } = context;
  await withReplays(context, options.group, async (deps, replay) => {
    const planned = await replay.planUndo(deps, id);
    const offsets = [...planned.offsets].map(([partition, to]) => ({ partition, to: to.toString() }));
    out.line(`replay ${planned.replay.id} of ${planned.replay.group}, ${planned.replay.how}: ${formatCount(offsets.length)} partition${offsets.length === 1 ? '' : 's'} would go back`);
    out.table(offsets);
    if (options.dryRun === true) return out.json({ id: planned.replay.id, undone: false, offsets });
    if (options.yes !== true) throw new BrxError('BRX_REFUSED', 'nothing was changed: this is what it would do', { remedy: 'add --yes if that is what you want' });
    await replay.undoReplay(deps, planned, { who: operator(), reason: options.reason });
    out.json({ id: planned.replay.id, undone: true, offsets });
    out.line(`replay ${planned.replay.id} is undone`);
  });
}

async function watch(context: CliContext, id: bigint | undefined, options: GroupOption & { every: number; once?: true }): Promise<void> {
  const { out, signal } = context;
  await withReplays(context, options.group, async (deps, replay) => {
    const watcher = replay.watchReplay(deps, id);
    for (let first = true; ; first = false) {
      const picture = await watcher.read();
      if (picture === undefined) {
        if (id !== undefined) throw new BrxError('BRX_REFUSED', `there is no replay ${id} of ${deps.group.id}`, { remedy: '`brx-sync replay list` shows what there was' });
        out.json(null);
        return out.line('no replay is under way');
      }
      out.json(picture);
      if (!first) out.clear();
      showPicture(out, picture);
      if (picture.over) return;
      if (options.once === true) return context.setExitCode(1);
      const again = await systemClock.sleep(1_000 * options.every, signal).then(
        () => true,
        () => false, // interrupted: the usual end
      );
      if (!again) return;
    }
  });
}

async function list(context: CliContext, options: { group?: Role; limit: number }): Promise<void> {
  const { out } = context;
  const { selectReplays } = await import('../operations/replay/index.ts');
  const group = options.group === undefined ? null : groupOf(context.config(), options.group).id;
  const replays = await withPostgres(context, ({ prisma }) => selectReplays(prisma, { group, open: false, limit: options.limit }));
  out.json(replays);
  if (replays.length === 0) return out.line('there was none');
  out.table(
    replays.map((replay) => ({
      id: replay.id,
      begun: replay.begunAt,
      group: replay.group,
      how: replay.how,
      partitions: Object.keys(replay.offsets).length,
      state: stateOf(replay),
      who: replay.who,
      reason: replay.reason,
    })),
  );
}

/** Where to, from the one option that says it. */
async function requestOf(options: TargetOptions, group: Replay.Group, replay: typeof Replay): Promise<Replay.Request> {
  const given = (['toEarliest', 'toOffset', 'toTime', 'since', 'shift', 'fromFile'] as const).filter((name) => options[name] !== undefined);
  const remedy = 'one of --to-earliest, --to-offset, --to-time, --since, --shift, --from-file, --user';
  if (given.length > 1) throw new BrxError('BRX_USAGE', 'a replay has one target', { remedy });
  if (given.length === 0 && options.user === undefined) throw new BrxError('BRX_USAGE', 'where to is not said', { remedy });
  if (options.user !== undefined && options.partitions !== undefined) throw new BrxError('BRX_USAGE', '--user names its partition: --partitions cannot name others');
  return {
    target: await targetOf(options, given[0], group, replay),
    allowSkip: options.allowSkip === true,
    ...(options.partitions !== undefined && { partitions: options.partitions }),
    ...(options.user !== undefined && { user: options.user }),
  };
}

async function targetOf({ toOffset = 0n, toTime = '', since = '', shift = 0n, fromFile = '' }: TargetOptions, given: 'toEarliest' | 'toOffset' | 'toTime' | 'since' | 'shift' | 'fromFile' | undefined, group: Replay.Group, replay: typeof Replay): Promise<Replay.Target> {
  switch (given) {
    case undefined:
    case 'toEarliest':
      return { to: 'earliest' };
    case 'toOffset':
      return { to: 'offset', offset: toOffset };
    case 'toTime': {
      const at = replay.instantOf(toTime);
      if (at === undefined) throw new BrxError('BRX_USAGE', `--to-time ${toTime} is no time with its zone`, { remedy: 'like 2026-11-23T18:00:00Z or 2026-11-23T19:00:00+01:00' });
      return { to: 'time', at };
    }
    case 'since': {
      const duration = replay.durationOf(since);
      if (duration === undefined) throw new BrxError('BRX_USAGE', `--since ${since} is no duration`, { remedy: 'like 90m, 2h or 1d12h' });
      return { to: 'time', at: systemClock.now() - duration };
    }
    case 'shift':
      return { to: 'shift', by: shift };
    case 'fromFile': {
      const text = await readFile(fromFile, 'utf8').catch((error: unknown) => {
        throw new BrxError('BRX_USAGE', `${fromFile} cannot be read: ${messageOf(error)}`);
      });
      return replay.offsetsOfFile(text, { group: group.id, topic: group.topic });
    }
  }
}
