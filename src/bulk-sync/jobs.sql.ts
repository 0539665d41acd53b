import { intArray, nameStatement, uuidArray, type Database, type Transaction } from '../platform/postgres/index.ts';
import type { JobState, Mode, Problem, WaitsFor } from './job.ts';

/** What is asked for. */
export interface Request {
  readonly jobId: string;
  readonly userId: string;
  readonly mode: Mode;
  readonly dryRun: boolean;
  readonly confirmShrink: boolean;
  readonly scheduled: boolean;
  readonly askedBy: string;
}

/** False: the seller has a job that is not over. */
export async function insertJob(tx: Transaction, { jobId, userId, mode, dryRun, confirmShrink, scheduled, askedBy }: Request): Promise<boolean> {
  const inserted = await tx.$executeRawUnsafe(
    `INSERT INTO bulk_sync_jobs (job_id, user_id, mode, dry_run, confirm_shrink, scheduled, asked_by)
     VALUES ($1::uuid, $2::uuid, $3, $4::bool, $5::bool, $6::bool, $7) ON CONFLICT (user_id) WHERE due_at IS NOT NULL DO NOTHING`,
    jobId,
    userId,
    mode,
    dryRun,
    confirmShrink,
    scheduled,
    askedBy,
  );
  return inserted === 1;
}

/** A job, for people. */
export interface JobRow {
  readonly jobId: string;
  readonly userId: string;
  readonly mode: Mode;
  readonly state: JobState;
  readonly dryRun: boolean;
  readonly scheduled: boolean;
  readonly askedBy: string;
  readonly askedAt: Date;
  readonly exportedAt: Date | null;
  readonly applyingAt: Date | null;
  readonly endedAt: Date | null;
  /** Somebody is at work on it. */
  readonly leased: boolean;
  readonly problem: Problem | null;
  /** What CardTrader said, or how much is missing. */
  readonly said: string | null;
  /** Products of the export, and entries that could not be read. */
  readonly products: number | null;
  readonly unread: number | null;
  readonly chunks: number | null;
  readonly done: number;
  readonly parked: number;
  /** When the first of the parked ones is tried again; null: none is. */
  readonly nextTryAt: Date | null;
  /** Since when the oldest chunk that was sent and is not over is on its way. */
  readonly sentAt: Date | null;
  /** Chunks on their way that wait, for what, since when, and what that has said last. */
  readonly waiting: readonly number[];
  readonly waitsFor: WaitsFor | null;
  readonly waitsSaid: string | null;
  readonly waitsSince: Date | null;
  readonly ordersRead: boolean;
  readonly created: number;
  readonly adopted: number;
  readonly linked: number;
  readonly pushed: number;
  readonly drifted: number;
  readonly left: number;
  readonly same: number;
  readonly unmapped: number;
}

/** Of a job that is over nobody waits for anything. */
const IS_WAITING = 'waits_for IS NOT NULL AND j.due_at IS NOT NULL';

const JOBS = `SELECT j.job_id AS "jobId", j.user_id AS "userId", j.mode, j.state, j.dry_run AS "dryRun", j.scheduled, j.asked_by AS "askedBy", j.asked_at AS "askedAt", j.exported_at AS "exportedAt",
       j.applying_at AS "applyingAt", j.ended_at AS "endedAt", coalesce(j.lease_until > now(), false) AS leased, j.problem, j.said, j.products, j.unread, j.chunks, j.orders_read AS "ordersRead", c.*
  FROM bulk_sync_jobs AS j
 CROSS JOIN LATERAL (SELECT (count(*) FILTER (WHERE state = 'DONE'))::int AS done, (count(*) FILTER (WHERE state = 'PARKED'))::int AS parked, CASE WHEN j.due_at IS NOT NULL THEN min(next_try_at) END AS "nextTryAt",
                            CASE WHEN j.due_at IS NOT NULL THEN min(sent_at) FILTER (WHERE state = 'SENT') END AS "sentAt",
                            coalesce(array_agg(chunk ORDER BY chunk) FILTER (WHERE ${IS_WAITING}), '{}') AS waiting, min(waits_for) FILTER (WHERE ${IS_WAITING}) AS "waitsFor", min(waits_since) FILTER (WHERE ${IS_WAITING}) AS "waitsSince",
                            (array_agg(waits_said ORDER BY waits_since, chunk) FILTER (WHERE ${IS_WAITING}))[1] AS "waitsSaid",
                            coalesce(sum(created), 0)::int AS created, coalesce(sum(adopted), 0)::int AS adopted, coalesce(sum(linked), 0)::int AS linked, coalesce(sum(pushed), 0)::int AS pushed,
                            coalesce(sum(drifted), 0)::int AS drifted, coalesce(sum(left_alone), 0)::int AS left, coalesce(sum(same), 0)::int AS same, coalesce(sum(unmapped), 0)::int AS unmapped
                       FROM bulk_sync_chunks WHERE job_id = j.job_id) AS c`;

