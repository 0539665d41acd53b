import type { SellerStatus } from '../../marketplace/index.ts';
import type { Database } from '../../platform/postgres/index.ts';
import { FIRST } from './cursor.ts';

/** Somebody with items, an account on CardTrader, or events that wait. */
export interface UserRow {
  readonly user_id: string;
  /** Of the account; null, as all of it: there is none. */
  readonly status: SellerStatus | null;
  readonly status_reason: string | null;
  readonly status_at: Date | null;
  readonly seller_id: number | null;
  readonly app_name: string | null;
  readonly added_at: Date | null;
  readonly token_checked_at: Date | null;
  readonly listing_sync: boolean | null;
  readonly buffer: number | null;
  readonly circuit_open_until: Date | null;
  /** When the orders on CardTrader were last read to their end. */
  readonly orders_read_at: Date | null;
  readonly parked_at: Date | null;
  readonly parked_reason: string | null;
  /** Events that wait with it. */
  readonly parked_events: number;
  readonly drifted_items: number;
  readonly oversold_items: number;
  readonly mismatched_listings: number;
  readonly open_operations: number;
}

/** Everything here is counted along an index of what is amiss or open, never along all a user has. */
const OF_PAGE = `SELECT p.user_id, s.status, s.status_reason, s.status_at, s.seller_id::float8 AS seller_id, s.app_name, s.added_at, s.checked_at AS token_checked_at, s.listing_sync, s.buffer,
       CASE WHEN s.open_until > now() THEN s.open_until END AS circuit_open_until, o.polled_at AS orders_read_at, k.parked_at, k.reason AS parked_reason,
       (SELECT count(*)::int FROM parked_events AS e WHERE e.user_id = p.user_id) AS parked_events,
       (SELECT count(*)::int FROM inventory_items AS i WHERE i.user_id = p.user_id AND i.flags <> 0 AND i.flags & 2 <> 0) AS drifted_items,
       (SELECT count(*)::int FROM inventory_items AS i WHERE i.user_id = p.user_id AND i.flags <> 0 AND i.flags & 4 <> 0) AS oversold_items,
       (SELECT count(*)::int FROM marketplace_listings AS l WHERE l.user_id = p.user_id AND l.mismatch IS NOT NULL) AS mismatched_listings,
       (SELECT count(*)::int FROM marketplace_operations AS m WHERE m.user_id = p.user_id AND m.due_at IS NOT NULL) AS open_operations
  FROM page AS p LEFT JOIN marketplace_sellers AS s USING (user_id) LEFT JOIN remote_order_polls AS o USING (user_id) LEFT JOIN parked_users AS k USING (user_id)`;

const NEXT_USER = (after: string): string =>
  `least(${['inventory_items', 'marketplace_sellers', 'parked_users'].map((table) => `(SELECT user_id FROM ${table} WHERE user_id > ${after} ORDER BY user_id LIMIT 1)`).join(', ')})`;

/** Users in the order of their ids, from behind `after` on; each is one look-up from the one before, however many items that one has. */
export async function selectUsers(database: Database, { status, after = FIRST, most }: { status?: SellerStatus | undefined; after?: string | undefined; most: number }): Promise<UserRow[]> {
  return status === undefined
    ? database.$queryRawUnsafe(
        `WITH RECURSIVE walk AS (
           SELECT ${NEXT_USER('$1::uuid')} AS user_id, 1 AS step
           UNION ALL
           SELECT ${NEXT_USER('walk.user_id')}, step + 1 FROM walk WHERE walk.user_id IS NOT NULL AND step < $2::int
         ), page AS (SELECT user_id FROM walk WHERE user_id IS NOT NULL)
         ${OF_PAGE} ORDER BY p.user_id`,
        after,
        most,
      )
    : database.$queryRawUnsafe(`WITH page AS (SELECT user_id FROM marketplace_sellers WHERE user_id > $1::uuid AND status = $3 ORDER BY user_id LIMIT $2::int) ${OF_PAGE} ORDER BY p.user_id`, after, most, status);
}

/** One of them with how much they have; undefined: nobody here knows them. */
export async function selectUser(database: Database, userId: string): Promise<(UserRow & { readonly items: number; readonly listings: number }) | undefined> {
  const [user] = await database.$queryRawUnsafe<(UserRow & { readonly items: number; readonly listings: number })[]>(
    `WITH page AS (SELECT $1::uuid AS user_id)
     SELECT u.*, (SELECT count(*)::int FROM inventory_items AS i WHERE i.user_id = u.user_id) AS items, (SELECT count(*)::int FROM marketplace_listings AS l WHERE l.user_id = u.user_id AND NOT l.gone) AS listings
       FROM (${OF_PAGE}) AS u`,
    userId,
  );
  return user === undefined || (user.items === 0 && user.status === null && user.parked_at === null) ? undefined : user;
}
