import { describe, expect, test } from 'vitest';
import { watchConsumers, type ConsumerReading } from '../../src/platform/consumer/index.ts';
import { LagTracker } from '../../src/platform/consumer/lag.ts';
import { PartitionStatus, STATUS_WINDOW_MS } from '../../src/platform/consumer/status.ts';
import { createMetrics } from '../../src/platform/metrics.ts';

/** Protects: a consumer that does not get on is told from one that is busy, slow or idle, without a threshold. */
const STEP = 5_000;
const FULL = STATUS_WINDOW_MS / STEP + 1;

/** The status after samples of [committed, end], 5 s apart. */
function after(samples: readonly (readonly [committed: number, end: number])[], { owned = true, replaying = false } = {}): string {
  const status = new PartitionStatus();
  samples.forEach(([committed, end], index) => status.sample(1_000_000 + index * STEP, BigInt(committed), BigInt(end), owned));
  return status.read({ replaying });
}
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => make(index));

describe('status', () => {
  test('is ok with nothing known, and in a quiet night', () => {
    expect(after([])).toBe('ok');
    expect(after(times(100, () => [50, 50]))).toBe('ok');
  });

  test('is stall when all of a window is behind and nothing is committed; not a sample earlier', () => {
    expect(after(times(FULL, (n) => [50, 60 + n]))).toBe('stall');
    expect(after(times(FULL, () => [50, 51]))).toBe('stall');
    expect(after(times(FULL - 1, (n) => [50, 60 + n]))).toBe('ok');
  });

  test('is ok again with the first commit, and stays ok while lag touched 0 within the window', () => {
    expect(after([...times(FULL, (): [number, number] => [50, 60]), [60, 60]])).toBe('ok');
    expect(after([...times(FULL, (): [number, number] => [50, 60]), [60, 60], ...times(FULL - 1, (): [number, number] => [60, 70])])).toBe('ok');
    expect(after([...times(FULL, (): [number, number] => [50, 60]), [60, 60], ...times(FULL, (): [number, number] => [60, 70])])).toBe('stall');
  });

  test('is warn when it commits and is never less behind than the moment before; ok when it catches up at times', () => {
    expect(after(times(FULL, (n) => [50 + n, 60 + 2 * n]))).toBe('warn');
    expect(after(times(FULL, (n) => [50 + n, 60 + n]))).toBe('warn');
    expect(after(times(FULL, (n) => [50 + n, n === 7 ? 60 : 60 + 2 * n]))).toBe('ok');
    expect(after(times(FULL, (n) => [50 + 3 * n, 200 + n]))).toBe('ok');
    expect(after(times(FULL, (n) => [50 + n, n === 7 ? 57 + 3 * n : 60 + 3 * n])), 'by a little, once').toBe('ok');
  });

  test('is rewind from the moment the group stands before what it had committed, until it is back there', () => {
    expect(after([[50, 60], [40, 60]])).toBe('rewind');
    expect(after([[50, 60], [40, 60], [49, 61]])).toBe('rewind');
    expect(after([[50, 60], [40, 60], [50, 61]])).toBe('ok');
    expect(after([[50, 60], [58, 60], [55, 60]]), 'before the furthest, not only before the first').toBe('rewind');
    expect(after([[60, 60], [59, 60]]), 'by a single record').toBe('rewind');
    expect(after([[60, 60], [59, 60]], { replaying: true })).toBe('replay');
    expect(after([[50, 60], [40, 40]])).toBe('ok'); // the topic was made anew: there is nothing to read twice
  });

  test('is stop, not stall, where nobody owns it; and nothing at all while there is nothing to do', () => {
    expect(after(times(FULL, () => [50, 60]), { owned: false })).toBe('stop');
    expect(after(times(FULL - 1, () => [50, 60]), { owned: false })).toBe('ok');
    expect(after(times(FULL, () => [60, 60]), { owned: false })).toBe('ok'); // a quiet night without instances
    const status = new PartitionStatus();
    times(FULL, (n) => status.sample(n * STEP, 50n, 60n, n === FULL - 1)); // it has an owner since a moment
    expect(status.read()).toBe('stall');
  });

  test('is no rewind during a replay, and what else is wrong is told all the same', () => {
    const back = [[50, 60], [10, 60]] as const;
    expect(after(back)).toBe('rewind');
    expect(after(back, { replaying: true })).toBe('replay');
    expect(after([[50, 60], ...times(FULL, (): [number, number] => [10, 60])], { replaying: true })).toBe('stall');
    expect(after([[50, 60], ...times(FULL, (): [number, number] => [10, 60])], { replaying: true, owned: false })).toBe('stop');
    expect(after([[50, 60], ...times(FULL, (n): [number, number] => [10 + n, 60])], { replaying: true })).toBe('replay');
  });

  test('tells for how long it was watched, over a window of one\u2019s own', () => {
    const status = new PartitionStatus(10);
    status.sample(0, 5n, 9n);
    expect(status.isFull).toBe(false);
    status.sample(10, 5n, 9n);
    expect([status.isFull, status.read()]).toEqual([true, 'stall']);
  });

  test('is ok where the group stands behind the end of a topic that was made anew', () => {
    expect(after(times(FULL, () => [60, 50]))).toBe('ok');
  });

  test('tells how many records more, or fewer, it is behind than when the window began', () => {
    const status = new PartitionStatus();
    status.sample(0, 5n, 9n);
    expect(status.trend).toBe(0);
    status.sample(STEP, 5n, 19n);
    expect(status.trend).toBe(10);
    status.sample(2 * STEP, 19n, 19n);
    expect(status.trend).toBe(-4);
  });

  test('forgets what is older than the window', () => {
    expect(after([...times(FULL, (n): [number, number] => [50 + n, 60 + 2 * n]), ...times(FULL, (): [number, number] => [90, 200])])).toBe('stall');
  });
});

