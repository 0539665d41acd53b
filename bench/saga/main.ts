import { parseArgs } from 'node:util';
import { installDependencies } from '../dependencies.ts';
import { keepResult, machine } from '../results.ts';
import { brxSync } from './brx-sync.ts';
import type { Contestant } from './contestants.ts';
import { dbos } from './dbos.ts';
import type { Load } from './load.ts';
import { render, summarise, type Result, type Run } from './report.ts';
import { createWorld } from './world.ts';

/**
 * `npm run bench:saga`: sales settled by BRX Sync and by DBOS, with the same CardTrader stand-in and the same PostgreSQL, in turn. Each run is a process of its own, warm before
 * anything counts: on a busy machine a warm-up of 4 s left a fifth of the CPU of BRX Sync to V8 compiling (perf), and a service runs for weeks.
 */
const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '8' },
    'warm-up': { type: 'string', default: '25' },
    concurrency: { type: 'string', default: '16,64' },
    rate: { type: 'string', default: '20' },
    latency: { type: 'string', default: '10' },
    shops: { type: 'string', default: '400' },
    name: { type: 'string', default: 'saga' },
    only: { type: 'string', default: '' },
    profile: { type: 'string' },
    statements: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (flags.help) {
  process.stdout.write('npm run bench:saga -- [--rounds 3] [--seconds 8] [--warm-up 25] [--concurrency 16,64] [--rate 20] [--latency 10] [--shops 400] [--name saga] [--only brx-sync] [--profile FOLDER] [--statements]\n');
  process.exit(0);
}
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const sizes = { shops: Number(flags.shops), items: 5, copies: 100_000, latencyMs: Number(flags.latency) };
const loads: Load[] = [...flags.concurrency.split(',').filter((text) => text !== '').map((text) => ({ concurrency: Number(text) })), ...(flags.rate === '' ? [] : [{ rate: Number(flags.rate) }])];

await installDependencies(say);
const world = await createWorld(sizes, 3, say);
const contestants: Contestant[] = [];
try {
  say('setting up');
  const runs: Run[] = [];
  for (const make of [() => brxSync(world, {}, flags.profile), () => dbos(world, 1), () => dbos(world, 3)]) contestants.push(await make());
  for (let round = 1; round <= Number(flags.rounds); round += 1) {
    say(`round ${round} of ${flags.rounds}`);
    for (const load of loads) {
      for (const contestant of contestants.filter(({ name }) => name.includes(flags.only))) {
        const statements = flags.statements ? await world.statements() : undefined;
        const run = summarise(contestant, load, await contestant.run(load, { warmUpMs: Number(flags['warm-up']) * 1_000, ms: Number(flags.seconds) * 1_000 }));
        runs.push(run);
        say(`  ${JSON.stringify(load)} ${contestant.name}: ${run.rate.toFixed(0)}/s, p50 ${run.p50.toFixed(0)} ms, p99 ${run.p99.toFixed(0)} ms, a saga: ${run.commits.toFixed(1)} commits (${run.writes.toFixed(1)} writing), ${run.statements.toFixed(1)} statements, ${run.walBytes.toFixed(0)} B WAL, CPU ${run.processMs.toFixed(2)} + ${run.postgresMs.toFixed(2)} ms, ${run.requests.toFixed(2)} requests`);
        for (const { query, calls, ms } of (await statements?.()) ?? []) say(`    ${(calls / run.sales).toFixed(2).padStart(6)} a saga ${(ms / run.sales).toFixed(3).padStart(7)} ms  ${query}`);
        if (run.stages !== undefined) say(`    ${Object.entries(run.stages).map(([name, ms]) => `${name} ${ms.toFixed(0)}`).join(', ')} ms`);
      }
    }
  }
  const verdicts: Record<string, string> = {};
  for (const contestant of contestants.filter(({ name }) => name.includes(flags.only))) {
    verdicts[contestant.name] = await contestant.check();
    say(`${contestant.name}: ${verdicts[contestant.name]}`);
  }
  const settings = await world.server.query<{ name: string; setting: string }>(`SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'shared_buffers', 'server_version') ORDER BY name`);
  const result: Result = {
    at: new Date().toISOString(),
    machine: machine(),
    postgres: Object.fromEntries(settings.rows.map((row) => [row.name, row.setting])),
    sizes,
    rounds: Number(flags.rounds),
    seconds: Number(flags.seconds),
    warmUpSeconds: Number(flags['warm-up']),
    verdicts,
    runs,
  };
  keepResult(flags.name, result, render(result));
} finally {
  for (const contestant of contestants) await contestant.close();
  await world.close();
}
process.exit(0);
