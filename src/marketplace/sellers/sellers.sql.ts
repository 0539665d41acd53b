import { byteaArray, type Database, type Transaction } from '../../platform/postgres/index.ts';
import type { Sealed } from '../../platform/secrets/index.ts';
import type { RemoteApp } from '../client/index.ts';
import type { Seller, SellerStatus } from './seller.ts';

const SELLERS = `SELECT s.user_id AS "userId", s.status, s.status_reason AS "statusReason", s.status_at AS "statusAt", s.added_at AS "addedAt", s.checked_at AS "checkedAt",
       s.seller_id::float8 AS "sellerId", s.app_name AS "appName", s.token_hint AS "tokenHint", s.token_key_id AS "tokenKeyId", s.listing_sync AS "listingSync", s.buffer,
       CASE WHEN s.open_until > now() THEN s.open_until END AS "openUntil", coalesce(s.lease_until > now(), false) AS leased,
       (SELECT count(*)::int FROM marketplace_listings AS l WHERE l.user_id = s.user_id) AS listings,
       (SELECT count(*)::int FROM marketplace_listings AS l WHERE l.user_id = s.user_id AND l.mismatch IS NOT NULL) AS mismatches,
       (SELECT count(*)::int FROM marketplace_operations AS o WHERE o.user_id = s.user_id AND o.due_at IS NOT NULL) AS outstanding
  FROM marketplace_sellers AS s`;

export async function selectSellers(database: Database): Promise<Seller[]> {
  return database.$queryRawUnsafe(`${SELLERS} ORDER BY s.added_at, s.user_id`);
}

export async function selectSeller(database: Database, userId: string): Promise<Seller | undefined> {
  const [seller] = await database.$queryRawUnsafe<Seller[]>(`${SELLERS} WHERE s.user_id = $1::uuid`, userId);
  return seller;
}

/** Another user here who has the same CardTrader account. */
export async function selectHolder(database: Database, userId: string, app: Pick<RemoteApp, 'id' | 'sellerId'>): Promise<string | undefined> {
  const [holder] = await database.$queryRawUnsafe<{ userId: string }[]>(
    'SELECT user_id AS "userId" FROM marketplace_sellers WHERE user_id <> $1::uuid AND (seller_id = $2::float8::bigint OR app_id = $3::float8::bigint) LIMIT 1',
    userId,
    app.sellerId,
    app.id,
  );
  return holder?.userId;
}

export async function selectToken(database: Database, userId: string): Promise<Sealed | undefined> {
  const [row] = await database.$queryRawUnsafe<{ token: Uint8Array; tokenKeyId: string }[]>('SELECT token, token_key_id AS "tokenKeyId" FROM marketplace_sellers WHERE user_id = $1::uuid', userId);
  return row === undefined ? undefined : { keyId: row.tokenKeyId, bytes: row.token };
}

/** Tokens and webhook secrets of all sellers. */
export async function selectSecrets(database: Database): Promise<{ userId: string; secret: SecretName; sealed: Sealed }[]> {
  const rows = await database.$queryRawUnsafe<{ userId: string; secret: SecretName; bytes: Uint8Array; keyId: string }[]>(
    `SELECT user_id AS "userId", 'token' AS secret, token AS bytes, token_key_id AS "keyId" FROM marketplace_sellers
      UNION ALL SELECT user_id, 'webhook_secret', webhook_secret, webhook_secret_key_id FROM marketplace_sellers WHERE webhook_secret IS NOT NULL
      ORDER BY 1, 2`,
  );
  return rows.map(({ userId, secret, bytes, keyId }) => ({ userId, secret, sealed: { keyId, bytes } }));
}

export type SecretName = 'token' | 'webhook_secret';

/** Looks again at once at whatever is outstanding. */
const WORK_AT = `(SELECT now() FROM marketplace_operations AS o WHERE o.user_id = s.user_id AND o.due_at IS NOT NULL LIMIT 1)`;

/**
 * A new seller, or a new token for one; active from now on. Another account than before is taken on now: what it had sold by then is in the stock that is here, and its orders are read from
 * the beginning, which the ids of the other one's say nothing of; nor does what is known of the other one's stock, in a bulk sync that is under way or as drift. Needs the user's lane.
 */
