import { byteaArray, intArray, nameStatement, textArray, timestampArray, uuidArray, type Transaction } from '../../platform/postgres/index.ts';

/** A seller whose operations this process carries out, until its lease is over. */
export interface ClaimedSeller {
  readonly userId: string;
  readonly epoch: number;
  readonly token: Uint8Array;
  readonly tokenKeyId: string;
  /** Calls in a row without a usable answer. */
  readonly failures: number;
}

const CLAIM_SELLERS = nameStatement(
  `UPDATE marketplace_sellers AS s
      SET lease_owner = $1::uuid, lease_epoch = s.lease_epoch + 1, lease_until = now() + make_interval(secs => $2::float8)
     FROM (SELECT user_id FROM marketplace_sellers
            WHERE work_at IS NOT NULL AND status = 'active' AND work_at <= now()
              AND (lease_until IS NULL OR lease_until < now()) AND (open_until IS NULL OR open_until <= now())
            ORDER BY work_at LIMIT $3::int FOR UPDATE SKIP LOCKED) AS due
    WHERE s.user_id = due.user_id
   RETURNING s.user_id AS "userId", s.lease_epoch::float8 AS epoch, s.token, s.token_key_id AS "tokenKeyId", s.failures`,
  'claim_sellers',
);

/**
 * Takes sellers that have work and no owner, those first that have waited longest: found and claimed in one statement. The epoch goes
 * up with each claim, so that whoever held the seller before can be told from whoever holds it now.
 */
export async function claimSellers(tx: Transaction, owner: string, { leaseSeconds, most }: { leaseSeconds: number; most: number }): Promise<ClaimedSeller[]> {
  return tx.$queryRawUnsafe(CLAIM_SELLERS, owner, leaseSeconds, most);
}

const RENEW_LEASES = nameStatement(
  `UPDATE marketplace_sellers AS s SET lease_until = now() + make_interval(secs => $2::float8)
     FROM (SELECT l.user_id FROM unnest($3::uuid[], $4::bigint[]) AS l (user_id, epoch)
             JOIN marketplace_sellers AS m ON m.user_id = l.user_id AND m.lease_epoch = l.epoch AND m.lease_owner = $1::uuid
            FOR UPDATE OF m SKIP LOCKED) AS mine
    WHERE s.user_id = mine.user_id
   RETURNING s.user_id AS "userId"`,
  'renew_leases',
);

/**
 * Prolongs leases; answers whose. A row that a transaction of the seller is holding right now is left for the next time: this takes no
 * lane, and must not wait for one that has them.
 */
export async function renewLeases(tx: Transaction, owner: string, leaseSeconds: number, sellers: readonly { userId: string; epoch: number }[]): Promise<string[]> {
  const rows = await tx.$queryRawUnsafe<{ userId: string }[]>(RENEW_LEASES, owner, leaseSeconds, uuidArray(sellers.map(({ userId }) => userId)), intArray(sellers.map(({ epoch }) => epoch)));
  return rows.map(({ userId }) => userId);
}

/** How a seller is doing, as its session has seen it. */
export interface SellerState {
  readonly userId: string;
  readonly epoch: number;
  readonly failures: number;
  /** Milliseconds since 1970; null: the circuit is closed. */
  readonly openUntil: number | null;
  /** CardTrader's 401, and the token it was for, sealed as it was claimed. Null: as it was. */
  readonly tokenRejected: { readonly said: string; readonly token: Uint8Array } | null;
}

const HOLD_SELLERS = nameStatement(
  `UPDATE marketplace_sellers AS s
      SET lease_until = now() + make_interval(secs => $2::float8), failures = x.failures, open_until = x.open_until,
          status = CASE WHEN s.status = 'active' AND s.token = x.rejected_token THEN 'token_rejected' ELSE s.status END,
          status_reason = CASE WHEN s.status = 'active' AND s.token = x.rejected_token THEN x.rejected ELSE s.status_reason END,
          status_at = CASE WHEN s.status = 'active' AND s.token = x.rejected_token THEN now() ELSE s.status_at END
     FROM unnest($3::uuid[], $4::bigint[], $5::int[], $6::timestamptz[], $7::text[], $8::bytea[]) AS x (user_id, epoch, failures, open_until, rejected, rejected_token)
    WHERE s.user_id = x.user_id AND s.lease_epoch = x.epoch AND s.lease_owner = $1::uuid
   RETURNING s.user_id AS "userId", s.lease_epoch::float8 AS epoch, s.status = 'active' AS active`,
  'hold_sellers',
);

