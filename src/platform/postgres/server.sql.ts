import type { PrismaClient } from './generated/client.ts';

/**
 * A row of pg_stat_activity that is a program's connection. Of sessions of other roles PostgreSQL tells a role without pg_read_all_stats neither the type nor what they do, only that
 * they are there, in which database and whose: a worker of one of their queries counts, too, then.
 */
export const IS_CLIENT = "(backend_type = 'client backend' OR backend_type IS NULL AND datid IS NOT NULL AND usesysid IS NOT NULL)";

/**
 * Connections of the whole server, whoever opened them, and how many it gives to programs that are not superusers: its own reserve is not
 * for us. Counts rows of a view in memory.
 */
export async function readServerConnections(database: Pick<PrismaClient, '$queryRawUnsafe'>): Promise<{ readonly used: number; readonly max: number }> {
  const [row] = await database.$queryRawUnsafe<{ used: number; max: number }[]>(
    `SELECT (SELECT count(*)::int FROM pg_stat_activity WHERE ${IS_CLIENT}) AS used,
            current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int - coalesce(current_setting('reserved_connections', true)::int, 0) AS max`,
  );
  if (row === undefined) throw new Error('a query without a condition answered with nothing');
  return row;
}
