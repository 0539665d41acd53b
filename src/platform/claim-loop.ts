import { BrxError, messageOf } from '../errors.ts';
import { retryMs } from './backoff.ts';
import type { Clock } from './clock.ts';
import { DatabaseFailure, toBrxError } from './postgres/index.ts';
import type { Wake } from './wake.ts';

/** Whether waiting can mend it, and then told: the database is away or busy, or whoever threw it says so. */
export function isPassing(error: unknown, onWaiting: (error: string) => void): boolean {
  const passing = error instanceof DatabaseFailure ? error.kind === 'unavailable' || error.kind === 'timeout' || error.kind === 'conflict' : error instanceof BrxError && error.retryable;
  if (passing) onWaiting(messageOf(error));
  return passing;
}

/** What to end the process with. */
export function fatalError(error: unknown, name: string): BrxError {
  const known = error instanceof DatabaseFailure ? toBrxError(error) : error;
  return known instanceof BrxError ? known : new BrxError('BRX_INTERNAL', `${name}: ${messageOf(error)}`, { cause: error });
}

export interface ClaimLoop {
  readonly clock: Clock;
  readonly wake: Wake;
  readonly signal: AbortSignal;
  /** Wait after a look that found nothing, ms; doubled each time up to the last. */
  readonly firstWaitMs: number;
  readonly lastWaitMs: number;
  /** How many more may be taken on now. */
  readonly free: () => number;
  /** Takes on up to `most` of what is due; answers how many. */
  readonly claim: (most: number) => Promise<number>;
  readonly onWaiting: (error: string) => void;
}

/**
 * Claims what is due as long as there is room: at once again where there was more, else when woken or after a while. What waiting can mend
 * is waited for; everything else is thrown. Ends with the signal.
 */
export async function claimUntilStopped({ clock, wake, signal, firstWaitMs, lastWaitMs, free, claim, onWaiting }: ClaimLoop): Promise<void> {
  let wait = firstWaitMs;
  for (let failures = 0; !signal.aborted; ) {
    wake.looking();
    const most = free();
    try {
      const claimed = await claim(most);
      failures = 0;
      if (claimed > 0) wait = firstWaitMs;
      if (claimed > 0 && claimed === most) continue;
      wait = (await wake.wait(wait, signal)) ? firstWaitMs : Math.min(lastWaitMs, wait * 2);
    } catch (error) {
      if (!isPassing(error, onWaiting)) throw error;
      failures += 1;
      await clock.sleep(retryMs(failures, clock), signal).catch(() => undefined); // stopping
    }
  }
}
