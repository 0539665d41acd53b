import { BrxError } from '../errors.ts';
import type { Clock } from '../platform/clock.ts';
import { DatabaseFailure, inTransaction, lockUsers, recordOperatorAction, toBrxError, type Postgres, type Transaction } from '../platform/postgres/index.ts';
import { traceparentOf } from '../platform/tracing/index.ts';
import { openFolds, readPurchases, writePurchases, type PurchaseContext } from '../purchase/index.ts';
import { buryDeadLetters, type By, type DeadEntry, type Decoder } from '../records/index.ts';
import { applyChunk, publishes, refused, touch, type Folds } from './chunk.ts';
import { deleteParkedEvents, readParkedEvents, recordAttempt, releaseIfEmpty, selectParkedUsers, type ParkedEvent, type ParkedUser } from './parking.sql.ts';
import type { IngestEntry, MarketplaceEntry, MarketplaceRecord } from './record.ts';

/**
 * Parked users: an event of theirs was refused by the database, so it and everything after it waits here, in order, while all
 * other users flow.
 *
 *   flowing ──(event refused)──► parked ──(retry: every waiting event applied)──► flowing
 *                                  │  ▲
 *                 (later events    └──┘  (retry: refused again, attempts + 1; or discard of the first event)
 *                  are appended)
 *
 * A user is parked exactly while it has a row in parked_users; whoever adds or takes away a waiting event holds the user's lane.
 */
export interface ParkingDeps {
  readonly postgres: Postgres;
  readonly decoder: Decoder<MarketplaceRecord>;
  readonly consumerGroup: string;
  readonly clock: Clock;
  readonly purchase: PurchaseContext;
}

export interface RetryResult {
  applied: number;
  remaining: number;
  /** Why it stopped, if it did. */
  error?: string;
}

/** What `operator_actions` is told it was done to. */
export const parkedTarget = (userId: string): string => `parked_user/${userId}`;

const EVENTS_A_TRANSACTION = 500;

export async function listParkedUsers(postgres: Postgres): Promise<ParkedUser[]> {
  return selectParkedUsers(postgres.prisma);
}

/**
 * Applies a parked user's events in order. Those that are applied stay applied when a later one is refused again. Events that
 * arrive meanwhile are appended (the user is still parked) and are taken in a further round: the user is released by the very
 * transaction that finds nothing waiting, under the lane lock, so that no event can overtake another.
 */
export async function retryParkedUser(deps: ParkingDeps, userId: string, by?: By): Promise<RetryResult> {
  await requireParked(deps.postgres, userId);
  const result = await retryWaiting(deps, userId);
  if (by !== undefined) await inTransaction(deps.postgres, (tx) => recordOperatorAction(tx, { ...by, action: 'parked.retry', target: parkedTarget(userId), detail: result }));
  return result;
}

async function retryWaiting(deps: ParkingDeps, userId: string): Promise<RetryResult> {
  let applied = 0;
  for (;;) {
    const waiting = await readParkedEvents(deps.postgres.prisma, userId, EVENTS_A_TRANSACTION);
    const entries = await deps.decoder.decode(waiting.map((event) => event.source));
    if (entries.some(publishes)) await deps.purchase.encoder.prepare();
    const round = await applyParked(deps, userId, waiting, entries);
    applied += round.applied;
    if (round.error !== undefined) return { applied, remaining: await countWaiting(deps.postgres, userId), error: round.error };
    if (round.released) return { applied, remaining: 0 };
  }
}

async function applyParked(deps: ParkingDeps, userId: string, waiting: readonly ParkedEvent[], entries: readonly IngestEntry[]): Promise<{ applied: number; released: boolean; error?: string }> {
  try {
    const released = await inTransaction(deps.postgres, async (tx) => {
      await lockUsers(tx, [userId]);
      await takeOut(tx, userId, waiting);
      // Not too_old, whatever their age: they were in good time when they arrived, and parking itself remembers their ids.
      await applyChunk(tx, entries, { consumerGroup: deps.consumerGroup, now: deps.clock.now(), tooOldBefore: 0, respectParking: false, purchase: deps.purchase });
      return releaseIfEmpty(tx, userId);
    });
    return { applied: waiting.length, released };
  } catch (error) {
    if (!(error instanceof DatabaseFailure)) throw error;
    if (error.kind !== 'data' && error.kind !== 'duplicate') throw toBrxError(error);
    if (waiting.length > 1) return applyHalves(deps, userId, waiting, entries);
    await inTransaction(deps.postgres, (tx) => recordAttempt(tx, userId, error.kind, error.message));
    return { applied: 0, released: false, error: error.message };
  }
}

