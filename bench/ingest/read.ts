import { randomUUID } from 'node:crypto';
import type { Kafka } from 'kafkajs';

export interface ReadRecord {
  partition: number;
  offset: bigint;
  value: Buffer | null;
  /** Milliseconds since 1970, by the broker's clock if the topic says so. */
  timestamp: number;
}

/** Reads a topic from its beginning to where it ends now, each partition in order, in a group that commits nothing and is deleted. */
export async function readRecords(kafka: Kafka, topic: string, each: (record: ReadRecord) => Promise<void>): Promise<{ records: number }> {
  const admin = kafka.admin();
  await admin.connect();
  const ends = new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, BigInt(high)]));
  const groupId = `bench-read-${randomUUID()}`;
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const open = new Set([...ends].filter(([, end]) => end > 0n).map(([partition]) => partition));
  let records = 0;
  await new Promise<void>((resolve, reject) => {
    if (open.size === 0) resolve();
    consumer
      .run({
        autoCommit: false,
        eachBatch: async (payload) => {
          const { batch } = payload;
          for (const message of batch.messages) {
            await each({ partition: batch.partition, offset: BigInt(message.offset), value: message.value, timestamp: Number(message.timestamp) });
            records += 1;
            payload.resolveOffset(message.offset);
          }
          await payload.heartbeat();
          if (BigInt(batch.lastOffset()) + 1n >= (ends.get(batch.partition) ?? 0n)) open.delete(batch.partition);
          if (open.size === 0) resolve();
        },
      })
      .catch(reject);
  });
  await consumer.disconnect();
  await admin.deleteGroups([groupId]).catch(() => undefined); // an empty group without offsets may be gone already
  await admin.disconnect();
  return { records };
}
