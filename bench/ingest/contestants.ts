import pg from 'pg';
import { startChild } from './child.ts';
import { peakMemory, startCounting, type Costs } from './measure.ts';
import type { World } from './world.ts';

export interface Run {
  contestant: string;
  events: number;
  /** Events a second, from the first committed events to the last. */
  rate: number;
  /** The same over the second half: without start-up and JIT warm-up. */
  lastHalfRate: number;
  costs: Costs;
  peakMemoryBytes: number;
  connections: number;
  databaseUrl: string;
  groupId: string;
}

const POLL_MS = 50;
const DEADLINE_MS = 180_000;

/** (a) BRX Sync as shipped: one process, `brx-sync start --roles ingest`. */
export async function runBrxSync(world: World, name: string, databaseUrl: string, from: ReadonlyMap<number, bigint>, settings: Record<string, string> = {}): Promise<Run> {
  const groupId = `${name}-${Date.now().toString(36)}`;
  await world.startGroupAt(groupId, from);
  const ends = await world.ends();
  const events = Number([...ends].reduce((sum, [partition, end]) => sum + end - (from.get(partition) ?? 0n), 0n));
  await world.server.query('CHECKPOINT');
  const watcher = await connect(databaseUrl);
  const child = startChild('src/cli/main.js', ['start', '--roles', 'ingest'], { ...world.environment(databaseUrl, groupId), ...settings });
  try {
    const count = await startCounting(world.server, child.pid);
    const marks: { time: number; done: number }[] = [];
    let connections = 0;
    for (const deadline = performance.now() + DEADLINE_MS; ; ) {
      const done = Number((await committed(world, groupId)) - sum(from));
      if (done > 0) marks.push({ time: performance.now(), done });
      if (done >= events) break;
      if (performance.now() > deadline) throw new Error(`${name} drained ${done} of ${events} events in ${DEADLINE_MS / 1_000} s`);
      connections = Math.max(connections, await connectionsOf(watcher));
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    const costs = await count();
    const peakMemoryBytes = peakMemory(child.pid);
    return { contestant: name, events, ...rates(marks), costs, peakMemoryBytes, connections, databaseUrl, groupId };
  } finally {
    await watcher.end();
    await child.stop();
  }
}

/** (b) kafkajs eachMessage + one Prisma upsert an event. */
export async function runNaive(world: World, name: string, databaseUrl: string, from: ReadonlyMap<number, bigint>, events: number, concurrency: number): Promise<Run> {
  const groupId = `naive-${Date.now().toString(36)}`;
  await world.startGroupAt(groupId, from);
  await world.server.query('CHECKPOINT');
  const child = startChild('bench/ingest/naive.js', [String(events)], { ...world.environment(databaseUrl, groupId), BRX_INGEST_CONCURRENCY: String(concurrency) });
  try {
    await child.line('first');
    const count = await startCounting(world.server, child.pid);
    await child.line('done');
    const costs = await count();
    const rate = (events - 1) / costs.wallSeconds;
    return { contestant: name, events, rate, lastHalfRate: rate, costs, peakMemoryBytes: peakMemory(child.pid), connections: concurrency, databaseUrl, groupId };
  } finally {
    await child.stop();
  }
}

/** (c) the same writes from memory. */
export async function runCeiling(world: World, name: string, databaseUrl: string, from: ReadonlyMap<number, bigint>, connections: number): Promise<Run> {
  const offsets = JSON.stringify(Object.fromEntries([...from].map(([partition, offset]) => [partition, offset.toString()])));
  const child = startChild('bench/ingest/ceiling.js', [offsets, String(connections)], world.environment(databaseUrl, 'ceiling'));
  await child.line('ready');
  await world.server.query('CHECKPOINT');
  const count = await startCounting(world.server, child.pid);
  child.say('go');
  const [, events, seconds] = (await child.line('done')).split(' ').map(Number);
  const costs = await count();
  await child.stop();
  const rate = (events ?? 0) / (seconds ?? Number.NaN);
  return { contestant: name, events: events ?? 0, rate, lastHalfRate: rate, costs, peakMemoryBytes: 0, connections, databaseUrl, groupId: '' };
}

async function committed(world: World, groupId: string): Promise<bigint> {
  const [topic] = await world.admin.fetchOffsets({ groupId, topics: [world.topic] });
  return (topic?.partitions ?? []).reduce((total, { offset }) => total + (BigInt(offset) > 0n ? BigInt(offset) : 0n), 0n);
}

const sum = (offsets: ReadonlyMap<number, bigint>): bigint => [...offsets.values()].reduce((total, offset) => total + offset, 0n);

function rates(marks: readonly { time: number; done: number }[]): { rate: number; lastHalfRate: number } {
  const [first, last] = [marks[0], marks.at(-1)];
  if (first === undefined || last === undefined) return { rate: Number.NaN, lastHalfRate: Number.NaN };
  const middle = marks.find((mark) => mark.done >= last.done / 2) ?? first;
  const between = (a: { time: number; done: number }): number => ((last.done - a.done) / (last.time - a.time)) * 1_000;
  return { rate: between(first), lastHalfRate: between(middle) };
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

async function connectionsOf(watcher: pg.Client): Promise<number> {
  const { rows } = await watcher.query<{ n: number }>('SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = $1', ['client backend']);
  return rows[0]?.n ?? 0;
}
