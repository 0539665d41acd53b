import type { InventorySnapshotChunk } from '../contract/index.ts';
import { askPatiently, openClaimed, readUserDataField, rejectToken, slowDown, type Access, type Caller, type Outcome, type RemoteProduct } from '../marketplace/index.ts';
import { pollNow } from '../orders/index.ts';
import { enqueue, selectUnpublished, userMessage } from '../outbox/index.ts';
import type { Clock } from '../platform/clock.ts';
import { faultPoint } from '../platform/fault-points.ts';
import { derivedUuid } from '../platform/ids.ts';
import type { Encoder } from '../platform/kafka/index.ts';
import { jsonText, lockUsers, type Postgres, type Transaction } from '../platform/postgres/index.ts';
import type { Turn } from '../platform/turn.ts';
import { shrunkFrom } from './believe.ts';
import { countOpen, insertFindings, takeToSend, type ToSend } from './chunks.sql.ts';
import { Cut, snapshotProduct } from './cut.ts';
import { finish } from './finish.ts';
import { beginExport, endExport, failJob, insertChunk, noteOrdersRead, releaseJob, selectKnown, type Claim, type ClaimedJob } from './jobs.sql.ts';
import { readInTime } from './orders-read.ts';
import type { Problem } from './job.ts';
import type { BulkSyncObserver } from './observer.ts';

export interface SessionDeps {
  readonly postgres: Postgres;
  readonly clock: Clock;
  readonly access: Pick<Access, 'client' | 'limiter' | 'keyring'>;
  /** Of InventorySnapshotChunk. */
  readonly encoder: Encoder;
  /** Full name of the topic. */
  readonly snapshots: string;
  readonly observer: BulkSyncObserver;
  /** Products a chunk. */
  readonly chunkProducts: number;
  /** How far an export may be behind, ms. */
  readonly settleMs: number;
  /** How long whoever reads orders is waited for; 0: nobody does. */
  readonly ordersPatienceMs: number;
  readonly onEnqueued: () => void;
  /** Of the job among those this process works on: over, it is given back while it only waits to ask. */
  readonly turn: Turn;
  /** One after the other over all jobs of the process: at most one connection. */
  readonly one: <T>(work: () => Promise<T>) => Promise<T>;
  readonly transaction: <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>;
}

/** Chunks on their way at once: enough that whoever applies them does not wait, few enough that other sellers' records do not wait behind them. */
const WINDOW = 6;
/** A chunk that is not applied by then may have been lost, and is sent again unless it still waits to be published; applied twice it is known by its id. */
const LOST_SECONDS = 600;
const LOOK_MS = 100;
const MOST_LOOK_MS = 250;
const EXPORT_TRIES = 4;
const AGAIN_SECONDS = 5;
/** 5,000,000 products. */
const MOST_CHUNKS = 10_000;

/** The job was taken by somebody else, or called off. */
export class JobLost extends Error {}

/**
 * Works on a claimed job, from where whoever had it before has left it:
 *
 *   REQUESTED, EXPORTING ── export, kept chunk by chunk, believed? ──► APPLYING ── orders read? chunks sent, a few at a time, until all are over ──► DONE
 *                                                                                     └── but for parked ones: later again
 *
 * Each step is one transaction under the claim, so that a process that dies, or loses its lease, leaves a job that another can go on with: an export
 * that has not ended is taken anew, one that has is never taken again.
 */
export async function work(deps: SessionDeps, owner: string, job: ClaimedJob, signal: AbortSignal): Promise<void> {
  const claim: Claim = { jobId: job.jobId, epoch: job.epoch, owner };
  faultPoint('bulk.after-claim');
  if (job.state !== 'APPLYING' && !(await exportStock(deps, claim, job, signal))) return;
  await waitForOrders(deps, claim, job, signal);
  const againSeconds = await sendChunks(deps, claim, job, signal);
  if (againSeconds !== null) await deps.transaction((tx) => releaseJob(tx, claim, { inSeconds: againSeconds, failed: false, said: null }));
  else if (await deps.transaction((tx) => finish(tx, claim, job, deps.settleMs))) deps.observer.stepped(job, 'DONE', null);
}

