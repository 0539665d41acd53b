import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { goTo, pageForEachTest, picture, press, says, serveConsole, signIn, type ConsoleServer } from '../../support/console.ts';
import { randomUuid } from '../../support/events.ts';

/** Protects: a sale's story is told, a button that cannot be used says why, and what an operator does is done with a reason, once, and written down. */
const TOKEN = 'the token of this test';
const INJECTED = '<img src=x onerror="alert(1)">';
let page: Page;
let readOnly: ConsoleServer;
let writable: ConsoleServer;

beforeAll(async () => {
  [readOnly, writable] = await Promise.all([serveConsole(), serveConsole({ token: TOKEN })]);
});
afterAll(async () => {
  await readOnly.close();
  await writable.close();
});
pageForEachTest((opened) => (page = opened));

/** A sale whose call to CardTrader cannot be told. */
async function stuckSale({ pool }: ConsoleServer): Promise<{ user: string; item: string; purchase: string }> {
  const [user, item, purchase, event] = [randomUuid(), randomUuid(), randomUuid(), randomUuid()];
  await pool.query("INSERT INTO stock_ledger (event_id, user_id, item_id, occurred_at, quantity, delta, on_hand, kind, outcome, cause) VALUES ($1, $2, $3, now(), 5, 5, 5, 'S', 'a', 'shop')", [event, user, item]);
  await pool.query("INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand, held, flags, price_cents, currency) VALUES ($1, $2, $3, 5, 2, 0, 199, 'EUR')", [user, item, event]);
  const lines = JSON.stringify([{ item_id: item, quantity: 2, unit_price_cents: 199 }]);
  await pool.query("INSERT INTO purchase_sagas (user_id, purchase_id, event_id, started_at, deadline_at, next_action_at, version, state, currency, lines) VALUES ($1, $2, $3, date_trunc('milliseconds', now()), now() + interval '1 hour', now() + interval '1 hour', 3, 'NEEDS_OPERATOR', 'EUR', $4)", [user, purchase, randomUuid(), lines]);
  const steps: [string, string, object][] = [['reserved', 'RESERVED', {}], ['called', 'CALLING', { take: [{ itemId: item, quantity: 2 }] }], ['stuck', 'NEEDS_OPERATOR', { why: 'unexplained' }]];
  for (const [index, [fact, state, detail]] of steps.entries()) await pool.query('INSERT INTO purchase_history (user_id, purchase_id, event_id, at, version, fact, state, detail) VALUES ($1, $2, $3, now(), $4, $5, $6, $7)', [user, purchase, randomUuid(), index + 1, fact, state, detail]);
  await pool.query('INSERT INTO stock_holds (user_id, item_id, purchase_id, quantity) VALUES ($1, $2, $3, 2)', [user, item, purchase]);
  await pool.query("INSERT INTO marketplace_sellers (user_id, status, token, token_key_id, token_hint, app_name) VALUES ($1, 'active', '\\x00', 'k', '…abcd', 'an app')", [user]);
  await pool.query("INSERT INTO marketplace_listings (user_id, item_id, product_id, blueprint_id, confirmed_at, quantity, price_cents, currency, product, gone) VALUES ($1, $2, 77, 1, now(), 5, 199, 'EUR', '{}', false)", [user, item]);
  const evidence = JSON.stringify([{ at: Date.now(), call: 'read', outcome: 'applied', quantity: 5, ms: 12 }, { at: Date.now() + 1, call: 'write', outcome: 'unknown', reason: 'timeout', said: INJECTED }]);
  await pool.query("INSERT INTO marketplace_operations (operation_id, user_id, item_id, purchase_id, product_id, quantity, before, target, kind, state, reason, attempts, evidence) VALUES ($1, $2, $3, $4, 77, 2, 5, 3, 'TAKE', 'NEEDS_OPERATOR', 'unexplained', 1, $5)", [randomUuid(), user, item, purchase, evidence]);
  return { user, item, purchase };
}

const signedIn = (server: ConsoleServer, hash: string): Promise<void> => signIn(page, server.server, TOKEN, hash);

test('no sale: said so', async () => {
  const none = await serveConsole();
  await goTo(page, none.server, '#/sagas');
  await says(page, 'No sale is under way');
  await none.close();
});

