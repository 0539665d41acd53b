import type { Command } from 'commander';
import type { DriftRow } from '../bulk-sync/index.ts';
import { BrxError } from '../errors.ts';
import { systemClock } from '../platform/clock.ts';
import { integerOption, uuidArgument } from './arguments.ts';
import { withPostgres } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { operator } from './operator.ts';
import { formatCount, formatSeconds, printable } from './output.ts';

const DEFAULT_LIMIT = 1_000;

interface DriftOptions {
  unconfirmed?: true;
  apply?: true;
  reason?: string;
  limit: number;
}

/** `brx-sync drift [USER] [--apply]`. */
export function registerDrift(program: Command, context: CliContext): void {
  program
    .command('drift')
    .description('items whose number here and on CardTrader differ, by two reports that agree; with what would mend each')
    .argument('[user]', 'one seller; all when left out', uuidArgument)
    .option('--unconfirmed', 'also those that only the last report has seen')
    .option('--apply', 'do what is proposed, as far as nothing has changed since')
    .option('--reason <text>', 'why, for the record; needed with --apply')
    .option('--limit <n>', 'at most so many', integerOption(1, 100_000), DEFAULT_LIMIT)
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync drift', 'all that differ'],
        ['brx-sync drift 0197a3c2-... --apply --reason "counted by hand"', 'mend those of one seller'],
      ])}\n\nReports are made every night (BRX_RECONCILE_WINDOW), or by \`brx-sync sync USER\`. Exit code 0 if nothing differs, 1 if something does.`,
    )
    .action((user: string | undefined, options: DriftOptions) => drift(context, user, options));
}

async function drift(context: CliContext, userId: string | undefined, options: DriftOptions): Promise<void> {
  const { out } = context;
  const { applyFixes, CAUSES, fixOf, FIXES, selectDrift } = await import('../bulk-sync/index.ts');
  const { apply, reason, limit } = options;
  if (apply === true && (reason === undefined || userId === undefined)) throw new BrxError('BRX_USAGE', '--apply needs one seller and --reason', { remedy: 'for example brx-sync drift USER --apply --reason "counted by hand"' });
  const config = context.config();
  const { rows, applied } = await withPostgres(context, async (postgres) => {
    const found = await selectDrift(postgres.prisma, userId ?? null, { all: options.unconfirmed === true, limit });
    if (apply !== true || userId === undefined || reason === undefined) return { rows: found, applied: undefined };
    const { createRegistry } = await import('../platform/kafka/index.ts');
    const deps = { postgres, clock: systemClock, registry: createRegistry(config.registry), topicPrefix: config.kafka.topicPrefix, ordersPatienceMs: config.bulkSync.ordersPatienceMs, signal: context.signal };
    if (found.some(({ confirmed }) => confirmed)) out.note(`the seller’s orders are read first; without a dispatcher that does it, numbers are left after ${formatSeconds(deps.ordersPatienceMs / 1_000)}`);
    return { rows: found, applied: await applyFixes(deps, userId, found.filter(({ confirmed }) => confirmed), { who: operator(), reason }) };
  });
  out.json({ drift: rows.map((row) => ({ ...row, fix: fixOf(row) })), ...(applied !== undefined && { applied }) });
  if (rows.length === 0) return out.line(userId === undefined ? 'nothing differs' : `nothing differs for ${userId}`);
  const now = systemClock.now();
  out.table(
    rows.map((row: DriftRow) => ({
      user: row.userId,
      item: row.itemId ?? '',
      product: row.productId ?? '',
      name: row.name === null ? '' : printable(row.name).slice(0, 30),
      ours: row.ours ?? '',
      theirs: row.theirs ?? '',
      cause: row.cause,
      fix: fixOf(row),
      since: `${formatSeconds(Math.max(0, now - row.firstAt.getTime()) / 1_000)}${row.confirmed ? '' : ', seen once'}`,
    })),
    [{ key: 'user' }, { key: 'item' }, { key: 'product', align: 'right' }, { key: 'name' }, { key: 'ours', title: 'here', align: 'right' }, { key: 'theirs', title: 'CardTrader', align: 'right' }, { key: 'cause' }, { key: 'fix', title: 'proposed' }, { key: 'since', title: 'for' }],
  );
  for (const cause of new Set(rows.map((row) => row.cause))) out.note(`${cause}: ${CAUSES[cause]}`);
  for (const fix of new Set(rows.map(fixOf))) out.note(`${fix}: ${FIXES[fix]}`);
  if (applied === undefined) return context.setExitCode(1);
  out.line(`${formatCount(applied.done.length)} mended, ${formatCount(applied.skipped.length)} left as they are`);
  for (const { subject, why } of applied.skipped) out.line(`  ${subject}: ${why}`);
  if (applied.skipped.length > 0) context.setExitCode(1);
}