/** Answers whether there is an export to apply. */
async function exportStock(deps: SessionDeps, claim: Claim, job: ClaimedJob, signal: AbortSignal): Promise<boolean> {
  const { access, clock, observer, turn } = deps;
  const { userId } = job;
  const fail = async (problem: Problem, said: string, taken?: Cut): Promise<false> => {
    await deps.transaction((tx) => failJob(tx, claim, { problem, said, products: taken?.products ?? null, digest: taken?.digest ?? null }));
    observer.stepped(job, 'FAILED', `${problem}: ${said}`);
    return false;
  };
  let unopened = '';
  const token = openClaimed(access.keyring, job, (problem) => (unopened = problem));
  if (token === undefined) return fail('token_unreadable', unopened);
  observer.stepped(job, 'EXPORTING', null);
  const { outcome, cut, chunks, findings } = await take(deps, claim, { userId, token, signal, until: turn.until, turn }, signal);
  if (outcome.outcome === 'refused' && outcome.reason === 'token_rejected') {
    await deps.one(() => rejectToken(deps.postgres, job, { who: 'brx-sync', reason: 'CardTrader answered 401 to an export: the token is revoked, or another one was made' }));
    return fail('token_rejected', outcome.message);
  }
  if (outcome.outcome === 'refused') return fail('refused', outcome.message);
  if (outcome.outcome !== 'applied') {
    signal.throwIfAborted();
    if (turn.isOver) {
      await deps.transaction((tx) => releaseJob(tx, claim, { inSeconds: 0, failed: false, said: 'CardTrader had the seller wait' }));
      return false;
    }
    const said = `${outcome.reason}: ${outcome.message}`;
    if (job.failures + 1 >= EXPORT_TRIES) return fail('export_unusable', said);
    observer.exportFailed(userId, said);
    await deps.transaction((tx) => releaseJob(tx, claim, { inSeconds: AGAIN_SECONDS * 2 ** job.failures, failed: true, said }));
    return false;
  }
  if (chunks > MOST_CHUNKS) return fail('too_large', `${cut.products} products`);
  const before = job.confirmShrink ? undefined : shrunkFrom({ products: cut.products + cut.unreadCount, digest: cut.digest }, await deps.one(() => selectKnown(deps.postgres.prisma, userId)));
  if (before !== undefined) return fail('shrunk', `${cut.products} products, ${before} before`, cut);
  const ended = await deps.transaction(async (tx) => {
    await insertFindings(tx, job.jobId, findings);
    const confirmedAt = outcome.serverDate ?? clock.now();
    return endExport(tx, claim, { products: cut.products, unread: cut.unreadCount, chunks, digest: cut.digest, ambiguous: cut.ambiguous, confirmedAt });
  });
  if (!ended) throw new JobLost();
  faultPoint('bulk.export-ended');
  observer.stepped(job, 'APPLYING', null);
  return true;
}

interface Export {
  readonly outcome: Outcome<unknown>;
  readonly cut: Cut;
  readonly chunks: number;
  readonly findings: Cut['unread'];
}

