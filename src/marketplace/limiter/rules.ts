import type { Bucket } from '../buckets.ts';

/** How one bucket of a seller is limited. Pure. */
export interface Rule {
  readonly bucket: Bucket;
  /** Most requests in a window, when nothing was throttled. */
  readonly limit: number;
  /** Ours: CardTrader's window and the margin. */
  readonly windowMs: number;
}

export interface LimiterConfig {
  /** What CardTrader allows over all endpoints. */
  readonly requests: number;
  readonly windowMs: number;
  /**
   * Our windows are longer by so much. A token counted here at t reaches CardTrader between t and t + margin, or else 201 may arrive
   * in one of its windows: 100 ms for the lease (LEASE_MS), 50 ms for a connection (transport.ts), the rest for the network.
   */
  readonly marginMs: number;
  /** Of each limit, for one process by itself. */
  readonly fallbackShare: number;
}

/** A token older than this is not used any more: its request would come too late. */
export const LEASE_MS = 100;
/** Most tokens of one call: enough that a call costs nothing a token, few enough that several processes share a seller. */
export const LEASE_TOKENS = 10;
/** Whoever waits for several tokens waits so much longer for those that come soon after the first. */
export const PATIENCE_MS = 50;

/** CardTrader's limits for single endpoints (cardtrader.md section 2). */
const SPECIAL: Readonly<Record<Exclude<Bucket, 'all'>, { limit: number; windowMs: number; marginMs?: number }>> = {
  search: { limit: 10, windowMs: 1_000 },
  // Whoever looks at jobs asks a second after the answer to the look before (looks.ts), so what happens on the way cannot bring two together.
  jobs: { limit: 1, windowMs: 1_000, marginMs: 20 },
};

/** What a request of `bucket` counts in: all of them at once, or none. */
export function rulesFor(config: LimiterConfig, bucket: Bucket): readonly Rule[] {
  const all: Rule = { bucket: 'all', limit: config.requests, windowMs: config.windowMs + config.marginMs };
  if (bucket === 'all') return [all];
  const { limit, windowMs, marginMs = config.marginMs } = SPECIAL[bucket];
  return [all, { bucket, limit: Math.min(limit, config.requests), windowMs: windowMs + Math.min(marginMs, config.marginMs) }];
}

/** The same for a process that counts by itself. A share of less than one request becomes one request in a longer window. */
export function shareOf(rule: Rule, share: number): Rule {
  const part = rule.limit * share;
  return part >= 1 ? { ...rule, limit: Math.floor(part) } : { ...rule, limit: 1, windowMs: Math.ceil(rule.windowMs / part) };
}
