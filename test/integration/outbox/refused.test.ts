import { ConfigResourceTypes } from 'kafkajs';
import { describe, expect, test } from 'vitest';
import { enqueue, listBlocked, readOutboxStats, RELAY_SHARDS, retryBlocked, shardOf, skipBlocked } from '../../../src/outbox/index.ts';
import { partitionOf } from '../../../src/contract/index.ts';
import { inTransaction } from '../../../src/platform/postgres/index.ts';
import { randomUuid } from '../../support/events.ts';
import { createOutboxWorld, type OutboxWorld } from '../../support/outbox.ts';
import { readAll } from '../../support/topic.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects R6 and P4: a row that Kafka refuses for good holds up its user, in order, and nobody else; it is visible; an operator
 * has it tried again or gives it up, and what was done is written down.
 */
const SMALL = { 'max.message.bytes': '20000' };
const TOO_LARGE = 30_000;
const BY = { who: 'ada', reason: 'the limit was raised' };

/** Resolves once the broker goes by it: an answered change is on its way only, and a row that is retried before it arrives is refused again. */
async function raiseLimit(world: OutboxWorld): Promise<void> {
  const resource = { type: ConfigResourceTypes.TOPIC, name: world.topic('small') };
  await world.admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries: [{ name: 'max.message.bytes', value: '900000' }] }] });
  await until('the broker has the new limit', async () => {
    const { resources } = await world.admin.describeConfigs({ includeSynonyms: false, resources: [{ ...resource, configNames: ['max.message.bytes'] }] });
    return resources[0]?.configEntries[0]?.configValue === '900000';
  });
}

const blocked = (world: OutboxWorld) => listBlocked(world.postgres);
const actions = async (world: OutboxWorld) => (await world.pool.query<Record<string, unknown>>('SELECT who, action, target, reason, detail FROM operator_actions ORDER BY id')).rows;

/** Users of one partition, so that a refused batch concerns all of them, and users of others. */
function neighbours(count: number): string[] {
  const found: string[] = [];
  while (found.length < count) {
    const user = randomUuid();
    if (partitionOf(user, 12) === 4) found.push(user);
  }
  return found;
}

