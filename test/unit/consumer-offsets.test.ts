import { expect, test } from 'vitest';
import { fakeConsumer } from '../support/fake-consumer.ts';

/** Protects P3 and P10: offsets that hold no record are committed, only what is ours, and never behind a later one. */
const marker = (offset: number, partition = 0): object => ({ topic: 't', partition, batchSize: 0, firstOffset: String(offset), lastOffset: String(offset) });
const offsets = (commits: readonly { offset: string }[]): string[] => commits.map(({ offset }) => offset);

test('a batch of markers alone is committed; one with records is its handler’s, and what was compacted away is nobody’s', async () => {
  const { tell, commits, clock, consumer } = await fakeConsumer();
  tell('END_BATCH_PROCESS', marker(7));
  await clock.advance(0);
  expect(offsets(commits)).toEqual(['8']);
  consumer.lag.ends('t', 0, 8n, 8n, clock.now());
  expect(consumer.reading().partitions).toMatchObject([{ records: 0, seconds: 0 }]);
  tell('END_BATCH_PROCESS', { ...marker(9), batchSize: 1 });
  tell('END_BATCH_PROCESS', { ...marker(9), firstOffset: null });
  tell('END_BATCH_PROCESS', marker(3, 5)); // a partition of somebody else's
  await clock.advance(0);
  expect(offsets(commits)).toEqual(['8']);
});

test('records that follow wait for it with their own commit: sent again, it would take the group back', async () => {
  const { tell, batch, commits, clock } = await fakeConsumer();
  tell('END_BATCH_PROCESS', marker(7));
  tell('END_BATCH_PROCESS', marker(8));
  const handled = batch(9, 10);
  for (const sent of [['8'], ['8', '9'], ['8', '9', '11']]) {
    await clock.advance(0);
    await clock.advance(0);
    expect(offsets(commits)).toEqual(sent);
    commits.at(-1)?.end();
  }
  await handled;
});
