import type pg from 'pg';

/** Chunks of bulk syncs that have imported something: so many ledger rows each, by event id. */
export async function appliedChunks(client: pg.PoolClient): Promise<Map<string, { userId: string; rows: number }>> {
  const { rows } = await client.query<{ event_id: string; user_id: string; rows: number }>(
    `SELECT c.event_id, j.user_id, c.created + c.adopted AS rows FROM bulk_sync_chunks AS c JOIN bulk_sync_jobs AS j USING (job_id)
      WHERE c.state = 'DONE' AND j.mode = 'adopt-remote' AND NOT j.dry_run AND c.created + c.adopted > 0`,
  );
  return new Map(rows.map((row) => [row.event_id, { userId: row.user_id, rows: row.rows }]));
}

/** How many copies of each item these sellers keep, or kept, from CardTrader: an import adds as many. The one that holds now comes first. */
export async function buffersOf(client: pg.PoolClient, userIds: readonly string[]): Promise<Map<string, Set<number>>> {
  const buffers = new Map<string, Set<number>>();
  if (userIds.length === 0) return buffers;
  const { rows } = await client.query<{ user_id: string; buffer: number }>(
    `SELECT user_id, buffer FROM (
       SELECT user_id::text, buffer, 1 AS n FROM marketplace_sellers WHERE user_id = ANY($1::uuid[])
       UNION ALL SELECT a.target, (b.side->>'buffer')::int, 2 FROM operator_actions AS a CROSS JOIN LATERAL (VALUES (a.detail->'from'), (a.detail->'to')) AS b (side)
                  WHERE a.action = 'users.set' AND a.target = ANY($1::text[]) AND b.side ? 'buffer') AS x
      ORDER BY user_id, n`,
    [userIds],
  );
  for (const { user_id: userId, buffer } of rows) buffers.set(userId, (buffers.get(userId) ?? new Set()).add(buffer));
  return buffers;
}
