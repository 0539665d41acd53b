import { BrxError } from '../errors.ts';
import { retryMs } from '../platform/backoff.ts';
import { fatalError } from '../platform/claim-loop.ts';
import type { Clock } from '../platform/clock.ts';
import { withDeadline } from '../platform/deadline.ts';
import { faultPoint } from '../platform/fault-points.ts';
import type { Producer } from '../platform/kafka/index.ts';
import { recognise, toBrxError, type Session } from '../platform/postgres/index.ts';
import type { Service } from '../platform/service.ts';
import { NO_TRACER, type Tracer } from '../platform/tracing/index.ts';
import { Wake } from '../platform/wake.ts';
import { Floors } from './floors.ts';
import type { RelayObserver } from './observer.ts';
import { publishInOrder, REQUEST_BYTES, requests } from './publish.ts';
import { blockRow, deleteRows, readBelowFloors, readFloorFacts, readRows, type OutboxRow } from './rows.sql.ts';
import { Shards } from './shards.ts';
import { tracedPublish, traceOfRow } from './trace.ts';

export interface RelayDeps {
  /** A session of its own, opened with RELAY_SESSION (shards.ts). */
  readonly openSession: () => Promise<Session>;
  /** Used by the relay alone: one request at a time, idempotent, thrown away after a rejection. */
  readonly producer: Producer;
  readonly clock: Clock;
  readonly observer: RelayObserver;
  readonly tracer?: Tracer;
  readonly onFatal: (error: BrxError) => void;
}

/** Rows of one shard read at once: with all twelve, 3,000 rows a round. */
const ROWS_A_SHARD = 250;
/** Bytes read at once. */
const ROUND_BYTES = 4_000_000;
const FIRST_POLL_MS = 5;
/** Longest wait of a row whose writer is another process, which wakes its own relay only. */
const LAST_POLL_MS = 50;
const FLOOR_MS = 250;
const AUDIT_MS = 60_000;
/** How long a stop waits for the request under way; after it the rows are left to the next relay, which sends them again. */
const STOP_GRACE_MS = 8_000;

/**
 * Publishes the outbox: reads unpublished rows of the shards it owns, in the order of their ids, sends them in one request at a
 * time, and deletes what Kafka has acknowledged. At least once: killed between acknowledgement and deletion, the next owner sends
 * them again, under the same `brx-event-id`, and first occurrences stay in order.
 *
 *   no session ──► owning ──(rows)──► sending ──(acknowledged)──► deleting ──► owning
 *        ▲           └──(session lost: the shards are somebody else's)──┐ │ refused for good: the row's user is blocked
 *        └───────────────(wait, at most 5 s)────────────────────────────┘ └ Kafka away: the same rows again
 */
export class Relay implements Service {
  readonly name = 'outbox relay';
  readonly #deps: RelayDeps;
  readonly #stop = new AbortController();
  readonly #wake: Wake;
  #requestBytes = REQUEST_BYTES;
  #loop: Promise<void> | undefined;

  constructor(deps: RelayDeps) {
    this.#deps = deps;
    this.#wake = new Wake(deps.clock);
  }

  start(): Promise<void> {
    this.#loop ??= this.#run();
    return Promise.resolve();
  }

