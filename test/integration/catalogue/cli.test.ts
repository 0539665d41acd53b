import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis as Client } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';
import { createCatalogueDatabase, type TestCatalogueDatabase } from '../../support/mysql.ts';
import { observer } from '../../support/redis.ts';
import { stackUrls, startPrivateRedis, type PrivateService } from '../../support/stack.ts';

/** `brx-sync catalogue` as operators and scripts use it. */
let database: TestCatalogueDatabase;
let server: PrivateService;
let behind: Client;
const folder = mkdtempSync(join(tmpdir(), 'brx-catalogue-'));

beforeAll(async () => {
  [database, server] = [await createCatalogueDatabase(stackUrls().mysqlUrl, { tables: false }), await startPrivateRedis()];
  behind = observer(server.url);
  expect((await catalogue(['seed', '--rows', '2000', '--json'])).exit).toBe(0);
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  behind.disconnect();
  await server.remove();
  await database.drop();
});

async function catalogue(argv: string[], environment: Record<string, string> = {}): Promise<{ exit: number; stdout: string; stderr: string; json: unknown }> {
  const said = { stdout: '', stderr: '' };
  const exit = await runCli(['catalogue', ...argv], {
    stdout: { write: (text) => (said.stdout += text) },
    stderr: { write: (text) => (said.stderr += text) },
    host: Object.assign(new EventEmitter(), { exit: () => undefined }),
    environment: { BRX_KAFKA_BROKERS: stackUrls().kafkaBrokers, BRX_SCHEMA_REGISTRY_URL: stackUrls().registryUrl, BRX_DATABASE_URL: stackUrls().databaseUrl, BRX_MYSQL_URL: database.url, BRX_REDIS_URL: server.url, ...environment },
  });
  return { exit, ...said, json: said.stdout.startsWith('{') || said.stdout.startsWith('[') ? (JSON.parse(said.stdout) as unknown) : undefined };
}

test('seed: says what it wrote and how to have it again; empties what Redis knew', async () => {
  await behind.set('blueprint_mapping:10000', 'op_prints:77');
  const { exit, stdout } = await catalogue(['seed', '--rows', '2000']);
  expect([exit, stdout]).toEqual([0, expect.stringMatching(/cards_prints +1,\d{3}\n[^]*2,000 prints in MySQL primary \(127\.0\.0\.1:\d+\/brx_test_\w+\) after .*--rows 2000 --seed 1\n$/)]);
  expect(await behind.get('blueprint_mapping:10000')).toBeNull();
});

test('lookup: a table for people, JSON for scripts, each id once and in order', async () => {
  const { exit, stdout } = await catalogue(['lookup', '10001', '10000', '999', '10001']);
  expect(exit).toBe(0);
  expect(stdout.split('\n').map((line) => line.trim().split(/ {2,}/)[0])).toEqual(['blueprint', '10001', '10000', '999', '']);
  expect(stdout).toMatch(/ 999 {2}unknown +mysql\n/);
  const { json } = await catalogue(['lookup', '10000', '999', '--json']);
  expect(json).toEqual([
    { blueprintId: 10000, kind: 'print', print: { table: expect.stringMatching(/prints|products/) as string, id: expect.any(Number) as number }, source: 'redis' },
    { blueprintId: 999, kind: 'unknown', source: 'redis' },
  ]);
});

test('lookup: an ambiguous blueprint is shown with all its prints, and what to do', async () => {
  await database.behind.query('UPDATE cards_prints SET cardtrader_id = 31 WHERE id IN (901, 902)');
  const { exit, stdout, stderr } = await catalogue(['lookup', '31']);
  expect([exit, stdout]).toEqual([0, expect.stringContaining('ambiguous: cards_prints:901 cards_prints:902')]);
  expect(stderr).toContain('correct it there');
});

