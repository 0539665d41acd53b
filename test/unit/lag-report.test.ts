import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { consumedTopics } from '../../src/operations/groups/index.ts';
import { buildReport, oldestPending, totalOf, type LagReport, type Offsets } from '../../src/operations/lag/report.ts';

/** The arithmetic of lag, on what Kafka can say. That it does say so is test/integration/lag.test.ts. */
const AT = Date.UTC(2026, 0, 1);
const offsets = (partition: number, committed: string, earliest: string, end: string): Offsets => ({ partition, committed, earliest, end });
const report = (given: Offsets[], more: Partial<Parameters<typeof buildReport>[0]> = {}): LagReport =>
  buildReport({ topic: 't', group: 'g', state: 'Stable', at: AT, members: [], offsets: given, timestamps: new Map(), previous: undefined, ...more });

describe('the record whose age is the lag', () => {
  test.each<[string, Offsets, string | undefined]>([
    ['is the first not committed', offsets(0, '4', '0', '10'), '4'],
    ['is none when all is committed', offsets(0, '10', '0', '10'), undefined],
    ['is the earliest for a group that never committed', offsets(0, '-1', '3', '10'), '3'],
    ['is none in an empty partition', offsets(0, '-1', '5', '5'), undefined],
    ['is the earliest that is left when retention was faster', offsets(0, '4', '7', '10'), '7'],
    ['is exact beyond 2^53', offsets(0, '9007199254740993', '0', '9007199254740994'), '9007199254740993'],
  ])('%s', (_what, given, expected) => {
    expect(oldestPending(given)).toBe(expected);
  });
});

describe('a report', () => {
  test('counts records and seconds for each partition, and says what it does not know', () => {
    const { partitions, total } = report(
      [offsets(2, '5', '0', '5'), offsets(0, '4', '0', '10'), offsets(1, '-1', '2', '7')],
      { timestamps: new Map([[0, AT - 90_000]]), members: [{ id: 'm', clientId: 'c', host: 'h', partitions: [0, 2] }] },
    );
    expect(partitions.map(({ partition, committed, records, seconds, owner }) => ({ partition, committed, records, seconds, owner }))).toEqual([
      { partition: 0, committed: '4', records: 6, seconds: 90, owner: 'm' },
      { partition: 1, committed: null, records: 5, seconds: null, owner: null },
      { partition: 2, committed: '5', records: 0, seconds: 0, owner: 'm' },
    ]);
    expect(total).toEqual({ records: 11, seconds: null, trend: null }); // no soothing number while one is unknown
  });

  test('the whole is as far behind as its worst partition; a clock ahead of ours is no negative lag', () => {
    const timestamps = new Map([[0, AT - 5_000], [1, AT - 60_000], [2, AT + 1_000]]);
    const { partitions, total } = report([offsets(0, '0', '0', '1'), offsets(1, '0', '0', '1'), offsets(2, '0', '0', '1')], { timestamps });
    expect(partitions.map((partition) => partition.seconds)).toEqual([5, 60, 0]);
    expect(total.seconds).toBe(60);
  });

  test('records that retention took unread are counted as lost, not as lag', () => {
    expect(report([offsets(0, '4', '7', '10')]).partitions[0]).toMatchObject({ records: 3, lost: 3 });
    expect(report([offsets(0, '-1', '7', '10')]).partitions[0]).toMatchObject({ records: 3, lost: 0 }); // it never promised to read them
  });

  test('a commit that overtakes the end we have read is no negative lag', () => {
    expect(report([offsets(0, '12', '0', '10')])).toMatchObject({ partitions: [{ records: 0, seconds: 0 }], total: { records: 0, seconds: 0 } });
  });

  test('trends are against the report before, by partition and in all', () => {
    const previous = report([offsets(0, '0', '0', '10'), offsets(1, '0', '0', '10'), offsets(2, '0', '0', '10')]);
    const { partitions, total } = report([offsets(0, '0', '0', '11'), offsets(1, '5', '0', '10'), offsets(2, '1', '0', '11'), offsets(3, '0', '0', '1')], { previous });
    expect(partitions.map((partition) => partition.trend)).toEqual(['up', 'down', 'same', null]);
    expect(total.trend).toBe('down');
  });
});

describe('the list of groups', () => {
  test('names every consumer group of the configuration', () => {
    const config = readConfig({ BRX_KAFKA_BROKERS: 'k:1', BRX_SCHEMA_REGISTRY_URL: 'http://r', BRX_DATABASE_URL: 'postgresql://u@h/d' });
    const named = Object.values(config).flatMap((section: unknown) => (typeof section === 'object' && section !== null && 'groupId' in section ? [section.groupId] : []));
    expect(named.length).toBeGreaterThan(1);
    expect(consumedTopics(config).map(({ group }) => group).toSorted()).toEqual((named as string[]).toSorted());
  });

  test('as one is behind by all, as old as the oldest, and of unknown age while one is', () => {
    const one = report([offsets(0, '0', '0', '4')], { timestamps: new Map([[0, AT - 5_000]]) });
    const other = report([offsets(0, '0', '0', '6')], { timestamps: new Map([[0, AT - 9_000]]) });
    expect(totalOf([one, other], undefined)).toEqual({ records: 10, seconds: 9, trend: null });
    expect(totalOf([one], { records: 10, seconds: 9, trend: null })).toMatchObject({ trend: 'down' });
    expect(totalOf([one, report([offsets(0, '0', '0', '1')])], undefined)).toMatchObject({ seconds: null });
  });
});
