import type { Command } from 'commander';
import { BrxError } from '../errors.ts';
import type * as Ingest from '../ingest/index.ts';
import { systemClock } from '../platform/clock.ts';
import { integerOption, uuidArgument } from './arguments.ts';
import { withPostgres } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { operator } from './operator.ts';
import { counted, formatCount, formatSeconds, printable } from './output.ts';

/** `brx-sync parked list | show | retry | discard`. */
export function registerParked(program: Command, context: CliContext): void {
  const parked = program
    .command('parked')
    .description('users whose events wait because one of them could not be applied')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync parked list', 'who, since when, why, and how many events wait'],
        ['brx-sync parked show 0197a3c2-...', 'the events that wait, in order, and what they say'],
        ['brx-sync parked retry 0197a3c2-... --dry-run', 'what would come of each, without doing it'],
        ['brx-sync parked retry 0197a3c2-...', 'apply what waits, in order, and release the user'],
        ['brx-sync parked retry --all', 'the same for everyone, after the cause is gone'],
        ['brx-sync parked discard 0197a3c2-... --reason "item was merged" --yes', 'give up on the first event that waits'],
      ])}\n\nA parked user stops nobody else. Everything that arrives for the user meanwhile waits behind, in order.`,
    );
  filtered(parked.command('list').description('list parked users, longest first')).action((options: FilterOptions) => list(context, options));
  parked
    .command('show')
    .description('the events that wait with a user, in order (up to 500), and what was done')
    .argument('<user>', 'user id', uuidArgument)
    .action((user: string) => show(context, user));
  filtered(parked.command('retry').description('apply a user’s waiting events in order; what is refused again, and all behind it, goes on waiting').argument('[user]', 'user id', uuidArgument))
    .option('--all', 'every parked user, or all that the options name')
    .option('--rate <number>', 'so many users a second', integerOption(1, 10_000))
    .option('--dry-run', 'only tell what would come of each event')
    .option('--reason <text>', 'why, for the record', 'retried')
    .addHelpText('after', '\nExit code 0 if all were released, 1 if something still waits.')
    .action((user: string | undefined, options: RetryOptions) => retry(context, user, options));
  parked
    .command('discard')
    .description('dead-letter the first waiting event of a user (the one that was refused) as `discarded`')
    .argument('<user>', 'user id', uuidArgument)
    .requiredOption('--reason <text>', 'why, for whoever reads the dead letter')
    .option('--all', 'every waiting event of the user, not only the first')
    .option('--yes', 'really do it')
    .addHelpText('after', '\nWhat waits behind a discarded event needs a `retry` afterwards. A discarded event stays discarded, also in a replay.')
    .action((user: string, options: DiscardOptions) => discard(context, user, options));
}

interface DiscardOptions {
  reason: string;
  all?: true;
  yes?: true;
}

interface FilterOptions {
  cause?: string;
  olderThan?: number;
  limit: number;
}

interface RetryOptions extends FilterOptions {
  all?: true;
  rate?: number;
  dryRun?: true;
  reason: string;
}

function filtered(command: Command): Command {
  return command
    .option('--cause <text>', 'only those whose kind of failure or error has this in it')
    .option('--older-than <seconds>', 'only those parked longer ago', integerOption(0, 1_000_000_000))
    .option('--limit <number>', 'at most so many users, longest first', integerOption(1, 100_000), 100_000);
}

function chosen(users: readonly Ingest.ParkedUser[], { cause, olderThan, limit }: FilterOptions): Ingest.ParkedUser[] {
  const before = systemClock.now() - (olderThan ?? 0) * 1_000;
  return users
    .filter(({ reason, error, parkedAt }) => (cause === undefined || reason === cause || error.includes(cause)) && (olderThan === undefined || parkedAt.getTime() < before))
    .toSorted((a, b) => a.parkedAt.getTime() - b.parkedAt.getTime())
    .slice(0, limit);
}

async function list(context: CliContext, options: FilterOptions): Promise<void> {
  const { out } = context;
  const users = chosen(await withPostgres(context, async (postgres) => (await import('../ingest/index.ts')).listParkedUsers(postgres)), options);
  out.json(users);
  if (users.length === 0) return out.line('nobody is parked');
  out.table(
    users.map((user) => ({
      user: user.userId,
      waiting: formatCount(user.events),
      parked: `${formatSeconds((systemClock.now() - user.parkedAt.getTime()) / 1_000)} ago`,
      attempts: user.attempts,
      reason: user.reason,
      error: firstLine(user.error),
    })),
    [{ key: 'user' }, { key: 'waiting', title: 'events', align: 'right' }, { key: 'parked' }, { key: 'attempts' }, { key: 'reason' }, { key: 'error' }],
  );
  out.line(`${counted(users.length, 'user')}, ${counted(users.reduce((sum, user) => sum + user.events, 0), 'event waits', 'events wait')}`);
}

async function show(context: CliContext, userId: string): Promise<void> {
  const { out } = context;
  const { user, events, actions } = await withParking(context, async (deps, ingest) => ({
    ...(await ingest.readWaiting(deps, userId)),
    actions: await (await import('../platform/postgres/index.ts')).selectActions(deps.postgres.prisma, ingest.parkedTarget(userId)),
  }));
  out.json({ user, events: events.map(eventJson), actions });
  out.line(out.paint('bold', `user ${user.userId}, parked ${user.parkedAt.toISOString()}, ${counted(user.events, 'event waits', 'events wait')}, ${counted(user.attempts, 'attempt')}`));
  out.line(printable(user.error));
  for (const { eventId, place, entry } of events) {
    out.line();
    out.line(`${eventId}  ${entry.kind === 'event' ? entry.type : entry.reason}  ${out.paint('dim', place)}`);
    out.line(`  ${printable(entry.kind === 'event' ? JSON.stringify(entry.event) : entry.detail)}`);
  }
  for (const [index, { at, who, action, reason }] of actions.entries()) out.line(`${index === 0 ? '\nwhat was done\n' : ''}  ${at.toISOString()}  ${action} by ${who}: ${printable(reason)}`);
}

const eventJson = ({ eventId, place, entry, outcome, error }: Ingest.Rehearsed): object => ({ eventId, place, record: entry.kind === 'event' ? entry.type : null, value: entry.kind === 'event' ? entry.event : null, outcome, error });

async function retry(context: CliContext, user: string | undefined, options: RetryOptions): Promise<void> {
  if ((options.all === true) === (user !== undefined)) throw new BrxError('BRX_USAGE', 'retry takes either one user or --all', { remedy: '`brx-sync parked list` shows who is parked' });
  if (user !== undefined && (options.cause ?? options.olderThan ?? options.rate) !== undefined) throw new BrxError('BRX_USAGE', '--cause, --older-than and --rate go with --all', { remedy: 'a user who is named is retried whatever the cause' });
  const { out } = context;
  if (options.dryRun === true) return rehearse(context, user, options);
  const by = { who: operator(), reason: options.reason };
  const results = await withParking(context, async (deps, ingest) => {
    const users = user === undefined ? chosen(await ingest.listParkedUsers(deps.postgres), options).map(({ userId }) => userId) : [user];
    const done: { userId: string; applied: number; remaining: number; error: string | null }[] = [];
    for (const userId of users) {
      context.signal.throwIfAborted();
      if (options.rate !== undefined && done.length > 0) await systemClock.sleep(1_000 / options.rate, context.signal);
      const { applied, remaining, error } = await ingest.retryParkedUser(deps, userId, by);
      done.push({ userId, applied, remaining, error: error ?? null });
      out.line(error === undefined ? `${userId}: ${formatCount(applied)} applied, released` : `${userId}: ${formatCount(applied)} applied, ${counted(remaining, 'still waits', 'still wait')}: ${firstLine(error)}`);
    }
    return done;
  });
  out.json(results);
  if (results.length === 0) out.line('nobody is parked');
  if (results.some((result) => result.error !== null)) context.setExitCode(1);
}

async function rehearse(context: CliContext, user: string | undefined, options: RetryOptions): Promise<void> {
  const { out } = context;
  const told = await withParking(context, async (deps, ingest) => {
    const users = user === undefined ? chosen(await ingest.listParkedUsers(deps.postgres), options).map(({ userId }) => userId) : [user];
    const all: { userId: string; events: Ingest.Rehearsed[] }[] = [];
    for (const userId of users) {
      context.signal.throwIfAborted();
      all.push({ userId, events: (await ingest.rehearseParkedUser(deps, userId)).events });
    }
    return all;
  });
  out.json(told.map(({ userId, events }) => ({ userId, events: events.map(eventJson) })));
  if (told.length === 0) return out.line('nobody is parked');
  out.table(
    told.flatMap(({ userId, events }) => events.map(({ eventId, entry, outcome, error }) => ({ user: userId, event: eventId, record: entry.kind === 'event' ? entry.type : '', result: outcome ?? (error === null ? 'goes on waiting' : 'refused'), error: error === null ? '' : firstLine(error) }))),
  );
  out.note('nothing was done');
  if (told.some(({ events }) => events.some(({ outcome }) => outcome === null))) context.setExitCode(1);
}

async function discard(context: CliContext, userId: string, options: DiscardOptions): Promise<void> {
  const { out } = context;
  const all = options.all === true;
  const { discarded, remaining } = await withParking(context, async (deps, ingest) => {
    const parked = (await ingest.listParkedUsers(deps.postgres)).find((user) => user.userId === userId);
    if (parked !== undefined && options.yes !== true) throw unconfirmed(parked, all);
    return ingest.discardParkedEvents(deps, userId, { reason: options.reason, all, who: operator() });
  });
  out.json({ userId, discarded, remaining });
  out.line(`${formatCount(discarded)} discarded (brx-sync dlq list --reason discarded)`);
  if (remaining > 0) out.note(`${counted(remaining, 'still waits', 'still wait')}: \`brx-sync parked retry ${userId}\` applies ${remaining === 1 ? 'it' : 'them'}`);
}

