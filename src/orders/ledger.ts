/** What is kept of an order on CardTrader, and what it has done to stock here. Pure. */
export interface OrderRecord {
  readonly orderId: number;
  readonly code: string | null;
  /** As CardTrader says, or one of OWN_STATES. */
  readonly state: string;
  readonly viaZero: boolean | null;
  readonly presale: boolean | null;
  /** CardTrader's clock, milliseconds, when it was seen so. */
  readonly seenAt: number;
  /** Whether it may still change what it does to stock, so that it is looked at again. */
  readonly open: boolean;
  readonly lines: readonly LineRecord[];
}

/** States of ours, for what has none there: could not be read; not there any more. */
export const OWN_STATES = ['unreadable', 'destroyed'] as const;

/**
 * Whether a line's copies count where it stands:
 *
 *   sold       they left stock with this order
 *   merged     they were counted in the order that first sold them; only what comes back counts here
 *   before     sold before the account was taken on: the stock that was reported then lacks them already; as `merged`
 *   undecided  its order is in a state nobody here knows, so nothing is done
 */
export const COUNTINGS = ['sold', 'merged', 'before', 'undecided'] as const;
export type Counting = (typeof COUNTINGS)[number];

export interface LineRecord {
  readonly lineId: number;
  readonly productId: number | null;
  readonly blueprintId: number | null;
  /** null: nothing here is tied to it, so it has no effect. */
  readonly itemId: string | null;
  readonly name: string | null;
  readonly counting: Counting;
  /** The most copies it had. */
  readonly quantity: number;
  /** Of them: called off, with the order or alone. */
  readonly cancelled: number;
  /** Of those called off: back on sale on CardTrader; and certainly not. The rest is not known yet. */
  readonly relisted: number;
  readonly kept: number;
  /** Copies that ADJUST events have taken out of stock and put back, ever. */
  readonly taken: number;
  readonly returned: number;
  /** CardTrader's clock, milliseconds; null: it does not say. */
  readonly soldAt: number | null;
  readonly cancelledAt: number | null;
}

/** Called off, and not known whether they are on sale again. */
export const unresolved = ({ cancelled, relisted, kept }: Pick<LineRecord, 'cancelled' | 'relisted' | 'kept'>): number => cancelled - relisted - kept;
