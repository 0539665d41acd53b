import { CompressionTypes, type ICustomPartitioner, type Kafka, type Producer as KafkajsProducer } from 'kafkajs';
import { murmur2OfBytes } from '../../contract/index.ts';
import { BrxError, messageOf } from '../../errors.ts';
import { counted } from '../words.ts';
import { kafkaUnavailable } from './kafka.ts';

/** A record on its way to Kafka. */
export interface OutgoingMessage {
  topic: string;
  key: Buffer | string | null;
  value: Buffer | null;
  headers?: Record<string, Buffer | string | (Buffer | string)[]>;
  /** Only where the partition must be that of another topic (dead letters); else it is murmur2 of the key. */
  partition?: number;
  /** The record's timestamp, milliseconds since 1970 in decimal; left out: when it is sent. */
  timestamp?: string;
}

/** Publishes batches, one at a time, idempotent, acknowledged by all in-sync replicas. */
export interface Producer {
  connect(): Promise<void>;
  /**
   * Resolves when all of it is acknowledged. Rejects with BRX_KAFKA_UNAVAILABLE once kafkajs has given up, and with
   * BRX_KAFKA_REFUSED when a record in it will never be taken (too large): either way any part of the batch may be in the log, and
   * what was not refused must be sent again, first; receivers tell copies by their event id.
   */
  sendBatch(messages: readonly OutgoingMessage[]): Promise<void>;
  disconnect(): Promise<void>;
}

/**
 * As Java: murmur2 of the key's bytes, masked to positive. A record without a key goes by its value instead of in turn: kafkajs asks
 * again for every record of a request it repeats, and another answer would let the broker take new records for known ones.
 */
export const murmur2Partitioner: ICustomPartitioner = () => {
  return ({ topic, partitionMetadata, message }) => {
    const partitions = partitionMetadata.length;
    if (message.partition !== undefined && message.partition !== null) {
      // kafkajs leaves a record for a partition it does not know out of the request, and reports success.
      if (!partitionMetadata.some(({ partitionId }) => partitionId === message.partition)) throw new BrxError('BRX_KAFKA_REFUSED', `${topic} has ${partitions} partitions, and no partition ${message.partition}`);
      return message.partition;
    }
    const bytes = message.key ?? message.value ?? '';
    return (murmur2OfBytes(typeof bytes === 'string' ? Buffer.from(bytes) : bytes) & 0x7fffffff) % partitions;
  };
};

const ALL_REPLICAS = -1;

/**
 * `maxInFlightRequests: 1` and one batch at a time, because kafkajs's idempotent producer reorders or loses concurrent sends; after
 * a final rejection the producer is thrown away, because kafkajs has rolled its sequence numbers back and the broker would take the next
 * batch of the same length for a repetition (outbox-and-saga.md section 1.6).
 */
export function createProducer(kafka: Kafka, options: { gzip?: boolean } = {}): Producer {
  let current: KafkajsProducer | undefined;
  let tail: Promise<unknown> = Promise.resolve();

  async function connected(): Promise<KafkajsProducer> {
    if (current !== undefined) return current;
    const created = kafka.producer({ idempotent: true, maxInFlightRequests: 1, createPartitioner: murmur2Partitioner, allowAutoTopicCreation: false, retry: {} });
    try {
      await created.connect();
    } catch (error) {
      await created.disconnect().catch(() => undefined); // it may have connected, and only not been given a producer's id: tried again and again, that leaves a connection each time
      throw kafkaUnavailable(error, 'connect a producer');
    }
    current = created;
    return created;
  }

  async function discard(): Promise<void> {
    const discarded = current;
    current = undefined;
    await discarded?.disconnect().catch(() => undefined); // it already failed; what matters is that nobody uses it again
  }

  /** Runs after whatever was asked for before, whether that worked or not. */
  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = tail.then(task, task);
    tail = result.catch(() => undefined);
    return result;
  }

  return {
    connect: () => inTurn(async () => void (await connected())),
    sendBatch: (messages) =>
      inTurn(async () => {
        if (messages.length === 0) return;
        const producer = await connected();
        try {
          await producer.sendBatch({ topicMessages: byTopic(messages), acks: ALL_REPLICAS, compression: options.gzip === true ? CompressionTypes.GZIP : CompressionTypes.None });
        } catch (error) {
          await discard();
          throw unsent(error, messages);
        }
      }),
    disconnect: () => inTurn(discard),
  };
}

/** Kafka's errors that say: not this record, not ever. */
const REFUSALS: ReadonlySet<unknown> = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD', 'INVALID_TIMESTAMP']);

/** Whether what a send threw means that a record in it will never be taken, whatever one waits for. */
export function isRefusedByKafka(error: unknown): boolean {
  if (error instanceof BrxError && error.code === 'BRX_KAFKA_REFUSED') return true;
  return error instanceof Error && (REFUSALS.has(typeOf(error)) || isRefusedByKafka(error.cause));
}

function unsent(error: unknown, messages: readonly OutgoingMessage[]): BrxError {
  const records = messages.length;
  if (isRefusedByKafka(error)) {
    return new BrxError('BRX_KAFKA_REFUSED', `Kafka refuses ${records === 1 ? 'the record' : `one of ${counted(records, 'record')}`}: ${messageOf(error)}`, { cause: error, remedy: 'raise max.message.bytes of the topic, or give the record up' });
  }
  if (typeOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION') {
    const topics = [...new Set(messages.map(({ topic }) => topic))].join(', ');
    return new BrxError('BRX_KAFKA_UNAVAILABLE', `Kafka does not know ${topics.includes(',') ? `one of the topics ${topics}` : `topic ${topics}`}`, { cause: error, remedy: 'run `brx-sync topics apply`' });
  }
  return kafkaUnavailable(error, `publish ${counted(records, 'record')}`);
}

/** Kafka's name of an error, however deep kafkajs has wrapped it. */
function typeOf(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined;
  return 'type' in error && error.type !== undefined ? error.type : typeOf(error.cause);
}

type KafkajsMessage = { key: Buffer | string | null; value: Buffer | null; headers?: Record<string, Buffer | string | (Buffer | string)[]>; partition?: number; timestamp?: string };

function byTopic(messages: readonly OutgoingMessage[]): { topic: string; messages: KafkajsMessage[] }[] {
  const topics = new Map<string, KafkajsMessage[]>();
  for (const { topic, ...message } of messages) {
    const list = topics.get(topic);
    if (list === undefined) topics.set(topic, [message]);
    else list.push(message);
  }
  return [...topics].map(([topic, list]) => ({ topic, messages: list }));
}
