import type { Bucket } from './limits.ts';

export interface RequestRecord {
  /** When its headers had arrived, milliseconds since 1970. */
  readonly at: number;
  readonly sellerId: number | null;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly bucket: Bucket;
  /** Null while it is worked on, and for good if no answer went out. */
  status: number | null;
  /** Why, if the marketplace was made to misbehave. */
  fault: string | null;
}

export interface RequestCounts {
  readonly requests: number;
  /** 429 because of the limit: 0 for a client that keeps it. */
  readonly throttled: number;
  /** 429 out of the blue. */
  readonly throttledByFault: number;
  readonly byStatus: Readonly<Record<string, number>>;
}

/** Newest requests kept in full. */
const RECENT = 20_000;
/** Arrival times kept of one seller: eight bytes each. The oldest half goes when they are full. */
const ARRIVALS = 500_000;

interface Account {
  requests: number;
  throttled: number;
  throttledByFault: number;
  byStatus: Record<string, number>;
  arrivals: Record<Bucket, number[]>;
}

/** What arrived, when, and how it was answered. Counts are for ever, times and details are bounded. */
export class RequestLog {
  readonly #accounts = new Map<number | null, Account>();
  #recent: RequestRecord[] = [];
  #total = 0;

  get total(): number {
    return this.#total;
  }

  arrived(request: Omit<RequestRecord, 'status' | 'fault'>): RequestRecord {
    const record: RequestRecord = { ...request, status: null, fault: null };
    this.#total += 1;
    this.#recent.push(record);
    if (this.#recent.length > 2 * RECENT) this.#recent = this.#recent.slice(-RECENT);
    const account = this.#account(request.sellerId);
    account.requests += 1;
    for (const bucket of request.bucket === 'all' ? (['all'] as const) : (['all', request.bucket] as const)) {
      const times = account.arrivals[bucket];
      times.push(request.at);
      if (times.length > ARRIVALS) times.splice(0, ARRIVALS / 2);
    }
    return record;
  }

  answered(record: RequestRecord, status: number): void {
    record.status = status;
    const account = this.#account(record.sellerId);
    account.byStatus[status] = (account.byStatus[status] ?? 0) + 1;
    if (status === 429 && record.fault === null) account.throttled += 1;
    if (status === 429 && record.fault !== null) account.throttledByFault += 1;
  }

  /** Of one seller, or of everyone; null: requests without a token that works. */
  counts(sellerId?: number | null): RequestCounts {
    const accounts = sellerId === undefined ? [...this.#accounts.values()] : [this.#accounts.get(sellerId)].filter((account) => account !== undefined);
    const byStatus: Record<string, number> = {};
    for (const account of accounts) for (const [status, count] of Object.entries(account.byStatus)) byStatus[status] = (byStatus[status] ?? 0) + count;
    const sum = (of: (account: Account) => number): number => accounts.reduce((total, account) => total + of(account), 0);
    return { requests: sum((one) => one.requests), throttled: sum((one) => one.throttled), throttledByFault: sum((one) => one.throttledByFault), byStatus };
  }

  arrivals(sellerId: number, bucket: Bucket = 'all'): readonly number[] {
    return this.#accounts.get(sellerId)?.arrivals[bucket] ?? [];
  }

  /** Newest last. */
  recent(sellerId?: number): RequestRecord[] {
    const kept = this.#recent.slice(-RECENT);
    return sellerId === undefined ? kept : kept.filter((record) => record.sellerId === sellerId);
  }

  #account(sellerId: number | null): Account {
    let account = this.#accounts.get(sellerId);
    if (account === undefined) this.#accounts.set(sellerId, (account = { requests: 0, throttled: 0, throttledByFault: 0, byStatus: {}, arrivals: { all: [], marketplace: [], jobs: [] } }));
    return account;
  }
}

/** The most arrivals in any window [t, t + windowMs), from times in ascending order. */
export function densestWindow(times: readonly number[], windowMs: number): number {
  let [most, from] = [0, 0];
  for (const [to, time] of times.entries()) {
    while ((times[from] ?? time) <= time - windowMs) from += 1;
    most = Math.max(most, to - from + 1);
  }
  return most;
}
