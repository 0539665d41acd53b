import { createHash, randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { silentLogger } from '../../src/platform/log.ts';
import { readMigrations } from '../../src/operations/migrate/files.ts';
import { migrate } from '../../src/operations/migrate/index.ts';

/**
 * Databases of tests: each its own, `brx_test_<random>`, on the stack's server. What destroys anything refuses every other name.
 */
export const TEST_PREFIX = 'brx_test_';

export interface TestDatabase {
  readonly name: string;
  readonly url: string;
  drop(): Promise<void>;
}

/** A new, migrated, empty database: a copy of a template, which is migrated once for each state of prisma/migrations. */
export async function createTestDatabase(serverUrl = inject('stack').databaseUrl): Promise<TestDatabase> {
  const name = newName();
  await administrate(serverUrl, async (admin) => {
    const template = await ensureTemplate(admin, serverUrl);
    await admin.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  });
  return testDatabase(serverUrl, name);
}

/**
 * A pool of the test's own. What becomes of its idle connections is told by the next query: a test may take its server away, and a database that is dropped right after `end()` ends
 * connections that are still on their way out (15 of 40 times on a fast disk).
 */
export function openPool({ url }: Pick<TestDatabase, 'url'>, max: number): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max });
  pool.on('error', () => undefined);
  return pool;
}

/** A new database with nothing in it, for tests of the migrations themselves. */
export async function createEmptyDatabase(serverUrl = inject('stack').databaseUrl): Promise<TestDatabase> {
  const name = newName();
  await administrate(serverUrl, (admin) => admin.query(`CREATE DATABASE ${name}`));
  return testDatabase(serverUrl, name);
}

/** Throws unless `url` names a database that a test made. To be called by whatever truncates or drops. */
export function assertTestDatabase(url: string): void {
  const name = new URL(url).pathname.slice(1);
  if (!name.startsWith(TEST_PREFIX)) throw new Error(`"${name}" is not a test's database (${TEST_PREFIX}…): refusing to destroy anything in it`);
}

/** Connections of anyone to this database are cut. */
export async function dropDatabase(url: string): Promise<void> {
  assertTestDatabase(url);
  await administrate(url, (admin) => admin.query(`DROP DATABASE IF EXISTS ${new URL(url).pathname.slice(1)} WITH (FORCE)`));
}

/** The same server, another database. */
export function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.toString();
}

function testDatabase(serverUrl: string, name: string): TestDatabase {
  const url = withDatabase(serverUrl, name);
  return { name, url, drop: () => dropDatabase(url) };
}

const newName = (): string => `${TEST_PREFIX}${randomBytes(6).toString('hex')}`;

/** Makes the template if this state of the migrations has none yet. It gets its name only when complete. */
async function ensureTemplate(admin: pg.Client, serverUrl: string): Promise<string> {
  const state = createHash('sha256').update(readMigrations().map((migration) => migration.checksum).join()).digest('hex').slice(0, 12);
  const template = `${TEST_PREFIX}template_${state}`;
  await admin.query(`SELECT pg_advisory_lock(hashtext('${TEST_PREFIX}template'))`);
  try {
    const { rowCount } = await admin.query('SELECT FROM pg_database WHERE datname = $1', [template]);
    if (rowCount === 1) return template;
    const building = newName();
    await admin.query(`CREATE DATABASE ${building}`);
    await migrate(withDatabase(serverUrl, building), { logger: silentLogger });
    await admin.query(`ALTER DATABASE ${building} RENAME TO ${template}`);
    return template;
  } finally {
    await admin.query(`SELECT pg_advisory_unlock(hashtext('${TEST_PREFIX}template'))`);
  }
}

async function administrate(url: string, work: (admin: pg.Client) => Promise<unknown>): Promise<void> {
  const admin = new pg.Client({ connectionString: withDatabase(url, 'postgres') });
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
}
