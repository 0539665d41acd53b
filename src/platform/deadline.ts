import { ENDED } from './abort.ts';
import type { Clock } from './clock.ts';

/** The answer, or what `late` says once the time is over. */
export async function withDeadline<Result>(answer: Promise<Result>, { ms, clock, late }: { readonly ms: number; readonly clock: Clock; readonly late: () => Result }): Promise<Result> {
  const done = new AbortController();
  const over = clock.sleep(ms, done.signal).then(
    late,
    () => answer, // the answer came first
  );
  try {
    return await Promise.race([answer, over]);
  } finally {
    done.abort(ENDED);
  }
}