describe('a row that Kafka refuses for good', () => {
  test('holds up its user, in order, and nobody else; it is seen, and a retry after the cause is gone publishes everything', async (context) => {
    const world = await createOutboxWorld(context, { topics: { small: SMALL } });
    const [victim, ...others] = [...neighbours(5), ...Array.from({ length: 10 }, randomUuid)] as [string, ...string[]];
    await world.write([victim, ...others]);
    await world.write([victim], { bytes: TOO_LARGE });
    await world.write([victim, ...others]);
    const relay = await world.startRelay();
    await world.drained(2);
    await world.write([victim, ...others]); // also what comes later
    await world.drained(3);
    expect(relay.blocked).toMatchObject([{ topic: world.topic('small'), userId: victim }]);
    const waits = (user: string, number: number): boolean => user === victim && number > 1;
    await world.checkTopics(waits);

    expect(await blocked(world)).toMatchObject([{ topic: world.topic('small'), userId: victim, bytes: TOO_LARGE + 2, waiting: 2, attempts: 1, error: expect.stringContaining('Kafka refuses the record') as string }]);
    const [{ id } = { id: 0n }] = await blocked(world);
    const stats = await readOutboxStats(world.postgres.prisma, RELAY_SHARDS);
    expect(stats).toEqual({ pending: new Map([[world.topic('small'), 3]]), oldestSeconds: 0, blockedRows: 1, blockedUsers: 1 });

    // Too early: refused and blocked again, and counted.
    await retryBlocked(world.postgres, id, { ...BY, reason: 'too early' });
    await until('it is refused again', async () => relay.blocked.length === 2 && (await blocked(world)).length === 1);
    expect(await blocked(world)).toMatchObject([{ id, attempts: 2, waiting: 2 }]);

    await raiseLimit(world);
    await retryBlocked(world.postgres, id, BY);
    await world.drained();
    await world.checkTopics();
    expect(await blocked(world)).toEqual([]);
    expect(await actions(world)).toMatchObject([
      { who: 'ada', action: 'outbox.retry', target: String(id), reason: 'too early', detail: { userId: victim, attempts: 1, waiting: 2 } },
      { who: 'ada', action: 'outbox.retry', target: String(id), reason: BY.reason, detail: { userId: victim, attempts: 2, bytes: TOO_LARGE + 2 } },
    ]);
  });

  test('is given up by skip: never published, and what waits behind it flows', async (context) => {
    const world = await createOutboxWorld(context, { topics: { small: SMALL } });
    const [victim] = neighbours(1) as [string];
    await world.write([victim], { bytes: TOO_LARGE });
    await world.write([victim]);
    await world.write([victim], { bytes: TOO_LARGE });
    await world.write([victim]);
    await world.startRelay();
    await until('the first is refused', async () => (await blocked(world)).length === 1);
    const first = (await blocked(world))[0]?.id ?? 0n;
    expect(await skipBlocked(world.postgres, first, BY)).toMatchObject({ waiting: 3 });
    await until('the second is refused', async () => (await blocked(world)).some(({ id }) => id !== first));
    const second = (await blocked(world))[0]?.id ?? 0n;
    await skipBlocked(world.postgres, second, BY);
    await world.drained();
    await world.checkTopics((_user, number) => number === 1 || number === 3);
    expect(await actions(world)).toMatchObject([{ action: 'outbox.skip', target: String(first), detail: { waiting: 3 } }, { action: 'outbox.skip', target: String(second), detail: { waiting: 1 } }]);
    for (const verb of [retryBlocked, skipBlocked]) await expect(verb(world.postgres, first, BY)).rejects.toMatchObject({ code: 'BRX_REFUSED', message: `outbox row ${first} is not blocked` });
    expect(await actions(world)).toHaveLength(2);
  });

  test('and several of several users in one request are all found at once', async (context) => {
    const world = await createOutboxWorld(context, { topics: { small: SMALL } });
    const [a, b, c, ...others] = [...neighbours(4), ...Array.from({ length: 20 }, randomUuid)] as [string, string, string, ...string[]];
    await world.write([a, b, c, ...others]);
    for (const victim of [b, a, c]) await world.write([victim], { bytes: TOO_LARGE });
    await world.write([a, b, c, ...others]);
    await world.write([a], { bytes: TOO_LARGE });
    const relay = await world.startRelay();
    await world.drained(7);
    await until('all three are blocked', async () => (await blocked(world)).length === 3);
    expect(new Set(relay.blocked.map(({ userId }) => userId))).toEqual(new Set([a, b, c]));
    expect(relay.blocked).toHaveLength(3);
    await world.checkTopics((user, number) => [a, b, c].includes(user) && number > 1);
    await raiseLimit(world);
    for (const { id } of await blocked(world)) await retryBlocked(world.postgres, id, BY);
    await world.drained();
    await world.checkTopics();
  });

  test('without a user blocks nobody: a dead letter that does not fit', async (context) => {
    const world = await createOutboxWorld(context, { topics: { small: SMALL } });
    const [user] = neighbours(1) as [string];
    await world.write([user]);
    const partition = partitionOf(user, 12);
    const dead = (bytes: number) => ({ topic: world.topic('small'), shard: shardOf(user), userId: null, eventId: null, key: Buffer.from(user), value: Buffer.alloc(bytes), partition });
    await inTransaction(world.postgres, (tx) => enqueue(tx, [dead(TOO_LARGE), dead(10), dead(TOO_LARGE), dead(10)]));
    await world.write([user]);
    await world.startRelay();
    await world.drained(2);
    await until('both are refused', async () => (await blocked(world)).length === 2);
    expect(await blocked(world)).toMatchObject([{ userId: null, waiting: 0 }, { userId: null, waiting: 0 }]);
    const records = await readAll(world.kafka, world.admin, world.topic('small'), `${world.topic('small')}-reader`);
    expect(records.filter(({ value }) => value?.length === 10).length).toBeGreaterThanOrEqual(2);
    expect([...new Set(records.filter(({ value }) => (value?.length ?? 0) < 10).map(({ value }) => value?.toString()))]).toEqual(['1 ', '2 ']);
  });

  test('or is for a partition that its topic does not have: seen instead of lost', async (context) => {
    const world = await createOutboxWorld(context);
    const dead = { topic: world.topic('one'), shard: 3, userId: null, eventId: null, key: null, value: Buffer.from('dead'), partition: 12 };
    await inTransaction(world.postgres, (tx) => enqueue(tx, [dead]));
    await world.startRelay();
    await until('it is refused', async () => (await blocked(world)).length === 1);
    expect((await blocked(world))[0]?.error).toContain('has 12 partitions, and no partition 12');
    await world.admin.createPartitions({ topicPartitions: [{ topic: world.topic('one'), count: 13 }] });
    await retryBlocked(world.postgres, (await blocked(world))[0]?.id ?? 0n, BY);
    await world.drained();
    expect(await readAll(world.kafka, world.admin, world.topic('one'), `${world.topic('one')}-reader`)).toMatchObject([{ partition: 12 }]);
  });
});

