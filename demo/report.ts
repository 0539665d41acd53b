import { relative } from 'node:path';
import type { ItemReport } from '../src/operations/item/index.ts';
import { historyWords, stateLines, timeText } from '../src/operations/item/index.ts';
import type { VerifyReport } from '../src/operations/verify/index.ts';
import { timeline, type SagaStory } from '../src/purchase/index.ts';
import type { StackUrls } from '../stack/index.ts';
import type { Facts } from './demo.sql.ts';
import { addBuckets, quantile } from './exposition.ts';
import type { MarketFacts } from './market.ts';
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
  /** Sales by how they ended. */
  sales: Readonly<Record<string, number>>;
  market: MarketFacts;
  /** Records on the dead-letter topic. */
  deadLetterRecords: number;
  kill: Kill;
  workers: readonly Worker[];
  peakConnections: ReadonlyMap<string, number>;
  /** Exit codes of the graceful stop. */
  exits: readonly (number | null)[];
  seconds: { apply: number; settle: number; stop: number; total: number };
  published: Published;
  /** Events a second in the best two seconds. */
  bestRate: number;
  item: ItemReport | undefined;
  sale: SagaStory | undefined;
}

interface Verdict {
  promise: string;
  held: boolean;
  evidence: string[];
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** The promises of DESIGN section 2 this run can judge, each with what speaks for it. */
export function judge(evidence: Evidence): Verdict[] {
  const { verified, kill, facts, workers, peakConnections, run, options, market } = evidence;
  const ends = new Map(Object.entries(evidence.sales));
  const ended = (state: string): number => ends.get(state) ?? 0;
  const settled = ended('CONFIRMED') + ended('REJECTED') + ended('COMPENSATED');
  const sales = sum([...ends.values()]);
  const { outcomes, compared, differences } = verified;
  const dead = Object.entries(outcomes.dead_letters).filter(([, number]) => number > 0);
  const deadTotal = sum(dead.map(([, number]) => number));
  const accounted = outcomes.applied + outcomes.stale + outcomes.rejected + outcomes.duplicate + deadTotal;
  const connections = workers.map(({ clientId }) => peakConnections.get(clientId) ?? 0);
  return [
    {
      promise: 'P1 order',
      held: differences.by_kind.order === 0 && verified.scattered_users === 0,
      evidence: [`each of ${count(compared.items)} items has one chain of ledger rows, ${count(compared.ledger_rows)} in all, in the order of the topic`],
    },
    {
      promise: 'P2 exactly once',
      held: differences.by_kind.ledger === 0 && differences.by_kind.item === 0,
      evidence: [
        `${count(outcomes.applied)} events took effect once each, ${count(outcomes.rejected)} purchases found too little; every item is what an independent oracle says`,
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
      promise: 'P5 no oversell',
      held: facts.lowest >= 0 && market.unequal.length === 0,
      evidence: [
        `lowest stock ${facts.lowest}; ${count(facts.drifted)} items marked drifted after an adjustment that would have gone below`,
        market.unequal.length === 0 ? `all ${count(market.items)} cards on CardTrader: the same number there as here` : `${count(market.unequal.length)} of ${count(market.items)} cards differ: ${market.unequal.slice(0, 3).join('; ')}`,
      ],
    },
    {
      promise: 'P6 every sale ends',
      held: settled === sales && differences.by_kind.sale === 0 && differences.by_kind.hold === 0 && differences.by_kind.outcome === 0,
      evidence: [`${count(sales)} sales: ${count(ended('CONFIRMED'))} confirmed, ${count(ended('REJECTED'))} rejected, ${count(ended('COMPENSATED'))} called off or undone${settled === sales ? '' : `, ${count(sales - settled)} NOT ENDED`}; ${count(verified.sales.outcomes_told)} ends told to the shops`],
    },
    {
      promise: 'P7 one effect',
      held: market.repeated === 0 && differences.by_kind.operation === 0,
      evidence: [`${count(market.operations)} changes on CardTrader, ${market.repeated === 0 ? 'none of them twice' : `${count(market.repeated)} MORE THAN ONCE`}, though ${count(market.faults)} of ${count(market.requests)} requests were cut, late, lied to or refused`],
    },
    {
      promise: 'P8 rate limit',
      held: market.throttled === 0 && market.densest <= 200,
      evidence: [`${count(market.throttled)} answers of 429; at most ${count(market.densest)} of 200 requests of one seller in any 10 s`],
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
  row('sales', `${count(salesOf(evidence) / seconds.settle)} settled a second; the last ${(seconds.settle - seconds.apply).toFixed(1)} s after the last event`);
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
  if (evidence.sale !== undefined) showSale(view, evidence.sale);
  showWhereabouts(view, evidence);
  view.line();
  view.line(held ? paint('green', 'All promises this run can judge held.') : paint('red', 'Not all promises held: see above. The data of this run stays until the next demo, for a closer look.'));
  return held;
}

const salesOf = ({ sales }: Evidence): number => sum(Object.values(sales));

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

/** The story of a sale, as `brx-sync saga show` tells it. */
function showSale({ line, paint }: View, story: SagaStory): void {
  line();
  line(paint('bold', 'And how did that sale end? The one with the most calls to CardTrader'));
  line();
  line(`  purchase ${story.saga.purchaseId}`);
  for (const { at, text, detail } of timeline(story)) line(`  ${paint('dim', `+${((at - story.saga.startedAt.getTime()) / 1_000).toFixed(3)} s`.padStart(10))}  ${detail ? paint('dim', `  ${text}`) : text}`);
}

function showWhereabouts({ line, paint }: View, { run, urls, options, item, sale }: Evidence): void {
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
  if (sale !== undefined) line(`  ${run.command(`saga show ${sale.saga.purchaseId}`)}`);
  line(`  ${run.command('dlq list --limit 100')}`);
  line(`  ${run.command('lag')}`);
}

function shown(url: string): string {
  const parsed = new URL(url);
  if (parsed.password !== '') parsed.password = '***';
  return parsed.toString();
}

const said = (seconds: number | null): string => (seconds === null ? 'unknown' : seconds < 1 ? `${count(seconds * 1_000)} ms` : `${seconds.toFixed(1)} s`);
