import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ConsumerReading } from '../../../src/platform/consumer/index.ts';
import { goTo, openPage, pageForEachTest, picture, says, serveConsole, type ConsoleServer } from '../../support/console.ts';
import { randomUuid } from '../../support/events.ts';
import { SELF } from '../../support/http.ts';

/** Protects: in a real browser each page tells what is there, what is wrong and what to do, also when nothing answers; and runs nothing but its own scripts. */
let page: Page;
let empty: ConsoleServer;
let full: ConsoleServer;
const reading = (): ConsumerReading => ({
  group: 'brx-ingest',
  partitions: [
    { topic: 'brx.marketplace-events', partition: 0, records: 0, seconds: 0, status: 'ok', trend: 0 },
    { topic: 'brx.marketplace-events', partition: 1, records: 1_234, seconds: 61.5, status: 'stall', trend: 400 },
  ],
  topicPartitions: new Map([['brx.marketplace-events', 12]]),
  held: false,
  stillSeconds: 0,
  brokerSeconds: 1,
});
const INJECTED = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
const [USER, ITEM, EVENT] = ['0197a3c2-0000-7000-8000-000000000001', '0197a3d0-0000-7000-8000-000000000002', '0197a3d0-0000-7000-8000-000000000003'];

beforeAll(async () => {
  [empty, full] = await Promise.all([serveConsole(), serveConsole({ self: { ...SELF, consumers: [{ reading }], pools: new Map([['postgres', () => ({ used: 9, idle: 1, max: 10, waiting: 0 })]]) } })]);
  await full.pool.query("INSERT INTO stock_ledger (event_id, user_id, item_id, occurred_at, quantity, delta, on_hand, kind, outcome, cause) VALUES ($1, $2, $3, now(), 3, 3, 3, 'S', 'a', $4)", [EVENT, USER, ITEM, INJECTED]);
  await full.pool.query("INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand, held, flags, price_cents, currency, properties) VALUES ($1, $2, $3, 3, 0, 2, 199, 'EUR', $4)", [USER, ITEM, EVENT, { condition: INJECTED }]);
  await full.pool.query("INSERT INTO marketplace_sellers (user_id, status, status_reason, token, token_key_id, token_hint, app_name) VALUES ($1, 'paused', $2, '\\x00', 'k', '…abcd', 'an app')", [USER, INJECTED]);
  await full.pool.query("INSERT INTO marketplace_listings (user_id, item_id, product_id, blueprint_id, confirmed_at, quantity, price_cents, currency, product, mismatch, gone) VALUES ($1, $2, 77, 1, now(), 3, 199, 'EUR', $3, $4, false)", [USER, ITEM, { name: INJECTED }, { kind: 'fewer', at: 1_700_000_000_000, expected: 3, found: 2 }]);
  await full.pool.query('INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand, held, flags) SELECT $1, gen_random_uuid(), $2, n, 0, 0 FROM generate_series(1, 150) AS n', [USER, EVENT]);
});
afterAll(async () => {
  await empty.close();
  await full.close();
});
pageForEachTest((opened) => (page = opened));

test('health of an empty system: each part says so in words', async () => {
  await goTo(page, empty.server);
  await says(page, 'nobody is parked');
  for (const text of ['no sale is under way', 'there are none', 'this instance reads nothing from Kafka', 'as of']) await says(page, text);
  await picture(page, 'health-empty');
});

test('health: what is wrong comes first, with what to do', async () => {
  await goTo(page, full.server);
  await says(page, 'something is wrong');
  for (const text of ['1 partition does not keep up', 'stands still', '↑ 400 more', 'a pool is above its 80 % line', '1 paused', 'BrxPartitionStalled']) await says(page, text);
  expect(await page.evaluate('document.querySelector(".card h2").textContent')).toContain('wrong');
  await picture(page, 'health');
});