/** Reads the stock and keeps it chunk by chunk; what CardTrader turns away is asked for again, from the beginning. */
async function take(deps: SessionDeps, claim: Claim, caller: Caller, signal: AbortSignal): Promise<Export> {
  const { access, clock, chunkProducts, turn } = deps;
  let cut = new Cut(chunkProducts);
  let chunks = 0;
  const heard = (answer: Outcome<unknown>): Promise<void> => slowDown(access.limiter, caller.userId, answer);
  const outcome = await askPatiently({ clock, heard, mayGoOn: () => !signal.aborted && !turn.isOver }, async () => {
    cut = new Cut(chunkProducts);
    chunks = 0;
    const begun = await deps.transaction((tx) => beginExport(tx, claim));
    if (begun === undefined) throw new JobLost();
    const { exports, exportedAt } = begun;
    const keep = async (full: readonly RemoteProduct[][]): Promise<void> => {
      for (const products of full) {
        const chunk = chunks;
        chunks += 1;
        const eventId = derivedUuid(exportedAt, `chunk/${claim.jobId}/${exports}/${chunk}`);
        const kept = await deps.transaction((tx) => insertChunk(tx, claim, { chunk, eventId, productIds: products.map(({ id }) => id), products: jsonText(products) }));
        if (!kept) throw new JobLost();
        faultPoint('bulk.chunk-kept');
      }
    };
    const answer = await access.client.streamProducts(caller, (part) => {
      const full = cut.take(part, ({ userDataField }) => readUserDataField(userDataField).itemId);
      return full.length === 0 ? undefined : keep(full);
    });
    if (answer.outcome === 'applied') await keep(cut.rest());
    return answer;
  });
  return { outcome, cut, chunks, findings: cut.unread };
}

/**
 * Has the seller's orders read once more before stock is changed by an export: what was sold there until it was taken is known then. Whoever reads
 * them may be away; then items that differ are left alone.
 */
async function waitForOrders(deps: SessionDeps, claim: Claim, { userId, mode, dryRun }: ClaimedJob, signal: AbortSignal): Promise<void> {
  const { clock, ordersPatienceMs } = deps;
  if (mode === 'report' || dryRun || ordersPatienceMs === 0) return;
  if ((await deps.transaction((tx) => pollNow(tx, userId))) === null) return;
  await readInTime(() => deps.transaction((tx) => noteOrdersRead(tx, claim)), { clock, patienceMs: ordersPatienceMs, signal });
}

/** Sends chunks as others are applied, until there is nothing to do for any; answers in how many seconds a parked one is tried again, null: all are over. */
async function sendChunks(deps: SessionDeps, claim: Claim, job: ClaimedJob, signal: AbortSignal): Promise<number | null> {
  const { postgres, clock, encoder, snapshots, observer } = deps;
  for (let wait = LOOK_MS; ; ) {
    signal.throwIfAborted();
    const { open, againSeconds } = await deps.one(() => countOpen(postgres.prisma, claim.jobId));
    if (open === 0) return againSeconds;
    await encoder.prepare();
    const sent = await deps.transaction(async (tx) => {
      await lockUsers(tx, [job.userId]);
      const taken = await takeToSend(tx, claim, { window: WINDOW, lostSeconds: LOST_SECONDS });
      // While Kafka is away nothing is lost: a record that waits to be published is not put beside itself every ten minutes.
      const waiting = await selectUnpublished(tx, job.userId, taken.filter(({ lost }) => lost).map(({ eventId }) => eventId));
      const chunks = taken.filter(({ eventId }) => !waiting.has(eventId));
      await enqueue(tx, chunks.map((chunk) => userMessage(encoder, snapshots, 'InventorySnapshotChunk', recordOf(claim.jobId, chunk))));
      return chunks;
    });
    if (sent.length > 0) {
      faultPoint('bulk.chunks-sent');
      deps.onEnqueued();
    }
    const retried = sent.filter((chunk) => chunk.retried).length;
    if (retried > 0) observer.retried(job, retried);
    wait = sent.length > 0 ? LOOK_MS : Math.min(MOST_LOOK_MS, wait * 1.5);
    await clock.sleep(wait, signal);
  }
}

function recordOf(jobId: string, { chunk, chunks, eventId, userId, exportedAt, products }: ToSend): InventorySnapshotChunk {
  const read = JSON.parse(products) as RemoteProduct[];
  return { event_id: eventId, job_id: jobId, user_id: userId, chunk, chunks, products: read.flatMap((product) => snapshotProduct(product) ?? []), exported_at: exportedAt };
}
