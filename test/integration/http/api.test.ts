import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { apiRoutes, createHttpServer, report, type HttpServer, type Route } from '../../../src/http/index.ts';
import { createMetrics } from '../../../src/platform/metrics.ts';
import { createPostgres, createReaders, type Postgres, type Readers } from '../../../src/platform/postgres/index.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { createTestDatabase, openPool, type TestDatabase } from '../../support/database.ts';
import { randomUuid } from '../../support/events.ts';
import { REST } from '../../support/http.ts';
import { keepingLogger } from '../../support/redis.ts';
import { startTcpGate, type TcpGate } from '../../support/tcp-gate.ts';

/** Protects: the API tells what is in the database, page by page without a gap, in the form its description promises; what it changes is written down. */
const TOKEN = 'the token of this test';
let database: TestDatabase;
let gate: TcpGate;
let pool: pg.Pool;
let postgres: Postgres;
let readers: Readers;
let server: HttpServer;
let routes: Route[];
const { logger, lines } = keepingLogger();

beforeAll(async () => {
  database = await createTestDatabase();
  gate = await startTcpGate({ host: '127.0.0.1', port: Number(new URL(database.url).port) });
  pool = openPool(database, 3);
  const through = new URL(database.url);
  through.port = String(gate.port);
  postgres = createPostgres(databaseConfig(through.toString(), { acquireTimeoutMs: 500 }), { logger, applicationName: 'api', keyLookupsOnly: false });
  readers = createReaders({ urls: [], poolMax: 2, maxLagMs: 1_000, waitMs: 100 }, postgres.config, { primary: postgres, logger, applicationName: 'api' });
  routes = apiRoutes({ readers, postgres, ...REST });
  const fine = report([]);
  server = createHttpServer({ config: { host: '127.0.0.1', port: 0, token: TOKEN, rateLimit: 100_000 }, logger, metrics: createMetrics({ process: false }), health: { live: () => fine, ready: () => Promise.resolve(fine) }, routes });
  await server.start();
});
afterAll(async () => {
  await server.stop();
  await readers.close();
  await postgres.close();
  await pool.end();
  await gate.close();
  await database.drop();
});

