import { intArray, jsonText, nameStatement, storable, uuidArray, type Database, type Transaction } from '../../platform/postgres/index.ts';
import type { Problem } from './wanted.ts';

/* With nobody who has it on, as many users as there may be are not looked up at all. */
const SELECT_SYNCED = nameStatement(
  `SELECT u.n::int AS n FROM unnest($1::uuid[]) WITH ORDINALITY AS u (user_id, n) JOIN marketplace_sellers AS s ON s.user_id = u.user_id AND s.listing_sync
    WHERE EXISTS (SELECT FROM marketplace_sellers WHERE listing_sync)`,
  'select_synced',
);

/** Which of these users have listing sync on. */
export async function selectSynced(tx: Transaction, userIds: readonly string[]): Promise<Set<string>> {
  if (userIds.length === 0) return new Set();
  const rows = await tx.$queryRawUnsafe<{ n: number }[]>(SELECT_SYNCED, uuidArray(userIds));
  return new Set(rows.flatMap(({ n }) => userIds[n - 1] ?? []));
}

const ASK_SYNC = nameStatement(
  `WITH asked AS (
     INSERT INTO marketplace_operations (operation_id, user_id, item_id, due_at, quantity, kind, state)
     SELECT gen_random_uuid(), a.user_id, a.item_id, now(), 0, 'SYNC', 'PENDING'
       FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS a (user_id, item_id, n)
       JOIN marketplace_sellers AS s ON s.user_id = a.user_id AND s.listing_sync
      ORDER BY a.n
     ON CONFLICT (user_id, item_id) WHERE kind = 'SYNC' AND state = 'PENDING' DO NOTHING
     RETURNING user_id),
   woken AS (
     UPDATE marketplace_sellers AS s SET work_at = now()
       FROM (SELECT DISTINCT user_id FROM asked) AS u
      WHERE s.user_id = u.user_id AND (s.work_at IS NULL OR s.work_at > now()))
   SELECT count(*)::int AS asked FROM asked`,
  'ask_sync',
);

/** Has somebody look whether CardTrader shows what is here of these items; an item for whom somebody will look anyway is left at that. Needs their lanes. */
export async function askSync(tx: Transaction, items: readonly { userId: string; itemId: string }[]): Promise<number> {
  if (items.length === 0) return 0;
  const [row] = await tx.$queryRawUnsafe<{ asked: number }[]>(ASK_SYNC, uuidArray(items.map(({ userId }) => userId)), uuidArray(items.map(({ itemId }) => itemId)));
  return row?.asked ?? 0;
}

const ACCOUNT = nameStatement(
  `UPDATE marketplace_listings AS l
      SET unaccounted = l.unaccounted - x.change,
          mismatch = CASE WHEN l.unaccounted - x.change = 0 AND l.mismatch ->> 'kind' IN ('fewer', 'more', 'overwritten_sale') THEN NULL ELSE l.mismatch END
     FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS x (user_id, item_id, change)
    WHERE l.user_id = x.user_id AND l.item_id = x.item_id`,
  'account_remote_changes',
);

/** Our stock has heard of sales on CardTrader (`change` negative), or of their being undone. One row an item. Needs the lanes of the users. */
export async function accountRemoteChanges(tx: Transaction, changes: readonly { userId: string; itemId: string; change: number }[]): Promise<void> {
  if (changes.length === 0) return;
  await tx.$executeRawUnsafe(ACCOUNT, uuidArray(changes.map(({ userId }) => userId)), uuidArray(changes.map(({ itemId }) => itemId)), intArray(changes.map(({ change }) => change)));
}

/** Looks at every item of one seller that CardTrader may show otherwise, as far as that is told at little cost. Needs the user's lane. */
export async function askSyncOfAll(tx: Transaction, userId: string): Promise<number> {
  const [row] = await tx.$queryRawUnsafe<{ asked: number }[]>(
    `WITH asked AS (
       INSERT INTO marketplace_operations (operation_id, user_id, item_id, due_at, quantity, kind, state)
       SELECT gen_random_uuid(), i.user_id, i.item_id, now(), 0, 'SYNC', 'PENDING'
         FROM inventory_items AS i
         JOIN marketplace_sellers AS s ON s.user_id = i.user_id AND s.listing_sync
         LEFT JOIN marketplace_listings AS l ON l.user_id = i.user_id AND l.item_id = i.item_id
        WHERE i.user_id = $1::uuid
          AND CASE WHEN l.item_id IS NULL OR l.gone THEN i.on_hand > 0 AND i.blueprint_id IS NOT NULL AND i.price_cents IS NOT NULL
                   ELSE l.quantity <> greatest(0, i.on_hand - s.buffer + l.unaccounted) OR l.price_cents <> i.price_cents OR i.properties IS NOT NULL END
       ON CONFLICT (user_id, item_id) WHERE kind = 'SYNC' AND state = 'PENDING' DO NOTHING
       RETURNING 1),
     woken AS (UPDATE marketplace_sellers AS s SET work_at = now() WHERE s.user_id = $1::uuid AND EXISTS (SELECT FROM asked) AND (s.work_at IS NULL OR s.work_at > now()))
     SELECT count(*)::int AS asked FROM asked`,
    userId,
  );
  return row?.asked ?? 0;
}

