import { BrxError } from '../errors.ts';
import { readStock, StockFold } from '../inventory/index.ts';
import type { Clock } from '../platform/clock.ts';
import { faultPoint, isArmed } from '../platform/fault-points.ts';
import { DatabaseFailure, inTransaction, lockUsers, toBrxError, type Postgres, type Transaction } from '../platform/postgres/index.ts';
import type { Tracer } from '../platform/tracing/index.ts';
import { applyChunk, type ChunkResult } from './chunk.ts';
import { appendParkedEvents, parkUser } from './parking.sql.ts';
import type { PurchaseContext } from '../purchase/index.ts';
import type { IngestEntry, MarketplaceEntry } from './record.ts';

export interface ApplyDeps {
  readonly postgres: Postgres;
  readonly clock: Clock;
  readonly consumerGroup: string;
  readonly horizonMs: number;
  readonly maxParkedUsers: number;
  readonly purchase: PurchaseContext;
  readonly onRetry: (failure: DatabaseFailure) => void;
  /** A transaction was given up, and what it had to do is tried in halves: with a database that is slow that goes on for minutes. */
  readonly onHalved?: () => void;
  /** Of the spans of chunks; none by default. */
  readonly tracer?: Tracer;
}

/**
 * Applies a run of records of one partition and returns once all of it is committed, one way or another.
 *
 * - the database is away, overloaded or full: throws a retryable BrxError; nothing of the failing part has happened;
 * - it refuses the data: the run is halved, first half first, until the event it refuses stands alone; that event's user is
 *   parked and everyone else goes on. Halving keeps the order of every user because the second half starts after the first is
 *   committed, parking included;
 * - a transaction takes too long: halved likewise; one event that takes too long is the database's trouble, not the event's;
 * - it is not the database we were written for (a missing table): throws, and the process stops.
 */
export async function applyOrPark(deps: ApplyDeps, entries: readonly IngestEntry[]): Promise<ChunkResult> {
  const failure = await attempt(deps, entries);
  if (!(failure instanceof DatabaseFailure)) return failure;

  const [only] = entries;
  if (only === undefined) throw new BrxError('BRX_INTERNAL', 'an empty run failed', { cause: failure });
  if (entries.length > 1) {
    deps.onHalved?.();
    const middle = entries.length >> 1;
    const first = await applyOrPark(deps, entries.slice(0, middle));
    const second = await applyOrPark(deps, entries.slice(middle));
    return { outcomes: [...first.outcomes, ...second.outcomes], deadLetters: [...first.deadLetters, ...second.deadLetters], enqueued: first.enqueued + second.enqueued, steps: [...first.steps, ...second.steps] };
  }
  if (failure.kind === 'timeout') throw toBrxError(failure);
  if (only.kind === 'dead') throw new BrxError('BRX_INTERNAL', `a dead letter cannot be stored: ${failure.message}`, { cause: failure });
  faultPoint('ingest.before-park');
  return { outcomes: [await park(deps, only, failure)], deadLetters: [], enqueued: 0, steps: [] };
}

/** One transaction. Returns the failure if halving can help, throws every other one. */
async function attempt(deps: ApplyDeps, entries: readonly IngestEntry[]): Promise<ChunkResult | DatabaseFailure> {
  const now = deps.clock.now();
  const rules = { consumerGroup: deps.consumerGroup, now, tooOldBefore: now - deps.horizonMs, respectParking: true, purchase: deps.purchase };
  try {
    return await inTransaction(deps.postgres, (tx) => applyChunk(tx, entries, rules), {
      onRetry: deps.onRetry,
      ...(isArmed('ingest.commit-sent') ? { onCommitSent: () => faultPoint('ingest.commit-sent') } : {}),
    });
  } catch (error) {
    if (error instanceof DatabaseFailure && (error.kind === 'data' || error.kind === 'duplicate' || error.kind === 'timeout')) return error;
    throw error instanceof DatabaseFailure ? toBrxError(error) : error;
  }
}

/** Parks the user of an event the database refuses, in a transaction of its own, with the event first in line. */
async function park(deps: ApplyDeps, entry: MarketplaceEntry, failure: DatabaseFailure): Promise<'parked' | 'duplicate'> {
  const { user_id: userId, event_id: eventId } = entry.event;
  const work = async (tx: Transaction): Promise<'parked' | 'duplicate'> => {
    await lockUsers(tx, [userId]);
    // It was refused in another transaction: whoever took the partition over since may have applied it, when the cause was gone.
    if ((await readStock(tx, new StockFold(), [eventId])).size > 0) return 'duplicate';
    const parkedUsers = await parkUser(tx, userId, failure.kind, failure.message);
    if (parkedUsers > deps.maxParkedUsers) {
      throw new BrxError('BRX_TOO_MANY_PARKED', `user ${userId} would be parked user number ${parkedUsers}; the last error: ${failure.message}`, {
        remedy: 'the database refuses too many users’ events for it to be their fault: look at `brx-sync parked list`, or raise BRX_INGEST_MAX_PARKED_USERS',
      });
    }
    await appendParkedEvents(tx, [entry]);
    faultPoint('ingest.after-park');
    return 'parked';
  };
  try {
    return await inTransaction(deps.postgres, work, { onRetry: deps.onRetry });
  } catch (error) {
    // The database may go away here as anywhere: that is to be waited out, not to die of.
    throw error instanceof DatabaseFailure ? toBrxError(error) : error;
  }
}
