import { intArray, uuidArray, type Transaction } from '../platform/postgres/index.ts';
import type { State } from './decide.ts';

const REMOVED = 1;

/**
 * What is known here of these products: the item a product is tied to, else the one its text names, and how it stands. `since`: what changed later
 * counts as changed, as does an item with copies called off of which it is still to be counted whether they are on sale again, and every item of a parked user: what waits may be any event of it, and would
 * come on top of what is newer. One row a product, in order. Needs the user's lane.
 */
export async function readStates(tx: Transaction, userId: string, products: readonly { productId: number; named: string | null }[], since: number): Promise<State[]> {
  const rows = await tx.$queryRawUnsafe<(Omit<State, 'listing'> & { listedAs: number | null; gone: boolean | null })[]>(
    `SELECT k.item_id AS "itemId", i.item_id IS NOT NULL AS exists, coalesce(i.on_hand, 0) AS "onHand", coalesce(i.held, 0) AS held, coalesce(i.flags & ${REMOVED} <> 0, false) AS removed,
            i.price_cents::float8 AS "priceCents", i.currency, l.product_id::float8 AS "listedAs", l.gone,
            EXISTS (SELECT FROM marketplace_operations AS o WHERE o.user_id = $1::uuid AND o.item_id = k.item_id AND o.due_at IS NOT NULL) AS busy,
            coalesce(i.updated_at > to_timestamp($4::float8 / 1000), false)
              OR EXISTS (SELECT FROM parked_users AS q WHERE q.user_id = $1::uuid)
              OR EXISTS (SELECT FROM remote_order_lines AS r
                          WHERE r.user_id = $1::uuid AND r.item_id = k.item_id AND r.cancelled > r.relisted + r.kept AND r.cancelled_at > now() - interval '1 day')
              OR EXISTS (SELECT FROM marketplace_operations AS p WHERE p.operation_id = l.operation_id AND p.settled_at > to_timestamp($4::float8 / 1000))
              OR coalesce(l.confirmed_at > to_timestamp($4::float8 / 1000) AND NOT l.gone, false) -- where the seller's text leaves a marker no room, nothing else tells of a write of ours
              OR EXISTS (SELECT FROM remote_order_lines AS r JOIN remote_orders AS o ON o.user_id = r.user_id AND o.order_id = r.order_id
                          WHERE r.user_id = $1::uuid AND r.item_id = k.item_id AND (r.sold_at > to_timestamp($4::float8 / 1000) OR o.changed_at > to_timestamp($4::float8 / 1000)))
              OR EXISTS (SELECT FROM remote_order_lines AS r
                          WHERE r.user_id = $1::uuid AND r.item_id IS NULL AND r.product_id = x.product_id AND (r.sold_at IS NULL OR r.sold_at > to_timestamp($4::float8 / 1000))) AS changed
       FROM unnest($2::bigint[], $3::uuid[]) WITH ORDINALITY AS x (product_id, named, n)
       LEFT JOIN marketplace_listings AS t ON t.user_id = $1::uuid AND t.product_id = x.product_id
      CROSS JOIN LATERAL (SELECT coalesce(t.item_id, x.named) AS item_id) AS k
       LEFT JOIN marketplace_listings AS l ON l.user_id = $1::uuid AND l.item_id = k.item_id
       LEFT JOIN inventory_items AS i ON i.user_id = $1::uuid AND i.item_id = k.item_id
      ORDER BY x.n`,
    userId,
    intArray(products.map(({ productId }) => productId)),
    uuidArray(products.map(({ named }) => named)),
    since,
  );
  return rows.map(({ listedAs, gone, ...state }) => ({ ...state, listing: listedAs === null ? null : { productId: listedAs, gone: gone === true } }));
}

/**
 * Sales there of products that were tied to nothing, from before the export whose numbers these items have now: the copies were gone from it
 * already, so these lines take none. Needs the user's lane.
 */
export async function settleOldLines(tx: Transaction, userId: string, tied: readonly { productId: number; itemId: string }[]): Promise<void> {
  if (tied.length === 0) return;
  await tx.$executeRawUnsafe(
    `UPDATE remote_order_lines AS r SET item_id = x.item_id, counting = 'before'
       FROM unnest($2::bigint[], $3::uuid[]) AS x (product_id, item_id)
      WHERE r.user_id = $1::uuid AND r.item_id IS NULL AND r.product_id = x.product_id AND r.counting = 'sold' AND r.taken = 0`,
    userId,
    intArray(tied.map(({ productId }) => productId)),
    uuidArray(tied.map(({ itemId }) => itemId)),
  );
}

/** What CardTrader lacks of these items is to be put up there: somebody has said so. Needs the user's lane. */
export async function trustItems(tx: Transaction, userId: string, itemIds: readonly string[]): Promise<void> {
  if (itemIds.length === 0) return;
  await tx.$executeRawUnsafe('UPDATE marketplace_listings AS l SET unaccounted = 0, mismatch = NULL FROM unnest($2::uuid[]) AS x (item_id) WHERE l.user_id = $1::uuid AND l.item_id = x.item_id', userId, uuidArray(itemIds));
}

/** Listings of these items are as CardTrader's export showed them; what was to be explained about them is. Needs the user's lane. */
export async function confirmListings(tx: Transaction, userId: string, items: readonly { itemId: string; quantity: number }[]): Promise<void> {
  if (items.length === 0) return;
  await tx.$executeRawUnsafe(
    `UPDATE marketplace_listings AS l SET quantity = x.quantity, unaccounted = 0, mismatch = NULL, confirmed_at = greatest(l.confirmed_at, j.confirmed_at)
       FROM unnest($2::uuid[], $3::int[]) AS x (item_id, quantity), drift AS d, bulk_sync_jobs AS j
      WHERE l.user_id = $1::uuid AND l.item_id = x.item_id AND d.user_id = l.user_id AND d.subject = x.item_id::text AND j.job_id = d.job_id`,
    userId,
    uuidArray(items.map(({ itemId }) => itemId)),
    intArray(items.map(({ quantity }) => quantity)),
  );
}

/**
 * Of these items those whose listing is of another product by now, or was tied anew since (milliseconds): what was seen of them then says nothing of what is listed now. Needs the
 * user's lane.
 */
export async function selectRelisted(tx: Transaction, userId: string, items: readonly { itemId: string; productId: number | null; since: number }[]): Promise<ReadonlySet<string>> {
  if (items.length === 0) return new Set();
  const rows = await tx.$queryRawUnsafe<{ itemId: string }[]>(
    `SELECT l.item_id AS "itemId" FROM unnest($2::uuid[], $3::bigint[], $4::float8[]) AS x (item_id, product_id, since)
       JOIN marketplace_listings AS l ON l.user_id = $1::uuid AND l.item_id = x.item_id
      WHERE (l.product_id <> x.product_id AND NOT l.gone) OR l.linked_at > to_timestamp(x.since / 1000)`,
    userId,
    uuidArray(items.map(({ itemId }) => itemId)),
    intArray(items.map(({ productId }) => productId)),
    intArray(items.map(({ since }) => since)),
  );
  return new Set(rows.map(({ itemId }) => itemId));
}
