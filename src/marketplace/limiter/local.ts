import type { Bucket } from '../buckets.ts';
import { isOver, limitAt, throttled, type Throttle } from './adaptive.ts';
import { PATIENCE_MS, rulesFor, shareOf, type LimiterConfig, type Rule } from './rules.ts';
import type { Lease, SellerView, View } from './source.ts';
import { SlidingWindow } from './window.ts';

interface BucketState {
  readonly window: SlidingWindow;
  throttle: Throttle | undefined;
}

/** Forget who is idle after so many takes: then the map holds who was active lately. */
const SWEEP_EVERY = 1_000;

/**
 * Tokens counted by this process alone, at a share of each limit. Pure but for its memory; times are monotonic milliseconds.
 *
 * The share is safe while at most 1/share processes talk for one seller at the same time. A seller is leased to one dispatcher at a time, so two do
 * only in a hand-over, or when somebody uses the command line beside it: hence 0.5.
 */
export class LocalSource {
  readonly #config: LimiterConfig;
  readonly #sellers = new Map<string, Map<Bucket, BucketState>>();
  #takes = 0;

  constructor(config: LimiterConfig) {
    this.#config = config;
  }

  take(userId: string, bucket: Bucket, wanted: number, now: number): Lease {
    this.#takes += 1;
    if (this.#takes % SWEEP_EVERY === 0) this.#sweep(now);
    const buckets = this.#rules(bucket).map((rule) => ({ rule, state: this.#state(userId, rule) }));
    let granted = wanted;
    for (const { rule, state } of buckets) granted = Math.min(granted, pauseOf(state, now) > 0 ? 0 : Math.max(0, this.#limit(rule, state, now) - state.window.used(now)));
    let [waitMs, ownBucketOnly] = [0, false];
    for (const [place, { rule, state }] of buckets.entries()) {
      state.window.take(now, granted);
      if (granted === wanted) continue;
      const pause = pauseOf(state, now);
      const wait = pause > 0 ? pause : state.window.waitFor(now, wanted - granted, this.#limit(rule, state, now), PATIENCE_MS);
      if (wait > waitMs) [waitMs, ownBucketOnly] = [wait, place > 0];
    }
    return { granted, waitMs, lost: 0, ownBucketOnly, askedAt: now, stamp: now };
  }

  throttled(userId: string, bucket: Bucket, retryAfterMs: number | null, now: number): void {
    const rule = this.#rules(bucket).at(-1);
    if (rule === undefined) return;
    const state = this.#state(userId, rule);
    state.throttle = throttled(state.throttle, rule.limit, now, this.#config.windowMs, retryAfterMs);
  }

  inspect(userId: string, bucket: Bucket, now: number): Omit<View, 'silentMs'> {
    const rule = this.#rules(bucket).at(-1);
    const state = rule === undefined ? undefined : this.#sellers.get(userId)?.get(rule.bucket);
    const full = rule?.limit ?? 0;
    if (rule === undefined || state === undefined) return { full, limit: full, used: 0, pausedMs: 0 };
    return { full, limit: this.#limit(rule, state, now), used: state.window.used(now), pausedMs: pauseOf(state, now) };
  }

  /** Sellers whose tokens may still count at CardTrader, each with how long ago the last one was taken, and those that are in a pause after a 429. */
  recent(now: number): { userId: string; agoMs: number; pausedMs: number }[] {
    return [...this.#sellers].flatMap(([userId, buckets]) => {
      const all = buckets.get('all');
      if (all === undefined) return [];
      const [at = -Infinity, pausedMs] = [all.window.lastAt(now), pauseOf(all, now)];
      return at === -Infinity && pausedMs === 0 ? [] : [{ userId, agoMs: now - at, pausedMs }];
    });
  }

  /** Sellers that took tokens lately, at most so many, and how many there are. */
  lately(most: number, now: number): { active: number; sellers: Omit<SellerView, 'silentMs'>[] } {
    return { active: this.#sellers.size, sellers: [...this.#sellers.keys()].slice(-most).map((userId) => ({ userId, ...this.inspect(userId, 'all', now) })) };
  }

  get size(): number {
    return this.#sellers.size;
  }

  clear(): void {
    this.#sellers.clear();
  }

  #rules(bucket: Bucket): Rule[] {
    return rulesFor(this.#config, bucket).map((rule) => shareOf(rule, this.#config.fallbackShare));
  }

  #limit(rule: Rule, { throttle }: BucketState, now: number): number {
    return limitAt(throttle, rule.limit, now, this.#config.windowMs);
  }

  #state(userId: string, rule: Rule): BucketState {
    let buckets = this.#sellers.get(userId);
    if (buckets === undefined) this.#sellers.set(userId, (buckets = new Map<Bucket, BucketState>()));
    let state = buckets.get(rule.bucket);
    if (state === undefined) buckets.set(rule.bucket, (state = { window: new SlidingWindow(rule.windowMs), throttle: undefined }));
    return state;
  }

  #sweep(now: number): void {
    for (const [userId, buckets] of this.#sellers) {
      for (const [bucket, { window, throttle }] of buckets) {
        const rule = this.#rules(bucket).at(-1);
        const over = throttle === undefined || (rule !== undefined && isOver(throttle, rule.limit, now, this.#config.windowMs));
        if (over && window.used(now) === 0) buckets.delete(bucket);
      }
      if (buckets.size === 0) this.#sellers.delete(userId);
    }
  }
}

const pauseOf = ({ throttle }: BucketState, now: number): number => Math.max(0, (throttle?.pausedUntil ?? now) - now);
