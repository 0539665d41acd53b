import { randomBytes } from 'node:crypto';
import type { KafkaMessage } from 'kafkajs';
import { deadLetterTopic, LATEST, RECORD_NAMES, RECORDS, TOPICS, topicName } from '../../src/contract/index.ts';
import { schemaIds, type SchemaIds } from '../../src/operations/generate/index.ts';
import { createCodec, createEncoder, createKafka, createProducer, createRegistry, leadersLead, type Encoder, type Producer } from '../../src/platform/kafka/index.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { stackUrls } from './stack.ts';
import { until } from './wait.ts';

type Kafka = ReturnType<typeof createKafka>;
type Admin = ReturnType<Kafka['admin']>;

/** Topics and consumer groups of one test alone: marketplace events, saga events and snapshots with their dead-letter twins, outcomes and levels. */
export interface TestTopics {
  readonly prefix: string;
  readonly groupId: string;
  readonly events: string;
  readonly deadLetters: string;
  readonly sagaEvents: string;
  readonly outcomes: string;
  readonly levels: string;
  readonly sagaGroupId: string;
  readonly snapshots: string;
  readonly snapshotsGroupId: string;
  readonly kafka: Kafka;
  readonly admin: Admin;
  readonly producer: Producer;
  readonly schemaIds: SchemaIds;
  /** Of every record. */
  readonly encoder: Encoder;
  /** Committed offset by partition; partitions without one are left out. */
  committed(): Promise<Map<number, number>>;
  /** Members of the group, as the broker sees them. */
  members(): Promise<string[]>;
  /** Every record of a topic, up to where it ends now. */
  readAll(topic: string): Promise<(KafkaMessage & { partition: number })[]>;
  remove(): Promise<void>;
}

/** Once for a file of tests: an id the stack's registry has given out stays, and to ask for all of them takes longer than to make the topics. */
let registered: ReturnType<typeof register> | undefined;

async function register(): Promise<Pick<TestTopics, 'encoder' | 'schemaIds'>> {
  const registry = createRegistry({ url: stackUrls().registryUrl, username: undefined, password: undefined });
  for (const record of RECORD_NAMES) await registry.register(RECORDS[record].fullName, LATEST[record].avro);
  const encoder = createEncoder(registry, RECORD_NAMES);
  await encoder.prepare();
  return { encoder, schemaIds: await schemaIds(registry) };
}

/** `brokers`: a broker of the test's own. */
export async function createTestTopics(brokers?: string): Promise<TestTopics> {
  const prefix = `test-${randomBytes(6).toString('hex')}.`;
  const groupId = `${prefix}ingest`;
  const sagaGroupId = `${prefix}saga`;
  const snapshotsGroupId = `${groupId}-snapshots`;
  const [events, deadLetters, sagaEvents, sagaDeadLetters, outcomes, levels] = [TOPICS.marketplaceEvents, deadLetterTopic(TOPICS.marketplaceEvents), TOPICS.sagaEvents, deadLetterTopic(TOPICS.sagaEvents), TOPICS.purchaseOutcomes, TOPICS.inventoryLevels].map((topic) => topicName(prefix, topic)) as [string, string, string, string, string, string];
  const snapshots = topicName(prefix, TOPICS.inventorySnapshots);
  const all = [events, deadLetters, sagaEvents, sagaDeadLetters, outcomes, levels, snapshots, topicName(prefix, deadLetterTopic(TOPICS.inventorySnapshots))];
  const kafka = createKafka({ brokers: (brokers ?? stackUrls().kafkaBrokers).split(','), clientId: 'test', ssl: false, sasl: undefined, topicPrefix: prefix }, silentLogger);
  const admin = kafka.admin();
  await admin.connect();
  const numPartitions = TOPICS.marketplaceEvents.partitions;
  await admin.createTopics({ topics: all.map((topic) => ({ topic, numPartitions, replicationFactor: 1 })), waitForLeaders: false });
  await leadersLead(admin, all);
  const producer = createProducer(kafka);

  return {
    prefix,
    groupId,
    events,
    deadLetters,
    sagaEvents,
    outcomes,
    levels,
    sagaGroupId,
    snapshots,
    snapshotsGroupId,
    ...(await (registered ??= register())),
    kafka,
    admin,
    producer,
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
      await admin.deleteTopics({ topics: all }).catch(() => undefined); // a test may have deleted them itself
      await admin.deleteGroups([groupId, sagaGroupId, snapshotsGroupId]).catch(() => undefined); // a killed member keeps it for a moment; the broker removes it by itself
      await admin.disconnect();
    },
  };
}

/** Every record of a topic with a value of ours, decoded, with its key, up to where it ends now. */
export async function readDecoded<Event>(topics: Pick<TestTopics, 'readAll'>, topic: string): Promise<{ key: string | undefined; event: Event }[]> {
  const codec = createCodec(createRegistry({ url: stackUrls().registryUrl, username: undefined, password: undefined }));
  const found: { key: string | undefined; event: Event }[] = [];
  for (const { key, value } of await topics.readAll(topic)) {
    if (value === null) throw new Error(`a record of ${topic} without a value`);
    const id = value.readInt32BE(1);
    await codec.prepare(id);
    found.push({ key: key?.toString(), event: codec.reader(id)?.read(value) as Event });
  }
  return found;
}

/** Every record of a topic, up to where it ends now. */
export async function readAll(kafka: Kafka, admin: Admin, topic: string, groupId: string): Promise<(KafkaMessage & { partition: number })[]> {
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
