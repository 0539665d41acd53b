import { BrxError, messageOf } from '../../errors.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/log.ts';
import type { Redis } from '../../platform/redis/index.ts';
import { BUCKETS, type Bucket } from '../buckets.ts';
import { LocalSource } from './local.ts';
import { comeBack, fallBack, SHARED, type Mode } from './mode.ts';
import { Queue } from './queue.ts';
import { LEASE_TOKENS, type LimiterConfig } from './rules.ts';
import { SharedSource } from './shared.ts';
import { busiestFirst, type Lease, type SellerView, type View } from './source.ts';

/** What the limiter tells; for metrics. */
export interface LimiterObserver {
  /** A request was allowed after so long. */
  readonly waited?: (bucket: Bucket, ms: number) => void;
  /** Tokens are counted by all processes together (`shared`), or by this one alone (`local`). */
  readonly mode?: (source: Mode['source']) => void;
  /** CardTrader answered 429. */
  readonly throttled?: (bucket: Bucket) => void;
  /** Tokens that came too late to be used. */
  readonly lost?: (tokens: number) => void;
}

export interface LimiterDeps {
  /** Undefined: this process counts alone. */
  readonly redis: Redis | undefined;
  readonly config: LimiterConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer?: LimiterObserver;
}

export interface Inspection {
  readonly source: Mode['source'];
  readonly buckets: Readonly<Record<Bucket, View>>;
}

/** Sellers with the most use of their limit. */
export interface Busiest {
  readonly source: Mode['source'];
  /** Nothing is given to anyone for so long. */
  readonly silentMs: number;
  readonly sellers: readonly SellerView[];
  /** How many took tokens lately; those that did last are looked at. */
  readonly active: number;
}

/** Sellers that are looked at for the busiest ones, in questions of a millisecond. */
const MOST_LOOKED_AT = 500;
/** While the first connection is being made nobody falls back; this long. */
const CONNECT_GRACE_MS = 2_000;
const CONNECT_POLL_MS = 20;
/** How often Redis is asked whether it is there, also while nobody wants a token (mode.ts says why); and how often while it is not. */
const HEARTBEAT_MS = 1_000;
const PROBE_MS = 250;
const NOTHING: Lease = { granted: 0, waitMs: 0, lost: 0, ownBucketOnly: false, askedAt: 0, stamp: 0 };

const NONE_LEFT = { stamp: 0, count: 0 };

/**
 * Never more requests of a seller in any window than CardTrader allows, over all processes. `take` resolves when a request may be sent, in the order
 * in which it was asked, each seller for itself. One loop a seller that waits, one connection for all, no timer for a single request.
 */
export class RateLimiter {
  readonly #deps: LimiterDeps;
  readonly #shared: SharedSource | undefined;
  readonly #local: LocalSource;
  readonly #windowMs: number;
  readonly #begun: number;
  readonly #queues = new Map<string, Queue>();
  readonly #stop = new AbortController();
  #mode: Mode;
  /** When the last question was asked that Redis answered. */
  #heardAt: number;

