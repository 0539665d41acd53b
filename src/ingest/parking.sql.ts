import { LANES } from '../contract/index.ts';
import type { SourceRecord } from '../platform/consumer/index.ts';
import { intArray, LANE_LOCK_CLASS, uuidArray, type Database, type Transaction } from '../platform/postgres/index.ts';
import { sourceColumns, sourceRecord, type SourceColumns } from '../records/index.ts';
import type { MarketplaceEntry } from './record.ts';

export interface ParkedUser {
  userId: string;
  /** What kind of failure parked the user: a kind of DatabaseFailure. */
  reason: string;
  error: string;
  parkedAt: Date;
  attempts: number;
  lastAttemptAt: Date | null;
  /** How many events wait. */
  events: number;
}

export interface ParkedEvent {
  id: bigint;
  eventId: string;
  source: SourceRecord;
}

/** Which of these events' users are parked, and which of the events are already waiting with them (delivered again). */
export async function readParked(tx: Transaction, events: readonly MarketplaceEntry[]): Promise<{ userIds: Set<string>; eventIds: Set<string> }> {
  const users = new Set(events.map(({ event }) => event.user_id));
  const parkedUsers = await tx.$queryRawUnsafe<{ user_id: string }[]>(
    'SELECT user_id FROM parked_users WHERE user_id = ANY($1::uuid[])',
    uuidArray([...users]),
  );
  const userIds = new Set(parkedUsers.map((row) => row.user_id));
  if (userIds.size === 0) return { userIds, eventIds: new Set() };
  const candidates = events.filter(({ event }) => userIds.has(event.user_id)).map(({ event }) => event.event_id);
  const rows = await tx.$queryRawUnsafe<{ event_id: string }[]>(
    'SELECT event_id FROM parked_events WHERE event_id = ANY($1::uuid[])',
    uuidArray(candidates),
  );
  return { userIds, eventIds: new Set(rows.map((row) => row.event_id)) };
}

/** Second key, beyond every lane: taken last, by whoever holds a lane. */
const COUNTING = LANES + 1;

/**
 * Parks a user (again: nothing changes but the error). Needs the user's lane. Returns how many users are parked now.
 *
 * One transaction at a time counts: two that park users of different lanes would not see each other's row, and both would find room for the last one.
 */
export async function parkUser(tx: Transaction, userId: string, reason: string, error: string): Promise<number> {
  await tx.$executeRawUnsafe(`SELECT pg_advisory_xact_lock(${LANE_LOCK_CLASS}, ${COUNTING})`);
  await tx.$executeRawUnsafe(
    `INSERT INTO parked_users (user_id, reason, error) VALUES ($1::uuid, $2, $3)
         ON CONFLICT (user_id) DO UPDATE SET reason = EXCLUDED.reason, error = EXCLUDED.error`,
    userId,
    reason,
    error,
  );
  const [row] = await tx.$queryRawUnsafe<{ users: number }[]>('SELECT count(*)::int AS users FROM parked_users');
  return row?.users ?? 0;
}

/** Puts events behind those already waiting; the identity column, drawn under the lane lock, is their order. */
export async function appendParkedEvents(tx: Transaction, entries: readonly MarketplaceEntry[]): Promise<void> {
  await tx.$executeRawUnsafe(
    `INSERT INTO parked_events (user_id, event_id, topic, partition, "offset", record_timestamp, record_key, record_value, record_headers)
     SELECT user_id, event_id, topic, partition, "offset", record_timestamp, record_key, record_value, record_headers::jsonb
       FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::bigint[], $6::timestamptz[], $7::bytea[], $8::bytea[], $9::text[]) WITH ORDINALITY
         AS p (user_id, event_id, topic, partition, "offset", record_timestamp, record_key, record_value, record_headers, n)
      ORDER BY n
         ON CONFLICT (event_id) DO NOTHING`,
    uuidArray(entries.map(({ event }) => event.user_id)),
    uuidArray(entries.map(({ event }) => event.event_id)),
    ...sourceColumns(entries.map(({ source }) => source)),
  );
}

