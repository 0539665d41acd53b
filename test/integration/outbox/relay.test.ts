import { describe, expect, test } from 'vitest';
import { RELAY_SHARDS } from '../../../src/outbox/index.ts';
import { systemClock, type Clock } from '../../../src/platform/clock.ts';
import type { Transaction } from '../../../src/platform/postgres/index.ts';
import { randomUuid } from '../../support/events.ts';
import { createOutboxWorld, type OutboxWorld, type RunningRelay } from '../../support/outbox.ts';
import { readAll } from '../../support/topic.ts';
import { until } from '../../support/wait.ts';

/** Protects: what is committed is published, once on a normal run, each user's in order, whichever relays come and go; what rolls back never is. */
const sleepIn = (tx: Transaction, ms: number): Promise<unknown> => tx.$executeRawUnsafe(`SELECT pg_sleep(${ms / 1_000})`);
const users = (count: number): string[] => Array.from({ length: count }, randomUuid);
const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)]!;

class Rollback extends Error {}

/** Writers at once, of few users: a third of the commits late, a few very late, a tenth rolled back, some of several users. Until `enough`. */
async function writers(world: OutboxWorld, given: { writers: number; among: readonly string[]; enough: () => boolean }): Promise<void> {
  const write = async (): Promise<void> => {
    while (!given.enough()) {
      const chance = Math.random();
      const who = Array.from({ length: chance < 0.2 ? 5 : 1 }, () => pick(given.among));
      const meanwhile = async (tx: Transaction): Promise<void> => {
        if (chance < 0.005) await sleepIn(tx, 800); // longer than a floor takes to move
        else if (chance < 0.3) await sleepIn(tx, 15 * Math.random());
        if (chance > 0.9) throw new Rollback();
      };
      await world.write(who, {}, meanwhile).catch((error: unknown) => {
        if (!(error instanceof Rollback)) throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: given.writers }, write));
}

const owned = (relays: readonly RunningRelay[]): number[] => relays.flatMap(({ owns }) => owns).toSorted((a, b) => a - b);
const SHARDS = Array.from({ length: RELAY_SHARDS }, (_, shard) => shard);

/** Resolves once every shard has one of these for its owner, and nobody has more than a fair share. */
async function shared(...relays: RunningRelay[]): Promise<void> {
  const fair = (): boolean => relays.every(({ owns }) => owns.length === Math.floor(RELAY_SHARDS / relays.length) || owns.length === Math.ceil(RELAY_SHARDS / relays.length));
  await until('fair shares', () => owned(relays).join() === SHARDS.join() && fair(), { state: () => JSON.stringify(relays.map(({ owns }) => owns)) });
}

describe('on a normal run', () => {
  test('everything is published once, in the order of its user, by 1, 2 and 3 relays that come and go', async (context) => {
    const world = await createOutboxWorld(context);
    let ended = false;
    const writing = writers(world, { writers: 12, among: users(40), enough: () => ended });
    const first = await world.startRelay();
    await shared(first);
    const second = await world.startRelay();
    await shared(first, second);
    const third = await world.startRelay();
    await shared(first, second, third);
    await first.stop();
    await shared(second, third);
    const fourth = await world.startRelay();
    await second.stop();
    await third.stop();
    await shared(fourth);
    ended = true;
    await writing;
    await world.drained();
    expect(await world.checkTopics()).toBe(0);
    expect([first, second, third, fourth].every(({ published }) => published > 0)).toBe(true);
  });

  test('with five relays nobody has more than one shard more than another, and what is stopped is taken over', async (context) => {
    const world = await createOutboxWorld(context);
    const relays = await Promise.all(Array.from({ length: 5 }, () => world.startRelay()));
    await shared(...relays);
    await relays[0]?.stop();
    await relays[3]?.stop();
    await shared(...relays.filter((_, index) => index !== 0 && index !== 3));
  });

  test('a backlog of 100,000 rows drains, each row once, and new rows of everybody go in between', async (context) => {
    const world = await createOutboxWorld(context);
    await world.backlog(100_000, 500);
    const late = users(20);
    await world.startRelay();
    await world.write(late);
    await world.drained(0, 55_000);
    expect(await world.checkTopics()).toBe(0);
  });

  test('rows of 900 KB go one by one', async (context) => {
    const world = await createOutboxWorld(context);
    const among = users(3);
    for (let round = 0; round < 8; round += 1) {
      await world.write(among, { bytes: 900_000 });
      await world.write(among);
    }
    await world.startRelay();
    await world.drained();
    expect(await world.checkTopics()).toBe(0);
  });
});

test('a row is not published before its time, and what comes later of its user does not wait for it', async (context) => {
  const world = await createOutboxWorld(context);
  const [user] = users(1) as [string];
  const due = Date.now() + 1_500;
  await world.write([user], { availableAt: due });
  await world.write([user]);
  await world.startRelay();
  await world.drained();
  const records = await readAll(world.kafka, world.admin, world.topic('one'), `${world.topic('one')}-reader`);
  expect(records.map(({ value }) => value?.toString().trim())).toEqual(['2', '1']);
  expect(Number(records[1]?.timestamp)).toBeGreaterThanOrEqual(due);
  expect(Number(records[0]?.timestamp)).toBeLessThan(due);
});

describe('a new row', () => {
  test('is published at once when the relay is told, though its next look is far away', async (context) => {
    const world = await createOutboxWorld(context);
    // Its sleeps end by being aborted only, so that it never looks by itself.
    const sleepless: Clock = { ...systemClock, sleep: (_ms, signal) => new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new Error('woken')), { once: true })) };
    const relay = await world.startRelay({ clock: sleepless });
    await until('it is idle', () => relay.owns.length === RELAY_SHARDS);
    for (let round = 1; round <= 5; round += 1) {
      await world.write(users(2));
      relay.wake();
      await until('it is published', () => relay.published === 2 * round, { timeoutMs: 5_000 });
    }
    await relay.stop();
  });

  test('is found at the next look when nobody tells', async (context) => {
    const world = await createOutboxWorld(context);
    const relay = await world.startRelay();
    await until('it is idle', () => relay.owns.length === RELAY_SHARDS);
    await world.write(users(2));
    await until('it is published', () => relay.published === 2, { timeoutMs: 5_000 });
  });
});

describe('a relay whose session is ended by the server', () => {
  test('opens another one and goes on; nothing is lost, order is kept', async (context) => {
    const world = await createOutboxWorld(context);
    let ended = false;
    const writing = writers(world, { writers: 6, among: users(20), enough: () => ended });
    const relay = await world.startRelay({ name: 'to be ended' });
    for (let times = 1; times <= 3; times += 1) {
      const before = relay.published;
      await until('it works', () => relay.published > before + 50);
      await world.pool.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'to be ended' AND datname = current_database()");
      await until('it notices', () => relay.waiting.length >= times);
    }
    ended = true;
    await writing;
    await world.drained();
    await world.checkTopics();
    expect(relay.fatal).toEqual([]);
  });

  test('loses its shards to the other one meanwhile', async (context) => {
    const world = await createOutboxWorld(context);
    const first = await world.startRelay({ name: 'to be ended' });
    const second = await world.startRelay({ name: 'the other' });
    await shared(first, second);
    await world.pool.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'to be ended' AND datname = current_database()");
    await until('it notices', () => first.waiting.length > 0);
    await shared(first, second);
    await world.write(users(30));
    await world.drained();
    expect(await world.checkTopics()).toBe(0);
  });
});
