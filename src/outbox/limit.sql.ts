import type { Database } from '../platform/postgres/index.ts';

/**
 * Whether the outbox holds at least so many rows. PostgreSQL's own statistics cost nothing to read, but are forgotten in a crash
 * (live tuples) or late (reltuples): what they say is believed when it is little, and counted when it is much.
 */
export async function holdsAtLeast(database: Database, rows: number): Promise<boolean> {
  const [answer] = await database.$queryRawUnsafe<{ full: boolean }[]>(
    `SELECT CASE WHEN greatest(pg_stat_get_live_tuples(c.oid), c.reltuples) < $1::bigint THEN false
                 ELSE (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1::bigint) AS counted) >= $1::bigint END AS full
       FROM pg_class AS c WHERE c.oid = 'outbox'::regclass`,
    rows,
  );
  return answer?.full === true;
}
