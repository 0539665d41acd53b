import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { JobRow } from '../../../src/bulk-sync/index.ts';
import { addSeller } from '../../../src/marketplace/index.ts';
import { BULK, bulkWorld, type BulkWorld, type Stranger } from '../../support/bulk-world.ts';
import { commandLine, type Ran } from '../../support/cli.ts';
import { change, line, purchase, randomUuid } from '../../support/events.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { createCatalogueDatabase, type TestCatalogueDatabase } from '../../support/mysql.ts';
import { httpUrl } from '../../support/orders-world.ts';
import { stackUrls } from '../../support/stack.ts';
import { startTcpGate, type TcpGate } from '../../support/tcp-gate.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects: a card the catalogue does not know is imported like any other, and named. MySQL that is away, frozen, slow or refuses makes a bulk sync wait, and nobody else: no product is lost, none is
 * called unmapped because nobody could be asked, and the job goes on by itself.
 *
 * Without Redis: what it remembers of one test file would be known in the next.
 */
const UNKNOWN_TTL_MS = 1_000;
/** A blueprint of the simulator's that everybody has heard of. */
const KNOWN = 10_000;
let database: TestCatalogueDatabase;
let gate: TcpGate;
let world: MarketplaceWorld;
let bulk: BulkWorld;
let brx: (argv: readonly string[]) => Promise<Ran>;
let url: string;
/** Blueprints nobody has asked for yet. */
let fresh: number[];

beforeAll(async () => {
  database = await createCatalogueDatabase(stackUrls().mysqlUrl);
  gate = await startTcpGate({ host: '127.0.0.1', port: Number(new URL(database.url).port) });
  const mysql = { BRX_MYSQL_URL: database.through(gate.port), BRX_MYSQL_ACQUIRE_TIMEOUT_MS: '400', BRX_MYSQL_QUERY_TIMEOUT_MS: '400', BRX_CATALOGUE_UNKNOWN_TTL_MS: String(UNKNOWN_TTL_MS), BRX_REDIS_URL: '' };
  world = await createMarketplaceWorld({ env: { ...BULK, ...mysql } });
  bulk = bulkWorld(world);
  ({ brx } = commandLine(world.environment));
  fresh = world.simulator.control.blueprints().map(({ id }) => id).filter((id) => id !== KNOWN);
  await database.behind.query('INSERT INTO cards_prints (id, cardtrader_id) VALUES ?', [world.simulator.control.blueprints().map(({ id }, index) => [index + 1, id])]);
  await world.rows('CREATE TABLE noted (id int GENERATED ALWAYS AS IDENTITY, job_id uuid, chunk int, said text)');
  await world.rows('CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO noted (job_id, chunk, said) VALUES (NEW.job_id, NEW.chunk, NEW.waits_said); RETURN NEW; END $$');
  await world.rows('CREATE TRIGGER note AFTER UPDATE OF waits_said ON bulk_sync_chunks FOR EACH ROW WHEN (NEW.waits_said IS NOT NULL) EXECUTE FUNCTION note()');
  url = httpUrl(await world.start(['ingest', 'saga', 'relay', 'dispatcher', 'http']));
}, 120_000);
afterAll(async () => {
  await world?.close();
  await gate?.close();
  await database?.drop();
});
afterEach(async () => {
  gate.thaw();
  gate.slow(0);
  await gate.shut();
  await gate.reopen();
});

/** A seller whose stock is on CardTrader and not known here: a copy of each of these cards. */
async function sellerOf(blueprints: readonly number[]): Promise<Stranger> {
  const user = randomUuid();
  const account = world.simulator.control.addSeller();
  const products = blueprints.map((blueprintId, index) => world.simulator.control.addProduct(account.id, { blueprintId, quantity: index + 1, priceCents: 100 + index }));
  await addSeller({ postgres: world.postgres, keyring: world.access.keyring, client: world.access.client }, user, account.token, { otherAccount: false, who: 'test', reason: 'test' });
  return { user, sellerId: account.id, products };
}

/** As the API tells it. */
const syncOf = async (jobId: string): Promise<{ waits: { for: string; means: string; detail: string | null; since: string; chunks: number[] } | null }> => (await (await fetch(`${url}/syncs/${jobId}`)).json()) as Awaited<ReturnType<typeof syncOf>>;
const unmapped = async (jobId: string): Promise<[number | null, string][]> => (await bulk.findings(jobId)).filter(({ kind }) => kind === 'unmapped').map(({ productId, cause }) => [productId, cause]);
const stockOf = ({ products }: Stranger): Map<number, number> => new Map(products.map(({ id, quantity }) => [id, quantity]));

