import { textArray, type Database, type Transaction } from '../platform/postgres/index.ts';
import type { Cause, Finding } from './job.ts';

const LOST = `SELECT l.item_id, l.product_id, i.on_hand, l.product ->> 'name' AS name
     FROM marketplace_listings AS l LEFT JOIN inventory_items AS i ON i.user_id = l.user_id AND i.item_id = l.item_id
    WHERE l.user_id = j.user_id AND NOT l.gone AND l.linked_at < j.exported_at AND l.confirmed_at < j.exported_at`;

/** Listings of which the job's export has no product, and items with copies that are not listed; of those that did not change since. `most` of each. */
export async function selectMissing(tx: Transaction, jobId: string, { settleMs, most }: { settleMs: number; most: number }): Promise<Finding[]> {
  return tx.$queryRawUnsafe(
    `WITH j AS MATERIALIZED (SELECT * FROM bulk_sync_jobs WHERE job_id = $1::uuid),
          lost AS MATERIALIZED (SELECT x.* FROM j CROSS JOIN LATERAL (${LOST}) AS x),
          absent AS MATERIALIZED (SELECT product_id FROM lost EXCEPT SELECT unnest(c.product_ids) FROM bulk_sync_chunks AS c WHERE c.job_id = $1::uuid),
          found AS (
            (SELECT 'gone' AS cause, x.product_id, x.item_id, x.on_hand AS ours, x.name
               FROM j, lost AS x
              WHERE x.product_id IN (SELECT product_id FROM absent)
                AND NOT EXISTS (SELECT FROM marketplace_operations AS o WHERE o.user_id = j.user_id AND o.item_id = x.item_id AND o.due_at IS NOT NULL)
                AND NOT EXISTS (SELECT FROM remote_order_lines AS r WHERE r.user_id = j.user_id AND r.item_id = x.item_id AND r.sold_at > j.exported_at - make_interval(secs => $2::float8))
              ORDER BY x.item_id LIMIT $3::int)
            UNION ALL
            (SELECT 'not_there', NULL, i.item_id, i.on_hand, NULL
               FROM j JOIN inventory_items AS i ON i.user_id = j.user_id JOIN marketplace_sellers AS s ON s.user_id = j.user_id
              WHERE i.on_hand > s.buffer AND i.updated_at < j.exported_at - make_interval(secs => $2::float8)
                AND NOT EXISTS (SELECT FROM marketplace_listings AS l WHERE l.user_id = i.user_id AND l.item_id = i.item_id AND NOT l.gone)
                AND NOT EXISTS (SELECT FROM marketplace_operations AS o WHERE o.user_id = i.user_id AND o.item_id = i.item_id AND o.due_at IS NOT NULL)
                AND NOT EXISTS (SELECT FROM bulk_sync_findings AS f WHERE f.job_id = $1::uuid AND f.item_id = i.item_id)
              ORDER BY i.item_id LIMIT $3::int))
     SELECT 'drifted' AS kind, cause, product_id::float8 AS "productId", item_id AS "itemId", ours, 0 AS theirs, name FROM found`,
    jobId,
    settleMs / 1_000,
    most,
  );
}

/**
 * A report has ended: what it found replaces what was known to differ. A difference it agrees on with the report before counts from now on; one that
 * is new waits for the next; what it did not find is over. They were seen when the export was taken, however long the report has waited since: what has
 * changed after that is not mended by it.
 */
export async function replaceDrift(tx: Transaction, userId: string, jobId: string): Promise<void> {
  await tx.$executeRawUnsafe(
    `INSERT INTO drift AS d (user_id, subject, job_id, first_at, seen_at, product_id, item_id, ours, theirs, cause, name, confirmed)
     SELECT $1::uuid, f.subject, $2::uuid, j.exported_at, j.exported_at, f.product_id, f.item_id, f.ours, f.theirs, f.cause, f.name, false
       FROM bulk_sync_jobs AS j, (SELECT DISTINCT ON (subject) * FROM (SELECT coalesce(item_id::text, 'product/' || product_id) AS subject, * FROM bulk_sync_findings WHERE job_id = $2::uuid AND kind = 'drifted') AS g ORDER BY subject, id) AS f
      WHERE j.job_id = $2::uuid
     ON CONFLICT (user_id, subject) DO UPDATE
       SET job_id = excluded.job_id, product_id = excluded.product_id, item_id = excluded.item_id, ours = excluded.ours, theirs = excluded.theirs, name = excluded.name, seen_at = excluded.seen_at, cause = excluded.cause,
           confirmed = d.cause = excluded.cause AND d.ours IS NOT DISTINCT FROM excluded.ours AND d.theirs IS NOT DISTINCT FROM excluded.theirs,
           first_at = CASE WHEN d.cause = excluded.cause THEN d.first_at ELSE excluded.first_at END`,
    userId,
    jobId,
  );
  // What was left alone this time says nothing either way.
  await tx.$executeRawUnsafe(
    `DELETE FROM drift AS d WHERE d.user_id = $1::uuid AND d.job_id <> $2::uuid
        AND NOT EXISTS (SELECT FROM bulk_sync_findings AS f WHERE f.job_id = $2::uuid AND f.kind = 'left' AND (f.item_id = d.item_id OR f.product_id = d.product_id))`,
    userId,
    jobId,
  );
}

/** A difference between here and CardTrader on which two reports agree. */
export interface DriftRow {
  readonly userId: string;
  readonly jobId: string;
  readonly subject: string;
  readonly itemId: string | null;
  readonly productId: number | null;
  readonly cause: Cause;
  readonly ours: number | null;
  readonly theirs: number | null;
  readonly name: string | null;
  readonly firstAt: Date;
  readonly seenAt: Date;
  readonly confirmed: boolean;
  readonly listingSync: boolean;
  /** Copies of each item that are kept from CardTrader. */
  readonly buffer: number;
}

/** Of one seller, or of all; `all`: also those that wait for a second report. */
export async function selectDrift(database: Database, userId: string | null, { all, limit }: { all: boolean; limit: number }): Promise<DriftRow[]> {
  return database.$queryRawUnsafe(
    `SELECT d.user_id AS "userId", d.job_id AS "jobId", d.subject, d.item_id AS "itemId", d.product_id::float8 AS "productId", d.cause, d.ours, d.theirs, d.name, d.first_at AS "firstAt", d.seen_at AS "seenAt", d.confirmed,
            coalesce(s.listing_sync, false) AS "listingSync", coalesce(s.buffer, 0) AS buffer
       FROM drift AS d LEFT JOIN marketplace_sellers AS s ON s.user_id = d.user_id
      WHERE ($1::uuid IS NULL OR d.user_id = $1::uuid) AND (d.confirmed OR $2::bool) ORDER BY d.user_id, d.subject LIMIT $3::int`,
    userId,
    all,
    limit,
  );
}

/** These are settled. Needs the user's lane. */
export async function deleteDrift(tx: Transaction, userId: string, subjects: readonly string[]): Promise<void> {
  await tx.$executeRawUnsafe('DELETE FROM drift WHERE user_id = $1::uuid AND subject = ANY ($2::text[])', userId, textArray(subjects));
}
