import type { Effect } from './ledger.ts';
import type { Seller } from './model.ts';
import { createProduct, deleteProduct, updateProduct, type Written, type Writer } from './products.ts';
import { isRecord } from './properties.ts';
import { timestamp } from './serialize.ts';
import type { World } from './world.ts';

/** Bulk calls: answered at once with a job, carried out later, item by item, while everything else goes on. */
export type JobKind = 'bulk_create' | 'bulk_update' | 'bulk_destroy';

export interface Job {
  readonly uuid: string;
  readonly sellerId: number;
  readonly kind: JobKind;
  readonly items: readonly unknown[];
  readonly startedAt: number;
  endedAt: number | null;
  state: 'pending' | 'running' | 'unprocessable' | 'completed';
  readonly results: JobResult[];
}

interface JobResult {
  readonly result: 'ok' | 'warning' | 'error';
  readonly job_index: number;
  readonly product_id?: number;
  readonly errors: Readonly<Record<string, readonly string[]>>;
  readonly warnings: object;
}

/** Jobs kept; the oldest goes first. */
const MOST = 10_000;

export class Jobs {
  readonly #jobs = new Map<string, Job>();
  /** The end of a seller's last job, for those who believe they run one after the other. */
  readonly #last = new Map<number, Promise<void>>();

  /** Accepts a job and lets it run in the background. `processable` false: it will end `unprocessable`. */
  start(world: World, seller: Seller, { kind, items, operationId, processable }: { kind: JobKind; items: readonly unknown[]; operationId: string | null; processable: boolean }): Job {
    const job: Job = { uuid: world.random.uuidV4(), sellerId: seller.id, kind, items, startedAt: world.clock.now(), endedAt: null, state: 'pending', results: [] };
    this.#jobs.set(job.uuid, job);
    if (this.#jobs.size > MOST) for (const oldest of [...this.#jobs.keys()].slice(0, 1)) this.#jobs.delete(oldest);
    const before = world.guesses.jobOrder === 'serial' ? this.#last.get(seller.id) : undefined;
    const effects: Effect[] = [];
    const work = async (): Promise<void> => {
      await before;
      await run(world, job, { seller, source: 'job', operationId, jobId: job.uuid, effects }, processable);
    };
    const running = work();
    this.#last.set(seller.id, running.catch(() => undefined)); // its failure is the background's to report
    world.background.run(() => running);
    return job;
  }

  /** Undefined: never there, somebody else's, or forgotten. */
  find(world: World, seller: Seller, uuid: string): Job | undefined {
    const job = this.#jobs.get(uuid);
    if (job === undefined || job.sellerId !== seller.id) return undefined;
    if (job.endedAt !== null && world.clock.now() >= job.endedAt + world.guesses.jobKeptMs) this.#jobs.delete(uuid);
    return this.#jobs.get(uuid);
  }

  get size(): number {
    return this.#jobs.size;
  }
}

async function run(world: World, job: Job, writer: Writer, processable: boolean): Promise<void> {
  const { clock, guesses, background } = world;
  const pause = async (ms: number): Promise<void> => (ms > 0 ? clock.sleep(ms, background.signal) : undefined);
  await pause(guesses.jobPendingMs);
  if (processable) {
    job.state = 'running';
    for (const [index, item] of job.items.entries()) {
      await pause(guesses.jobItemMs);
      job.results.push(resultOf(index, write(world, writer, job.kind, item)));
    }
  }
  job.state = processable ? 'completed' : 'unprocessable';
  job.endedAt = clock.now();
}

function write(world: World, writer: Writer, kind: JobKind, item: unknown): Written {
  const id = isRecord(item) ? Number(item['id']) : Number.NaN;
  switch (kind) {
    case 'bulk_create':
      return createProduct(world, writer, item);
    case 'bulk_update':
      return updateProduct(world, writer, id, item);
    case 'bulk_destroy':
      return deleteProduct(world, writer, id);
  }
}

function resultOf(index: number, written: Written): JobResult {
  if (!written.ok) return { result: 'error', job_index: index, errors: Object.keys(written.errors).length > 0 ? written.errors : { base: [written.message] }, warnings: {} };
  const warned = Object.keys(written.warnings).length > 0;
  return { result: warned ? 'warning' : 'ok', job_index: index, product_id: written.product.id, errors: {}, warnings: warned ? { properties: written.warnings } : {} };
}

/** `GET /jobs/:uuid`: only `job_index` ties a result to its item. `completed` says nothing about the items. */
export function jobShape(job: Job): object {
  const count = (result: JobResult['result']): number => job.results.filter((one) => one.result === result).length;
  return {
    uuid: job.uuid,
    state: job.state,
    spawned_children: job.items.length,
    stats: { ok: count('ok'), warning: count('warning'), error: count('error') },
    results: job.results,
    started_at: timestamp(job.startedAt),
    ended_at: timestamp(job.endedAt),
    duration: job.endedAt === null ? null : (job.endedAt - job.startedAt) / 1_000,
  };
}

export const UNKNOWN_JOB = { uuid: null, state: 'unknown', spawned_children: null, stats: {}, results: [] };
