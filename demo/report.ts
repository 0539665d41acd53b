import { relative } from 'node:path';
import type { ItemReport } from '../src/operations/item/index.ts';
import { historyWords, stateLines, timeText } from '../src/operations/item/index.ts';
import type { VerifyReport } from '../src/operations/verify/index.ts';
import type { StackUrls } from '../stack/index.ts';
import type { Facts } from './demo.sql.ts';
import { addBuckets, quantile } from './exposition.ts';
import type { DemoOptions } from './options.ts';
import type { Run } from './run.ts';
import { percent, type Kill, type Published } from './scene.ts';
import { count, megabytes, type View } from './view.ts';
import type { Worker } from './worker.ts';

/** Everything the run has shown. */
export interface Evidence {
  options: DemoOptions;
  run: Run;
  urls: StackUrls;
  verified: VerifyReport;
  facts: Facts;
  /** Records on the dead-letter topic. */
  deadLetterRecords: number;
  kill: Kill;
  workers: readonly Worker[];
  peakConnections: ReadonlyMap<string, number>;
  /** Exit codes of the graceful stop. */
  exits: readonly (number | null)[];
  seconds: { apply: number; stop: number; total: number };
  published: Published;
  /** Events a second in the best two seconds. */
  bestRate: number;
  item: ItemReport | undefined;
}

