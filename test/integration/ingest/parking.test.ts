import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { InventoryChanged } from '../../../src/contract/index.ts';
import { discardParkedEvents, listParkedUsers, MARKETPLACE_RECORDS, rehearseParkedUser, retryParkedUser, type ParkingDeps } from '../../../src/ingest/index.ts';
import { businessHash } from '../../../src/operations/verify/index.ts';
import { Decoder } from '../../../src/records/index.ts';
import { change, history, randomUuid } from '../../support/events.ts';
import { raising, WELL } from '../../support/faults.sql.ts';
import { chainOf, createIngestWorld, itemOf, type IngestWorld, type RunningIngest } from '../../support/ingest.ts';
import { seed } from '../../support/seed.ts';
import { until } from '../../support/wait.ts';

/** Protects P1 and P4: an event the database refuses parks its user, in order, and everyone else flows. */
const BAD = 'refuse me';
let world: IngestWorld;
let worker: RunningIngest;

beforeAll(async () => {
  world = await createIngestWorld();
  worker = await world.start();
});
afterEach(() => world.pool.query(WELL));
afterAll(() => world.close());

/** The database refuses every event whose source says so. */
const refuse = (): Promise<unknown> => world.pool.query(raising('stock_ledger', { errcode: 'P0001', message: 'refused by the test', when: `NEW.cause = '${BAD}'` }));
const bad = (event: InventoryChanged): InventoryChanged => ({ ...event, source: BAD });
const ids = (events: readonly InventoryChanged[]): string[] => events.map((event) => event.event_id);
const parkedOf = async (user: string) => (await listParkedUsers(world.parking.postgres)).find(({ userId }) => userId === user);
const waiting = async (user: string): Promise<string[]> => (await world.rows<{ event_id: string }>('SELECT event_id FROM parked_events WHERE user_id = $1 ORDER BY id', user)).map((row) => row.event_id);

/** A user whose third of five events is refused; sent together with others, and applied as far as it goes. */
async function parkOne(): Promise<{ user: string; item: string; events: InventoryChanged[] }> {
  await refuse();
  const [user, item] = [randomUuid(), randomUuid()];
  const events = history(user, item, ['SET', 10], ['ADJUST', 1], ['ADJUST', 20], ['SET', 5], ['ADJUST', 3]);
  events[2] = bad(events[2]!);
  await world.sendEvents(...events);
  await world.processed();
  return { user, item, events };
}