async function applyHalves(deps: ParkingDeps, userId: string, waiting: readonly ParkedEvent[], entries: readonly IngestEntry[]): Promise<{ applied: number; released: boolean; error?: string }> {
  const middle = waiting.length >> 1;
  const first = await applyParked(deps, userId, waiting.slice(0, middle), entries.slice(0, middle));
  if (first.error !== undefined) return first;
  const second = await applyParked(deps, userId, waiting.slice(middle), entries.slice(middle));
  return { ...second, applied: first.applied + second.applied };
}

/**
 * Gives up on the first waiting event of a parked user (the one that was refused), or on all of them: dead-lettered as
 * `discarded`, and in the ledger, so that a replay does not bring them back. What still waits needs a retry.
 */
export async function discardParkedEvents(deps: ParkingDeps, userId: string, options: { reason: string; all: boolean; who?: string }): Promise<{ discarded: number; remaining: number }> {
  await requireParked(deps.postgres, userId);
  let discarded = 0;
  for (;;) {
    const waiting = await readParkedEvents(deps.postgres.prisma, userId, options.all ? EVENTS_A_TRANSACTION : 1);
    const decoded = await deps.decoder.decode(waiting.map((event) => event.source));
    const entries = decoded.filter((entry): entry is MarketplaceEntry => entry.kind === 'event');
    // What this version cannot read any more is given up like the others, and kept like them.
    const unreadable = decoded.filter((entry): entry is DeadEntry => entry.kind === 'dead').map((entry): DeadEntry => ({ ...entry, reason: 'discarded', detail: options.reason }));
    if (entries.some(publishes)) await deps.purchase.encoder.prepare();
    const released = await inTransaction(deps.postgres, async (tx) => {
      await lockUsers(tx, [userId]);
      await takeOut(tx, userId, waiting);
      await recordDiscarded(tx, entries, deps, options.reason);
      await buryDeadLetters(tx, unreadable, deps.consumerGroup);
      if (options.who !== undefined) await recordOperatorAction(tx, { who: options.who, reason: options.reason, action: 'parked.discard', target: parkedTarget(userId), detail: { events: waiting.map(({ eventId }) => eventId) } });
      return releaseIfEmpty(tx, userId);
    });
    discarded += waiting.length;
    if (released) return { discarded, remaining: 0 };
    if (!options.all) return { discarded, remaining: await countWaiting(deps.postgres, userId) };
  }
}

async function recordDiscarded(tx: Transaction, entries: readonly MarketplaceEntry[], { clock, consumerGroup, purchase }: ParkingDeps, reason: string): Promise<void> {
  const now = clock.now();
  const folds = openFolds(purchase, now);
  for (const entry of entries) touch(folds, entry);
  const known = await readPurchases(tx, folds, entries.map(({ event }) => event.event_id));
  const fresh = entries.filter((_, index) => !known.has(index));
  for (const entry of fresh) discard(entry, folds);
  await writePurchases(tx, folds, purchase, now);
  await buryDeadLetters(tx, fresh.map((entry) => refused(entry, 'discarded', reason)), consumerGroup);
}

function discard(entry: MarketplaceEntry, { stock, purchases }: Folds): void {
  switch (entry.type) {
    case 'InventoryChanged':
      return stock.discard(entry.event);
    case 'PurchaseRequested':
      return purchases.discardRequest(entry.event, traceparentOf(entry.source.headers));
    case 'PurchaseCancelled':
      return purchases.discardCancel(entry.event);
  }
}

/** Under the lane lock: the events must all still be waiting, or another operator is at work on the same user. */
export async function takeOut(tx: Transaction, userId: string, waiting: readonly ParkedEvent[]): Promise<void> {
  const taken = await deleteParkedEvents(tx, waiting.map((event) => event.id));
  if (taken !== waiting.length) {
    throw new BrxError('BRX_REFUSED', `the waiting events of user ${userId} changed while they were read`, { remedy: 'somebody else is retrying or discarding them; look again with `brx-sync parked list`' });
  }
}

export async function requireParked(postgres: Postgres, userId: string): Promise<ParkedUser> {
  const [user] = await selectParkedUsers(postgres.prisma, userId);
  if (user === undefined) throw new BrxError('BRX_REFUSED', `user ${userId} is not parked`, { remedy: '`brx-sync parked list` shows who is' });
  return user;
}

async function countWaiting(postgres: Postgres, userId: string): Promise<number> {
  const [user] = await selectParkedUsers(postgres.prisma, userId);
  return user?.events ?? 0;
}
