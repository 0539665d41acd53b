import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ALL_TOPICS, TOPICS, topicName } from '../../src/contract/index.ts';
import { applyTopics, inspectTopics } from '../../src/operations/topics/index.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { COMMAND_RETRIES, createKafka, openTopicAdmin, type TopicAdmin } from '../../src/platform/kafka/index.ts';
import { stackUrls } from '../support/stack.ts';
import { kafkaConfig } from './contract/config.ts';

/** Protects: `topics apply` on a real broker, any number of times, and each refusal. */
let admin: TopicAdmin;
const raw = createKafka(kafkaConfig(stackUrls()), silentLogger, { retries: COMMAND_RETRIES }).admin();
const prefixes: string[] = [];
const newPrefix = (): string => {
  const prefix = `t${randomUUID().slice(0, 8)}.`;
  prefixes.push(prefix);
  return prefix;
};

beforeAll(async () => {
  admin = await openTopicAdmin(createKafka(kafkaConfig(stackUrls()), silentLogger, { retries: COMMAND_RETRIES }));
  await raw.connect();
});
afterAll(async () => {
  const topics = (await raw.listTopics()).filter((name) => prefixes.some((prefix) => name.startsWith(prefix)));
  if (topics.length > 0) await raw.deleteTopics({ topics });
  await raw.disconnect();
  await admin.close();
});

test('a dry run creates nothing, the first run creates every topic as declared, the second changes nothing', async () => {
  const prefix = newPrefix();
  const dry = await applyTopics(admin, { prefix, dryRun: true });
  expect(dry.map(({ verdict }) => verdict)).toEqual(ALL_TOPICS.map(() => 'missing'));
  expect((await inspectTopics(admin, prefix)).every(({ found }) => found === null)).toBe(true);

  const first = await applyTopics(admin, { prefix, dryRun: false });
  expect(first.map(({ name, created }) => ({ name, created }))).toEqual(ALL_TOPICS.map((topic) => ({ name: topicName(prefix, topic), created: true })));
  const found = await inspectTopics(admin, prefix);
  for (const { declared, found: state, verdict } of found) {
    expect(verdict).toBe('as declared');
    expect(state).toMatchObject({ partitions: declared.partitions, retentionMs: declared.retentionMs, cleanupPolicy: 'delete' });
  }

  const second = await applyTopics(admin, { prefix, dryRun: false });
  expect(second.every(({ created, verdict }) => !created && verdict === 'as declared')).toBe(true);
});

test.each<[string, number, { name: string; value: string }[], RegExp]>([
  ['fewer partitions', 3, [], /has 3 partitions, 12 are declared: growing/],
  ['more partitions', 13, [], /has 13 partitions, 12 are declared: Kafka cannot take partitions away/],
  ['another cleanup policy', 12, [{ name: 'cleanup.policy', value: 'compact' }], /has cleanup policy compact, delete is declared/],
])('a topic with %s is refused with the reason, and no other is created', async (_what, numPartitions, configEntries, message) => {
  const prefix = newPrefix();
  await raw.createTopics({ waitForLeaders: true, topics: [{ topic: topicName(prefix, TOPICS.sagaEvents), numPartitions, configEntries }] });
  await expect(applyTopics(admin, { prefix, dryRun: false })).rejects.toMatchObject({ code: 'BRX_REFUSED', message: expect.stringMatching(message) as string });
  expect((await inspectTopics(admin, prefix)).filter(({ found }) => found !== null)).toHaveLength(1);
});

test('another retention is told, with what would change it, and left alone', async () => {
  const prefix = newPrefix();
  await raw.createTopics({ waitForLeaders: true, topics: [{ topic: topicName(prefix, TOPICS.sagaEvents), numPartitions: 12, configEntries: [{ name: 'retention.ms', value: '3600000' }] }] });
  const results = await applyTopics(admin, { prefix, dryRun: false });
  const odd = results.find(({ declared }) => declared === TOPICS.sagaEvents);
  expect(odd).toMatchObject({ verdict: 'differs', created: false, found: { retentionMs: 3_600_000 } });
  expect(odd?.remarks[0]).toContain('kafka-configs');
});

test('a broker that does not answer is said within seconds', async () => {
  const nobody = createKafka({ ...kafkaConfig(stackUrls()), brokers: ['127.0.0.1:1'] }, silentLogger, { retries: COMMAND_RETRIES });
  await expect(openTopicAdmin(nobody)).rejects.toMatchObject({ code: 'BRX_KAFKA_UNAVAILABLE' });
}, 15_000);
