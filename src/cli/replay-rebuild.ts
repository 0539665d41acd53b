import type { Command } from 'commander';
import { BrxError } from '../errors.ts';
import type { RebuildDifference, RebuildProgress, RebuildReport } from '../operations/replay/index.ts';
import { integerOption } from './arguments.ts';
import type { CliContext } from './context.ts';
import { counted, formatCount, formatSeconds } from './output.ts';
import { withReplays } from './replay-deps.ts';

const WAIT_SECONDS = 60;

/** `brx-sync replay rebuild-verify`. */
export function addRebuildVerify(replay: Command, context: CliContext): void {
  replay
    .command('rebuild-verify')
    .description('replay the whole topic into shadow tables and compare them with those in use')
    .option('--wait <seconds>', 'wait so long until the group has read what was rebuilt', integerOption(1, 86_400), WAIT_SECONDS)
    .option('--keep', 'leave the shadow tables for a look; the next rebuild removes them')
    .addHelpText(
      'after',
      '\nThe tables in use are only read. Instances may run: users’ lanes are shared with them, a chunk at a time. What sales and imports did to stock\nis not in the topic: of such items the producers’ events and the last number are compared, `brx-sync verify` works the rest out.\nExit code 0 if nothing is different, 1 if something is, 4 if retention has removed the beginning of the topic.',
    )
    .action((options: { wait: number; keep?: true }) => run(context, options));
}

async function run(context: CliContext, options: { wait: number; keep?: true }): Promise<void> {
  const { out } = context;
  const config = context.config();
  const report = await withReplays(context, 'ingest', async (deps, replay) => {
    const [{ createPurchaseContext }, { createRegistry }] = [await import('../purchase/index.ts'), await import('../platform/kafka/index.ts')];
    const purchase = createPurchaseContext(createRegistry(config.registry), { topicPrefix: config.kafka.topicPrefix, holdMs: config.purchase.holdMs });
    return replay.rebuildVerify({ ...deps, purchase, waitMs: options.wait * 1_000, keep: options.keep === true, onProgress: (progress) => out.progress(progressText(progress)) });
  });
  out.json(report);
  show(context, report);
  if (report.ok) return;
  const found = report.differences.total + report.refused;
  throw new BrxError('BRX_DIFFERENT', `${formatCount(found)} ${found === 1 ? 'difference' : 'differences'} between the tables and what the topic makes of empty ones`, {
    remedy: '`brx-sync verify` asks another judge; `brx-sync item` tells how an item came to its number. Rows that are missing are filled by `brx-sync replay apply`; rows that are there are not changed by it',
  });
}

function progressText(progress: RebuildProgress): string {
  switch (progress.step) {
    case 'rebuilding':
      return `rebuilding: ${formatCount(progress.records)} of ${counted(progress.of, 'record')}`;
    case 'waiting':
      return `waiting for the group: ${counted(progress.behind, 'record')} behind`;
    case 'comparing':
      return 'comparing the tables';
  }
}

function show({ out }: CliContext, report: RebuildReport): void {
  const { compared, differences } = report;
  out.line(`${out.paint('bold', report.topic)}   ${counted(report.records, 'record')} rebuilt and compared in ${formatSeconds(report.durationMs / 1_000)}`);
  out.line(`compared:  ${counted(compared.items, 'item')}, ${counted(compared.ledgerRows, 'ledger row')}, ${counted(compared.deadLetters, 'dead letter')}`);
  const apart: readonly [number, string][] = [
    [compared.itemsOfSales, 'items with purchases, or discarded events: their producers’ events, and what their last ledger row left'],
    [compared.itemsOfImports, 'items that bulk sync imported, or whose drift was mended: their producers’ events, and what their last ledger row left'],
    [compared.movedOn, 'items that changed meanwhile: their rows from before only'],
    [report.scatteredUsers, 'users with events in several partitions: left out'],
    [report.decided, 'records that were too old, discarded or are parked: left out'],
  ];
  for (const [count, words] of apart) if (count > 0) out.line(`apart:     ${formatCount(count)} ${words}`);
  if (report.schema !== null) out.line(`kept:      schema ${report.schema}`);
  if (report.refused > 0) out.line(out.paint('red', `${counted(report.refused, 'event was', 'events were')} refused by the shadow tables`));
  if (report.ok) return out.line(out.paint('green', 'no differences'));
  out.line(out.paint('red', `${formatCount(differences.total)} differences${differences.total > differences.first.length ? `, the first ${differences.first.length}:` : ':'}`));
  for (const difference of differences.first) for (const line of differenceLines(difference)) out.line(line);
}

const WHAT = { item: 'an item', ledger: 'a ledger row', dead_letter: 'a dead letter' } as const;
const PROBLEM = { missing: 'is missing', extra: 'should not be there', different: 'is different' } as const;

function differenceLines({ what, problem, user_id, item_id, id, expected, found }: RebuildDifference): string[] {
  const where = [user_id === null ? undefined : `user ${user_id}`, item_id === null ? undefined : `item ${item_id}`, what === 'dead_letter' ? `partition/offset ${id}` : `event ${id}`].filter((part) => part !== undefined);
  const [rebuilt, there] = problem === 'different' ? differing(expected, found) : [expected, found];
  return [`- ${WHAT[what]} ${PROBLEM[problem]}`, `    ${where.join(', ')}`, `    rebuilt  ${said(rebuilt)}`, `    found    ${said(there)}`];
}

/** Of two rows the columns that are not the same. */
function differing(expected: unknown, found: unknown): [unknown, unknown] {
  if (typeof expected !== 'object' || expected === null || typeof found !== 'object' || found === null) return [expected, found];
  const other = new Map(Object.entries(found));
  const names = Object.entries(expected).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(other.get(name))).map(([name]) => name);
  const only = (row: object): object => Object.fromEntries(Object.entries(row).filter(([name]) => names.includes(name)));
  return [only(expected), only(found)];
}

const said = (value: unknown): string => (value === null ? 'nothing' : typeof value === 'string' ? value : JSON.stringify(value));