/** Every object of an answer must be what the description says, and no more: whoever reads it generates code from that. */
function strict(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodObject) return z.strictObject(Object.fromEntries(Object.entries(schema.shape as Record<string, z.ZodType>).map(([name, inner]) => [name, strict(inner)])));
  if (schema instanceof z.ZodArray) return z.array(strict(schema.element as z.ZodType));
  if (schema instanceof z.ZodNullable) return strict(schema.unwrap() as z.ZodType).nullable();
  if (schema instanceof z.ZodOptional) return strict(schema.unwrap() as z.ZodType).optional();
  return schema;
}
const problems: string[] = [];
async function ask<Body = Record<string, unknown>>(path: string, init: RequestInit = {}): Promise<{ status: number; body: Body; type: string | null }> {
  const response = await fetch(`${server.url}${path}`, { ...init, headers: { authorization: `Bearer ${TOKEN}`, ...(init.body !== undefined && { 'content-type': 'application/json' }) } });
  const body = (await response.json()) as Body;
  const route = routes.find((one) => one.method === (init.method ?? 'GET') && new RegExp(`^${one.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path.split('?')[0]!));
  if (response.status === 200 && route?.answer !== undefined) strict(route.answer.schema).parse(body);
  if (response.status !== 200) {
    const { code } = body as { code: string };
    expect([...(route?.problems ?? []), 'misdirected', 'too_many_requests', 'internal', 'unavailable']).toContain(code);
    problems.push(code);
  }
  return { status: response.status, body, type: response.headers.get('content-type') };
}
const post = (path: string, body: object) => ask<Record<string, unknown> & { position: string }>(path, { method: 'POST', body: JSON.stringify(body) });

interface Given {
  on_hand?: number;
  held?: number;
  flags?: number;
  blueprint?: number;
  listed?: { name: string; mismatch?: boolean; gone?: boolean };
}
async function give(user: string, items: Given[]): Promise<string[]> {
  const ids = items.map(() => randomUuid()).toSorted();
  for (const [index, { on_hand = 1, held = 0, flags = 0, blueprint, listed }] of items.entries()) {
    const event = randomUuid();
    await pool.query("INSERT INTO stock_ledger (event_id, user_id, item_id, occurred_at, quantity, delta, on_hand, kind, outcome, cause) VALUES ($1, $2, $3, now(), $4, $4, $4, 'S', 'a', 'test')", [event, user, ids[index], on_hand]);
    await pool.query('INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand, held, flags, blueprint_id, price_cents, currency, properties) VALUES ($1, $2, $3, $4, $5, $6, $7, 199, $8, $9)', [user, ids[index], event, on_hand, held, flags, blueprint, 'EUR', { condition: 'Near Mint' }]);
    if (listed === undefined) continue;
    const mismatch = listed.mismatch === true ? { kind: 'fewer', at: 1_700_000_000_000, expected: 3, found: 2 } : null;
    await pool.query('INSERT INTO marketplace_listings (user_id, item_id, product_id, blueprint_id, confirmed_at, quantity, price_cents, currency, product, mismatch, gone) VALUES ($1, $2, $3, 1, now(), $4, 199, $5, $6, $7, $8)', [user, ids[index], index + 1, on_hand, 'EUR', { name: listed.name }, mismatch, listed.gone === true]);
  }
  return ids;
}
async function account(user: string, status = 'active'): Promise<void> {
  await pool.query("INSERT INTO marketplace_sellers (user_id, status, token, token_key_id, token_hint, app_name) VALUES ($1, $2, '\\x00', 'k', '…abcd', 'an app')", [user, status]);
}
type Page = { items: { item_id: string; available: number; flags: string[]; listing: unknown; name: string | null }[]; next_cursor: string | null };
const itemsOf = async (user: string, query = ''): Promise<string[]> => (await ask<Page>(`/users/${user}/items${query}`)).body.items.map(({ item_id: id }) => id);

describe('items', () => {
  test('page by page: each once, in order, whatever comes and goes meanwhile', async () => {
    const user = randomUuid();
    const ids = await give(user, Array.from({ length: 23 }, () => ({})));
    const seen: string[] = [];
    let cursor: string | null = null;
    for (let page = 0; page === 0 || cursor !== null; page += 1) {
      const { body }: { body: Page } = await ask<Page>(`/users/${user}/items?limit=5${cursor === null ? '' : `&cursor=${cursor}`}`);
      seen.push(...body.items.map(({ item_id: id }) => id));
      cursor = body.next_cursor;
      if (page === 1) {
        await give(user, [{}, {}, {}]); // before and behind
        await pool.query('DELETE FROM inventory_items WHERE user_id = $1 AND item_id = $2', [user, seen.at(-1)]); // where the next one goes on
      }
    }
    expect(seen.filter((id) => ids.includes(id))).toEqual(ids);
    expect(seen).toEqual([...new Set(seen)].toSorted());
  });

  test('exactly as many as are there: no page that is empty', async () => {
    const user = randomUuid();
    await give(user, [{}, {}]);
    expect((await ask<Page>(`/users/${user}/items?limit=2`)).body.next_cursor).toBeNull();
  });

  test('narrowed to what is asked for', async () => {
    const user = randomUuid();
    await account(user);
    const [stock, sold, removed, drifted, oversold, listed, wrong, gone] = await give(user, [
      { on_hand: 5, held: 2, blueprint: 7 },
      { on_hand: 2, held: 2 },
      { on_hand: 0, flags: 1 },
      { on_hand: 1, flags: 2 },
      { on_hand: 1, held: 3, flags: 4 },
      { listed: { name: 'Black Lotus 50%_off' } },
      { listed: { name: 'Lotus Petal', mismatch: true } },
      { listed: { name: 'Black Knight', gone: true } },
    ]);
    const all = [stock, sold, removed, drifted, oversold, listed, wrong, gone];
    expect(await itemsOf(user)).toEqual(all);
    expect(await itemsOf(user, '?status=in_stock')).toEqual([stock, drifted, listed, wrong, gone]);
    expect(await itemsOf(user, '?status=out_of_stock')).toEqual([sold, oversold]);
    expect(await itemsOf(user, '?status=removed')).toEqual([removed]);
    expect(await itemsOf(user, '?status=drifted')).toEqual([drifted]);
    expect(await itemsOf(user, '?status=oversold')).toEqual([oversold]);
    expect(await itemsOf(user, '?status=listed')).toEqual([listed, wrong]);
    expect(await itemsOf(user, '?status=unlisted')).toEqual([stock, sold, removed, drifted, oversold, gone]);
    expect(await itemsOf(user, '?status=mismatched')).toEqual([wrong]);
    expect(await itemsOf(user, '?blueprint=7')).toEqual([stock]);
    expect(await itemsOf(user, '?q=lotus')).toEqual([listed, wrong]);
    expect(await itemsOf(user, '?q=50%25_')).toEqual([listed]);
    expect(await itemsOf(user, '?q=5__')).toEqual([]);
    expect(await itemsOf(user, '?q=lotus&status=mismatched')).toEqual([wrong]);
    expect(await itemsOf(user, `?changed_since=${new Date(Date.now() + 60_000).toISOString()}`)).toEqual([]);
    expect(await itemsOf(user, `?changed_since=${new Date(Date.now() - 60_000).toISOString()}`)).toEqual(all);
    const { body } = await ask<Page>(`/users/${user}/items?status=oversold`);
    expect(body.items[0]).toMatchObject({ available: -2, flags: ['oversold'], listing: null, name: null });
  });

  test('one: with what holds it and how it is listed, but not who buys', async () => {
    const user = randomUuid();
    await account(user);
    const [item] = await give(user, [{ on_hand: 5, held: 1, listed: { name: 'Black Lotus', mismatch: true } }]);
    const purchase = randomUuid();
    await pool.query("INSERT INTO purchase_sagas (user_id, purchase_id, event_id, started_at, deadline_at, next_action_at, version, state, currency, buyer_id, lines) VALUES ($1, $2, $2, now(), now(), now(), 1, 'RESERVED', 'EUR', 'somebody private', '[]')", [user, purchase]);
    await pool.query('INSERT INTO stock_holds (user_id, item_id, purchase_id, quantity) VALUES ($1, $2, $3, 1)', [user, item, purchase]);
    const { body } = await ask(`/users/${user}/items/${item!.toUpperCase()}`);
    expect(body).toMatchObject({ item_id: item, on_hand: 5, held: 1, available: 4, properties: { condition: 'Near Mint' }, holds: [{ purchase_id: purchase, quantity: 1, state: 'RESERVED' }], listing: { product_id: 1, name: 'Black Lotus', mismatch: { kind: 'fewer', at: '2023-11-14T22:13:20.000Z', expected: 3, found: 2 } } });
    expect(JSON.stringify(body)).not.toContain('somebody private');
  });

  test('history: newest first, in parts that fit together, and of this item only', async () => {
    const user = randomUuid();
    const [item, other] = await give(user, [{ on_hand: 1 }, {}]);
    const events = [(await pool.query<{ id: string }>('SELECT last_event_id AS id FROM inventory_items WHERE user_id = $1 AND item_id = $2', [user, item])).rows[0]!.id];
    for (let n = 2; n <= 12; n += 1) {
      const event = randomUuid();
      await pool.query("INSERT INTO stock_ledger (event_id, user_id, item_id, previous_event_id, occurred_at, quantity, delta, on_hand, kind, outcome, cause) VALUES ($1, $2, $3, $4, now(), $5, 1, $5, 'S', 'a', 'shop')", [event, user, item, events.at(-1), n]);
      events.push(event);
    }
    await pool.query('UPDATE inventory_items SET last_event_id = $3 WHERE user_id = $1 AND item_id = $2', [user, item, events.at(-1)]);
    type History = { history: { event_id: string; words: string }[]; end: string; next_cursor: string | null };
    const seen: string[] = [];
    let cursor: string | null = null;
    let end = '';
    do {
      const { body }: { body: History } = await ask<History>(`/users/${user}/items/${item}/history?limit=5${cursor === null ? '' : `&cursor=${cursor}`}`);
      seen.push(...body.history.map(({ event_id: id }) => id));
      ({ next_cursor: cursor, end } = body);
      if (seen.length === 5) {
        expect(body.history[0]!.words).toBe('SET to 12 by shop (+1), now 12');
        expect((await ask<History>(`/users/${user}/items/${other}/history?cursor=${cursor}`)).body.history).toEqual([]); // another item's place
      }
    } while (cursor !== null);
    expect([seen, end]).toEqual([events.toReversed(), 'all']);
  });
});

describe('users', () => {
  test('everybody who has items, an account or events that wait, once each, page by page; and how they stand', async () => {
    const [stock, seller, both, waiting] = [randomUuid(), randomUuid(), randomUuid(), randomUuid()];
    await give(stock, [{}, { flags: 2 }, { flags: 2 }, { held: 2, flags: 4 }]);
    await account(seller, 'paused');
    await account(both);
    await give(both, [{ listed: { name: 'x', mismatch: true } }]);
    await pool.query("INSERT INTO parked_users (user_id, reason, error) VALUES ($1, 'data', 'e')", [waiting]);
    const found: { user_id: string }[] = [];
    let cursor: string | null = null;
    do {
      const { body }: { body: { users: { user_id: string }[]; next_cursor: string | null } } = await ask(`/users?limit=3${cursor === null ? '' : `&cursor=${cursor}`}`);
      found.push(...body.users);
      cursor = body.next_cursor;
    } while (cursor !== null);
    const ids = found.map(({ user_id: id }) => id);
    expect(ids).toEqual([...new Set(ids)].toSorted());
    const of = (id: string): unknown => found.find(({ user_id: one }) => one === id);
    expect(of(stock)).toMatchObject({ account: null, paused: false, parked: null, drifted_items: 2, oversold_items: 1 });
    expect(of(seller)).toMatchObject({ account: { status: 'paused' }, paused: true });
    expect(of(both)).toMatchObject({ account: { status: 'active', orders_read_at: null }, mismatched_listings: 1 });
    expect(of(waiting)).toMatchObject({ parked: { reason: 'data', events: 0 } });
    expect(JSON.stringify(found)).not.toContain('abcd'); // nothing of a token
    const { body } = await ask<{ users: { user_id: string }[] }>('/users?status=paused&limit=200');
    expect(body.users.map(({ user_id: id }) => id)).toContain(seller);
    expect(body.users.map(({ user_id: id }) => id)).not.toContain(both);
    expect((await ask(`/users/${both}`)).body).toMatchObject({ items: 1, listings: 1 });
  });

  test('paused and resumed: as it says, with who and why; the answer has the place where it is to be found', async () => {
    const user = randomUuid();
    await account(user);
    const paused = await post(`/users/${user}/pause`, { reason: 'on holiday', who: 'support' });
    expect(paused).toMatchObject({ status: 200, body: { paused: true, account: { status: 'paused', status_reason: 'on holiday' } } });
    expect((await ask(`/users/${user}?after=${encodeURIComponent(paused.body.position)}`)).body).toMatchObject({ paused: true });
    expect((await post(`/users/${user}/resume`, { reason: 'back' })).body).toMatchObject({ paused: false });
    const { rows } = await pool.query('SELECT who, action, reason FROM operator_actions WHERE target = $1 ORDER BY id', [user]);
    expect(rows).toEqual([
      { who: 'api: support', action: 'users.pause', reason: 'on holiday' },
      { who: 'api', action: 'users.resume', reason: 'back' },
    ]);
  });

  test('what cannot be done is refused with a reason, and changes nothing', async () => {
    const [rejected, nobody] = [randomUuid(), randomUuid()];
    await account(rejected, 'token_rejected');
    expect(await post(`/users/${rejected}/resume`, { reason: 'x' })).toMatchObject({ status: 409, type: 'application/problem+json; charset=utf-8', body: { code: 'conflict', detail: `the token of ${rejected} was rejected by CardTrader`, remedy: expect.stringContaining('users check') as string } });
    expect(await post(`/users/${nobody}/pause`, { reason: 'x' })).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect((await pool.query('SELECT FROM operator_actions WHERE target = ANY($1)', [[rejected, nobody]])).rowCount).toBe(0);
  });
});

describe('bulk syncs', () => {
  test('asked for, once at a time, watched, called off; each change is written down with who and why', async () => {
    const user = randomUuid();
    await account(user);
    const asked = await post(`/users/${user}/sync`, { reason: 'first import', mode: 'adopt-remote', dry_run: true, who: 'support' });
    expect(asked).toMatchObject({ status: 200, body: { user_id: user, mode: 'adopt-remote', dry_run: true, state: 'REQUESTED', scheduled: false, asked_by: 'api: support', ended_at: null, problem: null } });
    const jobId = String(asked.body['job_id']);
    expect(await post(`/users/${user}/sync`, { reason: 'again' })).toMatchObject({ status: 409, body: { code: 'conflict', detail: expect.stringContaining('is under way') as string } });
    expect((await ask(`/users/${user}/syncs`)).body).toMatchObject({ syncs: [{ job_id: jobId }] });
    await pool.query("INSERT INTO bulk_sync_findings (job_id, kind, cause, product_id, ours, theirs, name) VALUES ($1, 'drifted', 'not_here', 7, NULL, 3, 'A card')", [jobId]);
    expect((await ask(`/syncs/${jobId}`)).body).toMatchObject({ job_id: jobId, chunks: { all: null, done: 0, parked: 0 }, causes: [{ kind: 'drifted', cause: 'not_here', count: 1 }], findings: [{ product_id: 7, here: null, there: 3, name: 'A card' }], parked_chunks: [] });
    expect(await post(`/syncs/${jobId}/cancel`, { reason: 'wrong seller' })).toMatchObject({ status: 200, body: { state: 'CANCELLED' } });
    expect(await post(`/syncs/${jobId}/cancel`, { reason: 'once more' })).toMatchObject({ status: 409 });
    const { rows } = await pool.query('SELECT who, action, reason FROM operator_actions WHERE target = $1 ORDER BY id', [user]);
    expect(rows).toEqual([
      { who: 'api: support', action: 'sync.request', reason: 'first import' },
      { who: 'api', action: 'sync.cancel', reason: 'wrong seller' },
    ]);
    expect(await ask(`/syncs/${randomUuid()}`)).toMatchObject({ status: 404, body: { code: 'unknown_sync' } });
  });

  test('refused for who has no account, and where listing sync would have to push and is off', async () => {
    const [nobody, user] = [randomUuid(), randomUuid()];
    await account(user);
    expect(await post(`/users/${nobody}/sync`, { reason: 'x' })).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await post(`/users/${user}/sync`, { reason: 'x', mode: 'push-local' })).toMatchObject({ status: 409, body: { remedy: expect.stringContaining('--listing-sync') as string } });
    expect(await post(`/users/${user}/sync`, { reason: 'x', mode: 'overwrite' })).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  });

  test('drift: what two reports agree on, with what would mend it; what one has found on request', async () => {
    const [user, item] = [randomUuid(), randomUuid()];
    await account(user);
    const { body } = await post(`/users/${user}/sync`, { reason: 'x' });
    const row = 'INSERT INTO drift (user_id, subject, job_id, product_id, item_id, ours, theirs, cause, name, confirmed) VALUES ($1, $2, $3, 1, $4, 2, 3, $5, NULL, $6)';
    await pool.query(row, [user, item, body['job_id'], item, 'more_there', true]);
    await pool.query(row, [user, 'product/1', body['job_id'], null, 'not_here', false]);
    expect((await ask(`/users/${user}/drift`)).body).toMatchObject({ drift: [{ item_id: item, here: 2, there: 3, cause: 'more_there', fix: 'set_here', confirmed: true }] });
    expect((await ask<{ drift: unknown[] }>(`/users/${user}/drift?unconfirmed=true`)).body.drift).toHaveLength(2);
  });
});

test('who and what is not there: 404 by name', async () => {
  const [user, nobody] = [randomUuid(), randomUuid()];
  await give(user, [{}]);
  for (const path of [`/users/${nobody}`, `/users/${nobody}/items`]) expect(await ask(path)).toMatchObject({ status: 404, body: { code: 'unknown_user' } });
  for (const path of [`/users/${user}/items/${nobody}`, `/users/${user}/items/${nobody}/history`, `/users/${nobody}/items/${nobody}`]) expect(await ask(path)).toMatchObject({ status: 404, body: { code: 'unknown_item' } });
  expect(await itemsOf(user, '?status=drifted')).toEqual([]); // somebody who has none is not nobody
});

test('while PostgreSQL is away: 503 in time, when to come back, and nothing of where it is; then as before', async () => {
  const user = randomUuid();
  await give(user, [{}]);
  await gate.shut();
  const answer = await fetch(`${server.url}/users/${user}`, { headers: { authorization: `Bearer ${TOKEN}` } });
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
  const text = await answer.text();
  expect(JSON.parse(text)).toEqual({ type: 'urn:brx-sync:problem:unavailable', title: 'what is needed to answer does not answer', status: 503, code: 'unavailable', detail: 'PostgreSQL does not answer', remedy: 'try again in a moment' });
  expect(text).not.toMatch(/127\.0\.0\.1|brx_test|node_modules/);
  expect(JSON.stringify(lines)).toContain('an answer over HTTP failed');
  await gate.reopen();
  expect((await ask(`/users/${user}`)).status).toBe(200);
});

test('the description is served as it is committed', async () => {
  const { body } = await ask<{ openapi: string; paths: object }>('/openapi.json');
  expect(body.openapi).toBe('3.1.0');
  expect(Object.keys(body.paths).toSorted()).toEqual([...new Set(routes.map(({ path }) => path))].toSorted());
});
