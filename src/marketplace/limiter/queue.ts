import { ENDED, onAbort } from '../../platform/abort.ts';
import type { Clock } from '../../platform/clock.ts';
import { BUCKETS, type Bucket } from '../buckets.ts';
import { Ahead } from './ahead.ts';

interface Waiter {
  /** Its place among all of the seller's requests, whatever the bucket. */
  readonly place: number;
  readonly since: number;
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
  forget: () => void;
}

/** The requests of one seller that wait, in order, bucket by bucket; the one sleep they share; and what was taken ahead for them. */
export class Queue {
  readonly ahead = new Ahead();
  /** A loop is at work on it. */
  served = false;
  readonly #lanes: Readonly<Record<Bucket, { waiters: Set<Waiter>; blockedUntil: number }>>;
  #size = 0;
  #places = 0;
  /** Ends the sleep; undefined while nobody sleeps. */
  #endSleep: (() => void) | undefined;
  /** Since the last sleep: woken for good reason, or somebody new came. Also between two sleeps, or the next would begin too late to be woken. */
  #woken = false;
  #newcomer = false;
  /** All of the seller waits: somebody new need not wake the sleep. */
  #allBlocked = false;

  constructor() {
    this.#lanes = Object.fromEntries(BUCKETS.map((bucket) => [bucket, { waiters: new Set(), blockedUntil: -Infinity }])) as unknown as Record<Bucket, { waiters: Set<Waiter>; blockedUntil: number }>;
  }

  get size(): number {
    return this.#size;
  }

  count(bucket: Bucket): number {
    return this.#lanes[bucket].waiters.size;
  }

  /** Buckets somebody waits for; first the one whose first request came first. */
  buckets(): Bucket[] {
    const heads = BUCKETS.flatMap((bucket) => {
      const [head] = this.#lanes[bucket].waiters;
      return head === undefined ? [] : [{ bucket, place: head.place }];
    });
    return heads.sort((a, b) => a.place - b.place).map(({ bucket }) => bucket);
  }

  add(bucket: Bucket, since: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#places += 1;
      const waiter: Waiter = { place: this.#places, since, resolve, reject, forget: () => undefined };
      this.#lanes[bucket].waiters.add(waiter);
      this.#size += 1;
      if (signal !== undefined) {
        waiter.forget = onAbort(signal, () => {
          if (!this.#lanes[bucket].waiters.delete(waiter)) return;
          this.#size -= 1;
          reject(signal.reason as Error);
          if (this.#size === 0) this.wake();
        });
      }
      this.#newcomer = true;
      if (!this.#allBlocked) this.#endSleep?.();
    });
  }

  /** Lets the first `count` go; answers since when each had waited. */
  release(bucket: Bucket, count: number): number[] {
    const { waiters } = this.#lanes[bucket];
    const released: number[] = [];
    for (const waiter of waiters) {
      if (released.length === count) break;
      waiters.delete(waiter);
      this.#size -= 1;
      waiter.forget();
      waiter.resolve();
      released.push(waiter.since);
    }
    return released;
  }

  rejectAll(reason: Error): void {
    for (const { waiters } of Object.values(this.#lanes)) {
      for (const waiter of waiters) {
        waiter.forget();
        waiter.reject(reason);
      }
      waiters.clear();
    }
    this.#size = 0;
    this.wake();
  }

  blockedUntil(bucket: Bucket): number {
    return this.#lanes[bucket].blockedUntil;
  }

  block(bucket: Bucket, until: number): void {
    this.#lanes[bucket].blockedUntil = until;
  }

  /** All of the seller waits for so long; passes it on. */
  blocked(ms: number): number {
    this.#allBlocked = true;
    return ms;
  }

  /** Sleeps for `ms`, or until it is woken. */
  async rest(clock: Clock, ms: number): Promise<void> {
    if (this.#size > 0 && !this.#woken && (this.#allBlocked || !this.#newcomer)) {
      const ended = new AbortController();
      this.#endSleep = () => ended.abort(ENDED);
      await clock.sleep(ms, ended.signal).catch(() => undefined); // woken: that is the point
      this.#endSleep = undefined;
    }
    this.#woken = this.#newcomer = this.#allBlocked = false;
  }

  wake(): void {
    this.#woken = true;
    this.#endSleep?.();
  }
}
