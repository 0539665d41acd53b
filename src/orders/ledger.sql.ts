import { intArray, jsonText, nameStatement, uuidArray, type Database, type Transaction } from '../platform/postgres/index.ts';
import type { LineRecord, OrderRecord } from './ledger.ts';

const ms = (column: string): string => `round(extract(epoch FROM ${column}) * 1000)::float8`;

const LINE = `jsonb_build_object('lineId', l.line_id, 'productId', l.product_id, 'blueprintId', l.blueprint_id, 'itemId', l.item_id, 'name', l.name, 'counting', l.counting, 'quantity', l.quantity,
                'cancelled', l.cancelled, 'relisted', l.relisted, 'kept', l.kept, 'taken', l.taken, 'returned', l.returned, 'soldAt', ${ms('l.sold_at')}, 'cancelledAt', ${ms('l.cancelled_at')})`;

const READ_ORDERS = nameStatement(
  `SELECT o.order_id::float8 AS "orderId", o.code, o.state, o.via_zero AS "viaZero", o.presale, ${ms('o.seen_at')} AS "seenAt", o.open,
          (SELECT coalesce(jsonb_agg(${LINE} ORDER BY l.line_id), '[]') FROM remote_order_lines AS l WHERE l.user_id = o.user_id AND l.order_id = o.order_id) AS lines
     FROM unnest($2::bigint[]) AS k (order_id) JOIN remote_orders AS o ON o.user_id = $1::uuid AND o.order_id = k.order_id`,
  'read_remote_orders',
);

/** What is known of these orders, by id. */
export async function readOrders(database: Database | Transaction, userId: string, orderIds: readonly number[]): Promise<Map<number, OrderRecord>> {
  if (orderIds.length === 0) return new Map();
  const rows = await database.$queryRawUnsafe<OrderRecord[]>(READ_ORDERS, userId, intArray(orderIds));
  return new Map(rows.map((row) => [row.orderId, row]));
}

const READ_ITEMS = nameStatement(
  `SELECT (SELECT coalesce(jsonb_object_agg(l.product_id, l.item_id), '{}')
             FROM unnest($2::bigint[]) AS k (product_id) JOIN marketplace_listings AS l ON l.user_id = $1::uuid AND l.product_id = k.product_id) AS products,
          (SELECT coalesce(jsonb_agg(i.item_id), '[]')
             FROM unnest($3::uuid[]) AS k (item_id) JOIN inventory_items AS i ON i.user_id = $1::uuid AND i.item_id = k.item_id) AS items`,
  'read_items_of_lines',
);

/** Which item each product is tied to, and which of these items there are. */
export async function readItems(database: Database | Transaction, userId: string, productIds: readonly number[], itemIds: readonly string[]): Promise<{ products: ReadonlyMap<number, string>; items: ReadonlySet<string> }> {
  if (productIds.length + itemIds.length === 0) return { products: new Map(), items: new Set() };
  const [row] = await database.$queryRawUnsafe<{ products: Record<string, string>; items: string[] }[]>(READ_ITEMS, userId, intArray(productIds), uuidArray(itemIds));
  return { products: new Map(Object.entries(row?.products ?? {}).map(([id, item]) => [Number(id), item])), items: new Set(row?.items) };
}

const WRITE_ORDERS = nameStatement(
  `WITH given AS MATERIALIZED (
     SELECT * FROM jsonb_to_recordset($2::jsonb) AS x ("orderId" bigint, code text, state text, "viaZero" boolean, presale boolean, "seenAt" float8, open boolean, lines jsonb)),
   orders AS (
     INSERT INTO remote_orders AS o (user_id, order_id, seen_at, open, via_zero, presale, state, code)
     SELECT $1::uuid, "orderId", to_timestamp("seenAt" / 1000.0), open, "viaZero", presale, state, code FROM given
     ON CONFLICT (user_id, order_id) DO UPDATE
       SET seen_at = excluded.seen_at, open = excluded.open, via_zero = excluded.via_zero, presale = excluded.presale, state = excluded.state, code = excluded.code, changed_at = now()
     RETURNING 1),
   lines AS (
     INSERT INTO remote_order_lines AS l (user_id, order_id, line_id, product_id, blueprint_id, sold_at, cancelled_at, item_id, quantity, cancelled, relisted, kept, taken, returned, counting, name)
     SELECT $1::uuid, "orderId", "lineId", "productId", "blueprintId", to_timestamp("soldAt" / 1000.0), to_timestamp("cancelledAt" / 1000.0), "itemId", quantity, cancelled, relisted, kept, taken, returned, counting, name
       FROM given CROSS JOIN jsonb_to_recordset(lines)
         AS x ("lineId" bigint, "productId" bigint, "blueprintId" bigint, "soldAt" float8, "cancelledAt" float8, "itemId" uuid, quantity int, cancelled int, relisted int, kept int, taken int, returned int, counting text, name text)
     ON CONFLICT (user_id, order_id, line_id) DO UPDATE
       SET product_id = excluded.product_id, blueprint_id = excluded.blueprint_id, sold_at = excluded.sold_at, cancelled_at = excluded.cancelled_at, item_id = excluded.item_id, quantity = excluded.quantity,
           cancelled = excluded.cancelled, relisted = excluded.relisted, kept = excluded.kept, taken = excluded.taken, returned = excluded.returned, counting = excluded.counting, name = excluded.name
     RETURNING 1)
   SELECT (SELECT count(*)::int FROM orders) AS orders, (SELECT count(*)::int FROM lines) AS lines`,
  'write_remote_orders',
);

