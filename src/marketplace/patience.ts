import type { Clock } from '../platform/clock.ts';
import type { Outcome } from './client/index.ts';
import type { RateLimiter } from './limiter/index.ts';

const TRIES = 20;
const BUSY_PAUSE_MS = 50;

/** Tells the limiter of a 429, which slows that seller down; every other answer is none of its business. */
export async function slowDown(limiter: Pick<RateLimiter, 'throttled'>, userId: string, outcome: Outcome<unknown>): Promise<void> {
  if (outcome.outcome === 'throttled' && outcome.reason === 'rate_limited') await limiter.throttled(userId, { bucket: outcome.scope ?? 'all', retryAfterMs: outcome.retryAfterMs });
}

export interface Patience {
  readonly clock: Clock;
  /** Told of every answer. */
  readonly heard: (outcome: Outcome<unknown>) => Promise<void>;
  readonly mayGoOn: () => boolean;
}

/** A read has no effect, so where CardTrader wants patience it is simply asked again; the limiter does the waiting. */
export async function askPatiently<T>({ clock, heard, mayGoOn }: Patience, ask: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
  for (let tries = 1; ; tries += 1) {
    const outcome = await ask();
    await heard(outcome);
    if (outcome.outcome !== 'throttled' || tries === TRIES || !mayGoOn()) return outcome;
    if (outcome.reason === 'busy') await clock.sleep(BUSY_PAUSE_MS * (0.5 + clock.random()));
    else if (outcome.reason !== 'rate_limited') return outcome;
  }
}