/** Needs the user's lane. */
export async function updateSyncSettings(tx: Transaction, userId: string, { listingSync, buffer }: { listingSync: boolean | null; buffer: number | null }): Promise<void> {
  await tx.$executeRawUnsafe('UPDATE marketplace_sellers SET listing_sync = coalesce($2::bool, listing_sync), buffer = coalesce($3::int, buffer) WHERE user_id = $1::uuid', userId, listingSync, buffer);
}

/** Nobody will look any more; what was sent is still seen to. Needs the user's lane. */
export async function forgetSync(tx: Transaction, userId: string): Promise<void> {
  await tx.$executeRawUnsafe("DELETE FROM marketplace_operations WHERE user_id = $1::uuid AND kind = 'SYNC' AND state = 'PENDING'", userId);
}

/** What CardTrader lacks is to be put up there: an operator says that no sale there is missing here. Needs the user's lane. Answers how many listings that concerns. */
export async function trustStock(tx: Transaction, userId: string): Promise<number> {
  return tx.$executeRawUnsafe("UPDATE marketplace_listings SET unaccounted = 0, mismatch = CASE WHEN mismatch ->> 'kind' IN ('fewer', 'more', 'overwritten_sale') THEN NULL ELSE mismatch END WHERE user_id = $1::uuid AND unaccounted <> 0", userId);
}

const WRITE_PROBLEMS = nameStatement(
  `INSERT INTO marketplace_problems AS p (user_id, item_id, kind, said, wanted)
   SELECT user_id, item_id, kind, said, wanted FROM jsonb_to_recordset($1::jsonb) AS x (user_id uuid, item_id uuid, kind text, said text, wanted text)
   ON CONFLICT (user_id, item_id) DO UPDATE SET at = now(), kind = excluded.kind, said = excluded.said, wanted = excluded.wanted`,
  'write_problems',
);
const CLEAR_PROBLEMS = nameStatement(`DELETE FROM marketplace_problems AS p USING unnest($1::uuid[], $2::uuid[]) AS x (user_id, item_id) WHERE p.user_id = x.user_id AND p.item_id = x.item_id`, 'clear_problems');

/** What CardTrader said of these items; null: nothing is wrong any more. */
export async function writeProblems(tx: Transaction, found: readonly { userId: string; itemId: string; problem: Problem | null }[]): Promise<void> {
  const bad = found.flatMap(({ userId, itemId, problem }) => (problem === null ? [] : [{ user_id: userId, item_id: itemId, ...problem, said: storable(problem.said, 500) }]));
  if (bad.length > 0) await tx.$executeRawUnsafe(WRITE_PROBLEMS, jsonText(bad));
  const good = found.filter(({ problem }) => problem === null);
  if (good.length > 0) await tx.$executeRawUnsafe(CLEAR_PROBLEMS, uuidArray(good.map(({ userId }) => userId)), uuidArray(good.map(({ itemId }) => itemId)));
}

/** A problem as it is stored, for people. */
export interface ProblemRow extends Problem {
  readonly itemId: string;
  readonly at: Date;
  readonly productId: number | null;
}

export async function selectProblems(database: Database, userId: string, limit: number): Promise<ProblemRow[]> {
  return database.$queryRawUnsafe(
    `SELECT p.item_id AS "itemId", p.at, p.kind, p.said, p.wanted, l.product_id::float8 AS "productId"
       FROM marketplace_problems AS p LEFT JOIN marketplace_listings AS l ON l.user_id = p.user_id AND l.item_id = p.item_id
      WHERE p.user_id = $1::uuid ORDER BY p.item_id LIMIT $2::int`,
    userId,
    limit,
  );
}
