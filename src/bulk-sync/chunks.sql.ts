import { intArray, storable, textArray, uuidArray, type Database, type Transaction } from '../platform/postgres/index.ts';
import type { Cause, Counts, Finding, Mode, WaitsFor } from './job.ts';
import type { Claim } from './jobs.sql.ts';

/** A chunk to be sent. */
export interface ToSend {
  /** It was parked: what refused it may have passed. */
  readonly retried: boolean;
  /** It was sent before, so long ago that it may have been lost. */
  readonly lost: boolean;
  readonly chunk: number;
  readonly chunks: number;
  readonly eventId: string;
  readonly userId: string;
  readonly exportedAt: number;
  /** JSON. */
  readonly products: string;
}

/**
 * Marks chunks as sent, so that at most `window` are on their way, and answers them; those sent so long ago that they may have been lost are among
 * them, and parked ones whose next try has come. What is delivered twice is known by its event id. Needs the user's lane.
 */
export async function takeToSend(tx: Transaction, { jobId, owner, epoch }: Claim, { window, lostSeconds }: { window: number; lostSeconds: number }): Promise<ToSend[]> {
  return tx.$queryRawUnsafe(
    `WITH job AS (SELECT j.* FROM bulk_sync_jobs AS j WHERE j.job_id = $1::uuid AND j.lease_owner = $2::uuid AND j.lease_epoch = $3::int AND j.state = 'APPLYING' FOR UPDATE),
          room AS (SELECT greatest(0, $4::int - count(*)::int) AS n FROM bulk_sync_chunks WHERE job_id = $1::uuid AND state = 'SENT' AND sent_at > now() - make_interval(secs => $5::float8)),
          next AS (SELECT c.job_id, c.chunk, c.state = 'PARKED' AS retried, c.state = 'SENT' AS lost FROM bulk_sync_chunks AS c JOIN job ON job.job_id = c.job_id
                    WHERE c.state = 'WAITING' OR (c.state = 'SENT' AND c.sent_at <= now() - make_interval(secs => $5::float8)) OR (c.state = 'PARKED' AND c.next_try_at <= now())
                    ORDER BY c.state = 'PARKED', c.chunk LIMIT (SELECT n FROM room)),
          sent AS (UPDATE bulk_sync_chunks AS c SET state = 'SENT', sent_at = now(), ended_at = NULL, next_try_at = NULL, retries = c.retries + next.retried::int
                     FROM next WHERE c.job_id = next.job_id AND c.chunk = next.chunk RETURNING c.chunk, c.event_id, c.products, next.retried, next.lost)
     SELECT s.chunk, s.retried, s.lost, job.chunks, s.event_id AS "eventId", job.user_id AS "userId", extract(epoch FROM job.exported_at)::float8 * 1000 AS "exportedAt", s.products FROM sent AS s CROSS JOIN job ORDER BY s.chunk`,
    jobId,
    owner,
    epoch,
    window,
    lostSeconds,
  );
}

/** Chunks that can be got on with now; `againSeconds`: until the first of the others that are tried again, null: none is. */
export async function countOpen(database: Database, jobId: string): Promise<{ open: number; againSeconds: number | null }> {
  const [row] = await database.$queryRawUnsafe<{ open: number; againSeconds: number | null }[]>(
    `SELECT (count(*) FILTER (WHERE state IN ('WAITING', 'SENT') OR next_try_at <= now()))::int AS open, extract(epoch FROM min(next_try_at) - now())::float8 AS "againSeconds"
       FROM bulk_sync_chunks WHERE job_id = $1::uuid`,
    jobId,
  );
  return row ?? { open: 0, againSeconds: null };
}

/** A chunk whose record has arrived, with what its job says of it. */
export interface ArrivedChunk {
  readonly jobId: string;
  readonly chunk: number;
  readonly userId: string;
  readonly mode: Mode;
  readonly dryRun: boolean;
  readonly ordersRead: boolean;
  readonly ambiguous: readonly string[];
  /** Milliseconds. */
  readonly exportedAt: number;
  readonly confirmedAt: number;
  readonly tries: number;
  readonly buffer: number;
  readonly listingSync: boolean;
}

