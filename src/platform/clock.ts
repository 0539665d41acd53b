import { onAbort } from './abort.ts';

/** The only places time and chance enter the program. Tests hand in their own. */
export interface Clock {
  /** Wall time in milliseconds since 1970. */
  now(): number;
  /** Monotonic milliseconds, for durations. */
  monotonic(): number;
  /** Resolves after `ms`, or rejects with the signal's reason if it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Uniform in [0, 1). */
  random(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const timer = setTimeout(() => {
        forget?.();
        resolve();
      }, ms);
      const forget = signal && onAbort(signal, () => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      });
    }),
};
