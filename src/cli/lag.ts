import type { Command } from 'commander';
import { TOPICS, topicName } from '../contract/index.ts';
import { consumedTopics } from '../operations/groups/index.ts';
import type { LagReader, LagReport, PartitionLag, Trend } from '../operations/lag/index.ts';
import type { ReplayRow } from '../operations/replay/index.ts';
import { systemClock } from '../platform/clock.ts';
import { integerOption } from './arguments.ts';
import { examples, type CliContext } from './context.ts';
import { counted, formatCount, formatSeconds, type Style } from './output.ts';

const DEFAULT_INTERVAL_SECONDS = 5;
/** Over how long a status is told while it is watched. */
const WATCH_WINDOW_SECONDS = 60;
/** Under way at once, of a group. */
const MOST_REPLAYS = 20;
/** Readings of --for. */
const READINGS = 10;

interface Options {
  watch?: number | true;
  for?: number;
  group?: string;
}

/** One reading of all groups. */
interface Picture {
  at: Date;
  total: LagReport['total'];
  groups: LagReport[];
  /** Under way: lag that comes from them is meant to be there. */
  replays: Replay[];
}

interface Replay {
  readonly id: string;
  readonly group: string;
  readonly topic: string;
  readonly how: string;
  /** Its partitions, as old and new offsets. */
  readonly offsets: ReplayRow['offsets'];
}

