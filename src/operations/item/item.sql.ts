import type pg from 'pg';

export interface ItemRow {
  blueprint_id: number | null;
  on_hand: number;
  held: number;
  price_cents: number | null;
  currency: string | null;
  properties: Record<string, string> | null;
  version: number | null;
  flags: number;
  updated_at: Date;
}

export interface HistoryRow {
  event_id: string;
  previous_event_id: string | null;
  occurred_at: Date;
  recorded_at: Date;
  version: number | null;
  quantity: number;
  delta: number;
  /** After the event. */
  on_hand: number;
  kind: 'SET' | 'ADJUST' | 'REMOVE' | 'PURCHASE' | 'CANCEL' | 'TAKEN' | 'GIVEN_BACK';
  outcome: 'applied' | 'stale' | 'dead-lettered' | 'rejected';
  cause: string;
  /** Of what a sale did. */
  purchase_id: string | null;
  /** What held changed by. */
  held_delta: number | null;
}

/** What a sale under way keeps back. */
export interface HoldRow {
  purchase_id: string;
  quantity: number;
  since: Date;
  state: string;
  /** What is not called on CardTrader by then is given up. */
  deadline_at: Date;
  buyer_id: string | null;
}

/** The item's product on CardTrader. */
export interface ListingRow {
  product_id: number;
  name: string | null;
  /** As CardTrader confirmed it last. */
  quantity: number;
  price_cents: number;
  currency: string | null;
  confirmed_at: Date;
  gone: boolean;
  mismatch: { kind: string; at: number; expected: number | null; found: number | null } | null;
  /** active, paused, token_rejected. */
  seller_status: string;
  status_reason: string | null;
}

/** A change on CardTrader that is wanted and not settled. */
export interface OperationRow {
  operation_id: string;
  purchase_id: string | null;
  kind: string;
  quantity: number;
  state: string;
  reason: string | null;
  attempts: number;
  created_at: Date;
  due_at: Date | null;
}

export interface ParkedRow {
  reason: string;
  error: string;
  parked_at: Date;
  attempts: number;
  /** Events of the user that wait. */
  waiting: number;
}

export async function readItem(pool: pg.Pool, userId: string, itemId: string): Promise<ItemRow | undefined> {
  const { rows } = await pool.query<ItemRow>(
    `SELECT blueprint_id::float8 AS blueprint_id, on_hand, held, price_cents::float8 AS price_cents, currency, properties, version::float8 AS version, flags, updated_at
       FROM inventory_items WHERE user_id = $1::uuid AND item_id = $2::uuid`,
    [userId, itemId],
  );
  return rows[0];
}

/** Newest first, by walking from the item's last event, or from `from`, to the one before it: one look-up in the ledger's key a step. */
export async function readHistory(pool: pg.Pool, userId: string, itemId: string, limit: number, from: string | null = null): Promise<HistoryRow[]> {
  const { rows } = await pool.query<HistoryRow>(
    `WITH RECURSIVE walk AS (
       SELECT l.*, 1 AS step
         FROM inventory_items AS i JOIN stock_ledger AS l ON l.event_id = coalesce($4::uuid, i.last_event_id) AND l.user_id = i.user_id AND l.item_id = i.item_id
        WHERE i.user_id = $1::uuid AND i.item_id = $2::uuid
       UNION ALL
       SELECT l.*, walk.step + 1
         FROM walk JOIN stock_ledger AS l ON l.event_id = walk.previous_event_id
        WHERE walk.step < $3
     )
     SELECT event_id, previous_event_id, occurred_at, recorded_at, version::float8 AS version, quantity, delta, on_hand,
            CASE kind WHEN 'S' THEN 'SET' WHEN 'A' THEN 'ADJUST' WHEN 'R' THEN 'REMOVE'
                      WHEN 'P' THEN 'PURCHASE' WHEN 'C' THEN 'CANCEL' WHEN 'T' THEN 'TAKEN' ELSE 'GIVEN_BACK' END AS kind,
            CASE outcome WHEN 'a' THEN 'applied' WHEN 's' THEN 'stale' WHEN 'r' THEN 'rejected' ELSE 'dead-lettered' END AS outcome,
            cause, purchase_id, held_delta
       FROM walk ORDER BY step LIMIT $3`,
    [userId, itemId, limit, from],
  );
  return rows;
}

export async function readUser(pool: pg.Pool, userId: string): Promise<{ items: number; parked: ParkedRow | null }> {
  const items = await pool.query<{ items: number }>('SELECT count(*)::int AS items FROM inventory_items WHERE user_id = $1::uuid', [userId]);
  const parked = await pool.query<ParkedRow>(
    `SELECT reason, error, parked_at, attempts, (SELECT count(*)::int FROM parked_events AS e WHERE e.user_id = u.user_id) AS waiting
       FROM parked_users AS u WHERE user_id = $1::uuid`,
    [userId],
  );
  return { items: items.rows[0]?.items ?? 0, parked: parked.rows[0] ?? null };
}

/** Oldest first, as they are to be served. */
export async function readHolds(pool: pg.Pool, userId: string, itemId: string): Promise<HoldRow[]> {
  const { rows } = await pool.query<HoldRow>(
    `SELECT h.purchase_id, h.quantity, h.created_at AS since, s.state, s.deadline_at, s.buyer_id
       FROM stock_holds AS h JOIN purchase_sagas AS s ON s.purchase_id = h.purchase_id AND s.user_id = h.user_id
      WHERE h.user_id = $1::uuid AND h.item_id = $2::uuid ORDER BY h.created_at, h.purchase_id`,
    [userId, itemId],
  );
  return rows;
}

export async function readListing(pool: pg.Pool, userId: string, itemId: string): Promise<ListingRow | undefined> {
  const { rows } = await pool.query<ListingRow>(
    `SELECT l.product_id::float8 AS product_id, l.product ->> 'name' AS name, l.quantity, l.price_cents::float8 AS price_cents, l.currency, l.confirmed_at, l.gone, l.mismatch,
            s.status AS seller_status, s.status_reason
       FROM marketplace_listings AS l JOIN marketplace_sellers AS s ON s.user_id = l.user_id
      WHERE l.user_id = $1::uuid AND l.item_id = $2::uuid`,
    [userId, itemId],
  );
  return rows[0];
}

/** In the order in which they will be carried out; those that need an operator first. */
export async function readOpenOperations(pool: pg.Pool, userId: string, itemId: string): Promise<OperationRow[]> {
  const columns = 'operation_id, purchase_id, kind, quantity, state, reason, attempts, created_at, due_at';
  const { rows } = await pool.query<OperationRow>(
    `SELECT ${columns} FROM (
       SELECT ${columns}, 0 AS place, seq FROM marketplace_operations
        WHERE user_id = $1::uuid AND item_id = $2::uuid AND state = 'NEEDS_OPERATOR'
          AND (purchase_id, user_id) IN (SELECT purchase_id, user_id FROM purchase_sagas WHERE user_id = $1::uuid AND state = 'NEEDS_OPERATOR')
       UNION ALL
       SELECT ${columns}, 1, seq FROM marketplace_operations WHERE user_id = $1::uuid AND item_id = $2::uuid AND due_at IS NOT NULL
     ) AS o ORDER BY place, seq`,
    [userId, itemId],
  );
  return rows;
}
