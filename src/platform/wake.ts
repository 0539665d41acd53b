import { ENDED } from './abort.ts';
import type { Clock } from './clock.ts';

/**
 * Something to wait for in a loop that polls: it sleeps until the time is up or somebody says that there is work. What is said
 * while nobody waits is not lost: the next wait returns at once.
 */
export class Wake {
  readonly #clock: Clock;
  #woken = false;
  #waiting: AbortController | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wake(): void {
    this.#woken = true;
    this.#waiting?.abort(ENDED);
  }

  /** A look for work begins: it sees what was announced until now, and nobody has to look again for that. */
  looking(): void {
    this.#woken = false;
  }

  /** Resolves after `ms`, or once woken; true if woken. Resolves early (false) when `signal` is aborted: the loop looks at it anyway. */
  async wait(ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#woken && !signal.aborted) {
      const waiting = new AbortController();
      const stop = (): void => waiting.abort(ENDED);
      // By hand: AbortSignal.any on a signal that lives as long as the process keeps every signal it made.
      signal.addEventListener('abort', stop);
      this.#waiting = waiting;
      await this.#clock.sleep(ms, waiting.signal).catch(() => undefined); // woken early: that is the point
      this.#waiting = undefined;
      signal.removeEventListener('abort', stop);
    }
    const woken = this.#woken;
    this.#woken = false;
    return woken;
  }
}
