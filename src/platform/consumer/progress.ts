import type { Clock } from '../clock.ts';

/**
 * Whether the consumer's loop moves: not "connected", which a dead consumer is too (kafkajs issue 1010), but "something was
 * finished lately". A loop without work beats; a loop at work must get on with each batch.
 */
export class Progress {
  readonly #clock: Clock;
  readonly #tasks = new Set<{ since: number }>();
  #lastBeat: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastBeat = clock.monotonic();
  }

  /** The loop fetched or sent a heartbeat. */
  beat(): void {
    this.#lastBeat = this.#clock.monotonic();
  }

  /** A batch has begun; `step` when part of it is done. */
  begin(): { step: () => void; end: () => void } {
    const task = { since: this.#clock.monotonic() };
    this.#tasks.add(task);
    return {
      step: () => {
        task.since = this.#clock.monotonic();
      },
      end: () => {
        this.#tasks.delete(task);
        this.beat();
      },
    };
  }

  /** Something was tried to its end, if in vain, and the next try is a smaller one: none of the batches at work stands still, those that wait for it included. */
  tried(): void {
    for (const task of this.#tasks) task.since = this.#clock.monotonic();
  }

  /** Milliseconds since the loop last moved: since its beat, or since the slowest batch at work last got on, if that is longer. */
  stillFor(): number {
    const now = this.#clock.monotonic();
    return Math.max(this.#tasks.size === 0 ? now - this.#lastBeat : 0, ...[...this.#tasks].map((task) => now - task.since));
  }
}
