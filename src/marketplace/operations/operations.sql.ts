import { codeArray, DatabaseFailure, intArray, nameStatement, uuidArray, type Transaction } from '../../platform/postgres/index.ts';
import type { AskedOperation, Listed, Operation } from './operation.ts';

const READ_OPERATIONS = nameStatement(
  `SELECT k.n::int AS n, o.operation_id AS "id", o.item_id AS "itemId", o.kind, o.quantity, o.state, o.returns, o.reason
     FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k (user_id, purchase_id, n)
     JOIN marketplace_operations AS o ON o.purchase_id = k.purchase_id AND o.user_id = k.user_id
    ORDER BY k.n, o.seq`,
  'read_operations',
);

/** Operations of each sale, oldest first; same order as asked. */
export async function readOperations(tx: Transaction, sales: readonly { userId: string; purchaseId: string }[]): Promise<Operation[][]> {
  if (sales.length === 0) return [];
  const rows = await tx.$queryRawUnsafe<(Operation & { n: number })[]>(READ_OPERATIONS, uuidArray(sales.map(({ userId }) => userId)), uuidArray(sales.map(({ purchaseId }) => purchaseId)));
  return grouped(sales.length, rows);
}

const READ_LISTED = nameStatement(
  `SELECT k.n::int AS n, l.item_id AS "itemId", l.product_id::float8 AS "productId"
     FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS k (user_id, item_id, n)
     LEFT JOIN marketplace_listings AS l ON l.user_id = k.user_id AND l.item_id = k.item_id
    WHERE l.item_id IS NOT NULL
       OR EXISTS (SELECT FROM marketplace_operations AS o WHERE o.user_id = k.user_id AND o.item_id = k.item_id AND o.state IN ('SENT', 'UNKNOWN'))`,
  'read_listed',
);

/**
 * Which items of each sale are listed on CardTrader; same order as asked. One whose product is gone still counts: it may have been
 * sold out there, and then what is on hand here is not for sale any more. So does one that may be being listed at this moment.
 */
export async function readListed(tx: Transaction, sales: readonly { userId: string; itemIds: readonly string[] }[]): Promise<Listed[][]> {
  const wanted = sales.flatMap(({ userId, itemIds }, index) => itemIds.map((itemId) => ({ userId, itemId, n: index + 1 })));
  if (wanted.length === 0) return sales.map(() => []);
  const rows = await tx.$queryRawUnsafe<(Listed & { n: number })[]>(READ_LISTED, uuidArray(wanted.map(({ userId }) => userId)), uuidArray(wanted.map(({ itemId }) => itemId)), intArray(wanted.map(({ n }) => n)));
  return grouped(sales.length, rows);
}

function grouped<T>(length: number, rows: readonly (T & { n: number })[]): T[][] {
  const groups = Array.from({ length }, (): T[] => []);
  for (const row of rows) groups[row.n - 1]?.push(row);
  return groups;
}

/*
 * The seller's `work_at` is what a dispatcher looks at. Whoever gives a seller back computes it anew under the same lane, so that an
 * operation asked for meanwhile is never missed.
 */
const ASK_OPERATIONS = nameStatement(
  `WITH asked AS (
     INSERT INTO marketplace_operations (operation_id, user_id, item_id, purchase_id, returns, product_id, due_at, quantity, kind, state)
     SELECT operation_id, user_id, item_id, purchase_id, returns, product_id, now(), quantity, kind, 'PENDING'
       FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bigint[], $7::int[], $8::text[]) WITH ORDINALITY
         AS a (operation_id, user_id, item_id, purchase_id, returns, product_id, quantity, kind, n)
      ORDER BY n
     RETURNING 1),
   withdrawn AS (
     UPDATE marketplace_operations AS o SET state = 'WITHDRAWN', due_at = NULL, settled_at = now()
       FROM unnest($9::uuid[]) AS w (operation_id)
      WHERE o.operation_id = w.operation_id AND o.state = 'PENDING'
     RETURNING 1),
   woken AS (
     UPDATE marketplace_sellers AS s SET work_at = now()
       FROM (SELECT DISTINCT user_id FROM unnest($2::uuid[]) AS a (user_id)) AS u
      WHERE s.user_id = u.user_id AND (s.work_at IS NULL OR s.work_at > now()))
   SELECT (SELECT count(*)::int FROM asked) AS asked, (SELECT count(*)::int FROM withdrawn) AS withdrawn`,
  'ask_operations',
);

/** Writes down what sales want done on CardTrader, and what they want no more of; needs the lanes of their users. */
export async function askOperations(tx: Transaction, asked: readonly AskedOperation[], withdrawn: readonly string[]): Promise<void> {
  if (asked.length + withdrawn.length === 0) return;
  const [done] = await tx.$queryRawUnsafe<{ asked: number; withdrawn: number }[]>(
    ASK_OPERATIONS,
    uuidArray(asked.map(({ operation }) => operation.id)),
    uuidArray(asked.map(({ userId }) => userId)),
    uuidArray(asked.map(({ operation }) => operation.itemId)),
    uuidArray(asked.map(({ purchaseId }) => purchaseId)),
    uuidArray(asked.map(({ operation }) => operation.returns)),
    intArray(asked.map(({ productId }) => productId)),
    intArray(asked.map(({ operation }) => operation.quantity)),
    codeArray(asked.map(({ operation }) => operation.kind)),
    uuidArray(withdrawn),
  );
  if (done?.asked === asked.length && done.withdrawn === withdrawn.length) return;
  throw new DatabaseFailure({ kind: 'conflict', state: undefined, cause: undefined, message: `${asked.length} operations were to be asked for and ${withdrawn.length} withdrawn, ${done?.asked ?? 0} and ${done?.withdrawn ?? 0} were: somebody writes without the lane lock` });
}
