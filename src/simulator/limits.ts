import type { Guesses } from './guesses.ts';

/**
 * Rate limits as CardTrader documents them: 200 requests in 10 s over all endpoints, and lower ones for the search and for job
 * status on top. Whether it judges by fixed or by sliding windows is a guess, so by default both judge and either may refuse.
 */
export type Bucket = 'all' | 'marketplace' | 'jobs';
export interface Limit {
  readonly requests: number;
  readonly windowMs: number;
}
export type Limits = Readonly<Record<Bucket, Limit>>;

export interface Refusal {
  /** The documented body's text. */
  readonly text: string;
  /** When the limit would let the next one pass. */
  readonly freeInMs: number;
}

export function documentedLimits(guesses: Guesses): Limits {
  return {
    all: { requests: 200, windowMs: 10_000 },
    marketplace: { requests: guesses.marketplacePerSecond, windowMs: 1_000 },
    jobs: { requests: 1, windowMs: 1_000 },
  };
}

export class Limiter {
  readonly #guesses: Guesses;
  readonly #limits: Limits;
  readonly #windows = new Map<string, Windows>();

  constructor(guesses: Guesses, limits: Limits) {
    this.#guesses = guesses;
    this.#limits = limits;
  }

  /** Counts a request of this seller from this address, or says why not. A request in a bucket of its own counts in `all` too. */
  admit(sellerId: number, ip: string, bucket: Bucket, now: number): Refusal | undefined {
    if (this.#guesses.rateWindow === 'none') return undefined;
    const { limitKey } = this.#guesses;
    const keys = [...(limitKey === 'ip' ? [] : [`seller ${sellerId}`]), ...(limitKey === 'token' ? [] : [`ip ${ip}`])];
    const buckets: Bucket[] = bucket === 'all' ? ['all'] : ['all', bucket];
    const judged = buckets.flatMap((name) => keys.map((key) => ({ name, windows: this.#windowsOf(`${key} ${name}`, this.#limits[name]) })));
    const refusing = judged.find(({ windows }) => windows.freeIn(now) > 0);
    // All or nothing: a request refused by one window has used up nothing of the others, unless refused ones count.
    if (refusing === undefined || this.#guesses.refusedCounts) for (const { windows } of judged) windows.count(now);
    if (refusing === undefined) return undefined;
    return { text: textOf(this.#limits[refusing.name]), freeInMs: refusing.windows.freeIn(now) };
  }

  #windowsOf(key: string, limit: Limit): Windows {
    let windows = this.#windows.get(key);
    if (windows === undefined) this.#windows.set(key, (windows = new Windows(limit, this.#guesses)));
    return windows;
  }
}

/** One key's requests in one bucket, judged by a fixed and a sliding window. */
class Windows {
  readonly #limit: Limit;
  readonly #guesses: Guesses;
  #fixedStart = Number.NEGATIVE_INFINITY;
  #fixedCount = 0;
  /** The last `requests` times, oldest at `#next`: another one fits when that one has left the window. */
  readonly #times: Float64Array;
  #next = 0;

  constructor(limit: Limit, guesses: Guesses) {
    this.#limit = limit;
    this.#guesses = guesses;
    this.#times = new Float64Array(limit.requests).fill(Number.NEGATIVE_INFINITY);
  }

  /** Milliseconds until a request would pass; 0: it passes. A window is [start, start + length): at its end the next begins. */
  freeIn(now: number): number {
    const { requests, windowMs } = this.#limit;
    const { rateWindow } = this.#guesses;
    const start = this.#startAt(now);
    const fixed = start === this.#fixedStart && this.#fixedCount >= requests ? start + windowMs - now : 0;
    const sliding = Math.max(0, (this.#times[this.#next] ?? 0) + windowMs - now);
    if (rateWindow === 'fixed') return fixed;
    return rateWindow === 'sliding' ? sliding : Math.max(fixed, sliding);
  }

  count(now: number): void {
    const start = this.#startAt(now);
    if (start !== this.#fixedStart) [this.#fixedStart, this.#fixedCount] = [start, 0];
    this.#fixedCount += 1;
    this.#times[this.#next] = now;
    this.#next = (this.#next + 1) % this.#times.length;
  }

  #startAt(now: number): number {
    const { windowMs } = this.#limit;
    if (this.#guesses.fixedWindowFrom === 'epoch') return Math.floor(now / windowMs) * windowMs;
    return now < this.#fixedStart + windowMs ? this.#fixedStart : now;
  }
}

function textOf({ requests, windowMs }: Limit): string {
  const seconds = windowMs / 1_000;
  return `Too many requests: max ${requests} request${requests === 1 ? '' : 's'} per ${seconds === 1 ? 'second' : `${seconds} seconds`}`;
}