test('what is read again on purpose is a replay, from the first look on, and a stall like any other if it does not get on', () => {
  const lag = new LagTracker();
  const owned = [{ topic: 't', partition: 0 }, { topic: 't', partition: 1 }];
  lag.assign(owned);
  expect(lag.look('t', 0)).toEqual({ owned: true, fresh: true });
  expect(lag.look('t', 2)).toEqual({ owned: false, fresh: false });
  const look = (at: number, ...committed: [number, number]): string[] => {
    committed.forEach((offset, partition) => lag.ends('t', partition, 100n, BigInt(offset), at, at));
    return lag.read(at).map(({ status }) => status);
  };
  look(0, 90, 90);
  lag.looked('t', new Set());
  expect(lag.look('t', 0)).toEqual({ owned: true, fresh: false });
  expect(look(STEP, 10, 10)).toEqual(['rewind', 'rewind']); // nobody knows of a replay
  lag.assign(owned); // joined again: what was set back meanwhile is looked at anew
  expect(lag.look('t', 0)).toEqual({ owned: true, fresh: true });
  lag.looked('t', new Set([0]));
  expect(look(2 * STEP, 20, 20)).toEqual(['replay', 'rewind']);
  for (let n = 3; n < FULL + 3; n += 1) look(n * STEP, 20, 20);
  expect(look((FULL + 3) * STEP, 20, 20)).toEqual(['stall', 'rewind']);
  expect(look((FULL + 4) * STEP, 100, 100)).toEqual(['ok', 'ok']);
});

test('a partition that comes to another owner, or back, starts anew: a replay between stop and start is no rewind', () => {
  const lag = new LagTracker();
  const owned = [{ topic: 't', partition: 0 }];
  lag.assign(owned);
  lag.ends('t', 0, 100n, 90n, 0, 0);
  lag.ends('t', 0, 100n, 10n, STEP, STEP);
  expect(lag.read(STEP)).toMatchObject([{ status: 'rewind' }]);
  lag.assign([]);
  lag.assign(owned);
  lag.ends('t', 0, 100n, 10n, 2 * STEP, 2 * STEP);
  expect(lag.read(2 * STEP)).toMatchObject([{ status: 'ok' }]);
});

describe('as metrics', () => {
  const reading: ConsumerReading = { group: 'g', partitions: [{ topic: 't', partition: 3, records: 7, seconds: 1.5, status: 'stall', trend: 7 }], topicPartitions: new Map([['t', 12]]), held: true, stillSeconds: 4, brokerSeconds: 1 };

  test('a consumer shows what it owns, out of how many, that it is held, and since when it stands', async () => {
    const metrics = createMetrics({ process: false });
    watchConsumers(metrics, [{ reading: () => reading }]);
    const text = await metrics.render();
    for (const line of [
      'brx_consumer_records_lag{topic="t",partition="3",group="g"} 7',
      'brx_consumer_lag_seconds{topic="t",partition="3",group="g"} 1.5',
      'brx_consumer_status{topic="t",partition="3",group="g",status="stall"} 1',
      'brx_consumer_topic_partitions{topic="t",group="g"} 12',
      'brx_consumer_held{group="g"} 1',
      'brx_consumer_loop_still_seconds{group="g"} 4',
    ]) expect(text.split('\n')).toContain(line);
  });

  test('what it owns no more, and a status that is over, are gone at the next scrape', async () => {
    const metrics = createMetrics({ process: false });
    let now: ConsumerReading = reading;
    watchConsumers(metrics, [{ reading: () => now }]);
    await metrics.render();
    now = { ...reading, partitions: [{ topic: 't', partition: 4, records: 0, seconds: 0, status: 'ok', trend: 0 }], held: false };
    const text = await metrics.render();
    expect(text).not.toContain('partition="3"');
    expect(text).toContain('brx_consumer_status{topic="t",partition="4",group="g",status="ok"} 1');
    expect(text).toContain('brx_consumer_held{group="g"} 0');
  });
});