/** A seller under one claim: what was claimed anew is another one, also by the same process. */
export const claimOf = ({ userId, epoch }: { readonly userId: string; readonly epoch: number }): string => `${userId}/${epoch}`;

/**
 * Locks the sellers that are still this owner's until the transaction ends, prolongs their leases and records how they are doing. Answers by claim;
 * a claim that is not in the answer is over, and nothing but evidence is recorded under it. `active`: may be worked for. A token is rejected only as long as it is the
 * seller's: somebody may have added a new one, which is what kills the old one, while this session went on with it.
 */
export async function holdSellers(tx: Transaction, owner: string, leaseSeconds: number, sellers: readonly SellerState[]): Promise<Map<string, { active: boolean }>> {
  const rows = await tx.$queryRawUnsafe<{ userId: string; epoch: number; active: boolean }[]>(
    HOLD_SELLERS,
    owner,
    leaseSeconds,
    uuidArray(sellers.map(({ userId }) => userId)),
    intArray(sellers.map(({ epoch }) => epoch)),
    intArray(sellers.map(({ failures }) => failures)),
    timestampArray(sellers.map(({ openUntil }) => openUntil)),
    textArray(sellers.map(({ tokenRejected }) => tokenRejected?.said ?? null)),
    byteaArray(sellers.map(({ tokenRejected }) => tokenRejected?.token ?? null)),
  );
  return new Map(rows.map((row) => [claimOf(row), { active: row.active }]));
}

/*
 * Of each item only the first outstanding operation counts: what stands behind one whose outcome is open cannot be done, however
 * long it is due. Taken from now at the earliest, so that a seller with much to do goes to the end of the line.
 */
const RELEASE_SELLERS = nameStatement(
  `UPDATE marketplace_sellers AS s
      SET lease_owner = NULL, lease_until = NULL,
          work_at = (SELECT greatest(min(head.due_at), s.open_until, now(), now() + make_interval(secs => x.rest))
                       FROM ((SELECT DISTINCT ON (o.item_id) o.due_at FROM marketplace_operations AS o
                               WHERE o.user_id = s.user_id AND o.due_at IS NOT NULL AND NOT (o.kind = 'SYNC' AND o.state = 'PENDING')
                               ORDER BY o.item_id, (o.state IN ('SENT', 'UNKNOWN')) DESC, (o.kind = 'LOWER') DESC, o.seq)
                             UNION ALL
                             (SELECT o.due_at FROM marketplace_operations AS o
                               WHERE o.user_id = s.user_id AND o.kind = 'SYNC' AND o.state = 'PENDING' AND s.listing_sync
                                 AND NOT EXISTS (SELECT FROM marketplace_operations AS b WHERE b.user_id = o.user_id AND b.item_id = o.item_id AND b.due_at IS NOT NULL AND NOT (b.kind = 'SYNC' AND b.state = 'PENDING')))) AS head
                     HAVING count(*) > 0)
     FROM unnest($2::uuid[], $3::bigint[], $4::float8[]) AS x (user_id, epoch, rest)
    WHERE s.user_id = x.user_id AND s.lease_epoch = x.epoch AND s.lease_owner = $1::uuid`,
  'release_sellers',
);

/** Gives sellers back; `restSeconds`: not to be claimed before. Needs their lanes: an operation asked for at this moment must not be missed. */
export async function releaseSellers(tx: Transaction, owner: string, sellers: readonly { userId: string; epoch: number; restSeconds?: number }[]): Promise<void> {
  if (sellers.length === 0) return;
  await tx.$executeRawUnsafe(RELEASE_SELLERS, owner, uuidArray(sellers.map(({ userId }) => userId)), intArray(sellers.map(({ epoch }) => epoch)), intArray(sellers.map(({ restSeconds = 0 }) => restSeconds)));
}
