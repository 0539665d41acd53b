import type { Machine } from '../results.ts';
import type { Run } from './run.ts';

export interface Result {
  at: string;
  machine: Machine;
  shape: { chunks: number; itemsAChunk: number; skew: number; unknown: number; prints: number; atOnce: number; distinct: number; distinctAChunk: number };
  runs: Run[];
}

const count = (value: number): string => Math.round(value).toLocaleString('en-US');
const share = (part: number, whole: number): string => `${((part / whole) * 100).toFixed(2)} %`;

export function render({ at, machine, shape, runs }: Result): string {
  const items = shape.chunks * shape.itemsAChunk;
  return `# Blueprint mapping benchmark

${at} · ${machine.cpus} × ${machine.model}, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}

Process, MariaDB and Redis share the machine, which others use too: read ratios. ${count(items)} look-ups: ${count(shape.chunks)} chunks of ${count(shape.itemsAChunk)} items, ${shape.atOnce} chunks at once, 500 ids a call;
${count(shape.prints)} prints, Zipf ${shape.skew}, ${share(shape.unknown, 1)} unknown to the catalogue. ${count(shape.distinct)} different blueprints, ${count(shape.distinctAChunk)} in a chunk. Every answer was compared with the tables: ${runs.every(({ wrong }) => wrong === 0) ? 'none was wrong' : `${runs.reduce((sum, { wrong }) => sum + wrong, 0)} WERE WRONG`}.

| run | look-ups/s | CPU µs a look-up | memory | Redis | MySQL | memory or Redis | MySQL queries | queries per 1,000 items | connections to MySQL | heap MiB |
|---|---|---|---|---|---|---|---|---|---|---|
${runs.map((run) => `| ${run.name} | ${count(run.lookups / run.seconds)} | ${((run.cpuSeconds / run.lookups) * 1e6).toFixed(2)} | ${share(run.memory, run.lookups)} | ${share(run.redis, run.lookups)} | ${share(run.mysql, run.lookups)} | **${share(run.memory + run.redis, run.lookups)}** | ${count(run.queries)} | ${((run.queries / run.lookups) * 1_000).toFixed(3)} | ${run.connections} | ${run.heapMiB.toFixed(0)} |`).join('\n')}
`;
}
