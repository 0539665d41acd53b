import { describe, expect, test } from 'vitest';
import { askedOffsets, movesNothing, movesOf, planPartitions, progressOf, stoodAt, totals, undoOffsets, type PlannedPartition, type Standing, type Target } from '../../../src/operations/replay/plan.ts';

/** Protects: a plan says what Kafka would do with it, and taking it back loses nothing. */
const standing = (partition: number, committed: number | null, earliest: number, end: number): Standing => ({ partition, committed: committed === null ? null : BigInt(committed), earliest: BigInt(earliest), end: BigInt(end) });

function plan(target: Target, standings: Standing[], atTime: Record<number, number> = {}): PlannedPartition[] {
  return planPartitions(target, standings, askedOffsets(target, standings, new Map(Object.entries(atTime).map(([partition, offset]) => [Number(partition), BigInt(offset)]))));
}

describe('the plan of a partition', () => {
  test.each<[string, Target, Standing, Partial<PlannedPartition>]>([
    ['the earliest record', { to: 'earliest' }, standing(0, 80, 0, 100), { from: '80', to: '0', records: 80, skipped: 0, pending: 20, gone: 0 }],
    ['an offset', { to: 'offset', offset: 30n }, standing(0, 80, 0, 100), { to: '30', records: 50, pending: 20, gone: 0 }],
    ['back by so many', { to: 'shift', by: -10n }, standing(0, 80, 0, 100), { to: '70', records: 10 }],
    ['back by more than there are', { to: 'shift', by: -100n }, standing(0, 80, 5, 100), { to: '5', records: 75, gone: 5 }],
    ['an offset that retention has removed: the rest, and how many are gone', { to: 'offset', offset: 10n }, standing(0, 80, 30, 100), { to: '30', records: 50, gone: 20 }],
    ['the beginning, of which some is removed: nobody can tell how much was meant', { to: 'earliest' }, standing(0, 80, 30, 100), { to: '30', records: 50, gone: null }],
    ['a group that retention has overtaken reads on where records begin', { to: 'earliest' }, standing(0, 10, 30, 100), { from: '10', to: '30', records: 0, pending: 70, gone: null }],
    ['a group that never committed', { to: 'offset', offset: 4n }, standing(0, null, 0, 10), { from: null, to: '4', records: 0, skipped: 4, pending: 6 }],
    ['an offset behind the end stays at the end', { to: 'offset', offset: 500n }, standing(0, 80, 0, 100), { to: '100', records: 0, skipped: 20, pending: 0 }],
    ['forward: what is skipped is told', { to: 'shift', by: 5n }, standing(0, 80, 0, 100), { to: '85', records: 0, skipped: 5, pending: 15 }],
  ])('%s', (_what, target, before, expected) => {
    expect(plan(target, [before])).toMatchObject([expected]);
  });

  test.each<[Target]>([[{ to: 'time', at: 1 }], [{ to: 'earliest' }]])('%j: the oldest record there is may not be the oldest there was, unless it is the first of all', (target) => {
    expect(plan(target, [standing(0, 80, 30, 100), standing(1, 80, 1, 100), standing(2, 80, 0, 100)], { 0: 30, 1: 1, 2: 0 }).map(({ gone }) => gone)).toEqual([null, null, 0]);
    expect(plan({ to: 'time', at: 1 }, [standing(0, 80, 30, 100)], { 0: 31 }).map(({ gone }) => gone)).toEqual([0]);
  });

  test('a group that stands behind the end of a topic that was made anew: what there is, and no more', () => {
    expect(plan({ to: 'earliest' }, [standing(0, 80, 0, 50)])).toMatchObject([{ from: '80', to: '0', records: 50, skipped: 0, pending: 0 }]);
  });

  test('a time is what Kafka says of it; the end where no record is as young', () => {
    expect(plan({ to: 'time', at: 1 }, [standing(0, 80, 0, 100), standing(1, 7, 0, 7)], { 0: 60, 1: 7 })).toMatchObject([{ to: '60', records: 20 }, { to: '7', records: 0 }]);
  });

  test('a file moves the partitions it names, and no other', () => {
    expect(plan({ to: 'file', offsets: new Map([[1, 3n]]) }, [standing(0, 8, 0, 9), standing(1, 8, 0, 9)])).toMatchObject([{ partition: 1, to: '3', records: 5 }]);
  });

  test('offsets beyond what a number holds are kept', () => {
    const huge = 2n ** 60n;
    expect(planPartitions({ to: 'shift', by: -1n }, [{ partition: 0, committed: huge + 1n, earliest: huge, end: huge + 2n }], new Map([[0, huge]]))).toMatchObject([{ from: String(huge + 1n), to: String(huge), records: 1, pending: 1 }]);
  });
});

