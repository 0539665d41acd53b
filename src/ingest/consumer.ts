import kafkajs, { type Consumer, type EachBatchPayload, type Kafka, type KafkaMessage } from 'kafkajs';
import { partitionOf, TOPICS } from '../contract/index.ts';
import { BrxError, messageOf } from '../errors.ts';
import type { Clock } from '../platform/clock.ts';
import { faultPoint } from '../platform/fault-points.ts';
import type { Logger } from '../platform/log.ts';
import type { Service } from '../platform/service.ts';
import { applyOrPark, type ApplyDeps } from './apply.ts';
import type { Decoder } from './decode.ts';
import { Hold } from './hold.ts';
import { LagTracker } from './lag.ts';
import type { IngestObserver } from './observer.ts';
import { Ownership } from './ownership.ts';
import { Progress } from './progress.ts';
import type { Entry, SourceRecord } from './record.ts';

export interface ConsumerDeps {
  readonly kafka: Kafka;
  readonly topic: string;
  readonly groupId: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly concurrency: number;
  readonly chunkEvents: number;
  readonly decoder: Decoder;
  readonly apply: ApplyDeps;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: IngestObserver;
  /** Whether what `error` says is away answers again. */
  readonly probe: (error: BrxError) => Promise<boolean>;
  /** The process must end: nothing may be skipped and nothing can go on. */
  readonly onFatal: (error: BrxError) => void;
}

const HEARTBEAT_MS = 3_000;
/** A chunk that takes longer is followed by a smaller one: a user waits for another for milliseconds, a rebalance for one chunk. */
const SLOW_CHUNK_MS = 2_000;
const MIN_CHUNK_EVENTS = 50;
/** Restarts of the consumer without a chunk committed in between, after which it counts as dead. */
const MAX_RESTARTS = 5;

/**
 * Kafka record → committed transaction → committed offset.
 *
 * kafkajs calls `#onBatch` with what one fetch brought for one partition, several partitions at once. Each batch is worked
 * through in chunks: decode, apply (one transaction), then resolve and commit the offset. The offset is committed only after
 * the transaction that holds the effect, the parking or the dead letter (P3); what is delivered again is known to the ledger.
 *
 * How a failure leaves the handler decides what kafkajs does, so there are exactly three ways (kafka-consumers.md 1.5):
 * kafkajs's own errors are thrown on (it rejoins), what waiting can cure pauses the partition, everything else ends the process.
 */
export class IngestConsumer implements Service {
  readonly name = 'ingest consumer';
  readonly lag = new LagTracker();
  readonly progress: Progress;
  readonly ownership = new Ownership();
  readonly hold: Hold;
  readonly #deps: ConsumerDeps;
  readonly #consumer: Consumer;
  readonly #heartbeatMs: number;
  #chunkEvents: number;
  #restarts = 0;
  #stopping = false;

