import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis as Client } from 'ioredis';
import { createRandom } from '../../src/platform/random.ts';
import { startPrivateRedis } from '../../stack/index.ts';
import { keepResult, machine } from '../results.ts';
import type { Contestant } from './contestants.ts';
import { render, type Result, type Waits } from './report.ts';
import { play, waits, type Place, type Run, type Scenario } from './run.ts';

/** `npm run bench:limiter`: how much of the limit is used, whether it is kept, and what that costs; beside what is usually written instead. */
const { values: flags } = parseArgs({
  options: { seconds: { type: 'string', default: '62' }, sellers: { type: 'string', default: '100' }, seed: { type: 'string', default: '1' }, name: { type: 'string', default: 'limiter' }, only: { type: 'string', default: '' }, help: { type: 'boolean', default: false } },
});
if (flags.help) {
  process.stdout.write('npm run bench:limiter -- [--seconds 62] [--sellers 100] [--seed 1] [--name limiter] [--only words of a scenario]\n');
  process.exit(0);
}
const seconds = Number(flags.seconds);
const config = { requests: 200, windowMs: 10_000, marginMs: 250, fallbackShare: 0.5 };
const sellers = Array.from({ length: Number(flags.sellers) }, (_, n) => `seller-${n}`);
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const server = await startPrivateRedis();
const client = new Client(server.url, { maxRetriesPerRequest: null, retryStrategy: () => 20 }).on('error', () => undefined);
const place: Place = { url: server.url, client, config };
const chance = createRandom(Number(flags.seed));
try {
  const three = (own: readonly string[]): string[][] => [[...own], [...own], [...own]];
  const parted = [0, 1, 2].map((n) => sellers.filter((_, index) => index % 3 === n));
  const one = (name: string, contestant: Contestant): Scenario => ({ name, contestant, processes: three(['seller']), atOnce: 20, seconds });
  const scenarios: Scenario[] = [
    one('one seller in three processes, much work', 'brx-sync'),
    one('one seller in three processes, much work', 'counter'),
    one('one seller in three processes, much work', 'bucket'),
    { name: 'one process, 8 requests of a seller at once, 150 ms each', contestant: 'brx-sync', processes: [sellers], atOnce: 8, callMs: 150, seconds },
    { name: 'each seller in one of three processes, 8 requests at once, 150 ms each', contestant: 'brx-sync', processes: parted, atOnce: 8, callMs: 150, seconds },
    { name: 'each seller in all of three processes, 5 requests at once, endlessly', contestant: 'brx-sync', processes: three(sellers), atOnce: 5, seconds },
    { name: 'each seller in one of three processes, one request of 40 ms after the other', contestant: 'brx-sync', processes: parted, atOnce: 1, callMs: 40, seconds },
    { name: 'the same without a limiter, 50 ms', contestant: 'nothing', processes: parted, atOnce: 1, callMs: 50, seconds: Math.min(seconds, 32) },
    { name: 'Redis flushed and restarted meanwhile', contestant: 'brx-sync', processes: three(sellers), atOnce: 5, seconds, meanwhile: trouble },
  ];
  const runs: Run[] = [];
  for (const scenario of scenarios.filter(({ name }) => name.includes(flags.only))) {
    say(`${scenario.name}: ${scenario.contestant}, ${seconds} s`);
    const run = await play(place, scenario, () => chance.unit());
    runs.push(run);
    say(`  ${(run.meanFill * 100).toFixed(1)} % used, most in 10 s ${run.worst.densest}, ${Math.round(run.requestsPerSecond)} requests/s, ${Math.round(run.redisCallsPerSecond)} calls/s, CPU ${(run.processCpu * 100).toFixed(1)} + ${(run.redisCpu * 100).toFixed(1)} %`);
  }
  const latencies: Waits[] = [];
  for (const count of [1, 1_000]) latencies.push(await latency(count));
  const result: Result = {
    at: new Date().toISOString(),
    machine: { ...machine(), redis: /^redis_version:(\S+)/m.exec(await client.info('server'))?.[1] ?? '' },
    config,
    runs,
    waits: latencies,
  };
  keepResult(flags.name, result, render(result));
} finally {
  client.disconnect();
  await server.remove();
}
process.exit(0);

/** Every few seconds one of: all keys gone, the scripts gone, the server killed and started again. */
async function trouble(signal: AbortSignal): Promise<void> {
  const troubles = [() => client.flushall(), () => client.script('FLUSH'), () => server.kill().then(() => server.start())];
  for (let n = 0; !signal.aborted; n += 1) {
    await delay(14_000, undefined, { signal }).catch(() => undefined);
    if (!signal.aborted) await troubles[n % troubles.length]?.();
  }
}

async function latency(count: number): Promise<Waits> {
  const sorted: number[] = [];
  for (let n = 0; n < (count === 1 ? 50 : 3); n += 1) sorted.push(...(await waits(place, count)));
  sorted.sort((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
  return { sellers: count, p50: at(0.5), p99: at(0.99), max: at(1) };
}
