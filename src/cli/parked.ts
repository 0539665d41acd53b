import type { Command } from 'commander';
import { BrxError } from '../errors.ts';
import type * as Ingest from '../ingest/index.ts';
import { systemClock } from '../platform/clock.ts';
import { uuidArgument } from './arguments.ts';
import { withPostgres } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { formatCount, formatSeconds } from './output.ts';

/** `brx-sync parked list | retry | discard`. */
export function registerParked(program: Command, context: CliContext): void {
  const parked = program
    .command('parked')
    .description('users whose events wait because one of them could not be applied')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync parked list', 'who, since when, why, and how many events wait'],
        ['brx-sync parked retry 0197a3c2-...', 'apply what waits, in order, and release the user'],
        ['brx-sync parked retry --all', 'the same for everyone, after the cause is gone'],
        ['brx-sync parked discard 0197a3c2-... --reason "item was merged" --yes', 'give up on the first event that waits'],
      ])}\n\nA parked user stops nobody else. Everything that arrives for the user meanwhile waits behind, in order.`,
    );
  parked
    .command('list')
    .description('list parked users, longest first')
    .action(() => list(context));
  parked
    .command('retry')
    .description('apply a user’s waiting events in order; what is refused again, and all behind it, goes on waiting')
    .argument('[user]', 'user id', uuidArgument)
    .option('--all', 'every parked user')
    .addHelpText('after', '\nExit code 0 if all were released, 1 if something still waits.')
    .action((user: string | undefined, options: { all?: true }) => retry(context, user, options.all === true));
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

async function list(context: CliContext): Promise<void> {
  const { out } = context;
  const users = await withPostgres(context, async (postgres) => (await import('../ingest/index.ts')).listParkedUsers(postgres));
  const oldestFirst = users.toSorted((a, b) => a.parkedAt.getTime() - b.parkedAt.getTime());
  out.json(oldestFirst);
  if (users.length === 0) return out.line('nobody is parked');
  out.table(
    oldestFirst.map((user) => ({
      user: user.userId,
      waiting: formatCount(user.events),
      parked: `${formatSeconds((systemClock.now() - user.parkedAt.getTime()) / 1_000)} ago`,
      attempts: user.attempts,
      reason: user.reason,
      error: firstLine(user.error),
    })),
    [{ key: 'user' }, { key: 'waiting', title: 'events', align: 'right' }, { key: 'parked' }, { key: 'attempts' }, { key: 'reason' }, { key: 'error' }],
  );
  out.line(`${formatCount(users.length)} users, ${formatCount(users.reduce((sum, user) => sum + user.events, 0))} events wait`);
}

async function retry(context: CliContext, user: string | undefined, all: boolean): Promise<void> {
  if (all === (user !== undefined)) throw new BrxError('BRX_USAGE', 'retry takes either one user or --all', { remedy: '`brx-sync parked list` shows who is parked' });
  const { out } = context;
  const results = await withParking(context, async (deps, ingest) => {
    const users = user === undefined ? (await ingest.listParkedUsers(deps.postgres)).map((parked) => parked.userId) : [user];
    const done: { userId: string; applied: number; remaining: number; error: string | null }[] = [];
    for (const userId of users) {
      context.signal.throwIfAborted();
      const { applied, remaining, error } = await ingest.retryParkedUser(deps, userId);
      done.push({ userId, applied, remaining, error: error ?? null });
      out.line(error === undefined ? `${userId}: ${formatCount(applied)} applied, released` : `${userId}: ${formatCount(applied)} applied, ${formatCount(remaining)} still wait: ${firstLine(error)}`);
    }
    return done;
  });
  out.json(results);
  if (results.length === 0) out.line('nobody is parked');
  if (results.some((result) => result.error !== null)) context.setExitCode(1);
}

async function discard(context: CliContext, userId: string, options: DiscardOptions): Promise<void> {
  const { out } = context;
  const all = options.all === true;
  const { discarded, remaining } = await withParking(context, async (deps, ingest) => {
    const parked = (await ingest.listParkedUsers(deps.postgres)).find((user) => user.userId === userId);
    if (parked !== undefined && options.yes !== true) throw unconfirmed(parked, all);
    return ingest.discardParkedEvents(deps, userId, { reason: options.reason, all });
  });
  out.json({ userId, discarded, remaining });
  out.line(`${formatCount(discarded)} discarded (brx-sync dlq list --reason discarded)`);
  if (remaining > 0) out.note(`${formatCount(remaining)} still wait: \`brx-sync parked retry ${userId}\` applies them`);
}

function unconfirmed(user: Ingest.ParkedUser, all: boolean): BrxError {
  const what = all ? `all ${formatCount(user.events)} waiting events` : `the first of ${formatCount(user.events)} waiting events`;
  return new BrxError('BRX_REFUSED', `nothing was discarded: this would give up on ${what} of user ${user.userId} (refused with: ${firstLine(user.error)})`, {
    remedy: 'add --yes if that is what you want; `brx-sync parked retry` tries again without losing anything',
  });
}

/** What retry and discard need: the database, and the registry to decode what waits. */
function withParking<Result>(context: CliContext, use: (deps: Ingest.ParkingDeps, ingest: typeof Ingest) => Promise<Result>): Promise<Result> {
  return withPostgres(context, async (postgres) => {
    const config = context.config();
    const [ingest, { createCodec, createRegistry }] = [await import('../ingest/index.ts'), await import('../platform/kafka/index.ts')];
    const decoder = new ingest.Decoder(createCodec(createRegistry(config.registry)));
    return use({ postgres, decoder, consumerGroup: config.ingest.groupId }, ingest);
  });
}

const firstLine = (text: string): string => (text.split('\n')[0] ?? '').slice(0, 120);
