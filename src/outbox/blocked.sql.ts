import { type Database, type Transaction } from '../platform/postgres/index.ts';

/** A row Kafka refused for good, and what waits behind it. */
export interface BlockedRow {
  id: bigint;
  shard: number;
  /** Null if somebody has deleted the row by hand: its user is blocked all the same, until a retry. */
  topic: string | null;
  /** Null: nobody waits behind it. */
  userId: string | null;
  eventId: string | null;
  /** Size of the record's value, bytes. */
  bytes: number | null;
  error: string;
  blockedAt: Date;
  /** How often Kafka was asked. */
  attempts: number;
  /** Later rows of the user. */
  waiting: number;
}

/** Longest blocked first. */
export async function selectBlocked(database: Database, id?: bigint): Promise<BlockedRow[]> {
  return database.$queryRawUnsafe<BlockedRow[]>(
    `SELECT b.id, b.shard, o.topic, b.user_id AS "userId", o.event_id AS "eventId", octet_length(o.record_value) AS bytes, b.error, b.blocked_at AS "blockedAt",
            (SELECT 1 + count(*)::int FROM operator_actions AS a WHERE a.target = b.id::text AND a.action = '${RETRIED}') AS attempts,
            (SELECT count(*)::int FROM outbox AS w WHERE w.shard = b.shard AND w.id > b.id AND w.user_id = b.user_id) AS waiting
       FROM outbox_blocked AS b LEFT JOIN outbox AS o ON o.shard = b.shard AND o.id = b.id
      WHERE $1::bigint IS NULL OR b.id = $1::bigint
      ORDER BY b.blocked_at, b.id`,
    id?.toString() ?? null,
  );
}

/** What `operator_actions` calls a retry, and giving a row up. */
export const RETRIED = 'outbox.retry';
export const SKIPPED = 'outbox.skip';

/** Lets the relay try the row again. False: it was not blocked. */
export async function unblock(tx: Transaction, row: Pick<BlockedRow, 'shard' | 'id'>): Promise<boolean> {
  return (await tx.$executeRawUnsafe('DELETE FROM outbox_blocked WHERE shard = $1::smallint AND id = $2::bigint', row.shard, row.id)) === 1;
}

/** Takes the row out of the outbox, unpublished. */
export async function dropRow(tx: Transaction, row: Pick<BlockedRow, 'shard' | 'id'>): Promise<void> {
  await tx.$executeRawUnsafe('DELETE FROM outbox WHERE shard = $1::smallint AND id = $2::bigint', row.shard, row.id);
}

export interface OutboxStats {
  /** Unpublished rows by topic; counted up to 100,000 in all. */
  pending: ReadonlyMap<string, number>;
  /** Age of the oldest row that could be published, blocked ones not counted; 0 when there is none. */
  oldestSeconds: number;
  blockedRows: number;
  /** Users who wait behind a blocked row. */
  blockedUsers: number;
}

export async function readOutboxStats(database: Database, shards: number): Promise<OutboxStats> {
  const topics = await database.$queryRawUnsafe<{ topic: string; rows: number }[]>('SELECT topic, count(*)::int AS rows FROM (SELECT topic FROM outbox LIMIT 100000) AS counted GROUP BY topic');
  const [row] = await database.$queryRawUnsafe<{ oldest: number | null; rows: number; users: number }[]>(
    `SELECT (SELECT extract(epoch FROM clock_timestamp() - min(coalesce(first.available_at, first.created_at)))::float8
               FROM generate_series(0, ${shards - 1}) AS s (shard)
              CROSS JOIN LATERAL (SELECT o.available_at, o.created_at FROM outbox AS o
                                   WHERE o.shard = s.shard AND (o.available_at IS NULL OR o.available_at <= now())
                                     AND (o.user_id IS NULL OR o.user_id NOT IN (SELECT b.user_id FROM outbox_blocked AS b WHERE b.user_id IS NOT NULL))
                                     AND o.id NOT IN (SELECT b.id FROM outbox_blocked AS b)
                                   ORDER BY o.shard, o.id LIMIT 1) AS first) AS oldest,
            (SELECT count(*)::int FROM outbox_blocked) AS rows,
            (SELECT count(DISTINCT user_id)::int FROM outbox_blocked) AS users`,
  );
  return { pending: new Map(topics.map(({ topic, rows }) => [topic, rows])), oldestSeconds: Math.max(0, row?.oldest ?? 0), blockedRows: row?.rows ?? 0, blockedUsers: row?.users ?? 0 };
}
