import type { Clock } from '../../src/platform/clock.ts';

export interface FakeClock extends Clock {
  /** Every sleep that was asked for, in milliseconds. */
  readonly sleeps: readonly number[];
  /** How many sleep right now. */
  readonly sleeping: number;
  /** Moves both clocks on and wakes who is due, in the order of their times; returns when what they woke has run. */
  advance(ms: number): Promise<void>;
}

/** A clock that stands still until told otherwise. `random` is a constant. */
export function fakeClock({ now = Date.UTC(2026, 0, 1), random = 0.5 }: { now?: number; random?: number } = {}): FakeClock {
  let elapsed = 0;
  const sleeps: number[] = [];
  const sleepers = new Set<{ due: number; wake: () => void }>();
  return {
    now: () => now + elapsed,
    monotonic: () => elapsed,
    random: () => random,
    sleeps,
    get sleeping() {
      return sleepers.size;
    },
    sleep(ms, signal) {
      sleeps.push(ms);
      return new Promise((resolve, reject) => {
        const sleeper = { due: elapsed + ms, wake: resolve };
        if (signal?.aborted) return reject(signal.reason as Error);
        sleepers.add(sleeper);
        signal?.addEventListener('abort', () => {
          sleepers.delete(sleeper);
          reject(signal.reason as Error);
        });
      });
    },
    async advance(ms) {
      const until = elapsed + ms;
      for (;;) {
        const [next] = [...sleepers].filter(({ due }) => due <= until).toSorted((a, b) => a.due - b.due);
        if (next === undefined) break;
        elapsed = Math.max(elapsed, next.due);
        sleepers.delete(next);
        next.wake();
        await settled();
      }
      elapsed = until;
      await settled();
    },
  };
}

/** Every promise that can go on has gone on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
