import type pg from 'pg';

/** Everything is read in pages along a key, so that neither side ever holds a big result. */
const PAGE = 10_000;
const LOWEST = '00000000-0000-0000-0000-000000000000';

/** Runs `work` on one connection that sees the database as it was at one moment. */
export async function inSnapshot<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failure: unknown;
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    // Between two pages the caller only computes; a busy machine must not make the server take it for dead.
    await client.query('SET LOCAL idle_in_transaction_session_timeout = 0');
    // The moment is that of the first query, and it is now.
    await client.query('SELECT 1');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    failure = error;
    await client.query('ROLLBACK').catch(() => undefined); // the failure that led here is the one to report
    throw error;
  } finally {
    client.release(failure instanceof Error ? failure : undefined);
  }
}

export interface LedgerRow {
  event_id: string;
  user_id: string;
  item_id: string;
  previous_event_id: string | null;
  occurred_at: number;
  version: number | null;
  quantity: number;
  delta: number;
  on_hand: number;
  kind: string;
  outcome: string;
  cause: string;
  /** Of rows of sales. */
  purchase_id: string | null;
  held_delta: number | null;
}

type LedgerTuple = [string, string, string, string | null, number, number | null, number, number, number, string, string, string, string | null, number | null];

export async function* ledgerRows(client: pg.PoolClient): AsyncGenerator<LedgerRow[]> {
  for (let after = LOWEST; ; ) {
    const { rows } = await client.query<LedgerTuple>({
      rowMode: 'array',
      text: `SELECT event_id, user_id, item_id, previous_event_id, (extract(epoch FROM occurred_at) * 1000)::float8, version::float8,
                    quantity, delta, on_hand, kind, outcome, cause, purchase_id, held_delta
               FROM stock_ledger WHERE event_id > $1::uuid ORDER BY event_id LIMIT ${PAGE}`,
      values: [after],
    });
    yield rows.map(([event_id, user_id, item_id, previous_event_id, occurred_at, version, quantity, delta, on_hand, kind, outcome, cause, purchase_id, held_delta]) => ({
      event_id,
      user_id,
      item_id,
      previous_event_id,
      occurred_at,
      version,
      quantity,
      delta,
      on_hand,
      kind,
      outcome,
      cause,
      purchase_id,
      held_delta,
    }));
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = last[0];
  }
}

export interface ItemRow {
  user_id: string;
  item_id: string;
  blueprint_id: number | null;
  on_hand: number;
  held: number;
  price_cents: number | null;
  currency: string | null;
  properties: Record<string, unknown> | null;
  version: number | null;
  flags: number;
  last_event_id: string;
}

export async function* itemRows(client: pg.PoolClient): AsyncGenerator<ItemRow[]> {
  for (let user = LOWEST, item = LOWEST; ; ) {
    const { rows } = await client.query<ItemRow>(
      `SELECT user_id, item_id, blueprint_id::float8 AS blueprint_id, on_hand, held, price_cents::float8 AS price_cents, currency, properties,
              version::float8 AS version, flags, last_event_id
         FROM inventory_items WHERE (user_id, item_id) > ($1::uuid, $2::uuid) ORDER BY user_id, item_id LIMIT ${PAGE}`,
      [user, item],
    );
    yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    user = last.user_id;
    item = last.item_id;
  }
}

export interface DeadLetterRow {
  id: string;
  partition: number;
  offset: number;
  reason: string;
  user_id: string | null;
  event_id: string | null;
}

export async function* deadLetterRows(client: pg.PoolClient, topic: string): AsyncGenerator<DeadLetterRow[]> {
  for (let after = '0'; ; ) {
    const { rows } = await client.query<DeadLetterRow>(
      `SELECT id, partition, "offset"::float8 AS "offset", reason, user_id, event_id
         FROM dead_letters WHERE id > $1::bigint AND topic = $2 ORDER BY id LIMIT ${PAGE}`,
      [after, topic],
    );
    yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = last.id;
  }
}

