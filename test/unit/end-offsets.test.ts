import { afterEach, expect, test } from 'vitest';
import { EndOffsets, type GroupMemory, type SeenPartition } from '../../src/platform/consumer/index.ts';
import { LagTracker } from '../../src/platform/consumer/lag.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Kafka } from '../../src/platform/kafka/index.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { until } from '../support/wait.ts';

/** Protects: lag is read whatever becomes of what remembers the group, and what remembers it is asked before Kafka is. */
let running: EndOffsets | undefined;
afterEach(() => running?.stop());

async function start(memory: GroupMemory, asked: string[] = []): Promise<LagTracker> {
  const lag = new LagTracker();
  lag.assign([{ topic: 't', partition: 0 }]);
  const admin = {
    connect: () => Promise.resolve(),
    disconnect: () => Promise.resolve(),
    fetchTopicOffsets: () => {
      asked.push('kafka');
      return Promise.resolve([{ partition: 0, offset: '100', low: '0', high: '100' }]);
    },
    fetchOffsets: () => Promise.resolve([{ topic: 't', partitions: [{ partition: 0, offset: '20', metadata: null }] }]),
  };
  running = new EndOffsets({ kafka: { admin: () => admin } as unknown as Kafka, topic: 't', groupId: 'g', lag, memory, clock: systemClock, logger: silentLogger });
  await running.start();
  return lag;
}
const records = (lag: LagTracker): number | undefined => lag.read(0)[0]?.records;

test.each<[string, GroupMemory]>([
  ['never answers', { recall: () => new Promise(() => undefined) }],
  ['is away', { recall: () => Promise.reject(new Error('away')) }],
  ['goes away in between', { recall: () => Promise.resolve(() => Promise.reject(new Error('away'))) }],
])('a memory that %s', async (_what, memory) => {
  const lag = await start(memory);
  await until('lag', () => records(lag) === 80);
  expect(lag.look('t', 0)).toEqual({ owned: true, fresh: true }); // looked at once somebody remembers again
});

test('what it tells is shown, and it is told what it asked for', async () => {
  const asked: string[] = [];
  let seen: readonly SeenPartition[] = [];
  const lag = await start(
    {
      recall: () => {
        asked.push('memory');
        return Promise.resolve((told) => {
          seen = told;
          return Promise.resolve(new Set([0]));
        });
      },
    },
    asked,
  );
  await until('the status', () => lag.read(0)[0]?.status === 'replay');
  expect(asked).toEqual(['memory', 'kafka']);
  expect(seen).toEqual([{ partition: 0, committed: 20n, end: 100n, owned: true, fresh: true }]);
  expect(lag.look('t', 0)).toEqual({ owned: true, fresh: false });
});
