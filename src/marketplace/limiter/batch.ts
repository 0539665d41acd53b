import type { Clock } from '../../platform/clock.ts';

/**
 * Gathers what is to be sent together. The first of a quiet time goes at once, with whatever else comes up in the same turn of the event loop; what follows waits until
 * `everyMs` after the last sending. So a lone question waits for nothing, and many cost few round trips.
 */
export class Batch<T> {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #most: number;
  readonly #send: (items: readonly T[]) => void;
  #items: T[] = [];
  #sentAt = -Infinity;

  /** `send` must not throw. */
  constructor(clock: Clock, { everyMs, most }: { everyMs: number; most: number }, send: (items: readonly T[]) => void) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#most = most;
    this.#send = send;
  }

  add(item: T): void {
    this.#items.push(item);
    if (this.#items.length > 1) return; // the first one has seen to it
    const waitMs = this.#sentAt + this.#everyMs - this.#clock.monotonic();
    if (waitMs <= 0) setImmediate(() => this.#flush());
    else void this.#clock.sleep(waitMs).then(() => this.#flush());
  }

  #flush(): void {
    const items = this.#items;
    this.#items = [];
    this.#sentAt = this.#clock.monotonic();
    for (let from = 0; from < items.length; from += this.#most) this.#send(items.slice(from, from + this.#most));
  }
}