test('a topic that takes small batches only is learnt: after the first request nothing is sent twice for it', async (context) => {
  const world = await createOutboxWorld(context, { topics: { small: SMALL } });
  // Too many for one batch of their partition, and somebody whose partition is not concerned: those are the copies.
  const many = [...neighbours(1).flatMap((user) => Array.from({ length: 40 }, () => user)), ...Array.from({ length: 12 }, randomUuid)];
  const relay = await world.startRelay();
  await world.write(many, { bytes: 2_000 });
  await world.drained();
  const copies = await world.checkTopics();
  expect(copies).toBeGreaterThan(0);
  // At once, so that the last of one round and the first of the next may share a request.
  await world.write([...many, ...many, ...many], { bytes: 2_000 });
  await world.drained();
  expect(await world.checkTopics()).toBe(copies);
  expect(relay.blocked).toEqual([]);
});

test('a row that somebody deletes by hand is still shown while it blocks its user, and a retry frees the user', async (context) => {
  const world = await createOutboxWorld(context, { topics: { small: SMALL } });
  const [victim] = neighbours(1) as [string];
  await world.write([victim], { bytes: TOO_LARGE });
  await world.write([victim]);
  await world.startRelay();
  await until('it is refused', async () => (await blocked(world)).length === 1);
  const [{ id } = { id: 0n }] = await blocked(world);
  await world.pool.query('DELETE FROM outbox WHERE id = $1', [id]);
  expect(await blocked(world)).toMatchObject([{ id, topic: null, bytes: null, waiting: 1 }]);
  await retryBlocked(world.postgres, id, BY);
  await world.drained();
  await world.checkTopics((_user, number) => number === 1);
});

test('a topic that is missing holds everything, says so with its remedy, and once it is there everything flows', async (context) => {
  const world = await createOutboxWorld(context);
  const among = Array.from({ length: 5 }, randomUuid);
  await world.write(among);
  await world.write(among, { topic: world.topic('missing') });
  await world.write(among);
  const relay = await world.startRelay();
  await until('it says what is missing', () => relay.waiting.some((text) => text.includes(world.topic('missing')) && text.includes('brx-sync topics apply')), { timeoutMs: 40_000, state: () => relay.waiting.join('\n') });
  expect(await blocked(world)).toEqual([]);
  await world.admin.createTopics({ topics: [{ topic: world.topic('missing'), numPartitions: 12 }] });
  context.onTestFinished(() => world.admin.deleteTopics({ topics: [world.topic('missing')] }));
  await world.drained();
  await world.checkTopics();
});
