import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RELAY_SHARDS } from '../../../src/outbox/index.ts';
import { countMarketplace } from '../../../src/marketplace/counts.sql.ts';
import { claimSellers, renewLeases, type ClaimedSeller } from '../../../src/marketplace/dispatcher/leases.sql.ts';
import { store, type Reply, type Request, type StoreDeps } from '../../../src/marketplace/dispatcher/store.ts';
import type { Intent, Result, Work } from '../../../src/marketplace/dispatcher/work.ts';
import { readDue } from '../../../src/marketplace/dispatcher/work.sql.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { createPostgres, inTransaction, type Postgres } from '../../../src/platform/postgres/index.ts';
import { createTestDatabase, openPool, type TestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { randomUuid } from '../../support/events.ts';

/** Protects: who may send, and whose results count, however many processes, claims and sessions there are (P7). Real PostgreSQL. */
let database: TestDatabase;
let postgres: Postgres;
let pool: pg.Pool;
let user: string;
const [ONE, OTHER] = [randomUuid(), randomUuid()];
const LEASE_MS = 30_000;

beforeAll(async () => {
  database = await createTestDatabase();
  postgres = createPostgres(databaseConfig(database.url), { logger: silentLogger, applicationName: 'store', keyLookupsOnly: true });
  pool = openPool(database, 2);
});
afterAll(async () => {
  await postgres.close();
  await pool.end();
  await database.drop();
});
beforeEach(async () => {
  await pool.query('TRUNCATE marketplace_operations, marketplace_listings, marketplace_sellers, remote_order_polls, outbox, purchase_sagas');
  user = randomUuid();
  await pool.query(`INSERT INTO marketplace_sellers (user_id, status, token, token_key_id, token_hint, work_at) VALUES ($1, 'active', '\\x00', 'k', '…', now())`, [user]);
});

const encoder: StoreDeps['encoder'] = { prepare: () => Promise.resolve(), encode: () => Buffer.from('a record') };
const save = (owner: string, ...requests: Partial<Request>[]): Promise<Reply[]> =>
  store(
    { postgres, clock: systemClock, owner, leaseMs: LEASE_MS, quarantineMs: 20_000, encoder, sagaEvents: 'saga-events', onRetry: () => undefined },
    requests.map((request) => ({ seller: { userId: user, epoch: 1, failures: 0, openUntil: null, tokenRejected: null }, intents: [], results: [], jobs: [], next: { slots: 0, syncs: 0, busyItems: [] }, release: false, restSeconds: 0, ...request })),
  );
const claim = (owner: string, most = 10): Promise<ClaimedSeller[]> => inTransaction(postgres, (tx) => claimSellers(tx, owner, { leaseSeconds: LEASE_MS / 1_000, most }));
const expire = (): Promise<unknown> => pool.query("UPDATE marketplace_sellers SET lease_until = now() - interval '1 ms'");
const seller = (epoch: number, more: Partial<Request['seller']> = {}): Request['seller'] => ({ userId: user, epoch, failures: 0, openUntil: null, tokenRejected: null, ...more });

let product = 100;
/** An operation on an item of its own, unless told otherwise. */
async function ask({ item = randomUuid(), kind = 'TAKE' }: { item?: string; kind?: 'TAKE' | 'LOWER' } = {}): Promise<{ id: string; item: string }> {
  const id = randomUuid();
  product += 1;
  await pool.query(`INSERT INTO marketplace_listings (user_id, item_id, product_id, blueprint_id, confirmed_at, quantity, price_cents, product) VALUES ($1, $2, $3, 1, now(), 5, 100, '{}') ON CONFLICT DO NOTHING`, [user, item, product]);
  await pool.query(`INSERT INTO marketplace_operations (operation_id, user_id, item_id, purchase_id, due_at, quantity, kind, state) VALUES ($1, $2, $3, $4, now(), 1, $5, 'PENDING')`, [id, user, item, kind === 'TAKE' ? randomUuid() : null, kind]);
  return { id, item };
}
const due = async (slots = 10, busyItems: string[] = []): Promise<Work[]> => (await inTransaction(postgres, (tx) => readDue(tx, [{ userId: user, slots, busyItems }])))[0] ?? [];
const stateOf = async (id: string): Promise<Record<string, unknown>> => (await pool.query<Record<string, unknown>>('SELECT state, reason, attempts, lease_epoch::int AS epoch, jsonb_array_length(evidence) AS evidence FROM marketplace_operations WHERE operation_id = $1', [id])).rows[0] ?? {};
const INTENT: Intent = { productId: 1, readAt: 0, before: 5, target: 4, marked: true, siblings: null };
const APPLIED: Result = { to: 'APPLIED', reason: null, againMs: null, listing: null, lower: 0, own: 0, answered: true, tokenRejected: false };
const evidence = [{ at: 1, call: 'note' as const, outcome: 'note', said: 'a\u0000 test with \\u0000 in it' }];

describe('claims', () => {
  test('a seller has one owner at a time; when a lease is over another one may claim, under a new epoch', async () => {
    expect(await claim(ONE)).toMatchObject([{ userId: user, epoch: 1 }]);
    expect(await claim(OTHER)).toEqual([]);
    await expire();
    expect(await claim(OTHER)).toMatchObject([{ userId: user, epoch: 2 }]);
    expect(await inTransaction(postgres, (tx) => renewLeases(tx, ONE, 30, [{ userId: user, epoch: 1 }]))).toEqual([]);
    expect(await inTransaction(postgres, (tx) => renewLeases(tx, OTHER, 30, [{ userId: user, epoch: 2 }]))).toEqual([user]);
  });

  test.each([
    ['paused', "status = 'paused'"],
    ['without work', 'work_at = NULL'],
    ['with work later', "work_at = now() + interval '1 minute'"],
    ['whose circuit is open', "open_until = now() + interval '1 minute'"],
  ])('a seller %s is not claimed', async (_, change) => {
    await pool.query(`UPDATE marketplace_sellers SET ${change}`);
    expect(await claim(ONE)).toEqual([]);
  });

  test('many claimers share many sellers without waiting for each other, and none is claimed twice', async () => {
    await pool.query(`INSERT INTO marketplace_sellers (user_id, status, token, token_key_id, token_hint, work_at) SELECT gen_random_uuid(), 'active', '\\x00', 'k', '…', now() FROM generate_series(1, 60)`);
    const claimed = (await Promise.all(Array.from({ length: 8 }, () => claim(randomUuid(), 10)))).flat().map(({ userId }) => userId);
    expect(new Set(claimed).size).toBe(claimed.length);
    expect(claimed.length).toBe(61);
  });
});

describe('what is written', () => {
  test('an intent under a claim that is over may not be sent, and its result is evidence only', async () => {
    const { id } = await ask();
    await claim(ONE);
    const [work] = await due();
    await expire();
    await claim(OTHER);
    const [reply] = await save(ONE, { seller: seller(1), intents: [{ work: work!, intent: INTENT }] });
    expect([reply?.held, [...(reply?.intended ?? [])]]).toEqual([false, []]);
    const [late] = await save(ONE, { seller: seller(1), results: [{ work: work!, result: APPLIED, evidence }] });
    expect(late?.recorded).toEqual([]);
    expect(await stateOf(id)).toEqual({ state: 'PENDING', reason: null, attempts: 0, epoch: null, evidence: 1 });
  });

  // Found by the chaos test: a lease was over, the same process claimed anew, and the old session took the new one's permission for its own.
  test('two claims of one process in one transaction: only the newer one may send and record', async () => {
    const [{ id }, other] = [await ask(), await ask()];
    await claim(ONE);
    await expire();
    await claim(ONE);
    const [work, second] = await due();
    const [older, newer] = await save(ONE, { seller: seller(1), intents: [{ work: work!, intent: INTENT }] }, { seller: seller(2), intents: [{ work: work!, intent: INTENT }] });
    expect([older?.held, older?.intended.has(id), newer?.held, newer?.intended.has(id)]).toEqual([false, false, true, true]);
    const [stale] = await save(ONE, { seller: seller(1), results: [{ work: second!, result: APPLIED, evidence }] }, { seller: seller(2) });
    expect([stale?.recorded, await stateOf(other.id)]).toEqual([[], { state: 'PENDING', reason: null, attempts: 0, epoch: null, evidence: 1 }]);
  });

  test('an operation that was called off meanwhile is not sent', async () => {
    const { id } = await ask();
    await claim(ONE);
    const [work] = await due();
    await pool.query("UPDATE marketplace_operations SET state = 'WITHDRAWN', due_at = NULL WHERE operation_id = $1", [id]);
    const [reply] = await save(ONE, { intents: [{ work: work!, intent: INTENT }] });
    expect([reply?.held, reply?.intended.has(id)]).toEqual([true, false]);
  });

  test('a result is recorded once, told once, and a second one is evidence', async () => {
    const { id } = await ask();
    await claim(ONE);
    const [work] = await due();
    await save(ONE, { intents: [{ work: work!, intent: INTENT }] });
    expect(await stateOf(id)).toMatchObject({ state: 'SENT', attempts: 1, epoch: 1 });
    const [first] = await save(ONE, { results: [{ work: work!, result: APPLIED, evidence }] });
    expect(first).toMatchObject({ recorded: [{ work: { id } }], enqueued: 1 });
    const [again] = await save(ONE, { results: [{ work: work!, result: { ...APPLIED, to: 'REFUSED', reason: 'refused' }, evidence }] });
    expect(again).toMatchObject({ recorded: [], enqueued: 0 });
    expect(await stateOf(id)).toMatchObject({ state: 'APPLIED', evidence: 2 });
    expect((await pool.query<{ shard: number }>('SELECT shard FROM outbox')).rows).toEqual([{ shard: expect.toSatisfy((shard: number) => shard < RELAY_SHARDS) as number }]);
  });

  test('of a card one product is listed at a time: equal ones would become one', async () => {
    const [first, second, other, waits] = [await ask(), await ask(), await ask(), await ask()];
    await claim(ONE);
    const works = await due();
    const work = (id: string): Work => works.find((each) => each.id === id)!;
    const lists = (blueprintId: number): Intent => ({ ...INTENT, productId: null, before: 0, siblings: [], blueprintId });
    const [reply] = await save(ONE, { intents: [first, second, other].map(({ id }) => ({ work: work(id), intent: lists(id === other.id ? 8 : 7) })) });
    const listed = [first.id, second.id].filter((id) => reply?.intended.has(id));
    expect([listed.length, reply?.intended.has(other.id)]).toEqual([1, true]);
    const later = [first.id, second.id].find((id) => !listed.includes(id))!;
    const again = async (): Promise<boolean | undefined> => (await save(ONE, { intents: [{ work: work(later), intent: lists(7) }, { work: work(waits.id), intent: INTENT }] }))[0]?.intended.has(later);
    expect(await again(), 'its outcome is open').toBe(false);
    await save(ONE, { results: [{ work: work(listed[0]!), result: APPLIED, evidence: [] }] });
    expect(await again(), 'it is known').toBe(true);
    expect(await stateOf(waits.id)).toMatchObject({ state: 'SENT' });
  });

  test('a take that was not carried out is called off if its sale is being undone, and the sale is told', async () => {
    const [{ id }, other] = [await ask(), await ask()];
    await claim(ONE);
    const works = await due();
    await pool.query(
      `INSERT INTO purchase_sagas (user_id, purchase_id, event_id, started_at, deadline_at, next_action_at, version, sold, state, reason, currency, lines)
       SELECT user_id, purchase_id, gen_random_uuid(), now(), now(), now(), 1, false, CASE WHEN operation_id = $1 THEN 'COMPENSATING' ELSE 'RECONCILING' END, CASE WHEN operation_id = $1 THEN 'expired' END, 'EUR', '[]' FROM marketplace_operations`,
      [id],
    );
    const [reply] = await save(ONE, { results: works.map((work) => ({ work, result: { ...APPLIED, to: 'PENDING' as const, againMs: 0 }, evidence: [] })) });
    expect([(await stateOf(id))['state'], (await stateOf(other.id))['state'], reply?.enqueued]).toEqual(['WITHDRAWN', 'PENDING', 1]);
  });

  test('a SYNC that was forgotten meanwhile takes no other one’s place', async () => {
    const item = randomUuid();
    await pool.query('UPDATE marketplace_sellers SET listing_sync = true');
    await pool.query("INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand, blueprint_id, price_cents, currency) VALUES ($1, $2, $3, 5, 7, 100, 'EUR')", [user, item, randomUuid()]);
    await pool.query("INSERT INTO marketplace_operations (operation_id, user_id, item_id, due_at, quantity, kind, state) VALUES ($1, $2, $3, now(), 0, 'SYNC', 'PENDING')", [randomUuid(), user, item]);
    await claim(ONE);
    const [reply] = await save(ONE, { next: { slots: 0, syncs: 5, busyItems: [] } });
    const [work] = reply?.syncs ?? [];
    await pool.query('UPDATE marketplace_operations SET operation_id = gen_random_uuid()'); // listing sync was turned off, and on again
    await save(ONE, { results: [{ work: work!, result: { ...APPLIED, to: 'PENDING', againMs: 0 }, evidence: [] }] });
    expect((await pool.query('SELECT FROM marketplace_operations')).rowCount).toBe(1);
  });

  test('words that were cut in the middle of a character are no reason to refuse a result', async () => {
    const { id } = await ask();
    await claim(ONE);
    const [work] = await due();
    await save(ONE, { results: [{ work: work!, result: APPLIED, evidence: [{ ...evidence[0]!, said: `${'x'.repeat(199)}\ud83c` }] }] });
    expect(await stateOf(id)).toMatchObject({ state: 'APPLIED', evidence: 1 });
  });

  test('evidence is bounded, newest last', async () => {
    const { id } = await ask();
    await claim(ONE);
    const [work] = await due();
    const calls = Array.from({ length: 40 }, (_, at) => ({ at, call: 'read' as const, outcome: 'applied' }));
    await save(ONE, { results: [{ work: work!, result: { ...APPLIED, to: 'PENDING', againMs: 0 }, evidence: calls }] });
    const { rows } = await pool.query<{ evidence: { at: number }[] }>('SELECT evidence FROM marketplace_operations WHERE operation_id = $1', [id]);
    expect(rows[0]!.evidence.map(({ at }) => at)).toEqual(Array.from({ length: 30 }, (_, index) => index + 10));
  });
});

describe('what is next', () => {
  test('of each item the first outstanding one, oldest first, as many as there are slots, none of items at work', async () => {
    const first = await ask();
    const behind = await ask({ item: first.item });
    const second = await ask();
    const third = await ask();
    expect((await due()).map(({ id }) => id)).toEqual([first.id, second.id, third.id]);
    expect((await due(1)).map(({ id }) => id)).toEqual([first.id]);
    expect((await due(10, [first.item])).map(({ id }) => id)).toEqual([second.id, third.id]);
    await pool.query("UPDATE marketplace_operations SET due_at = now() + interval '1 minute' WHERE operation_id = $1", [first.id]);
    expect((await due()).map(({ id }) => id), 'what stands behind one that waits waits too').toEqual([second.id, third.id]);
    await pool.query("UPDATE marketplace_operations SET state = 'WITHDRAWN', due_at = NULL WHERE operation_id = $1", [first.id]);
    expect((await due()).map(({ id }) => id)).toEqual([behind.id, second.id, third.id]);
  });

  test('one that fails again and again is not the only one that is tried while the circuit lets one through', async () => {
    const [failing, other] = [await ask(), await ask()];
    const lower = await ask({ kind: 'LOWER' });
    expect((await due(1)).map(({ id }) => id), 'a correction at first').toEqual([lower.id]);
    await pool.query("UPDATE marketplace_operations SET created_at = now() - interval '1 minute', due_at = now() - interval '1 minute' WHERE operation_id = $1", [other.id]);
    await pool.query("UPDATE marketplace_operations SET created_at = now() - interval '1 hour', due_at = now() - interval '1 second' WHERE operation_id = ANY ($1)", [[failing.id, lower.id]]);
    expect((await due(1)).map(({ id }) => id)).toEqual([other.id]);
  });

  test('a correction comes before whatever else is wanted of the item', async () => {
    const take = await ask();
    const lower = await ask({ item: take.item, kind: 'LOWER' });
    expect((await due()).map(({ id }) => id)).toEqual([lower.id]);
  });

  test('a seller with nothing due is given back, and is due again when its first operation is', async () => {
    const { id } = await ask();
    await claim(ONE);
    const [work] = await due();
    const [reply] = await save(ONE, { results: [{ work: work!, result: { ...APPLIED, to: 'PENDING', againMs: 5_000 }, evidence: [] }], next: { slots: 4, syncs: 0, busyItems: [] }, release: true });
    expect(reply).toMatchObject({ next: [], released: true });
    const { rows } = await pool.query<{ owner: string | null; same: boolean }>('SELECT s.lease_owner AS owner, s.work_at = o.due_at AS same FROM marketplace_sellers AS s JOIN marketplace_operations AS o USING (user_id) WHERE o.operation_id = $1', [id]);
    expect(rows).toEqual([{ owner: null, same: true }]);
  });

  test('a seller whose only due operations stand behind one that waits is not due before that one: no turning in circles', async () => {
    const head = await ask();
    await ask({ item: head.item });
    await claim(ONE);
    const [work] = await due();
    const [reply] = await save(ONE, { results: [{ work: work!, result: { ...APPLIED, to: 'PENDING', againMs: 60_000 }, evidence: [] }], next: { slots: 4, syncs: 0, busyItems: [] }, release: true });
    expect(reply?.released).toBe(true);
    expect(await claim(OTHER)).toEqual([]);
  });

  test('nothing is outstanding: the seller has no work', async () => {
    await ask();
    await claim(ONE);
    const [work] = await due();
    await save(ONE, { results: [{ work: work!, result: APPLIED, evidence: [] }], next: { slots: 4, syncs: 0, busyItems: [] }, release: true });
    expect((await pool.query('SELECT work_at, lease_owner FROM marketplace_sellers')).rows).toEqual([{ work_at: null, lease_owner: null }]);
  });

  test('a token that was rejected after another one had been added: that one is good', async () => {
    await ask();
    await claim(ONE);
    await pool.query("UPDATE marketplace_sellers SET token = '\\x01'");
    const [reply] = await save(ONE, { seller: seller(1, { tokenRejected: { said: '401', token: new Uint8Array(1) } }) });
    expect([reply?.active, (await pool.query('SELECT status FROM marketplace_sellers')).rows]).toEqual([true, [{ status: 'active' }]]);
  });

  test('a token that was rejected: nothing more is begun, and the seller rests', async () => {
    const [first] = [await ask(), await ask()];
    await claim(ONE);
    const [work] = await due();
    const [reply] = await save(ONE, { seller: seller(1, { tokenRejected: { said: '401', token: new Uint8Array(1) } }), results: [{ work: work!, result: { ...APPLIED, to: 'PENDING', againMs: 0, tokenRejected: true }, evidence: [] }], next: { slots: 4, syncs: 0, busyItems: [] }, release: true });
    expect(reply).toMatchObject({ next: [], released: true });
    expect(await stateOf(first.id)).toMatchObject({ state: 'PENDING' });
    expect((await pool.query('SELECT status, status_reason FROM marketplace_sellers')).rows).toEqual([{ status: 'token_rejected', status_reason: '401' }]);
  });
});

describe('counts for the gauges', () => {
  const oldest = async (): Promise<number> => (await countMarketplace(postgres.prisma)).oldestDueSeconds;

  test('an operation is overdue only while CardTrader may be called for its seller: waiting for an operator or a circuit is told by others', async () => {
    expect(await oldest()).toBe(0);
    await ask();
    await pool.query("UPDATE marketplace_operations SET due_at = now() - interval '300 s'");
    expect(await oldest()).toBeGreaterThanOrEqual(300);
    for (const hindrance of ["status = 'paused'", "status = 'token_rejected'", "open_until = now() + interval '1 h'"]) {
      await pool.query(`UPDATE marketplace_sellers SET ${hindrance}`);
      expect(await oldest(), hindrance).toBe(0);
      await pool.query("UPDATE marketplace_sellers SET status = 'active', open_until = now() - interval '1 s'");
      expect(await oldest(), 'over').toBeGreaterThanOrEqual(300);
    }
  });
});
