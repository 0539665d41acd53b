import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { partitionOf } from '../../../src/contract/index.ts';
import { businessHash } from '../../../src/operations/verify/index.ts';
import { change, history, randomUuid } from '../../support/events.ts';
import { chainOf, createIngestWorld, itemOf, type IngestWorld, type RunningIngest } from '../../support/ingest.ts';
import { checkOracle } from '../../support/oracle-check.ts';
import { workload } from '../../support/system.ts';
import { publishWorkload } from '../../../src/operations/generate/index.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { until } from '../../support/wait.ts';

/** Protects P2: an event takes effect once, however often and wherever it is delivered. */
let world: IngestWorld;
let worker: RunningIngest;

beforeAll(async () => {
  world = await createIngestWorld();
  worker = await world.start();
});
afterAll(() => world.close());

const outcomes = (from: number): string[] => worker.signals.chunks.slice(from).flatMap((chunk) => chunk.outcomes);

describe('an event takes effect once', () => {
  test('twice in one chunk', async () => {
    const [user, item] = [randomUuid(), randomUuid()];
    const [set, add] = history(user, item, ['SET', 5], ['ADJUST', 2]);
    const before = worker.signals.chunks.length;
    await world.sendEvents(set!, add!, add!, set!, add!);
    await world.processed();
    expect(outcomes(before)).toEqual(['ok', 'ok', 'duplicate', 'duplicate', 'duplicate']);
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 7 });
    expect(await chainOf(world.pool, user, item)).toEqual([set!.event_id, add!.event_id]);
  });

  test('in two chunks', async () => {
    const [user, item] = [randomUuid(), randomUuid()];
    const [set, add] = history(user, item, ['SET', 5], ['ADJUST', 2]);
    await world.sendEvents(set!, add!);
    await world.processed();
    const before = worker.signals.chunks.length;
    await world.sendEvents(set!, add!);
    await world.processed();
    expect(outcomes(before)).toEqual(['duplicate', 'duplicate']);
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 7 });
  });

  test('in two partitions at the same time: a producer with another partitioner', async () => {
    const pairs = Array.from({ length: 40 }, () => ({ user: randomUuid(), item: randomUuid() }));
    const events = pairs.flatMap(({ user, item }) => history(user, item, ['ADJUST', 2], ['ADJUST', 3]));
    const misrouted = (partition: number) => events.map((event) => world.record(event, { partition }));
    const before = worker.signals.chunks.length;
    await Promise.all([world.send(...misrouted(1)), world.send(...misrouted(2)), world.send(...misrouted(3))]);
    await world.processed();
    expect(outcomes(before).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([...Array<string>(2 * events.length).fill('duplicate'), ...Array<string>(events.length).fill('ok')]);
    for (const { user, item } of pairs) expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 5 });
    const wrong = events.flatMap((event) => [1, 2, 3].filter((partition) => partitionOf(event.user_id, 12) !== partition)).length;
    expect(worker.signals.chunks.slice(before).reduce((sum, chunk) => sum + chunk.misrouted, 0)).toBe(wrong);
  });

  test('stamped anew and saying something else: the id counts', async () => {
    const event = change({ quantity: 5 });
    const before = worker.signals.chunks.length;
    await world.sendEvents(event);
    await world.processed();
    await world.sendEvents({ ...event, quantity: 9, price_cents: 1, occurred_at: event.occurred_at + 1_000 });
    await world.processed();
    expect(outcomes(before)).toEqual(['ok', 'duplicate']);
    expect(await itemOf(world.pool, event.user_id, event.item_id)).toMatchObject({ on_hand: 5, price_cents: null });
  });

  test('under two users’ names, from two partitions: whoever is first', async () => {
    const ids = Array.from({ length: 30 }, randomUuid);
    const [a, b] = [randomUuid(), randomUuid()];
    const as = (user: string, list: string[]) => list.map((event_id) => change({ event_id, user_id: user, item_id: user, kind: 'ADJUST', quantity: 1 }));
    await Promise.all([world.send(...as(a, ids).map((event) => world.record(event, { partition: 4 }))), world.send(...as(b, ids.toReversed()).map((event) => world.record(event, { partition: 5 })))]);
    await world.processed();
    const [sum] = await world.rows<{ n: number }>('SELECT sum(on_hand)::int AS n FROM inventory_items WHERE user_id IN ($1, $2)', a, b);
    expect(sum).toEqual({ n: ids.length });
  });
});

test('a replay from the beginning changes no row, publishes no dead letter again, and an oracle agrees', { timeout: 90_000 }, async () => {
  await publishWorkload(workload({ events: 6_000, seed: 11 }), { producer: world.topics.producer, topic: world.topics.events, schemaIds: world.topics.schemaIds, clock: systemClock });
  await checkOracle(world.topics, world.pool, { complete: true, waitMs: 30_000 });
  // The last outbox id drawn says whether anything was enqueued, published by now or not.
  const letters = async () => (await world.rows<{ all: number; drawn: string }>('SELECT count(*)::int AS all, (SELECT last_value::text FROM outbox_id_seq) AS drawn FROM dead_letters'))[0];
  await until('every dead letter is published', async () => (await world.rows('SELECT FROM outbox LIMIT 1')).length === 0);
  const there = (await letters())!;
  expect(there.all).toBeGreaterThan(100);
  const onTopic = (await world.topics.readAll(world.topics.deadLetters)).length;
  expect(onTopic).toBe(there.all);
  await worker.stop();
  const hash = await businessHash(world.pool);

  await world.rewind();
  worker = await world.start({ config: { chunkEvents: 333 } }); // cut elsewhere than the first time
  const [all] = await world.rows<{ n: number }>('SELECT count(*)::int AS n FROM stock_ledger');
  await until('everything was read again', () => outcomes(0).length >= (all?.n ?? 0) + there.all && outcomes(0).length > 6_000);
  await checkOracle(world.topics, world.pool, { complete: true, waitMs: 30_000 });

  expect(new Set(outcomes(0))).toEqual(new Set(['duplicate', 'dead'])); // dead: the ones without identity, found by their position
  expect(await businessHash(world.pool)).toBe(hash);
  expect(await letters()).toEqual(there);
  expect((await world.topics.readAll(world.topics.deadLetters)).length).toBe(onTopic);
});
