import type { Machine } from '../results.ts';
import type { Drain } from './drain.ts';
import type { Latency, Quantiles } from './latency.ts';

export interface Result {
  at: string;
  machine: Machine;
  postgres: Record<string, string>;
  users: number;
  drains: Drain[];
  latencies: Latency[];
}

const count = (value: number): string => Math.round(value).toLocaleString('en-US');
const ms = ({ p50, p99, p999, max }: Quantiles): string => [p50, p99, p999, max].map((value) => (value >= 100 ? count(value) : value.toFixed(1))).join(' / ');

export function render({ at, machine, postgres, users, drains, latencies }: Result): string {
  const heldOf = (run: { held: boolean }): string => (run.held ? 'held' : '');
  const factor = (name: string): string => {
    const [free, held] = [false, true].map((wanted) => ({ drain: drains.find((run) => run.contestant === name && run.held === wanted), latency: latencies.find((run) => run.contestant === name && run.held === wanted) }));
    if (free?.drain === undefined || held?.drain === undefined || free.latency === undefined || held.latency === undefined) return '';
    return `${name}: rate ${(free.drain.rate / held.drain.rate).toFixed(2)} times less, p99 ${(held.latency.toKafka.p99 / free.latency.toKafka.p99).toFixed(2)} times more, p99 of the last quarter ${(held.latency.lastQuarter.p99 / free.latency.lastQuarter.p99).toFixed(2)} times more`;
  };
  const names = [...new Set(drains.map(({ contestant }) => contestant))];
  return `# Relay benchmark

${at} · ${machine.cpus} × ${machine.model}, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node} · PostgreSQL ${Object.entries(postgres).map(([name, value]) => `${name}=${value}`).join(', ')}

Writers, contestant, broker and server share the machine. ${count(users)} users, rows of 200 bytes, 12 partitions, acks all. Every row was on its topic and each user's in order, in every run. "Held": another session held a snapshot from before the run to its end.

## Backlog

| contestant | snapshot | rows | rows/s | last half | CPU µs a row: process + PostgreSQL | WAL bytes a row | peak MiB | copies |
|---|---|---|---|---|---|---|---|---|
${drains.map((run) => `| ${run.contestant} | ${heldOf(run)} | ${count(run.rows)} | ${count(run.rate)} | ${count(run.lastHalfRate)} | ${((run.costs.processCpuSeconds / run.rows) * 1e6).toFixed(1)} + ${((run.costs.postgresCpuSeconds / run.rows) * 1e6).toFixed(1)} | ${count(run.costs.walBytes / run.rows)} | ${count(run.peakMemoryBytes / 2 ** 20)} | ${run.copies} |`).join('\n')}

## Answer to COMMIT → record in the log, open loop

A row a transaction. Milliseconds: p50 / p99 / p99.9 / most. Writers: from when a row was due to the answer to its COMMIT.

| contestant | snapshot | rows/s | seconds | all | last quarter | writers | cores: process + PostgreSQL | copies |
|---|---|---|---|---|---|---|---|---|
${latencies.map((run) => `| ${run.contestant} | ${heldOf(run)} | ${count(run.rate)} | ${run.seconds} | ${ms(run.toKafka)} | ${ms(run.lastQuarter)} | ${ms(run.writers)} | ${run.processCores.toFixed(2)} + ${run.postgresCores.toFixed(2)} | ${run.copies} |`).join('\n')}

With the snapshot held: ${names.map(factor).filter((text) => text !== '').join('; ')}.
`;
}