export async function readParkedEvents(database: Database, userId: string, limit: number): Promise<ParkedEvent[]> {
  const rows = await database.$queryRawUnsafe<(SourceColumns & { id: bigint; event_id: string })[]>(
    `SELECT id, event_id, topic, partition, "offset", extract(epoch FROM record_timestamp)::float8 * 1000 AS record_timestamp,
            record_key, record_value, record_headers
       FROM parked_events WHERE user_id = $1::uuid ORDER BY id LIMIT ${limit}`,
    userId,
  );
  return rows.map((row) => ({ id: row.id, eventId: row.event_id, source: sourceRecord(row) }));
}

/** Takes events out of parking. Returns how many were still there: fewer than asked means that somebody else was quicker. */
export async function deleteParkedEvents(tx: Transaction, ids: readonly bigint[]): Promise<number> {
  return tx.$executeRawUnsafe('DELETE FROM parked_events WHERE id = ANY($1::bigint[])', intArray(ids));
}

/**
 * Unparks the user if nothing waits any more. Under the lane lock, so no event can slip in between. Returns whether the user is
 * parked no longer, also when it was somebody else who released them.
 */
export async function releaseIfEmpty(tx: Transaction, userId: string): Promise<boolean> {
  await tx.$executeRawUnsafe(
    `DELETE FROM parked_users AS u WHERE u.user_id = $1::uuid AND NOT EXISTS (SELECT FROM parked_events AS e WHERE e.user_id = u.user_id)`,
    userId,
  );
  const parked = await tx.$queryRawUnsafe<unknown[]>('SELECT 1 FROM parked_users WHERE user_id = $1::uuid', userId);
  return parked.length === 0;
}

export async function recordAttempt(tx: Transaction, userId: string, reason: string, error: string): Promise<void> {
  await tx.$executeRawUnsafe(
    'UPDATE parked_users SET attempts = attempts + 1, last_attempt_at = now(), reason = $2, error = $3 WHERE user_id = $1::uuid',
    userId,
    reason,
    error,
  );
}

const PARKED_USERS = `SELECT u.user_id AS "userId", u.reason, u.error, u.parked_at AS "parkedAt", u.attempts, u.last_attempt_at AS "lastAttemptAt",
       (SELECT count(*)::int FROM parked_events AS e WHERE e.user_id = u.user_id) AS events
  FROM parked_users AS u`;

export async function selectParkedUsers(database: Database, userId?: string): Promise<ParkedUser[]> {
  return database.$queryRawUnsafe<ParkedUser[]>(
    `${PARKED_USERS} WHERE $1::uuid IS NULL OR u.user_id = $1::uuid
      ORDER BY u.parked_at, u.user_id`,
    userId ?? null,
  );
}

/** A page of them, longest first; to the millisecond, which is what a cursor can carry. */
export async function selectParkedPage(database: Database, { after, limit }: { readonly after?: { readonly parkedAt: number; readonly userId: string } | undefined; readonly limit: number }): Promise<ParkedUser[]> {
  return database.$queryRawUnsafe<ParkedUser[]>(
    `${PARKED_USERS} WHERE $1::float8 IS NULL OR (date_trunc('milliseconds', u.parked_at), u.user_id) > (to_timestamp($1::float8 / 1000.0), $2::uuid)
      ORDER BY date_trunc('milliseconds', u.parked_at), u.user_id LIMIT $3::int`,
    after?.parkedAt ?? null,
    after?.userId ?? null,
    limit,
  );
}

export async function countParked(database: Database): Promise<{ users: number; events: number }> {
  const [row] = await database.$queryRawUnsafe<{ users: number; events: number }[]>(
    'SELECT (SELECT count(*)::int FROM parked_users) AS users, (SELECT count(*)::int FROM parked_events) AS events',
  );
  return row ?? { users: 0, events: 0 };
}
