import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLagReader, type LagOptions, type LagReader } from '../../src/operations/lag/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createKafka } from '../../src/platform/kafka/index.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { stackUrls } from '../support/stack.ts';
import { createTestTopics, type TestTopics } from '../support/topic.ts';
import { until } from '../support/wait.ts';

/** Lag as an operator asks for it: exact in records and seconds, whoever consumes or nobody, and asking changes nothing. */
const NOW = Date.UTC(2026, 5, 1);
let topics: TestTopics;
let reader: LagReader | undefined;

beforeEach(async () => {
  topics = await createTestTopics();
});
afterEach(async () => {
  await reader?.close();
  reader = undefined;
  await topics.remove();
});

async function open(group = topics.groupId, watch: Pick<LagOptions, 'windowMs' | 'replaying'> = {}): Promise<LagReader> {
  reader = await openLagReader({ kafka: topics.kafka, brokers: ['the stack'], topic: topics.events, group, clock: { ...systemClock, now: () => NOW, monotonic: () => monotonic }, ...watch });
  return reader;
}
/** Moved by hand: a window passes without waiting for it. */
let monotonic = 0;
const WINDOW_MS = 10_000;

/** One record for each age (seconds before NOW), in this order. */
const publish = (partition: number, ...ages: number[]): Promise<void> =>
  topics.producer.sendBatch(ages.map((age) => ({ topic: topics.events, key: 'k', value: Buffer.from('v'), partition, timestamp: String(NOW - age * 1_000) })));
const commit = (offsets: Record<number, number>): Promise<void> =>
  topics.admin.setOffsets({ groupId: topics.groupId, topic: topics.events, partitions: Object.entries(offsets).map(([partition, offset]) => ({ partition: Number(partition), offset: String(offset) })) });

test('nobody consumes: records and seconds are exact all the same, also where nothing was ever committed', async () => {
  await publish(0, 500, 400, 300, 200);
  await publish(1, 60, 50);
  await publish(2, 10);
  await commit({ 0: 2, 2: 1 });

  const { state, members, partitions, total } = await (await open()).read();
  expect([state, members]).toEqual(['Empty', []]);
  expect(partitions).toHaveLength(12);
  expect(partitions.slice(0, 4)).toMatchObject([
    { partition: 0, committed: '2', end: '4', records: 2, seconds: 300, lost: 0, owner: null },
    { partition: 1, committed: null, end: '2', records: 2, seconds: 60 },
    { partition: 2, committed: '1', end: '1', records: 0, seconds: 0 },
    { partition: 3, committed: null, end: '0', records: 0, seconds: 0 },
  ]);
  expect(total).toEqual({ records: 4, seconds: 300, trend: null });
});

test('a group that does not exist is behind by everything there is', async () => {
  await publish(0, 30, 20);
  const report = await (await open(`${topics.groupId}-nobody`)).read();
  expect(report).toMatchObject({ state: 'Dead', members: [], total: { records: 2, seconds: 30 } });
});

test('asking again shows the trend, with the age of what is oldest by then', async () => {
  await publish(0, 100, 90);
  await publish(1, 100, 90);
  const again = await open();
  expect((await again.read()).total).toEqual({ records: 4, seconds: 100, trend: null });

  await commit({ 0: 1, 1: 2 });
  await publish(2, 95);
  const { partitions, total } = await again.read();
  expect(partitions.slice(0, 4).map(({ records, seconds, trend }) => [records, seconds, trend])).toEqual([[1, 90, 'down'], [0, 0, 'down'], [1, 95, 'up'], [0, 0, 'same']]);
  expect(total).toEqual({ records: 2, seconds: 95, trend: 'down' });
});

/** Statuses of the first three partitions after a window in which `meanwhile` has happened. */
async function statuses(meanwhile: () => Promise<void> = () => Promise.resolve(), stoodAt: Readonly<Record<number, bigint>> = {}): Promise<(string | null)[]> {
  const watching = await open(topics.groupId, { windowMs: WINDOW_MS, replaying: () => Promise.resolve(new Map(Object.entries(stoodAt).map(([partition, offset]) => [Number(partition), offset]))) });
  await watching.read();
  monotonic += WINDOW_MS / 2;
  await meanwhile();
  await watching.read();
  monotonic += WINDOW_MS / 2;
  return (await watching.read()).partitions.slice(0, 3).map(({ status }) => status);
}

test('without a window it is not told how it gets on, only that what is caught up is well', async () => {
  await publish(0, 10);
  expect((await (await open()).read()).partitions.slice(0, 2).map(({ status }) => status)).toEqual([null, 'ok']);
});

test('STOP: behind, nothing committed, and nobody owns it', async () => {
  await publish(0, 500, 400);
  await publish(1, 500, 400);
  await commit({ 0: 1, 1: 2 });
  expect(await statuses()).toEqual(['stop', 'ok', 'ok']);
});

test('REWIND: what was committed is taken back; on purpose it is a REPLAY', async () => {
  await publish(0, 500, 400, 300);
  await commit({ 0: 3 });
  expect(await statuses(() => commit({ 0: 1 }))).toEqual(['rewind', 'ok', 'ok']);
  await reader?.close();
  await commit({ 0: 3 });
  expect(await statuses(() => commit({ 0: 1 }), { 0: 3n })).toEqual(['replay', 'ok', 'ok']);
});

