/** What may be taken now, and when there will be more (0: everything wanted was granted). */
export interface Grant {
  readonly granted: number;
  readonly waitMs: number;
}

/**
 * An exact sliding window: every token taken is remembered until it is older than the window. Then no window of that length, wherever it
 * begins, holds more than the limit; and after a rest the whole limit is there at once. Pure; the Lua script does the same.
 */
export class SlidingWindow {
  readonly #windowMs: number;
  #entries: { at: number; count: number }[] = [];
  #used = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  used(now: number): number {
    let expired = 0;
    for (const { at, count } of this.#entries) {
      if (at + this.#windowMs >= now) break;
      expired += 1;
      this.#used -= count;
    }
    if (expired > 0) this.#entries.splice(0, expired);
    return this.#used;
  }

  /** When the last token was taken, if it still counts. */
  lastAt(now: number): number | undefined {
    return this.used(now) === 0 ? undefined : this.#entries.at(-1)?.at;
  }

  take(now: number, count: number): void {
    if (count === 0) return;
    this.#entries.push({ at: now, count });
    this.#used += count;
  }

  /**
   * Milliseconds until `wanted` more fit under `limit`, 0 if they do now. Rather than waiting for all of them it ends with the last that
   * comes free within `patienceMs` of the first.
   */
  waitFor(now: number, wanted: number, limit: number, patienceMs: number): number {
    const over = this.used(now) + wanted - limit;
    if (over <= 0) return 0;
    const needed = Math.max(1, this.#used + 1 - limit); // must expire before a single one is free
    let [freed, first, last] = [0, 0, 0];
    for (const { at, count } of this.#entries) {
      const waitMs = at + this.#windowMs + 1 - now;
      freed += count;
      if (freed < needed) continue;
      if (first === 0) first = waitMs;
      else if (waitMs > first + patienceMs) break;
      last = waitMs;
      if (freed >= over) break;
    }
    return last;
  }
}
