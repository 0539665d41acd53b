import { messageOf, type BrxError } from '../../errors.ts';
import { retryMs } from '../../platform/backoff.ts';
import { claimUntilStopped, fatalError, isPassing } from '../../platform/claim-loop.ts';
import { faultPoint } from '../../platform/fault-points.ts';
import { DatabaseFailure, inTransaction, lockUsers } from '../../platform/postgres/index.ts';
import type { Keyring } from '../../platform/secrets/index.ts';
import type { Service } from '../../platform/service.ts';
import { Together } from '../../platform/together.ts';
import { Wake } from '../../platform/wake.ts';
import { openClaimed } from '../sellers/index.ts';
import { isProbing } from './circuit.ts';
import { claimSellers, releaseSellers, renewLeases, type ClaimedSeller } from './leases.sql.ts';
import type { DispatcherObserver } from './observer.ts';
import { Session, type SessionDeps } from './session.ts';
import { NOTHING, store, type Request, type StoreDeps } from './store.ts';
import type { Work } from './work.ts';
import { readDue } from './work.sql.ts';

export interface DispatcherDeps extends Omit<SessionDeps, 'commit' | 'crowded' | 'onFatal' | 'seen'>, Omit<StoreDeps, 'onRetry'> {
  readonly keyring: Keyring;
  readonly observer: DispatcherObserver;
  /** Sellers worked for at once. */
  readonly sellersAtOnce: number;
  readonly onFatal: (error: BrxError) => void;
}

const FIRST_POLL_MS = 20;
const LAST_POLL_MS = 500;
/** A seller whose token this process cannot read: another one may have the key. */
const UNREADABLE_REST_SECONDS = 60;

/**
 * Carries out what is wanted on CardTrader: claims sellers that have something due, works for each in a session of its own, and
 * records what became of it. Any number of instances share the sellers through their leases; a thousand sellers with work take the
 * same connections as ten, because only so many are claimed at once.
 */
