import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { InventoryChanged, PurchaseRequested } from '../../../src/contract/index.ts';
import { confirm, goTo, pageForEachTest, picture, press, says, serveConsole, signIn, type ConsoleServer } from '../../support/console.ts';
import { change, history, line, purchase, randomUuid } from '../../support/events.ts';
import { raising, WELL } from '../../support/faults.sql.ts';
import { createIngestWorld, itemOf, type IngestWorld } from '../../support/ingest.ts';
import { until } from '../../support/wait.ts';

/** Protects: what did not take effect is looked at, rehearsed, and then exactly what was shown is sent again, given up or released; each told, with a reason, written down. */
const TOKEN = 'the token of this test';
const INJECTED = '<img src=x onerror="alert(1)">';
let page: Page;
let world: IngestWorld;
let readOnly: ConsoleServer;
let writable: ConsoleServer;

beforeAll(async () => {
  world = await createIngestWorld();
  await world.start();
  const over = { database: world.database, topicPrefix: world.topics.prefix, groupId: world.topics.groupId, replays: () => [] };
  [readOnly, writable] = await Promise.all([serveConsole({ over }), serveConsole({ over, token: TOKEN })]);
});
afterEach(() => world.pool.query(WELL));
afterAll(async () => {
  await readOnly.close();
  await writable.close();
  await world.close();
});
pageForEachTest((opened) => (page = opened));

const signedIn = (hash: string): Promise<void> => signIn(page, writable.server, TOKEN, hash);
const post = (path: string, body: object): Promise<Response> => fetch(`${writable.server.url}${path}`, { method: 'POST', headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });
const actions = (target: string) => world.rows<{ who: string; action: string; reason: string }>('SELECT who, action, reason FROM operator_actions WHERE target = $1 ORDER BY id', target);

/** Letters of events this version can read, as if an older one had not been able to. */
async function buried(events: readonly (InventoryChanged | PurchaseRequested)[]): Promise<string[]> {
  const [row] = await world.rows<{ from: string }>(`SELECT coalesce(max("offset"), 0) + 1000000 AS "from" FROM dead_letters`);
  const rows = await world.rows<{ id: string }>(
    `INSERT INTO dead_letters (reason, detail, consumer_group, user_id, event_id, topic, partition, "offset", record_timestamp, record_key, record_value, record_headers)
     SELECT 'unknown_type', $1, $2, key::uuid, event::uuid, $3, 0, $4::bigint + n, now(), convert_to(key, 'UTF8'), decode(value, 'hex'), '[["traceparent", "YWJj"]]' FROM unnest($5::text[], $6::text[], $7::text[]) WITH ORDINALITY AS e (key, event, value, n) ORDER BY n RETURNING id`,
    `no such record ${INJECTED}`, world.topics.groupId, world.topics.events, row!.from,
    events.map((event) => event.user_id), events.map((event) => event.event_id), events.map((event) => (world.record(event).value as Buffer).toString('hex')),
  );
  return rows.map(({ id }) => id);
}
const stateOf = async (id: string): Promise<string | undefined> => (await world.rows<{ state: string }>('SELECT state FROM dead_letters WHERE id = $1', id))[0]?.state;

