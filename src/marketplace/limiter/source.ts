/** What a source of tokens answers to "so many for this seller, if you please". */
export interface Lease {
  /** To be used now. */
  readonly granted: number;
  /** Until it is worth asking for the rest; 0: at once. */
  readonly waitMs: number;
  /** Granted, but too late to be used. */
  readonly lost: number;
  /** The wait is for the special bucket only; other requests of the seller need not wait. */
  readonly ownBucketOnly: boolean;
  /** When it was asked for, here (monotonic), and counted, there (the server's time). */
  readonly askedAt: number;
  readonly stamp: number;
}

/** A bucket of a seller, for people. */
export interface View {
  readonly full: number;
  /** Lower after a 429. */
  readonly limit: number;
  readonly used: number;
  readonly pausedMs: number;
  /** Nothing is given to anyone, because what was used before is not known. */
  readonly silentMs: number;
}

/** A seller whose tokens are counted, for people. */
export interface SellerView extends View {
  readonly userId: string;
}

/** Whoever waits because of a 429 first, then who has used most. Pure. */
export function busiestFirst(views: readonly SellerView[]): SellerView[] {
  return views.toSorted((a, b) => b.pausedMs - a.pausedMs || b.used / b.limit - a.used / a.limit || a.limit / a.full - b.limit / b.full || a.userId.localeCompare(b.userId));
}
