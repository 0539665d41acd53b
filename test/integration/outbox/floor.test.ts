import pg from 'pg';
import { describe, expect, test, type TestContext } from 'vitest';
import { RELAY_SESSION, RELAY_SHARDS } from '../../../src/outbox/index.ts';
import { DELETE_ROWS, READ_ROWS } from '../../../src/outbox/rows.sql.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { openSession } from '../../../src/platform/postgres/index.ts';
import { createTestDatabase, withDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { randomUuid } from '../../support/events.ts';
import { createOutboxWorld, type OutboxWorld } from '../../support/outbox.ts';
import { startPrivatePostgres } from '../../support/stack.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects: a look at the outbox costs what it finds, not what was deleted before it: it goes along the key whatever the statistics
 * say, and begins at a floor that moves while somebody holds an old snapshot. Whatever holds the floor, nothing is lost.
 */
interface Node {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Rows'?: number;
  'Shared Hit Blocks'?: number;
  'Shared Read Blocks'?: number;
  Plans?: Node[];
}

const all = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(all)];

/** The generic plan of a statement in a session like the relay's, and what running it did. */
async function explain(databaseUrl: string, statement: string, ...values: string[]): Promise<Node> {
  const session = await openSession(databaseConfig(databaseUrl), { ...RELAY_SESSION, logger: silentLogger, applicationName: 'explain' });
  try {
    await session.query(`PREPARE explained AS ${statement}`);
    const [row] = await session.query<{ 'QUERY PLAN': { Plan: Node }[] }>(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE explained(${values.map((value) => `'${value}'`).join(', ')})`);
    if (row?.['QUERY PLAN'][0] === undefined) throw new Error('no plan');
    return row['QUERY PLAN'][0].Plan;
  } finally {
    await session.close();
  }
}

const SHARDS = Array.from({ length: RELAY_SHARDS }, (_, shard) => shard);
const list = (values: readonly (number | bigint | string)[]): string => `{${values.join()}}`;
const read = (world: OutboxWorld, floor: string): Promise<Node> => explain(world.databaseUrl, READ_ROWS, list(SHARDS), list(SHARDS.map(() => floor)), '250', '4000000');
const blocksOf = (plan: Node): number => (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0);

describe('the plan goes along the key', () => {
  test.for<[what: string, before: string[], after: string[]]>([
    ['statistics of an empty table, and rows since', ['ANALYZE outbox'], []],
    ['statistics of a full table', [], ['ANALYZE outbox']],
    ['statistics of a full table, and empty since', [], ['ANALYZE outbox', 'DELETE FROM outbox']],
    ['no statistics at all', [], []],
    ['statistics of a moment when it was empty, and dead rows that a snapshot keeps', [], ['DELETE FROM outbox', 'ANALYZE outbox']],
    ['statistics of a moment when it was nearly empty, and dead rows that a snapshot keeps', [], ['DELETE FROM outbox WHERE id > 5', 'ANALYZE outbox']],
  ])('with %s', async ([, before, after], context) => {
    const world = await createOutboxWorld(context);
    await world.pool.query('ALTER TABLE outbox SET (autovacuum_enabled = false)');
    for (const sql of before) await world.pool.query(sql);
    await world.backlog(100_000, 1_000);
    const { rows } = await world.pool.query<{ id: string; shard: number }>('SELECT id, shard FROM outbox ORDER BY id LIMIT 1000');
    const holder = await connected(context, world.databaseUrl);
    await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');
    for (const sql of after) await world.pool.query(sql);

    const plan = await read(world, '0');
    const scans = all(plan).filter((node) => node['Relation Name'] === 'outbox');
    expect(scans).toMatchObject([{ 'Node Type': 'Index Scan', 'Index Name': 'outbox_pkey' }]);
    expect(scans[0]?.['Actual Rows']).toBeLessThanOrEqual(250); // it stops when it has enough

    const deleting = await explain(world.databaseUrl, DELETE_ROWS, list(rows.map(({ shard }) => shard)), list(rows.map(({ id }) => id)));
    const found = all(deleting).filter((node) => node['Relation Name'] === 'outbox' && node['Node Type'] !== 'ModifyTable');
    expect(found.map((node) => node['Node Type'])).toEqual(['Index Scan', 'Tid Scan']);
    expect(found[0]).toMatchObject({ 'Index Name': 'outbox_pkey' });
    expect(blocksOf(deleting)).toBeLessThan(8 * rows.length);
  });
});

/** Entries of the key a look at one shard reads now, on the average of the relay's next 20 looks or so. */
async function entriesALook(world: OutboxWorld): Promise<number> {
  const counts = async (): Promise<{ scans: number; entries: number }> => {
    const { rows } = await world.pool.query<{ scans: number; entries: number }>("SELECT idx_scan::int AS scans, idx_tup_read::float8 AS entries FROM pg_stat_user_indexes WHERE indexrelname = 'outbox_pkey'");
    return rows[0] ?? { scans: 0, entries: 0 };
  };
  const begun = await counts();
  return until('a few looks', async () => {
    const now = await counts();
    return now.scans - begun.scans > 20 * RELAY_SHARDS && { mean: (now.entries - begun.entries) / (now.scans - begun.scans) };
  }).then(({ mean }) => mean);
}

async function connected(context: TestContext, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined); // its server may go first
  await client.connect();
  context.onTestFinished(() => client.end().catch(() => undefined)); // likewise
  return client;
}

test('while somebody holds an old snapshot, a look stays cheap: the floor moves, though vacuum cannot', async (context) => {
  const world = await createOutboxWorld(context);
  const holder = await connected(context, world.databaseUrl);
  await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox');
  await world.backlog(100_000, 100);
  const { rows } = await world.pool.query<{ last: string }>('SELECT max(id)::text AS last FROM outbox');
  await world.startRelay();
  await world.drained();
  await until('the floor to come up', async () => (await entriesALook(world)) < 50);
  // What it would be without: every deleted row is still there, and looked at.
  const [without, withFloor] = [await read(world, '0'), await read(world, rows[0]?.last ?? '')];
  expect(blocksOf(without)).toBeGreaterThan(1_000);
  expect(blocksOf(withFloor)).toBeLessThan(100);
  expect(without['Actual Rows']).toBe(0);
  // And what comes now is found.
  await world.write([randomUuid(), randomUuid()]);
  await world.drained();
  await world.checkTopics();
});

test('a writer in another database, or a transaction that is prepared and left, holds the floor and loses nothing', async (context) => {
  const server = await startPrivatePostgres();
  context.onTestFinished(() => server.remove());
  const admin = await connected(context, withDatabase(server.url, 'postgres'));
  await admin.query('ALTER SYSTEM SET max_prepared_transactions = 5');
  await admin.end();
  await server.restart('fast');
  const world = await createOutboxWorld(context, { serverUrl: server.url });
  const user = randomUuid();

  // Draws its id before everybody else, and commits after everything is published.
  const late = await connected(context, world.databaseUrl);
  await late.query('BEGIN');
  await late.query("INSERT INTO outbox (topic, shard, user_id, record_key, record_value) VALUES ($1, 3, $2, convert_to($2::uuid::text, 'UTF8'), '1 ')", [world.topic('one'), user]);
  await late.query("PREPARE TRANSACTION 'left behind'");
  const elsewhere = await connected(context, (await createTestDatabase(server.url)).url);
  await elsewhere.query('BEGIN; SELECT pg_current_xact_id()');

  await world.backlog(40_000, 100);
  const relay = await world.startRelay();
  await world.drained();
  await until('the price: what was deleted is looked at', async () => (await entriesALook(world)) > 1_000);
  await late.query("COMMIT PREPARED 'left behind'");
  await until('the late row to be published', () => relay.published === 40_001);
  await until('the floor to be held still', async () => (await entriesALook(world)) > 1_000);
  await elsewhere.query('ROLLBACK');
  await until('the floor to come up', async () => (await entriesALook(world)) < 50);
  expect(relay.below).toEqual([]);
});

test('a row below the floor, which there must not be, is reported and published', async (context) => {
  const world = await createOutboxWorld(context);
  // A minute of the relay is two seconds, so that its next audit is soon.
  const relay = await world.startRelay({ clock: { ...systemClock, monotonic: () => systemClock.monotonic() * 30 } });
  await world.backlog(1_000, 20);
  await world.drained();
  let byHand = 0;
  const insert = async (id: number): Promise<void> => {
    await world.pool.query("INSERT INTO outbox (id, topic, shard, record_value) OVERRIDING SYSTEM VALUE VALUES ($2, $1, 0, 'by hand')", [world.topic('one'), id]);
    byHand += 1;
    await until('it is published', () => relay.published === 1_000 + byHand);
  };
  await insert(5_000); // the floor of this shard comes up to it; none of the twenty users may be in it
  // When it comes up is for the oldest transaction of the whole server to say: what is put in before that is an ordinary row, and published too.
  let id = 0;
  await until('a row below the floor', async () => {
    id += 1;
    await insert(id);
    return relay.below.length > 0;
  });
  expect(relay.below).toEqual([`0/${id}`]);
});