test('from the list to the story, and to item and user; read-only buttons say why', async () => {
  const { user, item, purchase } = await stuckSale(readOnly);
  await goTo(page, readOnly.server, '#/sagas');
  await page.locator(`a[href="#/sagas/${purchase}?user=${user}"]`).click();
  for (const text of ['Needs an operator', 'reserved 2 of item', 'TAKE reads the product: 5 copies, 12 ms', INJECTED, 'read-only: it has no token']) await says(page, text);
  expect(await page.evaluate('[...document.querySelectorAll("main button")].every((button) => button.disabled && document.getElementById(button.getAttribute("aria-describedby")).textContent.length > 9)')).toBe(true);
  await page.locator(`a[href="#/users/${user}/items/${item}"]`).click();
  await says(page, 'Held by sales');
  await page.locator(`a[href="#/sagas/${purchase}"]`).click(); // that of the hold, or of its operation
  await says(page, 'What happened');
  await page.keyboard.press('/');
  await page.keyboard.type(purchase);
  await page.keyboard.press('Enter');
  await says(page, 'What happened');
  expect(await page.evaluate('location.hash')).toContain(purchase);
});

test('an operator settles it: a reason is needed, it is done, told and written down, and then the button says why it is off', async () => {
  const { user, purchase } = await stuckSale(writable);
  await signedIn(writable, `#/sagas/${purchase}`);
  await says(page, 'Not now: purchase'); // it cannot be undone while nobody knows what became of it
  await picture(page, 'sale');
  await press(page, 'It took effect');
  await page.waitForSelector('dialog[open]');
  await page.keyboard.press('Enter'); // nothing happens without a reason
  expect(await page.evaluate('document.querySelector("dialog[open] input:invalid") !== null')).toBe(true);
  await picture(page, 'sale-reason');
  await page.type('#reason', `seen there ${INJECTED}`);
  await page.keyboard.press('Enter');
  await says(page, 'Sold, after');
  await says(page, `api: saga.resolve (“seen there ${INJECTED}”)`);
  await says(page, 'is CONFIRMED: it does not need an operator');
  const { rows } = await writable.pool.query('SELECT who, action, reason FROM operator_actions WHERE target = $1', [purchase]);
  expect(rows).toEqual([{ who: 'api', action: 'saga.resolve', reason: `seen there ${INJECTED}` }]);
  expect((await writable.pool.query('SELECT on_hand, held FROM inventory_items WHERE user_id = $1', [user])).rows).toEqual([{ on_hand: 3, held: 0 }]);
});

test('what was seen is over by the time it is done: refused in words, and nothing happens', async () => {
  const { user, purchase } = await stuckSale(writable);
  await signedIn(writable, `#/sagas/${purchase}`);
  await press(page, 'Try again');
  await page.waitForSelector('dialog[open]');
  await writable.pool.query('DELETE FROM stock_holds WHERE user_id = $1', [user]);
  await writable.pool.query("UPDATE purchase_sagas SET state = 'CONFIRMED', version = 4, sold = true, next_action_at = NULL WHERE purchase_id = $1", [purchase]);
  await page.type('#reason', 'again');
  await page.keyboard.press('Enter');
  await says(page, 'it has ended: there is nothing to try again');
  expect((await writable.pool.query('SELECT FROM operator_actions WHERE target = $1', [purchase])).rowCount).toBe(0);
});

test('page by page: each sale once, oldest first', async () => {
  const { pool, server } = readOnly;
  const user = randomUuid();
  await pool.query("INSERT INTO purchase_sagas (user_id, purchase_id, event_id, started_at, deadline_at, next_action_at, version, state, currency, lines) SELECT $1, gen_random_uuid(), gen_random_uuid(), date_trunc('milliseconds', now()) + make_interval(secs => n / 3), now(), now(), 1, 'RESERVED', 'EUR', '[]' FROM generate_series(1, 11) AS n", [user]);
  const seen: string[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const answer: { sagas: { purchase_id: string }[]; next_cursor: string | null } = (await (await fetch(`${server.url}/sagas?limit=4&user=${user}${cursor === '' ? '' : `&cursor=${cursor}`}`)).json()) as never;
    seen.push(...answer.sagas.map(({ purchase_id: id }) => id));
    cursor = answer.next_cursor;
  }
  const { rows } = await pool.query<{ purchase_id: string }>('SELECT purchase_id FROM purchase_sagas WHERE user_id = $1 ORDER BY started_at, purchase_id', [user]);
  expect(seen).toEqual(rows.map(({ purchase_id: id }) => id));
  expect((await fetch(`${server.url}/sagas?cursor=x`)).status).toBe(400);
});
