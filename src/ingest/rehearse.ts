import { DatabaseFailure, inTransaction, lockUsers } from '../platform/postgres/index.ts';
import { applyChunk, publishes } from './chunk.ts';
import { requireParked, takeOut, type ParkingDeps } from './parking.ts';
import { readParkedEvents, type ParkedUser } from './parking.sql.ts';
import type { IngestEntry, Outcome } from './record.ts';

/** One waiting event, and what would come of it. */
export interface Rehearsed {
  readonly eventId: string;
  readonly entry: IngestEntry;
  readonly place: string;
  /** Null: refused, or behind one that is. */
  readonly outcome: Outcome | null;
  readonly error: string | null;
}

/** Events of one user that are looked at: each costs a few statements in one transaction. */
const MOST = 500;

class Undone extends Error {
  override readonly name = 'Undone';
}

/** The events that wait with a parked user, in order, up to 500. */
export async function readWaiting(deps: ParkingDeps, userId: string): Promise<{ user: ParkedUser; events: Rehearsed[] }> {
  const user = await requireParked(deps.postgres, userId);
  const waiting = await readParkedEvents(deps.postgres.prisma, userId, MOST);
  const entries = await deps.decoder.decode(waiting.map(({ source }) => source));
  return { user, events: waiting.map(({ eventId, source }, index) => ({ eventId, entry: entries[index] as IngestEntry, place: `${source.topic}/${source.partition}@${source.offset}`, outcome: null, error: null })) };
}

/** What a retry would do: it is done, event by event, in a transaction that is rolled back. */
export async function rehearseParkedUser(deps: ParkingDeps, userId: string): Promise<{ user: ParkedUser; events: Rehearsed[] }> {
  const { user, events } = await readWaiting(deps, userId);
  if (events.some(({ entry }) => publishes(entry))) await deps.purchase.encoder.prepare();
  const told: Rehearsed[] = [];
  try {
    await inTransaction(deps.postgres, async (tx) => {
      told.length = 0; // it may be tried again
      await lockUsers(tx, [userId]);
      await takeOut(tx, userId, await readParkedEvents(tx, userId, MOST));
      for (const event of events) {
        const { outcomes } = await applyChunk(tx, [event.entry], { consumerGroup: deps.consumerGroup, now: deps.clock.now(), tooOldBefore: 0, respectParking: false, purchase: deps.purchase });
        told.push({ ...event, outcome: outcomes[0] ?? null });
      }
      throw new Undone();
    });
  } catch (error) {
    if (error instanceof DatabaseFailure && (error.kind === 'data' || error.kind === 'duplicate')) {
      const refused = events[told.length];
      if (refused !== undefined) told.push({ ...refused, error: error.message });
    } else if (!(error instanceof Undone)) throw error;
  }
  return { user, events: [...told, ...events.slice(told.length)] };
}
