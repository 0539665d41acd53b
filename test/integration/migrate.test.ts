import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../../src/platform/log.ts';
import { readMigrations } from '../../src/operations/migrate/files.ts';
import { assertMigrated, migrate, migrationStatus, type MigrateReport } from '../../src/operations/migrate/index.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { dumpSchema } from '../support/schema-dump.ts';

/** `brx-sync migrate` against real databases: what it applies, what it refuses, and what a failure leaves behind. */
const OPTIONS = { logger: silentLogger };
const shipped = readMigrations().map(({ name }) => name);
let database: TestDatabase;
let client: pg.Client;
let directory: string;

beforeEach(async () => {
  database = await createEmptyDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  directory = mkdtempSync(join(tmpdir(), 'brx-migrations-'));
});
afterEach(async () => {
  await client.end();
  await database.drop();
  rmSync(directory, { recursive: true });
});

function put(name: string, sql: string): string {
  mkdirSync(join(directory, name), { recursive: true });
  writeFileSync(join(directory, name, 'migration.sql'), sql);
  return name;
}

const run = (more: { dryRun?: boolean } = {}): Promise<MigrateReport> => migrate(database.url, { ...OPTIONS, directory, ...more });
const tables = async (): Promise<string[]> => (await client.query<{ name: string }>("SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1")).rows.map((row) => row.name);

describe('applies', () => {
  test('the shipped migrations to an empty database, once', async () => {
    const first = await migrate(database.url, OPTIONS);
    expect(first).toEqual({ applied: shipped, already: [] });
    expect(await migrate(database.url, OPTIONS)).toEqual({ applied: [], already: first.applied });
    await assertMigrated(client);
  });

  test('and records them the way Prisma does', async () => {
    await migrate(database.url, OPTIONS);
    const bytes = readFileSync(new URL('../../prisma/migrations/20261123000000_inventory/migration.sql', import.meta.url));
    const { rows } = await client.query<Record<string, unknown>>('SELECT * FROM _prisma_migrations ORDER BY migration_name');
    expect(rows.map((row) => row['migration_name'])).toEqual(shipped);
    expect(rows.slice(0, 1)).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/) as string,
        checksum: createHash('sha256').update(bytes).digest('hex'),
        finished_at: expect.any(Date) as Date,
        migration_name: '20261123000000_inventory',
        logs: null,
        rolled_back_at: null,
        started_at: expect.any(Date) as Date,
        applied_steps_count: 1,
      },
    ]);
    const { rows: columns } = await client.query<{ line: string }>(
      "SELECT concat_ws(' ', column_name, data_type, character_maximum_length, is_nullable, column_default) AS line FROM information_schema.columns WHERE table_name = '_prisma_migrations' ORDER BY ordinal_position",
    );
    expect(columns.map((column) => column.line)).toEqual([
      'id character varying 36 NO',
      'checksum character varying 64 NO',
      'finished_at timestamp with time zone YES',
      'migration_name character varying 255 NO',
      'logs text YES',
      'rolled_back_at timestamp with time zone YES',
      'started_at timestamp with time zone NO now()',
      'applied_steps_count integer NO 0',
    ]);
  });

  test('only what is missing, oldest first', async () => {
    put('20260101000000_one', 'CREATE TABLE one (id int)');
    await run();
    const second = put('20260102000000_two', 'ALTER TABLE one ADD COLUMN more int;');
    const third = put('20260103000000_three', '-- nothing but a comment');
    expect(await run()).toEqual({ applied: [second, third], already: ['20260101000000_one'] });
  });

  test('nothing on a dry run, not even its own table', async () => {
    const name = put('20260101000000_one', 'CREATE TABLE one (id int)');
    expect(await run({ dryRun: true })).toEqual({ applied: [name], already: [] });
    expect(await tables()).toEqual([]);
  });

  test('once when two run at the same time: the second waits, then finds nothing to do', async () => {
    put('20260101000000_one', 'CREATE TABLE one (id int); SELECT pg_sleep(0.2)');
    let waited = 0;
    const both = await Promise.all([1, 2].map(() => migrate(database.url, { ...OPTIONS, directory, onWaiting: () => (waited += 1) })));
    expect(both.map(({ applied }) => applied.length).toSorted((a, b) => a - b)).toEqual([0, 1]);
    expect(waited).toBe(1);
  });

  test('and can be interrupted while it waits', async () => {
    put('20260101000000_one', 'CREATE TABLE one (id int)');
    await client.query('SELECT pg_advisory_lock(72707369)'); // Prisma's own migrator holds the same one
    const controller = new AbortController();
    const reason = new Error('interrupted');
    await expect(migrate(database.url, { ...OPTIONS, directory, signal: controller.signal, onWaiting: () => controller.abort(reason) })).rejects.toBe(reason);
    expect(await tables()).toEqual([]);
  });

  test('a migration longer than the limits of the role', async () => {
    await client.query(`ALTER ROLE CURRENT_USER IN DATABASE ${database.name} SET statement_timeout = 50`);
    put('20260101000000_slow', 'SELECT pg_sleep(0.1)');
    await expect(run()).resolves.toMatchObject({ applied: ['20260101000000_slow'] });
  });
});