test('totals: what is read again and what waits make the time', () => {
  const partitions = plan({ to: 'earliest' }, [standing(0, 80, 0, 100), standing(1, 10, 0, 10)]);
  expect(totals(partitions, 10)).toEqual({ records: 90, skipped: 0, pending: 20, seconds: 11 });
  expect(movesNothing(partitions)).toBe(false);
  expect(movesNothing(plan({ to: 'earliest' }, [standing(0, 0, 0, 10), standing(1, null, 0, 10)]))).toBe(true);
  expect(movesNothing(plan({ to: 'shift', by: 1n }, [standing(0, 0, 0, 10)])), 'records that are never read').toBe(false);
  expect(movesNothing(plan({ to: 'earliest' }, [standing(0, 0, 0, 10), standing(1, 1, 0, 10)])), 'one of two').toBe(false);
});

describe('undo', () => {
  const before = [standing(0, 80, 0, 100), standing(1, 50, 0, 50), standing(2, null, 0, 9)];
  const moves = movesOf(plan({ to: 'earliest' }, before));

  test('only what moved is written down, with the old offset', () => {
    expect(moves).toEqual({ 0: ['80', '0'], 1: ['50', '0'] });
  });

  test('brings back what has not come back by itself', () => {
    expect(undoOffsets(moves, [standing(0, 0, 0, 100), standing(1, 50, 0, 60), standing(2, 3, 0, 9)])).toEqual(new Map([[0, 80n]]));
  });

  test('never takes a group behind where it is by now', () => {
    expect(undoOffsets(moves, [standing(0, 90, 0, 100), standing(1, 51, 0, 60)])).toEqual(new Map());
  });

  test('one record is enough to be written down, back or forward', () => {
    expect(movesOf(plan({ to: 'offset', offset: 5n }, [standing(0, 4, 0, 9), standing(1, 5, 0, 9), standing(2, 6, 0, 9)]))).toEqual({ 0: ['4', '5'], 2: ['6', '5'] });
  });

  test('a topic that was made anew in between has an end: no group is sent behind it', () => {
    expect(undoOffsets({ 0: ['80', '0'] }, [standing(0, 0, 0, 50)])).toEqual(new Map([[0, 50n]]));
    expect(progressOf({ 0: ['80', '0'] }, [standing(0, 10, 0, 50)])).toMatchObject({ done: 10, of: 50, partitions: [{ goal: '50', left: 40 }] });
  });

  test('of a skip reads what was skipped after all', () => {
    const skipped = movesOf(plan({ to: 'shift', by: 5n }, [standing(0, 80, 0, 100)]));
    expect(undoOffsets(skipped, [standing(0, 97, 0, 100)])).toEqual(new Map([[0, 80n]]));
    expect(undoOffsets(skipped, [standing(0, 97, 90, 100)])).toEqual(new Map([[0, 90n]])); // as much of it as is still there
  });
});

test('partitions that are replayed are those set back, to the furthest they stood; not those set forward, nor those that had never committed', () => {
  expect(stoodAt([{ offsets: { 0: ['80', '0'], 1: ['50', '60'], 2: [null, '0'], 3: ['9', '9'] } }, { offsets: { 0: ['40', '10'], 4: ['7', '6'] } }])).toEqual(new Map([[0, 80n], [4, 7n]]));
  expect(stoodAt([])).toEqual(new Map());
});

describe('progress', () => {
  test('counts what is read again, to where each partition had been', () => {
    expect(progressOf({ 0: ['80', '0'], 1: ['50', '40'] }, [standing(0, 20, 0, 100), standing(1, 70, 0, 90)])).toEqual({
      done: 30,
      of: 90,
      partitions: [{ partition: 0, at: '20', goal: '80', left: 60 }, { partition: 1, at: '70', goal: '50', left: 0 }],
    });
  });

  test('what retention removes meanwhile is not waited for; a skip has nothing to catch up with', () => {
    expect(progressOf({ 0: ['80', '0'] }, [standing(0, 0, 60, 100)])).toMatchObject({ done: 0, of: 20 });
    expect(progressOf({ 0: ['80', '90'] }, [standing(0, 90, 0, 100)])).toMatchObject({ done: 0, of: 0, partitions: [{ left: 0 }] });
  });
});
