import { randomBytes } from 'node:crypto';
import type { KafkaMessage } from 'kafkajs';
import { deadLetterTopic, LATEST, RECORDS, TOPICS, topicName, type RecordName } from '../../src/contract/index.ts';
import { schemaIds, type SchemaIds } from '../../src/operations/generate/index.ts';
import { createKafka, createProducer, createRegistry, type Producer } from '../../src/platform/kafka/index.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { stackUrls } from './stack.ts';
import { until } from './wait.ts';

type Kafka = ReturnType<typeof createKafka>;
type Admin = ReturnType<Kafka['admin']>;

/** Topics and consumer group of one test alone: `<prefix>brx.marketplace-events`, its dead-letter twin, and a group of that name. */
export interface TestTopics {
  readonly prefix: string;
  readonly groupId: string;
  readonly events: string;
  readonly deadLetters: string;
  readonly kafka: Kafka;
  readonly admin: Admin;
  readonly producer: Producer;
  readonly schemaIds: SchemaIds;
  /** Committed offset by partition; partitions without one are left out. */
  committed(): Promise<Map<number, number>>;
  /** Members of the group, as the broker sees them. */
  members(): Promise<string[]>;
  /** Every record of a topic, up to where it ends now. */
  readAll(topic: string): Promise<(KafkaMessage & { partition: number })[]>;
  remove(): Promise<void>;
}

const PRODUCED: readonly RecordName[] = ['InventoryChanged', 'PurchaseCancelled'];

export async function createTestTopics(): Promise<TestTopics> {
  const stack = stackUrls();
  const prefix = `test-${randomBytes(6).toString('hex')}.`;
  const groupId = `${prefix}ingest`;
  const [events, deadLetters] = [topicName(prefix, TOPICS.marketplaceEvents), topicName(prefix, deadLetterTopic(TOPICS.marketplaceEvents))];
  const kafka = createKafka({ brokers: stack.kafkaBrokers.split(','), clientId: 'test', ssl: false, sasl: undefined, topicPrefix: prefix }, silentLogger);
  const registry = createRegistry({ url: stack.registryUrl, username: undefined, password: undefined });
  for (const record of PRODUCED) await registry.register(RECORDS[record].fullName, LATEST[record].avro);
  const admin = kafka.admin();
  await admin.connect();
  const numPartitions = TOPICS.marketplaceEvents.partitions;
  await admin.createTopics({ topics: [events, deadLetters].map((topic) => ({ topic, numPartitions, replicationFactor: 1 })), waitForLeaders: false });
  // kafkajs's own wait gives up when the broker has not heard of the new topic yet.
  await until('leaders of the new topics', async () => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [events, deadLetters] }).catch(() => ({ topics: [] }));
    return topics.length === 2 && topics.every(({ partitions }) => partitions.length === numPartitions && partitions.every(({ leader }) => leader >= 0));
  });
  const producer = createProducer(kafka);

  return {
    prefix,
    groupId,
    events,
    deadLetters,
    kafka,
    admin,
    producer,
    schemaIds: await schemaIds(registry),
    async committed() {
      const [group] = await admin.fetchOffsets({ groupId, topics: [events] });
      return new Map((group?.partitions ?? []).filter(({ offset }) => Number(offset) >= 0).map(({ partition, offset }) => [partition, Number(offset)]));
    },
    async members() {
      const { groups } = await admin.describeGroups([groupId]);
      return groups.flatMap((group) => group.members.map((member) => member.memberId));
    },
    readAll: (topic) => readAll(kafka, admin, topic, `${prefix}reader-${randomBytes(4).toString('hex')}`),
    async remove() {
      await producer.disconnect();
      await admin.deleteTopics({ topics: [events, deadLetters] }).catch(() => undefined); // a test may have deleted them itself
      await admin.deleteGroups([groupId]).catch(() => undefined); // a killed member keeps it for a moment; the broker removes it by itself
      await admin.disconnect();
    },
  };
}

async function readAll(kafka: Kafka, admin: Admin, topic: string, groupId: string): Promise<(KafkaMessage & { partition: number })[]> {
  const remaining = new Map((await admin.fetchTopicOffsets(topic)).filter(({ high }) => high !== '0').map(({ partition, high }) => [partition, Number(high)]));
  const records: (KafkaMessage & { partition: number })[] = [];
  if (remaining.size === 0) return records;
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 });
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: ({ batch }) => {
        for (const message of batch.messages) records.push({ ...message, partition: batch.partition });
        if (Number(batch.lastOffset()) + 1 >= (remaining.get(batch.partition) ?? 0)) remaining.delete(batch.partition);
        return Promise.resolve();
      },
    });
    await until(`the end of ${topic}`, () => remaining.size === 0);
    return records;
  } finally {
    await consumer.disconnect();
    await admin.deleteGroups([groupId]).catch(() => undefined); // empty, and removed by the broker sooner or later
  }
}
