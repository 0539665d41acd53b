import type { Command } from 'commander';
import { TOPICS, topicName } from '../contract/index.ts';
import type { Difference, VerifyProgress, VerifyReport } from '../operations/verify/index.ts';
import { BrxError } from '../errors.ts';
import { systemClock } from '../platform/clock.ts';
import { integerOption } from './arguments.ts';
import { withPostgres } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { counted, formatCount, formatSeconds } from './output.ts';

/** `brx-sync verify`. */
export function registerVerify(program: Command, context: CliContext): void {
  program
    .command('verify')
    .description('compare PostgreSQL with what follows from the whole topic, worked out by an independent oracle')
    .option('--wait <seconds>', 'first wait until the ingest group has read to where the topic ends now', integerOption(1, 86_400))
    .option('--settled', 'every sale must have ended and every outcome be published; with --wait, wait for that too')
    .option('--group <id>', 'another consumer group, instead of BRX_INGEST_GROUP_ID')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync verify', 'items, ledger, order, dead letters, sales and their outcomes'],
        ['brx-sync verify --wait 60', 'after a load has been published'],
        ['brx-sync verify --wait 60 --settled', 'after a load with purchases'],
        ['brx-sync verify --json | jq .differences', 'for a script'],
      ])}\n\nIt reads the topic under a consumer group of its own and the database in one read-only snapshot; it changes nothing. What is not\nprocessed yet, or waits with a parked user, is told and is no difference. Exit code 0 if nothing is different, 1 if something is,\n1 also if the group did not get to the end within --wait, 4 if retention has removed the beginning of the topic.`,
    )
    .action((options: { wait?: number; settled?: true; group?: string }) => run(context, options));
}

async function run(context: CliContext, options: { wait?: number; settled?: true; group?: string }): Promise<void> {
  const { out } = context;
  const config = context.config();
  const [{ verify }, { COMMAND_RETRIES, createCodec, createKafka, createRegistry }] = [await import('../operations/verify/index.ts'), await import('../platform/kafka/index.ts')];
  const report = await withPostgres(context, ({ pool }) =>
    verify({
      pool,
      kafka: createKafka(config.kafka, context.logger, { retries: COMMAND_RETRIES }),
      codec: createCodec(createRegistry(config.registry)),
      clock: systemClock,
      topic: topicName(config.kafka.topicPrefix, TOPICS.marketplaceEvents),
      outcomesTopic: topicName(config.kafka.topicPrefix, TOPICS.purchaseOutcomes),
      snapshotsTopic: topicName(config.kafka.topicPrefix, TOPICS.inventorySnapshots),
      settled: options.settled === true,
      groupId: options.group ?? config.ingest.groupId,
      horizonMs: config.ingest.horizonMs,
      signal: context.signal,
      onProgress: (progress) => out.progress(progressText(progress)),
      ...(options.wait !== undefined && { waitMs: options.wait * 1_000 }),
    }),
  );
  out.json(report);
  show(context, report);
  if (!report.ok) throw new BrxError('BRX_DIFFERENT', `${counted(report.differences.total, 'difference')} between PostgreSQL and ${report.topic}`, { remedy: remedyOf(report.differences.first) });
  if (!report.complete && options.wait !== undefined) {
    throw new BrxError('BRX_DIFFERENT', `${counted(report.outcomes.pending, 'record was', 'records were')} not processed within ${options.wait} s`, { remedy: 'see `brx-sync lag`: is an instance running, and getting on?' });
  }
}

function progressText(progress: VerifyProgress): string {
  switch (progress.step) {
    case 'waiting':
      return `waiting for the group: ${counted(progress.behind, 'record')} behind`;
    case 'settling':
      return `waiting for sales to end and be told: ${formatCount(progress.left)} left`;
    case 'reading':
      return `reading the topic: ${formatCount(progress.records)} of ${formatCount(progress.of)}`;
    case 'comparing':
      return 'comparing with PostgreSQL';
  }
}

function show({ out }: CliContext, report: VerifyReport): void {
  const { compared, outcomes, sales, differences } = report;
  out.line(`${out.paint('bold', report.topic)}   ${counted(compared.records, 'record')} of ${counted(compared.users, 'user')} in ${counted(compared.partitions, 'partition')}, read and compared in ${formatSeconds(report.duration_ms / 1_000)}`);
  out.line(`compared:  ${counted(compared.items, 'item')}, ${counted(compared.ledger_rows, 'ledger row')} and their order, ${counted(compared.dead_letters, 'dead letter')}`);
  const buried = Object.entries(outcomes.dead_letters).filter(([, count]) => count > 0);
  out.line(`outcomes:  ${[['applied', outcomes.applied], ['stale', outcomes.stale], ...(outcomes.rejected > 0 ? [['rejected', outcomes.rejected] as const] : []), ['duplicate', outcomes.duplicate], ...buried].map(([name, count]) => `${formatCount(Number(count))} ${name}`).join(', ')}`);
  if (sales.total > 0) out.line(`sales:     ${formatCount(sales.total)}: ${Object.entries(sales.by_state).map(([state, count]) => `${formatCount(count)} ${state.toLowerCase()}`).join(', ')}; ${counted(sales.outcomes_told, 'outcome')} told${sales.outcomes_waiting > 0 ? `, ${formatCount(sales.outcomes_waiting)} in the outbox` : ''}`);
  const { imported } = report;
  if (imported.compared > 0) out.line(`imported:  ${formatCount(imported.compared)} by bulk sync, compared with its chunks`);
  if (imported.not_on_topic > 0) out.line(out.paint('yellow', `imported:  ${formatCount(imported.not_on_topic)} whose chunks are not on the topic of snapshots any more: as the ledger has them`));
  if (imported.reconciled > 0) out.line(out.paint('yellow', `drift:     ${counted(imported.reconciled, 'number')} set by \`brx-sync drift --apply\`: as the ledger has them`));
  if (report.scattered_users > 0) out.line(`scattered: ${counted(report.scattered_users, 'user has', 'users have')} events in several partitions; theirs were checked in the order the database took`);
  if (report.parked_users > 0) out.line(out.paint('yellow', `waiting:   ${counted(outcomes.parked, 'event')} of ${counted(report.parked_users, 'parked user')} (brx-sync parked list)`));
  if (!report.complete) out.line(out.paint('yellow', `pending:   ${counted(outcomes.pending, 'record is', 'records are')} not processed yet (brx-sync lag)`));
  if (report.ok) return out.line(out.paint('green', report.complete ? 'no differences' : 'no differences so far'));

  out.line(out.paint('red', `${counted(differences.total, 'difference')}${differences.total > differences.first.length ? `, the first ${differences.first.length}:` : ':'}`));
  for (const difference of differences.first) for (const line of differenceLines(difference)) out.line(line);
}

function differenceLines({ problem, expected, found, event_id, position, look, user_id, item_id, purchase_id }: Difference): string[] {
  const where = [
    user_id === undefined ? undefined : `user ${user_id}`,
    item_id === undefined ? undefined : `item ${item_id}`,
    purchase_id === undefined ? undefined : `purchase ${purchase_id}`,
    event_id === undefined ? undefined : `event ${event_id}`,
    position === undefined ? undefined : `partition ${position.partition} offset ${position.offset}`,
  ].filter((part) => part !== undefined);
  return [`- ${problem}`, `    ${where.join(', ')}`, `    expected ${said(expected)}`, `    found    ${said(found)}`, ...(look === undefined ? [] : [`    look:    ${look}`])];
}

const said = (value: unknown): string => (value === null ? 'nothing' : typeof value === 'string' ? value : JSON.stringify(value));

function remedyOf(differences: readonly Difference[]): string {
  const look = differences.find((difference) => difference.look !== undefined)?.look;
  return `this must not happen: keep topic and database as they are and look into the first one${look === undefined ? '' : ` with \`${look}\``}; replaying the topic fills holes (what is there stays)`;
}
