import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openToken } from '../../src/marketplace/index.ts';
import type { Diagnosis } from '../../src/operations/doctor/index.ts';
import { commandLine } from '../support/cli.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { createMarketplaceWorld, type ListedSeller, type MarketplaceWorld } from '../support/marketplace-world.ts';
import { createCatalogueDatabase, type TestCatalogueDatabase } from '../support/mysql.ts';
import { stackUrls } from '../support/stack.ts';

/** Protects: the doctor looks at the real services and finds what is wrong with each; whatever is broken stops no other look; it changes nothing and tells no secret. */
let world: MarketplaceWorld;
let catalogue: TestCatalogueDatabase;
let unmigrated: TestDatabase;
let seller: ListedSeller;
let brx: ReturnType<typeof commandLine>['brx'];
let said: ReturnType<typeof commandLine>['said'];

beforeAll(async () => {
  world = await createMarketplaceWorld();
  const ingest = await world.start(['ingest']);
  seller = await world.seller(1);
  await ingest.stop();
  catalogue = await createCatalogueDatabase(stackUrls().mysqlUrl);
  await catalogue.put('cards_prints', 1, 1);
  unmigrated = await createEmptyDatabase();
  ({ brx, said } = commandLine({ ...world.environment, BRX_MYSQL_URL: catalogue.url }));
  expect(await brx(['topics', 'apply'])).toMatchObject({ exit: 0 });
});
afterAll(async () => {
  await unmigrated.drop();
  await catalogue.drop();
  await world.close();
});

async function look(env: Record<string, string> = {}, ...argv: string[]): Promise<{ exit: number; wrong: string[]; diagnosis: Diagnosis }> {
  const { exit, stdout } = await brx(['doctor', '--json', ...argv], { env });
  const diagnosis = JSON.parse(stdout) as Diagnosis;
  return { exit, diagnosis, wrong: diagnosis.findings.filter(({ verdict }) => verdict === 'failure').map(({ area, check }) => `${area}: ${check}`) };
}

test('everything as it must be: exit code 0, every area looked at, and the one broker of a local stack is a warning only', async () => {
  const { exit, wrong, diagnosis } = await look();
  expect({ exit, wrong }).toEqual({ exit: 0, wrong: [] });
  expect(new Set(diagnosis.findings.filter(({ verdict }) => verdict === 'ok').map(({ area }) => area))).toEqual(new Set(['configuration', 'postgres', 'kafka', 'registry', 'redis', 'mysql', 'sellers']));
  expect(diagnosis.findings).toContainEqual(expect.objectContaining({ area: 'kafka', check: 'replicas', verdict: 'warning' }));
  expect((await look({}, '--strict')).exit).toBe(1);
  const words = await brx(['doctor']);
  expect(words.stdout).toMatch(/^ {2}ok {4}migrations: all applied$/m);
  expect(words.stdout).toMatch(/^ {2}warn {2}replicas: there is one broker.*\n {8}→ for production/m);
});

