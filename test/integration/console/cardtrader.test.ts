import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BULK, bulkWorld, type BulkWorld } from '../../support/bulk-world.ts';
import { confirm, goTo, pageForEachTest, picture, press, says, serveConsole, signIn, type ConsoleServer } from '../../support/console.ts';
import { instance } from '../../support/limiter.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { startPrivateRedis } from '../../support/stack.ts';
import { until } from '../../support/wait.ts';

/** Protects: who uses how much of CardTrader's limit is told, a bulk sync is asked for, watched and called off, and a seller paused, in the browser, as the commands do it. */
const TOKEN = 'the token of this test';
let page: Page;
let world: MarketplaceWorld;
let bulk: BulkWorld;
let writable: ConsoleServer;
let readOnly: ConsoleServer;

beforeAll(async () => {
  world = await createMarketplaceWorld({ env: BULK });
  bulk = bulkWorld(world);
  await world.startAll();
  const over = { database: world.database, topicPrefix: world.topics.prefix, groupId: world.topics.groupId, replays: () => [] };
  const limits = { limiter: world.access.limiter, calls: true, isShared: true, windowMs: 10_000 };
  [writable, readOnly] = await Promise.all([serveConsole({ token: TOKEN, over, limits }), serveConsole({ over, limits })]);
});
afterAll(async () => {
  await writable.close();
  await readOnly.close();
  await world.close();
});
pageForEachTest((opened) => (page = opened));

const signedIn = (hash: string): Promise<void> => signIn(page, writable.server, TOKEN, hash);
const actions = (target: string) => world.rows<{ who: string; action: string; reason: string }>("SELECT who, action, reason FROM operator_actions WHERE target = $1 AND who LIKE 'api%' ORDER BY id", target);

test('the limit: the busiest sellers, who is held up by a 429, from health and from the user', async () => {
  const [busy, held] = [await bulk.stranger(1), await bulk.stranger(1)];
  const { limiter } = world.access;
  for (let n = 0; n < 30; n += 1) await limiter.take(busy.user);
  await limiter.throttled(held.user, { retryAfterMs: 60_000 });
  await until('it is noted', async () => (await limiter.busiest(500)).sellers.some(({ userId }) => userId === held.user));
  const { sellers } = (await (await fetch(`${readOnly.server.url}/limits`)).json()) as { sellers: { user_id: string; used: number; limit: number; paused_seconds: number }[] };
  expect(sellers[0]).toMatchObject({ user_id: held.user, limit: 140 }); // who is held up comes first
  expect(sellers.find(({ user_id: user }) => user === busy.user)?.used).toBeGreaterThanOrEqual(30);
  await goTo(page, readOnly.server);
  await says(page, /\d paused after a 429/);
  await page.locator('.card a[href="#/limits"]').click();
  await says(page, 'paused for');
  expect(await page.evaluate('document.querySelector("tbody tr").textContent')).toContain(held.user);
  await says(page, busy.user);
  await picture(page, 'limits');
  await page.locator(`a[href="#/users/${held.user}"]`).click();
  await says(page, 'every request');
  await says(page, 'paused for');
  await picture(page, 'user-held-up');
});

test('while Redis is away: each process counts alone, which is said, and taken back by itself', async () => {
  const redis = await startPrivateRedis();
  const one = instance(redis.url);
  const alone = await serveConsole({ limits: { limiter: one.limiter, calls: true, isShared: true, windowMs: 1_000 } });
  try {
    await one.limiter.take('5e11e400-0000-4000-8000-000000000001');
    await goTo(page, alone.server);
    await says(page, /Limit of CardTrader good/);
    await redis.kill();
    await says(page, 'Redis does not answer: this process counts alone, at a share of the limit');
    await until('it goes on alone', () => one.limiter.take('5e11e400-0000-4000-8000-000000000002').then(() => true));
    await goTo(page, alone.server, '#/limits');
    await says(page, 'by each process alone, at a share of the limit');
    await says(page, '1 of 20');
    await picture(page, 'limits-alone');
    await redis.start();
    await until('it is counted together again', () => one.limiter.source === 'shared');
    await one.limiter.take('5e11e400-0000-4000-8000-000000000001');
    await goTo(page, alone.server);
    await says(page, /Limit of CardTrader good/);
  } finally {
    await alone.close();
    await one.close();
    await redis.remove();
  }
});

