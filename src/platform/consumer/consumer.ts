import kafkajs, { type Consumer, type EachBatchPayload, type Kafka, type KafkaMessage } from 'kafkajs';
import { BrxError, messageOf } from '../../errors.ts';
import { ENDED } from '../abort.ts';
import type { Clock } from '../clock.ts';
import { faultPoint, type FaultPoint } from '../fault-points.ts';
import type { Logger } from '../log.ts';
import type { Service } from '../service.ts';
import { Together } from '../together.ts';
import { Gather } from './gather.ts';
import { Hold } from './hold.ts';
import { LagTracker, type PartitionReading } from './lag.ts';
import type { ConsumerObserver } from './observer.ts';
import { Ownership } from './ownership.ts';
import { Progress } from './progress.ts';
import type { SourceRecord } from './record.ts';

export interface ConsumerDeps<Result extends object> {
  /** Of the role, for health checks and errors: `ingest`. */
  readonly name: string;
  readonly kafka: Kafka;
  readonly topic: string;
  readonly groupId: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** Chunks worked on at once. */
  readonly concurrency: number;
  /** Most records of one chunk, and of several partitions' that go together. */
  readonly chunkRecords: number;
  /** Most bytes of one fetch of a partition, 128 KiB; more where records are large. */
  readonly fetchBytes?: number;
  /**
   * Makes records durable, one way or another, those of each partition in their order, and says what came of them. Throws a retryable
   * BrxError when what it needs is away; then nothing of what is not durable has happened, and the records come again.
   */
  readonly handle: (records: readonly SourceRecord[]) => Promise<Result>;
  /** What no records come to: told of a chunk whose records went with another partition's. */
  readonly nothing: Result;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: ConsumerObserver<Result>;
  /** Whether what `error` says is away answers again. */
  readonly probe: (error: BrxError) => Promise<boolean>;
  /** The process must end: nothing may be skipped and nothing can go on. */
  readonly onFatal: (error: BrxError) => void;
  /** Passed after a chunk is handled, and after its offset is committed. */
  readonly faults: { readonly handled: FaultPoint; readonly offsetCommitted: FaultPoint };
}

/** A consumer as its instance sees it. */
export interface ConsumerReading {
  readonly group: string;
  /** Of the partitions owned here. */
  readonly partitions: readonly PartitionReading[];
  /** Partitions each topic has, whoever owns them; empty until the broker has answered. */
  readonly topicPartitions: ReadonlyMap<string, number>;
  /** Reading is paused, because something is away. */
  readonly held: boolean;
  /** Since the loop last moved. */
  readonly stillSeconds: number;
  /** Since the broker last said where the partitions end; null: it never has. */
  readonly brokerSeconds: number | null;
}

interface Offset {
  readonly payload: EachBatchPayload;
  readonly partition: number;
  readonly offset: string;
}

const HEARTBEAT_MS = 3_000;
/** A chunk that takes longer is followed by a smaller one: a user waits for another for milliseconds, a rebalance for one chunk. */
const SLOW_CHUNK_MS = 2_000;
const MIN_CHUNK_RECORDS = 50;
/** Batches kafkajs hands over at once: all that a fetch has brought. How much is worked on at once is for `Gather` to say. */
const BATCHES_AT_ONCE = 64;
/** Restarts of the consumer in a row, after which it counts as dead. */
const MAX_RESTARTS = 5;
/** Without one for so long, or with a chunk committed, the next is the first again: a topic may be empty for weeks, and Kafka away now and then. */
const FORGIVEN_MS = 10 * 60_000;

/**
 * Kafka record → committed transaction → committed offset.
 *
 * kafkajs calls `#onBatch` with what one fetch brought for one partition, all partitions at once. Each batch is worked
 * through in chunks: `handle` (decode, one transaction, shared by small chunks of several partitions: gather.ts), then resolve and commit the offset. The offset is committed only after
 * the transaction that holds the effect, the parking or the dead letter (P3); what is delivered again is known to the database.
 *
 * How a failure leaves the handler decides what kafkajs does, so there are exactly three ways (kafka-consumers.md 1.5):
 * kafkajs's own errors are thrown on (it rejoins), what waiting can cure pauses the partition, everything else ends the process.
 */
export class PartitionConsumer<Result extends object> implements Service {
  readonly name: string;
  readonly lag = new LagTracker();
  readonly progress: Progress;
  readonly ownership = new Ownership();
  readonly hold: Hold;
  readonly #deps: ConsumerDeps<Result>;
  readonly #consumer: Consumer;
  readonly #heartbeatMs: number;
  readonly #gather: Gather<Result>;
  readonly #commits: Together<Offset, void>;
  /** Commits under way of offsets without a record. */
  readonly #passing = new Map<number, Promise<void>>();
  #chunkRecords: number;
  #restarts = 0;
  #crashedAt = 0;
  #stopping = false;

