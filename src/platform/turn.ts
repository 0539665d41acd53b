import type { Clock } from './clock.ts';

/** After so long without a request sent or answered a place goes to others. */
const PATIENCE_MS = 10_000;

/**
 * One of the few places in which sellers are worked for. A 429 may tell a seller to wait for an hour; whoever only waits for its turn to ask is to keep nobody else out, and
 * what was sent is waited for, or a slow CardTrader would have everything begun again and nothing ended.
 */
export class Turn {
  readonly #clock: Clock;
  readonly #over = new AbortController();
  #since: number;
  /** Requests that are sent and not answered. */
  #out = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.monotonic();
  }

  /** Ends the wait for a turn, not what was sent. */
  get until(): AbortSignal {
    return this.#over.signal;
  }

  get isOver(): boolean {
    return this.#over.signal.aborted;
  }

  /** A request goes out. */
  sent(): void {
    this.#out += 1;
  }

  /** It is answered, or was given up. */
  answered(): void {
    this.#out -= 1;
    this.#since = this.#clock.monotonic();
  }

  /** Somebody else may be waiting for the place. */
  giveWay(): void {
    if (this.#out === 0 && this.#clock.monotonic() - this.#since > PATIENCE_MS) this.end('others are to have a turn');
  }

  end(why: string): void {
    this.#over.abort(new Error(why));
  }
}
