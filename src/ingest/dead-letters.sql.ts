import { intArray, textArray, uuidArray, type Database, type Transaction } from '../platform/postgres/index.ts';
import type { DeadEntry, DeadLetterReason, SourceRecord } from './record.ts';
import { sourceColumns, sourceRecord, type SourceColumns } from './source-columns.ts';

export interface DeadLetter {
  id: bigint;
  reason: DeadLetterReason;
  detail: string;
  userId: string | null;
  eventId: string | null;
  consumerGroup: string;
  createdAt: Date;
  publishedAt: Date | null;
  source: SourceRecord;
}

/** Keeps each record once: unique by position, so that a replay does not dead-letter it twice. */
export async function insertDeadLetters(tx: Transaction, entries: readonly DeadEntry[], consumerGroup: string): Promise<void> {
  await tx.$executeRawUnsafe(
    `INSERT INTO dead_letters (reason, detail, user_id, event_id, consumer_group,
                               topic, partition, "offset", record_timestamp, record_key, record_value, record_headers)
     SELECT reason, detail, user_id, event_id, $5,
            topic, partition, "offset", record_timestamp, record_key, record_value, record_headers::jsonb
       FROM unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $6::text[], $7::int[], $8::bigint[], $9::timestamptz[], $10::bytea[], $11::bytea[], $12::text[]) WITH ORDINALITY
         AS d (reason, detail, user_id, event_id, topic, partition, "offset", record_timestamp, record_key, record_value, record_headers, n)
      ORDER BY n
         ON CONFLICT (topic, partition, "offset") DO NOTHING`,
    textArray(entries.map((entry) => entry.reason)),
    textArray(entries.map((entry) => storable(entry.detail))),
    uuidArray(entries.map((entry) => entry.userId)),
    uuidArray(entries.map((entry) => entry.eventId)),
    consumerGroup,
    ...sourceColumns(entries.map((entry) => entry.source)),
  );
}

/** Bounded, and without the one character PostgreSQL's text cannot hold: a detail quotes what a stranger has sent. */
function storable(text: string): string {
  return text.replaceAll('\u0000', '\\0').slice(0, 1_000);
}

const COLUMNS = `id, reason, detail, user_id AS "userId", event_id AS "eventId", consumer_group AS "consumerGroup", created_at AS "createdAt",
  published_at AS "publishedAt", topic, partition, "offset", extract(epoch FROM record_timestamp)::float8 * 1000 AS record_timestamp,
  record_key, record_value, record_headers`;

type Row = Omit<DeadLetter, 'source'> & SourceColumns;

const deadLetter = (row: Row): DeadLetter => ({
  id: row.id,
  reason: row.reason,
  detail: row.detail,
  userId: row.userId,
  eventId: row.eventId,
  consumerGroup: row.consumerGroup,
  createdAt: row.createdAt,
  publishedAt: row.publishedAt,
  source: sourceRecord(row),
});

/** The oldest dead letters not yet published, claimed for this transaction; others skip them. */
export async function claimUnpublished(tx: Transaction, limit: number): Promise<DeadLetter[]> {
  const rows = await tx.$queryRawUnsafe<Row[]>(`SELECT ${COLUMNS} FROM dead_letters WHERE published_at IS NULL ORDER BY id LIMIT ${limit} FOR UPDATE SKIP LOCKED`);
  return rows.map(deadLetter);
}

export async function markPublished(tx: Transaction, ids: readonly bigint[]): Promise<void> {
  await tx.$executeRawUnsafe('UPDATE dead_letters SET published_at = now() WHERE id = ANY($1::bigint[])', intArray(ids));
}

/** Newest first. */
export async function selectDeadLetters(database: Database, filter: { reason?: DeadLetterReason; limit: number }): Promise<DeadLetter[]> {
  const rows = await database.$queryRawUnsafe<Row[]>(
    `SELECT ${COLUMNS} FROM dead_letters WHERE $1::text IS NULL OR reason = $1 ORDER BY id DESC LIMIT ${filter.limit}`,
    filter.reason ?? null,
  );
  return rows.map(deadLetter);
}

/** How many dead letters there are to publish: an index-only count of the partial index. */
export async function countUnpublished(database: Database): Promise<number> {
  const [row] = await database.$queryRawUnsafe<{ n: number }[]>('SELECT count(*)::int AS n FROM dead_letters WHERE published_at IS NULL');
  return row?.n ?? 0;
}

/** Deletes up to `limit` of the oldest dead letters that were published and created before `before` (ms). Answers how many. */
export async function deleteOldDeadLetters(tx: Transaction, before: number, limit: number): Promise<number> {
  return tx.$executeRawUnsafe(
    `DELETE FROM dead_letters
      WHERE id IN (SELECT id FROM dead_letters
                    WHERE published_at IS NOT NULL AND created_at < to_timestamp(($1::float8[])[1] / 1000.0)
                    ORDER BY id LIMIT ${limit} FOR UPDATE SKIP LOCKED)`,
    intArray([before]),
  );
}
