import { intArray, jsonText, textArray, uuidArray, type Database, type Transaction } from '../../platform/postgres/index.ts';
import type { Listing, Mismatch, MismatchKind, Snapshot } from './listing.ts';

/** A listing, for people. */
export interface ListingRow {
  readonly itemId: string;
  readonly productId: number;
  readonly name: string | null;
  readonly quantity: number;
  readonly priceCents: number;
  readonly currency: string | null;
  readonly confirmedAt: Date;
  readonly gone: boolean;
  readonly mismatch: Mismatch | null;
  readonly onHand: number | null;
  readonly held: number | null;
  /** Operations that are not settled; while there are any, `quantity` and the stock here may differ. */
  readonly outstanding: number;
}

const OUTSTANDING = '(SELECT count(*)::int FROM marketplace_operations AS o WHERE o.user_id = l.user_id AND o.item_id = l.item_id AND o.due_at IS NOT NULL)';
const LISTING = `l.item_id AS "itemId", l.product_id::float8 AS "productId", l.product ->> 'name' AS name, l.quantity, l.price_cents::float8 AS "priceCents", l.currency, l.confirmed_at AS "confirmedAt", l.gone, l.mismatch,
            i.on_hand AS "onHand", i.held, ${OUTSTANDING} AS outstanding`;

/** `mismatched`: only those with a mismatch. `different`: only those of which CardTrader has another number of copies than can be sold here, with nothing on the way. */
export async function selectListings(database: Database, userId: string, { mismatched, different, limit }: { mismatched: boolean; different: boolean; limit: number }): Promise<ListingRow[]> {
  return database.$queryRawUnsafe(
    `SELECT ${LISTING}
       FROM marketplace_listings AS l LEFT JOIN inventory_items AS i ON i.user_id = l.user_id AND i.item_id = l.item_id
      WHERE l.user_id = $1::uuid AND (NOT $2::bool OR l.mismatch IS NOT NULL) AND (NOT $3::bool OR (l.quantity <> coalesce(i.on_hand - i.held, 0) AND ${OUTSTANDING} = 0))
      ORDER BY l.item_id LIMIT $4::int`,
    userId,
    mismatched,
    different,
    limit,
  );
}

/** A listing with all there is to tell of it. */
export interface ListingDetail extends ListingRow {
  readonly blueprintId: number;
  readonly linkedAt: Date;
  /** Whose marker the product carries. */
  readonly operationId: string | null;
  readonly product: Snapshot;
  /** Order lines that are in `quantity` already, newest last. */
  readonly soldLines: readonly number[];
}

export async function selectListing(database: Database, userId: string, itemId: string): Promise<ListingDetail | undefined> {
  const [listing] = await database.$queryRawUnsafe<ListingDetail[]>(
    `SELECT ${LISTING}, l.blueprint_id::float8 AS "blueprintId", l.linked_at AS "linkedAt", l.operation_id AS "operationId", l.product, l.sold_lines::float8[] AS "soldLines"
       FROM marketplace_listings AS l LEFT JOIN inventory_items AS i ON i.user_id = l.user_id AND i.item_id = l.item_id
      WHERE l.user_id = $1::uuid AND l.item_id = $2::uuid`,
    userId,
    itemId,
  );
  return listing;
}

/** What tells that a listing was confirmed anew (CardTrader's clock alone, which has whole seconds, does not), or that our stock has heard of a sale there which an export from before may not show. */
const VERSION = "concat_ws('/', extract(epoch FROM l.confirmed_at), l.operation_id, l.quantity, l.product_id, l.gone, l.unaccounted)";

/** An item as `link` compares it. */
export interface ItemHere {
  /** Of its listing; null: it has none. Another one than before: it was confirmed anew in between, or a sale there was heard of. */
  readonly version: string | null;
  /**
   * It has an operation that may have been sent, or its product is that of another item which has one that is not settled. Or a copy sold there is up again and still to be taken off
   * (LOWER): what the export shows of it would be believed, the copy taken off after that, and put up once more when our stock hears of the sale.
   */
  readonly busy: boolean;
  /** Operations that are not settled. */
  readonly outstanding: number;
  readonly onHand: number;
  readonly held: number;
}

