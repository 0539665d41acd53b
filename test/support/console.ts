import type pg from 'pg';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { findChromium, readSettings } from '../../stack/index.ts';
import { apiRoutes, consoleRoutes, createHttpServer, report, type ApiDeps, type HttpServer, type SelfDeps } from '../../src/http/index.ts';
import { MARKETPLACE_RECORDS } from '../../src/ingest/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createCodec, createRegistry } from '../../src/platform/kafka/index.ts';
import { createPurchaseContext, operateSaga } from '../../src/purchase/index.ts';
import { Decoder } from '../../src/records/index.ts';
import { stackUrls } from './stack.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { createMetrics } from '../../src/platform/metrics.ts';
import { createPostgres, createReaders, type Postgres } from '../../src/platform/postgres/index.ts';
import { databaseConfig } from './database-config.ts';
import { createTestDatabase, openPool, type TestDatabase } from './database.ts';
import { REST, SELF } from './http.ts';
import { startTcpGate, type TcpGate } from './tcp-gate.ts';

/** As root Chromium cannot make its sandbox; it opens nothing here but this server's pages. */
async function openBrowser(): Promise<Browser> {
  const executablePath = await findChromium(readSettings(), (line) => process.stderr.write(`console: ${line}\n`));
  return puppeteer.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--force-color-profile=srgb'], env: { PATH: process.env['PATH'] } });
}

export interface ConsoleServer {
  readonly server: HttpServer;
  /** For writing what is to be seen. */
  readonly pool: pg.Pool;
  /** Before the database the server reads. */
  readonly gate: TcpGate;
  close(): Promise<void>;
}

export interface ConsoleOptions {
  token?: string;
  self?: SelfDeps;
  limits?: ApiDeps['limits'];
  /** Somebody else's database and topics, which stay. */
  over?: { database: TestDatabase; topicPrefix: string; groupId: string; replays: (postgres: Postgres) => ApiDeps['replays'] };
}

/** The console and the API over a database of their own. */
export async function serveConsole({ token, self = SELF, limits = REST.limits, over }: ConsoleOptions = {}): Promise<ConsoleServer> {
  const database = over?.database ?? (await createTestDatabase());
  const gate = await startTcpGate({ host: '127.0.0.1', port: Number(new URL(database.url).port) });
  const through = new URL(database.url);
  through.port = String(gate.port);
  const pool = openPool(database, 2);
  const logger = silentLogger;
  const postgres = createPostgres(databaseConfig(through.toString(), { acquireTimeoutMs: 500 }), { logger, applicationName: 'console', keyLookupsOnly: false });
  const readers = createReaders({ urls: [], poolMax: 2, maxLagMs: 1_000, waitMs: 100 }, postgres.config, { primary: postgres, logger, applicationName: 'console' });
  const topicPrefix = over?.topicPrefix ?? '';
  const registry = createRegistry({ url: stackUrls().registryUrl, username: undefined, password: undefined });
  const [codec, purchase] = [createCodec(registry), createPurchaseContext(registry, { topicPrefix, holdMs: 60_000 })];
  const deps: ApiDeps = {
    ...REST,
    readers,
    postgres,
    self: { ...self, isWritable: token !== undefined },
    operate: (...what) => operateSaga({ postgres, clock: systemClock, purchase, onRetry: () => undefined }, ...what),
    limits,
    redrive: { postgres, codec, registry, clock: systemClock, topicPrefix, horizonMs: 30 * 86_400_000 },
    parking: { postgres, decoder: new Decoder(codec, MARKETPLACE_RECORDS), consumerGroup: over?.groupId ?? 'brx-ingest', clock: systemClock, purchase },
    ...(over !== undefined && { replays: over.replays(postgres) }),
  };
  const fine = report([]);
  const server = createHttpServer({
    config: { host: '127.0.0.1', port: 0, token, rateLimit: 100_000 },
    logger,
    metrics: createMetrics({ process: false }),
    health: { live: () => fine, ready: () => Promise.resolve(fine) },
    routes: [...apiRoutes(deps), ...consoleRoutes()],
  });
  await server.start();
  return {
    server,
    pool,
    gate,
    async close() {
      await server.stop();
      await readers.close();
      await postgres.close();
      await pool.end();
      await gate.close();
      if (over === undefined) await database.drop();
    },
  };
}

/** A page that remembers what a browser complains of: a script that failed, a policy that was broken. What the API refuses is expected, and told otherwise. */
export async function openPage(browser: Browser): Promise<Page & { readonly complaints: string[] }> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if ((message.type() === 'error' || message.type() === 'warn') && !/Failed to load resource: (?:the server responded with a status of (?:400|401|403|404|409|503)|net::ERR_CONNECTION_REFUSED)/.test(message.text())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return Object.assign(page, { complaints });
}

/** Hands `use` a new page before each test of the file; what it complains of fails the test: no script failed, no policy was broken, nothing smuggled in ran. */
export function pageForEachTest(use: (page: Awaited<ReturnType<typeof openPage>>) => void): void {
  let browser: Browser;
  let page: Awaited<ReturnType<typeof openPage>>;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  beforeEach(async () => {
    page = await openPage(browser);
    use(page);
  });
  afterEach(async () => {
    expect(page.complaints).toEqual([]);
    await page.close();
  });
  afterAll(() => browser.close());
}

/** Waits until the page says so; the failure tells what it said instead. */
export async function says(page: Page, text: string | RegExp): Promise<void> {
  const deadline = Date.now() + 15_000;
  const body = (): Promise<string> => page.$eval('body', (element) => (element as unknown as { innerText: string }).innerText);
  const has = (seen: string): boolean => (typeof text === 'string' ? seen.includes(text) : text.test(seen));
  for (;;) {
    const seen = await body();
    if (has(seen)) return;
    if (Date.now() > deadline) expect(seen).toMatch(text);
    await page.evaluate('new Promise(requestAnimationFrame)');
  }
}

/** Goes to an address of the console, as its links do. */
export async function goTo(page: Page, server: HttpServer, hash = '#/'): Promise<void> {
  await page.goto('about:blank');
  await page.goto(`${server.url}/console${hash}`);
}

/** The same where a token is asked for. */
export async function signIn(page: Page, server: HttpServer, token: string, hash: string): Promise<void> {
  await goTo(page, server, hash);
  await says(page, 'A token is needed');
  await page.type('#token', token);
  await page.keyboard.press('Enter');
}

/** Presses the button that says so, once it is there and can be used. */
export async function press(page: Page, text: string, within = 'main'): Promise<void> {
  const path = `::-p-xpath(//${within}//button[normalize-space()="${text}" and not(@disabled)])`;
  await page.waitForSelector(path, { timeout: 15_000 });
  await page.locator(path).click();
}

/** Gives the reason a dialog asks for, what it wants typed, and says yes. */
export async function confirm(page: Page, reason: string, typed?: string): Promise<void> {
  await page.waitForSelector('dialog[open]');
  await page.type('#reason', reason);
  if (typed !== undefined) await page.type('#typed', typed);
  await page.keyboard.press('Enter');
}

/** For whoever wants to look: written where BRX_SCREENSHOTS says, nowhere otherwise. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env['BRX_SCREENSHOTS'];
  if (folder === undefined) return;
  const shots: [string, 'light' | 'dark', number][] = [['light', 'light', 1_200], ['dark', 'dark', 1_200], ['phone', 'light', 390]];
  for (const [kind, scheme, width] of shots) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.setViewport({ width, height: 800 });
    await page.screenshot({ path: `${folder}/${name}-${kind}.png`, fullPage: width > 1_000 });
  }
}
