import { startCounting, peakMemory, type Costs } from '../ingest/measure.ts';
import type { Contestant } from './contestants.ts';
import type { World } from './world.ts';

export interface Drain {
  contestant: string;
  held: boolean;
  rows: number;
  /** Rows a second, from the first record in the log to the last. */
  rate: number;
  /** The same over the last half. */
  lastHalfRate: number;
  /** Of the contestant's process and of PostgreSQL, start-up included. */
  costs: Costs;
  peakMemoryBytes: number;
  copies: number;
}

/** A backlog from its first row to its last. `held`: another session holds a snapshot from before the backlog on. */
export async function drain(world: World, contestant: Contestant, { rows, held }: { rows: number; held: boolean }): Promise<Drain> {
  const stage = await world.stage(contestant);
  try {
    if (held) await stage.holdSnapshot();
    await contestant.fill(stage.client, stage.topic, rows);
    await stage.client.query('ANALYZE');
    await world.server.query('CHECKPOINT');
    const child = contestant.start(stage.environment);
    const count = await startCounting(world.server, child.pid);
    try {
      await stage.reached(rows, 300_000);
      const costs = await count();
      const peakMemoryBytes = peakMemory(child.pid);
      await child.stop();
      const { at, copies } = await stage.arrivals(rows);
      const times = [...at.values()].sort((a, b) => a - b);
      const rate = (from: number): number => ((rows - from) * 1_000) / ((times.at(-1) ?? 0) - (times[from] ?? 0));
      return { contestant: contestant.name, held, rows, rate: rate(0), lastHalfRate: rate(rows >> 1), costs, peakMemoryBytes, copies };
    } finally {
      await child.stop();
    }
  } finally {
    await stage.close();
  }
}
