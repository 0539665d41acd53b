import { describe, expect, test } from 'vitest';
import { LagTracker } from '../../src/platform/consumer/lag.ts';

/** Protects: lag is exact in records and in seconds, and 0 when caught up. */
const T = 'topic';
const NOW = 1_000_000;

function tracker(...partitions: number[]): LagTracker {
  const lag = new LagTracker();
  lag.assign(partitions.map((partition) => ({ topic: T, partition })));
  return lag;
}

describe('lag', () => {
  test('is unknown until something is known: a partition without numbers is left out', () => {
    expect(tracker(0, 1).read(NOW)).toEqual([]);
  });

  test('in records is from the next one to do to the end, in seconds the age of that one', () => {
    const lag = tracker(0);
    lag.fetched(T, 0, 10n, NOW - 5_000, 25n);
    expect(lag.read(NOW)).toEqual([{ topic: T, partition: 0, records: 15, seconds: 5, status: 'ok', trend: 0 }]);
    lag.done(T, 0, 20n, NOW - 2_000);
    expect(lag.read(NOW)).toEqual([{ topic: T, partition: 0, records: 5, seconds: 2, status: 'ok', trend: 0 }]);
  });

  test('is 0 when everything up to the end is done', () => {
    const lag = tracker(0);
    lag.fetched(T, 0, 10n, NOW - 5_000, 25n);
    lag.done(T, 0, 25n, undefined);
    expect(lag.read(NOW)).toMatchObject([{ records: 0, seconds: 0 }]);
  });

  test('of a partition that nobody fetched yet is from where the group stands to where the broker says it ends', () => {
    const lag = tracker(0);
    lag.ends(T, 0, 100n, 40n, NOW);
    expect(lag.read(NOW + 3_000)).toEqual([{ topic: T, partition: 0, records: 60, seconds: 3, status: 'ok', trend: 0 }]);
  });

  test('grows while a partition is held: the broker’s end goes on, the oldest record gets older', () => {
    const lag = tracker(0);
    lag.fetched(T, 0, 10n, NOW, 12n);
    lag.ends(T, 0, 50n, 10n, NOW + 9_000);
    expect(lag.read(NOW + 10_000)).toMatchObject([{ records: 40, seconds: 10 }]);
  });

  test('a group that stands behind what is done here does not take it back', () => {
    const lag = tracker(0);
    lag.fetched(T, 0, 10n, NOW, 12n);
    lag.done(T, 0, 12n, undefined);
    lag.ends(T, 0, 12n, 10n, NOW);
    expect(lag.read(NOW)).toMatchObject([{ records: 0, seconds: 0 }]);
  });

  test('is none, never less, where more is done than the broker said there is', () => {
    const lag = tracker(0);
    lag.fetched(T, 0, 10n, NOW - 5_000, 12n);
    lag.done(T, 0, 15n, NOW - 5_000);
    expect(lag.read(NOW)).toMatchObject([{ records: 0, seconds: 0 }]);
  });

  test('counts from when there is something to do again, not from before', () => {
    const lag = tracker(0);
    lag.ends(T, 0, 20n, 10n, NOW);
    lag.done(T, 0, 20n, NOW);
    lag.ends(T, 0, 20n, 20n, NOW + 1_000);
    lag.ends(T, 0, 21n, 20n, NOW + 60_000);
    expect(lag.read(NOW + 61_000)).toMatchObject([{ records: 1, seconds: 1 }]);
  });

  test('is counted exactly beyond the safe integers', () => {
    const lag = tracker(0);
    lag.fetched(T, 0, 2n ** 60n, NOW, 2n ** 60n + 7n);
    expect(lag.read(NOW)).toMatchObject([{ records: 7 }]);
  });

  test('of a record stamped in the future is no negative age', () => {
    const lag = tracker(0);
    lag.fetched(T, 0, 0n, NOW + 60_000, 1n);
    expect(lag.read(NOW)).toMatchObject([{ records: 1, seconds: 0 }]);
  });
});

describe('a rebalance', () => {
  test('keeps what stays, forgets what goes, and starts what comes from nothing', () => {
    const lag = tracker(0, 1);
    lag.fetched(T, 0, 0n, NOW, 5n);
    lag.fetched(T, 1, 0n, NOW, 6n);
    lag.assign([{ topic: T, partition: 1 }, { topic: T, partition: 2 }]);
    expect(lag.read(NOW)).toEqual([{ topic: T, partition: 1, records: 6, seconds: 0, status: 'ok', trend: 0 }]);
    lag.assign([{ topic: T, partition: 0 }]);
    expect(lag.read(NOW)).toEqual([]);
  });

  test('what is known of a replay is known by topic, and forgotten with the partition', () => {
    const lag = new LagTracker();
    lag.assign([{ topic: T, partition: 0 }, { topic: 'other', partition: 0 }]);
    lag.looked('other', new Set());
    expect([lag.look(T, 0), lag.look('other', 0)]).toEqual([{ owned: true, fresh: true }, { owned: true, fresh: false }]);
    lag.assign([]);
    expect(lag.look(T, 0)).toEqual({ owned: false, fresh: false });
  });

  test('partitions are counted, owned here or not, and when that was', () => {
    const lag = tracker(0);
    expect([lag.partitions.size, lag.answeredAt]).toEqual([0, undefined]);
    lag.counted(T, 12, 7);
    expect([lag.partitions.get(T), lag.answeredAt]).toEqual([12, 7]);
  });

  test('a handler that is still at work on a partition given away changes nothing', () => {
    const lag = tracker(1);
    lag.fetched(T, 0, 0n, NOW, 5n);
    lag.done(T, 0, 5n, undefined);
    lag.ends(T, 0, 5n, 0n, NOW);
    expect(lag.read(NOW)).toEqual([]);
  });
});
