import type { Database } from '../platform/postgres/index.ts';

export interface MarketplaceCounts {
  readonly sellers: ReadonlyMap<string, number>;
  readonly openCircuits: number;
  /** Operations of sales that are not settled, by state. */
  readonly operations: ReadonlyMap<string, number>;
  /** Age of the oldest that is due, seconds; only of sellers for whom CardTrader may be called now: not paused, not rejected, no open circuit. */
  readonly oldestDueSeconds: number;
  readonly needOperator: number;
  readonly mismatches: number;
  /** SYNCs that are not settled, the age of the oldest in seconds, and items with something CardTrader does not take. */
  readonly syncs: number;
  readonly oldestSyncSeconds: number;
  readonly problems: number;
}

/** For gauges; each count reads an index of what is open, not of everything there ever was. */
export async function countMarketplace(database: Database): Promise<MarketplaceCounts> {
  const [row] = await database.$queryRawUnsafe<{ sellers: Record<string, number>; open: number; operations: Record<string, number>; oldest: number; stuck: number; mismatches: number; syncs: number; oldestSync: number; problems: number }[]>(
    `SELECT (SELECT coalesce(json_object_agg(status, n), '{}') FROM (SELECT status, count(*)::int AS n FROM marketplace_sellers GROUP BY status) AS s) AS sellers,
            (SELECT count(*)::int FROM marketplace_sellers WHERE open_until > now()) AS open,
            (SELECT coalesce(json_object_agg(state, n), '{}') FROM (SELECT state, count(*)::int AS n FROM marketplace_operations WHERE due_at IS NOT NULL AND kind <> 'SYNC' GROUP BY state) AS o) AS operations,
            (SELECT coalesce(greatest(0, extract(epoch FROM now() - min(o.due_at))), 0)::float8 FROM marketplace_operations AS o JOIN marketplace_sellers AS s USING (user_id)
              WHERE o.due_at IS NOT NULL AND o.kind <> 'SYNC' AND s.status = 'active' AND (s.open_until IS NULL OR s.open_until <= now())) AS oldest,
            (SELECT count(*)::int FROM marketplace_operations WHERE due_at IS NOT NULL AND kind = 'SYNC') AS syncs,
            (SELECT coalesce(greatest(0, extract(epoch FROM now() - min(o.created_at))), 0)::float8 FROM marketplace_operations AS o JOIN marketplace_sellers AS s USING (user_id)
              WHERE o.due_at IS NOT NULL AND o.kind = 'SYNC' AND s.status = 'active' AND (s.open_until IS NULL OR s.open_until <= now())) AS "oldestSync",
            (SELECT count(*)::int FROM marketplace_problems) AS problems,
            (SELECT count(*)::int FROM marketplace_operations WHERE state = 'NEEDS_OPERATOR') AS stuck,
            (SELECT count(*)::int FROM marketplace_listings WHERE mismatch IS NOT NULL) AS mismatches`,
  );
  if (row === undefined) throw new Error('a query without a condition answered with nothing');
  return { sellers: new Map(Object.entries(row.sellers)), openCircuits: row.open, operations: new Map(Object.entries(row.operations)), oldestDueSeconds: row.oldest, needOperator: row.stuck, mismatches: row.mismatches, syncs: row.syncs, oldestSyncSeconds: row.oldestSync, problems: row.problems };
}