describe('an event the database refuses', () => {
  test.each([0, 3, 9])('is found wherever it stands in its chunk (%i of 10): its user is parked, everyone else flows', async (at) => {
    await refuse();
    const others = Array.from({ length: 10 }, () => change());
    const parked = bad(change());
    const records = others.map((event) => world.record(event, { partition: 4 }));
    records.splice(at, 0, world.record(parked, { partition: 4 }));
    const before = worker.signals.chunks.length;
    await world.send(...records);
    await world.processed();
    expect(worker.signals.chunks.slice(before).flatMap(({ outcomes }) => outcomes)).toEqual(records.map((_, index) => (index === at ? 'parked' : 'ok')));
    expect(await parkedOf(parked.user_id)).toMatchObject({ reason: 'data', error: 'refused by the test', attempts: 0, events: 1 });
    expect(await itemOf(world.pool, parked.user_id, parked.item_id)).toBeUndefined();
    const [there] = await world.rows<{ n: number }>('SELECT count(*)::int AS n FROM inventory_items WHERE user_id = ANY($1)', others.map((event) => event.user_id));
    expect(there?.n).toBe(10);
  });

  test('what its user sends later waits behind it, byte for byte, also when it would succeed', async () => {
    const { user, item, events } = await parkOne();
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 11 });
    const later = history(user, randomUuid(), ['SET', 1]);
    const [sent] = await world.send(world.record(later[0]!, { headers: { traceparent: 'abc' }, timestamp: '1700000000123' }));
    await world.processed();
    expect(await waiting(user)).toEqual(ids([...events.slice(2), ...later]));
    const [row] = await world.rows<{ offset: string; record_value: Buffer; record_headers: unknown; at: string }>('SELECT "offset", record_value, record_headers, extract(epoch FROM record_timestamp) * 1000 AS at FROM parked_events WHERE event_id = $1', later[0]!.event_id);
    expect(row).toMatchObject({ offset: String(sent?.offset), record_value: world.record(later[0]!).value, record_headers: [['traceparent', Buffer.from('abc').toString('base64')]] });
    expect(Number(row?.at)).toBe(1_700_000_000_123);
  });

  test('delivered again it is not appended twice', async () => {
    const { user, events } = await parkOne();
    const before = worker.signals.chunks.length;
    await world.sendEvents(...events, ...events);
    await world.processed();
    expect(worker.signals.chunks.slice(before).flatMap(({ outcomes }) => outcomes)).toEqual(Array(10).fill('duplicate'));
    expect(await waiting(user)).toEqual(ids(events.slice(2)));
  });

  test('with more users parked than may be, the fault is ours: the process stops, nothing more is parked', async () => {
    const own = await createIngestWorld();
    try {
      await own.pool.query(raising('stock_ledger', { errcode: 'P0001', message: 'refused by the test' }));
      const { signals } = await own.start({ config: { maxParkedUsers: 3 } });
      await own.send(...Array.from({ length: 8 }, () => own.record(change(), { partition: 0 })));
      const fatal = await until('the process wants to end', () => signals.fatal[0]);
      expect(fatal).toMatchObject({ code: 'BRX_TOO_MANY_PARKED', retryable: false });
      expect(await own.rows('SELECT FROM parked_users')).toHaveLength(3);
      expect((await own.topics.committed()).get(0) ?? 0).toBe(0);
    } finally {
      await own.close();
    }
  });
});

test('what is discarded and cannot be read any more is kept as a dead letter, like what can', async () => {
  const { user, events } = await parkOne();
  // As an older version, or a registry that has lost the schema.
  const decoder = new Decoder({ prepare: () => Promise.resolve(), reader: () => undefined }, MARKETPLACE_RECORDS);
  expect(await discardParkedEvents({ ...world.parking, decoder }, user, { reason: 'hopeless', all: true })).toEqual({ discarded: 3, remaining: 0 });
  const letters = await world.rows<{ reason: string; state: string; detail: string; record_value: Buffer }>('SELECT reason, state, detail, record_value FROM dead_letters WHERE detail = $1 ORDER BY "offset"', 'hopeless');
  expect(letters).toEqual(events.slice(2).map((event) => ({ reason: 'discarded', state: 'discarded', detail: 'hopeless', record_value: world.record(event).value })));
});

