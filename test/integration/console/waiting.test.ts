import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { goTo, pageForEachTest, picture, says, serveConsole, type ConsoleServer } from '../../support/console.ts';
import { randomUuid } from '../../support/events.ts';

/** Protects: parked users and dead letters are listed a page at a time, however many there are, and health counts them in time. */
const LETTERS = 100_000;
/** Of one look; far above what it takes, far below what a page that reads everything would. */
const SOON_MS = 1_500;
const INJECTED = '<script>alert(1)</script>';
let page: Page;
let empty: ConsoleServer;
let full: ConsoleServer;

beforeAll(async () => {
  [empty, full] = await Promise.all([serveConsole(), serveConsole()]);
  await full.pool.query(
    `INSERT INTO dead_letters (topic, partition, "offset", consumer_group, reason, detail, record_timestamp, record_value, record_headers)
     SELECT 'brx.marketplace-events', n % 12, n, 'brx-ingest', CASE WHEN n = 7 THEN 'key_mismatch' WHEN n % 3 = 0 THEN 'invalid' ELSE 'undecodable' END, $1, now(), convert_to(repeat('x', 300), 'UTF8'), '[]' FROM generate_series(1, ${LETTERS}) AS n`,
    [`letter ${INJECTED}`],
  );
  await full.pool.query("INSERT INTO parked_users (user_id, reason, error, parked_at) SELECT gen_random_uuid(), 'data', $1, now() - make_interval(secs => n / 4) FROM generate_series(1, 120) AS n", [`error ${INJECTED}`]);
});
afterAll(async () => {
  await empty.close();
  await full.close();
});
pageForEachTest((opened) => (page = opened));

test('none: said so', async () => {
  await goTo(page, empty.server, '#/dead-letters');
  await says(page, 'There are none');
  await goTo(page, empty.server, '#/parked');
  await says(page, 'Nobody is parked');
});

test('100,000 dead letters: health counts them, and the list comes soon', async () => {
  await goTo(page, full.server);
  await says(page, '100,000 are kept, or more');
  await says(page, '120 users wait');
  await page.locator('nav a[href="#/dead-letters"]').click();
  await says(page, `letter ${INJECTED}`);
  expect(await page.evaluate('document.querySelectorAll("tbody tr").length')).toBe(50);
  await picture(page, 'dead-letters');
  await page.locator('.pager a').click();
  await says(page, `/ 2 @ ${LETTERS - 50}`);
  await page.select('#choose-reason', 'key_mismatch');
  await says(page, '/ 7 @ 7');
  for (const path of ['/overview', '/dead-letters?limit=500', '/dead-letters?reason=key_mismatch']) {
    const begun = performance.now();
    expect((await fetch(`${full.server.url}${path}`)).status).toBe(200);
    expect(performance.now() - begun, path).toBeLessThan(SOON_MS);
  }
});

test('parked users: longest first, each once, page by page', async () => {
  await goTo(page, full.server, '#/parked');
  await says(page, `error ${INJECTED}`);
  await picture(page, 'parked');
  const seen: string[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const answer = (await (await fetch(`${full.server.url}/parked?limit=7${cursor === '' ? '' : `&cursor=${cursor}`}`)).json()) as { parked: { user_id: string }[]; next_cursor: string | null };
    seen.push(...answer.parked.map(({ user_id: user }) => user));
    cursor = answer.next_cursor;
  }
  const { rows } = await full.pool.query<{ user_id: string }>("SELECT user_id FROM parked_users ORDER BY date_trunc('milliseconds', parked_at), user_id");
  expect(seen).toEqual(rows.map(({ user_id: user }) => user));
});

test('while PostgreSQL is away, and afterwards', async () => {
  await full.gate.shut();
  await goTo(page, full.server, '#/parked');
  await says(page, 'PostgreSQL does not answer');
  await goTo(page, full.server, `#/sagas/${randomUuid()}`);
  await says(page, 'PostgreSQL does not answer');
  await full.gate.reopen();
  await says(page, 'there is no purchase');
});
