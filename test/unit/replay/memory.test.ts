import { describe, expect, test } from 'vitest';
import type { SeenPartition } from '../../../src/platform/consumer/index.ts';
import { judge } from '../../../src/operations/replay/memory.ts';
import type { OpenReplay } from '../../../src/operations/replay/replays.sql.ts';
import { createSpeed } from '../../../src/operations/replay/watch.ts';

/** Protects: a reset by somebody else is a replay, what falls back while it is read is a rewind, and neither is taken for the other. */
const seen = (committed: number, given: Partial<SeenPartition> = {}): SeenPartition => ({ partition: 0, committed: BigInt(committed), end: 100n, owned: true, fresh: true, ...given });
const open = (given: Partial<OpenReplay> = {}): OpenReplay => ({ id: 7n, offsets: { 0: ['80', '0'] }, set: true, started: true, ...given });
const at80 = new Map([[0, 80n]]);

describe('what is seen', () => {
  test('for the first time since it was assigned, before where the group had been: a replay from outside', () => {
    expect(judge({ furthest: at80, open: [] }, [seen(20)])).toMatchObject({ outside: { 0: ['80', '20'] }, replaying: new Set([0]), positions: [] });
  });

  test('later: no replay, a rewind', () => {
    expect(judge({ furthest: at80, open: [] }, [seen(20, { fresh: false })])).toMatchObject({ outside: {}, replaying: new Set() });
  });

  test('of a replay that is known: no second one', () => {
    expect(judge({ furthest: at80, open: [open()] }, [seen(20)])).toMatchObject({ outside: {}, replaying: new Set([0]) });
    expect(judge({ furthest: at80, open: [open({ set: false })] }, [seen(20)])).toMatchObject({ outside: {}, replaying: new Set([0]) });
  });

  test('by one who does not read it: nothing is said or remembered', () => {
    expect(judge({ furthest: at80, open: [] }, [seen(20, { owned: false })])).toMatchObject({ outside: {}, positions: [] });
    expect(judge({ furthest: at80, open: [] }, [seen(90, { owned: false })])).toMatchObject({ positions: [] });
  });

  test('on, or for the first time: is remembered', () => {
    expect(judge({ furthest: at80, open: [] }, [seen(81)]).positions).toEqual([{ partition: 0, furthest: 81n, anew: false }]);
    expect(judge({ furthest: new Map(), open: [] }, [seen(5)])).toMatchObject({ positions: [{ furthest: 5n }], outside: {} });
  });

  test('of a topic that was made anew: remembered anew, no replay', () => {
    expect(judge({ furthest: at80, open: [] }, [seen(3, { end: 10n })])).toMatchObject({ positions: [{ partition: 0, furthest: 3n, anew: true }], outside: {} });
  });
});

describe('a replay', () => {
  test('has started with the first record read again', () => {
    expect(judge({ furthest: at80, open: [open({ started: false })] }, [seen(0)])).toMatchObject({ started: [], caughtUp: [] });
    expect(judge({ furthest: at80, open: [open({ started: false })] }, [seen(1)])).toMatchObject({ started: [7n], caughtUp: [] });
  });

  test('is over when every partition is where it had been, not before', () => {
    const two = open({ offsets: { 0: ['80', '0'], 1: ['10', '0'] } });
    expect(judge({ furthest: at80, open: [two] }, [seen(80), seen(9, { partition: 1 })]).caughtUp).toEqual([]);
    expect(judge({ furthest: at80, open: [two] }, [seen(80), seen(10, { partition: 1 })]).caughtUp).toEqual([7n]);
    expect(judge({ furthest: at80, open: [two] }, [seen(80)]).caughtUp).toEqual([]); // the other partition was not seen
  });

  test('whose offsets are not set yet is not over because the group stands where it always did', () => {
    expect(judge({ furthest: at80, open: [open({ set: false, started: false })] }, [seen(80)])).toMatchObject({ started: [], caughtUp: [] });
  });
});

test('speed counts from the first progress', () => {
  let now = 0;
  const speed = createSpeed({ monotonic: () => now });
  expect(speed(0, 100)).toEqual({ rate: null, seconds: null });
  now = 60_000; // instances take their time to start
  expect(speed(0, 100)).toEqual({ rate: null, seconds: null });
  now = 61_000;
  expect(speed(20, 80)).toEqual({ rate: 20, seconds: 4 });
  now = 66_000;
  expect(speed(100, 0)).toMatchObject({ seconds: 0 });
});
