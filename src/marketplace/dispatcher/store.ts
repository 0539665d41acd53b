import { enqueue, userMessage } from '../../outbox/index.ts';
import type { Clock } from '../../platform/clock.ts';
import { faultPoint } from '../../platform/fault-points.ts';
import { derivedUuid } from '../../platform/ids.ts';
import type { Encoder } from '../../platform/kafka/index.ts';
import { inTransaction, lockUsers, type DatabaseFailure, type Postgres, type Transaction } from '../../platform/postgres/index.ts';
import { askSync, fingerprintOf, needOf, writeProblems } from '../listing-sync/index.ts';
import type { Evidence } from '../operations/index.ts';
import { claimOf, holdSellers, releaseSellers, type SellerState } from './leases.sql.ts';
import { calledOffMessage, messageOf } from './messages.ts';
import { ofAnother } from './results.ts';
import type { Intent, Result, Work } from './work.ts';
import { addLowers, callOff, dropNeedlessSyncs, dropSettledSyncs, keepEvidence, nameJobs, readDue, readSyncDue, readTiedElsewhere, writeIntents, writeListings, writeResults } from './work.sql.ts';

export interface StoreDeps {
  readonly postgres: Postgres;
  readonly clock: Clock;
  readonly owner: string;
  readonly leaseMs: number;
  readonly quarantineMs: number;
  readonly encoder: Encoder;
  /** Full name of the topic of saga events. */
  readonly sagaEvents: string;
  readonly onRetry: (failure: DatabaseFailure) => void;
}

/** What one seller's session wants of a transaction; all of it together, or nothing. */
export interface Request {
  readonly seller: SellerState;
  readonly intents: readonly { readonly work: Work; readonly intent: Intent }[];
  readonly results: readonly { readonly work: Work; readonly result: Result | null; readonly evidence: readonly Evidence[] }[];
  /** Operations that went with a bulk job. */
  readonly jobs: readonly { readonly id: string; readonly jobId: string }[];
  /** How many operations of sales, and how many SYNCs, may be begun; while there are others under way, and on which items. */
  readonly next: { readonly slots: number; readonly syncs: number; readonly busyItems: readonly string[] };
  /** Give the seller back if nothing is under way and nothing new is due. */
  readonly release: boolean;
  /** Not to be claimed again before, seconds. */
  readonly restSeconds: number;
}

export interface Reply {
  /** False: the claim is over. */
  readonly held: boolean;
  /** False: the seller is paused, or the token is rejected. */
  readonly active: boolean;
  /** Operations whose intent is written: these may be sent. */
  readonly intended: ReadonlySet<string>;
  /** Results that took effect. */
  readonly recorded: readonly { readonly work: Work; readonly result: Result }[];
  readonly next: readonly Work[];
  readonly syncs: readonly Work[];
  readonly released: boolean;
  readonly enqueued: number;
}

export const NOTHING: Reply = { held: false, active: false, intended: new Set(), recorded: [], next: [], syncs: [], released: false, enqueued: 0 };

/** One transaction for the sessions of any number of sellers: lock lanes → hold sellers → intents, results → what is next, or release. */
export async function store(deps: StoreDeps, requests: readonly Request[]): Promise<Reply[]> {
  await deps.encoder.prepare();
  return inTransaction(deps.postgres, (tx) => write(tx, deps, requests), { onRetry: deps.onRetry });
}