  /** Something was committed to the outbox by this process. */
  wake(): void {
    this.#wake.wake();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    const ended = Promise.resolve(this.#loop).then(() => this.#deps.producer.disconnect());
    await withDeadline(ended, { ms: STOP_GRACE_MS, clock: this.#deps.clock, late: () => undefined });
  }

  async #run(): Promise<void> {
    const { clock, observer, onFatal } = this.#deps;
    for (let failures = 0; !this.#stop.signal.aborted; ) {
      try {
        const session = await this.#deps.openSession();
        try {
          await this.#work(session, () => (failures = 0));
        } finally {
          observer.owns([]);
          await session.close();
        }
      } catch (error) {
        const known = recognise(error) === undefined ? error : toBrxError(error);
        if (!(known instanceof BrxError) || !known.retryable) {
          onFatal(fatalError(known, this.name));
          return;
        }
        if (this.#stop.signal.aborted) return;
        failures += 1;
        observer.waiting(known.remedy === undefined ? known.message : `${known.message}: ${known.remedy}`);
        await clock.sleep(retryMs(failures, clock), this.#stop.signal).catch(() => undefined); // stopping
      }
    }
  }

  /** Until the stop or until the session is lost; throws what broke. */
  async #work(session: Session, worked: () => void): Promise<void> {
    const { clock, observer } = this.#deps;
    const shards = new Shards(session, clock);
    const floors = new Floors();
    const alive = new AbortController();
    await shards.join();
    const pings = shards.keepAlive(alive.signal);
    let poll = FIRST_POLL_MS;
    let told = '';
    let nextFloor = 0;
    let nextAudit = clock.monotonic() + AUDIT_MS;
    try {
      while (!this.#stop.signal.aborted) {
        await shards.balance();
        floors.own(shards.owned);
        if (told !== shards.owned.join()) observer.owns(shards.owned);
        told = shards.owned.join();

        this.#wake.looking();
        const rows = shards.owned.length === 0 ? [] : await readRows(session, new Map(shards.owned.map((shard) => [shard, floors.floorOf(shard)])), { rows: ROWS_A_SHARD, bytes: ROUND_BYTES });
        if (rows.length > 0) {
          await this.#publish(session, shards, floors, rows);
          worked();
        }
        if (clock.monotonic() >= nextFloor && !floors.idle) {
          nextFloor = clock.monotonic() + FLOOR_MS;
          floors.advance(await readFloorFacts(session, floors, shards.owned));
        }
        if (clock.monotonic() >= nextAudit) {
          nextAudit = clock.monotonic() + AUDIT_MS;
          await this.#audit(session, floors, shards.owned);
        }
        if (rows.length > 0) poll = FIRST_POLL_MS;
        else if (await this.#wake.wait(poll, this.#stop.signal)) poll = FIRST_POLL_MS;
        else poll = Math.min(LAST_POLL_MS, poll * 2);
      }
    } finally {
      alive.abort();
      await pings;
    }
  }

  async #publish(session: Session, shards: Shards, floors: Floors, rows: readonly OutboxRow[]): Promise<void> {
    const { producer, observer, clock, tracer = NO_TRACER } = this.#deps;
    for (const request of requests(rows, this.#requestBytes)) {
      // Read while they were ours, but a frozen process may come to itself here much later.
      await shards.confirm();
      faultPoint('relay.before-send');
      const { rows: published, refused, refusedBytes } = await tracedPublish(tracer, () => clock.now(), request, () => publishInOrder(request, (messages) => producer.sendBatch(messages)));
      faultPoint('relay.after-send');
      for (const { row, error } of refused) {
        await blockRow(session, row, error.message);
        observer.blocked(row.topic, row.userId, error.message, traceOfRow(row)?.traceId);
      }
      if (published.length > 0) await deleteRows(session, published);
      faultPoint('relay.after-delete');
      for (const row of published) floors.published(row.shard, row.id);
      for (const [topic, count] of countBy(published)) observer.published(topic, count);
      if (refused.length > 0) return; // what stands behind a refused row is read again without its user
      // All of it but not at once: a topic takes smaller batches than brokers do by default. Where half of that is still too much, because all of it is for one partition, it is halved again.
      this.#requestBytes = Math.min(this.#requestBytes, refusedBytes / 2);
    }
  }

  /** Below a floor nothing can appear; if something does, it is said loudly and published, and the floor starts anew. */
  async #audit(session: Session, floors: Floors, owned: readonly number[]): Promise<void> {
    const below = await readBelowFloors(session, new Map(owned.map((shard) => [shard, floors.floorOf(shard)])));
    if (below.length === 0) return;
    for (const { shard, id } of below) this.#deps.observer.belowFloor(shard, id);
    floors.own([]);
  }
}

function countBy(rows: readonly OutboxRow[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { topic } of rows) counts.set(topic, (counts.get(topic) ?? 0) + 1);
  return counts;
}
