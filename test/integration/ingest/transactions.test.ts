import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { partitionOf, TOPICS, type InventoryChanged } from '../../../src/contract/index.ts';
import { change, history, randomUuid } from '../../support/events.ts';
import { createIngestWorld, itemOf, type IngestWorld, type RunningIngest } from '../../support/ingest.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects P10: a producer that writes in Kafka's transactions leaves offsets behind that hold no record (markers, and all of a transaction it has aborted). They are no lag: the
 * group goes past them also where no record follows.
 */
let world: IngestWorld;
let worker: RunningIngest;

beforeAll(async () => {
  world = await createIngestWorld();
  worker = await world.start();
});
afterAll(() => world.close());

async function inTransaction(events: readonly InventoryChanged[], end: 'commit' | 'abort'): Promise<void> {
  const producer = world.topics.kafka.producer({ transactionalId: `test-${randomBytes(6).toString('hex')}`, idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false });
  await producer.connect();
  try {
    const transaction = await producer.transaction();
    await transaction.send({ topic: world.topics.events, messages: events.map((event) => ({ ...world.record(event), partition: partitionOf(event.user_id, TOPICS.marketplaceEvents.partitions) })) as { value: Buffer }[] });
    await transaction[end]();
  } finally {
    await producer.disconnect();
  }
}

/** Of every partition, the committed offset is where it ends. */
const caughtUp = (): Promise<unknown> =>
  until('the group stands at the end of every partition', async () => {
    const [committed, ends] = [await world.topics.committed(), await world.topics.admin.fetchTopicOffsets(world.topics.events)];
    return ends.every(({ partition, high }) => (committed.get(partition) ?? 0) === Number(high));
  });

test('one that was aborted has no effect, and is no lag', async () => {
  const aborted = change();
  await inTransaction([aborted], 'abort');
  await caughtUp();
  expect(worker.ingest.reading().partitions.reduce((sum, { records }) => sum + records, 0)).toBe(0);
  expect(await itemOf(world.pool, aborted.user_id, aborted.item_id)).toBeUndefined();
});

test('what was committed around one that was aborted is applied, in order', async () => {
  const [user, item] = [randomUuid(), randomUuid()];
  const [set, wrong, adjust] = history(user, item, ['SET', 3], ['ADJUST', 100], ['ADJUST', 1]);
  await inTransaction([set!], 'commit');
  await inTransaction([wrong!], 'abort');
  await inTransaction([adjust!], 'commit');
  await inTransaction([wrong!], 'abort');
  await caughtUp();
  expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 4 });
  expect(worker.signals).toMatchObject({ crashes: [], fatal: [] });
});
