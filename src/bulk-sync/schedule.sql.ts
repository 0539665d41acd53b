import type { Transaction } from '../platform/postgres/index.ts';

/**
 * Asks for a report of each seller whose place in the window has come and who has had none in it, whoever else asks at this moment: of a
 * seller there is one open job at most. A seller's place follows from the id.
 */
export async function scheduleReports(tx: Transaction, { beganAt, passed, most }: { beganAt: number; passed: number; most: number }): Promise<number> {
  return tx.$executeRawUnsafe(
    `INSERT INTO bulk_sync_jobs (job_id, user_id, mode, dry_run, confirm_shrink, scheduled, asked_by)
     SELECT gen_random_uuid(), s.user_id, 'report', false, false, true, 'schedule'
       FROM marketplace_sellers AS s
      WHERE s.status = 'active' AND (hashtext(s.user_id::text)::bigint & 65535) < $2::float8 * 65536
        AND NOT EXISTS (SELECT FROM bulk_sync_jobs AS j WHERE j.user_id = s.user_id AND (j.due_at IS NOT NULL OR (j.scheduled AND j.asked_at >= to_timestamp($1::float8 / 1000))))
      ORDER BY s.user_id LIMIT $3::int
     ON CONFLICT (user_id) WHERE due_at IS NOT NULL DO NOTHING`,
    beganAt,
    passed,
    most,
  );
}