/** Records orders with all their lines. Needs the user's lane. */
export async function writeOrders(tx: Transaction, userId: string, records: readonly OrderRecord[]): Promise<void> {
  if (records.length === 0) return;
  const lines = records.reduce((sum, record) => sum + record.lines.length, 0);
  const [written] = await tx.$queryRawUnsafe<{ orders: number; lines: number }[]>(WRITE_ORDERS, userId, jsonText(records));
  if (written?.orders !== records.length || written.lines !== lines) throw new Error(`${records.length} orders with ${lines} lines were to be written, ${written?.orders ?? 0} and ${written?.lines ?? 0} were`);
}

/** An item of which copies are called off, and what it takes to find out whether they are on sale again. */
export interface OpenCancellation {
  readonly itemId: string;
  readonly productId: number;
  readonly blueprintId: number;
  readonly confirmed: number;
  readonly confirmedAt: number;
  readonly soldLines: readonly number[];
  /** An operation on the product is not settled. */
  readonly busy: boolean;
  /** Of the newest call-off, CardTrader's clock. */
  readonly cancelledAt: number;
}

const READ_CANCELLATIONS = nameStatement(
  `SELECT c.item_id AS "itemId", c.cancelled_at AS "cancelledAt", m.product_id::float8 AS "productId", m.blueprint_id::float8 AS "blueprintId", m.quantity AS confirmed, ${ms('m.confirmed_at')} AS "confirmedAt",
          to_jsonb(m.sold_lines) AS "soldLines",
          EXISTS (SELECT FROM marketplace_operations AS p WHERE p.user_id = m.user_id AND p.item_id = m.item_id AND p.due_at IS NOT NULL) AS busy
     FROM (SELECT item_id, max(${ms('cancelled_at')}) AS cancelled_at FROM remote_order_lines
            WHERE user_id = $1::uuid AND cancelled > relisted + kept AND item_id IS NOT NULL AND counting <> 'undecided' AND cancelled_at > now() - interval '1 day'
            GROUP BY item_id) AS c
     JOIN marketplace_listings AS m ON m.user_id = $1::uuid AND m.item_id = c.item_id
    WHERE $2::uuid IS NULL OR c.item_id = $2::uuid
    ORDER BY c.cancelled_at LIMIT $3::int`,
  'read_open_cancellations',
);

/** Items with copies called off within the last day of which it is not known whether they are on sale again; of all items, or of one. */
export async function readCancellations(database: Database | Transaction, userId: string, { itemId, most }: { itemId: string | null; most: number }): Promise<OpenCancellation[]> {
  return database.$queryRawUnsafe(READ_CANCELLATIONS, userId, itemId, most);
}

const READ_LINES = nameStatement(
  `SELECT l.order_id::float8 AS "orderId", ${LINE} AS line FROM remote_order_lines AS l
    WHERE l.user_id = $1::uuid AND l.item_id = $2::uuid AND (l.sold_at IS NULL OR l.sold_at > to_timestamp($3::float8 / 1000.0) OR l.cancelled_at > to_timestamp($3::float8 / 1000.0) OR l.cancelled > l.relisted + l.kept)`,
  'read_lines_of_item',
);

/** Lines of an item that were sold or called off since (milliseconds), and those whose copies may be on sale again. */
export async function readLines(tx: Transaction, userId: string, itemId: string, since: number): Promise<{ orderId: number; line: LineRecord }[]> {
  return tx.$queryRawUnsafe(READ_LINES, userId, itemId, since);
}

const READ_TOLD = nameStatement(
  `SELECT l.order_id::float8 AS "orderId", ${LINE} AS line
     FROM unnest($2::uuid[]) AS k (item_id)
     JOIN remote_order_lines AS l ON l.user_id = $1::uuid AND l.item_id = k.item_id AND (l.taken > 0 OR l.returned > 0)
     JOIN remote_orders AS o ON o.user_id = l.user_id AND o.order_id = l.order_id AND o.changed_at > now() - make_interval(secs => $3::float8)`,
  'read_told_lines',
);

/** Lines of these items that have taken copies, or given some back, of orders that have changed within so many seconds. */
export async function readTold(tx: Transaction, userId: string, itemIds: readonly string[], seconds: number): Promise<{ orderId: number; line: LineRecord }[]> {
  return tx.$queryRawUnsafe(READ_TOLD, userId, uuidArray(itemIds), seconds);
}