  constructor(deps: LimiterDeps) {
    const { redis, config, clock } = deps;
    this.#deps = deps;
    this.#windowMs = config.windowMs + config.marginMs;
    this.#begun = clock.monotonic();
    this.#local = new LocalSource(config);
    this.#shared = redis === undefined ? undefined : new SharedSource(redis, config, clock);
    this.#heardAt = -Infinity;
    this.#mode = redis === undefined ? fallBack(this.#begun, this.#windowMs) : SHARED;
    if (this.#shared === undefined) this.#tellLocal('BRX_REDIS_URL is not set');
    else void this.#watch(this.#shared);
  }

  /** Where tokens are counted now. */
  get source(): Mode['source'] {
    return this.#mode.source;
  }

  /** Sellers and requests that wait. */
  get waiting(): { sellers: number; requests: number } {
    const sizes = [...this.#queues.values()].flatMap(({ size }) => (size > 0 ? [size] : []));
    return { sellers: sizes.length, requests: sizes.reduce((sum, size) => sum + size, 0) };
  }

  /** Resolves when a request of this seller may be sent, at once. Rejects with the signal's reason, or once the limiter is closed. */
  take(userId: string, { bucket = 'all', signal }: { bucket?: Bucket; signal?: AbortSignal } = {}): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    if (this.#stop.signal.aborted) return Promise.reject(this.#stop.signal.reason as Error);
    let queue = this.#queues.get(userId);
    if (queue === undefined) this.#queues.set(userId, (queue = new Queue()));
    const now = this.#deps.clock.monotonic();
    if (bucket === 'all' && queue.count('all') === 0 && queue.ahead.use(now)) {
      this.#deps.observer?.waited?.(bucket, 0);
      return Promise.resolve();
    }
    const taken = queue.add(bucket, now, signal);
    if (!queue.served) void this.#serve(userId, queue);
    return taken;
  }

  /** CardTrader answered 429: this seller pauses, and goes on with a lower limit that comes back by steps. */
  async throttled(userId: string, { bucket = 'all', retryAfterMs = null }: { bucket?: Bucket; retryAfterMs?: number | null } = {}): Promise<void> {
    this.#deps.observer?.throttled?.(bucket);
    this.#queues.get(userId)?.ahead.leftOver(); // what was taken ahead would be turned away too
    const mode = this.#mode;
    if (mode.source === 'shared' && this.#shared !== undefined) {
      try {
        return await this.#shared.throttled(userId, bucket, retryAfterMs);
      } catch (error) {
        this.#failed(error, mode);
      }
    }
    this.#local.throttled(userId, bucket, retryAfterMs, this.#deps.clock.monotonic());
  }

  /** For people. Rejects with BRX_REDIS_UNAVAILABLE when Redis goes away meanwhile. */
  async inspect(userId: string): Promise<Inspection> {
    const { source, silentUntil } = this.#mode;
    const now = this.#deps.clock.monotonic();
    const silentMs = Math.max(0, Math.ceil(silentUntil - now));
    const view = async (bucket: Bucket): Promise<[Bucket, View]> => {
      if (source === 'local' || this.#shared === undefined) return [bucket, { ...this.#local.inspect(userId, bucket, now), silentMs }];
      const shared = await this.#shared.inspect(userId, bucket);
      return [bucket, { ...shared, silentMs: Math.max(shared.silentMs, silentMs) }];
    };
    return { source, buckets: Object.fromEntries(await Promise.all(BUCKETS.map(view))) as Record<Bucket, View> };
  }

  /** For people: the busiest sellers, those in a pause first. Rejects with BRX_REDIS_UNAVAILABLE when Redis goes away meanwhile. */
  async busiest(most: number): Promise<Busiest> {
    const { source, silentUntil } = this.#mode;
    const now = this.#deps.clock.monotonic();
    const silentMs = Math.max(0, Math.ceil(silentUntil - now));
    const local = (): { active: number; silentMs: number; sellers: SellerView[] } => {
      const { active, sellers } = this.#local.lately(MOST_LOOKED_AT, now);
      return { active, silentMs, sellers: sellers.map((seller) => ({ ...seller, silentMs })) };
    };
    const found = source === 'local' || this.#shared === undefined ? local() : await this.#shared.lately(MOST_LOOKED_AT);
    return { source, silentMs: Math.max(silentMs, found.silentMs), sellers: busiestFirst(found.sellers).slice(0, most), active: found.active };
  }

  /** Whoever waits is turned away. Tokens are not given back: they may have been used. */
  close(): void {
    this.#stop.abort(new BrxError('BRX_REFUSED', 'the rate limiter is closed'));
    for (const queue of this.#queues.values()) queue.rejectAll(this.#stop.signal.reason as Error);
  }

  async #serve(userId: string, queue: Queue): Promise<void> {
    queue.served = true;
    try {
      while (queue.size > 0) {
        const waitMs = await this.#round(userId, queue);
        if (waitMs > 0) await queue.rest(this.#deps.clock, waitMs);
      }
    } catch (error) {
      queue.rejectAll(error as Error); // not the network, or #ask would have dealt with it: whoever waits shall know
    } finally {
      queue.served = false; // in the same turn in which its size was found to be 0, so nobody has joined it
      this.#forget(userId, queue);
    }
  }

  #forget(userId: string, queue: Queue): void {
    if (!queue.served && queue.size === 0 && queue.ahead.isOver(this.#deps.clock.monotonic(), this.#windowMs)) this.#queues.delete(userId);
  }

  /** Asks once for each bucket that may have tokens, longest wait first; answers how long to rest, 0 to go on at once. */
  async #round(userId: string, queue: Queue): Promise<number> {
    const { clock, observer } = this.#deps;
    let rest = Infinity;
    for (const bucket of queue.buckets()) {
      const now = clock.monotonic();
      const silent = this.#mode.silentUntil - now;
      if (silent > 0) return queue.blocked(silent);
      const blockedFor = queue.blockedUntil(bucket) - now;
      if (blockedFor > 0) {
        rest = Math.min(rest, blockedFor);
        continue;
      }
      if (queue.count(bucket) === 0) continue;
      const lease = await this.#ask(userId, bucket, queue);
      const then = clock.monotonic();
      if (lease.lost > 0) observer?.lost?.(lease.lost);
      const released = queue.release(bucket, lease.granted);
      for (const since of released) observer?.waited?.(bucket, then - since);
      if (bucket === 'all' && this.#mode.source === 'shared') {
        queue.ahead.note(then, released.length);
        const left = lease.granted - released.length + lease.lost; // what came late is too old to be used, and goes back with the next question
        if (left > 0) queue.ahead.keep(left, lease.askedAt, lease.stamp);
      }
      if (queue.count(bucket) === 0) continue;
      if (lease.waitMs === 0) return 0;
      // Requests that wait for all of the seller's tokens come first: the younger ones of another bucket would take them away.
      if (!lease.ownBucketOnly) return queue.blocked(lease.waitMs);
      queue.block(bucket, then + lease.waitMs);
      rest = Math.min(rest, lease.waitMs);
    }
    return rest === Infinity ? 0 : rest;
  }

  async #ask(userId: string, bucket: Bucket, queue: Queue): Promise<Lease> {
    const { clock } = this.#deps;
    const mode = this.#mode;
    const waiting = Math.min(queue.count(bucket), LEASE_TOKENS);
    if (mode.source === 'local' || this.#shared === undefined) return this.#local.take(userId, bucket, waiting, clock.monotonic());
    if (this.#shared.connecting && clock.monotonic() - this.#begun < CONNECT_GRACE_MS) return { ...NOTHING, waitMs: CONNECT_POLL_MS };
    const asked = clock.monotonic();
    try {
      const ahead = bucket === 'all';
      const wanted = ahead ? Math.min(Math.max(waiting, queue.ahead.expected(asked)), LEASE_TOKENS) : waiting;
      const lease = await this.#shared.take(userId, bucket, wanted, ahead ? queue.ahead.leftOver() : NONE_LEFT);
      // Another seller's question failed meanwhile: from then on nothing is given, or the silence would not be one.
      if (mode !== this.#mode) return { ...NOTHING, lost: lease.granted };
      this.#heardAt = asked;
      return lease;
    } catch (error) {
      this.#failed(error, mode);
      return NOTHING;
    }
  }

  /** `mode` is that in which the question was asked: of many that fail together the first one changes it. */
  #failed(error: unknown, mode: Mode): void {
    if (!(error instanceof BrxError && error.code === 'BRX_REDIS_UNAVAILABLE')) throw error;
    if (mode !== this.#mode || mode.source === 'local' || this.#stop.signal.aborted) return;
    this.#change(fallBack(this.#deps.clock.monotonic(), this.#windowMs));
    this.#tellLocal(messageOf(error));
  }

  #tellLocal(problem: string): void {
    const { logger, observer, config } = this.#deps;
    logger.warn({ problem, share: config.fallbackShare }, 'the rate limit is counted by this process alone, at a share of it, after a window of silence');
    observer?.mode?.('local');
  }

  /** Asks Redis now and then whether it is there: to notice early that it is not, and, once it is away, that it is back. */
  async #watch(shared: SharedSource): Promise<void> {
    const { clock } = this.#deps;
    for (;;) {
      await clock.sleep(this.#mode.source === 'shared' ? HEARTBEAT_MS : PROBE_MS, this.#stop.signal).catch(() => undefined); // closing
      if (this.#stop.signal.aborted) return;
      for (const [userId, queue] of this.#queues) this.#forget(userId, queue);
      const asked = clock.monotonic();
      try {
        if (!(await shared.answers())) continue;
        if (this.#mode.source === 'local') await this.#comeBack(shared);
        this.#heardAt = asked;
        await shared.note();
      } catch (error) {
        if (!shared.connecting) this.#failed(error, this.#mode);
      }
    }
  }

  async #comeBack(shared: SharedSource): Promise<void> {
    const { clock, logger, observer } = this.#deps;
    const now = clock.monotonic();
    this.#change(comeBack(this.#heardAt, now, this.#windowMs));
    logger.info('the rate limit is counted by all processes together again');
    observer?.mode?.('shared');
    // Other processes may already count in Redis, which does not know what was taken here: those sellers rest until that counts no more, or their 429 is over.
    for (const { userId, agoMs, pausedMs } of this.#local.recent(now)) await shared.pause(userId, Math.max(this.#windowMs - agoMs, pausedMs));
    this.#local.clear();
  }

  #change(mode: Mode): void {
    this.#mode = mode;
    for (const queue of this.#queues.values()) {
      queue.ahead.leftOver(); // what was taken ahead belongs to the time before
      queue.wake();
    }
  }
}
