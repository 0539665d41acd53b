import { LEASE_MS } from './rules.ts';

/** Tokens that were counted at `stamp` (the server's time) and not used. */
export interface LeftOver {
  readonly stamp: number;
  readonly count: number;
}

/**
 * Requests of one seller often come one by one, each worth a round trip of its own. So a question also asks for those to be expected until its tokens are too old: as many as
 * came in the last stretch of that length. What is not used is given back with the next question, as if it had never been taken. Pure; local times are monotonic milliseconds.
 */
export class Ahead {
  #spare = 0;
  #askedAt = -Infinity;
  #stamp = 0;
  /** Requests of the current stretch of LEASE_MS, and of the one before. */
  #stretch = -2;
  #current = 0;
  #previous = 0;

  /** Uses a token that is there already, if one is fresh enough. */
  use(now: number): boolean {
    if (this.#spare === 0 || now - this.#askedAt > LEASE_MS) return false;
    this.#spare -= 1;
    this.note(now, 1);
    return true;
  }

  /** So many requests went out. */
  note(now: number, count: number): void {
    this.#turn(now);
    this.#current += count;
  }

  expected(now: number): number {
    this.#turn(now);
    return Math.max(this.#current, this.#previous);
  }

  /** So many tokens more than were waited for; asked for at `askedAt`. What was kept before must have been taken out. */
  keep(count: number, askedAt: number, stamp: number): void {
    [this.#spare, this.#askedAt, this.#stamp] = [count, askedAt, stamp];
  }

  /** Takes out what is kept, to be given back. */
  leftOver(): LeftOver {
    const left = { stamp: this.#stamp, count: this.#spare };
    this.#spare = 0;
    return left;
  }

  /** Nothing is kept that could be given back within `windowMs`, and nothing is expected. */
  isOver(now: number, windowMs: number): boolean {
    return now - this.#askedAt > (this.#spare > 0 ? windowMs : 2 * LEASE_MS) && this.expected(now) === 0;
  }

  #turn(now: number): void {
    const stretch = Math.floor(now / LEASE_MS);
    if (stretch === this.#stretch) return;
    this.#previous = stretch === this.#stretch + 1 ? this.#current : 0;
    [this.#stretch, this.#current] = [stretch, 0];
  }
}