async function write(tx: Transaction, deps: StoreDeps, requests: readonly Request[]): Promise<Reply[]> {
  const { owner, leaseMs, quarantineMs, clock } = deps;
  await lockUsers(tx, requests.map(({ seller }) => seller.userId));
  const held = await holdSellers(tx, owner, leaseMs / 1_000, requests.map(({ seller }) => seller));
  const isHeld = ({ seller }: Request): boolean => held.has(claimOf(seller));

  const intended = await writeIntents(tx, owner, quarantineMs, requests.flatMap(({ seller, intents }) => intents.map((intent) => ({ ...intent, epoch: seller.epoch }))));

  const results = requests.flatMap((request) => request.results.map((given) => ({ request, ...given })));
  const heldResults = results.flatMap(({ request, work, result, evidence }) => (result === null || !isHeld(request) ? [] : [{ work, result, evidence, from: work.state }]));
  const elsewhere = await readTiedElsewhere(tx, heldResults.flatMap(({ work, result: { listing } }) => (listing === null || listing.productId === work.listing.productId ? [] : [listing])));
  const given = heldResults.map((each) => (elsewhere.has(each.work.listing.itemId) ? { ...each, result: ofAnother(each.work, each.result, clock.now()) } : each));
  const recorded = await writeResults(tx, given);
  await keepEvidence(tx, results.filter(({ work }) => !recorded.has(work.id)).flatMap(({ work, evidence }) => (evidence.length === 0 ? [] : [{ id: work.id, evidence }])));
  const done = given.filter(({ work }) => recorded.has(work.id));
  const calledOff = await callOff(tx, done.flatMap(({ work, result }) => (work.kind === 'TAKE' && result.to === 'PENDING' ? [work] : [])));
  await writeListings(tx, done.flatMap(({ work, result }) => (result.listing === null ? [] : [{ listing: result.listing, strange: result.listing.quantity - work.listing.quantity - result.own }])));
  await addLowers(tx, done.flatMap(({ work, result }) => (result.lower === 0 ? [] : [lowerOf(work, result)])));
  await nameJobs(tx, requests.flatMap(({ jobs }) => jobs));
  await writeProblems(tx, done.flatMap(({ work: { userId, listing }, result: { problem } }) => (problem === undefined ? [] : [{ userId, itemId: listing.itemId, problem }])));
  await dropSettledSyncs(tx, done.flatMap(({ work, result }) => (work.kind === 'SYNC' && result.againMs === null ? [work] : [])));
  await askSync(tx, done.flatMap(({ work, result }) => (mustLook(work, result) ? [work.listing] : [])));
  const now = clock.now();
  const messages = done.flatMap(({ work, result }) => (calledOff.has(work.id) ? calledOffMessage(work, now, derivedUuid) : messageOf(work, result, now, derivedUuid)) ?? []);
  await enqueue(tx, messages.map((message) => encoded(deps, message)));

  const active = requests.filter((request) => held.get(claimOf(request.seller))?.active === true);
  const asking = active.filter(({ next }) => next.slots > 0);
  const due = await readDue(tx, asking.map(({ seller, next }) => ({ userId: seller.userId, slots: next.slots, busyItems: next.busyItems })));
  const nextOf = new Map(asking.map((request, index) => [request, due[index] ?? []]));
  const syncsOf = await nextSyncs(tx, active.filter(({ next }) => next.syncs > 0), nextOf);
  const idle = requests.filter((request) => request.release && isHeld(request) && (nextOf.get(request)?.length ?? 0) + (syncsOf.get(request)?.length ?? 0) === 0);
  await releaseSellers(tx, owner, idle.map(({ seller, restSeconds }) => ({ ...seller, restSeconds })));
  if (results.length > 0) faultPoint('dispatcher.after-store');

  return requests.map((request) => ({
    held: isHeld(request),
    active: active.includes(request),
    intended: new Set(intended.filter(({ epoch }) => epoch === request.seller.epoch).map(({ id }) => id)),
    recorded: done.filter(({ work }) => request.results.some((own) => own.work === work)),
    next: nextOf.get(request) ?? [],
    syncs: syncsOf.get(request) ?? [],
    released: idle.includes(request),
    enqueued: messages.length,
  }));
}

/** Whether CardTrader may not show what is here though nothing here has changed. */
const mustLook = ({ kind, stock }: Work, { look = false, listing, againMs }: Result): boolean => look || (kind !== 'SYNC' && stock !== null && listing !== null && againMs === null);

/** How often those for which there is nothing to do are left out and others are looked for, in one transaction. */
const LOOKS = 20;

/** SYNCs to be begun. Those for which there is nothing to do, as it is to be seen under the lane, are gone with that. */
async function nextSyncs(tx: Transaction, requests: readonly Request[], nextOf: ReadonlyMap<Request, readonly Work[]>): Promise<Map<Request, Work[]>> {
  const found = new Map<Request, Work[]>();
  let open = requests;
  for (let looks = 1; open.length > 0 && looks <= LOOKS; looks += 1) {
    const due = await readSyncDue(tx, open.map((request) => ({ userId: request.seller.userId, slots: request.next.syncs, busyItems: [...request.next.busyItems, ...(nextOf.get(request) ?? []).map(({ listing }) => listing.itemId)] })));
    const needless = due.flat().filter((work) => work.state === 'PENDING' && needOf(work.stock, work.listing, work.listed, work.problem) === 'nothing');
    await dropNeedlessSyncs(tx, needless);
    await writeProblems(tx, needless.flatMap(({ userId, listing, stock, problem }) => (problem !== null && stock !== null && problem.wanted !== fingerprintOf(stock) ? [{ userId, itemId: listing.itemId, problem: null }] : [])));
    const gone = new Set(needless);
    open.forEach((request, index) => found.set(request, (due[index] ?? []).filter((work) => !gone.has(work))));
    open = open.filter((request, index) => found.get(request)?.length === 0 && (due[index] ?? []).length > 0);
  }
  return found;
}

const lowerOf = ({ id, userId, createdAt, listing }: Work, { lower }: Result): Parameters<typeof addLowers>[1][number] => ({ id: derivedUuid(createdAt, `operation/${userId}/${id}/LOWER`), userId, itemId: listing.itemId, productId: listing.productId, quantity: lower });

function encoded({ encoder, sagaEvents }: StoreDeps, message: NonNullable<ReturnType<typeof messageOf>>) {
  // One call a record: TypeScript ties a name to its value only where both are one type.
  switch (message.record) {
    case 'RemoteStockTaken':
      return userMessage(encoder, sagaEvents, message.record, message.value, message.traceparent);
    case 'RemoteStockReturned':
      return userMessage(encoder, sagaEvents, message.record, message.value, message.traceparent);
    case 'RemoteStockRefused':
      return userMessage(encoder, sagaEvents, message.record, message.value, message.traceparent);
    case 'RemoteStockUnknown':
      return userMessage(encoder, sagaEvents, message.record, message.value, message.traceparent);
  }
}
