import type { Clock } from '../../platform/clock.ts';
import { faultPoint } from '../../platform/fault-points.ts';
import { Turn } from '../../platform/turn.ts';
import { NO_TRACER, type TraceContext, type Tracer } from '../../platform/tracing/index.ts';
import type { CardTraderClient, Caller, Outcome } from '../client/index.ts';
import type { RateLimiter } from '../limiter/index.ts';
import type { Evidence } from '../operations/index.ts';
import { askPatiently, slowDown } from '../patience.ts';
import { lookIntoMany, resumeJob, syncMany, type Settle } from './bulk.ts';
import { carryOut, type CarriedOut } from './carry-out.ts';
import { afterAnswer, backoffMs, isProbing, type Circuit } from './circuit.ts';
import type { Desk } from './desk.ts';
import type { ClaimedSeller } from './leases.sql.ts';
import { looksOf } from './looks.ts';
import type { DispatcherObserver } from './observer.ts';
import { ordersOf } from './orders.ts';
import type { Reply, Request } from './store.ts';
import { tracedOperation } from './trace.ts';
import { wholeStockOf } from './whole-stock.ts';
import type { Intent, Result, Work } from './work.ts';

export interface SessionDeps {
  readonly client: CardTraderClient;
  readonly limiter: Pick<RateLimiter, 'throttled'>;
  readonly clock: Clock;
  readonly observer: DispatcherObserver;
  readonly leaseMs: number;
  readonly quarantineMs: number;
  /** How long a write may be on its way, ms. */
  readonly writeTimeoutMs: number;
  readonly dataFieldLength: number;
  /** Operations of one seller at once, each on a product of its own. */
  readonly operationsAtOnce: number;
  /** Most items of a bulk job, and jobs of one seller at once. */
  readonly bulkItems: number;
  readonly jobsAtOnce: number;
  readonly jobPatienceMs: number;
  /** What CardTrader was seen to do, whoever the seller is: whether a job may set a quantity of 0. */
  readonly seen: { zeroInJobs: boolean };
  /** The session has something for the next transaction; resolves after it. Rejects with what cannot be mended by waiting. */
  readonly commit: (session: Session) => Promise<void>;
  /** Whether no other seller can be taken on while this one is worked for. */
  readonly crowded: () => boolean;
  readonly onEnqueued: () => void;
  /** Of the spans of sales' operations; none by default. */
  readonly tracer?: Tracer;
  readonly onFatal: (error: unknown) => void;
}

const TOKEN_REJECTED = 'CardTrader answered 401: the token is revoked, or another one was made';
/** After so long a seller gives way to others, if as many are worked for as may be. */
const TURN_MS = 10_000;
/** While a job runs, what sales want meanwhile is looked for so often. */
const LOOK_MS = 250;
/** More SYNCs than this go as a bulk job. */
const FEW = 20;

/**
 * One seller, from claim to release: carries out what is due, several products at once, and asks for more until nothing is due. It
 * believes in its lease no longer than that lasts by its own monotonic clock: a process that was frozen sends nothing when it comes
 * to itself, however sure it was before.
 */
export class Session {
  readonly userId: string;
  readonly epoch: number;
  readonly ended: Promise<void>;
  readonly #deps: SessionDeps;
  readonly #token: string;
  readonly #sealed: Uint8Array;
  readonly #orders: Desk['orders'];
  readonly #wholeStock: Desk['wholeStock'];
  readonly #job: Desk['job'];
  readonly #begunAt: number;
  readonly #turn: Turn;
  readonly #closing = new AbortController();
  readonly #underWay = new Map<string, Work>();
  #leaseUntil: number;
  #circuit: Circuit;
  #tokenRejected = false;
  #lost = false;
  #bulk = true;
  /** Groups of SYNCs under way. */
  #groups = 0;
  #jobs: { id: string; jobId: string; stored: () => void }[] = [];
  #end: () => void = () => undefined;
  #intents: { work: Work; intent: Intent; settle: (may: boolean) => void }[] = [];
  #results: { work: Work; result: Result | null; evidence: readonly Evidence[] }[] = [];
  /** What the transaction under way has of it. */
  #committing: { intents: { work: Work; settle: (may: boolean) => void }[]; results: readonly { work: Work }[]; jobs: readonly { stored: () => void }[] } = { intents: [], results: [], jobs: [] };

