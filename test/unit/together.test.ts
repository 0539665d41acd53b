import { expect, test } from 'vitest';
import { Together, type TogetherLimits } from '../../src/platform/together.ts';

/** Protects: what is asked for at about the same time is done together, nobody waits for who comes later, and a failure stays with its own. */
interface Batch {
  readonly items: readonly number[];
  readonly end: (outcome: readonly string[] | Error) => void;
}

/** Batches as they begin; each goes on when the test says so. */
function group(limits: TogetherLimits<number> = {}) {
  const batches: Batch[] = [];
  const together = new Together<number, string>(
    (items) =>
      new Promise((resolve, reject) => {
        batches.push({ items, end: (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)) });
      }),
    limits,
  );
  const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(() => setImmediate(resolve)));
  return { batches, together, turn };
}
const named = ({ items }: Batch): string[] => items.map((item) => `done ${item}`);
const finish = (batch: Batch | undefined): void => batch?.end(named(batch));

test('a lone one is done at once, by itself', async () => {
  const { batches, together, turn } = group();
  const done = together.do(1);
  await turn();
  expect(batches.map(({ items }) => items)).toEqual([[1]]);
  finish(batches[0]);
  expect(await done).toBe('done 1');
});

test('what comes up in one turn is one batch, in order, each with its own answer', async () => {
  const { batches, together, turn } = group();
  const done = Promise.all([1, 2, 3].map((item) => together.do(item)));
  await turn();
  expect(batches.map(({ items }) => items)).toEqual([[1, 2, 3]]);
  finish(batches[0]);
  expect(await done).toEqual(['done 1', 'done 2', 'done 3']);
});

test('what comes up while a batch is under way is the next one, and never two at once', async () => {
  const { batches, together, turn } = group();
  const first = together.do(1);
  await turn();
  const next = Promise.all([2, 3].map((item) => together.do(item)));
  await turn();
  expect(batches).toHaveLength(1);
  finish(batches[0]);
  expect(await first).toBe('done 1');
  await turn();
  expect(batches.map(({ items }) => items)).toEqual([[1], [2, 3]]);
  finish(batches[1]);
  expect(await next).toEqual(['done 2', 'done 3']);
});

test('a batch that fails fails those in it, and nobody else', async () => {
  const { batches, together, turn } = group();
  const failing = Promise.allSettled([1, 2].map((item) => together.do(item)));
  await turn();
  const waiting = together.do(3);
  batches[0]?.end(new Error('no'));
  expect((await failing).map((result) => (result.status === 'rejected' ? String(result.reason) : result.value))).toEqual(['Error: no', 'Error: no']);
  await turn();
  finish(batches[1]);
  expect(await waiting).toBe('done 3');
  const later = together.do(4);
  await turn();
  finish(batches[2]);
  expect(await later).toBe('done 4');
});

test('no more than so many at once; the rest follows by itself', async () => {
  const { batches, together, turn } = group({ most: 2 });
  const done = Promise.all([1, 2, 3, 4, 5].map((item) => together.do(item)));
  for (let n = 0; n < 3; n += 1) {
    await turn();
    finish(batches[n]);
  }
  expect((await done).length).toBe(5);
  expect(batches.map(({ items }) => items)).toEqual([[1, 2], [3, 4], [5]]);
});

test('too few answers are a failure of all, not somebody else’s answer', async () => {
  const { batches, together, turn } = group();
  const done = Promise.allSettled([1, 2].map((item) => together.do(item)));
  await turn();
  batches[0]?.end(['done 1']);
  for (const result of await done) expect(result).toMatchObject({ status: 'rejected', reason: { message: '2 items were to be answered, 1 were' } });
});

test('in parallel: as many batches as were said and no more, each of at most so many', async () => {
  const { batches, together, turn } = group({ most: 2, parallel: 3 });
  const done = Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((item) => together.do(item)));
  await turn();
  expect(batches.map(({ items }) => items)).toEqual([[1, 2], [3, 4], [5, 6]]);
  finish(batches[1]);
  await turn();
  expect(batches[3]?.items).toEqual([7, 8]);
  for (const one of [0, 2, 3]) finish(batches[one]);
  expect((await done).length).toBe(8);
});

test('by weight: no batch is heavier than it may be when it is made, and what is heavier by itself goes alone', async () => {
  let most = 5;
  const { batches, together, turn } = group({ most: () => most, weigh: (item) => item });
  const done = Promise.all([2, 3, 1, 9, 4].map((item) => together.do(item)));
  for (const weights of [[2, 3], [1], [9], [4]]) {
    await turn();
    expect(batches.at(-1)?.items).toEqual(weights);
    finish(batches.at(-1));
  }
  expect(await done).toHaveLength(5);
  most = 1;
  const later = Promise.all([1, 1].map((item) => together.do(item)));
  await turn();
  expect(batches.at(-1)?.items).toEqual([1]);
  finish(batches.at(-1));
  await turn();
  finish(batches.at(-1));
  await later;
});

test('what waits can be answered without being done; what is under way ends as it would', async () => {
  const { batches, together, turn } = group({ most: 1 });
  const underWay = together.do(1);
  await turn();
  const waiting = [2, 3].map((item) => together.do(item));
  together.answerWaiting('not done');
  expect(await Promise.all(waiting)).toEqual(['not done', 'not done']);
  finish(batches[0]);
  expect(await underWay).toBe('done 1');
  expect(batches).toHaveLength(1);
});
