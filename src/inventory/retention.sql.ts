import { intArray, LANE_LOCK_CLASS, type Transaction } from '../platform/postgres/index.ts';

/** Second key of the walker's lock, beyond every lane. */
const WALKER = 1_000;

/**
 * Looks at the next `rows` ledger rows behind `after` in the order of the primary key and deletes those that may go. `last` is the
 * last one looked at, null when there was none or when another instance is walking.
 */
export async function pruneLedger(tx: Transaction, { after, keepSince, rows }: { after: string; keepSince: number; rows: number }): Promise<{ deleted: number; last: string | null }> {
  const [lock] = await tx.$queryRawUnsafe<{ mine: boolean }[]>(`SELECT pg_try_advisory_xact_lock(${LANE_LOCK_CLASS}, ${WALKER}) AS mine`);
  if (lock?.mine !== true) return { deleted: 0, last: null };
  const [step] = await tx.$queryRawUnsafe<{ deleted: number; last: string | null }[]>(
    `WITH looked AS (
       SELECT event_id, recorded_at, occurred_at FROM stock_ledger WHERE event_id > $1::uuid ORDER BY event_id LIMIT ${rows}),
     gone AS (
       DELETE FROM stock_ledger AS l USING looked AS o
        WHERE l.event_id = o.event_id AND greatest(o.recorded_at, o.occurred_at) < to_timestamp(($2::bigint[])[1] / 1000.0)
       RETURNING 1)
     SELECT (SELECT count(*)::int FROM gone) AS deleted, (SELECT event_id FROM looked ORDER BY event_id DESC LIMIT 1) AS last`,
    after,
    intArray([Math.floor(keepSince)]),
  );
  return step ?? { deleted: 0, last: null };
}