  constructor(seller: ClaimedSeller, token: string, claimedAt: number, deps: SessionDeps) {
    this.userId = seller.userId;
    this.epoch = seller.epoch;
    this.#deps = deps;
    this.#token = token;
    this.#sealed = seller.token;
    this.#begunAt = claimedAt;
    this.#turn = new Turn(deps.clock);
    this.#leaseUntil = claimedAt + deps.leaseMs;
    this.#circuit = { failures: seller.failures, openUntil: null };
    this.#orders = ordersOf(deps.client, () => this.#caller(), (ask) => this.#read(ask));
    this.#wholeStock = wholeStockOf(deps.client, deps.clock, () => this.#caller(), (ask) => this.#read(ask));
    this.#job = looksOf(deps.client, deps.clock, () => this.#caller());
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  /** Whether a request may be sent now. */
  get mayCall(): boolean {
    return !this.#lost && !this.#closing.signal.aborted && this.#deps.clock.monotonic() < this.#leaseUntil;
  }

  /**
   * Whether the write of an operation may be sent now: only if it is over before anybody else can have the seller. An intent may be older than the quarantine when the limiter lets
   * its write go, and where the lease could not be prolonged meanwhile whoever has the seller next looks at once, and would not see what is still on its way.
   */
  get mayWrite(): boolean {
    return this.mayCall && this.#deps.clock.monotonic() + this.#deps.writeTimeoutMs < this.#leaseUntil;
  }

  /** The lease was prolonged by a statement sent at this time (monotonic ms). */
  renewed(sentAt: number): void {
    this.#leaseUntil = Math.max(this.#leaseUntil, sentAt + this.#deps.leaseMs);
  }

  /** Begins nothing new; what is under way ends. */
  close(): void {
    this.#closing.abort(new Error('the dispatcher stops'));
  }

  /** A seller who only waits to ask keeps nobody else out: their operations go back unsent, for whoever claims the seller next. */
  giveWay(): void {
    if (this.#deps.crowded()) this.#turn.giveWay();
    if (this.#turn.isOver) this.close();
  }

  /** The claim is over. */
  lose(): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#deps.observer.leaseLost(this.userId);
  }

  begin(due: readonly Work[], syncs: readonly Work[] = []): void {
    for (const work of [...due, ...syncs]) this.#underWay.set(work.id, work);
    for (const work of due) void this.#carryOut(work);
    if (syncs.length > 0) this.#beginSyncs(syncs);
    if (due.length + syncs.length === 0 && this.#underWay.size === 0) this.#commit(); // nothing to do after all: gives the seller back
  }

  /** Few go alone; many as a job. What was sent with a job goes on with it. */
  #beginSyncs(syncs: readonly Work[]): void {
    const ofJob = new Map<string, Work[]>();
    const lost: Work[] = [];
    const waiting: Work[] = [];
    for (const work of syncs) {
      if (work.state === 'PENDING') waiting.push(work);
      else if (work.jobId === null || work.jobId === '') lost.push(work);
      else ofJob.set(work.jobId, [...(ofJob.get(work.jobId) ?? []), work]);
    }
    for (const [job, works] of ofJob) this.#group((desk, settle) => resumeJob(desk, job, works, settle));
    for (const [works, many] of [[lost, (desk: Desk, settle: Settle) => lookIntoMany(desk, lost.map((work) => ({ work, as: work })), settle)], [waiting, (desk: Desk, settle: Settle) => syncMany(desk, waiting, settle)]] as const) {
      if (works.length > FEW && this.#bulk) this.#group(many);
      else if (works.length > 0) this.#group(async (desk, settle) => void (await Promise.all(works.map(async (work) => settle(work, await carryOut(desk, work))))));
    }
  }

  /** Something may be due that was not before: asked for, if nothing else would do that soon. */
  look(): void {
    if (this.#groups > 0 && this.mayCall) this.#commit();
  }

  async #looking(): Promise<void> {
    while (this.#groups > 0 && this.mayCall) {
      await this.#deps.clock.sleep(LOOK_MS, this.#closing.signal).catch(() => undefined); // stopping
      this.look();
    }
  }

  #group(run: (desk: Desk, settle: Settle) => Promise<void>): void {
    this.#groups += 1;
    if (this.#groups === 1) void this.#looking();
    run(this.#desk(), (work, done) => this.#settle(work, done)).then(
      () => {
        this.#groups -= 1;
        this.#commit(); // there is room for another one
      },
      (error: unknown) => this.#deps.onFatal(error),
    );
  }

  /** What the next transaction is to do for this seller. */
  take(): Request {
    const { clock, operationsAtOnce, observer, bulkItems, jobsAtOnce } = this.#deps;
    const jobs = this.#jobs;
    this.#jobs = [];
    const intents = this.#intents;
    const results = this.#results;
    this.#intents = [];
    this.#results = [];
    this.#committing = { intents, results, jobs };
    const wasOpen = this.#circuit.openUntil;
    for (const { result } of results) {
      if (result === null) continue;
      this.#circuit = afterAnswer(this.#circuit, result.answered, clock.now());
      if (result.tokenRejected) this.#tokenRejected = true;
    }
    if (wasOpen === null && this.#circuit.openUntil !== null) observer.circuitOpened(this.userId, this.#circuit.openUntil - clock.now());
    const going = [...this.#underWay.values()].filter(({ id }) => !results.some(({ work }) => work.id === id));
    const turnOver = this.#deps.crowded() && clock.monotonic() - this.#begunAt > TURN_MS;
    // One that was given up (abandon) has its claim for a while yet: it records what is under way, and asks for nothing it could not carry out.
    const resting = this.#lost || this.#closing.signal.aborted || this.#circuit.openUntil !== null || this.#tokenRejected || turnOver;
    const probing = isProbing(this.#circuit);
    const most = resting ? 0 : probing ? 1 : operationsAtOnce;
    const syncs = resting || this.#groups >= jobsAtOnce ? 0 : probing ? Number(going.length === 0) : this.#bulk ? bulkItems : FEW;
    return {
      seller: { userId: this.userId, epoch: this.epoch, failures: this.#circuit.failures, openUntil: this.#circuit.openUntil, tokenRejected: this.#tokenRejected ? { said: TOKEN_REJECTED, token: this.#sealed } : null },
      intents,
      results,
      jobs,
      next: { slots: Math.max(0, most - going.filter(({ kind }) => kind !== 'SYNC').length), syncs, busyItems: going.map(({ listing }) => listing.itemId) },
      release: !this.#lost && going.length === 0 && this.#groups === 0, // what the database refuses would only be claimed and refused again
      restSeconds: 0,
    };
  }

  /** The transaction is committed; it was begun at this time (monotonic ms). */
  committed(reply: Reply, begunAt: number): void {
    const { observer, onEnqueued } = this.#deps;
    const { intents, results, jobs } = this.#committing;
    this.#committing = { intents: [], results: [], jobs: [] };
    if (results.length > 0) faultPoint('dispatcher.result-stored');
    if (reply.held) this.renewed(begunAt);
    else this.lose();
    for (const { work } of results) this.#underWay.delete(work.id);
    for (const { work, result } of reply.recorded) observer.settled(work, result);
    if (this.#tokenRejected && reply.held && !reply.active) observer.tokenRejected(this.userId);
    if (reply.enqueued > 0) onEnqueued();
    for (const { work, settle } of intents) settle(reply.held && reply.intended.has(work.id));
    for (const { stored } of jobs) stored();
    if (reply.released || (!reply.held && this.#underWay.size === 0)) return this.#end();
    if (reply.next.length + reply.syncs.length > 0) this.begin(reply.next, reply.syncs);
  }

  /** The transaction cannot be done, now or later: the lease lapses, and whoever claims the seller next looks into what was sent. */
  abandon(): void {
    this.#lost = true;
    for (const { settle } of [...this.#committing.intents, ...this.#intents]) settle(false);
    for (const { stored } of [...this.#committing.jobs, ...this.#jobs]) stored();
    this.#end();
  }

  #commit(): void {
    this.#deps.commit(this).catch((error: unknown) => this.#deps.onFatal(error));
  }

  async #carryOut(work: Work): Promise<void> {
    try {
      this.#settle(work, await tracedOperation(this.#deps.tracer ?? NO_TRACER, work, (trace) => carryOut(this.#desk(trace), work)));
    } catch (error) {
      this.#deps.onFatal(error);
    }
  }

  #settle(work: Work, { result, evidence }: CarriedOut): void {
    this.#results.push({ work, result, evidence });
    this.#commit();
  }

  #desk(trace?: TraceContext): Desk {
    const { client, clock, quarantineMs, dataFieldLength, jobPatienceMs } = this.#deps;
    return {
      client,
      clock,
      quarantineMs,
      dataFieldLength,
      caller: (operationId) => this.#caller(operationId, trace),
      read: (ask) => this.#read(ask),
      heard: (outcome) => this.#heard(outcome),
      orders: this.#orders,
      jobPatienceMs,
      job: this.#job,
      wholeStock: this.#wholeStock,
      mayGoOn: () => this.mayCall,
      withoutBulk: () => (this.#bulk = false),
      mayZeroInJobs: () => this.#deps.seen.zeroInJobs,
      withoutZeroInJobs: () => (this.#deps.seen.zeroInJobs = false),
      named: async (works, jobId) => {
        await Promise.all(
          works.map(
            ({ id }) =>
              new Promise<void>((stored) => {
                this.#jobs.push({ id, jobId, stored });
                this.#commit();
              }),
          ),
        );
      },
      backoffMs: () => backoffMs(this.#circuit) * (0.5 + clock.random() / 2),
      intend: (work, intent) =>
        new Promise((settle) => {
          this.#intents.push({ work, intent, settle });
          this.#commit();
        }),
    };
  }

  #caller(operationId?: string, trace?: TraceContext): Caller {
    return { userId: this.userId, token: this.#token, until: this.#closing.signal, turn: this.#turn, may: () => (operationId === undefined ? this.mayCall : this.mayWrite), ...(operationId !== undefined && { operationId }), ...(trace !== undefined && { trace }) };
  }

  #read<T>(ask: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
    return askPatiently({ clock: this.#deps.clock, heard: (outcome) => this.#heard(outcome), mayGoOn: () => this.mayCall }, ask);
  }

  #heard(outcome: Outcome<unknown>): Promise<void> {
    return slowDown(this.#deps.limiter, this.userId, outcome);
  }
}