export async function upsertSeller(tx: Transaction, userId: string, sealed: Sealed, hint: string, app: RemoteApp, webhookSecret: Sealed | null): Promise<void> {
  await tx.$executeRawUnsafe(
    `WITH exchanged AS (
       SELECT o.user_id FROM marketplace_sellers AS o WHERE o.user_id = $1::uuid AND o.seller_id <> $7::float8::bigint),
     read_anew AS (
       UPDATE remote_order_polls AS p SET through_id = NULL, next_poll_at = now(), lease_owner = NULL, lease_until = NULL FROM exchanged AS e WHERE p.user_id = e.user_id),
     called_off AS (
       UPDATE bulk_sync_jobs AS j SET state = 'CANCELLED', due_at = NULL, ended_at = now(), lease_owner = NULL, lease_until = NULL FROM exchanged AS e WHERE j.user_id = e.user_id AND j.due_at IS NOT NULL),
     forgotten AS (
       DELETE FROM drift AS d USING exchanged AS e WHERE d.user_id = e.user_id)
     INSERT INTO marketplace_sellers AS s (user_id, status, token, token_key_id, token_hint, app_id, app_name, seller_id, checked_at, webhook_secret, webhook_secret_key_id)
     VALUES ($1::uuid, 'active', ($2::bytea[])[1], $3, $4, $5::float8::bigint, $6, $7::float8::bigint, now(), ($2::bytea[])[2], $8)
     ON CONFLICT (user_id) DO UPDATE
       SET status = 'active', status_reason = NULL, status_at = now(), token = excluded.token, token_key_id = excluded.token_key_id, token_hint = excluded.token_hint,
           app_id = excluded.app_id, app_name = excluded.app_name, seller_id = coalesce(excluded.seller_id, s.seller_id), added_at = CASE WHEN excluded.seller_id <> s.seller_id THEN now() ELSE s.added_at END, checked_at = now(), failures = 0, open_until = NULL, work_at = ${WORK_AT},
           webhook_secret = coalesce(excluded.webhook_secret, s.webhook_secret), webhook_secret_key_id = coalesce(excluded.webhook_secret_key_id, s.webhook_secret_key_id)`,
    userId,
    byteaArray([sealed.bytes, webhookSecret?.bytes ?? null]),
    sealed.keyId,
    hint,
    app.id,
    app.name?.replaceAll('\0', '') ?? null,
    app.sellerId,
    webhookSecret?.keyId ?? null,
  );
}

/** Needs the user's lane. */
export async function updateStatus(tx: Transaction, userId: string, status: SellerStatus, reason: string | null): Promise<void> {
  await tx.$executeRawUnsafe(
    `UPDATE marketplace_sellers AS s SET status = $2, status_reason = $3, status_at = now(), failures = 0, open_until = NULL, work_at = ${WORK_AT} WHERE s.user_id = $1::uuid`,
    userId,
    status,
    reason,
  );
}

/** `webhookSecret`: null where CardTrader has not told it; then the one that is known stays. */
export async function markChecked(tx: Transaction, userId: string, webhookSecret: Sealed | null): Promise<void> {
  await tx.$executeRawUnsafe(
    'UPDATE marketplace_sellers SET checked_at = now(), webhook_secret = coalesce(($2::bytea[])[1], webhook_secret), webhook_secret_key_id = coalesce($3, webhook_secret_key_id) WHERE user_id = $1::uuid',
    userId,
    byteaArray([webhookSecret?.bytes ?? null]),
    webhookSecret?.keyId ?? null,
  );
}

/** Replaces a sealed secret by the same one sealed anew, if it is still the one that was read. */
export async function resealSecret(tx: Transaction, userId: string, secret: SecretName, from: Sealed, to: Sealed): Promise<boolean> {
  const updated = await tx.$executeRawUnsafe(
    secret === 'token'
      ? 'UPDATE marketplace_sellers SET token = ($2::bytea[])[2], token_key_id = $4 WHERE user_id = $1::uuid AND token = ($2::bytea[])[1] AND token_key_id = $3'
      : 'UPDATE marketplace_sellers SET webhook_secret = ($2::bytea[])[2], webhook_secret_key_id = $4 WHERE user_id = $1::uuid AND webhook_secret = ($2::bytea[])[1] AND webhook_secret_key_id = $3',
    userId,
    byteaArray([from.bytes, to.bytes]),
    from.keyId,
    to.keyId,
  );
  return updated === 1;
}
