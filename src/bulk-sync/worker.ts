import type { BrxError } from '../errors.ts';
import { claimUntilStopped, fatalError, isPassing } from '../platform/claim-loop.ts';
import { inTransaction, type Transaction } from '../platform/postgres/index.ts';
import type { Service } from '../platform/service.ts';
import { oneAtATime } from '../platform/together.ts';
import { Turn } from '../platform/turn.ts';
import { Wake } from '../platform/wake.ts';
import { claimJobs, keepJob, type Claim, type ClaimedJob } from './jobs.sql.ts';
import { windowAt, type NightWindow } from './schedule.ts';
import { scheduleReports } from './schedule.sql.ts';
import { JobLost, work, type SessionDeps } from './session.ts';

export interface WorkerDeps extends Omit<SessionDeps, 'one' | 'transaction' | 'turn'> {
  readonly owner: string;
  readonly leaseMs: number;
  /** Jobs at once. */
  readonly jobsAtOnce: number;
  /** When reports are made by themselves; undefined: never. */
  readonly reconcile: NightWindow | undefined;
  readonly onFatal: (error: BrxError) => void;
}

const FIRST_WAIT_MS = 100;
const LAST_WAIT_MS = 1_000;
const SCHEDULE_EVERY_MS = 30_000;
const MOST_SCHEDULED = 50;

/**
 * Works on the jobs of bulk sync: they are rows, claimed by leases, so any number of processes share them, and what one has begun another goes on
 * with. All jobs of a process want one connection of the database between them, and that for moments.
 */
export class BulkSyncWorker implements Service {
  readonly name = 'bulk sync';
  readonly #deps: WorkerDeps;
  readonly #stop = new AbortController();
  readonly #wake: Wake;
  readonly #working = new Map<Promise<void>, Turn>();
  readonly #one = oneAtATime();
  #loop: Promise<void> | undefined;
  #scheduleAt = 0;

  constructor(deps: WorkerDeps) {
    this.#deps = deps;
    this.#wake = new Wake(deps.clock);
  }

  start(): Promise<void> {
    this.#loop ??= this.#run();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the process stops'));
    await this.#loop;
    await Promise.all(this.#working.keys());
  }

  async #run(): Promise<void> {
    const { clock, jobsAtOnce, observer } = this.#deps;
    await claimUntilStopped({
      clock,
      wake: this.#wake,
      signal: this.#stop.signal,
      firstWaitMs: FIRST_WAIT_MS,
      lastWaitMs: LAST_WAIT_MS,
      free: () => jobsAtOnce - this.#working.size,
      claim: async (most) => {
        await this.#schedule();
        if (most === 0) for (const turn of this.#working.values()) turn.giveWay();
        return most === 0 ? 0 : this.#claim(most);
      },
      onWaiting: (error) => observer.waiting(error),
    }).catch((error: unknown) => this.#fatal(error));
  }

  async #claim(most: number): Promise<number> {
    const { owner, leaseMs, clock } = this.#deps;
    const jobs = await this.#transaction((tx) => claimJobs(tx, owner, { leaseSeconds: leaseMs / 1_000, most }));
    for (const job of jobs) {
      const turn = new Turn(clock);
      const working = this.#work(job, turn).finally(() => {
        this.#working.delete(working);
        this.#wake.wake();
      });
      this.#working.set(working, turn);
    }
    return jobs.length;
  }

  /** A job whose lease is lost, or that meets something that is away, is left as it stands: somebody claims it once the lease is over. */
  async #work(job: ClaimedJob, turn: Turn): Promise<void> {
    const { owner, clock, leaseMs, observer } = this.#deps;
    const claim: Claim = { jobId: job.jobId, epoch: job.epoch, owner };
    const ended = new AbortController();
    const stop = (): void => ended.abort(this.#stop.signal.reason);
    this.#stop.signal.addEventListener('abort', stop);
    ended.signal.addEventListener('abort', () => turn.end('the job is not worked on any more'), { once: true });
    if (this.#stop.signal.aborted) stop();
    const keeping = (async (): Promise<void> => {
      for (;;) {
        await clock.sleep(leaseMs / 3, ended.signal);
        if (!(await this.#transaction((tx) => keepJob(tx, claim, leaseMs / 1_000)))) return ended.abort(new JobLost());
      }
    })().catch((error: unknown) => {
      if (!ended.signal.aborted) ended.abort(error instanceof Error ? error : new Error(String(error)));
    });
    try {
      await work({ ...this.#deps, turn, one: this.#one, transaction: (task) => this.#transaction(task) }, owner, job, ended.signal);
    } catch (error) {
      const reason: unknown = ended.signal.aborted ? ended.signal.reason : error;
      if (!(reason instanceof JobLost) && !this.#stop.signal.aborted && !isPassing(reason, (waiting) => observer.waiting(waiting))) this.#fatal(reason);
    } finally {
      ended.abort(new Error('the job is done with'));
      this.#stop.signal.removeEventListener('abort', stop);
      await keeping;
    }
  }

  async #schedule(): Promise<void> {
    const { reconcile, clock } = this.#deps;
    if (reconcile === undefined || clock.monotonic() < this.#scheduleAt) return;
    const night = windowAt(reconcile, clock.now());
    if (night !== undefined) await this.#transaction((tx) => scheduleReports(tx, { ...night, most: MOST_SCHEDULED }));
    this.#scheduleAt = clock.monotonic() + SCHEDULE_EVERY_MS;
  }

  #transaction<T>(task: (tx: Transaction) => Promise<T>): Promise<T> {
    const { postgres, observer } = this.#deps;
    return this.#one(() => inTransaction(postgres, task, { onRetry: (failure) => observer.transactionRetried(failure.state ?? failure.kind) }));
  }

  #fatal(error: unknown): void {
    this.#deps.onFatal(fatalError(error, this.name));
  }
}