/** Which of these items there are here, each with the product it is about to be tied to. */
export async function selectItems(database: Database, userId: string, ties: readonly Pick<Listing, 'itemId' | 'productId'>[]): Promise<Map<string, ItemHere>> {
  const rows = await database.$queryRawUnsafe<(ItemHere & { itemId: string })[]>(
    `SELECT i.item_id AS "itemId", i.on_hand AS "onHand", i.held,
            (SELECT ${VERSION} FROM marketplace_listings AS l WHERE l.user_id = i.user_id AND l.item_id = i.item_id) AS version,
            (SELECT count(*)::int FROM marketplace_operations AS o WHERE o.user_id = i.user_id AND o.item_id = i.item_id AND o.due_at IS NOT NULL) AS outstanding,
            EXISTS (SELECT FROM marketplace_operations AS o WHERE o.user_id = i.user_id AND o.item_id = i.item_id AND o.due_at IS NOT NULL AND (o.state IN ('SENT', 'UNKNOWN') OR o.kind = 'LOWER'))
              OR EXISTS (SELECT FROM marketplace_listings AS l JOIN marketplace_operations AS o ON o.user_id = l.user_id AND o.item_id = l.item_id AND o.due_at IS NOT NULL
                          WHERE l.user_id = i.user_id AND l.product_id = k.product_id AND l.item_id <> i.item_id) AS busy
       FROM unnest($2::uuid[], $3::bigint[]) AS k (item_id, product_id) JOIN inventory_items AS i ON i.user_id = $1::uuid AND i.item_id = k.item_id`,
    userId,
    uuidArray(ties.map(({ itemId }) => itemId)),
    intArray(ties.map(({ productId }) => productId)),
  );
  return new Map(rows.map(({ itemId, ...item }) => [itemId, item]));
}

/** Listings as an export shows them; what they were before, their mismatches too, is over. Needs the user's lane. Answers how many are new. */
export async function upsertListings(tx: Transaction, userId: string, listings: readonly Listing[]): Promise<number> {
  if (listings.length === 0) return 0;
  // A product may have gone from one item to another: the old tie is undone first.
  await tx.$executeRawUnsafe(
    `DELETE FROM marketplace_listings AS l USING unnest($2::uuid[], $3::bigint[]) AS x (item_id, product_id) WHERE l.user_id = $1::uuid AND l.product_id = x.product_id AND l.item_id <> x.item_id`,
    userId,
    uuidArray(listings.map(({ itemId }) => itemId)),
    intArray(listings.map(({ productId }) => productId)),
  );
  const rows = listings.map((listing) => ({
    item_id: listing.itemId,
    product_id: listing.productId,
    blueprint_id: listing.blueprintId,
    quantity: listing.quantity,
    price_cents: listing.priceCents,
    currency: listing.currency,
    confirmed_at: listing.confirmedAt,
    operation_id: listing.operationId,
    product: listing.product,
  }));
  const written = await tx.$queryRawUnsafe<{ fresh: boolean }[]>(
    `INSERT INTO marketplace_listings AS l (user_id, item_id, product_id, blueprint_id, quantity, price_cents, currency, confirmed_at, operation_id, product)
     SELECT $1::uuid, item_id, product_id, blueprint_id, quantity, price_cents, currency, to_timestamp(confirmed_at / 1000.0), operation_id, product
       FROM jsonb_to_recordset($2::jsonb) AS x (item_id uuid, product_id bigint, blueprint_id bigint, quantity int, price_cents bigint, currency text, confirmed_at float8, operation_id uuid, product jsonb)
     ON CONFLICT (user_id, item_id) DO UPDATE
       SET product_id = excluded.product_id, blueprint_id = excluded.blueprint_id, quantity = excluded.quantity, price_cents = excluded.price_cents, currency = excluded.currency,
           confirmed_at = excluded.confirmed_at, operation_id = excluded.operation_id, product = excluded.product, gone = false, mismatch = NULL, sold_lines = '{}', linked_at = now(), unaccounted = 0
     RETURNING l.xmax = 0 AS fresh`,
    userId,
    jsonText(rows),
  );
  // What CardTrader lacks of what is here may have been sold there and not be known yet: listing sync does not put it up again by itself.
  await tx.$executeRawUnsafe(
    `UPDATE marketplace_listings AS l SET unaccounted = least(0, l.quantity - greatest(0, i.on_hand - s.buffer
              - (SELECT coalesce(sum(h.quantity), 0)::int FROM stock_holds AS h WHERE h.user_id = i.user_id AND h.item_id = i.item_id AND EXISTS (SELECT FROM marketplace_operations AS t
                  WHERE t.purchase_id = h.purchase_id AND t.user_id = h.user_id AND t.item_id = h.item_id AND t.kind = 'TAKE' AND t.state = 'APPLIED'))))
       FROM unnest($2::uuid[]) AS k (item_id), inventory_items AS i, marketplace_sellers AS s
      WHERE l.user_id = $1::uuid AND l.item_id = k.item_id AND i.user_id = l.user_id AND i.item_id = l.item_id AND s.user_id = l.user_id AND l.quantity < i.on_hand - s.buffer`,
    userId,
    uuidArray(listings.map(({ itemId }) => itemId)),
  );
  return written.filter(({ fresh }) => fresh).length;
}

const BUSY = "EXISTS (SELECT FROM marketplace_operations AS o WHERE o.user_id = l.user_id AND o.item_id = l.item_id AND o.due_at IS NOT NULL AND o.state IN ('SENT', 'UNKNOWN'))";

