import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { seedCatalogue } from '../../../src/catalogue/index.ts';
import { PRINT_TABLES } from '../../../src/catalogue/mapping.ts';
import { countPrints, findPrints, MOST_IDS, nextBlueprintIds } from '../../../src/catalogue/prints.sql.ts';
import type { Mysql, Row, RunStatement } from '../../../src/platform/mysql/index.ts';
import { createCatalogueDatabase, mysqlOf, type TestCatalogueDatabase } from '../../support/mysql.ts';
import { rejection } from '../../support/redis.ts';
import { stackUrls } from '../../support/stack.ts';

/** Protects: made-up prints never mix with anyone's, and on a catalogue of real size every look-up walks the index of all four tables. */
let database: TestCatalogueDatabase;
let mysql: Mysql;

beforeAll(async () => {
  database = await createCatalogueDatabase(stackUrls().mysqlUrl, { tables: false });
  mysql = mysqlOf({ url: database.url, queryTimeoutMs: 20_000 });
});
afterAll(async () => {
  await mysql.close();
  await database.drop();
});
afterEach(() => database.behind.query('DELETE FROM op_prints WHERE brx_seed IS NULL'));

const rows = async (sql: string): Promise<Row[]> => (await database.behind.query(sql))[0] as Row[];
const contents = async (): Promise<string> => JSON.stringify(await Promise.all(PRINT_TABLES.map((table) => rows(`SELECT * FROM ${table} ORDER BY id`))));

describe('seed', () => {
  test('makes the tables and fills them; the same again is the same, another seed replaces it', async () => {
    const written = await seedCatalogue(mysql, { rows: 12_000, seed: 7 });
    expect(Object.values(written).reduce((sum, count) => sum + count, 0)).toBe(12_000);
    const first = await contents();
    const told: number[] = [];
    await seedCatalogue(mysql, { rows: 12_000, seed: 7, onProgress: (done) => told.push(done) });
    expect(await contents()).toBe(first);
    expect(told.at(-1)).toBe(12_000);
    await seedCatalogue(mysql, { rows: 500, seed: 8 });
    const [count] = await rows('SELECT (SELECT count(*) FROM cards_prints) + (SELECT count(*) FROM op_prints) + (SELECT count(*) FROM pk_prints) + (SELECT count(*) FROM sealed_products) AS n');
    expect(Number(count?.['n'])).toBe(500);
  });

  test('refuses rows it did not write, and changes none', async () => {
    await seedCatalogue(mysql, { rows: 500, seed: 1 });
    await database.put('op_prints', 90_000, 5);
    const before = await contents();
    expect((await rejection(seedCatalogue(mysql, { rows: 600, seed: 1 }))).error).toMatchObject({ code: 'BRX_REFUSED', message: expect.stringContaining('op_prints of MySQL primary') as string });
    expect((await rejection(seedCatalogue(mysql, { rows: 600, seed: 1, evenIfNotLocal: true }))).error).toMatchObject({ code: 'BRX_REFUSED' });
    expect(await contents()).toBe(before);
  });

  test('refuses tables made by somebody else, empty or not', async () => {
    const other = await createCatalogueDatabase(stackUrls().mysqlUrl, { tables: false });
    await other.behind.query('CREATE TABLE pk_prints (id INT PRIMARY KEY, cardtrader_id INT)');
    const theirs = mysqlOf({ url: other.url });
    expect((await rejection(seedCatalogue(theirs, { rows: 10, seed: 1 }))).error).toMatchObject({ code: 'BRX_REFUSED', message: expect.stringContaining('pk_prints of MySQL') as string });
    expect((await theirs.query('SHOW TABLES')).length).toBe(1);
    await theirs.close();
    await other.drop();
  });

  test('refuses a server elsewhere unless told, before it asks it anything', async () => {
    const elsewhere = { isLocal: false, title: 'primary (db.example:3306/shop)', session: () => Promise.reject(new Error('was asked')) };
    expect((await rejection(seedCatalogue(elsewhere, { rows: 10, seed: 1 }))).error).toMatchObject({ code: 'BRX_REFUSED', message: expect.stringContaining('db.example') as string });
    expect((await rejection(seedCatalogue(elsewhere, { rows: 10, seed: 1, evenIfNotLocal: true }))).error).toMatchObject({ message: 'was asked' });
  });

  test('is one at a time', async () => {
    const results = await Promise.allSettled([1, 2, 3].map((seed) => seedCatalogue(mysql, { rows: 8_000, seed })));
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    expect(refused.length).toBeGreaterThanOrEqual(1);
    expect(refused.length).toBeLessThan(3);
    for (const error of refused) expect(error).toMatchObject({ code: 'BRX_REFUSED', message: expect.stringContaining('another `catalogue seed`') as string });
    const seeds = await Promise.all(PRINT_TABLES.map((table) => rows(`SELECT DISTINCT brx_seed FROM ${table}`)));
    expect(new Set(seeds.flat().map((row) => row['brx_seed'])).size).toBe(1);
  });
});

describe('with 200,000 prints', () => {
  let sent: { sql: string; values: readonly unknown[] }[];
  const run: RunStatement = (sql, values = []) => {
    sent.push({ sql, values });
    return mysql.query(sql, values);
  };
  const plan = async (): Promise<Row[]> => [...(await mysql.query(`EXPLAIN ${sent[0]!.sql}`, sent[0]!.values))];

  beforeAll(async () => {
    await seedCatalogue(mysql, { rows: 200_000, seed: 1 });
    for (const table of PRINT_TABLES) await database.behind.query(`ANALYZE TABLE ${table}`);
  });

  test.each([1, 50, MOST_IDS])('a look-up of %i blueprints walks the index of each table', async (many) => {
    sent = [];
    const ids = Array.from({ length: many }, (_, n) => 10_000 + n * 397);
    const found = await findPrints(run, ids);
    expect(found.size).toBe(many);
    expect([...found.values()].filter((prints) => prints.length > 0).length).toBeGreaterThan(many * 0.9 - 1);
    expect(sent).toHaveLength(1);
    const steps = (await plan()).filter((step) => typeof step['table'] === 'string' && !step['table'].startsWith('<'));
    expect(steps.map((step) => step['table'])).toEqual([...PRINT_TABLES]);
    for (const step of steps) {
      expect(step).toMatchObject({ key: `${step['table'] as string}_cardtrader_id` });
      expect(['range', 'ref']).toContain(step['type']);
    }
  });

  test('ids come in order, each once, a page at a time, and their number is told', async () => {
    sent = [];
    const first = await nextBlueprintIds(run, 0, 1_000);
    expect(first).toEqual([...new Set(first)].toSorted((a, b) => a - b));
    expect(first).toHaveLength(1_000);
    expect((await nextBlueprintIds(run, first.at(-1)!, 3))[0]).toBeGreaterThan(first.at(-1)!);
    expect(await nextBlueprintIds(run, 10_000_000, 10)).toEqual([]);
    for (const step of (await plan()).filter((one) => PRINT_TABLES.some((table) => table === one['table']))) expect(step).toMatchObject({ type: 'range', key: `${step['table'] as string}_cardtrader_id` });
    const counts = await countPrints(run);
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(195_000);
  });
});