test('a bulk sync: asked for with a mode, seen to its end, with what came of it and why; written down', async () => {
  const seller = await bulk.stranger(1, 2, 3, 4, 5, 6, 7);
  await signedIn(`#/users/${seller.user}`);
  await page.locator(`a[href="#/syncs?user=${seller.user}"]`).click();
  await says(page, 'There was none yet');
  await press(page, 'Ask for one');
  await page.waitForSelector('dialog[open]');
  await picture(page, 'sync-ask');
  await page.select('#field-mode', 'adopt-remote');
  await page.locator('#field-dry_run').click(); // no dry run
  await confirm(page, 'first import');
  await says(page, 'Bulk sync');
  await says(page, '7 created');
  for (const text of ['done', '2 of 2', '7 unmapped', 'no catalogue is configured', 'CardTrader has it and it was not known here', 'Not now: it has ended']) await says(page, text);
  await picture(page, 'sync');
  expect((await bulk.stock(seller.user)).size).toBe(7);
  expect(await actions(seller.user)).toEqual([{ who: 'api', action: 'sync.request', reason: 'first import' }]);
  await goTo(page, writable.server, '#/syncs');
  await says(page, 'adopt-remote');
  await picture(page, 'syncs');
});

test('called off while it is under way; meanwhile another one cannot be asked for, and the button says so', async () => {
  const seller = await bulk.stranger(1);
  world.simulator.control.inject({ kind: 'slow_answer', delayMs: 8_000, when: { sellerId: seller.sellerId, path: '/products/export' } });
  const job = await bulk.ask(seller.user, 'report');
  await signedIn(`#/syncs?user=${seller.user}`);
  await says(page, 'Not now: one is under way');
  await page.locator(`a[href="#/syncs/${job}"]`).click();
  await says(page, /reads the export|waits for a dispatcher/);
  await picture(page, 'sync-under-way');
  await press(page, 'Call it off');
  await confirm(page, 'not now');
  await says(page, 'called off');
  expect((await actions(seller.user)).map(({ action }) => action)).toEqual(['sync.cancel']);
});

test('a chunk that was refused: when it is tried again, and that another job may be asked for; one that waits for MySQL: since when, and what it says', async () => {
  const seller = await bulk.stranger(1);
  await world.rows(`ALTER TABLE marketplace_listings ADD CONSTRAINT refused_by_test CHECK (product_id <> ${seller.products[0]!.id}) NOT VALID`);
  const job = await bulk.ask(seller.user, 'adopt-remote');
  await until('its chunk is put aside', async () => (await world.rows("SELECT FROM bulk_sync_jobs WHERE job_id = $1 AND due_at > now() AND state = 'APPLYING' AND lease_owner IS NULL", job)).length === 1);
  await world.rows('ALTER TABLE marketplace_listings DROP CONSTRAINT refused_by_test');
  await signedIn(`#/syncs?user=${seller.user}`);
  await says(page, 'tries again later');
  expect(await page.evaluate('document.body.innerText')).not.toContain('Not now: one is under way');
  await page.locator(`a[href="#/syncs/${job}"]`).click();
  await says(page, /refused_by_test/);
  await says(page, /at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d/);
  await world.rows("UPDATE bulk_sync_chunks SET state = 'SENT', sent_at = now(), next_try_at = NULL, waits_for = 'catalogue', waits_said = 'MySQL primary: gone', waits_since = '2026-01-02 03:04:05Z' WHERE job_id = $1", job);
  await goTo(page, writable.server, `#/syncs/${job}`);
  await says(page, 'Chunk 0 for the catalogue (MySQL) since 2026-01-02 03:04:05: MySQL primary: gone. It goes on by itself.');
  await picture(page, 'sync-waits');
});

test('paused and resumed with a reason; each button says why when it cannot be used', async () => {
  const seller = await bulk.stranger(1);
  await goTo(page, readOnly.server, `#/users/${seller.user}`);
  await says(page, 'Not now: this instance is read-only');
  await signedIn(`#/users/${seller.user}`);
  await says(page, 'Not now: it is not paused');
  await press(page, 'Pause');
  await confirm(page, 'asked for by the seller');
  await says(page, 'Not now: it is paused already');
  await page.locator(`a[href="#/syncs?user=${seller.user}"]`).click();
  await says(page, 'the account is paused: CardTrader is not called for it');
  await page.goBack();
  await press(page, 'Resume');
  await confirm(page, 'asked for again');
  await says(page, 'Not now: it is not paused');
  expect((await actions(seller.user)).map(({ action, reason }) => [action, reason])).toEqual([['users.pause', 'asked for by the seller'], ['users.resume', 'asked for again']]);
});
