import { z } from 'zod';
import { cancelSync, CAUSES, countFindings, fixOf, FIXES, JOB_STATES, MODE_NAMES, PROBLEMS, REMEDIES, requestSync, selectDrift, selectFindings, selectJobs, selectNewestJobs, selectParkedChunks, WAITS, type DriftRow, type Finding, type JobRow, type ParkedChunk } from '../../bulk-sync/index.ts';
import { id, limit } from '../models.ts';
import { byOf, operatorBody } from '../operator.ts';
import { Problem } from '../problems.ts';
import { route, type Model, type Route } from '../route.ts';
import { toText } from '../times.ts';
import type { ApiDeps } from './users.ts';

const MOST_JOBS = 200;
const MOST_FINDINGS = 1_000;
const MOST_DRIFT = 1_000;

const time = z.iso.datetime();
const count = z.int().min(0);
const sync = z.object({
  job_id: z.uuid(),
  user_id: z.uuid(),
  mode: z.enum(MODE_NAMES),
  dry_run: z.boolean(),
  scheduled: z.boolean().meta({ description: 'the report of a night' }),
  state: z.enum(JOB_STATES),
  asked_by: z.string(),
  asked_at: time,
  exported_at: time.nullable().meta({ description: 'what has changed since is left alone' }),
  applying_at: time.nullable(),
  ended_at: time.nullable().meta({ description: 'null: it is under way' }),
  is_worked_on: z.boolean().meta({ description: 'a dispatcher is at work on it' }),
  problem: z.object({ code: z.string(), detail: z.string(), remedy: z.string() }).nullable().meta({ description: 'why it has failed' }),
  chunks: z.object({ all: count.nullable(), done: count, parked: count }),
  on_their_way_since: time.nullable().meta({ description: 'since when the oldest chunk that was sent to be applied is not over' }),
  waits: z.object({ for: z.enum(Object.keys(WAITS) as (keyof typeof WAITS)[]), means: z.string(), detail: z.string().nullable().meta({ description: 'what it said last' }), since: time, chunks: z.array(z.int()) }).nullable().meta({ description: 'what chunks that are on their way wait for' }),
  next_try_at: time.nullable().meta({ description: 'when the first of the parked chunks is tried again by itself; a job with nothing else left does not stand in the way of another one' }),
  products: count.nullable(),
  products_per_second: z.number().nullable().meta({ description: 'of one that is applied' }),
  seconds_left: z.number().nullable(),
  unread: count.nullable().meta({ description: 'entries of the export that could not be read' }),
  created: count,
  adopted: count,
  linked: count,
  pushed: count,
  drifted: count,
  left_alone: count,
  same: count,
  unmapped: count,
});
const finding = z.object({ kind: z.string(), cause: z.string(), means: z.string(), product_id: z.int().nullable(), item_id: z.uuid().nullable(), here: z.int().nullable(), there: z.int().nullable(), name: z.string().nullable() });
const syncDetail = sync.extend({
  causes: z.array(z.object({ kind: z.string(), cause: z.string(), means: z.string(), count })),
  findings: z.array(finding).meta({ description: 'the first ones' }),
  parked_chunks: z.array(z.object({ chunk: z.int(), products: count, tries: count, reason: z.string(), retries: count.meta({ description: 'how often it was sent again by itself' }), next_try_at: time.nullable().meta({ description: 'null: not by itself' }) })),
});
const drift = z.object({
  subject: z.string(),
  item_id: z.uuid().nullable(),
  product_id: z.int().nullable(),
  name: z.string().nullable(),
  here: z.int().nullable(),
  there: z.int().nullable(),
  cause: z.string(),
  means: z.string(),
  fix: z.string(),
  fix_means: z.string(),
  confirmed: z.boolean().meta({ description: 'two reports agree on it' }),
  first_at: time,
  seen_at: time,
});
const syncModel = { name: 'Sync', schema: sync } satisfies Model;
const syncDetailModel = { name: 'SyncDetail', schema: syncDetail } satisfies Model;
const syncsModel = { name: 'Syncs', schema: z.object({ syncs: z.array(sync).meta({ description: 'newest first' }) }) } satisfies Model;
const driftModel = { name: 'Drift', schema: z.object({ drift: z.array(drift) }) } satisfies Model;

