import type { Clock } from '../../platform/clock.ts';
import type { createKafka } from '../../platform/kafka/index.ts';

type Kafka = ReturnType<typeof createKafka>;

/**
 * Reads single records at given offsets, to learn how old they are: Kafka keeps no lag in time, the record must be read.
 *
 * kafkajs reads through consumer groups only, so this is one: a group of its own, that never commits and is deleted at `close`.
 * It is kept between readings of `--watch`, because joining a new group takes 3 s on a broker with default settings.
 */
export interface Peeker {
  /** Timestamps (ms since 1970) by partition of the records at, or first after, these offsets; those found in time. */
  timestamps(offsets: ReadonlyMap<number, string>): Promise<Map<number, number>>;
  close(): Promise<void>;
}

const READ_TIMEOUT_MS = 10_000;
const DELETE_TRIES = 5;
const DELETE_AGAIN_MS = 200;

export async function openPeeker(options: { kafka: Kafka; topic: string; group: string; clock: Clock }): Promise<Peeker> {
  const { kafka, topic, group, clock } = options;
  const groupId = `${group}.lag-${Math.trunc(clock.random() * 2 ** 48).toString(36)}`;
  // One record a partition is wanted: fetches as small as the broker gives them (it always gives one whole batch).
  const consumer = kafka.consumer({ groupId, allowAutoTopicCreation: false, maxBytesPerPartition: 1, maxWaitTimeInMs: 100 });
  let wanted = new Map<number, (timestamp: number) => void>();

  const joined = new Promise<void>((resolve) => consumer.on(consumer.events.GROUP_JOIN, () => resolve()));
  const failed = new Promise<never>((_, reject) => consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error)));
  failed.catch(() => undefined); // reported by whoever waits for it below
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: false });
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: ({ batch }) => {
      const first = batch.messages[0];
      if (first !== undefined) wanted.get(batch.partition)?.(Number(first.timestamp));
      consumer.pause([{ topic, partitions: [batch.partition] }]);
      return Promise.resolve();
    },
  });
  await Promise.race([joined, failed]);

  /** The broker may take a moment to see that its only member has left. */
  async function forget(admin: ReturnType<Kafka['admin']>): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await admin.deleteGroups([groupId]);
        return;
      } catch (error) {
        if (tries === DELETE_TRIES) throw error;
        await clock.sleep(DELETE_AGAIN_MS);
      }
    }
  }

  return {
    async timestamps(offsets) {
      const found = new Map<number, number>();
      const done = new AbortController();
      const all = [...offsets].map(([partition]) => new Promise<void>((resolve) => {
        wanted.set(partition, (timestamp) => {
          found.set(partition, timestamp);
          resolve();
        });
      }));
      for (const [partition, offset] of offsets) {
        consumer.seek({ topic, partition, offset });
        consumer.resume([{ topic, partitions: [partition] }]);
      }
      const late = clock.sleep(READ_TIMEOUT_MS, done.signal).catch(() => undefined);
      await Promise.race([Promise.all(all), late, failed]);
      done.abort();
      wanted = new Map();
      return found;
    },
    async close() {
      await consumer.disconnect();
      const admin = kafka.admin();
      try {
        await admin.connect();
        await forget(admin);
      } catch (error) {
        // Gone already, or the broker is: an empty group without offsets is forgotten by the broker too.
        kafka.logger().debug('group of lag not deleted', { groupId, error: String(error) });
      } finally {
        await admin.disconnect();
      }
    },
  };
}
