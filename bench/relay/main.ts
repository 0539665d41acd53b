import { parseArgs } from 'node:util';
import { installDependencies } from '../dependencies.ts';
import { keepResult, machine } from '../results.ts';
import { brxSync, library, plainPoller } from './contestants.ts';
import { drain, type Drain } from './drain.ts';
import { latency, type Latency } from './latency.ts';
import { render, type Result } from './report.ts';
import { createWorld } from './world.ts';

/** `npm run bench:relay`: from the committed row to Kafka, beside what is usually written and a library, each also while a snapshot is held. */
const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '300000' },
    rate: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '130' },
    users: { type: 'string', default: '1000' },
    name: { type: 'string', default: 'relay' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});
if (flags.help) {
  process.stdout.write('npm run bench:relay -- [--rows 300000] [--rate 1000] [--seconds 130] [--users 1000] [--name relay] [--only brx-sync]\n');
  process.exit(0);
}
const [rows, rate, seconds, users] = [Number(flags.rows), Number(flags.rate), Number(flags.seconds), Number(flags.users)];
const say = (line: string): void => void process.stderr.write(`${line}\n`);
/** The library does about a hundred a second: it gets what it can do in the time. */
const LIBRARY = { rows: 1_000, rate: 50, seconds: 30 };

const world = await createWorld(users, say);
try {
  await installDependencies(say);
  const contestants = [brxSync, plainPoller, library].filter(({ name }) => name.includes(flags.only));
  const drains: Drain[] = [];
  const latencies: Latency[] = [];
  for (const held of [false, true]) {
    for (const contestant of contestants) {
      const run = await drain(world, contestant, { rows: contestant === library ? LIBRARY.rows : rows, held });
      drains.push(run);
      say(`${run.contestant}${held ? ', snapshot held' : ''}: ${Math.round(run.rate)} rows/s, last half ${Math.round(run.lastHalfRate)}, CPU ${((run.costs.processCpuSeconds / run.rows) * 1e6).toFixed(1)} + ${((run.costs.postgresCpuSeconds / run.rows) * 1e6).toFixed(1)} µs a row, ${run.copies} copies`);
    }
  }
  for (const held of [false, true]) {
    for (const contestant of contestants) {
      const run = await latency(world, contestant, { ...(contestant === library ? LIBRARY : { rate, seconds }), held });
      latencies.push(run);
      say(`${run.contestant}${held ? ', snapshot held' : ''} at ${run.rate}/s: ${JSON.stringify(run.toKafka)} ms, last quarter ${JSON.stringify(run.lastQuarter)}, writers ${JSON.stringify(run.writers)}, cores ${run.processCores.toFixed(2)} + ${run.postgresCores.toFixed(2)}`);
    }
  }
  const settings = await world.server.query<{ name: string; setting: string }>(`SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'shared_buffers', 'server_version') ORDER BY name`);
  const result: Result = {
    at: new Date().toISOString(),
    machine: machine(),
    postgres: Object.fromEntries(settings.rows.map((row) => [row.name, row.setting])),
    users,
    drains,
    latencies,
  };
  keepResult(flags.name, result, render(result));
} finally {
  await world.close();
}
process.exit(0);
