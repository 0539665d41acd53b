import { markGone, selectLinked } from '../marketplace/index.ts';
import { lockUsers, type Transaction } from '../platform/postgres/index.ts';
import { insertFindings } from './chunks.sql.ts';
import { replaceDrift, selectMissing } from './drift.sql.ts';
import { endJob, forgetJobs, selectEnding, type Claim, type ClaimedJob } from './jobs.sql.ts';

/** Jobs of a seller that are kept, with their reports. */
const KEPT = 30;
/** Of what the export lacks. */
const MOST_MISSING = 5_000;

/**
 * Ends a job all of whose chunks are over: what the export lacks is found out, a report settles what differs, and listings whose products are gone are
 * marked. False: it is somebody else's by now.
 */
export async function finish(tx: Transaction, claim: Claim, { userId, jobId, mode, dryRun }: Pick<ClaimedJob, 'userId' | 'jobId' | 'mode' | 'dryRun'>, settleMs: number): Promise<boolean> {
  await lockUsers(tx, [userId]);
  if (!(await endJob(tx, claim))) return false;
  const { unread, parked, at } = await selectEnding(tx, jobId);
  // An entry that could not be read, or a chunk that could not be applied, may be what is missed.
  if (unread === 0 && parked === 0) {
    const missing = await selectMissing(tx, jobId, { settleMs, most: MOST_MISSING });
    await insertFindings(tx, jobId, missing);
    const gone = new Set(missing.flatMap(({ cause, itemId }) => (cause === 'gone' && itemId !== null ? [itemId] : [])));
    if (mode !== 'report' && !dryRun && gone.size > 0) await markGone(tx, userId, (await selectLinked(tx, userId)).filter(({ itemId }) => gone.has(itemId)), { kind: 'gone', at, expected: null, found: null, operationId: null });
    if (mode === 'report') await replaceDrift(tx, userId, jobId);
  }
  await forgetJobs(tx, userId, KEPT);
  return true;
}