function unconfirmed(user: Ingest.ParkedUser, all: boolean): BrxError {
  const what = all ? `all ${counted(user.events, 'waiting event')}` : `the first of ${counted(user.events, 'waiting event')}`;
  return new BrxError('BRX_REFUSED', `nothing was discarded: this would give up on ${what} of user ${user.userId} (refused with: ${firstLine(user.error)})`, {
    remedy: 'add --yes if that is what you want; `brx-sync parked retry` tries again without losing anything',
  });
}

/** What retry and discard need: the database, and the registry to decode what waits. */
function withParking<Result>(context: CliContext, use: (deps: Ingest.ParkingDeps, ingest: typeof Ingest) => Promise<Result>): Promise<Result> {
  return withPostgres(context, async (postgres) => {
    const config = context.config();
    const [ingest, { createCodec, createRegistry }] = [await import('../ingest/index.ts'), await import('../platform/kafka/index.ts')];
    const [{ Decoder }, { createPurchaseContext }] = [await import('../records/index.ts'), await import('../purchase/index.ts')];
    const registry = createRegistry(config.registry);
    const decoder = new Decoder(createCodec(registry), ingest.MARKETPLACE_RECORDS);
    const purchase = createPurchaseContext(registry, { topicPrefix: config.kafka.topicPrefix, holdMs: config.purchase.holdMs });
    return use({ postgres, decoder, consumerGroup: config.ingest.groupId, clock: systemClock, purchase }, ingest);
  });
}

const firstLine = (text: string): string => (text.split('\n')[0] ?? '').slice(0, 120);