test('users, items, an item: links lead from one to the other, the way back too, and what is injected shows as text', async () => {
  await goTo(page, full.server, '#/users');
  await page.locator(`a[href="#/users/${USER}"]`).click();
  await says(page, 'listing sync');
  await says(page, INJECTED);
  await picture(page, 'user');
  await page.locator(`a[href="#/users/${USER}/items"]`).click();
  await says(page, 'Items of');
  await says(page, 'next page');
  await picture(page, 'items');
  await page.locator('.pager a').click();
  await says(page, 'first page');
  await page.goBack();
  await page.waitForSelector('#choose-status');
  await page.select('#choose-status', 'drifted');
  await page.waitForFunction("location.hash.includes('status=drifted') && document.querySelectorAll('tbody tr').length === 1");
  await page.locator(`a[href="#/users/${USER}/items/${ITEM}"]`).click();
  await says(page, `SET to 3 by ${INJECTED}`);
  await says(page, '3 available');
  expect(await page.$$eval('main img, main script', (found) => found.length)).toBe(0);
  await picture(page, 'item');
  await page.goBack();
  await says(page, 'Items of');
});

test('what changes is shown without a reload', async () => {
  await goTo(page, full.server, `#/users/${USER}/items/${ITEM}`);
  await says(page, '3 available');
  await full.pool.query('UPDATE inventory_items SET on_hand = 42 WHERE user_id = $1 AND item_id = $2', [USER, ITEM]);
  await says(page, '42 available');
  await full.pool.query('UPDATE inventory_items SET on_hand = 3 WHERE user_id = $1 AND item_id = $2', [USER, ITEM]);
});

describe('search', () => {
  test.each([
    ['a user', USER, 'On CardTrader'],
    ['an item', ITEM, 'Why the number is what it is'],
    ['an event', EVENT, 'Why the number is what it is'],
    ['nothing', randomUuid(), 'No user, purchase, event or item'],
    ['what is no id', 'hello <b>', 'That is no id'],
  ])('%s by the keyboard alone', async (_what, id, text) => {
    await goTo(page, full.server);
    await says(page, 'Health');
    await page.keyboard.press('/');
    await page.keyboard.type(id);
    await page.keyboard.press('Enter');
    await says(page, text);
  });

  test('an address typed by hand, with a percent sign that escapes nothing', async () => {
    await goTo(page, full.server, '#/find/100%');
    await says(page, 'That is no id');
  });
});

test('while PostgreSQL is away: the page stays, says what is wrong and what to do, and then is as before', async () => {
  await goTo(page, full.server);
  await says(page, 'something is wrong');
  await full.gate.shut();
  await says(page, /PostgreSQL wrong/);
  await says(page, 'events wait in Kafka and nothing is lost');
  await says(page, '1 partition does not keep up'); // what needs no database is still told
  await picture(page, 'health-database-down');
  await goTo(page, full.server, '#/users');
  await says(page, 'PostgreSQL does not answer');
  await says(page, 'try again in a moment');
  await full.gate.reopen();
  await says(page, USER); // by itself
});

test('while the server itself is away: what was shown stays, and is said to be old', async () => {
  const gone = await serveConsole();
  try {
    await goTo(page, gone.server);
    await says(page, 'nobody is parked');
    await gone.server.stop();
    await says(page, 'this instance of BRX Sync does not answer');
    await says(page, 'nobody is parked');
  } finally {
    await gone.close();
  }
});

test('with a token: asked for, a wrong one refused, the right one kept in this tab only', async () => {
  const guarded = await serveConsole({ token: 'the token of this test' });
  try {
    await goTo(page, guarded.server);
    await says(page, 'A token is needed');
    await page.type('#token', 'wrong');
    await page.keyboard.press('Enter');
    await says(page, 'That was not it');
    await picture(page, 'token');
    await page.type('#token', 'the token of this test');
    await page.keyboard.press('Enter');
    await says(page, 'nobody is parked');
    await page.reload();
    await says(page, 'nobody is parked');
    expect(await page.evaluate('localStorage.length + document.cookie.length')).toBe(0);
    const other = await openPage(page.browser());
    await goTo(other, guarded.server);
    await says(other, 'A token is needed');
    await other.close();
  } finally {
    await guarded.close();
  }
});

test('the files: a strict policy, no store of old ones, 304 for what is known', async () => {
  for (const file of ['', '/app.js', '/console.css', '/icon.svg']) {
    const answer = await fetch(`${empty.server.url}/console${file}`);
    expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';.*frame-ancestors 'none'/);
    expect((await fetch(`${empty.server.url}/console${file}`, { headers: { 'if-none-match': answer.headers.get('etag')! } })).status).toBe(304);
  }
  for (const file of ['/x.js', '/..%2fpackage.json', '/%2e%2e']) expect((await fetch(`${empty.server.url}/console${file}`)).status).toBe(404);
});