describe('a failed migration leaves the database as it was', () => {
  test('and names the migration, the line, the statement and the SQLSTATE', async () => {
    put('20260101000000_one', 'CREATE TABLE one (id int);\nINSERT INTO one VALUES (1)');
    await run();
    const before = await dumpSchema(client);
    put('20260102000000_two', '-- makes two\nCREATE TABLE two (id int);\nALTER TABLE one ADD COLUMN more int;\n\nUPDATE one\n   SET nothing = 1;\nCREATE TABLE three (id int);\n');
    await expect(run()).rejects.toMatchObject({
      code: 'BRX_MIGRATION',
      message: expect.stringMatching(/^migration 20260102000000_two failed, line 6, in the statement that starts with\n {2}UPDATE one\n: column "nothing" of relation "one" does not exist \(SQLSTATE 42703\)$/) as string,
      remedy: expect.stringContaining('nothing of this migration was kept') as string,
    });
    expect(await dumpSchema(client)).toBe(before);
    expect(await migrationStatus(database.url, { ...OPTIONS, directory })).toMatchObject([{ name: '20260101000000_one', state: 'applied' }, { name: '20260102000000_two', state: 'pending', finishedAt: null }]);
  });

  test('also the first one, and one that fails only at COMMIT', async () => {
    put('20260101000000_one', 'CREATE TABLE one (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO one VALUES (1), (1);');
    await expect(run()).rejects.toThrow(/failed, at its end: duplicate key value .* \(SQLSTATE 23505\)$/);
    expect(await tables()).toEqual([]);
  });

  test('and the correction is applied', async () => {
    put('20260101000000_one', 'CREATE TABLE one (id nonsense)');
    await expect(run()).rejects.toThrow('line 1');
    put('20260101000000_one', 'CREATE TABLE one (id int)');
    await run();
    expect(await tables()).toEqual(['_prisma_migrations', 'one']);
  });

  test('a migration may not end the transaction it runs in', async () => {
    put('20260101000000_one', 'CREATE TABLE one (id int);\nCOMMIT;\nSELECT 1 / 0');
    await expect(run()).rejects.toThrow('migration 20260101000000_one, line 2: COMMIT is not allowed');
    expect(await tables()).toEqual([]);
  });
});

describe('refuses a database that its files do not describe', () => {
  const refusal = (message: string) => expect.objectContaining({ code: 'BRX_MIGRATION', message: expect.stringContaining(message) as string }) as Error;

  beforeEach(async () => {
    put('20260101000000_one', 'CREATE TABLE one (id int)');
    put('20260103000000_three', 'CREATE TABLE three (id int)');
    await run();
  });

  test('an applied migration was changed', async () => {
    put('20260101000000_one', 'CREATE TABLE one (id bigint)');
    await expect(run()).rejects.toEqual(refusal('migration 20260101000000_one was changed after it had been applied'));
    await expect(run({ dryRun: true })).rejects.toEqual(refusal('was changed'));
    await expect(migrationStatus(database.url, { ...OPTIONS, directory })).rejects.toEqual(refusal('was changed'));
  });

  test('the database is newer than the program', async () => {
    rmSync(join(directory, '20260103000000_three'), { recursive: true });
    await expect(run()).rejects.toEqual(refusal('the database is newer than the program'));
  });

  test('a new migration is older than an applied one', async () => {
    put('20260102000000_two', 'CREATE TABLE two (id int)');
    await expect(run()).rejects.toEqual(refusal('migration 20260102000000_two is not applied but 20260103000000_three, which is newer, is'));
    expect(await tables()).not.toContain('two');
  });

  test('another tool left a migration half done; one marked as rolled back does not count', async () => {
    await client.query("INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ('x', 'x', '20260104000000_four')");
    await expect(run()).rejects.toEqual(refusal('20260104000000_four was started'));
    await client.query("UPDATE _prisma_migrations SET rolled_back_at = now() WHERE id = 'x'");
    await expect(run()).resolves.toMatchObject({ applied: [] });
  });

  test('and start does too, with what to do', async () => {
    await assertMigrated(client, directory);
    put('20260105000000_five', 'SELECT 1');
    await expect(assertMigrated(client, directory)).rejects.toMatchObject({ code: 'BRX_DATABASE_SCHEMA', remedy: 'run brx-sync migrate' });
    rmSync(join(directory, '20260105000000_five'), { recursive: true });
    rmSync(join(directory, '20260103000000_three'), { recursive: true });
    await expect(assertMigrated(client, directory)).rejects.toMatchObject({ code: 'BRX_DATABASE_SCHEMA', remedy: 'run the version that applied it, or a later one' });
  });
});

test('a database that is away is said to be away', async () => {
  await expect(migrate('postgresql://brx@127.0.0.1:9/brx', OPTIONS)).rejects.toMatchObject({ code: 'BRX_DATABASE_UNAVAILABLE' });
});