test('lookup without Redis, and with one that is away', async () => {
  expect((await catalogue(['lookup', '10002'], { BRX_REDIS_URL: '' })).stdout).toContain('mysql');
  const { exit, stdout, stderr } = await catalogue(['lookup', '10002'], { BRX_REDIS_URL: 'redis://127.0.0.1:1' });
  expect([exit, stdout]).toEqual([0, expect.stringContaining('mysql')]);
  expect(stderr).toContain('Redis does not answer; asking MySQL directly');
});

test('warm, invalidate: ids, a file, everything', async () => {
  expect((await catalogue(['warm', '10000', '999', '--json'])).json).toMatchObject({ print: 1, unknown: 1, ambiguous: 0 });
  expect((await catalogue(['invalidate', '10000', '--json'])).json).toEqual({ invalidated: [10000], inRedis: 1 });
  const file = join(folder, 'ids');
  writeFileSync(file, '10000\r\n\n 10002 \n');
  expect((await catalogue(['warm', '--file', file])).stdout).toMatch(/^2 blueprints in Redis after .*: 2 prints, 0 unknown, 0 ambiguous\n$/);
  const all = (await catalogue(['warm', '--all', '--json'])).json as { print: number };
  expect(all.print).toBeGreaterThan(1_900);
  expect((await catalogue(['invalidate', '--all'])).exit).toBe(0);
  expect(await behind.keys('blueprint_mapping:*')).toEqual([]);
});

test.each([
  ['no choice', ['warm'], 2, /warm takes either ids, --file or --all/],
  ['two choices', ['warm', '1', '--all'], 2, /warm takes either ids, --file or --all/],
  ['nothing to forget', ['invalidate'], 2, /invalidate takes either ids or --all/],
  ['no number', ['lookup', 'x'], 2, /A blueprint id is a whole number above 0/],
  ['no file', ['warm', '--file', '/nowhere/ids'], 65, /\/nowhere\/ids cannot be read: ENOENT/],
])('%s is told', async (_what, argv, exit, problem) => {
  expect(await catalogue(argv)).toMatchObject({ exit, stderr: expect.stringMatching(problem) as string });
});

test('a file with something else in it is told with its line', async () => {
  const file = join(folder, 'bad');
  writeFileSync(file, '10000\n10001,foil\n');
  expect(await catalogue(['warm', '--file', file])).toMatchObject({ exit: 65, stderr: expect.stringContaining(`${file}, line 2: "10001,foil" is no blueprint id`) as string });
});

test('what is away or not set is told, without a password', async () => {
  const hush = 'mysql://brx:hush-hush@127.0.0.1:1/brx';
  for (const [environment, exit, problem] of [
    [{ BRX_MYSQL_URL: hush }, 69, 'BRX_MYSQL_UNAVAILABLE: MySQL primary (127.0.0.1:1/brx): connect ECONNREFUSED'],
    [{ BRX_MYSQL_URL: '' }, 78, 'BRX_MYSQL_URL is not set'],
    [{ BRX_MYSQL_URL: `${hush}?connectionLimit=5` }, 78, 'must not have the parameter connectionLimit'],
  ] as const) {
    const ended = await catalogue(['lookup', '424242'], environment);
    expect(ended).toMatchObject({ exit, stderr: expect.stringContaining(problem) as string });
    expect(ended.stderr).not.toContain('hush');
  }
  expect(await catalogue(['warm', '--all'], { BRX_REDIS_URL: '' })).toMatchObject({ exit: 78, stderr: expect.stringContaining('BRX_REDIS_URL is not set') as string });
  expect(await catalogue(['invalidate', '--all'], { BRX_REDIS_URL: 'redis://127.0.0.1:1' })).toMatchObject({ exit: 69, stderr: expect.stringContaining('BRX_REDIS_UNAVAILABLE') as string });
  expect(await catalogue(['seed'], { BRX_MYSQL_URL: 'mysql://u@db.example.invalid/d' })).toMatchObject({ exit: 4, stderr: expect.stringContaining('is not on this machine') as string });
});