interface Verdict {
  promise: string;
  held: boolean;
  evidence: string[];
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** The promises of DESIGN section 2 this run can judge, each with what speaks for it. */
export function judge(evidence: Evidence): Verdict[] {
  const { verified, kill, facts, workers, peakConnections, run, options } = evidence;
  const { outcomes, compared, differences } = verified;
  const dead = Object.entries(outcomes.dead_letters).filter(([, number]) => number > 0);
  const deadTotal = sum(dead.map(([, number]) => number));
  const accounted = outcomes.applied + outcomes.stale + outcomes.duplicate + deadTotal;
  const connections = workers.map(({ clientId }) => peakConnections.get(clientId) ?? 0);
  return [
    {
      promise: 'P1 order',
      held: differences.by_kind.order === 0 && verified.scattered_users === 0,
      evidence: [`each of ${count(compared.items)} items has one chain of ledger rows, ${count(compared.ledger_rows)} in all, in the order of the topic`],
    },
    {
      promise: 'P2 exactly once',
      held: differences.by_kind.ledger === 0 && differences.by_kind.item === 0 && facts.applied === outcomes.applied,
      evidence: [
        `${count(outcomes.applied)} events took effect once each; every item is what an independent oracle says`,
        `${count(outcomes.duplicate)} duplicates and ${count(outcomes.stale)} stale versions were recognised and had no effect`,
      ],
    },
    {
      promise: 'P3 nothing lost',
      held: verified.complete && accounted === options.events && compared.records === options.events,
      evidence: [
        `${count(compared.records)} published, ${count(accounted)} accounted for, with a SIGKILL at ${percent(kill.at)}`,
        kill.recoveredAfter === null ? 'nothing was left on the killed worker’s partitions' : `its ${kill.partitions.length} partitions moved on after ${kill.recoveredAfter.toFixed(1)} s`,
      ],
    },
    {
      promise: 'P4 one bad event',
      held: differences.by_kind.dead_letter === 0 && differences.by_kind.parked === 0 && evidence.deadLetterRecords >= deadTotal,
      evidence: [
        `${count(deadTotal)} dead letters, all on the .dlq topic: ${dead.map(([reason, number]) => `${count(number)} ${reason}`).join(', ')}`,
        `${count(facts.wentOn)} of the ${count(facts.unlucky)} users who had one saw later events applied; ${count(verified.parked_users)} users are parked`,
      ],
    },
    {
      promise: 'P5 never below 0',
      held: facts.lowest >= 0,
      evidence: [`lowest stock ${facts.lowest}; ${count(facts.drifted)} items marked drifted after an adjustment that would have gone below`],
    },
    {
      promise: 'P9 bounded',
      held: connections.every((number) => number <= run.config.postgres.poolMax),
      evidence: [
        `${count(options.users)} users over ${workers.map(({ name }, index) => `${connections[index] ?? 0} connections of worker ${name}`).join(' and ')} (at most ${run.config.postgres.poolMax} each)`,
        `peak memory ${workers.map(({ name, memoryPeak }) => `${megabytes(memoryPeak)} of worker ${name}`).join(', ')}`,
      ],
    },
  ];
}

export function showReport(view: View, evidence: Evidence): boolean {
  const { verified, workers, seconds, published, options, exits } = evidence;
  const verdicts = judge(evidence);
  const held = verdicts.every((verdict) => verdict.held) && verified.ok;
  const { paint } = view;

  view.line();
  view.line(paint('bold', 'What was promised, and what this run shows'));
  view.line();
  for (const { promise, held: kept, evidence: lines } of verdicts) {
    for (const [index, line] of lines.entries()) view.line(`  ${index > 0 ? ' '.repeat(25) : `${promise.padEnd(17)} ${kept ? paint('green', 'held  ') : paint('red', 'BROKEN')} `}${line}`);
  }

  const latency = addBuckets(workers.map((worker) => worker.latency));
  const row = (name: string, text: string): void => view.line(`  ${name.padEnd(12)} ${text}`);
  view.line();
  view.line(paint('bold', 'Numbers of this machine, services and load included'));
  view.line();
  row('applied', `${count(options.events / seconds.apply)} events/s on average, the kill included; ${count(evidence.bestRate)} in the best two seconds`);
  row('published', `${count(published.rate)} events/s${published.paced ? ', slowed down: a small run would be over before anything could be seen' : ', as fast as Kafka takes them'}`);
  row('end to end', `p50 ${said(quantile(latency, 0.5))}, p99 ${said(quantile(latency, 0.99))}, from Kafka’s timestamp to the commit${evidence.kill.recoveredAfter === null ? '' : '; the slow ones waited for the killed worker’s partitions'}`);
  row('stop', `${seconds.stop.toFixed(1)} s for both workers, ${exits.every((code) => code === 0) ? 'exit code 0' : `exit codes ${exits.join(', ')}`}`);
  row('verify', `${(verified.duration_ms / 1_000).toFixed(1)} s for the whole topic against the whole database`);
  row('in total', `${seconds.total.toFixed(0)} s`);

  if (!verified.ok) {
    view.line();
    view.line(paint('red', `${count(verified.differences.total)} differences, the first ${verified.differences.first.length}:`));
    for (const difference of verified.differences.first) view.line(`  ${JSON.stringify(difference)}`);
  }
  if (evidence.item !== undefined) showItem(view, evidence.item);
  showWhereabouts(view, evidence);
  view.line();
  view.line(held ? paint('green', 'All promises this run can judge held.') : paint('red', 'Not all promises held: see above. The data of this run stays until the next demo, for a closer look.'));
  return held;
}

/** One item's story, as `brx-sync item` tells it. */
function showItem({ line, paint }: View, { user_id, item_id, item, history }: ItemReport): void {
  if (item === null) return;
  line();
  line(paint('bold', 'Why does this number say what it says? One item of the run'));
  line();
  line(`  item ${item_id} of user ${user_id}`);
  for (const text of stateLines(item)) line(`  ${text}`);
  for (const row of history) line(`  ${paint('dim', timeText(row.occurred_at))}  ${historyWords(row)}`);
}

function showWhereabouts({ line, paint }: View, { run, urls, options, item }: Evidence): void {
  const row = (name: string, text: string): void => line(`  ${name.padEnd(12)} ${text}`);
  line();
  line(paint('bold', 'Still there'));
  line();
  row('Kafka', `${urls.kafkaBrokers}, topics ${run.config.kafka.topicPrefix}*`);
  row('registry', urls.registryUrl);
  row('PostgreSQL', shown(run.config.postgres.url));
  row('settings', `${relative(process.cwd(), run.folder)}/env, with the workers’ logs beside it`);
  row('this run', options.keep ? 'kept: no later demo removes it' : 'until the next demo removes it (--keep keeps it)');
  row('services', 'run on; npm run stack:down stops the local ones');
  line();
  line(paint('bold', 'Try next'));
  line();
  if (item !== undefined) line(`  ${run.command(`item ${item.user_id} ${item.item_id}`)}`);
  line(`  ${run.command('dlq list')}`);
  line(`  ${run.command('lag')}`);
}

function shown(url: string): string {
  const parsed = new URL(url);
  if (parsed.password !== '') parsed.password = '***';
  return parsed.toString();
}

const said = (seconds: number | null): string => (seconds === null ? 'unknown' : seconds < 1 ? `${count(seconds * 1_000)} ms` : `${seconds.toFixed(1)} s`);
