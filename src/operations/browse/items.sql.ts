import type { Database } from '../../platform/postgres/index.ts';
import { FIRST } from './cursor.ts';

/** What a list of items can be narrowed to, and how that is asked: `i` is the item, `l` its listing. */
const STATUS_IS = {
  in_stock: 'i.on_hand > i.held',
  out_of_stock: 'i.on_hand <= i.held AND i.flags & 1 = 0',
  removed: 'i.flags <> 0 AND i.flags & 1 <> 0',
  drifted: 'i.flags <> 0 AND i.flags & 2 <> 0',
  oversold: 'i.flags <> 0 AND i.flags & 4 <> 0',
  listed: 'l.product_id IS NOT NULL AND NOT l.gone',
  unlisted: '(l.product_id IS NULL OR l.gone)',
  mismatched: 'l.mismatch IS NOT NULL',
} as const;
export type ItemStatus = keyof typeof STATUS_IS;
export const ITEM_STATUSES = Object.keys(STATUS_IS) as [ItemStatus, ...ItemStatus[]];

export interface ItemFilter {
  readonly status?: ItemStatus | undefined;
  readonly blueprint?: number | undefined;
  /** Part of the card's name, as CardTrader has it. */
  readonly q?: string | undefined;
  readonly changedSince?: Date | undefined;
}

export interface ListedItemRow {
  readonly item_id: string;
  readonly blueprint_id: number | null;
  readonly on_hand: number;
  readonly held: number;
  readonly price_cents: number | null;
  readonly currency: string | null;
  readonly properties: Record<string, string> | null;
  readonly version: number | null;
  readonly flags: number;
  readonly updated_at: Date;
  /** Of its product on CardTrader; null: there is none. */
  readonly product_id: number | null;
  readonly name: string | null;
  readonly listed: number | null;
  readonly listed_price_cents: number | null;
  readonly gone: boolean | null;
  readonly confirmed_at: Date | null;
  readonly mismatch: string | null;
}

/** Items of a user in the order of their ids, from behind `after` on: a walk along the key, however far into it. */
export async function selectItemPage(database: Database, userId: string, { status, blueprint, q, changedSince }: ItemFilter, { after = FIRST, most }: { after?: string | undefined; most: number }): Promise<ListedItemRow[]> {
  const values: unknown[] = [userId, after, most];
  const place = (value: unknown): string => `$${values.push(value)}`;
  const conditions = [
    ...(status === undefined ? [] : [STATUS_IS[status]]),
    ...(blueprint === undefined ? [] : [`i.blueprint_id = ${place(blueprint)}::float8::bigint`]),
    ...(changedSince === undefined ? [] : [`i.updated_at >= ${place(changedSince.toISOString())}::timestamptz`]),
    ...(q === undefined ? [] : [`l.product ->> 'name' ILIKE ${place(`%${q.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`)}`]),
  ];
  return database.$queryRawUnsafe(
    `SELECT i.item_id, i.blueprint_id::float8 AS blueprint_id, i.on_hand, i.held, i.price_cents::float8 AS price_cents, i.currency, i.properties, i.version::float8 AS version, i.flags, i.updated_at,
            l.product_id::float8 AS product_id, l.product ->> 'name' AS name, l.quantity AS listed, l.price_cents::float8 AS listed_price_cents, l.gone, l.confirmed_at, l.mismatch ->> 'kind' AS mismatch
       FROM inventory_items AS i LEFT JOIN marketplace_listings AS l ON l.user_id = i.user_id AND l.item_id = i.item_id
      WHERE i.user_id = $1::uuid AND i.item_id > $2::uuid${conditions.map((condition) => ` AND ${condition}`).join('')}
      ORDER BY i.item_id LIMIT $3::int`,
    ...values,
  );
}