export async function selectJobs(database: Database, jobIds: readonly string[]): Promise<JobRow[]> {
  return database.$queryRawUnsafe(`${JOBS} WHERE j.job_id = ANY ($1::uuid[]) ORDER BY j.asked_at, j.job_id`, uuidArray(jobIds));
}

/** The newest first; of one seller, or of all. */
export async function selectNewestJobs(database: Database, userId: string | null, limit: number): Promise<JobRow[]> {
  return database.$queryRawUnsafe(`${JOBS} WHERE $1::uuid IS NULL OR j.user_id = $1::uuid ORDER BY j.asked_at DESC, j.job_id LIMIT $2::int`, userId, limit);
}

/** Calls a job off; what is applied stays. False: it is over. */
export async function cancelJob(tx: Transaction, jobId: string): Promise<boolean> {
  return (await tx.$executeRawUnsafe("UPDATE bulk_sync_jobs SET state = 'CANCELLED', due_at = NULL, ended_at = now(), lease_owner = NULL, lease_until = NULL WHERE job_id = $1::uuid AND due_at IS NOT NULL", jobId)) === 1;
}

/**
 * Ends a seller's job that has nothing left but parked chunks to be tried again later: a newer export finds their products as they are by then. Answers its
 * id. Needs the user's lane, under which chunks are sent, applied and parked.
 */
export async function endRetrying(tx: Transaction, userId: string): Promise<string | null> {
  const [ended] = await tx.$queryRawUnsafe<{ jobId: string }[]>(
    `UPDATE bulk_sync_jobs AS j SET state = 'DONE', due_at = NULL, ended_at = now(), lease_owner = NULL, lease_until = NULL
      WHERE j.user_id = $1::uuid AND j.due_at IS NOT NULL AND j.state = 'APPLYING'
        AND EXISTS (SELECT FROM bulk_sync_chunks AS c WHERE c.job_id = j.job_id AND c.state = 'PARKED' AND c.next_try_at IS NOT NULL)
        AND NOT EXISTS (SELECT FROM bulk_sync_chunks AS c WHERE c.job_id = j.job_id AND c.state IN ('WAITING', 'SENT'))
     RETURNING j.job_id AS "jobId"`,
    userId,
  );
  return ended?.jobId ?? null;
}

/** A job this process is at work on, until its lease is over. */
export interface ClaimedJob {
  readonly jobId: string;
  readonly userId: string;
  readonly epoch: number;
  readonly mode: Mode;
  readonly state: JobState;
  readonly dryRun: boolean;
  readonly confirmShrink: boolean;
  readonly failures: number;
  readonly token: Uint8Array;
  readonly tokenKeyId: string;
}

/** Whose a job is: under another claim nothing is recorded. */
export type Claim = Pick<ClaimedJob, 'jobId' | 'epoch'> & { readonly owner: string };