const user = z.strictObject({ id });
const job = z.strictObject({ job: id });
const wanted = operatorBody.extend({
  mode: z.enum(MODE_NAMES).default('report'),
  dry_run: z.boolean().default(false),
  confirm_shrink: z.boolean().default(false).meta({ description: 'believe an export with a tenth fewer products, or less' }),
});

/** A seller's whole stock compared with CardTrader, imported from there or pushed to it, and what differs. A dispatcher does the work. */
export function syncRoutes({ readers, postgres }: Pick<ApiDeps, 'readers' | 'postgres'>): Route[] {
  /** From the primary: whoever asked a moment ago must find it. */
  const jobOf = async (jobId: string): Promise<JobRow> => {
    const [found] = await selectJobs(postgres.prisma, [jobId]);
    if (found === undefined) throw new Problem('unknown_sync', `there is no bulk sync ${jobId}`, { remedy: 'GET /users/{id}/syncs lists those of a user' });
    return found;
  };
  const told = (row: JobRow): z.input<typeof sync> => syncOf(row, postgres.clock.now());
  return [
    route({
      method: 'POST',
      path: '/users/{id}/sync',
      access: 'write',
      isLimited: true,
      summary: 'Ask for a bulk sync',
      description: 'A process with the role dispatcher does it; GET /syncs/{job} tells how far it is. One a user at a time; one that only waits to try parked chunks again ends. Written down with who and why.',
      params: user,
      body: wanted,
      answer: syncModel,
      problems: ['invalid_request', 'unauthorized', 'forbidden', 'conflict', 'too_large', 'unsupported_media_type'],
      async handle({ params: { id: userId }, body: { mode, dry_run: dryRun, confirm_shrink: confirmShrink, reason, who } }) {
        const jobId = await requestSync(postgres, userId, { mode, dryRun, confirmShrink, ...byOf({ reason, who }) });
        return { body: told(await jobOf(jobId)) };
      },
    }),
    route({
      method: 'GET',
      path: '/syncs',
      access: 'read',
      isLimited: true,
      summary: 'Bulk syncs of all users, newest first',
      query: z.strictObject({ limit: limit(MOST_JOBS, 50) }),
      answer: syncsModel,
      problems: ['invalid_request', 'unauthorized'],
      handle: async ({ query: { limit: most } }) => ({ body: { syncs: (await readers.readFrom(({ prisma }) => selectNewestJobs(prisma, null, most))).map(told) } }),
    }),
    route({
      method: 'GET',
      path: '/users/{id}/syncs',
      access: 'read',
      isLimited: true,
      summary: 'Bulk syncs of a user, newest first',
      params: user,
      query: z.strictObject({ limit: limit(MOST_JOBS, 20) }),
      answer: syncsModel,
      problems: ['invalid_request', 'unauthorized'],
      handle: async ({ params: { id: userId }, query: { limit: most } }) => ({ body: { syncs: (await readers.readFrom(({ prisma }) => selectNewestJobs(prisma, userId, most))).map(told) } }),
    }),
    route({
      method: 'GET',
      path: '/users/{id}/drift',
      access: 'read',
      isLimited: true,
      summary: 'Items of a user of which here and CardTrader differ, with what would mend it',
      params: user,
      query: z.strictObject({ limit: limit(MOST_DRIFT, 100), unconfirmed: z.enum(['true', 'false']).default('false').meta({ description: 'also what one report alone has found' }) }),
      answer: driftModel,
      problems: ['invalid_request', 'unauthorized'],
      handle: async ({ params: { id: userId }, query: { limit: most, unconfirmed } }) => ({ body: { drift: (await readers.readFrom(({ prisma }) => selectDrift(prisma, userId, { all: unconfirmed === 'true', limit: most }))).map(driftOf) } }),
    }),
    route({
      method: 'GET',
      path: '/syncs/{job}',
      access: 'read',
      isLimited: true,
      summary: 'A bulk sync: how far it is, what it did, what it found and why',
      params: job,
      query: z.strictObject({ limit: limit(MOST_FINDINGS, 100).meta({ description: 'most findings' }) }),
      answer: syncDetailModel,
      problems: ['invalid_request', 'unauthorized', 'unknown_sync'],
      async handle({ params: { job: jobId }, query: { limit: most } }) {
        const found = await jobOf(jobId);
        const [causes, findings, parked] = [await countFindings(postgres.prisma, jobId), await selectFindings(postgres.prisma, jobId, most), await selectParkedChunks(postgres.prisma, jobId)];
        return { body: { ...told(found), causes: causes.map((each) => ({ ...each, means: CAUSES[each.cause] })), findings: findings.map(findingOf), parked_chunks: parked.map(parkedOf) } };
      },
    }),
    route({
      method: 'POST',
      path: '/syncs/{job}/cancel',
      access: 'write',
      isLimited: true,
      summary: 'Call a bulk sync off',
      description: 'What is applied by then stays. Written down with who and why.',
      params: job,
      body: operatorBody,
      answer: syncModel,
      problems: ['invalid_request', 'unauthorized', 'forbidden', 'unknown_sync', 'conflict', 'too_large', 'unsupported_media_type'],
      async handle({ params: { job: jobId }, body }) {
        await jobOf(jobId);
        await cancelSync(postgres, jobId, byOf(body));
        return { body: told(await jobOf(jobId)) };
      },
    }),
  ];
}

