import type { Machine } from '../results.ts';
import type { Ceiling } from './ceiling.ts';
import type { Earlier } from './earlier.ts';

export interface Run {
  readonly mode: string;
  readonly seconds: number;
  readonly productsPerSecond: number;
  readonly cpuSeconds: number;
  /** Most at any moment, as the servers count them. */
  readonly connections: { readonly postgres: number; readonly mysql: number; readonly redis: number };
  readonly parkedChunks: number;
  readonly lookups: number;
  /** Share of look-ups answered by memory or Redis. */
  readonly cached: number;
  readonly mysqlQueriesPerThousand: number;
}

export interface Result {
  readonly at: string;
  readonly machine: Machine & { readonly load: number };
  readonly sellers: number;
  readonly products: number;
  readonly runs: readonly Run[];
  readonly ceiling: Ceiling;
  readonly earlier: Earlier;
  readonly peakMemoryBytes: number;
  readonly poolTimeouts: number;
  readonly warnings: number;
}

export function report({ at, machine, sellers, products, runs, ceiling, earlier, peakMemoryBytes, poolTimeouts, warnings }: Result): string {
  const count = (value: number): string => Math.round(value).toLocaleString('en-US');
  const most = (of: (run: Run) => number): number => Math.max(...runs.map(of));
  const first = runs[0]?.productsPerSecond ?? 0;
  return `# Bulk sync benchmark

${at} · ${machine.cpus} × ${machine.model}, Node ${machine.node}, load ${machine.load.toFixed(1)} · \`npm run bench:bulk-sync\`

${sellers} sellers with ${count(products)} products each, all at once, through one process; the stand-in, broker and servers share the machine. After the import every product of every seller was here as it was there.

| | seconds | products/s | CPU s of the process | connections: PostgreSQL, MySQL, Redis | parked chunks | look-ups from memory or Redis | MySQL queries per 1,000 |
|---|---|---|---|---|---|---|---|
${runs.map((run) => `| ${run.mode} | ${run.seconds.toFixed(1)} | ${count(run.productsPerSecond)} | ${run.cpuSeconds.toFixed(1)} | ${run.connections.postgres}, ${run.connections.mysql}, ${run.connections.redis} | ${run.parkedChunks} | ${(run.cached * 100).toFixed(1)} % | ${run.mysqlQueriesPerThousand.toFixed(2)} |`).join('\n')}
| set-based SQL from memory, 2 connections (${count(ceiling.products)} products) | | ${count(ceiling.productsPerSecond)} | | | | | |
| the earlier service's pools (upsert of items alone, from memory) | ${earlier.seconds.toFixed(1)} | ${count(earlier.productsPerSecond)} | | ${earlier.connections.postgres}, ${earlier.connections.mysql}, 0 | ${earlier.timeouts} of ${earlier.chunks} without a connection in 30 s | | |

| wanted | measured |
|---|---|
| zero pool timeouts | ${poolTimeouts} (${warnings} warnings of the process in all) |
| at most 20 PostgreSQL, 10 MySQL, 3 Redis connections | ${most((run) => run.connections.postgres)}, ${most((run) => run.connections.mysql)}, ${most((run) => run.connections.redis)} |
| peak memory at most 400 MB | ${count(peakMemoryBytes / 1e6)} MB |
| at least 0.5 of the set-based ceiling | ${(first / ceiling.productsPerSecond).toFixed(2)} |
| 95 % of look-ups from memory or Redis in the second run | ${((runs[1]?.cached ?? 0) * 100).toFixed(1)} % |
`;
}
