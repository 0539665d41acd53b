import type pg from 'pg';
import { BrxError } from '../src/errors.ts';
import { systemClock } from '../src/platform/clock.ts';
import { connections, underWay } from './demo.sql.ts';
import { committedOf, lagOf, publishedIn, type GroupReader, type GroupState } from './group.ts';
import { count } from './view.ts';
import type { Worker } from './worker.ts';

/** How things stood at one moment. */
export interface Snapshot {
  /** Monotonic milliseconds. */
  readonly at: number;
  /** Records on the topic. */
  readonly published: number;
  /** Records whose effect is committed in PostgreSQL and whose offset is committed in Kafka. */
  readonly applied: number;
  readonly lag: number;
  /** Applied per second over the last two seconds. */
  readonly rate: number;
  readonly group: GroupState;
  /** Connections to the run's database by client id. */
  readonly connections: ReadonlyMap<string, number>;
  /** Outbox rows that are not on their topics yet. */
  readonly unpublished: number;
  /** Sales that have not ended. */
  readonly openSales: number;
}

const TICK_MS = 250;
const RATE_WINDOW_MS = 2_000;
/** Nothing moving for so long is an answer: more waiting would not change it. */
const STALLED_MS = 60_000;

/** Looks at Kafka, the workers and PostgreSQL several times a second, keeps the peaks, and wakes whoever waits for a moment. */
export class Watch {
  bestRate = 0;
  readonly peakConnections = new Map<string, number>();
  readonly #parts: { group: GroupReader; workers: readonly Worker[]; pool: pg.Pool; onSnapshot: (snapshot: Snapshot) => void };
  readonly #history: { at: number; applied: number }[] = [];
  readonly #waiting = new Set<{ holds: (snapshot: Snapshot) => boolean; resolve: (snapshot: Snapshot) => void; reject: (error: unknown) => void }>();
  readonly #ending = new AbortController();
  readonly #loop: Promise<void>;
  #failure: { error: unknown } | undefined;
  #moved = { at: systemClock.monotonic(), what: '' };

  constructor(parts: { group: GroupReader; workers: readonly Worker[]; pool: pg.Pool; onSnapshot: (snapshot: Snapshot) => void; signal: AbortSignal }) {
    this.#parts = parts;
    this.#loop = this.#run(AbortSignal.any([parts.signal, this.#ending.signal])).catch((error: unknown) => this.#fail(error));
  }

  /** The first snapshot for which `holds` is true. Rejects when nothing moves any more, when a worker dies, or on interruption. */
  until(holds: (snapshot: Snapshot) => boolean): Promise<Snapshot> {
    const reached = new Promise<Snapshot>((resolve, reject) => {
      if (this.#failure === undefined) this.#waiting.add({ holds, resolve, reject });
      else reject(this.#failure.error);
    });
    reached.catch(() => undefined); // several may wait; the first to be awaited reports
    return reached;
  }

  async end(): Promise<void> {
    this.#ending.abort(new Error('the watch is over'));
    await this.#loop;
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const snapshot = await this.#look();
      this.#parts.onSnapshot(snapshot);
      for (const waiter of this.#waiting) {
        if (!waiter.holds(snapshot)) continue;
        this.#waiting.delete(waiter);
        waiter.resolve(snapshot);
      }
      const died = this.#parts.workers.find(({ state }) => state === 'died');
      if (died !== undefined) throw died.deathNotice();
      if (snapshot.at - this.#moved.at > STALLED_MS) throw stalled(snapshot, this.#parts.workers);
      await systemClock.sleep(TICK_MS, signal);
    }
  }

  async #look(): Promise<Snapshot> {
    const { group: reader, workers, pool } = this.#parts;
    const [group] = await Promise.all([reader.read(), ...workers.map((worker) => worker.observe())]);
    const at = systemClock.monotonic();
    const applied = committedOf(group);
    const open = await connections(pool);
    for (const [name, number] of open) this.peakConnections.set(name, Math.max(this.peakConnections.get(name) ?? 0, number));
    const snapshot: Snapshot = { at, published: publishedIn(group), applied, lag: lagOf(group), rate: this.#rate(at, applied), group, connections: open, ...(await underWay(pool)) };
    const what = [applied, snapshot.published, snapshot.unpublished, snapshot.openSales, group.state, ...workers.map(({ state }) => state)].join(' ');
    if (what !== this.#moved.what) this.#moved = { at, what };
    return snapshot;
  }

  #rate(at: number, applied: number): number {
    this.#history.push({ at, applied });
    while ((this.#history[1]?.at ?? at) < at - RATE_WINDOW_MS) this.#history.shift();
    const first = this.#history[0];
    if (first === undefined || at - first.at < RATE_WINDOW_MS / 2) return 0;
    const rate = ((applied - first.applied) / (at - first.at)) * 1_000;
    this.bestRate = Math.max(this.bestRate, rate);
    return rate;
  }

  #fail(error: unknown): void {
    this.#failure = { error };
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting.clear();
  }
}

function stalled({ group, published, lag, unpublished, openSales }: Snapshot, workers: readonly Worker[]): BrxError {
  const behind = group.partitions
    .filter(({ committed, end }) => committed < end)
    .map(({ partition, committed, end }) => `  partition ${partition}: ${count(end - committed)} of ${count(end)} records left, owner ${workers.find(({ clientId }) => group.owned.get(clientId)?.includes(partition) === true)?.name ?? 'nobody'}`);
  return new BrxError('BRX_DIFFERENT', [`nothing has moved for ${STALLED_MS / 1_000} s: ${count(lag)} of ${count(published)} published events are not applied, ${count(unpublished)} outbox rows not published, ${count(openSales)} sales not ended; the group is ${group.state}`, ...behind].join('\n'), {
    remedy: `see the workers' logs: ${workers.map(({ log }) => log).join(', ')}`,
  });
}
