import { parseArgs } from 'node:util';
import { keepResult, machine } from '../results.ts';
import { checkAgainstOracle, checkNaive, checkSame } from './check.ts';
import { runBrxSync, runCeiling, runNaive, type Run } from './contestants.ts';
import { measureLatency, type Latency } from './latency.ts';
import { median } from './measure.ts';
import { render, summarise, type Result } from './report.ts';
import { createWorld } from './world.ts';

/** `npm run bench:ingest`: BRX Sync against what people would write instead and against the ceiling, interleaved in one run. */
const { values: flags } = parseArgs({
  options: {
    events: { type: 'string', default: '500000' },
    warmup: { type: 'string', default: '500000' },
    users: { type: 'string', default: '1000' },
    'naive-events': { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
    name: { type: 'string', default: 'ingest' },
    help: { type: 'boolean', default: false },
  },
});
if (flags.help) {
  process.stdout.write('npm run bench:ingest -- [--events 500000] [--warmup 500000] [--users 1000] [--naive-events 10000] [--rounds 3] [--seed 1] [--name ingest]\n');
  process.exit(0);
}
const rounds = Number(flags.rounds);
const naiveEvents = Number(flags['naive-events']);
const sizes = { warmup: Number(flags.warmup), events: Number(flags.events), users: Number(flags.users), itemsPerUser: 200, seed: Number(flags.seed) };
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const world = await createWorld(sizes, say);
try {
  say(`warm-up: ${sizes.warmup} events into an empty database`);
  await world.publish(sizes.warmup);
  const nowhere = new Map([...(await world.ends()).keys()].map((partition) => [partition, 0n]));
  const from = await world.ends();
  const warm = await world.createDatabase('empty');
  const warmup = await runBrxSync(world, 'warm-up', warm, nowhere);
  say(tell(warmup));

  say(`publishing ${sizes.events} events to drain`);
  await world.publish(sizes.events);
  const runs: Run[] = [];
  let verified: Run | undefined;
  let verdict = '';
  for (let round = 1; round <= rounds; round += 1) {
    say(`round ${round} of ${rounds}`);
    const brx = await runBrxSync(world, 'brx-sync', await world.createDatabase('warm'), from);
    runs.push(brx);
    say(tell(brx));
    if (verified === undefined) {
      verdict = await checkAgainstOracle(world, brx);
      verified = brx;
      say(`  ${verdict}`);
    } else await checkSame(brx, verified);
    for (const concurrency of [1, 4]) {
      const naive = await runNaive(world, `eachMessage + upsert, ${concurrency} at once`, await world.createDatabase('warm'), from, naiveEvents, concurrency);
      runs.push(naive);
      say(tell(naive));
      await checkNaive(naive, verified);
    }
    for (const connections of [2, 4]) {
      const ceiling = await runCeiling(world, `set-based SQL from memory, ${connections} connections`, await world.createDatabase('warm'), from, connections);
      runs.push(ceiling);
      say(tell(ceiling));
      await checkSame(ceiling, verified);
    }
  }

  say('backlog: everything from the beginning into an empty database');
  const backlog = await runBrxSync(world, 'backlog', await world.createDatabase('empty'), nowhere);
  say(tell(backlog));
  const capacity = median(runs.filter((run) => run.contestant === 'brx-sync').map((run) => run.lastHalfRate));
  say(`latency at half of ${Math.round(capacity)} events/s, open loop`);
  const latency: Latency = await measureLatency(world, await world.createDatabase('warm'), capacity / 2);

  const settings = await world.server.query<{ name: string; setting: string }>(`SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'shared_buffers', 'wal_compression', 'full_page_writes', 'server_version') ORDER BY name`);
  const result: Result = {
    at: new Date().toISOString(),
    machine: machine(),
    postgres: Object.fromEntries(settings.rows.map((row) => [row.name, row.setting])),
    sizes,
    rounds,
    verdict,
    summary: summarise(runs),
    backlog: { events: backlog.events, rate: backlog.rate, peakMemoryBytes: backlog.peakMemoryBytes, connections: backlog.connections },
    latency,
    runs: runs.map(({ databaseUrl: _url, groupId: _group, ...run }) => run),
  };
  keepResult(flags.name, result, render(result));
} finally {
  await world.close();
}
process.exit(0);

function tell(run: Run): string {
  return `  ${run.contestant}: ${Math.round(run.rate)} events/s (last half ${Math.round(run.lastHalfRate)}), ${((run.costs.processCpuSeconds / run.events) * 1e6).toFixed(1)} + ${((run.costs.postgresCpuSeconds / run.events) * 1e6).toFixed(1)} µs CPU an event, peak ${Math.round(run.peakMemoryBytes / 2 ** 20)} MiB`;
}