export interface ParkedRow {
  id: string;
  user_id: string;
  event_id: string;
  topic: string;
  partition: number;
  offset: number;
}

export async function* parkedRows(client: pg.PoolClient): AsyncGenerator<ParkedRow[]> {
  for (let after = '0'; ; ) {
    const { rows } = await client.query<ParkedRow>(
      `SELECT id, user_id, event_id, topic, partition, "offset"::float8 AS "offset" FROM parked_events WHERE id > $1::bigint ORDER BY id LIMIT ${PAGE}`,
      [after],
    );
    yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = last.id;
  }
}

export async function parkedUsers(client: pg.PoolClient): Promise<string[]> {
  const { rows } = await client.query<{ user_id: string }>('SELECT user_id FROM parked_users ORDER BY user_id');
  return rows.map((row) => row.user_id);
}

/** Each row as text without what depends on when or how often it was written; rows in the order of their key. */
const BUSINESS_ROWS = [
  `SELECT string_agg(md5(ROW(user_id, item_id, blueprint_id, on_hand, held, price_cents, currency, properties, version, flags, last_event_id)::text), '' ORDER BY user_id, item_id)
     FROM inventory_items`,
  `SELECT string_agg(md5(ROW(event_id, user_id, item_id, previous_event_id, extract(epoch FROM occurred_at), version, quantity, delta, on_hand, kind, outcome, cause, purchase_id, held_delta)::text), '' ORDER BY event_id)
     FROM stock_ledger`,
  `SELECT string_agg(md5(ROW(user_id, purchase_id, event_id, extract(epoch FROM started_at), extract(epoch FROM deadline_at), version, definition, cancelled, sold, state, reason, currency, buyer_id, lines)::text), '' ORDER BY purchase_id, user_id)
     FROM purchase_sagas`,
  `SELECT string_agg(md5(ROW(user_id, purchase_id, event_id, extract(epoch FROM at), version, fact, state, detail)::text), '' ORDER BY purchase_id, user_id, version) FROM purchase_history`,
  `SELECT string_agg(md5(ROW(user_id, item_id, purchase_id, quantity)::text), '' ORDER BY user_id, item_id, purchase_id) FROM stock_holds`,
  `SELECT string_agg(md5(ROW(user_id, item_id, product_id, quantity, price_cents, gone, operation_id, sold_lines, mismatch)::text), '' ORDER BY user_id, item_id) FROM marketplace_listings`,
  `SELECT string_agg(md5(ROW(operation_id, user_id, item_id, purchase_id, returns, product_id, attempts, quantity, before, target, kind, state, reason)::text), '' ORDER BY operation_id) FROM marketplace_operations`,
  `SELECT string_agg(md5(ROW(user_id, reason, error, attempts)::text), '' ORDER BY user_id) FROM parked_users`,
  `SELECT string_agg(md5(ROW(user_id, event_id, topic, partition, "offset", extract(epoch FROM record_timestamp), md5(record_key), md5(record_value), record_headers)::text), '' ORDER BY user_id, id)
     FROM parked_events`,
  `SELECT string_agg(md5(ROW(topic, partition, "offset", extract(epoch FROM record_timestamp), md5(record_key), md5(record_value), record_headers, reason, detail, user_id, event_id)::text), ''
          ORDER BY topic, partition, "offset") FROM dead_letters`,
];

/**
 * One hash over all business tables: equal before and after whatever must change nothing (a replay). Ignores when a row was
 * written or published, identity columns, and the consumer group of a dead letter. Computed by PostgreSQL, about 32 bytes
 * of its memory a row.
 */
export async function businessHash(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{ hash: string }>(`SELECT md5(concat_ws('/', ${BUSINESS_ROWS.map((query) => `coalesce(md5((${query})), 'empty')`).join(', ')})) AS hash`);
  return rows[0]?.hash ?? '';
}
