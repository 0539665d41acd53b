import kafkajs, { type Admin, type Kafka } from 'kafkajs';

const LONGEST_FETCH_MS = 100;

/**
 * What kafkajs's admin client does to set offsets, but for five seconds: it joins the group as a consumer that reads nothing, and is done with its first fetch, which, as all is
 * paused, sleeps as long as a fetch may wait. There it is the default, and here 0.1 s. The stop waits for the fetches of all brokers, and with them for the offsets they commit.
 */
export const quickSetOffsets =
  (kafka: Pick<Kafka, 'consumer'>): Admin['setOffsets'] =>
  async ({ groupId, topic, partitions }) => {
    const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: LONGEST_FETCH_MS, allowAutoTopicCreation: false });
    await consumer.connect();
    try {
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      const { state } = await consumer.describeGroup();
      if (state !== 'Empty' && state !== 'Dead') throw new kafkajs.KafkaJSNonRetriableError(`The consumer group must have no running instances, current state: ${state}`);
      await new Promise<void>((resolve, reject) => {
        consumer.on(consumer.events.FETCH, () => resolve());
        consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
        consumer.run({ eachBatchAutoResolve: false, eachBatch: () => Promise.resolve() }).catch(reject);
        consumer.pause([{ topic }]);
        for (const each of partitions) consumer.seek({ topic, ...each });
      });
    } finally {
      await consumer.disconnect();
    }
  };