test.each<[string, () => Record<string, string>, string[]]>([
  ['settings that do not fit each other: said, and nothing else can be looked at', () => ({ BRX_DATABASE_STATEMENT_TIMEOUT_MS: '600000' }), ['configuration: settings']],
  ['a database that is not migrated', () => ({ BRX_DATABASE_URL: unmigrated.url }), ['postgres: migrations']],
  ['PostgreSQL away', () => ({ BRX_DATABASE_URL: 'postgresql://brx@127.0.0.1:9/brx' }), ['postgres: connection']],
  ['Kafka away', () => ({ BRX_KAFKA_BROKERS: '127.0.0.1:9' }), ['kafka: connection']],
  ['topics under another prefix', () => ({ BRX_TOPIC_PREFIX: `absent-${randomBytes(4).toString('hex')}.` }), ['kafka: topics']],
  ['a horizon below what the topics keep', () => ({ BRX_INGEST_HORIZON_DAYS: '2' }), ['kafka: horizon']],
  ['the registry away', () => ({ BRX_SCHEMA_REGISTRY_URL: 'http://127.0.0.1:9' }), ['registry: connection']],
  ['Redis away', () => ({ BRX_REDIS_URL: 'redis://127.0.0.1:9', BRX_RATE_LIMIT_WINDOW_MS: '1000' }), ['redis: connection']],
  ['MySQL away', () => ({ BRX_MYSQL_URL: 'mysql://brx:brx@127.0.0.1:9/brx' }), ['mysql: primary']],
  ['a replica away', () => ({ BRX_MYSQL_REPLICA_URLS: 'mysql://brx:brx@127.0.0.1:9/brx' }), ['mysql: replica 1']],
  ['tokens sealed with another key', () => ({ BRX_SECRET_KEYS: `other:${Buffer.alloc(32, 9).toString('base64')}` }), ['sellers: secrets']],
  ['CardTrader away', () => ({ BRX_MARKETPLACE_URL: 'http://127.0.0.1:9' }), ['sellers: CardTrader']],
])('%s', async (_, env, expected) => {
  const { exit, wrong, diagnosis } = await look(env());
  expect({ exit, wrong: [...new Set(wrong)] }).toEqual({ exit: 1, wrong: expected });
  for (const { verdict, remedy } of diagnosis.findings) if (verdict === 'failure') expect(remedy).not.toBe('');
});

test('a role without rights on a table', async () => {
  const role = `brx_test_${randomBytes(4).toString('hex')}`;
  const admin = new pg.Client({ connectionString: world.database.url });
  await admin.connect();
  try {
    await admin.query(`CREATE ROLE ${role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}; REVOKE DELETE ON outbox FROM ${role}`);
    const url = new URL(world.database.url);
    url.username = role;
    const { wrong, diagnosis } = await look({ BRX_DATABASE_URL: url.toString() });
    expect(wrong).toEqual(['postgres: rights']);
    expect(diagnosis.findings.find(({ check }) => check === 'rights')?.found).toContain('DELETE on outbox');
  } finally {
    await admin.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    await admin.end();
  }
});

test('a table of the catalogue without its index', async () => {
  const [indexes] = (await catalogue.behind.query("SELECT DISTINCT index_name AS name FROM information_schema.statistics WHERE table_schema = database() AND table_name = 'op_prints' AND column_name = 'cardtrader_id'")) as unknown as [{ name: string }[]];
  for (const { name } of indexes) await catalogue.behind.query(`ALTER TABLE op_prints DROP INDEX ${name}`);
  try {
    expect((await look()).wrong).toEqual(['mysql: primary: indexes']);
  } finally {
    await catalogue.behind.query('ALTER TABLE op_prints ADD INDEX op_prints_cardtrader_id (cardtrader_id)');
  }
});

test('a token that was revoked: found, and left to an operator; --tokens 0 asks nobody', async () => {
  world.simulator.control.revokeToken(seller.sellerId);
  expect((await look()).wrong).toEqual(['sellers: tokens']);
  expect(await world.rows('SELECT status FROM marketplace_sellers WHERE user_id = $1', seller.user)).toEqual([{ status: 'active' }]);
  const asked = world.simulator.control.requests(seller.sellerId);
  expect(await look({}, '--tokens', '0')).toMatchObject({ exit: 0, wrong: [] });
  expect(world.simulator.control.requests(seller.sellerId)).toEqual(asked);
});

test('no secret was told by any of it', async () => {
  expect(said()).not.toContain(await openToken({ postgres: world.postgres, keyring: world.access.keyring }, seller.user));
  for (const key of [Buffer.alloc(32, 7), Buffer.alloc(32, 9)]) expect(said()).not.toContain(key.toString('base64'));
  expect(said()).not.toContain(`brx:brx@`);
});