export interface LinkedRow {
  readonly itemId: string;
  readonly productId: number;
  readonly gone: boolean;
  /** It has an operation that may have been sent. */
  readonly busy: boolean;
  readonly version: string;
}

/** Listings there are here, with the product each is tied to. */
export async function selectLinked(database: Database, userId: string): Promise<LinkedRow[]> {
  return database.$queryRawUnsafe(`SELECT l.item_id AS "itemId", l.product_id::float8 AS "productId", l.gone, ${BUSY} AS busy, ${VERSION} AS version FROM marketplace_listings AS l WHERE l.user_id = $1::uuid ORDER BY l.item_id`, userId);
}

/**
 * Items with stock and without a listing: how many, and the first `named` of them. `listed` count as listed whatever is stored, `gone` as
 * not listed: what a run would change.
 */
export async function selectUnlisted(database: Database, userId: string, { listed, gone, named }: { listed: readonly string[]; gone: readonly string[]; named: number }): Promise<{ count: number; itemIds: string[] }> {
  const rows = await database.$queryRawUnsafe<{ itemId: string; count: number }[]>(
    `SELECT i.item_id AS "itemId", (count(*) OVER ())::int AS count
       FROM inventory_items AS i
      WHERE i.user_id = $1::uuid AND i.on_hand > 0 AND NOT EXISTS (SELECT FROM unnest($2::uuid[]) AS k (item_id) WHERE k.item_id = i.item_id)
        AND (EXISTS (SELECT FROM unnest($3::uuid[]) AS g (item_id) WHERE g.item_id = i.item_id)
             OR NOT EXISTS (SELECT FROM marketplace_listings AS l WHERE l.user_id = i.user_id AND l.item_id = i.item_id AND NOT l.gone))
      ORDER BY i.item_id LIMIT $4::int`,
    userId,
    uuidArray(listed),
    uuidArray(gone),
    named,
  );
  return { count: rows[0]?.count ?? 0, itemIds: rows.map(({ itemId }) => itemId) };
}

/** Needs the user's lane. Answers which of them were marked: not those that were gone already, that were confirmed anew since they were read, or that have an operation that may have been sent. */
export async function markGone(tx: Transaction, userId: string, listings: readonly Pick<LinkedRow, 'itemId' | 'version'>[], mismatch: Mismatch): Promise<string[]> {
  const marked = await tx.$queryRawUnsafe<{ itemId: string }[]>(
    `UPDATE marketplace_listings AS l SET gone = true, unaccounted = l.unaccounted - l.quantity, quantity = 0, operation_id = NULL, confirmed_at = to_timestamp($3::float8 / 1000.0), mismatch = $4::jsonb
       FROM unnest($2::uuid[], $5::text[]) AS k (item_id, version)
      WHERE l.user_id = $1::uuid AND l.item_id = k.item_id AND NOT l.gone AND ${VERSION} = k.version AND NOT ${BUSY}
     RETURNING l.item_id AS "itemId"`,
    userId,
    uuidArray(listings.map(({ itemId }) => itemId)),
    mismatch.at,
    JSON.stringify(mismatch),
    textArray(listings.map(({ version }) => version)),
  );
  return marked.map(({ itemId }) => itemId);
}

/** Needs the user's lane. Answers 0 where there is no listing, or one with operations that are not settled. */
export async function deleteListing(tx: Transaction, userId: string, itemId: string): Promise<number> {
  return tx.$executeRawUnsafe(
    `DELETE FROM marketplace_listings AS l WHERE l.user_id = $1::uuid AND l.item_id = $2::uuid
        AND NOT EXISTS (SELECT FROM marketplace_operations AS o WHERE o.user_id = l.user_id AND o.item_id = l.item_id AND o.due_at IS NOT NULL)`,
    userId,
    itemId,
  );
}

/** Takes mismatches away: of one item or of all, of one kind or of any. Needs the user's lane. Answers which they were. */
export async function clearMismatches(tx: Transaction, userId: string, itemId: string | undefined, kind: MismatchKind | undefined): Promise<{ itemId: string; mismatch: Mismatch }[]> {
  return tx.$queryRawUnsafe(
    `UPDATE marketplace_listings AS l SET mismatch = NULL
       FROM (SELECT user_id, item_id, mismatch FROM marketplace_listings WHERE user_id = $1::uuid AND mismatch IS NOT NULL AND ($2::uuid IS NULL OR item_id = $2::uuid) AND ($3::text IS NULL OR mismatch ->> 'kind' = $3::text) FOR UPDATE) AS was
      WHERE l.user_id = was.user_id AND l.item_id = was.item_id
     RETURNING l.item_id AS "itemId", was.mismatch`,
    userId,
    itemId ?? null,
    kind ?? null,
  );
}