function syncOf(row: JobRow, now: number): z.input<typeof sync> {
  const { problem } = row;
  return {
    job_id: row.jobId,
    user_id: row.userId,
    mode: row.mode,
    dry_run: row.dryRun,
    scheduled: row.scheduled,
    state: row.state,
    asked_by: row.askedBy,
    asked_at: row.askedAt.toISOString(),
    exported_at: toText(row.exportedAt),
    applying_at: toText(row.applyingAt),
    is_worked_on: row.leased,
    ended_at: toText(row.endedAt),
    problem: problem === null ? null : { code: problem, detail: row.said === null ? PROBLEMS[problem] : `${PROBLEMS[problem]}: ${row.said}`, remedy: REMEDIES[problem] },
    chunks: { all: row.chunks, done: row.done, parked: row.parked },
    on_their_way_since: toText(row.sentAt),
    waits: row.waitsFor === null || row.waitsSince === null ? null : { for: row.waitsFor, means: WAITS[row.waitsFor], detail: row.waitsSaid, since: row.waitsSince.toISOString(), chunks: [...row.waiting] },
    next_try_at: toText(row.nextTryAt),
    products: row.products,
    ...paceOf(row, now),
    unread: row.unread,
    created: row.created,
    adopted: row.adopted,
    linked: row.linked,
    pushed: row.pushed,
    drifted: row.drifted,
    left_alone: row.left,
    same: row.same,
    unmapped: row.unmapped,
  };
}

/** Chunks are about equally large. */
function paceOf({ state, applyingAt, chunks, done, parked: failed, created, adopted, linked, pushed, drifted, left, same }: JobRow, now: number): { products_per_second: number | null; seconds_left: number | null } {
  const [over, seconds] = [done + failed, applyingAt === null ? 0 : (now - applyingAt.getTime()) / 1_000];
  if (state !== 'APPLYING' || chunks === null || over === 0 || over === chunks || seconds <= 0) return { products_per_second: null, seconds_left: null };
  return { products_per_second: (created + adopted + linked + pushed + drifted + left + same) / seconds, seconds_left: ((chunks - over) * seconds) / over };
}

const parkedOf = ({ chunk, products, tries, reason, retries, nextTryAt }: ParkedChunk) => ({ chunk, products, tries, reason, retries, next_try_at: toText(nextTryAt) });

const findingOf = ({ kind, cause, productId, itemId, ours, theirs, name }: Finding): z.input<typeof finding> => ({ kind, cause, means: CAUSES[cause], product_id: productId, item_id: itemId, here: ours, there: theirs, name });

function driftOf(row: DriftRow): z.input<typeof drift> {
  const fix = fixOf(row);
  return { subject: row.subject, item_id: row.itemId, product_id: row.productId, name: row.name, here: row.ours, there: row.theirs, cause: row.cause, means: CAUSES[row.cause], fix, fix_means: FIXES[fix], confirmed: row.confirmed, first_at: row.firstAt.toISOString(), seen_at: row.seenAt.toISOString() };
}
