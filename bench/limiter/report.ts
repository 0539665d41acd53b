import type { Machine } from '../results.ts';
import { JITTER_MS, type Run } from './run.ts';

export interface Waits {
  sellers: number;
  p50: number;
  p99: number;
  max: number;
}

export interface Result {
  at: string;
  machine: Machine & { redis: string };
  config: { requests: number; windowMs: number; marginMs: number };
  runs: Run[];
  waits: Waits[];
}

const NAMES = { 'brx-sync': 'brx-sync', counter: 'INCR and EXPIRE', bucket: 'token bucket', nothing: 'none' } as const;

export function render({ at, machine, config, runs, waits }: Result): string {
  const count = (value: number): string => (Number.isNaN(value) ? '' : Math.round(value).toLocaleString('en-US'));
  const percent = (value: number): string => (Number.isNaN(value) ? '?' : `${(value * 100).toFixed(1)} %`);
  const rows = runs.map(
    ({ name, contestant, sellers, worst, meanFill, requestsPerSecond, redisCallsPerSecond, processCpu, redisCpu, peakMemoryBytes }) =>
      `| ${name} | ${NAMES[contestant]} | ${sellers} | ${percent(meanFill)} (${percent(worst.fill)}) | ${worst.densest} | ${count(worst.refusedSliding)} / ${count(worst.refusedFixed)} | ${count(requestsPerSecond)} | ${count(redisCallsPerSecond)} | ${percent(processCpu)} + ${percent(redisCpu)} | ${Math.round(peakMemoryBytes / 2 ** 20)} |`,
  );
  return `# Rate limiter benchmark

${at} · ${machine.cpus} × ${machine.model}, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}, Redis ${machine.redis}

Limit ${config.requests} in ${config.windowMs / 1_000} s, margin ${config.marginMs} ms. Three processes, one Redis, one machine. Each request arrives up to ${JITTER_MS} ms later than it was allowed. Use: what a window of 10 s
held on average, as a part of the limit (least of all sellers). 429: how many requests a server would have turned away, with a sliding window / with fixed windows at their worst. CPU: parts of a core, all
processes + Redis, after the first 10 s.

| scenario | limiter | sellers | use | most in 10 s | 429 | requests/s | calls to Redis/s | CPU | peak MiB |
|---|---|---|---|---|---|---|---|---|---|
${rows.join('\n')}

${waits.map(({ sellers, p50, p99, max }) => `${count(sellers)} sellers at once, one request each, one process: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms.`).join('\n')}
`;
}
