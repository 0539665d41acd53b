import type { Machine } from '../results.ts';
import type { Run } from './contestants.ts';
import type { Latency } from './latency.ts';
import { median } from './measure.ts';
import type { Sizes } from './world.ts';

export interface Summary {
  contestant: string;
  runs: number;
  rate: number;
  rateMin: number;
  rateMax: number;
  lastHalfRate: number;
  processMicros: number;
  postgresMicros: number;
  eventsPerCpuSecond: number;
  walBytesPerEvent: number;
  peakMemoryBytes: number;
  connections: number;
}

export interface Result {
  at: string;
  machine: Machine;
  postgres: Record<string, string>;
  sizes: Sizes;
  rounds: number;
  verdict: string;
  summary: Summary[];
  backlog: { events: number; rate: number; peakMemoryBytes: number; connections: number };
  latency: Latency;
  runs: Omit<Run, 'databaseUrl' | 'groupId'>[];
}

export function summarise(runs: readonly Run[]): Summary[] {
  const names = [...new Set(runs.map((run) => run.contestant))];
  return names.map((contestant) => {
    const own = runs.filter((run) => run.contestant === contestant);
    const of = (value: (run: Run) => number): number => median(own.map(value));
    const processMicros = of((run) => (run.costs.processCpuSeconds / run.events) * 1e6);
    const postgresMicros = of((run) => (run.costs.postgresCpuSeconds / run.events) * 1e6);
    return {
      contestant,
      runs: own.length,
      rate: of((run) => run.rate),
      rateMin: Math.min(...own.map((run) => run.rate)),
      rateMax: Math.max(...own.map((run) => run.rate)),
      lastHalfRate: of((run) => run.lastHalfRate),
      processMicros,
      postgresMicros,
      eventsPerCpuSecond: 1e6 / (processMicros + postgresMicros),
      walBytesPerEvent: of((run) => run.costs.walBytes / run.events),
      peakMemoryBytes: Math.max(...own.map((run) => run.peakMemoryBytes)),
      connections: Math.max(...own.map((run) => run.connections)),
    };
  });
}

export function render(result: Result): string {
  const { machine, sizes, summary, latency, backlog } = result;
  const rate = (value: number): string => Math.round(value).toLocaleString('en-US');
  const brx = summary.find((row) => row.contestant === 'brx-sync');
  const ratio = (name: string): string => {
    const other = summary.filter((row) => row.contestant.startsWith(name)).sort((a, b) => b.rate - a.rate);
    return other.map((row) => `${((brx?.rate ?? Number.NaN) / row.rate).toFixed(2)} × ${row.contestant} (last half ${((brx?.lastHalfRate ?? Number.NaN) / row.lastHalfRate).toFixed(2)})`).join('; ');
  };
  const rows = summary.map(
    (row) =>
      `| ${row.contestant} | ${row.runs} | ${rate(row.rate)} (${rate(row.rateMin)} to ${rate(row.rateMax)}) | ${rate(row.lastHalfRate)} | ${row.processMicros.toFixed(1)} + ${row.postgresMicros.toFixed(1)} | ${rate(row.eventsPerCpuSecond)} | ${rate(row.walBytesPerEvent)} | ${row.peakMemoryBytes === 0 ? '' : rate(row.peakMemoryBytes / 2 ** 20)} | ${row.connections} |`,
  );
  return `# Ingest benchmark

${result.at} · ${machine.cpus} × ${machine.model}, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node} · PostgreSQL ${Object.entries(result.postgres).map(([name, value]) => `${name}=${value}`).join(', ')}

Client, broker and server share the machine. ${rate(sizes.warmup)} events were applied before, then each contestant drained the same ${rate(sizes.events)} of ${rate(sizes.users)} users (Zipf 0.7) from 12 partitions, interleaved, ${result.rounds} rounds, medians.
Result: ${result.verdict}; every other run equal to that one row by row.

| contestant | runs | events/s (least to most) | last half | CPU µs an event: process + PostgreSQL | events per CPU-second | WAL bytes an event | peak MiB | connections |
|---|---|---|---|---|---|---|---|---|
${rows.join('\n')}

BRX Sync is ${ratio('eachMessage')}; ${ratio('set-based')}.

Backlog of ${rate(backlog.events)} events into an empty database: ${rate(backlog.rate)} events/s, peak ${rate(backlog.peakMemoryBytes / 2 ** 20)} MiB, at most ${backlog.connections} connections.

Latency at ${rate(latency.rate)} events/s (half of capacity), open loop over ${latency.seconds} s, intended send to commit: p50 ${latency.p50} ms, p90 ${latency.p90} ms, p99 ${latency.p99} ms, p99.9 ${latency.p999} ms, max ${latency.max} ms (${rate(latency.events)} events).
`;
}
