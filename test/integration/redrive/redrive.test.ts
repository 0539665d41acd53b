import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { InventoryChanged } from '../../../src/contract/index.ts';
import { correct, redrive, redriveOne, type RedriveDeps, type RedriveResult, type RunOptions } from '../../../src/operations/redrive/index.ts';
import { businessHash } from '../../../src/operations/verify/index.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { createCodec, createRegistry, type Registry } from '../../../src/platform/kafka/index.ts';
import { discardDeadLetters, selectDeadLetters, type DeadLetter, type LetterFilter } from '../../../src/records/index.ts';
import { change, randomUuid, uuid7 } from '../../support/events.ts';
import { raising, WELL } from '../../support/faults.sql.ts';
import { createIngestWorld, itemOf, type IngestWorld, type RunningIngest } from '../../support/ingest.ts';
import { stackUrls } from '../../support/stack.ts';

/** Protects: what is sent again takes effect once, is told one by one, and is neither lost nor doubled by whoever interrupts or repeats it. */
const DAY_MS = 86_400_000;
const BY = { who: 'test', reason: 'a test' };
let world: IngestWorld;
let worker: RunningIngest;
let deps: RedriveDeps & { registry: Registry };

beforeAll(async () => {
  world = await createIngestWorld();
  worker = await world.start();
  const registry = createRegistry({ url: stackUrls().registryUrl, username: undefined, password: undefined });
  deps = { postgres: world.parking.postgres, registry, codec: createCodec(registry), clock: systemClock, topicPrefix: world.topics.prefix, horizonMs: 30 * DAY_MS };
});
afterEach(() => world.pool.query(WELL));
afterAll(() => world.close());

const options = (filter: LetterFilter, more: Partial<RunOptions> = {}): RunOptions => ({ filter, limit: 10_000, dryRun: false, anyway: false, waitMs: 30_000, by: BY, signal: new AbortController().signal, onProgress: () => undefined, ...more });
const counts = (results: readonly RedriveResult[]): Record<string, number> => results.reduce<Record<string, number>>((sum, { outcome }) => ({ ...sum, [outcome]: (sum[outcome] ?? 0) + 1 }), {});
const letterOf = async (eventId: string): Promise<DeadLetter> => (await selectDeadLetters(deps.postgres.prisma, { eventId }, { order: 'newest', limit: 1 }))[0]!;

/** Letters of events that this version can read, as if an older one had not been able to; straight into the table, the topic has never seen them. */
async function buried(events: readonly InventoryChanged[], reason = 'unknown_type'): Promise<bigint[]> {
  const [row] = await world.rows<{ from: string }>(`SELECT coalesce(max("offset"), 0) + 1000000 AS "from" FROM dead_letters`);
  const rows = await world.rows<{ id: string }>(
    `INSERT INTO dead_letters (reason, detail, consumer_group, topic, partition, "offset", record_timestamp, record_key, record_value, record_headers)
     SELECT $1, 'a test', $2, $3, 0, $4::bigint + n, now(), convert_to(key, 'UTF8'), decode(value, 'hex'), '[["traceparent", "YWJj"]]' FROM unnest($5::text[], $6::text[]) WITH ORDINALITY AS e (key, value, n) ORDER BY n RETURNING id`,
    reason, world.topics.groupId, world.topics.events, row!.from,
    events.map((event) => event.user_id), events.map((event) => (world.record(event).value as Buffer).toString('hex')),
  );
  return rows.map(({ id }) => BigInt(id));
}