test('REPLAY is told of the partitions a replay has set back, until they are where they stood; the others are as they would be without it', async () => {
  for (const partition of [0, 1, 2]) await publish(partition, 500, 400, 300);
  await commit({ 0: 2, 1: 2, 2: 2 });
  const moved = { 0: 2n, 2: 1n };
  // 0 was set back; 1 is behind by itself; 2 was set back and has come past where it stood.
  expect(await statuses(() => commit({ 0: 1 }), moved)).toEqual(['replay', 'stop', 'stop']);
  await reader?.close();
  await commit({ 0: 2, 1: 2 });
  expect(await statuses(() => commit({ 0: 1, 1: 1 }), moved)).toEqual(['replay', 'rewind', 'stop']);
});

test('a quiet night: nothing arrives, nobody is there, and all is well', async () => {
  await publish(0, 500);
  await commit({ 0: 1 });
  expect(await statuses()).toEqual(['ok', 'ok', 'ok']);
});

test('STALL: behind and nothing committed, although somebody owns it; well as soon as it is committed', async () => {
  await publish(0, 500, 400);
  const consumer = topics.kafka.consumer({ groupId: topics.groupId, maxWaitTimeInMs: 100 });
  try {
    await consumer.connect();
    await consumer.subscribe({ topic: topics.events, fromBeginning: true });
    await consumer.run({ autoCommit: false, eachMessage: () => Promise.resolve() });
    await until('a member with partitions', async () => (await topics.admin.describeGroups([topics.groupId])).groups[0]?.state === 'Stable');
    expect(await statuses()).toEqual(['stall', 'ok', 'ok']);
    await consumer.commitOffsets([{ topic: topics.events, partition: 0, offset: '2' }]);
    monotonic += WINDOW_MS / 2;
    expect((await reader?.read())?.partitions[0]).toMatchObject({ status: 'ok', history: [2, 2, 2, 0] });
  } finally {
    await consumer.disconnect();
  }
});

test('records that retention deleted before the group read them are told, and the lag counts from what is left', async () => {
  await publish(0, 500, 400, 300, 200);
  await commit({ 0: 1 });
  await topics.admin.deleteTopicRecords({ topic: topics.events, partitions: [{ partition: 0, offset: '3' }] });
  const { partitions } = await (await open()).read();
  expect(partitions[0]).toMatchObject({ committed: '1', earliest: '3', records: 1, seconds: 200, lost: 2 });
});

test('who works on what', async () => {
  const consumer = topics.kafka.consumer({ groupId: topics.groupId, maxWaitTimeInMs: 100 });
  try {
    await consumer.connect();
    await consumer.subscribe({ topic: topics.events, fromBeginning: true });
    await consumer.run({ eachMessage: () => Promise.resolve() });
    await until('a member with partitions', async () => (await topics.admin.describeGroups([topics.groupId])).groups[0]?.state === 'Stable');
    const { state, members, partitions } = await (await open()).read();
    expect(state).toBe('Stable');
    expect(members).toEqual([{ id: expect.stringMatching(/^test-/) as string, clientId: 'test', host: expect.stringMatching(/^\d/) as string, partitions: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] }]);
    expect(new Set(partitions.map((partition) => partition.owner))).toEqual(new Set([members[0]?.id]));
  } finally {
    await consumer.disconnect();
  }
});

test('asking leaves nothing behind: offsets stay, no group of its own remains, and the group asked about was never joined', async () => {
  await publish(0, 10, 9);
  await commit({ 0: 1 });
  await (await open()).read();
  await reader?.close();
  reader = undefined;
  expect(await topics.committed()).toEqual(new Map([[0, 1]]));
  expect((await topics.admin.listGroups()).groups.map((group) => group.groupId).filter((id) => id.startsWith(topics.groupId))).toEqual([topics.groupId]);
});

test('a topic that is not there is an error that says what to do, and is not created by asking', async () => {
  const missing = `${topics.prefix}nothing`;
  const opened = openLagReader({ kafka: topics.kafka, brokers: [], topic: missing, group: 'g', clock: systemClock });
  await expect(opened).rejects.toMatchObject({ code: 'BRX_DIFFERENT', remedy: expect.stringContaining('brx-sync topics apply') as string });
  expect(await topics.admin.listTopics()).not.toContain(missing);
});

test('no Kafka is an error that names the brokers', async () => {
  const nobody = '127.0.0.1:9'; // discard: nothing listens
  const kafka = createKafka({ brokers: [nobody], clientId: 'test', ssl: false, sasl: undefined, topicPrefix: '' }, silentLogger, { retries: 0 });
  await expect(openLagReader({ kafka, brokers: [nobody], topic: 't', group: 'g', clock: systemClock })).rejects.toMatchObject({ code: 'BRX_KAFKA_UNAVAILABLE', remedy: expect.stringContaining(nobody) as string });
  expect(stackUrls().kafkaBrokers).not.toContain(nobody);
});
