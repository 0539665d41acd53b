import type { Kafka } from 'kafkajs';
import { expect, test, vi } from 'vitest';
import { createBatcher, createProducer, murmur2Partitioner, type OutgoingMessage } from '../../../src/platform/kafka/index.ts';

const message = (index: number, bytes = 10): OutgoingMessage => ({ topic: 't', key: `k${index}`, value: Buffer.alloc(bytes, index) });
const keysOf = (batch: readonly OutgoingMessage[]): string[] => batch.map(({ key }) => String(key));

/** A producer whose answers the test gives. */
function manual() {
  const batches: { keys: string[]; accept: () => void; reject: (error: Error) => void }[] = [];
  const sendBatch = (messages: readonly OutgoingMessage[]): Promise<void> => new Promise((accept, reject) => void batches.push({ keys: keysOf(messages), accept, reject }));
  return { batches, sendBatch };
}

test('records added while a batch is in flight go out together, in order, one batch at a time', async () => {
  const { batches, sendBatch } = manual();
  const batcher = createBatcher({ sendBatch }, { batchMessages: 3 });
  await batcher.add(message(0));
  await vi.waitFor(() => expect(batches).toHaveLength(1));
  for (let index = 1; index < 6; index += 1) await batcher.add(message(index));
  expect(batches.map(({ keys }) => keys)).toEqual([['k0']]);
  batches[0]!.accept();
  await vi.waitFor(() => expect(batches).toHaveLength(2));
  batches[1]!.accept();
  await vi.waitFor(() => expect(batches).toHaveLength(3));
  batches[2]!.accept();
  await batcher.flush();
  expect(batches.map(({ keys }) => keys)).toEqual([['k0'], ['k1', 'k2', 'k3'], ['k4', 'k5']]);
  expect(batcher.acknowledged).toBe(6);
});

test('a batch is bounded in bytes too, and one record above the bound goes alone', async () => {
  const { batches, sendBatch } = manual();
  const batcher = createBatcher({ sendBatch }, { batchBytes: 1_000 });
  for (const bytes of [500, 500, 5_000, 10]) await batcher.add(message(bytes, bytes));
  for (let index = 0; index < 4; index += 1) {
    await vi.waitFor(() => expect(batches).toHaveLength(index + 1));
    batches[index]!.accept();
  }
  await batcher.flush();
  expect(batches.map(({ keys }) => keys.length)).toEqual([1, 1, 1, 1]);
});

test('add waits at the bound of the buffer', async () => {
  const { batches, sendBatch } = manual();
  const batcher = createBatcher({ sendBatch }, { bufferedMessages: 2, batchMessages: 1 });
  await batcher.add(message(0));
  await vi.waitFor(() => expect(batches).toHaveLength(1));
  await batcher.add(message(1));
  await batcher.add(message(2));
  let added = false;
  const waiting = batcher.add(message(3)).then(() => (added = true));
  await Promise.resolve();
  expect(added).toBe(false);
  batches[0]!.accept();
  await waiting;
  expect(added).toBe(true);
});

test('after a rejection the buffer is thrown away and everybody hears of it: nothing is sent past what was lost', async () => {
  const { batches, sendBatch } = manual();
  const batcher = createBatcher({ sendBatch }, { bufferedMessages: 2, batchMessages: 1 });
  await batcher.add(message(0));
  await vi.waitFor(() => expect(batches).toHaveLength(1));
  await batcher.add(message(1));
  await batcher.add(message(2));
  const waiting = batcher.add(message(3));
  batches[0]!.reject(new Error('gone'));
  await expect(waiting).rejects.toThrow('gone');
  await expect(batcher.add(message(4))).rejects.toThrow('gone');
  await expect(batcher.flush()).rejects.toThrow('gone');
  expect(batches).toHaveLength(1);
  expect(batcher.acknowledged).toBe(0);
});

test('a producer that finally rejected is never used again (its sequence numbers were rolled back)', async () => {
  const made: { sendBatch: ReturnType<typeof vi.fn>; disconnect: ReturnType<typeof vi.fn> }[] = [];
  const kafka = {
    producer: () => {
      const first = made.length === 0;
      const instance = { connect: () => Promise.resolve(), disconnect: vi.fn(() => Promise.resolve()), sendBatch: vi.fn(() => (first ? Promise.reject(new Error('not enough replicas')) : Promise.resolve([]))) };
      made.push(instance);
      return instance;
    },
  } as unknown as Kafka;
  const producer = createProducer(kafka);
  await expect(producer.sendBatch([message(1)])).rejects.toMatchObject({ code: 'BRX_KAFKA_UNAVAILABLE' });
  await producer.sendBatch([message(1)]);
  expect(made).toHaveLength(2);
  expect(made[0]!.sendBatch).toHaveBeenCalledTimes(1);
  expect(made[0]!.disconnect).toHaveBeenCalledTimes(1);
});