/** `brx-sync lag`. */
export function registerLag(program: Command, context: CliContext): void {
  program
    .command('lag')
    .description('how far behind each consumer group is, in records and in seconds, by partition, who works on what, and whether it gets on')
    .option('--watch [seconds]', `again every so often (${DEFAULT_INTERVAL_SECONDS} s), with trend and status; Ctrl-C ends it`, integerOption(1, 3_600))
    .option('--for <seconds>', `watch for so long, then tell once, with a status over that time; with --watch: over how long a status is told (${WATCH_WINDOW_SECONDS} s)`, integerOption(1, 3_600))
    .option('--group <id>', 'only this consumer group; one that is not ours is looked for on the topic of marketplace events')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync lag', 'now'],
        ['brx-sync lag --watch', 'is it getting better?'],
        ['brx-sync lag --for 60', 'does every partition get on? (exit code 1 if one does not)'],
        ['brx-sync lag --json | jq .total.seconds', 'for a script'],
      ])}\n\nSeconds are the age of the oldest record that is not committed: what a seller waits at worst. It reads that one record of each\npartition that is behind, under a consumer group of its own, and changes nothing.\n\n${Object.entries(MEANING).map(([status, meaning]) => `  ${status.toUpperCase().padEnd(6)}  ${meaning}`).join('\n')}`,
    )
    .action((options: Options) => run(context, options));
}

/** Burrow's words, as the metric has them. */
const MEANING: Record<NonNullable<PartitionLag['status']>, string> = {
  ok: 'caught up at some moment of the window, or catching up',
  warn: 'behind all the time, and never less than the moment before',
  stop: 'behind, nothing committed, and nobody owns it',
  stall: 'behind, and nothing committed, although somebody owns it',
  rewind: 'stands before an offset it had committed already',
  replay: 'the same, on purpose: brx-sync replay watch',
};

async function run(context: CliContext, options: Options): Promise<void> {
  const config = context.config();
  const [{ openLagReader, totalOf }, { COMMAND_RETRIES, createKafka }, { stoodAt }] = [await import('../operations/lag/index.ts'), await import('../platform/kafka/index.ts'), await import('../operations/replay/index.ts')];
  const ours = consumedTopics(config);
  const asked = options.group === undefined ? ours : ours.filter(({ group }) => group === options.group);
  const consumed = asked.length > 0 ? asked : [{ topic: topicName(config.kafka.topicPrefix, TOPICS.marketplaceEvents), group: options.group ?? '' }];
  const windowSeconds = options.for ?? (options.watch === undefined ? undefined : WATCH_WINDOW_SECONDS);
  const readers: LagReader[] = [];
  const underWay = await openReplays(context, consumed.map(({ group }) => group));
  let replays: Replay[] = [];
  try {
    const kafka = createKafka(config.kafka, context.logger, { retries: COMMAND_RETRIES });
    for (const { topic, group } of consumed) {
      readers.push(await openLagReader({ kafka, brokers: config.kafka.brokers, topic, group, clock: systemClock, replaying: () => Promise.resolve(stoodAt(replays.filter((replay) => replay.group === group && replay.topic === topic))), ...(windowSeconds !== undefined && { windowMs: windowSeconds * 1_000 }) }));
    }
    let total: LagReport['total'] | undefined;
    const look = async (): Promise<Picture> => {
      replays = await underWay.read();
      const groups = await Promise.all(readers.map((reader) => reader.read()));
      total = totalOf(groups, total);
      return { at: new Date(systemClock.now()), total, groups, replays };
    };
    let picture = await look();
    if (options.watch === undefined && options.for !== undefined) picture = await observed(context, options.for, picture, look);
    show(context, picture);
    if (options.watch === undefined) {
      if (picture.groups.some(({ partitions }) => partitions.some(({ status }) => isBad(status)))) context.setExitCode(1);
      return;
    }
    const intervalMs = 1_000 * (options.watch === true ? DEFAULT_INTERVAL_SECONDS : options.watch);
    while (await passed(intervalMs, context.signal)) {
      picture = await look();
      context.out.clear();
      show(context, picture);
    }
  } finally {
    await Promise.all([underWay, ...readers].map((open) => open.close()));
  }
}

/** Replays under way, asked through connections that are kept from look to look. Told where they are known: lag is read without PostgreSQL, too. */
async function openReplays(context: CliContext, groups: readonly string[]): Promise<{ read(): Promise<Replay[]>; close(): Promise<void> }> {
  const [{ selectReplays }, { createPostgres }] = [await import('../operations/replay/index.ts'), await import('../platform/postgres/index.ts')];
  const postgres = createPostgres(context.config().postgres, { logger: context.logger, applicationName: 'brx-sync command', keyLookupsOnly: false });
  return {
    close: () => postgres.close(),
    async read() {
      try {
        const found = await Promise.all(groups.map((group) => selectReplays(postgres.prisma, { group, open: true, limit: MOST_REPLAYS })));
        return found.flat().map(({ id, group, topic, how, offsets }) => ({ id: String(id), group, topic, how, offsets }));
      } catch {
        return [];
      }
    },
  };
}

/** Readings over so many seconds, the last of them when they are over. */
async function observed(context: CliContext, seconds: number, first: Picture, look: () => Promise<Picture>): Promise<Picture> {
  const end = systemClock.monotonic() + seconds * 1_000;
  const stepMs = Math.max(500, (seconds * 1_000) / READINGS);
  let picture = first;
  for (let left = seconds * 1_000; left > 0; left = end - systemClock.monotonic()) {
    context.out.progress(`watching: ${formatSeconds(left / 1_000)} more`);
    if (!(await passed(Math.min(stepMs, left), context.signal))) return picture;
    picture = await look();
  }
  return picture;
}

/** False when it was interrupted: the usual end of --watch, not an error. */
function passed(ms: number, signal: AbortSignal): Promise<boolean> {
  return systemClock.sleep(ms, signal).then(
    () => true,
    () => false,
  );
}

function show(context: CliContext, picture: Picture): void {
  const { out } = context;
  out.json(picture);
  if (picture.groups.length > 1) out.line(`${out.paint('bold', 'all')}   behind: ${behind(picture.total)}   ${picture.at.toISOString()}`);
  for (const [index, report] of picture.groups.entries()) {
    if (index > 0 || picture.groups.length > 1) out.line();
    showGroup(context, report);
  }
  for (const { id, group, how } of picture.replays) out.note(`replay ${id} of ${group} is under way (${how}): \`brx-sync replay watch\` shows how far it is`);
}

