import { storeHeaders } from '../platform/kafka/index.ts';
import { byteaArray, intArray, nameStatement, textArray, timestampArray, uuidArray, type Transaction } from '../platform/postgres/index.ts';
import { shardOf, type OutboxMessage } from './message.ts';

/*
 * `writer` is there for its side effect: it gives the transaction its xid, and the join makes that happen before the first id is
 * drawn. The relay's floor rests on it (floors.ts): whoever draws an id has an xid already, so that "every transaction up to that
 * xid has ended" says that no smaller id can appear any more.
 */
const ENQUEUE = nameStatement(
  `WITH writer AS MATERIALIZED (SELECT pg_current_xact_id() AS xid)
   INSERT INTO outbox (topic, shard, user_id, event_id, record_key, record_value, record_headers, partition, available_at)
   SELECT topic, shard, user_id, event_id, record_key, record_value, record_headers::jsonb, partition, available_at
     FROM writer CROSS JOIN unnest($1::text[], $2::smallint[], $3::uuid[], $4::uuid[], $5::bytea[], $6::bytea[], $7::text[], $8::int[], $9::timestamptz[]) WITH ORDINALITY
       AS m (topic, shard, user_id, event_id, record_key, record_value, record_headers, partition, available_at, n)
    ORDER BY n`,
  'enqueue_outbox',
);

/**
 * Adds messages to the outbox, in this order, as part of `tx`: they are published if and only if it commits. Of the users
 * concerned `tx` must hold the lanes, so that ids are drawn in the order in which the users' transactions take effect.
 */
export async function enqueue(tx: Transaction, messages: readonly OutboxMessage[]): Promise<void> {
  if (messages.length === 0) return;
  const written = await tx.$executeRawUnsafe(
    ENQUEUE,
    textArray(messages.map((message) => message.topic)),
    intArray(messages.map((message) => message.shard)),
    uuidArray(messages.map((message) => message.userId)),
    uuidArray(messages.map((message) => message.eventId)),
    byteaArray(messages.map((message) => message.key)),
    byteaArray(messages.map((message) => message.value)),
    textArray(messages.map(({ headers }) => (headers === undefined ? null : JSON.stringify(storeHeaders(headers))))),
    intArray(messages.map((message) => message.partition ?? null)),
    timestampArray(messages.map((message) => message.availableAt ?? null)),
  );
  if (written !== messages.length) throw new Error(`${messages.length} messages were to be enqueued, ${written} were`);
}

/** Which of these messages of a user are not published yet. Reads what waits in the user's shard. */
export async function selectUnpublished(tx: Transaction, userId: string, eventIds: readonly string[]): Promise<ReadonlySet<string>> {
  if (eventIds.length === 0) return new Set();
  const rows = await tx.$queryRawUnsafe<{ eventId: string }[]>('SELECT event_id AS "eventId" FROM outbox WHERE shard = $1::smallint AND event_id = ANY ($2::uuid[])', shardOf(userId), uuidArray(eventIds));
  return new Set(rows.map(({ eventId }) => eventId));
}
