import type { StoredHeader } from '../platform/kafka/index.ts';
import { intArray, nameStatement, type Session } from '../platform/postgres/index.ts';
import type { FloorFacts, Floors } from './floors.ts';

/** An unpublished row, as the relay reads it. */
export interface OutboxRow {
  readonly id: bigint;
  readonly shard: number;
  readonly partition: number | null;
  readonly userId: string | null;
  readonly eventId: string | null;
  readonly topic: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly StoredHeader[] | null;
}

type Tuple = { id: string; shard: number; partition: number | null; user_id: string | null; event_id: string | null; topic: string; record_key: Buffer | null; record_value: Buffer | null; record_headers: StoredHeader[] | null };

/*
 * Unpublished rows in the order of their ids, never "behind the last one seen": a smaller id may become visible after a larger one,
 * and skipping it would lose it or break its user's order (test/integration/outbox/variants.test.ts shows it). Who is blocked is
 * left out, with everything behind: NOT IN, because PostgreSQL then reads the blocked ones once and hashes them (100,000 rows that
 * wait are passed over in 14 ms; as NOT EXISTS, a look-up each, in 52). Sizes are known without reading what is stored apart, so that
 * rows of a megabyte do not come by the thousand.
 */
export const READ_ROWS = nameStatement(
  `SELECT id, shard, partition, user_id, event_id, topic, record_key, record_value, record_headers
     FROM (SELECT r.*, row_number() OVER (ORDER BY r.id) AS place,
                  sum(coalesce(octet_length(r.record_key), 0) + coalesce(octet_length(r.record_value), 0) + coalesce(pg_column_size(r.record_headers), 0)) OVER (ORDER BY r.id) AS bytes
             FROM unnest($1::smallint[], $2::bigint[]) AS s (shard, floor)
            CROSS JOIN LATERAL (
                  SELECT * FROM outbox AS o
                   WHERE o.shard = s.shard AND o.id > s.floor
                     AND (o.available_at IS NULL OR o.available_at <= now())
                     AND (o.user_id IS NULL OR o.user_id NOT IN (SELECT b.user_id FROM outbox_blocked AS b WHERE b.user_id IS NOT NULL))
                     AND o.id NOT IN (SELECT b.id FROM outbox_blocked AS b)
                   ORDER BY o.shard, o.id
                   LIMIT $3::int) AS r) AS rows
    WHERE bytes <= $4::bigint OR place = 1
    ORDER BY id`,
  'read_outbox',
);

/** The next rows to publish of these shards: at most `rows` of each, and at most `bytes` together (or one row). */
export async function readRows(session: Session, floors: ReadonlyMap<number, bigint>, limits: { rows: number; bytes: number }): Promise<OutboxRow[]> {
  const tuples = await session.query<Tuple>(READ_ROWS, [intArray([...floors.keys()]), intArray([...floors.values()]), limits.rows, limits.bytes]);
  return tuples.map((row) => ({
    id: BigInt(row.id),
    shard: row.shard,
    partition: row.partition,
    userId: row.user_id,
    eventId: row.event_id,
    topic: row.topic,
    key: row.record_key,
    value: row.record_value,
    headers: row.record_headers,
  }));
}

/*
 * Found by key in a subquery of its own, deleted where they stand. As a join PostgreSQL may choose to walk the whole key for each row:
 * analysed in a moment when the outbox is empty, it takes the table for empty, while the dead rows that somebody's old snapshot
 * keeps are still in the key (at 1,000 rows a second, p99 rose from 12 to 65 ms within two minutes).
 */
export const DELETE_ROWS = nameStatement(
  `DELETE FROM outbox WHERE ctid = ANY (ARRAY(
     SELECT o.ctid FROM unnest($1::smallint[], $2::bigint[]) AS d (shard, id)
      CROSS JOIN LATERAL (SELECT ctid FROM outbox WHERE outbox.shard = d.shard AND outbox.id = d.id OFFSET 0) AS o))`,
  'delete_outbox',
);

/** Kafka has them. Rows that somebody else has deleted meanwhile are no fault: they were published twice. */
export async function deleteRows(session: Session, rows: readonly OutboxRow[]): Promise<void> {
  await session.query(DELETE_ROWS, [intArray(rows.map((row) => row.shard)), intArray(rows.map((row) => row.id))]);
}

const BLOCK_ROW = `INSERT INTO outbox_blocked (shard, id, user_id, error) VALUES ($1, $2, $3, $4)
  ON CONFLICT (shard, id) DO UPDATE SET blocked_at = now(), error = EXCLUDED.error`;

/** Kafka refuses this row for good: it and what follows of its user wait for an operator. */
export async function blockRow(session: Session, row: OutboxRow, error: string): Promise<void> {
  await session.query(BLOCK_ROW, [row.shard, row.id.toString(), row.userId, error]);
}

// One statement, so one snapshot: xmin speaks of the very rows that are read with it.
const FLOOR_FACTS = nameStatement(
  `SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin, pg_current_xact_id()::text AS xid,
          (SELECT json_object_agg(s.shard, (SELECT o.id::text FROM outbox AS o
                                             WHERE o.shard = s.shard AND o.id > s.floor AND o.id <= s.candidate ORDER BY o.shard, o.id LIMIT 1))
             FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS s (shard, floor, candidate)) AS lowest`,
  'outbox_floor_facts',
);

export async function readFloorFacts(session: Session, floors: Floors, shards: readonly number[]): Promise<FloorFacts> {
  const [row] = await session.query<{ xmin: string; xid: string; lowest: Record<string, string | null> | null }>(FLOOR_FACTS, [
    intArray(shards),
    intArray(shards.map((shard) => floors.floorOf(shard))),
    intArray(shards.map((shard) => floors.candidateOf(shard))),
  ]);
  if (row === undefined) throw new Error('a query without FROM answers one row');
  const lowest = new Map(Object.entries(row.lowest ?? {}).flatMap(([shard, id]) => (id === null ? [] : [[Number(shard), BigInt(id)] as const])));
  return { xmin: BigInt(row.xmin), xid: BigInt(row.xid), lowest };
}

const BELOW_FLOOR = `SELECT s.shard, b.id::text AS id FROM unnest($1::smallint[], $2::bigint[]) AS s (shard, floor)
  CROSS JOIN LATERAL (SELECT o.id FROM outbox AS o WHERE o.shard = s.shard AND o.id <= s.floor ORDER BY o.shard, o.id LIMIT 1) AS b`;

/** Rows below a floor, which there must not be: the lowest of each shard. */
export async function readBelowFloors(session: Session, floors: ReadonlyMap<number, bigint>): Promise<{ shard: number; id: string }[]> {
  return session.query<{ shard: number; id: string }>(BELOW_FLOOR, [intArray([...floors.keys()]), intArray([...floors.values()])]);
}