  constructor(deps: ConsumerDeps) {
    this.#deps = deps;
    this.#chunkEvents = deps.chunkEvents;
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
      maxBytesPerPartition: 128 * 1_024, // all a fetch brought stays in memory until it is done: 16 MiB less than with 256 KiB, at the same rate
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
        partitionsConsumedConcurrently: this.#deps.concurrency,
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
    await this.hold.stop();
    await this.#consumer.stop(); // waits for the chunks in flight; between chunks `isRunning()` is false from now on
    await this.#consumer.disconnect();
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
        if (!payload.isRunning() || payload.isStale() || !this.ownership.holds(topic, partition, epoch)) return;
        const to = Math.min(from + this.#chunkEvents, batch.messages.length);
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
    const { clock, decoder, apply, observer } = this.#deps;
    const { batch } = payload;
    const { topic, partition } = batch;
    const started = clock.monotonic();
    const records = batch.messages.slice(from, to).map((message) => sourceRecord(topic, partition, message));
    const last = records.at(-1);
    if (last === undefined) return;

    faultPoint('ingest.before-decode');
    const entries = await decoder.decode(records);
    faultPoint('ingest.after-decode');
    const result = await this.#beating(payload, () => applyOrPark(apply, entries));
    faultPoint('ingest.commit-acknowledged');
    const durationMs = clock.monotonic() - started;
    this.#adapt(durationMs);
    this.hold.succeeded();
    this.#restarts = 0;

    // Somebody else owns the partition by now: what is done is done and known to the ledger, the offset is theirs to move.
    if (!this.ownership.holds(topic, partition, epoch)) return;
    const next = to === batch.messages.length ? BigInt(batch.lastOffset()) + 1n : BigInt(last.offset) + 1n;
    payload.resolveOffset(last.offset);
    await payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset: next.toString() }] }] });
    faultPoint('ingest.offset-committed');

    const following = batch.messages[to];
    this.lag.done(topic, partition, next, following === undefined ? undefined : Number(following.timestamp));
    observer.chunkCommitted({
      topic,
      partition,
      offset: last.offset,
      outcomes: result.outcomes,
      timestamps: records.map((record) => record.timestamp),
      deadLetters: result.deadLetters,
      misrouted: countMisrouted(entries, partition),
      durationMs,
    });
    await payload.heartbeat();
  }

  /**
   * Keeps the membership alive while `work` waits for the database. Bounded by the work, which the transaction timeout bounds;
   * a heartbeat that says "rebalance" is thrown once the work is done, so that its offsets are still committed before the rejoin.
   */
  async #beating<T>(payload: EachBatchPayload, work: () => Promise<T>): Promise<T> {
    const done = new AbortController();
    const beat = async (): Promise<void> => {
      for (;;) {
        await this.#deps.clock.sleep(this.#heartbeatMs, done.signal);
        await payload.heartbeat();
      }
    };
    // Ends with the work; a heartbeat that fails shows again at the heartbeat after the chunk.
    const beating = beat().catch(() => undefined);
    try {
      return await work();
    } finally {
      done.abort(new Error('done'));
      await beating;
    }
  }

  #failed(error: unknown, payload: EachBatchPayload): void {
    if (error instanceof kafkajs.KafkaJSError) throw error;
    const { topic, partition } = payload.batch;
    if (error instanceof BrxError && error.retryable) {
      this.#deps.logger.warn({ code: error.code, error: error.message, topic, partition }, 'waiting');
      this.hold.hold(error, payload.pause());
      return;
    }
    this.#deps.onFatal(error instanceof BrxError ? error : new BrxError('BRX_INTERNAL', `${topic}/${partition}: ${messageOf(error)}`, { cause: error }));
    payload.pause(); // nothing of this partition may be skipped on the way out
  }

  #adapt(durationMs: number): void {
    if (durationMs > SLOW_CHUNK_MS) this.#chunkEvents = Math.max(MIN_CHUNK_EVENTS, this.#chunkEvents >> 1);
    else if (durationMs < SLOW_CHUNK_MS / 4) this.#chunkEvents = Math.min(this.#deps.chunkEvents, this.#chunkEvents * 2);
  }

  #listen(): void {
    const { observer, logger, onFatal } = this.#deps;
    const { events } = this.#consumer;
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => {
      this.ownership.joinedWith(payload.memberAssignment);
      this.lag.assign(this.ownership.assigned);
      logger.info({ partitions: payload.memberAssignment[this.#deps.topic] ?? [] }, 'joined the group');
      observer.assigned(this.ownership.assigned);
    });
    this.#consumer.on(events.HEARTBEAT, () => {
      this.progress.beat();
      observer.heartbeat();
    });
    this.#consumer.on(events.FETCH, () => this.progress.beat());
    this.#consumer.on(events.CRASH, ({ payload: { error, restart } }) => {
      this.#restarts += 1;
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

/** Events that are not where murmur2 of their key puts them: their producer uses another partitioner, and their order is its luck. */
function countMisrouted(entries: readonly Entry[], partition: number): number {
  const wrong = new Map<string, boolean>();
  let count = 0;
  for (const entry of entries) {
    if (entry.kind === 'dead') continue;
    const { user_id: userId } = entry.event;
    let misrouted = wrong.get(userId);
    if (misrouted === undefined) wrong.set(userId, (misrouted = partitionOf(userId, TOPICS.marketplaceEvents.partitions) !== partition));
    if (misrouted) count += 1;
  }
  return count;
}
