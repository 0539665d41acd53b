import type { PrismaClient } from './generated/client.ts';

/**
 * Connections of the whole server, whoever opened them, and how many it gives to programs that are not superusers: its own reserve is not
 * for us. Counts rows of a view in memory.
 */
export async function readServerConnections(database: Pick<PrismaClient, '$queryRawUnsafe'>): Promise<{ readonly used: number; readonly max: number }> {
  const [row] = await database.$queryRawUnsafe<{ used: number; max: number }[]>(
    `SELECT (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
            current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int - coalesce(current_setting('reserved_connections', true)::int, 0) AS max`,
  );
  if (row === undefined) throw new Error('a query without a condition answered with nothing');
  return row;
}