test('a producer that could not be made ready keeps no connection: it is asked for again and again while brokers start', async () => {
  const made: { disconnect: ReturnType<typeof vi.fn> }[] = [];
  const kafka = {
    producer: () => {
      // As kafkajs: connected first, then refused a producer's id.
      const instance = { connect: () => Promise.reject(new Error('coordinator not available')), disconnect: vi.fn(() => Promise.resolve()) };
      made.push(instance);
      return instance;
    },
  } as unknown as Kafka;
  const producer = createProducer(kafka);
  for (let n = 0; n < 3; n += 1) await expect(producer.sendBatch([message(1)])).rejects.toMatchObject({ code: 'BRX_KAFKA_UNAVAILABLE' });
  expect(made.map(({ disconnect }) => disconnect.mock.calls.length)).toEqual([1, 1, 1]);
});

test('batches asked for at once are sent one after the other', async () => {
  let underWay = 0;
  let most = 0;
  const kafka = {
    producer: () => ({
      connect: () => Promise.resolve(),
      disconnect: () => Promise.resolve(),
      sendBatch: async () => {
        underWay += 1;
        most = Math.max(most, underWay);
        await new Promise((resolve) => setImmediate(resolve));
        underWay -= 1;
      },
    }),
  } as unknown as Kafka;
  const producer = createProducer(kafka);
  await Promise.all([1, 2, 3].map((index) => producer.sendBatch([message(index)])));
  expect(most).toBe(1);
});

test('the partition is the one asked for, else murmur2 of the key, else of the value: the same however often kafkajs asks', () => {
  const pick = murmur2Partitioner();
  const partitionMetadata = Array.from({ length: 12 }, (_, partitionId) => ({ partitionId, leader: 1, partitionErrorCode: 0, replicas: [1], isr: [1] }));
  const of = (given: { key?: string | Buffer | null; value?: Buffer; partition?: number }): number => pick({ topic: 't', partitionMetadata, message: { value: null, ...given } });
  expect(of({ key: 'abc', partition: 7 })).toBe(7);
  expect(of({ key: 'abc' })).toBe(479470107 % 12);
  expect(of({ key: Buffer.from('abc') })).toBe(479470107 % 12);
  expect([of({ key: null, value: Buffer.from('abc') }), of({ value: Buffer.from('abc') })]).toEqual([479470107 % 12, 479470107 % 12]);
  expect([of({ key: null }), of({})]).toEqual([of({}), of({})]);
});

test('a partition the topic does not have is refused: kafkajs would leave the record out and report success', () => {
  const pick = murmur2Partitioner();
  const partitionMetadata = [0, 1].map((partitionId) => ({ partitionId, leader: 1, partitionErrorCode: 0, replicas: [1], isr: [1] }));
  expect(() => pick({ topic: 't.dlq', partitionMetadata, message: { value: null, partition: 2 } })).toThrow('t.dlq has 2 partitions, and no partition 2');
});

test.each<[what: string, thrown: Error, code: string, words: string]>([
  ['too large, as the broker says it', Object.assign(new Error('too large'), { type: 'MESSAGE_TOO_LARGE' }), 'BRX_KAFKA_REFUSED', 'refuses the record'],
  ['too large, wrapped by kafkajs', new Error('non-retriable', { cause: Object.assign(new Error('too large'), { type: 'RECORD_LIST_TOO_LARGE' }) }), 'BRX_KAFKA_REFUSED', 'refuses the record'],
  ['no such topic', new Error('retries exceeded', { cause: Object.assign(new Error('does not host'), { type: 'UNKNOWN_TOPIC_OR_PARTITION' }) }), 'BRX_KAFKA_UNAVAILABLE', 'does not know topic t'],
  ['anything else', new Error('socket closed'), 'BRX_KAFKA_UNAVAILABLE', 'did not let us publish 1 record'],
])('what a send threw is told apart: %s', async (_, thrown, code, words) => {
  const kafka = { producer: () => ({ connect: () => Promise.resolve(), disconnect: () => Promise.resolve(), sendBatch: () => Promise.reject(thrown) }) } as unknown as Kafka;
  await expect(createProducer(kafka).sendBatch([message(1)])).rejects.toMatchObject({ code, message: expect.stringContaining(words) as string });
});
