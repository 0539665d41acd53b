import type { SourceRecord } from '../platform/consumer/index.ts';
import { byteaArray, intArray, textArray, timestampArray, uuidArray, type Database, type Transaction } from '../platform/postgres/index.ts';
import type { DeadLetterReason } from './record.ts';
import { sourceRecord, type SourceColumns } from './source-columns.ts';

/** What became of a dead letter. */
export const LETTER_STATES = ['open', 'redriven', 'discarded'] as const;
export type LetterState = (typeof LETTER_STATES)[number];

export interface DeadLetter {
  id: bigint;
  reason: DeadLetterReason;
  detail: string;
  userId: string | null;
  eventId: string | null;
  consumerGroup: string;
  createdAt: Date;
  state: LetterState;
  stateAt: Date | null;
  /** Who sent it again or gave it up, and why. */
  stateBy: string | null;
  stateReason: string | null;
  /** The dead letter whose redrive this record was. */
  redriveOf: bigint | null;
  /** Id it was sent again under. */
  sentEventId: string | null;
  /** What was sent instead of the source's key and value. */
  edited: { key: Buffer | null; value: Buffer } | null;
  source: SourceRecord;
}

/** Which dead letters; what is left out does not matter. */
export interface LetterFilter {
  ids?: readonly bigint[];
  states?: readonly LetterState[];
  reasons?: readonly DeadLetterReason[];
  userId?: string;
  eventId?: string;
  /** Those that a redrive of this one has become. */
  redriveOf?: bigint;
  topic?: string;
  partition?: number;
  /** Buried at or after, and before (ms since 1970). */
  since?: number;
  until?: number;
}

/** A page: from where on, and how many. */
export interface LetterPage {
  order: 'newest' | 'oldest';
  /** Id of the last one of the page before. */
  after?: bigint;
  limit: number;
}

const COLUMNS = `id, reason, detail, user_id AS "userId", event_id AS "eventId", consumer_group AS "consumerGroup", created_at AS "createdAt",
  state, state_at AS "stateAt", state_by AS "stateBy", state_reason AS "stateReason", redrive_of AS "redriveOf", sent_event_id AS "sentEventId", edited_key, edited_value,
  topic, partition, "offset", extract(epoch FROM record_timestamp)::float8 * 1000 AS record_timestamp,
  record_key, record_value, record_headers`;

type Row = Omit<DeadLetter, 'source' | 'edited'> & SourceColumns & { edited_key: Uint8Array | null; edited_value: Uint8Array | null };

const deadLetter = (row: Row): DeadLetter => ({
  id: row.id,
  reason: row.reason,
  detail: row.detail,
  userId: row.userId,
  eventId: row.eventId,
  consumerGroup: row.consumerGroup,
  createdAt: row.createdAt,
  state: row.state,
  stateAt: row.stateAt,
  stateBy: row.stateBy,
  stateReason: row.stateReason,
  redriveOf: row.redriveOf,
  sentEventId: row.sentEventId,
  edited: row.edited_value === null ? null : { key: row.edited_key === null ? null : Buffer.from(row.edited_key), value: Buffer.from(row.edited_value) },
  source: sourceRecord(row),
});

