import { intArray, nameStatement, textArray, uuidArray, type Database, type Transaction } from '../platform/postgres/index.ts';
import type { Sealed } from '../platform/secrets/index.ts';

/** A webhook as it is kept: which order, not what it said of it. */
export interface WebhookCall {
  readonly userId: string;
  /** CardTrader's id of the call. */
  readonly envelopeId: string;
  readonly cause: string;
  readonly orderId: number;
}

const READ_SECRETS = nameStatement(
  `SELECT s.user_id AS "userId", s.webhook_secret AS bytes, s.webhook_secret_key_id AS "keyId"
     FROM unnest($1::uuid[]) AS k (user_id) JOIN marketplace_sellers AS s ON s.user_id = k.user_id AND s.webhook_secret IS NOT NULL`,
  'read_webhook_secrets',
);

/** What CardTrader signs webhooks of these sellers with; those without an account, or without a secret, are left out. */
export async function readSecrets(database: Database, userIds: readonly string[]): Promise<Map<string, Sealed>> {
  const rows = await database.$queryRawUnsafe<{ userId: string; bytes: Uint8Array; keyId: string }[]>(READ_SECRETS, uuidArray(userIds));
  return new Map(rows.map(({ userId, bytes, keyId }) => [userId, { bytes, keyId }]));
}

/*
 * Without the lane: it adds rows nobody else changes, and must be done in milliseconds while an ingest chunk holds the lane. The
 * seller's row is touched last, and in one order, so that nobody waits for anybody in a circle.
 */
const KEEP_CALLS = nameStatement(
  `WITH added AS (
     INSERT INTO webhook_inbox (user_id, envelope_id, cause, order_id)
     SELECT user_id, envelope_id, cause, order_id FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) AS x (user_id, envelope_id, cause, order_id)
      ORDER BY user_id, envelope_id
     ON CONFLICT DO NOTHING
     RETURNING user_id, envelope_id),
   woken AS (
     UPDATE remote_order_polls AS p SET webhook_at = coalesce(LEAST(p.webhook_at, now()), now()), webhook_seq = p.webhook_seq + 1
       FROM (SELECT q.user_id FROM remote_order_polls AS q WHERE q.user_id IN (SELECT user_id FROM added) ORDER BY q.user_id FOR NO KEY UPDATE) AS u
      WHERE p.user_id = u.user_id)
   SELECT user_id AS "userId", envelope_id AS "envelopeId" FROM added`,
  'keep_webhooks',
);

/** Keeps calls and has their orders looked at; answers which of them are new. */
export async function keepCalls(database: Database, calls: readonly WebhookCall[]): Promise<{ userId: string; envelopeId: string }[]> {
  return database.$queryRawUnsafe(
    KEEP_CALLS,
    uuidArray(calls.map(({ userId }) => userId)),
    textArray(calls.map(({ envelopeId }) => envelopeId)),
    textArray(calls.map(({ cause }) => cause)),
    intArray(calls.map(({ orderId }) => orderId)),
  );
}

const READ_WAITING = nameStatement(
  'SELECT envelope_id AS "envelopeId", order_id::float8 AS "orderId" FROM webhook_inbox WHERE user_id = $1::uuid AND processed_at IS NULL ORDER BY received_at LIMIT $2::int',
  'read_waiting_webhooks',
);

/** Calls of a seller whose orders have not been read since, oldest first. */
export async function readWaiting(database: Database, userId: string, most: number): Promise<{ envelopeId: string; orderId: number }[]> {
  return database.$queryRawUnsafe(READ_WAITING, userId, most);
}

const MARK_PROCESSED = nameStatement('UPDATE webhook_inbox SET processed_at = now() WHERE user_id = $1::uuid AND envelope_id = ANY ($2::text[]) AND processed_at IS NULL', 'mark_webhooks_processed');

export async function markProcessed(tx: Transaction, userId: string, envelopeIds: readonly string[]): Promise<void> {
  if (envelopeIds.length > 0) await tx.$executeRawUnsafe(MARK_PROCESSED, userId, textArray(envelopeIds));
}

/** Forgets calls received longer ago, looked at or not: the poll has seen their orders many times since. Answers how many. */
export async function forgetCalls(tx: Transaction, { days, most }: { days: number; most: number }): Promise<number> {
  return tx.$executeRawUnsafe(
    `DELETE FROM webhook_inbox AS w USING (SELECT user_id, envelope_id FROM webhook_inbox WHERE received_at < now() - make_interval(days => $1::int) ORDER BY received_at LIMIT $2::int) AS old
      WHERE w.user_id = old.user_id AND w.envelope_id = old.envelope_id`,
    days,
    most,
  );
}