  constructor(deps: ConsumerDeps<Result>) {
    this.#deps = deps;
    this.name = deps.name;
    this.#chunkRecords = deps.chunkRecords;
    this.#gather = new Gather({ handle: deps.handle, atOnce: deps.concurrency, clock: deps.clock });
    // Partitions whose chunks went together commit together: one request to the broker.
    this.#commits = new Together<Offset, void>(async (offsets) => {
      await offsets[0]?.payload.commitOffsetsIfNecessary({ topics: [{ topic: deps.topic, partitions: offsets.map(({ partition, offset }) => ({ partition, offset })) }] });
      return offsets.map(() => undefined);
    });
    this.#heartbeatMs = Math.min(HEARTBEAT_MS, deps.sessionTimeoutMs / 3);
    this.progress = new Progress(deps.clock);
    this.hold = new Hold({
      clock: deps.clock,
      probe: deps.probe,
      onHeld: (error) => deps.observer.held(error.code, error.message),
      onResumed: () => deps.observer.resumed(),
    });
    this.#consumer = deps.kafka.consumer({
      groupId: deps.groupId,
      sessionTimeout: deps.sessionTimeoutMs,
      rebalanceTimeout: deps.rebalanceTimeoutMs,
      heartbeatInterval: this.#heartbeatMs,
      maxWaitTimeInMs: 250,
      maxBytesPerPartition: deps.fetchBytes ?? 128 * 1_024, // all a fetch brought stays in memory until it is done: 16 MiB less than with 256 KiB, at the same rate
      metadataMaxAge: 30_000,
      allowAutoTopicCreation: false, // a mistyped prefix must not make a topic
      retry: { retries: 10, initialRetryTime: 200, maxRetryTime: 10_000, restartOnFailure: () => Promise.resolve(true) },
    });
    this.#listen();
  }

  async start(): Promise<void> {
    try {
      await this.#consumer.connect();
      await this.#consumer.subscribe({ topics: [this.#deps.topic], fromBeginning: true });
      await this.#consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: BATCHES_AT_ONCE,
        eachBatch: (payload) => this.#onBatch(payload),
      });
    } catch (error) {
      throw new BrxError('BRX_KAFKA_UNAVAILABLE', `cannot consume ${this.#deps.topic}: ${messageOf(error)}`, {
        cause: error,
        remedy: 'check BRX_KAFKA_BROKERS, and that the topics exist (`brx-sync topics apply`)',
      });
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#gather.stop();
    await this.hold.stop();
    await this.#consumer.stop(); // waits for the chunks in flight; between chunks `isRunning()` is false from now on
    await this.#consumer.disconnect();
  }

  /** What stands in the way, how far behind it is, and whether it moves, at this moment. */
  reading(): ConsumerReading {
    return {
      group: this.#deps.groupId,
      partitions: this.lag.read(this.#deps.clock.now()),
      topicPartitions: this.lag.partitions,
      held: this.hold.reason !== undefined,
      stillSeconds: this.progress.stillFor() / 1_000,
      brokerSeconds: this.lag.answeredAt === undefined ? null : (this.#deps.clock.monotonic() - this.lag.answeredAt) / 1_000,
    };
  }

  async #onBatch(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const { topic, partition } = batch;
    const epoch = this.ownership.epoch;
    const first = batch.messages[0];
    if (first === undefined) return;
    this.lag.fetched(topic, partition, BigInt(first.offset), Number(first.timestamp), BigInt(batch.highWatermark));
    const task = this.progress.begin();
    try {
      for (let from = 0; from < batch.messages.length; ) {
        if (this.#stopping || !payload.isRunning() || payload.isStale() || !this.ownership.holds(topic, partition, epoch)) return;
        const to = Math.min(from + this.#chunkRecords, batch.messages.length);
        await this.#chunk(payload, epoch, from, to);
        task.step();
        from = to;
      }
    } catch (error) {
      this.#failed(error, payload);
    } finally {
      task.end();
    }
  }

  async #chunk(payload: EachBatchPayload, epoch: number, from: number, to: number): Promise<void> {
    const { observer, faults, nothing } = this.#deps;
    const { batch } = payload;
    const { topic, partition } = batch;
    const records = batch.messages.slice(from, to).map((message) => sourceRecord(topic, partition, message));
    const last = records.at(-1);
    if (last === undefined) return;

    const gathered = await this.#beating(payload, () => this.#gather.do(records, this.#chunkRecords));
    if (gathered === undefined) return; // nothing was done: they come again, here or elsewhere
    const { result, records: together, durationMs } = gathered;
    faultPoint(faults.handled);
    this.#adapt(durationMs);
    this.hold.succeeded(partition);
    this.#restarts = 0;

    // Somebody else owns the partition by now: what is done is done and known to the database, the offset is theirs to move.
    if (!this.ownership.holds(topic, partition, epoch)) return;
    const next = to === batch.messages.length ? BigInt(batch.lastOffset()) + 1n : BigInt(last.offset) + 1n;
    payload.resolveOffset(last.offset);
    await this.#passing.get(partition); // kafkajs does not wait for it, and if it is tried again it must not come behind ours
    await this.#commits.do({ payload, partition, offset: next.toString() });
    faultPoint(faults.offsetCommitted);

    const following = batch.messages[to];
    this.lag.done(topic, partition, next, following === undefined ? undefined : Number(following.timestamp));
    const told = result === undefined ? { ...nothing, timestamps: [] } : { ...result, timestamps: together.map((record) => record.timestamp) };
    observer.chunkCommitted({ ...told, topic, partition, offset: last.offset, durationMs });
    await payload.heartbeat();
  }

  /**
   * A batch without a record: what a producer's transaction leaves behind, its marker, or all of it if it was aborted. kafkajs hands it to nobody and goes on behind it, which it
   * does only when all before it is done. The offset is committed here, or an idle partition would count as behind, and as stalled, until the next record.
   */
  #pass(topic: string, partition: number, next: bigint): void {
    if (this.#stopping || !this.ownership.owns(topic, partition)) return;
    this.lag.done(topic, partition, next, undefined);
    const committed = (this.#passing.get(partition) ?? Promise.resolve())
      .then(() => this.#consumer.commitOffsets([{ topic, partition, offset: next.toString() }]))
      .catch((error: unknown) => this.#deps.logger.debug({ error: messageOf(error), topic, partition }, 'offset not committed'))
      .then(() => {
        if (this.#passing.get(partition) === committed) this.#passing.delete(partition);
      });
    this.#passing.set(partition, committed);
  }

  /**
   * Keeps the membership alive while `work` waits for the database. Bounded by the work, which the transaction timeout bounds;
   * a heartbeat that says "rebalance" is thrown once the work is done, so that its offsets are still committed before the rejoin. Until then it goes on: the group waits for
   * us as long as the rebalance timeout says, but expels whoever is silent for longer than a session.
   */
  async #beating<T>(payload: EachBatchPayload, work: () => Promise<T>): Promise<T> {
    const done = new AbortController();
    const beat = async (): Promise<void> => {
      for (;;) {
        await this.#deps.clock.sleep(this.#heartbeatMs, done.signal);
        await payload.heartbeat().catch(() => undefined); // shows again at the heartbeat after the chunk
      }
    };
    // Ends with the work.
    const beating = beat().catch(() => undefined);
    try {
      return await work();
    } finally {
      done.abort(ENDED);
      await beating;
    }
  }

  #failed(error: unknown, payload: EachBatchPayload): void {
    if (error instanceof kafkajs.KafkaJSError) throw error;
    const { topic, partition } = payload.batch;
    if (error instanceof BrxError && error.retryable) {
      this.#deps.logger.warn({ code: error.code, error: error.message, topic, partition }, 'waiting');
      this.hold.hold(error, partition, payload.pause());
      return;
    }
    this.#deps.onFatal(error instanceof BrxError ? error : new BrxError('BRX_INTERNAL', `${topic}/${partition}: ${messageOf(error)}`, { cause: error }));
    payload.pause(); // nothing of this partition may be skipped on the way out
  }

  #adapt(durationMs: number): void {
    if (durationMs > SLOW_CHUNK_MS) this.#chunkRecords = Math.max(MIN_CHUNK_RECORDS, this.#chunkRecords >> 1);
    else if (durationMs < SLOW_CHUNK_MS / 4) this.#chunkRecords = Math.min(this.#deps.chunkRecords, this.#chunkRecords * 2);
  }

  #listen(): void {
    const { clock, observer, logger, onFatal } = this.#deps;
    const { events } = this.#consumer;
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => {
      this.ownership.joinedWith(payload.memberAssignment);
      this.lag.assign(this.ownership.assigned);
      logger.info({ group: this.#deps.groupId, partitions: payload.memberAssignment[this.#deps.topic] ?? [] }, 'joined the group');
      observer.assigned(this.ownership.assigned);
    });
    this.#consumer.on(events.HEARTBEAT, () => {
      this.progress.beat();
      observer.heartbeat();
    });
    this.#consumer.on(events.FETCH, () => this.progress.beat());
    this.#consumer.on(events.END_BATCH_PROCESS, ({ payload: { topic, partition, batchSize, firstOffset, lastOffset } }) => {
      if (batchSize === 0 && (firstOffset as string | null) !== null) this.#pass(topic, partition, BigInt(lastOffset) + 1n);
    });
    this.#consumer.on(events.CRASH, ({ payload: { error, restart } }) => {
      const now = clock.monotonic();
      this.#restarts = now - this.#crashedAt > FORGIVEN_MS ? 1 : this.#restarts + 1;
      this.#crashedAt = now;
      observer.crashed(error, restart);
      if (this.#stopping) return;
      // `restart: false` leaves a process that looks alive and does nothing, for ever (kafkajs issues 1443, 1445).
      if (!restart || this.#restarts > MAX_RESTARTS) {
        const { cause } = error;
        onFatal(cause instanceof BrxError ? cause : new BrxError('BRX_KAFKA_FATAL', `the consumer died: ${error.message}`, { cause: error, remedy: 'the process ends so that its supervisor starts it anew' }));
      }
    });
  }
}

function sourceRecord(topic: string, partition: number, message: KafkaMessage): SourceRecord {
  return { topic, partition, offset: message.offset, timestamp: Number(message.timestamp), key: message.key, value: message.value, headers: message.headers ?? {} };
}