describe('dead letters', () => {
  test('one: what it says, what was done; nothing is sent without a dry run and a reason', async () => {
    const event = change({ source: INJECTED });
    const [id] = await buried([event]);
    await signedIn(`#/dead-letters?user=${event.user_id}`);
    await page.locator(`a[href="#/dead-letters/${id}"]`).click();
    for (const text of [`no such record ${INJECTED}`, event.item_id, 'Nothing yet', 'traceparent']) await says(page, text);
    await picture(page, 'dead-letter');
    await press(page, 'Redrive …');
    await says(page, 'Not now: the dry run comes first');
    await press(page, 'Dry run');
    await says(page, '1 would be sent. Nothing was done.');
    await picture(page, 'redrive-dry-run');
    expect(await stateOf(id!)).toBe('open');
    await press(page, 'Send 1 again');
    await page.waitForSelector('dialog[open]');
    await page.keyboard.press('Enter'); // nothing without a reason
    expect(await page.evaluate('document.querySelector("dialog[open] input:invalid") !== null')).toBe(true);
    await confirm(page, 'upgraded');
    await says(page, '1 took effect');
    expect(await itemOf(world.pool, event.user_id, event.item_id)).toMatchObject({ on_hand: event.quantity });
    expect(await actions(`dead_letter/${id}`)).toEqual([{ who: 'api', action: 'dlq.redrive', reason: 'upgraded' }]);
    await goTo(page, writable.server, `#/dead-letters/${id}`);
    await says(page, 'Not now: it is sent again already');
    await says(page, '“upgraded”');
  });

  test('one corrected: judged by the contract, sent with its own id', async () => {
    const event = change({ quantity: 5 });
    const [id] = await buried([event]);
    await signedIn(`#/redrive?ids=${id}`);
    await says(page, 'Correct it');
    const correct = async (from: string, to: string): Promise<void> => {
      await page.evaluate(`{ const area = document.getElementById('value'); area.value = area.value.replace(${JSON.stringify(from)}, ${JSON.stringify(to)}); area.dispatchEvent(new Event('input')); }`);
      await press(page, 'Dry run');
    };
    await correct('"quantity": 5', '"quantity": -5');
    await says(page, 'breaks the contract');
    await correct('"quantity": -5', '"quantity": 8');
    await says(page, '1 would be sent');
    await press(page, 'Send 1 again');
    await confirm(page, 'the shop said eight');
    await says(page, '1 took effect');
    expect(await itemOf(world.pool, event.user_id, event.item_id)).toMatchObject({ on_hand: 8, last_event_id: event.event_id });
  });

  test('who buys is not shown, and is kept where a purchase is corrected', async () => {
    const item = change();
    await world.sendEvents(item);
    await world.processed();
    const bought = purchase({ user_id: item.user_id, buyer_id: 'mallory@example.org', lines: [line(item.item_id, 1)], currency: 'EUR' });
    const [id] = await buried([bought]);
    const shown = await (await fetch(`${writable.server.url}/dead-letters/${id}`, { headers: { authorization: `Bearer ${TOKEN}` } })).text();
    expect(shown).not.toContain('mallory');
    const { value } = JSON.parse(shown) as { value: PurchaseRequested };
    expect(value).toMatchObject({ buyer_id: '(not shown)', currency: 'EUR' });
    expect((await post('/dead-letters/redrive', { reason: 'x', ids: [id], dry_run: false, value: { ...value, currency: 'USD' } })).status).toBe(200);
    await until('it is applied', async () => (await world.rows('SELECT FROM purchase_sagas WHERE purchase_id = $1', bought.purchase_id)).length === 1);
    expect(await world.rows('SELECT buyer_id, currency FROM purchase_sagas WHERE purchase_id = $1', bought.purchase_id)).toEqual([{ buyer_id: 'mallory@example.org', currency: 'USD' }]);
  });

  test('many by a filter, at a rate: each is told; what fails again has its new dead letter; exactly what was shown is sent', async () => {
    const user = randomUuid();
    const events = Array.from({ length: 12 }, (_, n) => (n === 7 ? change({ user_id: user, kind: 'ADJUST', quantity: -1 }) : change({ user_id: user })));
    const ids = await buried(events);
    await signedIn(`#/dead-letters?user=${user}`);
    await press(page, 'All of these …');
    await press(page, 'Dry run');
    await says(page, '12 of 12 looked at, oldest first; 12 would be sent');
    const [late] = await buried([change({ user_id: user })]); // after what was shown
    await page.evaluate("document.getElementById('rate').value = '4'");
    const begun = performance.now();
    await press(page, 'Send 12 again');
    await confirm(page, 'upgraded');
    await says(page, '12 of 12 sent.');
    await says(page, '1 dead again');
    await says(page, '11 took effect');
    await says(page, 'would_go_negative');
    expect(performance.now() - begun).toBeGreaterThan(1_500); // 11 at 4 a second
    await picture(page, 'redrive-done');
    expect(await stateOf(late!)).toBe('open');
    expect(new Set(await Promise.all(ids.map(stateOf)))).toEqual(new Set(['redriven']));
  });

  test('given up: the number is typed, the reason is kept', async () => {
    const user = randomUuid();
    const ids = await buried([change({ user_id: user }), change({ user_id: user })]);
    await signedIn(`#/dead-letters?user=${user}`);
    await page.locator(`input[aria-label="choose dead letter ${ids[0]}"]`).click();
    await press(page, 'The chosen …');
    await press(page, 'Dry run');
    await press(page, 'Give 1 up');
    await page.waitForSelector('dialog[open]');
    await page.type('#reason', 'test data');
    await page.keyboard.press('Enter'); // nothing without the number
    expect(await stateOf(ids[0]!)).toBe('open');
    await page.type('#typed', 'give up 1');
    await page.keyboard.press('Enter');
    await says(page, '1 given up');
    expect(await Promise.all(ids.map(stateOf))).toEqual(['discarded', 'open']);
    expect(await actions(`dead_letter/${ids[0]}`)).toEqual([{ who: 'api', action: 'dlq.discard', reason: 'test data' }]);
  });

  test('read-only: the buttons say why, and the routes refuse', async () => {
    const event = change();
    const [id] = await buried([event]);
    await goTo(page, readOnly.server, `#/redrive?ids=${id}`);
    await says(page, 'read-only: it has no token');
    expect(await page.evaluate('[...document.querySelectorAll("main button")].every((button) => button.disabled && document.getElementById(button.getAttribute("aria-describedby")).textContent.length > 9)')).toBe(true);
    await goTo(page, readOnly.server, `#/dead-letters?user=${event.user_id}`);
    await says(page, 'read-only: it has no token');
  });

  test('over HTTP: a dry run unless told otherwise, never "all", never longer than a request may take', async () => {
    const [id] = await buried([change()]);
    expect(await (await post('/dead-letters/redrive', { reason: 'x', ids: [id] })).json()).toMatchObject({ dry_run: true, matching: 1, results: [{ id, outcome: 'would_send' }], next_after: null });
    expect(await (await post('/dead-letters/discard', { reason: 'x', ids: [id] })).json()).toEqual({ dry_run: true, matching: 1, discarded: [] });
    expect(await stateOf(id!)).toBe('open');
    expect((await post('/dead-letters/redrive', { reason: 'x' })).status).toBe(400);
    expect((await post('/dead-letters/redrive', { ids: [id], dry_run: false })).status).toBe(400);
    expect((await post('/dead-letters/redrive', { reason: 'x', ids: [id], dry_run: false, rate: 1, limit: 100 })).status).toBe(400);
    expect((await post('/dead-letters/redrive', { reason: 'x', ids: [id, id], value: {} })).status).toBe(400);
  });
});

