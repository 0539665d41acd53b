import type { SourceRecord } from '../platform/consumer/index.ts';
import { intArray, textArray, uuidArray, type Transaction } from '../platform/postgres/index.ts';
import type { DeadEntry } from './record.ts';
import { redriveOf } from './redriven.ts';
import { sourceColumns } from './source-columns.ts';

/**
 * Keeps each record once: unique by position, so that a replay does not dead-letter it twice. Answers which of `entries` are new,
 * by index, with the ids they were given.
 */
export async function insertDeadLetters(tx: Transaction, entries: readonly DeadEntry[], consumerGroup: string): Promise<Map<number, bigint>> {
  const rows = await tx.$queryRawUnsafe<{ id: bigint; topic: string; partition: number; offset: bigint }[]>(
    `INSERT INTO dead_letters (reason, detail, user_id, event_id, redrive_of, consumer_group, state, state_at, state_reason,
                               topic, partition, "offset", record_timestamp, record_key, record_value, record_headers)
     SELECT reason, detail, user_id, event_id, redrive_of, $5,
            CASE reason WHEN 'discarded' THEN 'discarded' ELSE 'open' END, CASE reason WHEN 'discarded' THEN now() END, CASE reason WHEN 'discarded' THEN detail END,
            topic, partition, "offset", record_timestamp, record_key, record_value, record_headers::jsonb
       FROM unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $6::text[], $7::int[], $8::bigint[], $9::timestamptz[], $10::bytea[], $11::bytea[], $12::text[], $13::bigint[]) WITH ORDINALITY
         AS d (reason, detail, user_id, event_id, topic, partition, "offset", record_timestamp, record_key, record_value, record_headers, redrive_of, n)
      ORDER BY n
         ON CONFLICT (topic, partition, "offset") DO NOTHING
      RETURNING id, topic, partition, "offset"`,
    textArray(entries.map((entry) => entry.reason)),
    textArray(entries.map((entry) => storable(entry.detail))),
    uuidArray(entries.map((entry) => entry.userId)),
    uuidArray(entries.map((entry) => entry.eventId)),
    consumerGroup,
    ...sourceColumns(entries.map((entry) => entry.source)),
    intArray(entries.map((entry) => redriveOf(entry.source))),
  );
  const ids = new Map(rows.map(({ id, topic, partition, offset }) => [`${topic}/${partition}/${offset}`, id]));
  return new Map(entries.flatMap(({ source }, index) => {
    const id = ids.get(`${source.topic}/${source.partition}/${source.offset}`);
    return id === undefined ? [] : [[index, id] as const];
  }));
}

/** Which of these records are dead letters already, by index. Needs the lanes of their users. */
export async function readBuried(tx: Transaction, sources: readonly Pick<SourceRecord, 'topic' | 'partition' | 'offset'>[]): Promise<Set<number>> {
  if (sources.length === 0) return new Set();
  const rows = await tx.$queryRawUnsafe<{ n: number }[]>(
    `SELECT (k.n - 1)::int AS n FROM unnest($1::text[], $2::int[], $3::bigint[]) WITH ORDINALITY AS k (topic, partition, "offset", n)
       JOIN dead_letters AS d ON d.topic = k.topic AND d.partition = k.partition AND d."offset" = k."offset"`,
    textArray(sources.map(({ topic }) => topic)),
    intArray(sources.map(({ partition }) => partition)),
    intArray(sources.map(({ offset }) => Number(offset))),
  );
  return new Set(rows.map(({ n }) => n));
}

/** A detail, bounded and without the one character PostgreSQL's text cannot hold: it quotes what a stranger has sent. */
export function storable(text: string): string {
  return text.replaceAll('\u0000', '\\0').slice(0, 1_000);
}

/**
 * Deletes those of the `limit` oldest dead letters that were created before `before` (ms). Answers how many. Ids are drawn in the order of time, so the others are not
 * looked at: as a rule there is nothing to delete, and to find that out must not mean to read them all.
 */
export async function deleteOldDeadLetters(tx: Transaction, before: number, limit: number): Promise<number> {
  return tx.$executeRawUnsafe(
    `DELETE FROM dead_letters
      WHERE id IN (SELECT id FROM dead_letters
                    WHERE id <= (SELECT max(id) FROM (SELECT id FROM dead_letters ORDER BY id LIMIT ${limit}) AS oldest)
                      AND created_at < to_timestamp(($1::float8[])[1] / 1000.0)
                    ORDER BY id FOR UPDATE SKIP LOCKED)`,
    intArray([before]),
  );
}
