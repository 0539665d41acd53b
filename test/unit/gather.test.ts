import { expect, test } from 'vitest';
import { systemClock } from '../../src/platform/clock.ts';
import { Gather } from '../../src/platform/consumer/gather.ts';
import type { SourceRecord } from '../../src/platform/consumer/index.ts';

const chunk = (partition: number, ...offsets: number[]): SourceRecord[] => offsets.map((offset) => ({ topic: 't', partition, offset: String(offset), timestamp: 0, key: null, value: null, headers: {} }));
const named = (records: readonly SourceRecord[]): string => records.map(({ partition, offset }) => `${partition}/${offset}`).join(' ');

/** What was handled, and hands to let each transaction end. */
function world(atOnce: number) {
  const begun: { records: string; end: () => void; fail: (error: Error) => void }[] = [];
  const gather = new Gather<string>({ handle: (records) => new Promise((resolve, reject) => begun.push({ records: named(records), end: () => resolve(named(records)), fail: reject })), atOnce, clock: systemClock });
  return { begun, gather };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test('what one fetch has brought goes together, and what came of it is told once', async () => {
  const { begun, gather } = world(2);
  const all = [gather.do(chunk(0, 1, 2), 100), gather.do(chunk(1, 7), 100), gather.do(chunk(2, 3), 100)];
  await turn();
  expect(begun.map(({ records }) => records)).toEqual(['0/1 0/2 1/7 2/3']);
  begun[0]?.end();
  const told = await Promise.all(all);
  expect(told.map((one) => one?.result)).toEqual(['0/1 0/2 1/7 2/3', undefined, undefined]);
  expect(told.map((one) => named(one?.records ?? []))).toEqual(['0/1 0/2 1/7 2/3', '0/1 0/2 1/7 2/3', '0/1 0/2 1/7 2/3']);
});

test('never more records than one chunk may have, and a chunk that is larger goes alone', async () => {
  const { begun, gather } = world(10);
  const all = [gather.do(chunk(0, 1, 2), 3), gather.do(chunk(1, 1, 2), 3), gather.do(chunk(2, 1), 3), gather.do(chunk(3, 1, 2, 3, 4), 3)];
  await turn();
  expect(begun.map(({ records }) => records)).toEqual(['0/1 0/2', '1/1 1/2 2/1', '3/1 3/2 3/3 3/4']);
  for (const { end } of begun) end();
  await Promise.all(all);
});

test('no more transactions at once than may be; what comes up meanwhile makes the next', async () => {
  const { begun, gather } = world(1);
  const first = gather.do(chunk(0, 1), 100);
  await turn();
  const later = [gather.do(chunk(1, 1), 100), gather.do(chunk(2, 1), 100)];
  await turn();
  expect(begun.map(({ records }) => records)).toEqual(['0/1']);
  begun[0]?.end();
  await first;
  await turn();
  expect(begun.map(({ records }) => records)).toEqual(['0/1', '1/1 2/1']);
  begun[1]?.end();
  await Promise.all(later);
});

test('a failure fails all that went together, and nobody else', async () => {
  const { begun, gather } = world(1);
  const together = [gather.do(chunk(0, 1), 100), gather.do(chunk(1, 1), 100)];
  const failed = Promise.allSettled(together);
  await turn();
  const next = gather.do(chunk(2, 1), 100);
  begun[0]?.fail(new Error('away'));
  expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await turn();
  begun[1]?.end();
  expect((await next)?.result).toBe('2/1');
});

test('once it is stopped nothing is begun: what is under way ends, what waits is handed back undone', async () => {
  const { begun, gather } = world(1);
  const underWay = gather.do(chunk(0, 1), 100);
  await turn();
  const waiting = gather.do(chunk(1, 1), 100);
  await turn();
  gather.stop();
  expect(await waiting).toBeUndefined();
  expect(await gather.do(chunk(2, 1), 100)).toBeUndefined();
  begun[0]?.end();
  expect((await underWay)?.result).toBe('0/1');
  expect(begun).toHaveLength(1);
});

test('what failed together comes again one by one: who cannot be served holds up nobody else', async () => {
  const { begun, gather } = world(4);
  const handIn = (): Promise<PromiseSettledResult<unknown>[]> => Promise.allSettled([gather.do(chunk(0, 1), 100), gather.do(chunk(1, 1), 100), gather.do(chunk(2, 1), 100)]);
  const together = handIn();
  await turn();
  begun[0]?.fail(new Error('a lane of partition 1 is held'));
  await together;

  const apart = handIn();
  await turn();
  expect(begun.slice(1).map(({ records }) => records)).toEqual(['0/1', '1/1', '2/1']);
  begun[1]?.end();
  begun[2]?.fail(new Error('it still is'));
  begun[3]?.end();
  expect((await apart).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);

  const after = [gather.do(chunk(2, 2), 100), gather.do(chunk(1, 1), 100), gather.do(chunk(0, 2), 100)];
  await turn();
  expect(begun.slice(4).map(({ records }) => records)).toEqual(['2/2', '1/1', '0/2']);
  for (const { end } of begun.slice(4)) end();
  await Promise.all(after);

  const again = [gather.do(chunk(1, 2), 100), gather.do(chunk(0, 3), 100)];
  await turn();
  expect(begun.slice(7).map(({ records }) => records)).toEqual(['1/2 0/3']);
  begun[7]?.end();
  await Promise.all(again);
});
