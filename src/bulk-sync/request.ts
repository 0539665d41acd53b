import { BrxError } from '../errors.ts';
import { mustBe, selectSeller } from '../marketplace/index.ts';
import { randomUuid } from '../platform/ids.ts';
import { inTransaction, lockUsers, recordOperatorAction, type Postgres } from '../platform/postgres/index.ts';
import { cancelJob, endRetrying, insertJob, selectJobs, type Request } from './jobs.sql.ts';

export interface Wanted extends Pick<Request, 'mode' | 'dryRun' | 'confirmShrink'> {
  readonly who: string;
  readonly reason: string;
}

/** Asks for a bulk sync; a dispatcher does it. Answers the job's id. Refused while the seller has one under way; one that only waits to try parked chunks again ends. */
export async function requestSync(postgres: Postgres, userId: string, { mode, dryRun, confirmShrink, who, reason }: Wanted): Promise<string> {
  const jobId = randomUuid();
  await inTransaction(postgres, async (tx) => {
    await lockUsers(tx, [userId]);
    const seller = mustBe(await selectSeller(tx, userId), userId);
    if (seller.status !== 'active') throw new BrxError('BRX_REFUSED', `the account of ${userId} is ${seller.status}: CardTrader is not called for it`, { remedy: '`brx-sync users resume`, or `brx-sync users add` with a new token' });
    if (mode === 'push-local' && !seller.listingSync) throw new BrxError('BRX_REFUSED', `listing sync of ${userId} is off, and it is what would push`, { remedy: '`brx-sync users set USER --listing-sync on` turns it on' });
    const replaced = await endRetrying(tx, userId);
    if (!(await insertJob(tx, { jobId, userId, mode, dryRun, confirmShrink, scheduled: false, askedBy: who }))) throw new BrxError('BRX_REFUSED', `a bulk sync of ${userId} is under way`, { remedy: '`brx-sync sync list` shows it, `brx-sync sync cancel` calls it off' });
    await recordOperatorAction(tx, { who, action: 'sync.request', target: userId, reason, detail: { jobId, mode, dryRun, confirmShrink, ...(replaced !== null && { replaced }) } });
  });
  return jobId;
}

/** Calls a job off; what is applied by then stays. */
export async function cancelSync(postgres: Postgres, jobId: string, by: { who: string; reason: string }): Promise<void> {
  await inTransaction(postgres, async (tx) => {
    const [job] = await selectJobs(tx, [jobId]);
    if (job === undefined || !(await cancelJob(tx, jobId))) throw new BrxError('BRX_REFUSED', `no bulk sync ${jobId} is under way`, { remedy: '`brx-sync sync list` shows which are' });
    await recordOperatorAction(tx, { ...by, action: 'sync.cancel', target: job.userId, detail: { jobId, state: job.state, done: job.done, chunks: job.chunks } });
  });
}
