import { BrxError, messageOf } from '../errors.ts';
import type { Clock } from '../platform/clock.ts';
import { faultPoint } from '../platform/fault-points.ts';
import type { Logger } from '../platform/log.ts';
import type { OutgoingMessage, Producer } from '../platform/kafka/index.ts';
import { DatabaseFailure, inTransaction, type Postgres } from '../platform/postgres/index.ts';
import type { Service } from '../platform/service.ts';
import { claimUnpublished, deleteOldDeadLetters, markPublished, selectDeadLetters, type DeadLetter } from './dead-letters.sql.ts';
import type { DeadLetterReason, HeaderValue, RecordHeaders } from './record.ts';

export async function listDeadLetters(postgres: Postgres, filter: { reason?: DeadLetterReason; limit: number }): Promise<DeadLetter[]> {
  return selectDeadLetters(postgres.prisma, filter);
}

/**
 * Forgets dead letters that were published and are older than `keepSince` (ms): their topic has long forgotten the records, so
 * no replay can bring them again. One step of at most 1,000; answers how many went.
 */
export async function pruneDeadLetters(postgres: Postgres, keepSince: number): Promise<number> {
  return inTransaction(postgres, (tx) => deleteOldDeadLetters(tx, keepSince, 1_000));
}

export interface DeadLetterPublisherDeps {
  readonly postgres: Postgres;
  readonly producer: Producer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onPublished: (count: number) => void;
  readonly onFatal: (error: BrxError) => void;
}

const BATCH = 200;
/** Most bytes of one request. Brokers refuse a record batch above 1 MB, and all of a request may be for one partition. */
const REQUEST_BYTES = 700_000;
/** What the headers added here take, generously. */
const HEADER_BYTES = 2_000;
const POLL_MS = 5_000;

/**
 * Publishes dead letters from their table to `<topic>.dlq`, at least once: the row is marked after the broker has acknowledged,
 * so a crash in between sends it again, under the same `brx-dead-letter-id`. The transaction stays open during the send and
 * holds nothing but these rows; other instances skip them.
 */
export class DeadLetterPublisher implements Service {
  readonly name = 'dead-letter publisher';
  readonly #deps: DeadLetterPublisherDeps;
  readonly #stop = new AbortController();
  #wake: (() => void) | undefined;
  #loop: Promise<void> | undefined;

  constructor(deps: DeadLetterPublisherDeps) {
    this.#deps = deps;
  }

  start(): Promise<void> {
    this.#loop = this.#run();
    return Promise.resolve();
  }

  /** There is something new to publish. */
  wake(): void {
    this.#wake?.();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopping'));
    this.#wake?.();
    await this.#loop;
    await this.#deps.producer.disconnect();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      let published = 0;
      try {
        published = await this.#publishSome();
      } catch (error) {
        if (!(error instanceof DatabaseFailure) && !(error instanceof BrxError && error.retryable)) {
          this.#deps.onFatal(error instanceof BrxError ? error : new BrxError('BRX_INTERNAL', `dead letters: ${messageOf(error)}`, { cause: error }));
          return;
        }
        // PostgreSQL or Kafka is away: the rows are safe where they are, and the next poll tries again.
        this.#deps.logger.warn({ error: error.message }, 'dead letters not published; trying again');
      }
      if (published > 0) this.#deps.onPublished(published);
      if (published < BATCH) await this.#idle();
    }
  }

  async #publishSome(): Promise<number> {
    return inTransaction(this.#deps.postgres, async (tx) => {
      const letters = await claimUnpublished(tx, BATCH);
      if (letters.length === 0) return 0;
      faultPoint('dead-letters.before-send');
      for (const request of requests(letters.map(message))) await this.#deps.producer.sendBatch(request);
      faultPoint('dead-letters.after-send');
      await markPublished(tx, letters.map((letter) => letter.id));
      return letters.length;
    });
  }

  async #idle(): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort(new Error('woken'));
    if (this.#stop.signal.aborted) return;
    await this.#deps.clock.sleep(POLL_MS, woken.signal).catch(() => undefined); // woken early: that is the point
    this.#wake = undefined;
  }
}

/** Cut where a request would grow too large, in order; a message that is too large by itself goes alone. */
function requests(messages: readonly OutgoingMessage[]): OutgoingMessage[][] {
  const cut: OutgoingMessage[][] = [];
  let bytes = Infinity;
  for (const message of messages) {
    const size = HEADER_BYTES + (message.key?.length ?? 0) + (message.value?.length ?? 0) + headerBytes(message);
    bytes += size;
    if (bytes > REQUEST_BYTES) {
      cut.push([]);
      bytes = size;
    }
    cut.at(-1)?.push(message);
  }
  return cut;
}

function headerBytes({ headers }: OutgoingMessage): number {
  return Object.values(headers ?? {})
    .flat()
    .reduce((sum, value) => sum + value.length, 0);
}

/** The original record under the source's partition, plus where it came from and why: Spring's header names, which Kafka UIs know. */
function message(letter: DeadLetter): OutgoingMessage {
  const { source } = letter;
  const headers: OutgoingMessage['headers'] = {
    ...sendable(source.headers),
    'kafka_dlt-original-topic': source.topic,
    'kafka_dlt-original-partition': int32(source.partition),
    'kafka_dlt-original-offset': int64(BigInt(source.offset)),
    'kafka_dlt-original-timestamp': int64(BigInt(Math.round(source.timestamp))),
    'kafka_dlt-original-timestamp-type': 'CreateTime',
    'kafka_dlt-original-consumer-group': letter.consumerGroup,
    'kafka_dlt-exception-fqcn': `brx.${letter.reason}`,
    'kafka_dlt-exception-message': letter.detail,
    'brx-dead-letter-id': letter.id.toString(),
    'brx-dead-letter-reason': letter.reason,
    ...(letter.eventId === null ? {} : { 'brx-event-id': letter.eventId }),
  };
  return { topic: `${source.topic}.dlq`, key: source.key, value: source.value, partition: source.partition, headers };
}

/** kafkajs cannot write a header without a value: it goes out empty. */
function sendable(headers: RecordHeaders): NonNullable<OutgoingMessage['headers']> {
  const value = (one: HeaderValue): Buffer | string => one ?? Buffer.alloc(0);
  return Object.fromEntries(Object.entries(headers).flatMap(([name, values]) => (values === undefined ? [] : [[name, typeof values === 'object' && values !== null && !Buffer.isBuffer(values) ? values.map(value) : value(values)]])));
}

/** Spring writes these numbers as big-endian bytes. */
function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}
