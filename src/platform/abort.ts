/**
 * `run` once when `signal` is aborted; the answer takes it back. However many wait for one signal, it has a single listener: Node warns of
 * a leak from the eleventh on, and a thousand requests may well share the signal of one stop.
 */
export function onAbort(signal: AbortSignal, run: () => void): () => void {
  let waiting = registry.get(signal);
  if (waiting === undefined) {
    const entries = new Set<() => void>();
    signal.addEventListener('abort', () => entries.forEach((each) => each()), { once: true });
    registry.set(signal, entries);
    waiting = entries;
  }
  const entry = (): void => run(); // of its own, in case the same function waits twice
  waiting.add(entry);
  return () => void waiting.delete(entry);
}

/**
 * Why a wait that nobody needs any more is ended, where nobody looks at the reason. One for all of them: what `abort()` makes by itself is an exception with a
 * stack of its own, 3 % of the CPU of a sale (`bench:saga`, perf).
 */
export const ENDED = new Error('ended');

const registry = new WeakMap<AbortSignal, Set<() => void>>();