const CLAIM_JOBS = nameStatement(
  `UPDATE bulk_sync_jobs AS j SET lease_owner = $1::uuid, lease_epoch = j.lease_epoch + 1, lease_until = now() + make_interval(secs => $2::float8)
     FROM (SELECT q.job_id FROM bulk_sync_jobs AS q JOIN marketplace_sellers AS s ON s.user_id = q.user_id AND s.status = 'active'
            WHERE q.due_at <= now() AND (q.lease_until IS NULL OR q.lease_until < now())
            ORDER BY q.due_at LIMIT $3::int FOR UPDATE OF q SKIP LOCKED) AS due, marketplace_sellers AS m
    WHERE j.job_id = due.job_id AND m.user_id = j.user_id
   RETURNING j.job_id AS "jobId", j.user_id AS "userId", j.lease_epoch AS epoch, j.mode, j.state, j.dry_run AS "dryRun", j.confirm_shrink AS "confirmShrink", j.failures, m.token, m.token_key_id AS "tokenKeyId"`,
  'claim_bulk_jobs',
);

/** Takes jobs that nobody is at work on, those first that have waited longest. */
export async function claimJobs(tx: Transaction, owner: string, { leaseSeconds, most }: { leaseSeconds: number; most: number }): Promise<ClaimedJob[]> {
  return tx.$queryRawUnsafe(CLAIM_JOBS, owner, leaseSeconds, most);
}

const MINE = 'j.job_id = $1::uuid AND j.lease_owner = $2::uuid AND j.lease_epoch = $3::int AND j.due_at IS NOT NULL';
const mine = ({ jobId, owner, epoch }: Claim) => [jobId, owner, epoch] as const;

/** Prolongs the lease; false: the job is somebody else's by now, or called off. */
export async function keepJob(tx: Transaction, claim: Claim, leaseSeconds: number): Promise<boolean> {
  return (await tx.$executeRawUnsafe(`UPDATE bulk_sync_jobs AS j SET lease_until = now() + make_interval(secs => $4::float8) WHERE ${MINE}`, ...mine(claim), leaseSeconds)) === 1;
}

/** Begins an export: what another one has left behind is thrown away. Answers the moment by the database's clock, milliseconds. */
export async function beginExport(tx: Transaction, claim: Claim): Promise<{ exportedAt: number; exports: number } | undefined> {
  const [begun] = await tx.$queryRawUnsafe<{ exportedAt: number; exports: number }[]>(
    `UPDATE bulk_sync_jobs AS j SET state = 'EXPORTING', exports = j.exports + 1, exported_at = date_trunc('milliseconds', now()) WHERE ${MINE} AND j.state IN ('REQUESTED', 'EXPORTING')
     RETURNING extract(epoch FROM j.exported_at)::float8 * 1000 AS "exportedAt", j.exports`,
    ...mine(claim),
  );
  if (begun === undefined) return undefined;
  await tx.$executeRawUnsafe('DELETE FROM bulk_sync_findings WHERE job_id = $1::uuid', claim.jobId);
  await tx.$executeRawUnsafe('DELETE FROM bulk_sync_chunks WHERE job_id = $1::uuid', claim.jobId);
  return begun;
}

/** Keeps a chunk of the export until it is applied; false: the job is somebody else's by now. */
export async function insertChunk(tx: Transaction, claim: Claim, chunk: { chunk: number; eventId: string; productIds: readonly number[]; products: string }): Promise<boolean> {
  const inserted = await tx.$executeRawUnsafe(
    `INSERT INTO bulk_sync_chunks (job_id, chunk, event_id, product_ids, products)
     SELECT j.job_id, $4::int, $5::uuid, $6::bigint[], $7 FROM bulk_sync_jobs AS j WHERE ${MINE}`,
    ...mine(claim),
    chunk.chunk,
    chunk.eventId,
    intArray(chunk.productIds),
    chunk.products,
  );
  return inserted === 1;
}

/**
 * What there was before an export, for whether it can be believed. What a report that was believed has missed is known to be gone, though its listing is marked only by `drift --apply`: counted, it would
 * have every later export look as if it had shrunk. Nor are exports of another account, which the seller had before, a measure.
 */
