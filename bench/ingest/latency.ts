import { startChild } from './child.ts';
import type { World } from './world.ts';

export interface Latency {
  /** Events a second that were meant to be sent. */
  rate: number;
  seconds: number;
  events: number;
  /** Milliseconds from the intended send to the commit of the effect. */
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  max: number;
}

const SECONDS = 30;
const SKIP_SECONDS = 8;

/** Open loop: events are due on a schedule that waits for nobody, and their latency counts from when they were due. */
export async function measureLatency(world: World, databaseUrl: string, rate: number): Promise<Latency> {
  const groupId = `latency-${Date.now().toString(36)}`;
  const ends = await world.ends();
  await world.startGroupAt(groupId, ends);
  const child = startChild('bench/ingest/latency-worker.js', [String(SKIP_SECONDS * 1_000)], world.environment(databaseUrl, groupId));
  await child.line('ready');
  await world.publish(Math.round(rate * SECONDS), rate);
  const target = [...(await world.ends()).values()].reduce((sum, end) => sum + end, 0n);
  for (const deadline = performance.now() + 60_000; ; ) {
    const [topic] = await world.admin.fetchOffsets({ groupId, topics: [world.topic] });
    if ((topic?.partitions ?? []).reduce((sum, { offset }) => sum + BigInt(offset), 0n) >= target) break;
    if (performance.now() > deadline) throw new Error('the worker did not catch up: half of its measured capacity is too much for it');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const answer = child.line('latency');
  await child.stop();
  const measured = JSON.parse((await answer).slice('latency '.length)) as Omit<Latency, 'rate' | 'seconds'>;
  return { rate, seconds: SECONDS - SKIP_SECONDS, ...measured };
}