describe('cards the catalogue does not know', () => {
  test('are imported like any other, and each is named with the reason; the next job does not name what was added since', async () => {
    const [mapped, unknown, ambiguous] = fresh.splice(0, 3) as [number, number, number];
    await database.behind.query('DELETE FROM cards_prints WHERE cardtrader_id = ?', [unknown]);
    await database.put('pk_prints', 900_001, ambiguous);
    const seller = await sellerOf([mapped, unknown, ambiguous, unknown]);
    const [, second, third, fourth] = seller.products.map(({ id }) => id);

    const job = await bulk.run(seller.user, 'adopt-remote');
    expect(job).toMatchObject({ state: 'DONE', created: 4, unmapped: 3, parked: 0 });
    expect(new Map(await unmapped(job.jobId))).toEqual(new Map([[second, 'unknown_blueprint'], [third, 'ambiguous_blueprint'], [fourth, 'unknown_blueprint']]));
    expect(await bulk.stock(seller.user)).toEqual(stockOf(seller));
    expect(await world.rows('SELECT DISTINCT blueprint_id::float8 AS id FROM inventory_items WHERE user_id = $1 ORDER BY 1', seller.user)).toEqual([mapped, unknown, ambiguous].sort((a, b) => a - b).map((id) => ({ id })));
    const shown = (await brx(['sync', 'show', job.jobId])).stdout;
    expect(shown).toContain('unmapped 3');
    expect(shown).toContain(`unmapped (unknown_blueprint), product ${second}`);
    expect(shown).toContain(`unmapped (ambiguous_blueprint), product ${third}`);

    await database.put('cards_prints', 900_002, unknown);
    const asked = Date.now();
    await until('what was not known is asked for again', () => Promise.resolve(Date.now() > asked + UNKNOWN_TTL_MS));
    const next = await bulk.run(seller.user, 'report');
    expect(next).toMatchObject({ state: 'DONE', same: 4, unmapped: 1 });
    expect(await unmapped(next.jobId)).toEqual([[third, 'ambiguous_blueprint']]);
  });

  test('are sold like any other: a sale on CardTrader takes its copies here', async () => {
    const [unknown] = fresh.splice(0, 1) as [number];
    await database.behind.query('DELETE FROM cards_prints WHERE cardtrader_id = ?', [unknown]);
    const seller = await sellerOf([unknown, unknown]);
    await bulk.run(seller.user, 'adopt-remote');
    const [, product] = seller.products;
    world.simulator.control.sell({ sellerId: seller.sellerId, productId: product!.id, quantity: 1 });
    await world.rows('UPDATE remote_order_polls SET next_poll_at = now() WHERE user_id = $1', seller.user);
    await until('the sale is in stock', async () => (await bulk.stock(seller.user)).get(product!.id) === 1);
  });
});

