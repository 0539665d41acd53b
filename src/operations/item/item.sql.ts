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
  kind: 'SET' | 'ADJUST' | 'REMOVE';
  outcome: 'applied' | 'stale' | 'dead-lettered';
  cause: string;
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

/** Newest first, by walking from the item's last event to the one before it: one look-up in the ledger's key a step. */
export async function readHistory(pool: pg.Pool, userId: string, itemId: string, limit: number): Promise<HistoryRow[]> {
  const { rows } = await pool.query<HistoryRow>(
    `WITH RECURSIVE walk AS (
       SELECT l.*, 1 AS step
         FROM inventory_items AS i JOIN stock_ledger AS l ON l.event_id = i.last_event_id
        WHERE i.user_id = $1::uuid AND i.item_id = $2::uuid
       UNION ALL
       SELECT l.*, walk.step + 1
         FROM walk JOIN stock_ledger AS l ON l.event_id = walk.previous_event_id
        WHERE walk.step < $3
     )
     SELECT event_id, previous_event_id, occurred_at, recorded_at, version::float8 AS version, quantity, delta, on_hand,
            CASE kind WHEN 'S' THEN 'SET' WHEN 'A' THEN 'ADJUST' ELSE 'REMOVE' END AS kind,
            CASE outcome WHEN 'a' THEN 'applied' WHEN 's' THEN 'stale' ELSE 'dead-lettered' END AS outcome,
            cause
       FROM walk ORDER BY step LIMIT $3`,
    [userId, itemId, limit],
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