describe('redrive', () => {
  test('of 1,000 of which 10 fail again: 990 take effect once, each of the 10 is told with its reason and is a dead letter of its own', async () => {
    const user = randomUuid();
    const events = Array.from({ length: 1_000 }, (_, n) => (n % 100 === 7 ? change({ user_id: user, kind: 'ADJUST', quantity: -1 }) : change({ user_id: n % 2 === 0 ? user : randomUuid() })));
    const ids = await buried(events);
    const rehearsed = await redrive(deps, options({ ids }, { dryRun: true }));
    expect(counts(rehearsed)).toEqual({ would_send: 1_000 });
    const results = await redrive(deps, options({ ids }));
    expect(counts(results)).toEqual({ ok: 990, dead: 10 });
    for (const { was, detail, deadLetter } of results.filter(({ outcome }) => outcome === 'dead')) {
      expect(was).toBe('unknown_type');
      expect(detail).toMatch(/^would_go_negative: ADJUST by -1/);
      expect(deadLetter).toEqual(expect.any(BigInt));
    }
    const [stock] = await world.rows<{ n: number; total: number }>('SELECT count(*)::int AS n, sum(on_hand)::int AS total FROM inventory_items WHERE item_id = ANY($1)', events.map((event) => event.item_id));
    expect(stock).toEqual({ n: 1_000, total: 990 });

    const again = await world.rows<{ redrive_of: string; record_headers: unknown }>('SELECT redrive_of, record_headers FROM dead_letters WHERE redrive_of = ANY($1)', ids);
    expect(new Set(again.map(({ redrive_of: of }) => BigInt(of)))).toEqual(new Set(results.filter(({ outcome }) => outcome === 'dead').map(({ id }) => id)));
    expect(again[0]!.record_headers).toEqual(expect.arrayContaining([['traceparent', 'YWJj']])); // what it had it keeps
    const [audit] = await world.rows<{ n: number }>(`SELECT count(*)::int AS n FROM operator_actions WHERE action = 'dlq.redrive' AND who = 'test' AND target = ANY($1)`, ids.map((id) => `dead_letter/${id}`));
    expect(audit?.n).toBe(1_000);

    // Once more: none of them is open, and nothing moves.
    const hash = await businessHash(world.pool);
    expect(await redrive(deps, options({ ids }))).toEqual([]);
    expect(await businessHash(world.pool)).toBe(hash);
  });

  test('by two at once sends each once', async () => {
    const ids = await buried(Array.from({ length: 200 }, () => change()));
    const before = worker.signals.published;
    const both = await Promise.all([redrive(deps, options({ ids })), redrive(deps, options({ ids }))]);
    const went = both.flat().filter(({ outcome }) => outcome === 'ok').map(({ id }) => id);
    expect(new Set(went).size).toBe(200);
    expect(went).toHaveLength(200);
    await world.processed();
    expect(worker.signals.published - before).toBe(200);
  });

  test('that is rolled back with its transaction has sent nothing and marked nothing', async () => {
    const ids = await buried([change()]);
    await world.pool.query(raising('operator_actions', { errcode: 'P0001', message: 'no', when: 'true' }));
    await expect(redrive(deps, options({ ids }))).rejects.toThrow();
    const [row] = await world.rows<{ state: string; outbox: number }>('SELECT state, (SELECT count(*)::int FROM outbox) AS outbox FROM dead_letters WHERE id = $1', ids[0]);
    expect(row).toEqual({ state: 'open', outbox: 0 });
  });

  test('keeps to a rate, and stops sending when it is interrupted', async () => {
    const ids = await buried(Array.from({ length: 30 }, () => change()));
    const sleeps: number[] = [];
    const stop = new AbortController();
    const clock = { ...systemClock, monotonic: () => 0, sleep: (ms: number) => { sleeps.push(ms); if (sleeps.length === 2) stop.abort(); return Promise.resolve(); } };
    const results = await redrive({ ...deps, clock }, options({ ids }, { rate: 10, signal: stop.signal }));
    expect(sleeps).toEqual([1_000, 1_000]);
    expect(results).toHaveLength(20);
  });
});

describe('is told before it is sent', () => {
  test('too_old: nothing past the horizon goes out, however much one insists', async () => {
    const old = change({ event_id: uuid7(Date.now() - 31 * DAY_MS), occurred_at: Date.now() });
    const ids = await buried([old], 'too_old');
    const results = await redrive(deps, options({ ids }, { anyway: true }));
    expect(results).toMatchObject([{ outcome: 'too_old', detail: expect.stringContaining('before the horizon') as string }]);
    expect((await selectDeadLetters(deps.postgres.prisma, { ids }, { order: 'newest', limit: 1 }))[0]?.state).toBe('open');
  });

  test('duplicate: the ledger knows its id, or another letter of the run has it', async () => {
    const event = change();
    await world.sendEvents(event);
    await world.processed();
    const twice = change();
    const ids = await buried([event, twice, twice]);
    expect((await redrive(deps, options({ ids }))).map(({ outcome }) => outcome)).toEqual(['duplicate', 'ok', 'duplicate']);
  });

  test('superseded: a SET does not undo what came after it, unless the operator insists', async () => {
    const [user, item] = [randomUuid(), randomUuid()];
    const early = change({ user_id: user, item_id: item, quantity: 5, occurred_at: Date.now() - 60_000 });
    await world.sendEvents(change({ user_id: user, item_id: item, quantity: 3 }));
    await world.processed();
    const ids = await buried([early]);
    expect(await redrive(deps, options({ ids }))).toMatchObject([{ outcome: 'superseded' }]);
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 3 });
    expect(await redrive(deps, options({ ids }, { anyway: true }))).toMatchObject([{ outcome: 'ok' }]);
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 5 });
  });

  test('unfit: what this version cannot read stays where it is', async () => {
    await world.send({ key: 'k', value: Buffer.from('rubbish') });
    await world.processed();
    const results = await redrive(deps, options({ reasons: ['undecodable'] }));
    expect(results).toMatchObject([{ outcome: 'unfit', detail: expect.stringContaining('undecodable') as string }]);
  });
});

