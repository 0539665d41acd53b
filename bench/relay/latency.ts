import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from '../ingest/child.ts';
import { startCounting } from '../ingest/measure.ts';
import type { Contestant } from './contestants.ts';
import type { World } from './world.ts';

export interface Quantiles {
  p50: number;
  p99: number;
  p999: number;
  max: number;
}

export interface Latency {
  contestant: string;
  held: boolean;
  rate: number;
  seconds: number;
  /** Milliseconds from the answer to COMMIT to the record in the log. */
  toKafka: Quantiles;
  /** The same over the last quarter: what has grown by then shows. */
  lastQuarter: Quantiles;
  /** Milliseconds from when a row was due to the answer to its COMMIT: how well the writers kept up. */
  writers: Quantiles;
  /** Cores used by the contestant, and by all of PostgreSQL, writers' work included. */
  processCores: number;
  postgresCores: number;
  copies: number;
}

/** Rows of 1 ms are what the broker's stamps can tell apart. */
export async function latency(world: World, contestant: Contestant, { rate, seconds, held }: { rate: number; seconds: number; held: boolean }): Promise<Latency> {
  const stage = await world.stage(contestant);
  const folder = mkdtempSync(join(tmpdir(), 'brx-bench-'));
  try {
    const child = contestant.start(stage.environment);
    try {
      // Warm, so that start-up is not measured.
      await contestant.fill(stage.client, stage.topic, 2 * stage.users.length);
      const warm = 2 * stage.users.length;
      await stage.reached(warm, 120_000);
      if (held) await stage.holdSnapshot();
      const file = join(folder, 'rows');
      const count = await startCounting(world.server, child.pid);
      const writer = startChild('bench/relay/writer.js', [contestant.name, String(rate), String(seconds), stage.topic, stage.users.join(), file], stage.environment);
      await writer.line('done');
      const costs = await count();
      const written = readFileSync(file, 'utf8').split('\n').map((line) => line.split(' '));
      await stage.reached(warm + written.length, 300_000);
      await child.stop();
      const { at, copies } = await stage.arrivals(warm + written.length);
      for (const [said = ''] of written) if (!at.has(said)) throw new Error(`${contestant.name}: ${said} was committed and is not on the topic`);
      const rows = written.map(([said = '', due, committed]) => ({ toKafka: (at.get(said) ?? Number.NaN) - Number(committed), writer: Number(committed) - Number(due), due: Number(due) })).sort((a, b) => a.due - b.due);
      return {
        contestant: contestant.name,
        held,
        rate,
        seconds,
        toKafka: quantiles(rows.map((row) => row.toKafka)),
        lastQuarter: quantiles(rows.slice(-(rows.length >> 2)).map((row) => row.toKafka)),
        writers: quantiles(rows.map((row) => row.writer)),
        processCores: costs.processCpuSeconds / costs.wallSeconds,
        postgresCores: costs.postgresCpuSeconds / costs.wallSeconds,
        copies,
      };
    } finally {
      await child.stop();
    }
  } finally {
    rmSync(folder, { recursive: true });
    await stage.close();
  }
}

/** A record may be in the log before its COMMIT is answered: that counts as 0. */
function quantiles(values: readonly number[]): Quantiles {
  const sorted = values.map((value) => Math.max(0, value)).sort((a, b) => a - b);
  const at = (share: number): number => Math.round((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN) * 10) / 10;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}