describe('a parked user', () => {
  async function park(): Promise<{ user: string; item: string; events: InventoryChanged[] }> {
    await world.pool.query(raising('stock_ledger', { errcode: 'P0001', message: 'refused by the test', when: "NEW.cause = 'refuse me'" }));
    const [user, item] = [randomUuid(), randomUuid()];
    const events = history(user, item, ['SET', 10], ['ADJUST', 1], ['ADJUST', 20]);
    events[1] = { ...events[1]!, source: 'refuse me' };
    await world.sendEvents(...events);
    await world.processed();
    return { user, item, events };
  }

  test('what waits; a dry run that does nothing; a retry once the cause is gone', async () => {
    const { user, item, events } = await park();
    await signedIn('#/parked');
    await page.locator(`a[href="#/parked/${user}"]`).click();
    for (const text of ['2 events wait', 'refused by the test', events[1]!.event_id, events[2]!.event_id]) await says(page, text);
    await press(page, 'Dry run');
    await says(page, '0 would take effect, 2 go on waiting');
    await picture(page, 'parked-user');
    await world.pool.query(WELL);
    await press(page, 'Dry run');
    await says(page, 'All 2 would take effect');
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 10 });
    await press(page, 'Try again');
    await confirm(page, 'the cause is gone');
    await says(page, `User ${user}`);
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 31 });
    expect(await actions(`parked_user/${user}`)).toEqual([{ who: 'api', action: 'parked.retry', reason: 'the cause is gone' }]);
    await goTo(page, writable.server, `#/parked/${user}`);
    await says(page, 'is not parked');
  });

  test('the first given up: typed, and only that one, even if somebody was quicker', async () => {
    const { user, events } = await park();
    await signedIn(`#/parked/${user}`);
    await press(page, 'Give up the first');
    await confirm(page, 'merged', 'give up');
    await says(page, '1 event waits');
    expect(await world.rows('SELECT event_id FROM parked_events WHERE user_id = $1', user)).toEqual([{ event_id: events[2]!.event_id }]);
    expect((await post(`/parked/${user}/discard`, { reason: 'x', event: events[1]!.event_id })).status).toBe(409);
    expect((await post(`/parked/${randomUuid()}/retry`, { reason: 'x' })).status).toBe(404);
    await press(page, 'Try again');
    await confirm(page, 'the rest');
    await until('the user is released', async () => (await world.rows('SELECT FROM parked_users WHERE user_id = $1', user)).length === 0);
  });
});