describe('MySQL', () => {
  /** While it cannot be asked: this job waits, others go on; then all of it is imported, once, with every card mapped. */
  async function waitsAlone(harm: () => Promise<void> | void, mend: () => Promise<void> | void): Promise<void> {
    const warm = await sellerOf([KNOWN]);
    expect(await bulk.run(warm.user, 'adopt-remote')).toMatchObject({ created: 1, unmapped: 0 });
    const listed = await world.seller(5);
    const seller = await sellerOf(fresh.splice(0, 12));
    const neighbour = await sellerOf(Array.from({ length: 7 }, () => KNOWN));

    await harm();
    const jobId = await bulk.ask(seller.user, 'adopt-remote');
    const look = async (): Promise<JobRow> => (await brx(['sync', 'show', jobId, '--json'])).json as JobRow;
    await until('its chunks are under way', async () => (await look()).state === 'APPLYING');
    // Whoever asks is told what is waited for.
    await until('readiness names MySQL', async () => /snapshots waits for nothing.*waiting: MySQL primary/.test(await (await fetch(`${url}/health/ready?verbose`)).text()), { timeoutMs: 30_000 });
    // So is whoever asks about the job, by command and over HTTP, without the password.
    const shown = await until('the job says what it waits for', async () => /^ {2}chunks? [\d, ]+ waits? for the catalogue \(MySQL\) since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: MySQL primary .*$/m.exec((await brx(['sync', 'show', jobId])).stdout)?.[0]);
    const { username, password } = new URL(database.url);
    for (const secret of [`${username}:${password}`, `:${password}@`, '://']) expect(shown).not.toContain(secret);
    expect((await brx(['sync', 'list', seller.user])).stdout).toContain('applying (waits: catalogue)');
    const { waits } = await syncOf(jobId);
    expect(waits).toMatchObject({ for: 'catalogue', means: 'the catalogue (MySQL)', detail: expect.stringContaining('MySQL primary') as string });
    // Another seller, whose cards are known: imported meanwhile.
    expect(await bulk.run(neighbour.user, 'adopt-remote')).toMatchObject({ state: 'DONE', created: 7, unmapped: 0 });
    expect(await bulk.stock(neighbour.user)).toEqual(stockOf(neighbour));
    // An event of the seller who waits, and a sale of another one: no lane is held, and nothing else waits for MySQL.
    const itemId = randomUuid();
    await world.send(change({ user_id: seller.user, item_id: itemId, quantity: 4 }));
    await until('the event has taken effect', async () => (await world.rows('SELECT FROM inventory_items WHERE user_id = $1 AND item_id = $2', seller.user, itemId)).length === 1);
    const sale = purchase({ user_id: listed.user, lines: [line(listed.items[0]!.itemId, 2)] });
    await world.send(sale);
    await world.reached(['CONFIRMED'], sale);
    expect(await look()).toMatchObject({ state: 'APPLYING', chunks: 3, done: 0, parked: 0, created: 0, unmapped: 0 });
    expect(await world.rows("SELECT FROM dead_letters WHERE topic = $1", world.topics.snapshots)).toEqual([]);

    // It is still the same wait, however often it was tried in between; and nothing was written but what was new.
    expect((await syncOf(jobId)).waits?.since).toBe(waits?.since);
    const notes = await world.rows<{ chunk: number; said: string }>('SELECT chunk, said FROM noted WHERE job_id = $1 ORDER BY id', jobId);
    expect(notes.length).toBeGreaterThan(0);
    for (const [index, { chunk, said }] of notes.entries()) expect(notes.slice(0, index).findLast((before) => before.chunk === chunk)?.said).not.toBe(said);

    await mend();
    expect(await bulk.over(jobId)).toMatchObject({ state: 'DONE', products: 12, done: 3, parked: 0, created: 12, unmapped: 0 });
    expect(await bulk.stock(seller.user)).toEqual(stockOf(seller));
    expect(await world.rows("SELECT FROM stock_ledger WHERE user_id = $1 AND cause = 'import'", seller.user)).toHaveLength(12);
    expect(await unmapped(jobId)).toEqual([]);
    expect((await syncOf(jobId)).waits).toBeNull();
    expect(await world.rows('SELECT FROM bulk_sync_chunks WHERE waits_for IS NOT NULL OR waits_said IS NOT NULL')).toEqual([]);
  }

  test('away: connections are refused', async () => {
    await waitsAlone(() => gate.shut(), () => gate.reopen());
  });

  test('frozen: connections are taken, and nothing is said', async () => {
    await waitsAlone(() => gate.freeze(), () => gate.thaw());
  });

  test('slower than is waited for', async () => {
    await waitsAlone(() => gate.slow(5_000), () => gate.slow(0));
  });

  test('refuses: a table is gone for a while', async () => {
    await waitsAlone(
      async () => void (await database.behind.query('RENAME TABLE cards_prints TO cards_prints_of_before')),
      async () => void (await database.behind.query('RENAME TABLE cards_prints_of_before TO cards_prints')),
    );
  });

  test('slow, but within what is waited for: nothing waits longer than that', async () => {
    gate.slow(100);
    const seller = await sellerOf(fresh.splice(0, 12));
    expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', created: 12, unmapped: 0, parked: 0 });
  });

  test('away in another way than before: told as it is now, since the same moment', async () => {
    const seller = await sellerOf(fresh.splice(0, 2));
    await gate.shut();
    const jobId = await bulk.ask(seller.user, 'adopt-remote');
    const refused = await until('it waits', async () => (await syncOf(jobId)).waits ?? undefined);
    gate.freeze();
    await gate.reopen();
    const frozen = await until('it waits for another reason', async () => ((found) => (found !== null && found.detail !== refused.detail ? found : undefined))((await syncOf(jobId)).waits));
    expect(frozen).toEqual({ ...refused, detail: frozen.detail });
    expect([refused.detail, frozen.detail]).toEqual([expect.stringContaining('ECONNREFUSED'), expect.not.stringContaining('ECONNREFUSED')]);
    gate.thaw();
    expect(await bulk.over(jobId)).toMatchObject({ state: 'DONE', created: 2, waitsFor: null });
  });

  test('gone in the middle of a job: what was applied stays, the rest follows', async () => {
    const seller = await sellerOf([...Array.from({ length: 10 }, () => KNOWN), ...fresh.splice(0, 10)]);
    await bulk.run((await sellerOf([KNOWN])).user, 'adopt-remote');
    await gate.shut();
    const jobId = await bulk.ask(seller.user, 'adopt-remote');
    await until('the chunks of known cards are applied', async () => ((await brx(['sync', 'show', jobId, '--json'])).json as JobRow).done === 2, { timeoutMs: 30_000 });
    expect((await bulk.stock(seller.user)).size).toBe(10);
    await until('those that wait are named, and no other', async () => JSON.stringify((await syncOf(jobId)).waits?.chunks) === '[2,3]');
    await gate.reopen();
    expect(await bulk.over(jobId)).toMatchObject({ state: 'DONE', done: 4, created: 20, unmapped: 0 });
    expect(await bulk.stock(seller.user)).toEqual(stockOf(seller));
    expect(await world.rows("SELECT FROM stock_ledger WHERE user_id = $1 AND cause = 'import'", seller.user)).toHaveLength(20);
  });
});
