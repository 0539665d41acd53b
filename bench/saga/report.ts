import type { Machine } from '../results.ts';
import { median } from '../ingest/measure.ts';
import type { Contestant, Stages } from './contestants.ts';
import type { Load, Loaded } from './load.ts';
import type { DatabaseCosts, Sizes } from './world.ts';

/** One run; costs are of one saga. */
export interface Run {
  contestant: string;
  /** `16 at once`, or `20/s`. */
  load: string;
  calls: number;
  sales: number;
  seconds: number;
  rate: number;
  p50: number;
  p99: number;
  max: number;
  commits: number;
  writes: number;
  statements: number;
  walBytes: number;
  processMs: number;
  postgresMs: number;
  requests: number;
  stages?: Stages;
}

export interface Result {
  at: string;
  machine: Machine;
  postgres: Record<string, string>;
  sizes: Sizes;
  rounds: number;
  seconds: number;
  warmUpSeconds: number;
  verdicts: Record<string, string>;
  runs: Run[];
}

export function summarise({ name, calls }: Contestant, load: Load, { sales, seconds, latencies, costs, stages }: Loaded & { costs: DatabaseCosts; stages?: Stages }): Run {
  const sorted = [...latencies].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return {
    contestant: name,
    load: 'rate' in load ? `${load.rate}/s` : `${load.concurrency} at once`,
    calls,
    sales,
    seconds,
    rate: sales / seconds,
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
    commits: costs.commits / sales,
    writes: costs.writes / sales,
    statements: costs.statements / sales,
    walBytes: costs.walBytes / sales,
    processMs: (costs.processCpuSeconds * 1_000) / sales,
    postgresMs: (costs.postgresCpuSeconds * 1_000) / sales,
    requests: costs.simulatorRequests / sales,
    ...(stages !== undefined && { stages }),
  };
}

const count = (value: number): string => Math.round(value).toLocaleString('en-US');

export function render({ at, machine, postgres, sizes, rounds, seconds, warmUpSeconds, verdicts, runs }: Result): string {
  const loads = [...new Set(runs.map(({ load }) => load))];
  const names = [...new Set(runs.map(({ contestant }) => contestant))];
  const of = (load: string, name: string): Run[] => runs.filter((run) => run.load === load && run.contestant === name);
  const middle = (load: string, name: string, field: keyof Run): number => median(of(load, name).map((run) => Number(run[field])));
  /** Round by round, so that what the machine did in between counts for both. */
  const ratio = (load: string, name: string): string => {
    const ratios = of(load, 'brx-sync').map((run, index) => run.rate / (of(load, name)[index]?.rate ?? Number.NaN));
    return `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`;
  };
  const row = (load: string, name: string): string => {
    const rates = of(load, name).map(({ rate }) => rate);
    const [own] = of(load, name);
    const cells = [
      load,
      name,
      `${count(median(rates))} (${count(Math.min(...rates))} to ${count(Math.max(...rates))})`,
      name === 'brx-sync' || load.endsWith('/s') ? '' : ratio(load, name),
      count(middle(load, name, 'p50')),
      count(middle(load, name, 'p99')),
      count(middle(load, name, 'p50') - (own?.calls ?? 0) * sizes.latencyMs),
      `${middle(load, name, 'commits').toFixed(1)} (${middle(load, name, 'writes').toFixed(1)})`,
      middle(load, name, 'statements').toFixed(1),
      count(middle(load, name, 'walBytes')),
      `${middle(load, name, 'processMs').toFixed(2)} + ${middle(load, name, 'postgresMs').toFixed(2)}`,
      middle(load, name, 'requests').toFixed(2),
    ];
    return `| ${cells.join(' | ')} |`;
  };
  return `# Saga benchmark

${at} · ${machine.cpus} × ${machine.model}, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node} · PostgreSQL ${Object.entries(postgres).map(([name, value]) => `${name}=${value}`).join(', ')}

Who asks, contestant, CardTrader's stand-in, broker and server share the machine. ${count(sizes.shops)} sellers each, ${sizes.items} items; an answer of the stand-in takes ${sizes.latencyMs} ms. ${rounds} rounds in turn, ${seconds} s each after a warm-up of ${warmUpSeconds} s, medians (least to most).
Checked over all runs: ${Object.entries(verdicts).map(([name, verdict]) => `${name}: ${verdict}`).join('; ')}; stock here and there as it should be, nothing applied twice there, no request above the limit.

| load | contestant | sagas/s | BRX Sync is × | p50 ms | p99 ms | p50 without the calls' own latency | commits a saga (writing) | statements | WAL bytes | CPU ms: process + PostgreSQL | requests to CardTrader |
|---|---|---|---|---|---|---|---|---|---|---|---|
${loads.flatMap((load) => names.map((name) => row(load, name))).join('\n')}
`;
}