describe('retry', () => {
  test('applies everything that waits, in order, and lets the user flow again', async () => {
    const { user, item, events } = await parkOne();
    await world.pool.query(WELL);
    expect(await retryParkedUser(world.parking, user)).toEqual({ applied: 3, remaining: 0 });
    expect(await parkedOf(user)).toBeUndefined();
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 8 });
    expect(await chainOf(world.pool, user, item)).toEqual(ids(events));
    await world.sendEvents(...history(user, item, ['ADJUST', 1]));
    await world.processed();
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 9 });
  });

  test('rehearsed tells what would come of each event, up to the one that is refused, and changes nothing', async () => {
    const { user, events } = await parkOne();
    await world.pool.query(raising('stock_ledger', { errcode: 'P0001', message: 'refused for another reason', when: `NEW.event_id = '${events[3]!.event_id}'` }));
    const before = await businessHash(world.pool);
    const { events: told } = await rehearseParkedUser(world.parking, user);
    expect(told.map(({ eventId, outcome, error }) => [eventId, outcome, error])).toEqual([[events[2]!.event_id, 'ok', null], [events[3]!.event_id, null, 'refused for another reason'], [events[4]!.event_id, null, null]]);
    await world.pool.query(WELL);
    expect((await rehearseParkedUser(world.parking, user)).events.map(({ outcome }) => outcome)).toEqual(['ok', 'ok', 'ok']);
    expect(await businessHash(world.pool)).toBe(before);
    expect(await retryParkedUser(world.parking, user, { who: 'test', reason: 'cause gone' })).toEqual({ applied: 3, remaining: 0 });
    expect(await world.rows('SELECT who, action, reason FROM operator_actions WHERE target = $1', `parked_user/${user}`)).toEqual([{ who: 'test', action: 'parked.retry', reason: 'cause gone' }]);
  });

  test('while it is still refused counts the attempt and says why; what came before it is applied and stays so', async () => {
    const { user, item, events } = await parkOne();
    await world.pool.query(raising('stock_ledger', { errcode: 'P0001', message: 'refused for another reason', when: `NEW.event_id = '${events[4]!.event_id}'` }));
    expect(await retryParkedUser(world.parking, user)).toEqual({ applied: 2, remaining: 1, error: 'refused for another reason' });
    expect(await retryParkedUser(world.parking, user)).toEqual({ applied: 0, remaining: 1, error: 'refused for another reason' });
    expect(await parkedOf(user)).toMatchObject({ attempts: 2, error: 'refused for another reason', events: 1 });
    expect((await parkedOf(user))?.lastAttemptAt).toBeInstanceOf(Date);
    expect(await chainOf(world.pool, user, item)).toEqual(ids(events.slice(0, 4)));
  });

  test('events that arrive meanwhile keep their order: the user is released only when nothing waits', async () => {
    const { user, item, events } = await parkOne();
    await world.pool.query(WELL);
    // Someone else holds the user’s waiting rows, so that the retry stands still in the middle, with the lane in its hands.
    const other = await world.pool.connect();
    await other.query('BEGIN');
    await other.query('SELECT FROM parked_events WHERE user_id = $1 FOR UPDATE', [user]);
    const retry = retryParkedUser(world.parking, user);
    await until('the retry waits for the rows', async () => (await world.rows("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'DELETE FROM parked_events%'")).length === 1);
    const late = history(user, item, ['ADJUST', 100], ['ADJUST', 200]);
    await world.sendEvents(...late);
    await until('the late events wait for the lane', async () => (await world.rows("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'")).length === 1);
    await other.query('COMMIT');
    other.release();
    await retry;
    await world.processed();
    if ((await parkedOf(user)) !== undefined) await retryParkedUser(world.parking, user);
    expect(await chainOf(world.pool, user, item)).toEqual(ids([...events, ...late]));
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 308 });
  });

  test('of somebody who is not parked is refused', async () => {
    await expect(retryParkedUser(world.parking, randomUuid())).rejects.toMatchObject({ code: 'BRX_REFUSED' });
  });

  test('two operators at once: nothing is applied twice', async () => {
    const { user, item, events } = await parkOne();
    await world.pool.query(WELL);
    const results = await Promise.allSettled([retryParkedUser(world.parking, user), retryParkedUser(world.parking, user)]);
    expect(results.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'BRX_REFUSED' });
    expect(await parkedOf(user)).toBeUndefined();
    expect(await chainOf(world.pool, user, item)).toEqual(ids(events));
  });

  test.each([
    ['retry', (deps: ParkingDeps, user: string) => retryParkedUser(deps, user)],
    ['discard of all', (deps: ParkingDeps, user: string) => discardParkedEvents(deps, user, { reason: 'x', all: true })],
  ])('of a user whom another operator releases just now is done: nothing is left (%s)', async (_, act) => {
    const { user, item, events } = await parkOne();
    await world.pool.query(WELL);
    // Ours has seen that the user is parked, and reads what waits only when the other one is done.
    const { postgres } = world.parking;
    let others: Promise<unknown> | undefined;
    const slowly = async (sql: string, ...values: unknown[]): Promise<unknown> => {
      if (sql.includes('FROM parked_events WHERE user_id')) await (others ??= retryParkedUser(world.parking, user));
      return postgres.prisma.$queryRawUnsafe(sql, ...values);
    };
    const prisma = { $queryRawUnsafe: slowly, $transaction: postgres.prisma.$transaction.bind(postgres.prisma) } as unknown as typeof postgres.prisma;
    expect(await act({ ...world.parking, postgres: { ...postgres, prisma } }, user)).toMatchObject({ remaining: 0 });
    expect(await parkedOf(user)).toBeUndefined();
    expect(await chainOf(world.pool, user, item)).toEqual(ids(events));
  });
});