const ARRIVED = `SELECT c.job_id AS "jobId", c.chunk, j.user_id AS "userId", j.mode, j.dry_run AS "dryRun", j.orders_read AS "ordersRead", j.ambiguous, c.tries, s.buffer, s.listing_sync AS "listingSync",
       extract(epoch FROM j.exported_at)::float8 * 1000 AS "exportedAt", extract(epoch FROM j.confirmed_at)::float8 * 1000 AS "confirmedAt"
  FROM bulk_sync_chunks AS c JOIN bulk_sync_jobs AS j ON j.job_id = c.job_id AND j.state = 'APPLYING' JOIN marketplace_sellers AS s ON s.user_id = j.user_id
 WHERE c.job_id = $1::uuid AND c.chunk = $2::int AND c.event_id = $3::uuid AND c.state = 'SENT'`;

/**
 * The chunk a record is about, if it is to be applied: the job goes on, and it has not been yet. With the lane of its user nobody else applies it meanwhile;
 * the row is locked, so that the job is not called off in between.
 */
export async function lockArrived(tx: Transaction, { jobId, chunk, eventId }: { jobId: string; chunk: number; eventId: string }): Promise<ArrivedChunk | undefined> {
  const [arrived] = await tx.$queryRawUnsafe<ArrivedChunk[]>(`${ARRIVED} FOR UPDATE OF c FOR SHARE OF j`, jobId, chunk, eventId);
  return arrived;
}

/** The products of a chunk that is to be applied, as they were exported, with what a record has no room for: JSON; undefined: there is nothing to do. */
export async function selectSpooled(database: Database, { jobId, chunk, eventId }: { jobId: string; chunk: number; eventId: string }): Promise<string | undefined> {
  const [row] = await database.$queryRawUnsafe<{ products: string }[]>(
    "SELECT c.products FROM bulk_sync_chunks AS c JOIN bulk_sync_jobs AS j ON j.job_id = c.job_id AND j.state = 'APPLYING' WHERE c.job_id = $1::uuid AND c.chunk = $2::int AND c.event_id = $3::uuid AND c.state = 'SENT'",
    jobId,
    chunk,
    eventId,
  );
  return row?.products;
}

/** Keeps for what a chunk that is on its way waits; written only where that is something new, however often it is tried. */
export async function noteWaiting(tx: Transaction, { jobId, chunk, eventId }: { jobId: string; chunk: number; eventId: string }, { waitsFor, said }: { waitsFor: WaitsFor; said: string }): Promise<void> {
  await tx.$executeRawUnsafe(
    `UPDATE bulk_sync_chunks SET waits_for = $4, waits_said = $5, waits_since = CASE WHEN waits_for = $4 THEN waits_since ELSE now() END
      WHERE job_id = $1::uuid AND chunk = $2::int AND event_id = $3::uuid AND state = 'SENT' AND (waits_for IS DISTINCT FROM $4 OR waits_said IS DISTINCT FROM $5)`,
    jobId,
    chunk,
    eventId,
    waitsFor,
    said,
  );
}

/** The chunk is applied. */
export async function endChunk(tx: Transaction, { jobId, chunk }: Pick<ArrivedChunk, 'jobId' | 'chunk'>, counts: Counts): Promise<void> {
  await tx.$executeRawUnsafe(
    `UPDATE bulk_sync_chunks SET state = 'DONE', ended_at = now(), products = NULL, tries = tries + 1, reason = NULL, waits_for = NULL, waits_said = NULL, waits_since = NULL,
            created = $3::int, adopted = $4::int, linked = $5::int, pushed = $6::int, drifted = $7::int, left_alone = $8::int, same = $9::int, unmapped = $10::int
      WHERE job_id = $1::uuid AND chunk = $2::int`,
    jobId,
    chunk,
    counts.created,
    counts.adopted,
    counts.linked,
    counts.pushed,
    counts.drifted,
    counts.left,
    counts.same,
    counts.unmapped,
  );
}