export class Dispatcher implements Service {
  readonly name = 'dispatcher';
  readonly #deps: DispatcherDeps;
  readonly #sessions = new Map<string, Session>();
  readonly #seen = { zeroInJobs: true };
  readonly #stop = new AbortController();
  readonly #wake: Wake;
  readonly #commits: Together<Session, void>;
  #loops: Promise<unknown> | undefined;

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
    this.#wake = new Wake(deps.clock);
    this.#commits = new Together((sessions) => this.#commit([...new Set(sessions)]).then(() => sessions.map(() => undefined)));
  }

  start(): Promise<void> {
    this.#loops ??= Promise.all([this.#claiming(), this.#renewing()]);
    return Promise.resolve();
  }

  /** Operations were asked for by this process. */
  wake(): void {
    for (const session of this.#sessions.values()) session.look();
    this.#wake.wake();
  }

  get sellers(): number {
    return this.#sessions.size;
  }

  /** Begins nothing new and waits for what was sent: at most as long as the client does. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the dispatcher stops'));
    for (const session of this.#sessions.values()) session.close();
    await this.#loops;
    await Promise.all([...this.#sessions.values()].map(({ ended }) => ended));
  }

  async #claiming(): Promise<void> {
    const { clock, sellersAtOnce, observer } = this.#deps;
    await claimUntilStopped({
      clock,
      wake: this.#wake,
      signal: this.#stop.signal,
      firstWaitMs: FIRST_POLL_MS,
      lastWaitMs: LAST_POLL_MS,
      free: () => sellersAtOnce - this.#sessions.size,
      claim: async (most) => (most === 0 ? 0 : this.#claim(most)),
      onWaiting: (error) => observer.waiting(error),
    }).catch((error: unknown) => this.#fatal(error));
  }

  async #claim(most: number): Promise<number> {
    const { postgres, clock, owner, leaseMs, operationsAtOnce, observer, keyring } = this.#deps;
    const claimedAt = clock.monotonic();
    const { sellers, due } = await inTransaction(
      postgres,
      async (tx) => {
        const claimed = await claimSellers(tx, owner, { leaseSeconds: leaseMs / 1_000, most });
        // Read without their lanes: what changes until an operation is sent is found when its intent is written.
        return { sellers: claimed, due: await readDue(tx, claimed.map(({ userId, failures }) => ({ userId, slots: isProbing({ failures }) ? 1 : operationsAtOnce, busyItems: [] }))) };
      },
      { onRetry: (failure) => observer.transactionRetried(failure.state ?? failure.kind) },
    );
    if (sellers.length > 0) {
      faultPoint('dispatcher.after-claim');
      observer.claimed(sellers.length);
    }
    const unreadable: ClaimedSeller[] = [];
    sellers.forEach((seller, index) => {
      const token = openClaimed(keyring, seller, (problem) => observer.tokenUnreadable(seller.userId, problem));
      if (token === undefined) unreadable.push(seller);
      else this.#begin(seller, token, claimedAt, due[index] ?? []);
    });
    if (unreadable.length > 0) await this.#giveBack(unreadable);
    return sellers.length;
  }

  #begin(seller: ClaimedSeller, token: string, claimedAt: number, due: readonly Work[]): void {
    const session = new Session(seller, token, claimedAt, { ...this.#deps, seen: this.#seen, commit: (committing) => this.#commits.do(committing), crowded: () => this.#sessions.size >= this.#deps.sellersAtOnce, onFatal: (error) => this.#fatal(error) });
    // One that has outlived its lease may still be waiting for answers: its claim is over, and it records nothing but evidence.
    this.#sessions.get(seller.userId)?.lose();
    this.#sessions.set(seller.userId, session);
    void session.ended.then(() => {
      if (this.#sessions.get(seller.userId) === session) this.#sessions.delete(seller.userId);
      this.#wake.wake();
    });
    if (this.#stop.signal.aborted) session.close();
    session.begin(due);
  }

  async #giveBack(sellers: readonly ClaimedSeller[]): Promise<void> {
    const { postgres, owner } = this.#deps;
    await inTransaction(postgres, async (tx) => {
      await lockUsers(tx, sellers.map(({ userId }) => userId));
      await releaseSellers(tx, owner, sellers.map(({ userId, epoch }) => ({ userId, epoch, restSeconds: UNREADABLE_REST_SECONDS })));
    });
  }

  /**
   * One transaction for all sessions that have something to write. With the database away it is tried until it is back: what CardTrader answered is
   * not asked for twice. While stopping it is tried once: an operation whose result is not recorded is looked into later.
   */
  async #commit(sessions: readonly Session[]): Promise<void> {
    await this.#write(sessions, sessions.map((session) => session.take()));
  }

  async #write(sessions: readonly Session[], requests: readonly Request[]): Promise<void> {
    const { clock, observer } = this.#deps;
    for (let failures = 1; ; failures += 1) {
      const begunAt = clock.monotonic();
      try {
        const replies = await store({ ...this.#deps, onRetry: (failure) => observer.transactionRetried(failure.state ?? failure.kind) }, requests);
        sessions.forEach((session, index) => session.committed(replies[index] ?? NOTHING, begunAt));
        return;
      } catch (error) {
        if (this.#isPassing(error) && !this.#stop.signal.aborted) {
          await clock.sleep(retryMs(failures, clock), this.#stop.signal).catch(() => undefined); // stopping: once more
          continue;
        }
        if (isRefused(error) && sessions.length > 1) return this.#halves(sessions, requests);
        for (const session of sessions) session.abandon();
        if (isRefused(error)) for (const { userId } of sessions) observer.refused(userId, messageOf(error));
        else if (!this.#isPassing(error)) throw error;
        return;
      }
    }
  }

  /** One of them cannot be written; so that it harms no other, they go separately. */
  async #halves(sessions: readonly Session[], requests: readonly Request[]): Promise<void> {
    const middle = sessions.length >> 1;
    await this.#write(sessions.slice(0, middle), requests.slice(0, middle));
    await this.#write(sessions.slice(middle), requests.slice(middle));
  }

  async #renewing(): Promise<void> {
    const { postgres, clock, owner, leaseMs } = this.#deps;
    for (;;) {
      await clock.sleep(leaseMs / 3, this.#stop.signal).catch(() => undefined); // stopping
      const sessions = [...this.#sessions.values()];
      if (this.#stop.signal.aborted && sessions.length === 0) return;
      if (sessions.length === 0) continue;
      for (const session of sessions) session.giveWay();
      const sentAt = clock.monotonic();
      try {
        const renewed = new Set(await inTransaction(postgres, (tx) => renewLeases(tx, owner, leaseMs / 1_000, sessions)));
        for (const session of sessions) if (renewed.has(session.userId)) session.renewed(sentAt);
      } catch (error) {
        if (!this.#isPassing(error)) return this.#fatal(error); // else the leases run out, and the sessions know by their clocks
      }
      if (this.#stop.signal.aborted) return;
    }
  }

  /** Told, if it is something that waiting can mend. */
  #isPassing(error: unknown): boolean {
    return isPassing(error, (waiting) => this.#deps.observer.waiting(waiting));
  }

  #fatal(error: unknown): void {
    this.#deps.onFatal(fatalError(error, this.name));
  }
}

/** What the database will not take, now or later. */
const isRefused = (error: unknown): boolean => error instanceof DatabaseFailure && (error.kind === 'data' || error.kind === 'duplicate');