export async function selectKnown(database: Database, userId: string): Promise<{ listed: number; lastProducts: number | null; shrunk: string[] }> {
  const [known] = await database.$queryRawUnsafe<{ listed: number; lastProducts: number | null; shrunk: string[] | null }[]>(
    `WITH last AS (SELECT j.products, j.ended_at FROM bulk_sync_jobs AS j JOIN marketplace_sellers AS s ON s.user_id = j.user_id AND s.added_at < j.asked_at WHERE j.user_id = $1::uuid AND j.state = 'DONE' ORDER BY j.asked_at DESC LIMIT 1)
     SELECT (SELECT count(*)::int FROM marketplace_listings AS l WHERE l.user_id = $1::uuid AND NOT l.gone
               AND NOT EXISTS (SELECT FROM drift AS d WHERE d.user_id = l.user_id AND d.subject = l.item_id::text AND d.cause = 'gone' AND d.seen_at > l.confirmed_at AND d.seen_at > l.linked_at)) AS listed, (SELECT products FROM last) AS "lastProducts",
            (SELECT array_agg(s.digest ORDER BY s.ended_at DESC)
               FROM (SELECT digest, ended_at FROM bulk_sync_jobs WHERE user_id = $1::uuid AND problem = 'shrunk' AND ended_at > coalesce((SELECT ended_at FROM last), '-infinity') ORDER BY ended_at DESC LIMIT 5) AS s) AS shrunk`,
    userId,
  );
  return { listed: known?.listed ?? 0, lastProducts: known?.lastProducts ?? null, shrunk: known?.shrunk ?? [] };
}

/** The export is whole and believed: from here on its chunks are what counts. */
export async function endExport(tx: Transaction, claim: Claim, taken: { products: number; unread: number; chunks: number; digest: string; ambiguous: readonly string[]; confirmedAt: number }): Promise<boolean> {
  const updated = await tx.$executeRawUnsafe(
    `UPDATE bulk_sync_jobs AS j SET state = 'APPLYING', applying_at = now(), failures = 0, said = NULL, products = $4::int, unread = $5::int, chunks = $6::int, digest = $7, ambiguous = $8::uuid[], confirmed_at = to_timestamp($9::float8 / 1000)
      WHERE ${MINE} AND j.state = 'EXPORTING'`,
    ...mine(claim),
    taken.products,
    taken.unread,
    taken.chunks,
    taken.digest,
    uuidArray(taken.ambiguous),
    taken.confirmedAt,
  );
  return updated === 1;
}

/** Notes that the seller's orders have been read to their end since the export was asked for; false: not yet. */
export async function noteOrdersRead(tx: Transaction, claim: Claim): Promise<boolean> {
  const noted = await tx.$executeRawUnsafe(
    `UPDATE bulk_sync_jobs AS j SET orders_read = true FROM remote_order_polls AS p WHERE ${MINE} AND p.user_id = j.user_id AND p.polled_at > greatest(j.exported_at, j.applying_at)`,
    ...mine(claim),
  );
  return noted === 1;
}

/** Ends a job without its having come to anything. */
export async function failJob(tx: Transaction, claim: Claim, { problem, said, products, digest }: { problem: Problem; said: string; products: number | null; digest: string | null }): Promise<void> {
  await tx.$executeRawUnsafe(
    `UPDATE bulk_sync_jobs AS j SET state = 'FAILED', due_at = NULL, ended_at = now(), lease_owner = NULL, lease_until = NULL, problem = $4, said = $5, products = $6::int, digest = $7 WHERE ${MINE}`,
    ...mine(claim),
    problem,
    said,
    products,
    digest,
  );
  await tx.$executeRawUnsafe("DELETE FROM bulk_sync_chunks WHERE job_id = $1::uuid AND EXISTS (SELECT FROM bulk_sync_jobs WHERE job_id = $1::uuid AND state = 'FAILED')", claim.jobId);
}

/** Every chunk is over; false: the job is somebody else's by now, or called off. */
export async function endJob(tx: Transaction, claim: Claim): Promise<boolean> {
  return (await tx.$executeRawUnsafe(`UPDATE bulk_sync_jobs AS j SET state = 'DONE', due_at = NULL, ended_at = now(), lease_owner = NULL, lease_until = NULL WHERE ${MINE} AND j.state = 'APPLYING'`, ...mine(claim))) === 1;
}

