import type { Command } from 'commander';
import { TOPICS, topicName } from '../contract/index.ts';
import type { LagReport, Trend } from '../operations/lag/index.ts';
import { systemClock } from '../platform/clock.ts';
import { integerOption } from './arguments.ts';
import { examples, type CliContext } from './context.ts';
import { formatCount, formatSeconds } from './output.ts';

const DEFAULT_INTERVAL_SECONDS = 5;

/** `brx-sync lag`. */
export function registerLag(program: Command, context: CliContext): void {
  program
    .command('lag')
    .description('how far behind the ingest group is, in records and in seconds, and who works on what')
    .option('--watch [seconds]', `again every so often (${DEFAULT_INTERVAL_SECONDS} s), with the trend; Ctrl-C ends it`, integerOption(1, 3_600))
    .option('--group <id>', 'another consumer group, instead of BRX_INGEST_GROUP_ID')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync lag', 'now'],
        ['brx-sync lag --watch', 'is it getting better?'],
        ['brx-sync lag --json | jq .total.seconds', 'for a script'],
      ])}\n\nSeconds are the age of the oldest record that is not committed: what a seller waits at worst. It reads that one record of each\npartition that is behind, under a consumer group of its own, and changes nothing.`,
    )
    .action((options: { watch?: number | true; group?: string }) => run(context, options));
}

async function run(context: CliContext, options: { watch?: number | true; group?: string }): Promise<void> {
  const config = context.config();
  const [{ openLagReader }, { COMMAND_RETRIES, createKafka }] = [await import('../operations/lag/index.ts'), await import('../platform/kafka/index.ts')];
  const reader = await openLagReader({
    kafka: createKafka(config.kafka, context.logger, { retries: COMMAND_RETRIES }),
    brokers: config.kafka.brokers,
    topic: topicName(config.kafka.topicPrefix, TOPICS.marketplaceEvents),
    group: options.group ?? config.ingest.groupId,
    clock: systemClock,
  });
  try {
    show(context, await reader.read());
    if (options.watch === undefined) return;
    const intervalMs = 1_000 * (options.watch === true ? DEFAULT_INTERVAL_SECONDS : options.watch);
    while (await passed(intervalMs, context.signal)) {
      context.out.clear();
      show(context, await reader.read());
    }
  } finally {
    await reader.close();
  }
}

/** False when it was interrupted: the usual end of --watch, not an error. */
function passed(ms: number, signal: AbortSignal): Promise<boolean> {
  return systemClock.sleep(ms, signal).then(
    () => true,
    () => false,
  );
}

function show({ out }: CliContext, report: LagReport): void {
  out.json(report);
  const { total, members, partitions } = report;
  out.line(`${out.paint('bold', `${report.topic} → ${report.group}`)}   ${report.at.toISOString()}`);
  out.line(`behind: ${formatCount(total.records)} records, ${seconds(total.seconds)}${trend(total.trend)}   group: ${report.state}, ${members.length} member${members.length === 1 ? '' : 's'}`);
  out.line();
  const withTrend = partitions.some((partition) => partition.trend !== null);
  out.table(
    partitions.map((partition) => {
      const owner = members.find((member) => member.id === partition.owner);
      return {
        partition: partition.partition,
        committed: partition.committed ?? `never (from ${partition.earliest})`,
        end: partition.end,
        lag: formatCount(partition.records),
        seconds: seconds(partition.seconds),
        trend: trend(partition.trend).trim(),
        owner: owner === undefined ? 'nobody' : shortId(owner),
      };
    }),
    [
      { key: 'partition' },
      { key: 'committed', align: 'right' },
      { key: 'end', align: 'right' },
      { key: 'lag', align: 'right' },
      { key: 'seconds', title: 'behind', align: 'right' },
      ...(withTrend ? [{ key: 'trend' }] : []),
      { key: 'owner' },
    ],
  );
  for (const remark of remarks(report)) out.note(remark);
}

/** What an operator should not have to find in the table. */
function remarks({ partitions, members, group, state }: LagReport): string[] {
  const lost = partitions.reduce((sum, partition) => sum + partition.lost, 0);
  const never = partitions.filter((partition) => partition.committed === null).length;
  const unread = partitions.filter((partition) => partition.seconds === null).length;
  return [
    ...(members.length === 0 ? [`nobody consumes: group ${group} is ${state}; start it with \`brx-sync start\``] : []),
    ...(members.length > 0 && partitions.some((partition) => partition.owner === null) ? ['some partitions have no owner: the group is rebalancing, or a member is of another topic'] : []),
    ...(never > 0 ? [`${never} partition${never === 1 ? '' : 's'} never committed: their lag counts from the earliest record`] : []),
    ...(unread > 0 ? [`the oldest record of ${unread} partition${unread === 1 ? '' : 's'} could not be read in time: no seconds for ${unread === 1 ? 'it' : 'them'}`] : []),
    ...(lost > 0 ? [`${formatCount(lost)} records were deleted by retention before the group had read them: ask the producers to send that time again`] : []),
  ];
}

const seconds = (value: number | null): string => (value === null ? 'unknown' : formatSeconds(value));
const trend = (value: Trend | null): string => (value === null ? '' : { up: ' ↑ up', down: ' ↓ down', same: ' = same' }[value]);
/** "brx-sync-1f2e3d4c" of kafkajs's "brx-sync-1f2e3d4c-....". */
const shortId = (member: { id: string; clientId: string; host: string }): string => `${member.id.slice(0, member.clientId.length + 9)} ${member.host}`;