/**
 * The chunk is put aside, to be tried again after the pause of its next try, if there is one left, else for people to look at; false: it is no longer to be
 * applied. Needs the user's lane.
 */
export async function parkChunk(tx: Transaction, { jobId, chunk, eventId }: { jobId: string; chunk: number; eventId: string }, { tries, reason, pauses }: { tries: number; reason: string; pauses: readonly number[] }): Promise<boolean> {
  const parked = await tx.$executeRawUnsafe(
    `UPDATE bulk_sync_chunks SET state = 'PARKED', ended_at = now(), tries = tries + $5::int, reason = $4, next_try_at = now() + make_interval(secs => ($6::float8[])[retries + 1]),
            waits_for = NULL, waits_said = NULL, waits_since = NULL
      WHERE job_id = $1::uuid AND chunk = $2::int AND event_id = $3::uuid AND state = 'SENT'`,
    jobId,
    chunk,
    eventId,
    reason,
    tries,
    intArray(pauses),
  );
  return parked === 1;
}

/** A chunk that was put aside. */
export interface ParkedChunk {
  readonly chunk: number;
  readonly products: number;
  /** All of them: a few each time it was sent. */
  readonly tries: number;
  readonly reason: string;
  /** How often it was sent again. */
  readonly retries: number;
  /** Null: not by itself. */
  readonly nextTryAt: Date | null;
}

/** Parked chunks, with why. Of a job that is over none is tried again. */
export async function selectParkedChunks(database: Database, jobId: string): Promise<ParkedChunk[]> {
  return database.$queryRawUnsafe(
    `SELECT c.chunk, cardinality(c.product_ids) AS products, c.tries, c.reason, c.retries, CASE WHEN j.due_at IS NOT NULL THEN c.next_try_at END AS "nextTryAt"
       FROM bulk_sync_chunks AS c JOIN bulk_sync_jobs AS j ON j.job_id = c.job_id WHERE c.job_id = $1::uuid AND c.state = 'PARKED' ORDER BY c.chunk`,
    jobId,
  );
}

/** Findings a job keeps. */
const MOST_FINDINGS = 10_000;

export async function insertFindings(tx: Transaction, jobId: string, findings: readonly Finding[]): Promise<void> {
  if (findings.length === 0) return;
  await tx.$executeRawUnsafe(
    `INSERT INTO bulk_sync_findings (job_id, kind, cause, product_id, item_id, ours, theirs, name)
     SELECT $1::uuid, f.kind, f.cause, f.product_id, f.item_id, f.ours, f.theirs, f.name
       FROM unnest($2::text[], $3::text[], $4::bigint[], $5::uuid[], $6::int[], $7::int[], $8::text[]) WITH ORDINALITY AS f (kind, cause, product_id, item_id, ours, theirs, name, n)
      ORDER BY f.n LIMIT greatest(0, ${MOST_FINDINGS} - (SELECT count(*) FROM bulk_sync_findings WHERE job_id = $1::uuid))`,
    jobId,
    textArray(findings.map(({ kind }) => kind)),
    textArray(findings.map(({ cause }) => cause)),
    intArray(findings.map(({ productId }) => productId)),
    uuidArray(findings.map(({ itemId }) => itemId)),
    intArray(findings.map(({ ours }) => ours)),
    intArray(findings.map(({ theirs }) => theirs)),
    textArray(findings.map(({ name }) => name === null ? null : storable(name, 200))),
  );
}

export async function selectFindings(database: Database, jobId: string, limit: number): Promise<Finding[]> {
  return database.$queryRawUnsafe('SELECT kind, cause, product_id::float8 AS "productId", item_id AS "itemId", ours, theirs, name FROM bulk_sync_findings WHERE job_id = $1::uuid ORDER BY id LIMIT $2::int', jobId, limit);
}

export async function countFindings(database: Database, jobId: string): Promise<{ kind: Finding['kind']; cause: Cause; count: number }[]> {
  return database.$queryRawUnsafe('SELECT kind, cause, count(*)::int AS count FROM bulk_sync_findings WHERE job_id = $1::uuid GROUP BY kind, cause ORDER BY kind, cause', jobId);
}
