import type { EachBatchPayload, Kafka } from 'kafkajs';
import type { BrxError } from '../../src/errors.ts';
import { PartitionConsumer } from '../../src/platform/consumer/index.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { fakeClock, type FakeClock } from './fake-clock.ts';

/** A consumer whose kafkajs is the test: it says what happens there, and hears what offsets are committed. */
export interface FakedConsumer {
  readonly consumer: PartitionConsumer<object>;
  readonly clock: FakeClock;
  readonly fatal: BrxError[];
  /** An event of kafkajs. */
  readonly tell: (event: string, payload: object) => void;
  /** One fetched batch of partition 0 with records at these offsets. */
  readonly batch: (...offsets: number[]) => Promise<void>;
  /** Commits, in the order in which they were sent; `end` is the broker's answer. */
  readonly commits: { readonly offset: string; readonly end: () => void }[];
}

const EVENTS = ['GROUP_JOIN', 'HEARTBEAT', 'FETCH', 'END_BATCH_PROCESS', 'CRASH'];

export async function fakeConsumer(): Promise<FakedConsumer> {
  const clock = fakeClock();
  const fatal: BrxError[] = [];
  const commits: FakedConsumer['commits'] = [];
  const listeners = new Map<string, (event: { payload: object }) => void>();
  let handler: ((payload: EachBatchPayload) => Promise<void>) | undefined;
  const commit = (offset: string): Promise<void> => new Promise((end) => void commits.push({ offset, end }));
  const kafkajs = {
    events: Object.fromEntries(EVENTS.map((name) => [name, name])),
    on: (name: string, listener: (event: { payload: object }) => void) => listeners.set(name, listener),
    connect: () => Promise.resolve(),
    subscribe: () => Promise.resolve(),
    run: ({ eachBatch }: { eachBatch: typeof handler }) => {
      handler = eachBatch;
      return Promise.resolve();
    },
    commitOffsets: ([first]: { offset: string }[]) => commit(first?.offset ?? ''),
  };
  const consumer = new PartitionConsumer<object>({
    name: 'test',
    kafka: { consumer: () => kafkajs } as unknown as Kafka,
    topic: 't',
    groupId: 'g',
    sessionTimeoutMs: 30_000,
    rebalanceTimeoutMs: 90_000,
    concurrency: 1,
    chunkRecords: 100,
    handle: () => Promise.resolve({}),
    nothing: {},
    clock,
    logger: silentLogger,
    observer: { chunkCommitted: () => undefined, held: () => undefined, resumed: () => undefined, assigned: () => undefined, crashed: () => undefined, heartbeat: () => undefined },
    probe: () => Promise.resolve(true),
    onFatal: (error) => fatal.push(error),
    faults: { handled: 'ingest.commit-acknowledged', offsetCommitted: 'ingest.offset-committed' },
  });
  await consumer.start();
  const tell = (event: string, payload: object): void => listeners.get(event)?.({ payload });
  tell('GROUP_JOIN', { memberAssignment: { t: [0] } });
  return {
    consumer,
    clock,
    fatal,
    commits,
    tell,
    batch: async (...offsets) => {
      const messages = offsets.map((offset) => ({ offset: String(offset), timestamp: '0', key: null, value: null, headers: {} }));
      await handler?.({
        batch: { topic: 't', partition: 0, highWatermark: '1000', messages, lastOffset: () => String(offsets.at(-1)) },
        commitOffsetsIfNecessary: ({ topics }: { topics: { partitions: { offset: string }[] }[] }) => commit(topics[0]?.partitions[0]?.offset ?? ''),
        resolveOffset: () => undefined,
        heartbeat: () => Promise.resolve(),
        isRunning: () => true,
        isStale: () => false,
      } as unknown as EachBatchPayload);
    },
  };
}