/** Conditions with their parameters; those that are not asked for are not written, so that each filter is planned for itself. */
function conditions({ ids, states, reasons, userId, eventId, redriveOf, topic, partition, since, until }: LetterFilter): { where: string[]; values: (string | Buffer)[] } {
  const where: string[] = [];
  const values: (string | Buffer)[] = [];
  const add = (condition: (parameter: string) => string, value: string | Buffer | undefined): void => {
    if (value === undefined) return;
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  add((p) => `id = ANY(${p}::bigint[])`, ids && intArray(ids));
  add((p) => `state = ANY(${p}::text[])`, states && textArray(states));
  add((p) => `reason = ANY(${p}::text[])`, reasons && textArray(reasons));
  add((p) => `user_id = ANY(${p}::uuid[])`, userId === undefined ? undefined : uuidArray([userId]));
  add((p) => `event_id = ANY(${p}::uuid[])`, eventId === undefined ? undefined : uuidArray([eventId]));
  add((p) => `redrive_of = ANY(${p}::bigint[])`, redriveOf === undefined ? undefined : intArray([redriveOf]));
  add((p) => `topic = ${p}::text`, topic);
  add((p) => `partition = ANY(${p}::int[])`, partition === undefined ? undefined : intArray([partition]));
  add((p) => `created_at >= (${p}::timestamptz[])[1]`, since === undefined ? undefined : timestampArray([since]));
  add((p) => `created_at < (${p}::timestamptz[])[1]`, until === undefined ? undefined : timestampArray([until]));
  return { where, values };
}

/** One page, by id: however many there are, a page costs what it holds. */
export async function selectDeadLetters(database: Database, filter: LetterFilter, { order, after, limit }: LetterPage): Promise<DeadLetter[]> {
  const { where, values } = conditions(filter);
  if (after !== undefined) {
    values.push(intArray([after]));
    where.push(`id ${order === 'newest' ? '<' : '>'} ($${values.length}::bigint[])[1]`);
  }
  const rows = await database.$queryRawUnsafe<Row[]>(
    `SELECT ${COLUMNS} FROM dead_letters ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')} `}ORDER BY id ${order === 'newest' ? 'DESC' : 'ASC'} LIMIT ${limit}`,
    ...values,
  );
  return rows.map(deadLetter);
}

/** How many there are, by reason; with `newest` of so many only, for who asks often. */
export async function countDeadLetters(database: Database, filter: LetterFilter, { newest }: { newest?: number } = {}): Promise<{ reason: DeadLetterReason; letters: number }[]> {
  const { where, values } = conditions(filter);
  const found = `SELECT reason FROM dead_letters ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')} `}${newest === undefined ? '' : `ORDER BY id DESC LIMIT ${newest}`}`;
  return database.$queryRawUnsafe(`SELECT reason, count(*)::int AS letters FROM (${found}) AS found GROUP BY reason ORDER BY reason`, ...values);
}

export interface SentLetter {
  readonly id: bigint;
  /** Under which id it goes out, if one is known. */
  readonly eventId: string | null;
  readonly edited: { readonly key: Buffer; readonly value: Buffer } | null;
}

/** Marks as sent again those that are still open, and answers which: whoever comes second gets none. */
export async function markRedriven(tx: Transaction, letters: readonly SentLetter[], by: { who: string; reason: string }): Promise<Set<bigint>> {
  const rows = await tx.$queryRawUnsafe<{ id: bigint }[]>(
    `UPDATE dead_letters AS d
        SET state = 'redriven', state_at = now(), state_by = $1, state_reason = $2, sent_event_id = s.event_id, edited_key = s.edited_key, edited_value = s.edited_value
       FROM unnest($3::bigint[], $4::uuid[], $5::bytea[], $6::bytea[]) AS s (id, event_id, edited_key, edited_value)
      WHERE d.id = s.id AND d.state = 'open'
     RETURNING d.id`,
    by.who,
    by.reason,
    intArray(letters.map(({ id }) => id)),
    uuidArray(letters.map(({ eventId }) => eventId)),
    byteaArray(letters.map(({ edited }) => edited?.key ?? null)),
    byteaArray(letters.map(({ edited }) => edited?.value ?? null)),
  );
  return new Set(rows.map(({ id }) => id));
}

/** Marks as given up those that are still open, and answers which. */
export async function markDiscarded(tx: Transaction, ids: readonly bigint[], by: { who: string; reason: string }): Promise<Set<bigint>> {
  const rows = await tx.$queryRawUnsafe<{ id: bigint }[]>(
    `UPDATE dead_letters SET state = 'discarded', state_at = now(), state_by = $1, state_reason = $2 WHERE id = ANY($3::bigint[]) AND state = 'open' RETURNING id`,
    by.who,
    by.reason,
    intArray(ids),
  );
  return new Set(rows.map(({ id }) => id));
}