/** What a job that ends has come to; `at`: the database's clock, milliseconds. */
export async function selectEnding(tx: Transaction, jobId: string): Promise<{ unread: number; parked: number; at: number }> {
  const [row] = await tx.$queryRawUnsafe<{ unread: number; parked: number; at: number }[]>(
    "SELECT coalesce(j.unread, 0) AS unread, (SELECT count(*)::int FROM bulk_sync_chunks WHERE job_id = j.job_id AND state = 'PARKED') AS parked, round(extract(epoch FROM now()) * 1000)::float8 AS at FROM bulk_sync_jobs AS j WHERE j.job_id = $1::uuid",
    jobId,
  );
  if (row === undefined) throw new Error('a job that has just been ended is not there');
  return row;
}

/** Gives a job back, to be gone on with later. `failed`: an export has come to nothing. */
export async function releaseJob(tx: Transaction, claim: Claim, { inSeconds, failed, said }: { inSeconds: number; failed: boolean; said: string | null }): Promise<void> {
  await tx.$executeRawUnsafe(
    `UPDATE bulk_sync_jobs AS j SET lease_owner = NULL, lease_until = NULL, due_at = now() + make_interval(secs => $4::float8), failures = j.failures + CASE WHEN $5::bool THEN 1 ELSE 0 END, said = $6 WHERE ${MINE}`,
    ...mine(claim),
    inSeconds,
    failed,
    said,
  );
}

/** Jobs a seller's newest ones have followed so many of are forgotten, findings and all. */
export async function forgetJobs(tx: Transaction, userId: string, kept: number): Promise<void> {
  await tx.$executeRawUnsafe('DELETE FROM bulk_sync_jobs WHERE job_id IN (SELECT job_id FROM bulk_sync_jobs WHERE user_id = $1::uuid AND due_at IS NULL ORDER BY asked_at DESC OFFSET $2::int)', userId, kept);
}

export interface BulkSyncCounts {
  readonly open: ReadonlyMap<JobState, number>;
  /** For how long the oldest open job has had something to be done for it, seconds. */
  readonly oldestSeconds: number;
  /** Parked chunks that are tried again by themselves, and those that are not, of sellers whose newest job that has ended it was. */
  readonly retried: number;
  readonly left: number;
  readonly drift: number;
}

/** For gauges: of what is open, by index. */
export async function countBulkSync(database: Database): Promise<BulkSyncCounts> {
  const [row] = await database.$queryRawUnsafe<{ open: Record<string, number>; oldest: number; retried: number; left: number; drift: number }[]>(
    `SELECT (SELECT coalesce(json_object_agg(state, n), '{}') FROM (SELECT state, count(*)::int AS n FROM bulk_sync_jobs WHERE due_at IS NOT NULL GROUP BY state) AS s) AS open,
            (SELECT coalesce(extract(epoch FROM now() - min(j.due_at)), 0)::float8 FROM bulk_sync_jobs AS j JOIN marketplace_sellers AS s ON s.user_id = j.user_id AND s.status = 'active' WHERE j.due_at <= now()) AS oldest,
            p.retried, p.left,
            (SELECT count(*)::int FROM drift WHERE confirmed) AS drift
       FROM (SELECT (count(*) FILTER (WHERE j.due_at IS NOT NULL AND c.next_try_at IS NOT NULL))::int AS retried,
                    (count(*) FILTER (WHERE CASE WHEN j.due_at IS NOT NULL THEN c.next_try_at IS NULL
                       ELSE j.state = 'DONE' AND NOT EXISTS (SELECT FROM bulk_sync_jobs AS n WHERE n.user_id = j.user_id AND n.asked_at > j.asked_at AND n.state = 'DONE') END))::int AS left
               FROM bulk_sync_chunks AS c JOIN bulk_sync_jobs AS j ON j.job_id = c.job_id WHERE c.state = 'PARKED') AS p`,
  );
  if (row === undefined) throw new Error('a query without a condition answered with nothing');
  return { open: new Map(Object.entries(row.open) as [JobState, number][]), oldestSeconds: row.oldest, retried: row.retried, left: row.left, drift: row.drift };
}
