import type { BrxError } from '../errors.ts';
import { openClaimed, rejectToken, slowDown, type Access } from '../marketplace/index.ts';
import { claimUntilStopped, fatalError, isPassing } from '../platform/claim-loop.ts';
import { faultPoint } from '../platform/fault-points.ts';
import { inTransaction, type Transaction } from '../platform/postgres/index.ts';
import type { Service } from '../platform/service.ts';
import { oneAtATime } from '../platform/together.ts';
import { Turn } from '../platform/turn.ts';
import { Wake } from '../platform/wake.ts';
import { applyCount, applyOrSetAside, type ApplyDeps } from './apply.ts';
import { forgetCalls, markProcessed, readWaiting } from './inbox.sql.ts';
import { readCancellations } from './ledger.sql.ts';
import { look, type Look, type LookStore } from './look.ts';
import type { OrdersObserver } from './observer.ts';
import { claimPolls, keepPoll, readFloor, releasePolls, type ClaimedPoll, type PollEnd } from './polls.sql.ts';

export interface PollerDeps extends Omit<ApplyDeps, 'onRetry'> {
  readonly access: Pick<Access, 'client' | 'limiter' | 'keyring'>;
  readonly observer: OrdersObserver;
  readonly owner: string;
  /** Sellers looked at at once. */
  readonly sellersAtOnce: number;
  readonly pollMs: number;
  readonly settleMs: number;
  readonly onEnqueued: () => void;
  readonly onFatal: (error: BrxError) => void;
}

const LEASE_SECONDS = 60;
const FIRST_WAIT_MS = 20;
const LAST_WAIT_MS = 1_000;
/** After a look that came to nothing; doubled each time, up to the interval. */
const FIRST_AGAIN_MS = 5_000;
const KEPT_DAYS = 7;
const FORGET_EVERY_MS = 60_000;
const FORGET_ROWS = 1_000;

/**
 * Looks at sellers' orders: each seller every so often, and as soon as a webhook is in. Sellers are claimed by leases of their own, beside
 * those of operations, so any number of processes share them, and a thousand take the connections of ten: only so many are claimed
 * at once, and all they want of the database goes through one connection. A seller who is told to wait long (429) gives the place to others meanwhile.
 */
export class OrdersPoller implements Service {
  readonly name = 'orders';
  readonly #deps: PollerDeps;
  readonly #stop = new AbortController();
  readonly #wake: Wake;
  readonly #looking = new Map<string, { readonly turn: Turn; readonly ended: Promise<void> }>();
  /** One after the other: at most one connection. */
  readonly #one = oneAtATime();
  #loop: Promise<void> | undefined;
  #forgetAt = 0;

  constructor(deps: PollerDeps) {
    this.#deps = deps;
    this.#wake = new Wake(deps.clock);
  }

  start(): Promise<void> {
    this.#loop ??= this.#run();
    return Promise.resolve();
  }

