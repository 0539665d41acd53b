import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deadLetterTopic, partitionOf, TOPICS, topicName, validateInventoryChanged } from '../../src/contract/index.ts';
import { fileSource, publishLines } from '../../src/operations/produce/index.ts';
import { applySchemas, checkSchemas } from '../../src/operations/schemas/index.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { COMMAND_RETRIES, createCodec, createKafka, createProducer, createRegistry, openTopicAdmin } from '../../src/platform/kafka/index.ts';
import { stackUrls } from '../support/stack.ts';
import { until } from '../support/wait.ts';
import { kafkaConfig, registryConfig } from './contract/config.ts';
import { publishStock } from './contract/producer-example.ts';

/** Protects: what `produce` publishes is what a consumer reads: keyed, placed by murmur2, in order, decodable; and nothing of a bad file. */
const prefix = `p${randomUUID().slice(0, 8)}.`;
const topic = topicName(prefix, TOPICS.marketplaceEvents);
const kafka = createKafka(kafkaConfig(stackUrls(), prefix), silentLogger, { retries: COMMAND_RETRIES });
const registry = createRegistry(registryConfig(stackUrls()));
const producer = createProducer(kafka);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'brx-produce-test-'));
  await applySchemas(registry, await checkSchemas(), { dryRun: false });
  const admin = await openTopicAdmin(kafka);
  await admin.create({ ...TOPICS.marketplaceEvents, name: topic });
  await admin.close();
  // A broker may name itself the leader of a new partition a moment before it is one.
  await until('the new topic has its leaders', () => recordsInTopic().then((count) => count === 0, () => false));
});
afterAll(async () => {
  await producer.disconnect();
  const admin = kafka.admin();
  await admin.connect();
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
  await rm(folder, { recursive: true, force: true });
});

const line = (userId: string, quantity: number, eventId: string = randomUUID()): string =>
  JSON.stringify({ record: 'InventoryChanged', value: { event_id: eventId, user_id: userId, item_id: randomUUID(), kind: 'SET', quantity, source: 'test', occurred_at: Date.UTC(2026, 0, 1) } });

async function publish(lines: readonly string[], skipBad = false) {
  const path = join(folder, `${randomUUID()}.ndjson`);
  await writeFile(path, lines.join('\n'));
  return publishLines({ source: await fileSource(path), topic, allowRaw: false, skipBad, producer, registry, signal: new AbortController().signal, onProgress: () => undefined });
}

async function recordsInTopic(): Promise<number> {
  const admin = kafka.admin();
  await admin.connect();
  const offsets = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  return offsets.reduce((sum, { high }) => sum + Number(high), 0);
}

interface Read {
  partition: number;
  key: string;
  eventId: string;
  value: unknown;
}

/** Everything in the topic, until `count` records have come. */
async function readAll(count: number): Promise<Read[]> {
  const codec = createCodec(registry);
  const consumer = kafka.consumer({ groupId: `${prefix}${randomUUID()}`, maxWaitTimeInMs: 100 });
  const records: Read[] = [];
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      consumer
        .run({
          autoCommit: false,
          eachMessage: async ({ partition, message }) => {
            const bytes = message.value!;
            await codec.prepare(bytes.readInt32BE(1));
            records.push({ partition, key: message.key!.toString(), eventId: String(message.headers?.['brx-event-id']), value: codec.reader(bytes.readInt32BE(1))?.read(bytes) });
            if (records.length === count) resolve();
          },
        })
        .catch(reject);
    });
    return records;
  } finally {
    await consumer.disconnect();
  }
}

test('good lines arrive once, on the partition of murmur2, in order per user, decodable and valid', async () => {
  const users = Array.from({ length: 20 }, () => randomUUID());
  const lines = Array.from({ length: 2_500 }, (_, index) => line(users[index % users.length]!, index));
  const before = await recordsInTopic();
  expect(await publish(lines)).toMatchObject({ published: 2_500, bad: 0, records: { InventoryChanged: 2_500 } });
  expect((await recordsInTopic()) - before).toBe(2_500);

  const read = (await readAll(before + 2_500)).map((record) => {
    const checked = validateInventoryChanged(record.value);
    if (!checked.ok) throw new Error(checked.detail);
    return { ...record, event: checked.event };
  });
  for (const { partition, key, eventId, event } of read) {
    expect({ partition, key, eventId }).toEqual({ partition: partitionOf(event.user_id, 12), key: event.user_id, eventId: event.event_id });
  }
  for (const user of users) {
    const quantities = read.filter(({ key }) => key === user).map(({ event }) => event.quantity);
    expect(quantities).toEqual(lines.flatMap((_, index) => (users[index % users.length] === user ? [index] : [])));
  }
});

test('the example for producers (docs/producers.md) runs, and what it sends is a valid event in its place', async () => {
  const before = await recordsInTopic();
  const userId = randomUUID();
  const at = { brokers: stackUrls().kafkaBrokers.split(','), registryUrl: stackUrls().registryUrl, topic };
  const eventId = await publishStock(at, { userId, itemId: randomUUID(), quantity: 3, version: 1 });
  const sent = (await readAll(before + 1)).find((record) => record.eventId === eventId);
  expect(sent).toMatchObject({ key: userId, partition: partitionOf(userId, 12) });
  expect(validateInventoryChanged(sent?.value)).toMatchObject({ ok: true, event: { event_id: eventId, user_id: userId, quantity: 3 } });
});

test('one bad line, and nothing is published', async () => {
  const before = await recordsInTopic();
  await expect(publish([line(randomUUID(), 1), line(randomUUID(), -1)])).rejects.toMatchObject({ code: 'BRX_CONTRACT', message: expect.stringContaining('line 2: quantity') as string });
  expect(await recordsInTopic()).toBe(before);
});

test('with --skip-bad the good lines are published', async () => {
  const before = await recordsInTopic();
  expect(await publish([line(randomUUID(), 1), '{}', line(randomUUID(), 2)], true)).toMatchObject({ published: 2, bad: 1 });
  expect(await recordsInTopic()).toBe(before + 2);
});

test('a topic that does not exist is an error, never created by accident', async () => {
  const missing = topicName(prefix, deadLetterTopic(TOPICS.sagaEvents));
  await expect(producer.sendBatch([{ topic: missing, key: 'k', value: Buffer.alloc(1) }])).rejects.toMatchObject({ code: 'BRX_KAFKA_UNAVAILABLE' });
  const admin = await openTopicAdmin(kafka);
  expect((await admin.describe([missing])).size).toBe(0);
  await admin.close();
});
