/** When requests of one seller went out, in milliseconds of one clock (all processes of a machine share it), in order. */
export type Arrivals = readonly number[];

export interface Verdict {
  requests: number;
  /** The most in any 10 s. */
  densest: number;
  /** Requests a server with a sliding window would have turned away; refused ones do not count in its window. */
  refusedSliding: number;
  /** The same with fixed windows, the worst of 20 ways to lay them. */
  refusedFixed: number;
  /** What a window held on average, as a part of what it may: over all windows from a second after the first request to the last. */
  fill: number;
}

const PHASES = 20;

/** What CardTrader would say, whichever kind of window it has. `jitter`: how much later each request arrives. */
export function judge(sent: Arrivals, limit: number, windowMs: number, jitter: () => number): Verdict {
  const arrived = sent.map((at) => at + jitter()).sort((a, b) => a - b);
  const phases = Array.from({ length: PHASES }, (_, n) => refusedByFixed(arrived, limit, windowMs, (n * windowMs) / PHASES));
  return { requests: arrived.length, densest: densest(arrived, windowMs), refusedSliding: refusedBySliding(arrived, limit, windowMs), refusedFixed: Math.max(0, ...phases), fill: fill(arrived, limit, windowMs) };
}

function densest(arrived: Arrivals, windowMs: number): number {
  let [from, most] = [0, 0];
  for (const [to, at] of arrived.entries()) {
    while (at - (arrived[from] ?? 0) >= windowMs) from += 1;
    most = Math.max(most, to - from + 1);
  }
  return most;
}

function refusedBySliding(arrived: Arrivals, limit: number, windowMs: number): number {
  const counted: number[] = [];
  let [from, refused] = [0, 0];
  for (const at of arrived) {
    while (from < counted.length && at - (counted[from] ?? 0) >= windowMs) from += 1;
    if (counted.length - from >= limit) refused += 1;
    else counted.push(at);
  }
  return refused;
}

function refusedByFixed(arrived: Arrivals, limit: number, windowMs: number, phase: number): number {
  const windows = new Map<number, number>();
  for (const at of arrived) {
    const window = Math.floor((at + phase) / windowMs);
    windows.set(window, (windows.get(window) ?? 0) + 1);
  }
  return [...windows.values()].reduce((sum, count) => sum + Math.max(0, count - limit), 0);
}

/**
 * Each request is in the windows that begin up to a window before it: the sum of those stretches, over all places a window can begin. From a second after the first
 * request on: work comes in bursts a cycle apart, and from burst to burst there would be one gap more than there are cycles.
 */
function fill(arrived: Arrivals, limit: number, windowMs: number): number {
  const [first, last] = [(arrived[0] ?? 0) + 1_000, (arrived.at(-1) ?? 0) - windowMs];
  if (last <= first) return Number.NaN;
  const covered = arrived.reduce((sum, at) => sum + Math.max(0, Math.min(at, last) - Math.max(at - windowMs, first)), 0);
  return covered / (last - first) / limit;
}