  /** A webhook came in. */
  wake(): void {
    this.#wake.wake();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the process stops'));
    for (const { turn } of this.#looking.values()) turn.end('the process stops');
    await this.#loop;
    await Promise.all([...this.#looking.values()].map(({ ended }) => ended));
  }

  async #run(): Promise<void> {
    const { clock, sellersAtOnce, observer } = this.#deps;
    await claimUntilStopped({
      clock,
      wake: this.#wake,
      signal: this.#stop.signal,
      firstWaitMs: FIRST_WAIT_MS,
      lastWaitMs: LAST_WAIT_MS,
      free: () => sellersAtOnce - this.#looking.size,
      claim: async (most) => {
        if (most === 0) for (const { turn } of this.#looking.values()) turn.giveWay();
        const claimed = most === 0 ? 0 : await this.#claim(most);
        await this.#forget();
        return claimed;
      },
      onWaiting: (error) => observer.waiting(error),
    }).catch((error: unknown) => this.#fatal(error));
  }

  async #claim(most: number): Promise<number> {
    const { owner, observer, clock } = this.#deps;
    const claimed = await this.#transaction((tx) => claimPolls(tx, owner, { leaseSeconds: LEASE_SECONDS, most, but: [...this.#looking.keys()] }));
    faultPoint('orders.after-claim');
    if (claimed.length > 0) observer.claimed(claimed.length);
    for (const seller of claimed) {
      const turn = new Turn(clock);
      if (this.#stop.signal.aborted) turn.end('the process stops');
      const ended = this.#look(seller, turn)
        .catch((error: unknown) => {
          // Its lease runs out, and somebody looks again.
          if (!this.#isPassing(error)) this.#fatal(error);
        })
        .finally(() => {
          this.#looking.delete(seller.userId);
          this.#wake.wake();
        });
      this.#looking.set(seller.userId, { turn, ended });
    }
    return claimed.length;
  }

  async #look(seller: ClaimedPoll, turn: Turn): Promise<void> {
    const { access, clock, observer, settleMs } = this.#deps;
    const { userId } = seller;
    const token = openClaimed(access.keyring, seller, (problem) => observer.tokenUnusable(userId, problem));
    if (token === undefined) return this.#release(seller, { listed: false, webhooks: 0, countInMs: null, problem: 'unavailable', said: 'the token does not open with the keys of this process' });
    const result = await look(
      {
        client: access.client,
        caller: { userId, token, until: turn.until, turn },
        clock,
        store: this.#storeOf(seller),
        settleMs,
        heard: (outcome) => slowDown(access.limiter, userId, outcome),
        onUnreadable: (orders) => observer.unreadable(userId, orders),
      },
      seller,
    );
    if (result.problem === 'token_rejected') {
      observer.tokenUnusable(userId, result.said ?? '');
      await this.#one(() => rejectToken(this.#deps.postgres, seller, { who: 'brx-sync', reason: 'CardTrader answered 401 to a look at the orders: the token is revoked, or another one was made' }));
    }
    await this.#release(seller, result);
  }

  #storeOf({ userId, since }: ClaimedPoll): LookStore {
    const { postgres, owner, observer, settleMs, onEnqueued } = this.#deps;
    const one = this.#one;
    const deps: ApplyDeps = { ...this.#deps, onRetry: (failure) => observer.transactionRetried(failure.state ?? failure.kind) };
    return {
      waiting: (most) => one(() => readWaiting(postgres.prisma, userId, most)),
      processed: (ids) => this.#transaction((tx) => markProcessed(tx, userId, ids)),
      floor: () => one(() => readFloor(postgres.prisma, userId)),
      keep: (throughId) => this.#transaction((tx) => keepPoll(tx, owner, userId, { leaseSeconds: LEASE_SECONDS, throughId })),
      cancellations: (most) => one(() => readCancellations(postgres.prisma, userId, { itemId: null, most })),
      async apply(sighting) {
        const applied = await one(() => applyOrSetAside(deps, { userId, since, ...sighting }, (error) => observer.refused(userId, error)));
        if (applied.changed.length > 0) observer.applied(userId, applied);
        if (applied.events.length > 0) onEnqueued();
        return applied;
      },
      async count(found) {
        const { answer, ...applied } = await one(() => applyCount(deps, { userId, ...found }, settleMs));
        observer.counted(userId, found.itemId, answer);
        if (applied.changed.length > 0) observer.applied(userId, applied);
        if (applied.events.length > 0) onEnqueued();
        return answer;
      },
    };
  }

  async #release({ userId, webhookSeq, begunAt, due, failures }: ClaimedPoll, result: Look): Promise<void> {
    const { owner, observer } = this.#deps;
    const { listed, webhooks, problem, said } = result;
    const nextMs = this.#nextMs(due, failures, result);
    const end: PollEnd = {
      userId,
      webhookSeq,
      begunAt,
      due,
      complete: listed,
      problem: problem === 'stopped' ? null : said,
      nextSeconds: nextMs === null ? null : nextMs / 1_000,
    };
    if (problem !== 'lease_lost') await this.#transaction((tx) => releasePolls(tx, owner, [problem === 'stopped' ? { ...end, webhookSeq: -1 } : end]));
    observer.looked(userId, { listed, webhooks, problem: problem === 'stopped' ? null : said });
  }

  /** When the seller is looked at again, ms; null: when it was to be anyway. */
  #nextMs(due: boolean, failures: number, { listed, countInMs, problem }: Look): number | null {
    const { clock, pollMs } = this.#deps;
    const jittered = (ms: number): number => ms * (0.75 + clock.random() / 2);
    if (problem === 'stopped') return due && !listed ? 0 : null;
    if (problem !== null) return Math.min(pollMs, jittered(FIRST_AGAIN_MS * 2 ** Math.min(failures, 10)));
    if (listed) return Math.min(jittered(pollMs), countInMs ?? Infinity);
    return countInMs;
  }

  async #forget(): Promise<void> {
    const now = this.#deps.clock.monotonic();
    if (now < this.#forgetAt) return;
    const forgotten = await this.#transaction((tx) => forgetCalls(tx, { days: KEPT_DAYS, most: FORGET_ROWS }));
    this.#forgetAt = now + (forgotten === FORGET_ROWS ? 0 : FORGET_EVERY_MS);
  }

  #transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const { postgres, observer } = this.#deps;
    return this.#one(() => inTransaction(postgres, work, { onRetry: (failure) => observer.transactionRetried(failure.state ?? failure.kind) }));
  }

  /** Told, if it is something that waiting can mend. */
  #isPassing(error: unknown): boolean {
    return isPassing(error, (waiting) => this.#deps.observer.waiting(waiting));
  }

  #fatal(error: unknown): void {
    this.#deps.onFatal(fatalError(error, this.name));
  }
}
