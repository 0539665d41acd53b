import type { Kafka } from 'kafkajs';
import { expect, test } from 'vitest';
import type { BrxError } from '../../src/errors.ts';
import { PartitionConsumer } from '../../src/platform/consumer/index.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { fakeClock } from '../support/fake-clock.ts';

/** Protects: a consumer that only crashes ends the process; one that is back after each outage, with nothing to read in between, does not. */
function crashing() {
  const clock = fakeClock();
  const fatal: BrxError[] = [];
  const listeners = new Map<string, (event: unknown) => void>();
  const events = Object.fromEntries(['GROUP_JOIN', 'HEARTBEAT', 'FETCH', 'END_BATCH_PROCESS', 'CRASH'].map((name) => [name, name]));
  const kafka = { consumer: () => ({ events, on: (name: string, listener: (event: unknown) => void) => listeners.set(name, listener) }) } as unknown as Kafka;
  const nothing = { chunkCommitted: () => undefined, held: () => undefined, resumed: () => undefined, assigned: () => undefined, crashed: () => undefined, heartbeat: () => undefined };
  new PartitionConsumer<object>({
    name: 'test',
    kafka,
    topic: 't',
    groupId: 'g',
    sessionTimeoutMs: 30_000,
    rebalanceTimeoutMs: 90_000,
    concurrency: 1,
    chunkRecords: 1,
    handle: () => Promise.resolve({}),
    nothing: {},
    clock,
    logger: silentLogger,
    observer: nothing,
    probe: () => Promise.resolve(true),
    onFatal: (error) => fatal.push(error),
    faults: { handled: 'ingest.commit-acknowledged', offsetCommitted: 'ingest.offset-committed' },
  });
  return { clock, fatal, crash: (restart = true) => listeners.get('CRASH')?.({ payload: { error: new Error('retries exceeded'), restart, groupId: 'g' } }) };
}

test('crash after crash, each restarted, ends the process with the sixth', async () => {
  const { clock, fatal, crash } = crashing();
  for (let n = 0; n < 5; n += 1) {
    crash();
    await clock.advance(90_000);
  }
  expect(fatal).toEqual([]);
  crash();
  expect(fatal).toMatchObject([{ code: 'BRX_KAFKA_FATAL' }]);
});

test('one that does not come back ends it at once', () => {
  const { fatal, crash } = crashing();
  crash(false);
  expect(fatal).toMatchObject([{ code: 'BRX_KAFKA_FATAL' }]);
});

test('an outage a day of a topic without records is none', async () => {
  const { clock, fatal, crash } = crashing();
  for (let day = 0; day < 30; day += 1) {
    for (let n = 0; n < 3; n += 1) {
      crash();
      await clock.advance(90_000);
    }
    await clock.advance(86_400_000);
  }
  expect(fatal).toEqual([]);
});
