import { CompressionTypes, type ICustomPartitioner, type Kafka, type Producer as KafkajsProducer } from 'kafkajs';
import { murmur2OfBytes } from '../../contract/index.ts';
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
   * Resolves when all of it is acknowledged. Rejects with BRX_KAFKA_UNAVAILABLE once kafkajs has given up: then any part of the batch
   * may be in the log, and the same batch must be sent again, first; receivers tell copies by their event id.
   */
  sendBatch(messages: readonly OutgoingMessage[]): Promise<void>;
  disconnect(): Promise<void>;
}

/** As Java: murmur2 of the key's bytes, masked to positive; records without a key go round. */
export const murmur2Partitioner: ICustomPartitioner = () => {
  let next = 0;
  return ({ partitionMetadata, message }) => {
    if (message.partition !== undefined && message.partition !== null) return message.partition;
    const partitions = partitionMetadata.length;
    if (message.key === null || message.key === undefined) return next++ % partitions;
    return (murmur2OfBytes(typeof message.key === 'string' ? Buffer.from(message.key) : message.key) & 0x7fffffff) % partitions;
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
          throw kafkaUnavailable(error, `publish ${messages.length} records`);
        }
      }),
    disconnect: () => inTurn(discard),
  };
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
