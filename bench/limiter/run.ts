import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis as Client } from 'ioredis';
import type { LimiterConfig } from '../../src/marketplace/limiter/index.ts';
import { startChild, type Child } from '../ingest/child.ts';
import { exactCpuSeconds, peakMemory } from '../ingest/measure.ts';
import type { Contestant } from './contestants.ts';
import { judge, type Verdict } from './judge.ts';

/** What one child is to do. */
export interface Job {
  redisUrl: string;
  contestant: Contestant;
  config: LimiterConfig;
  sellers: readonly string[];
  /** Requests of each seller that wait or run at the same time. */
  atOnce: number;
  /** How long a request takes before its place asks for the next, give or take a fifth. */
  callMs: number;
  /** One request of each place, and that is all. */
  once: boolean;
}

export interface Sent {
  times: Record<string, number[]>;
  waitedMs: number[];
}

export interface Scenario {
  name: string;
  contestant: Contestant;
  /** Sellers of each process. */
  processes: readonly (readonly string[])[];
  atOnce: number;
  callMs?: number;
  seconds: number;
  /** Done to Redis meanwhile. */
  meanwhile?: (signal: AbortSignal) => Promise<void>;
}

export interface Run {
  name: string;
  contestant: Contestant;
  seconds: number;
  sellers: number;
  /** Of the seller for whom each number is worst. */
  worst: Verdict;
  meanFill: number;
  requestsPerSecond: number;
  redisCallsPerSecond: number;
  /** Parts of one core. */
  processCpu: number;
  redisCpu: number;
  peakMemoryBytes: number;
}

export interface Place {
  url: string;
  client: Client;
  config: LimiterConfig;
}

/** Up to so much later than it was allowed a request arrives: the network's part of the margin. */
export const JITTER_MS = 100;

/** Costs are counted from then on: programs are compiled while they begin. */
const WARM_UP_MS = 10_500;

export async function play(place: Place, scenario: Scenario, random: () => number): Promise<Run> {
  const { contestant, processes, atOnce, callMs = 0, seconds } = scenario;
  await place.client.flushall();
  await settle(place);
  const children = processes.map((sellers) => spawn(place, { contestant, sellers, atOnce, callMs, once: false }));
  for (const child of children) await child.line('ready');
  for (const child of children) child.say('go');
  await delay(WARM_UP_MS);
  const before = { cpu: children.map(({ pid }) => exactCpuSeconds(pid)), redis: await redisCost(place.client), at: performance.now() };
  const stopping = new AbortController();
  const meanwhile = scenario.meanwhile?.(stopping.signal);
  await delay(seconds * 1_000 - WARM_UP_MS);
  stopping.abort();
  await meanwhile;
  const wall = (performance.now() - before.at) / 1_000;
  const after = await redisCost(place.client);
  const cpu = children.reduce((sum, { pid }, n) => sum + exactCpuSeconds(pid) - (before.cpu[n] ?? 0), 0);
  const memory = Math.max(...children.map(({ pid }) => peakMemory(pid)));
  const sent = await Promise.all(children.map(finish));

  const bySeller = new Map<string, number[]>();
  for (const { times } of sent) for (const [seller, own] of Object.entries(times)) bySeller.set(seller, [...(bySeller.get(seller) ?? []), ...own]);
  const verdicts = [...bySeller.values()].map((times) => judge(times, place.config.requests, place.config.windowMs, () => random() * JITTER_MS));
  const requests = verdicts.reduce((sum, verdict) => sum + verdict.requests, 0);
  const worst: Verdict = {
    requests,
    densest: Math.max(...verdicts.map((verdict) => verdict.densest)),
    refusedSliding: verdicts.reduce((sum, verdict) => sum + verdict.refusedSliding, 0),
    refusedFixed: verdicts.reduce((sum, verdict) => sum + verdict.refusedFixed, 0),
    fill: Math.min(...verdicts.map((verdict) => verdict.fill)),
  };
  return {
    name: scenario.name,
    contestant,
    seconds,
    sellers: bySeller.size,
    worst,
    meanFill: verdicts.reduce((sum, verdict) => sum + verdict.fill, 0) / verdicts.length,
    requestsPerSecond: requests / seconds,
    redisCallsPerSecond: after.pid === before.redis.pid ? (after.calls - before.redis.calls) / wall : Number.NaN,
    processCpu: cpu / wall,
    redisCpu: after.pid === before.redis.pid ? (after.cpu - before.redis.cpu) / wall : Number.NaN,
    peakMemoryBytes: memory,
  };
}

/** How long one request waits when nothing holds it up, in milliseconds, in order. */
export async function waits(place: Place, sellers: number): Promise<number[]> {
  await place.client.flushall();
  await settle(place);
  const child = spawn(place, { contestant: 'brx-sync', sellers: Array.from({ length: sellers }, (_, n) => `seller-${n}`), atOnce: 1, callMs: 0, once: true });
  await child.line('ready');
  child.say('go');
  await child.line('done');
  const { waitedMs } = await finish(child);
  return waitedMs.sort((a, b) => a - b);
}

function spawn({ url, config }: Place, job: Omit<Job, 'redisUrl' | 'config'>): Child {
  return startChild('bench/limiter/child.js', [JSON.stringify({ redisUrl: url, config, ...job } satisfies Job)], {});
}

async function finish(child: Child): Promise<Sent> {
  child.say('stop');
  const line = await child.line('sent');
  await child.stop();
  return JSON.parse(line.slice('sent '.length)) as Sent;
}

/** As if the limiter had been in use for long: otherwise each scenario would begin with a window of silence. */
async function settle({ client }: Place): Promise<void> {
  const runId = /^run_id:(\w+)/m.exec(await client.info('server'))?.[1] ?? '';
  await client.set('rate_limit:epoch', `1 ${runId}`);
}

/** CPU seconds and scripts run, of this server process: after a restart there is nothing to compare with. */
async function redisCost(client: Client): Promise<{ pid: number; cpu: number; calls: number }> {
  const pid = Number(/^process_id:(\d+)/m.exec(await client.info('server'))?.[1]);
  const stats = await client.info('commandstats');
  const calls = ['eval', 'evalsha'].reduce((sum, name) => sum + Number(new RegExp(`^cmdstat_${name}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0), 0);
  readFileSync(`/proc/${pid}/stat`); // fails where the server is not ours to see
  return { pid, cpu: exactCpuSeconds(pid), calls };
}
