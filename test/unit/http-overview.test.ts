import { describe, expect, test } from 'vitest';
import { consumerStanding, limitStanding } from '../../src/http/overview.ts';
import type { Busiest } from '../../src/marketplace/index.ts';
import type { ConsumerStatus } from '../../src/platform/consumer/index.ts';

/** Protects: what health says of the limit and of partitions is no better and no worse than it is, and what to do is said where something is to be done. */
const seller = (userId: string, more: Partial<Busiest['sellers'][number]> = {}): Busiest['sellers'][number] => ({ userId, full: 200, limit: 200, used: 10, pausedMs: 0, silentMs: 0, ...more });
const busiest = (more: Partial<Busiest> = {}): Busiest => ({ source: 'shared', silentMs: 0, sellers: [], active: 0, ...more });
const CALLS = { calls: true, isShared: true };

describe('the limit of CardTrader', () => {
  test.each<[string, Busiest, { calls: boolean; isShared: boolean }, string, RegExp]>([
    ['nobody is called', busiest(), CALLS, 'good', /nobody was called/],
    ['all flow', busiest({ sellers: [seller('a')], active: 1 }), CALLS, 'good', /nobody is held up/],
    ['one waits after a 429', busiest({ sellers: [seller('a', { pausedMs: 5_000, limit: 140 }), seller('b')], active: 2 }), CALLS, 'warn', /1 paused after a 429, 1 at a lowered limit/],
    ['Redis is away, and we call', busiest({ source: 'local' }), CALLS, 'warn', /this process counts alone/],
    ['Redis is away, and others call', busiest({ source: 'local' }), { calls: false, isShared: true }, 'warn', /not known here/],
    ['no Redis is configured, and others call', busiest({ source: 'local' }), { calls: false, isShared: false }, 'unknown', /calls nobody, and has no Redis/],
    ['no Redis is configured', busiest({ source: 'local' }), { calls: true, isShared: false }, 'good', /no Redis is configured/],
    ['a fresh Redis, and nobody to be called', busiest({ silentMs: 10_250 }), CALLS, 'good', /nobody was called/],
    ['a window of silence', busiest({ silentMs: 7_300, sellers: [seller('a')], active: 1 }), CALLS, 'warn', /nothing is sent for 8 s/],
  ])('%s', (_what, found, self, level, says) => {
    const standing = limitStanding(found, self);
    expect(standing).toMatchObject({ level, says: expect.stringMatching(says) as string });
    expect(standing.remedy === null).toBe(level === 'good');
  });
});

test.each<[ConsumerStatus, string, RegExp]>([
  ['ok', 'good', /caught up/],
  ['warn', 'warn', /does not keep up/],
  ['stall', 'bad', /does not keep up/],
  ['rewind', 'bad', /does not keep up/],
  ['replay', 'warn', /read again: a replay/],
])('a partition that is %s', (status, level, says) => {
  const reading = { group: 'g', partitions: [{ topic: 't', partition: 0, records: 0, seconds: 0, status, trend: 0 }], topicPartitions: new Map([['t', 1]]), held: false, stillSeconds: 0, brokerSeconds: 1 };
  expect(consumerStanding([reading])).toMatchObject({ level, says: expect.stringMatching(says) as string });
});
