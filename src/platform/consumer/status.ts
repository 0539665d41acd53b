/**
 * What a partition's committed offset says about its consumer over a window, by the rules of Burrow: no threshold anybody must choose. Pure.
 *
 *   ok      caught up at some moment of the window, or behind and catching up, or not watched for long enough to tell
 *   warn    behind all the time, and never less than the moment before
 *   stop    behind all the time, nothing was committed, and nobody owns it
 *   stall   behind all the time, and nothing was committed, although somebody owns it
 *   rewind  stands before an offset it had committed already, and has not come back to it
 *   replay  the same, on purpose
 *
 * Burrow knows STOP by commits that cease to come. Offsets that are asked for carry no time of their commit; whether there is an owner tells the same two cases apart.
 */
export const CONSUMER_STATUSES = ['ok', 'warn', 'stop', 'stall', 'rewind', 'replay'] as const;
export type ConsumerStatus = (typeof CONSUMER_STATUSES)[number];

/** Long enough that a rebalance or a slow chunk is over. */
export const STATUS_WINDOW_MS = 120_000;

export class PartitionStatus {
  readonly #windowMs: number;
  #samples: { readonly at: number; readonly committed: bigint; readonly lag: bigint; readonly owned: boolean }[] = [];
  #furthest: bigint | undefined;

  constructor(windowMs = STATUS_WINDOW_MS) {
    this.#windowMs = windowMs;
  }

  /** What the broker says at `at` (monotonic milliseconds): where the group stands, where the partition ends, and whether somebody owns it. */
  sample(at: number, committed: bigint, end: bigint, owned = true): void {
    const lag = end > committed ? end - committed : 0n;
    this.#samples.push({ at, committed, lag, owned });
    // The newest sample that is a window old stays: it is where the window begins.
    const begin = this.#samples.findLastIndex((sample) => at - sample.at >= this.#windowMs);
    if (begin > 0) this.#samples.splice(0, begin);
    if (this.#furthest === undefined || committed > this.#furthest) this.#furthest = committed;
  }

  /** Records it is further behind than when the window began; below 0: it has caught up so many. */
  get trend(): number {
    return Number((this.#samples.at(-1)?.lag ?? 0n) - (this.#samples[0]?.lag ?? 0n));
  }

  /** Whether it was watched for a whole window: until then `ok` may only mean that nobody knows better. */
  get isFull(): boolean {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    return first !== undefined && last !== undefined && last.at - first.at >= this.#windowMs;
  }

  /** `replaying`: somebody has set it back, here or before this instance came. A replay that does not get on is a stall like any other. */
  read({ replaying = false }: { readonly replaying?: boolean } = {}): ConsumerStatus {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined) return 'ok';
    if (!replaying && last.lag > 0n && this.#furthest !== undefined && last.committed < this.#furthest) return 'rewind';
    const getsOn = replaying && last.lag > 0n ? 'replay' : 'ok';
    if (!this.isFull || this.#samples.some(({ lag }) => lag === 0n)) return getsOn;
    if (this.#samples.every(({ committed }) => committed === first.committed)) return this.#samples.some(({ owned }) => owned) ? 'stall' : 'stop';
    if (getsOn === 'replay') return getsOn;
    return this.#samples.every(({ lag }, index) => index === 0 || lag >= (this.#samples[index - 1]?.lag ?? 0n)) ? 'warn' : 'ok';
  }
}
