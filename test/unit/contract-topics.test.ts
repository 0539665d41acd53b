import { describe, expect, test } from 'vitest';
import { ALL_TOPICS, RECORD_NAMES, topicName, TOPICS } from '../../src/contract/index.ts';
import type { TopicState } from '../../src/platform/kafka/index.ts';
import { applyTopics } from '../../src/operations/topics/index.ts';
import { days, examine } from '../../src/operations/topics/plan.ts';

const declared = TOPICS.marketplaceEvents;
const asDeclared: TopicState = { partitions: 12, replicas: 1, retentionMs: declared.retentionMs, cleanupPolicy: 'delete' };

describe('the registry of topics', () => {
  test('every record has exactly one topic, and every topic a dead-letter twin with as many partitions', () => {
    expect(Object.values(TOPICS).flatMap(({ records }) => [...records]).toSorted()).toEqual(RECORD_NAMES.toSorted());
    for (const source of Object.values(TOPICS)) {
      const twin = ALL_TOPICS.find(({ name }) => name === `${source.name}.dlq`);
      expect(twin).toMatchObject({ partitions: source.partitions, cleanupPolicy: 'delete' });
      expect(twin?.retentionMs).toBeGreaterThan(source.retentionMs);
    }
  });

  test('nothing is kept as long as the default deduplication horizon of 30 days', () => {
    for (const { retentionMs } of ALL_TOPICS) expect(retentionMs).toBeLessThan(30 * 86_400_000);
  });

  test('an environment puts its prefix before the name', () => {
    expect(topicName('staging.', declared)).toBe('staging.brx.marketplace-events');
  });
});

describe('a topic against its declaration', () => {
  test.each<[string, Partial<TopicState>, string, RegExp | undefined]>([
    ['the same', {}, 'as declared', undefined],
    ['fewer partitions', { partitions: 6 }, 'refuse', /has 6 partitions, 12 are declared: growing .* order would be lost.*lag/],
    ['more partitions', { partitions: 24 }, 'refuse', /has 24 partitions, 12 are declared: .*lose every event that is not read yet/],
    ['compacted', { cleanupPolicy: 'compact' }, 'refuse', /cleanup policy compact, delete is declared: compaction keeps only the newest event/],
    ['compacted and deleted', { cleanupPolicy: 'compact,delete' }, 'refuse', /compaction keeps only/],
    ['kept longer', { retentionMs: 86_400_000 * 14 }, 'differs', /keeps 14 days, 7 days are declared: .*--add-config retention\.ms=604800000/],
    ['kept for ever', { retentionMs: -1 }, 'differs', /keeps for ever/],
  ])('%s', (_what, change, verdict, remark) => {
    const finding = examine('p.brx.marketplace-events', declared, { ...asDeclared, ...change });
    expect(finding.verdict).toBe(verdict);
    if (remark === undefined) expect(finding.remarks).toEqual([]);
    else expect(finding.remarks.join('\n')).toMatch(remark);
  });

  test('both faults are said at once', () => {
    expect(examine('t', declared, { ...asDeclared, partitions: 1, cleanupPolicy: 'compact' }).remarks).toHaveLength(2);
  });

  test('retention in words', () => {
    expect([days(86_400_000), days(7 * 86_400_000), days(3_600_000), days(-1)]).toEqual(['1 day', '7 days', '0.04 days', 'for ever']);
  });
});

test('one unusable topic and none is created', async () => {
  const created: string[] = [];
  const admin = {
    describe: () => Promise.resolve(new Map([['x.brx.saga-events', { ...asDeclared, partitions: 3 }]])),
    create: ({ name }: { name: string }) => (created.push(name), Promise.resolve(true)),
  };
  await expect(applyTopics(admin, { prefix: 'x.', dryRun: false })).rejects.toMatchObject({ code: 'BRX_REFUSED', message: expect.stringContaining('x.brx.saga-events has 3 partitions') as string });
  expect(created).toEqual([]);
});