describe('discard', () => {
  test('of the first gives up on that one; the others still wait for a retry', async () => {
    const { user, item, events } = await parkOne();
    expect(await discardParkedEvents(world.parking, user, { reason: 'known to be wrong', all: false })).toEqual({ discarded: 1, remaining: 2 });
    expect(await waiting(user)).toEqual(ids(events.slice(3)));
    expect(await world.rows('SELECT reason, detail, user_id FROM dead_letters WHERE event_id = $1', events[2]!.event_id)).toEqual([{ reason: 'discarded', detail: 'known to be wrong', user_id: user }]);
    expect(await world.rows('SELECT outcome, cause, delta FROM stock_ledger WHERE event_id = $1', events[2]!.event_id)).toEqual([{ outcome: 'd', cause: 'discarded', delta: 0 }]);
    await world.pool.query(WELL);
    expect(await retryParkedUser(world.parking, user)).toEqual({ applied: 2, remaining: 0 });
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 8 });
    expect(await chainOf(world.pool, user, item)).toEqual(ids(events));
  });

  test('of all lets the user flow again, and a replay of them brings none back', async () => {
    const { user, item, events } = await parkOne();
    expect(await discardParkedEvents(world.parking, user, { reason: 'start over', all: true })).toEqual({ discarded: 3, remaining: 0 });
    await world.pool.query(WELL);
    const hash = await businessHash(world.pool);
    const before = worker.signals.chunks.length;
    await world.sendEvents(...events);
    await world.processed();
    expect(worker.signals.chunks.slice(before).flatMap(({ outcomes }) => outcomes)).toEqual(Array(5).fill('duplicate'));
    expect(await businessHash(world.pool)).toBe(hash);
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 11 });
  });

  test('of a user who has no item yet creates none', async () => {
    await refuse();
    const event = bad(change());
    await world.sendEvents(event);
    await world.processed();
    expect(await discardParkedEvents(world.parking, event.user_id, { reason: 'x', all: false })).toEqual({ discarded: 1, remaining: 0 });
    expect(await itemOf(world.pool, event.user_id, event.item_id)).toBeUndefined();
    expect(await world.rows('SELECT cause FROM stock_ledger WHERE event_id = $1', event.event_id)).toEqual([{ cause: 'discarded' }]);
  });
});

test(`whoever is refused and wherever, each user’s events take effect in their order (seed ${seed})`, { timeout: 120_000 }, async () => {
  const user = fc.constantFrom(0, 1, 2, 3, 4);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ user, refused: fc.boolean() }), { minLength: 1, maxLength: 40 }), async (steps) => {
      await refuse();
      const users = Array.from({ length: 5 }, () => ({ user: randomUuid(), item: randomUuid() }));
      const events = steps.map((step) => {
        const event = change({ user_id: users[step.user]!.user, item_id: users[step.user]!.item, kind: 'ADJUST', quantity: 1 });
        return step.refused ? bad(event) : event;
      });
      await world.send(...events.map((event) => world.record(event, { partition: 7 })));
      await world.processed();
      for (const { user: id, item } of users) {
        const own = events.filter((event) => event.user_id === id);
        const first = own.findIndex((event) => event.source === BAD);
        const applied = first === -1 ? own : own.slice(0, first);
        expect(await chainOf(world.pool, id, item)).toEqual(ids(applied));
        expect(await waiting(id)).toEqual(ids(own.slice(applied.length)));
      }
      await world.pool.query(WELL);
      for (const { user: id, item } of users) {
        if ((await parkedOf(id)) !== undefined) await retryParkedUser(world.parking, id);
        expect(await chainOf(world.pool, id, item)).toEqual(ids(events.filter((event) => event.user_id === id)));
      }
    }),
    { seed, numRuns: 12 },
  );
});
