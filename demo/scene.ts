import { TOPICS } from '../src/contract/index.ts';
import { generateEvents, publishWorkload, schemaIds, type GeneratedRecord } from '../src/operations/generate/index.ts';
import { systemClock } from '../src/platform/clock.ts';
import { COMMAND_RETRIES, createKafka, createProducer, createRegistry } from '../src/platform/kafka/index.ts';
import { silentLogger } from '../src/platform/log.ts';
import type { GroupReader, GroupState } from './group.ts';
import { interleave, type Market } from './market.ts';
import type { DemoOptions } from './options.ts';
import { SESSION_TIMEOUT_MS, type Run } from './run.ts';
import { count, type View } from './view.ts';
import type { Watch } from './watch.ts';
import type { Worker } from './worker.ts';

/** A small run is published over so long, so that there is a middle to kill a worker in. */
const SHORTEST_MS = 6_000;
const FAST_PER_SECOND = 10_000;
/** A little before the half: the rest must be enough to see what happens. */
const KILL_AT = 0.45;

export interface Published {
  /** Records a second. */
  rate: number;
  /** Slowed down, so that the run is long enough to be watched. */
  paced: boolean;
}

const PURCHASES = 0.1;
const CALLED_OFF = 0.05;

/** Changes and sales of all sellers, a tenth of it sales; what the sellers on CardTrader sell is spread over it. With their opening stock as many as asked for. */
export function workload(run: Run, { events, users, seed }: DemoOptions, { opening, sales }: Market): Iterable<GeneratedRecord> {
  const rest = events - opening.length - sales.length;
  return interleave(generateEvents({ events: rest, users, seed, purchases: PURCHASES, cancels: CALLED_OFF, at: systemClock.now(), horizonMs: run.config.ingest.horizonMs }), rest, sales);
}

/** `events`: how many there are, when a few of them are to be slowed down. */
export async function publish(run: Run, records: Iterable<GeneratedRecord>, signal: AbortSignal, events = Number.POSITIVE_INFINITY): Promise<Published> {
  const producer = createProducer(createKafka(run.config.kafka, silentLogger, { retries: COMMAND_RETRIES }));
  const pace = (events * 1_000) / SHORTEST_MS;
  const paced = pace < FAST_PER_SECOND;
  try {
    const { rate } = await publishWorkload(records, {
      producer,
      topic: run.topic,
      schemaIds: await schemaIds(createRegistry(run.config.registry)),
      clock: systemClock,
      signal,
      ...(paced && { rate: pace }),
    });
    return { rate, paced };
  } finally {
    await producer.disconnect();
  }
}

export interface Kill {
  worker: Worker;
  pid: number | undefined;
  /** Share of the events that was applied by then, 0 to 1. */
  at: number;
  partitions: readonly number[];
  /** Seconds from the kill to the first commit on one of its partitions; null if nothing was left on them. */
  recoveredAfter: number | null;
}

/** Kills the worker that has more to do, with SIGKILL and in the middle, and starts it again as an orchestrator would. */
export async function killInTheMiddle({ events }: DemoOptions, workers: readonly Worker[], watch: Watch, reader: GroupReader, view: View): Promise<Kill> {
  const before = await watch.until(({ applied }) => applied >= events * KILL_AT);
  const worker = workers.toSorted((a, b) => backlog(before.group, b) - backlog(before.group, a))[0];
  if (worker === undefined) throw new RangeError('no workers');
  const partitions = [...(before.group.owned.get(worker.clientId) ?? [])].sort((a, b) => a - b);
  const { pid } = worker;
  await worker.kill();
  const killedAt = systemClock.monotonic();
  const left = await reader.read();
  const kill = { worker, pid, at: before.applied / events, partitions, recoveredAfter: null };
  view.line(`${view.paint('red', `✗ worker ${worker.name} killed`)} at ${percent(kill.at)}: SIGKILL to process ${pid ?? '?'}, in the middle of partitions ${partitions.join(', ')}; Kafka gives it ${SESSION_TIMEOUT_MS / 1_000} s to come back`);
  worker.start();

  const moved = await watch.until(({ group, published, lag }) => advanced(left, group, partitions) || (published === events && lag === 0));
  if (!advanced(left, moved.group, partitions)) return kill;
  const recoveredAfter = (moved.at - killedAt) / 1_000;
  view.line(`${view.paint('green', '✓ recovered')} after ${recoveredAfter.toFixed(1)} s: its partitions move on where the last commit left them`);
  return { ...kill, recoveredAfter };
}

/** Resolves when every event is applied. */
export async function untilAllApplied({ events }: DemoOptions, watch: Watch): Promise<void> {
  await watch.until(({ published, applied, lag }) => published === events && applied === events && lag === 0);
}

/** Resolves when every sale has ended, and every dead letter and outcome is on its topic. */
export async function untilSettled(watch: Watch): Promise<void> {
  await watch.until(({ unpublished, openSales }) => unpublished === 0 && openSales === 0);
}

/** Resolves when the workers share all partitions. */
export async function untilShared(workers: readonly Worker[], watch: Watch): Promise<void> {
  await watch.until(({ group }) => {
    const owned = workers.map(({ clientId }) => group.owned.get(clientId)?.length ?? 0);
    return group.state === 'Stable' && owned.every((partitions) => partitions > 0) && owned.reduce((sum, one) => sum + one, 0) === TOPICS.marketplaceEvents.partitions;
  });
}

export const percent = (share: number): string => `${count(share * 100)} %`;

function backlog(group: GroupState, { clientId }: Worker): number {
  const owned = group.owned.get(clientId) ?? [];
  return group.partitions.reduce((sum, { partition, committed, end }) => (owned.includes(partition) ? sum + end - committed : sum), 0);
}

function advanced(from: GroupState, to: GroupState, partitions: readonly number[]): boolean {
  return partitions.some((partition) => committedAt(to, partition) > committedAt(from, partition));
}

const committedAt = (group: GroupState, partition: number): number => group.partitions.find((one) => one.partition === partition)?.committed ?? 0;