function showGroup({ out }: CliContext, report: LagReport): void {
  const { total, members, partitions } = report;
  out.line(`${out.paint('bold', `${report.topic} → ${report.group}`)}   ${report.at.toISOString()}`);
  out.line(`behind: ${behind(total)}   group: ${report.state}, ${members.length} member${members.length === 1 ? '' : 's'}`);
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
        trend: `${sparkline(partition.history)}${trend(partition.trend)}`.trim(),
        status: partition.status === null ? '?' : out.paint(isBad(partition.status) ? 'red' : COLOUR[partition.status], partition.status.toUpperCase()),
        owner: owner === undefined ? out.paint('yellow', 'nobody') : shortId(owner),
      };
    }),
    [
      { key: 'partition' },
      { key: 'committed', align: 'right' },
      { key: 'end', align: 'right' },
      { key: 'lag', align: 'right' },
      { key: 'seconds', title: 'behind', align: 'right' },
      ...(withTrend ? [{ key: 'trend' }, { key: 'status' }] : []),
      { key: 'owner' },
    ],
  );
  for (const remark of remarks(report)) out.note(remark);
}

const COLOUR: Record<NonNullable<PartitionLag['status']>, Style> = { ok: 'green', warn: 'yellow', stop: 'red', stall: 'red', rewind: 'red', replay: 'cyan' };
const isBad = (status: PartitionLag['status']): boolean => status === 'stop' || status === 'stall' || status === 'rewind';

/** What an operator should not have to find in the table. */
function remarks({ partitions, members, group, state }: LagReport): string[] {
  const lost = partitions.reduce((sum, partition) => sum + partition.lost, 0);
  const never = partitions.filter((partition) => partition.committed === null).length;
  const unread = partitions.filter((partition) => partition.seconds === null).length;
  const having = (status: PartitionLag['status']): number[] => partitions.filter((partition) => partition.status === status).map(({ partition }) => partition);
  const tell = (status: 'stop' | 'stall' | 'rewind', what: string): string[] => (having(status).length === 0 ? [] : [`${status.toUpperCase()} on ${having(status).join(', ')}: ${what}`]);
  return [
    ...(members.length === 0 ? [`nobody consumes: group ${group} is ${state}; start it with \`brx-sync start\``] : []),
    ...(members.length > 0 && partitions.some((partition) => partition.owner === null) ? ['some partitions have no owner: the group is rebalancing, or a member is of another topic'] : []),
    ...tell('stop', 'nobody reads it; runbook BrxPartitionsWithoutOwner'),
    ...tell('stall', 'it is read, and nothing is committed; runbook BrxPartitionStalled'),
    ...tell('rewind', 'its offset was moved back; runbook BrxGroupRewound'),
    ...(never > 0 ? [`${never} partition${never === 1 ? '' : 's'} never committed: their lag counts from the earliest record`] : []),
    ...(unread > 0 ? [`the oldest record of ${unread} partition${unread === 1 ? '' : 's'} could not be read in time: no seconds for ${unread === 1 ? 'it' : 'them'}`] : []),
    ...(lost > 0 ? [`${counted(lost, 'record was', 'records were')} deleted by retention before the group had read ${lost === 1 ? 'it' : 'them'}: ask the producers to send that time again`] : []),
  ];
}

const BARS = '▁▂▃▄▅▆▇█';
/** A history at a glance; of one reading there is none. */
function sparkline(history: readonly number[]): string {
  if (history.length < 2) return '';
  const most = Math.max(...history);
  return `${history.map((records) => BARS[most === 0 ? 0 : Math.ceil((records / most) * (BARS.length - 1))] ?? '').join('')} `;
}

const behind = (total: LagReport['total']): string => `${counted(total.records, 'record')}, ${seconds(total.seconds)}${trend(total.trend)}`;
const seconds = (value: number | null): string => (value === null ? 'unknown' : formatSeconds(value));
const trend = (value: Trend | null): string => (value === null ? '' : { up: ' ↑ up', down: ' ↓ down', same: ' = same' }[value]);
/** "brx-sync-1f2e3d4c" of kafkajs's "brx-sync-1f2e3d4c-....". */
const shortId = (member: { id: string; clientId: string; host: string }): string => `${member.id.slice(0, member.clientId.length + 9)} ${member.host}`;