describe('corrected', () => {
  const correctOne = async (letter: DeadLetter, set: { path: string; value: unknown }[]): Promise<RedriveResult[]> => redriveOne(deps, (await correct(deps, letter, { set }, false)).planned, options({}));

  test('what the ledger refused gets the id that follows from its own: once, from whoever corrects it', async () => {
    const [user, item] = [randomUuid(), randomUuid()];
    const refused = change({ user_id: user, item_id: item, kind: 'ADJUST', quantity: -3 });
    await world.sendEvents(refused);
    await world.processed();
    const letter = await letterOf(refused.event_id);
    const first = await correct(deps, letter, { set: [{ path: 'quantity', value: 3 }] }, false);
    const second = await correct(deps, letter, { set: [{ path: 'quantity', value: 4 }] }, false);
    expect(second.planned.eventId).toBe(first.planned.eventId);
    expect(await redriveOne(deps, first.planned, options({}))).toMatchObject([{ outcome: 'ok', eventId: first.planned.eventId }]);
    expect(await redriveOne(deps, second.planned, options({}))).toMatchObject([{ outcome: 'handled' }]);
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 3 });
    const kept = await letterOf(refused.event_id);
    expect(kept.source.value).toEqual(world.record(refused).value); // the original stays as it came
    expect(kept).toMatchObject({ state: 'redriven', stateBy: 'test', stateReason: 'a test', sentEventId: first.planned.eventId });
    expect(kept.edited?.value).toEqual(first.planned.edited?.value);
  });

  test('a wrong key is made right, and the event keeps its id', async () => {
    const event = change();
    await world.send(world.record(event, { key: randomUuid() }));
    await world.processed();
    expect(await correctOne(await letterOf(event.event_id), [])).toMatchObject([{ outcome: 'ok', eventId: event.event_id }]);
    expect(await itemOf(world.pool, event.user_id, event.item_id)).toMatchObject({ on_hand: 1 });
  });

  test.each<[string, { path: string; value: unknown }[], string]>([
    ['what breaks the contract', [{ path: 'quantity', value: -1 }], 'BRX_CONTRACT'],
    ['another event id', [{ path: 'event_id', value: randomUuid() }], 'BRX_REFUSED'],
    ['a field that is not there', [{ path: 'quantiy', value: 1 }], 'BRX_USAGE'],
  ])('is refused: %s', async (_what, set, code) => {
    const [id] = await buried([change()]);
    const [letter] = await selectDeadLetters(deps.postgres.prisma, { ids: [id!] }, { order: 'newest', limit: 1 });
    await expect(correct(deps, letter!, { set }, false)).rejects.toMatchObject({ code });
  });
});

test('what is given up is not sent again', async () => {
  const ids = await buried([change()]);
  expect(await discardDeadLetters(deps.postgres, ids, BY)).toEqual(new Set(ids));
  expect(await discardDeadLetters(deps.postgres, ids, BY)).toEqual(new Set());
  expect(await redrive(deps, options({ ids }))).toEqual([]);
});

test('100,000 dead letters are listed page by page, each in milliseconds, whatever is asked for', async () => {
  await world.pool.query(`
    INSERT INTO dead_letters (reason, detail, consumer_group, topic, partition, "offset", record_timestamp, record_headers, user_id)
    SELECT CASE WHEN n % 1000 = 0 THEN 'invalid' ELSE 'out_of_range' END, 'many', 'g', 'many', n % 12, n, now(), '[]', gen_random_uuid() FROM generate_series(1, 100000) AS n`);
  await world.pool.query('ANALYZE dead_letters');
  const [some] = await world.rows<{ user_id: string }>(`SELECT user_id FROM dead_letters WHERE topic = 'many' LIMIT 1`);
  for (const filter of [{}, { reasons: ['invalid'] }, { userId: some!.user_id }, { states: ['open'], since: Date.now() - 3_600_000 }] as LetterFilter[]) {
    const page = await selectDeadLetters(deps.postgres.prisma, filter, { order: 'newest', limit: 20 });
    const times: number[] = [];
    let next: typeof page = [];
    for (let n = 0; n < 5; n += 1) {
      const began = performance.now();
      next = await selectDeadLetters(deps.postgres.prisma, filter, { order: 'newest', limit: 20, after: page.at(-1)!.id });
      times.push(performance.now() - began);
    }
    expect(Math.min(...times)).toBeLessThan(50); // the least: how long it takes, not how busy the machine is
    expect(next.every(({ id }) => id < page.at(-1)!.id)).toBe(true);
  }
  const { rows } = await world.pool.query<{ 'QUERY PLAN': string }>(`EXPLAIN SELECT id FROM dead_letters WHERE reason = 'invalid' AND id < 90000 ORDER BY id DESC LIMIT 20`);
  expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toContain('dead_letters_reason_id_idx');
});
