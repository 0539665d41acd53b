import { intArray, uuidArray, type Database } from '../../platform/postgres/index.ts';
import type { DeadLetterReason } from '../../records/index.ts';

/** What is known of an event before it is sent again. */
export interface Evidence {
  /** Its row in the ledger: a applied, s stale, d dead-lettered, r rejected; null: the ledger does not know it. */
  outcome: 'a' | 's' | 'd' | 'r' | null;
  recordedAt: Date | null;
  /** It waits with its parked user. */
  parked: boolean;
  /** Of its item: the producer's version, and when the newest event in its history occurred. */
  itemVersion: number | null;
  itemOccurredAt: Date | null;
}

export interface Question {
  eventId: string;
  userId: string;
  /** The item it sets; null: it sets none. */
  itemId: string | null;
}

/** In the order of the questions; one look-up by key each. */
export async function readEvidence(database: Database, questions: readonly Question[]): Promise<Evidence[]> {
  return database.$queryRawUnsafe<Evidence[]>(
    `SELECT l.outcome::text AS outcome, l.recorded_at AS "recordedAt", p.event_id IS NOT NULL AS parked, i.version::float8 AS "itemVersion", last.occurred_at AS "itemOccurredAt"
       FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS q (event_id, user_id, item_id, n)
       LEFT JOIN stock_ledger AS l ON l.event_id = q.event_id
       LEFT JOIN parked_events AS p ON p.event_id = q.event_id
       LEFT JOIN inventory_items AS i ON i.user_id = q.user_id AND i.item_id = q.item_id
       LEFT JOIN stock_ledger AS last ON last.event_id = i.last_event_id
      ORDER BY q.n`,
    uuidArray(questions.map(({ eventId }) => eventId)),
    uuidArray(questions.map(({ userId }) => userId)),
    uuidArray(questions.map(({ itemId }) => itemId)),
  );
}

/** What became of one that was sent again; it has no row while nothing shows it. */
export interface Outcome {
  id: bigint;
  outcome: 'a' | 's' | 'd' | 'r' | null;
  parked: boolean;
  /** The dead letter it has become. */
  deadId: bigint | null;
  deadReason: DeadLetterReason | null;
  deadDetail: string | null;
}

export async function readOutcomes(database: Database, sent: readonly { id: bigint; eventId: string | null }[]): Promise<Outcome[]> {
  return database.$queryRawUnsafe<Outcome[]>(
    `SELECT s.id, l.outcome::text AS outcome, p.event_id IS NOT NULL AS parked, d.id AS "deadId", d.reason AS "deadReason", d.detail AS "deadDetail"
       FROM unnest($1::bigint[], $2::uuid[]) AS s (id, event_id)
       LEFT JOIN LATERAL (SELECT id, reason, detail FROM dead_letters WHERE redrive_of = s.id ORDER BY id DESC LIMIT 1) AS d ON true
       LEFT JOIN stock_ledger AS l ON l.event_id = s.event_id
       LEFT JOIN parked_events AS p ON p.event_id = s.event_id
      WHERE d.id IS NOT NULL OR l.event_id IS NOT NULL OR p.event_id IS NOT NULL`,
    intArray(sent.map(({ id }) => id)),
    uuidArray(sent.map(({ eventId }) => eventId)),
  );
}
