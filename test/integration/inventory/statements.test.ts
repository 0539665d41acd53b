import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as deadLetters from '../../../src/ingest/dead-letters.sql.ts';
import * as parking from '../../../src/ingest/parking.sql.ts';
import { StockFold } from '../../../src/inventory/index.ts';
import * as retention from '../../../src/inventory/retention.sql.ts';
import * as stock from '../../../src/inventory/stock.sql.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { createPostgres, type Postgres } from '../../../src/platform/postgres/index.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { change, deadEntry, entry, randomUuid } from '../../support/events.ts';
import { recordingTransaction, type RecordedStatement } from '../../support/recorded-sql.ts';

/** Protects: every statement fits the migrated schema, and on a big ledger the hot ones are key look-ups, also when planned generically. */
let database: TestDatabase;
let postgres: Postgres;

beforeAll(async () => {
  database = await createTestDatabase();
  postgres = createPostgres(databaseConfig(database.url, { statementTimeoutMs: 60_000, transactionTimeoutMs: 60_001 }), { logger: silentLogger, applicationName: 'plans', keyLookupsOnly: true });
});
afterAll(async () => {
  await postgres.close();
  await database.drop();
});

const event = change({ properties: { foil: 'yes' } });
const given = [entry(event)];
const fold = new StockFold();
fold.apply(event);

/** Each function that sends SQL, called once; a new one that is not named here fails the test below. */
const CALLS: Record<string, (tx: Parameters<typeof stock.lockLanes>[0]) => Promise<unknown>> = {
  lockLanes: (tx) => stock.lockLanes(tx, [1, 2]),
  readStock: (tx) => stock.readStock(tx, fold, [event.event_id]),
  writeStock: (tx) => stock.writeStock(tx, fold),
  pruneLedger: (tx) => retention.pruneLedger(tx, { after: event.event_id, keepSince: 0, rows: 100 }),
  insertDeadLetters: (tx) => deadLetters.insertDeadLetters(tx, [deadEntry()], 'group'),
  claimUnpublished: (tx) => deadLetters.claimUnpublished(tx, 10),
  markPublished: (tx) => deadLetters.markPublished(tx, [1n]),
  selectDeadLetters: (tx) => deadLetters.selectDeadLetters(tx, { limit: 10 }),
  deleteOldDeadLetters: (tx) => deadLetters.deleteOldDeadLetters(tx, 0, 10),
  countUnpublished: (tx) => deadLetters.countUnpublished(tx),
  readParked: (tx) => parking.readParked(answering(tx, [{ user_id: event.user_id }]), given),
  parkUser: (tx) => parking.parkUser(tx, event.user_id, 'data', 'error'),
  appendParkedEvents: (tx) => parking.appendParkedEvents(tx, given),
  readParkedEvents: (tx) => parking.readParkedEvents(tx, event.user_id, 10),
  deleteParkedEvents: (tx) => parking.deleteParkedEvents(tx, [1n]),
  releaseIfEmpty: (tx) => parking.releaseIfEmpty(tx, event.user_id),
  recordAttempt: (tx) => parking.recordAttempt(tx, event.user_id, 'data', 'error'),
  selectParkedUsers: (tx) => parking.selectParkedUsers(tx),
  countParked: (tx) => parking.countParked(tx),
};

/** The first question is answered with `rows`, so that the second is asked. */
function answering(tx: Parameters<typeof stock.lockLanes>[0], rows: unknown[]): typeof tx {
  let asked = 0;
  const ask = async (sql: string, ...values: unknown[]): Promise<unknown> => {
    const nothing = await tx.$queryRawUnsafe(sql, ...values);
    asked += 1;
    return asked === 1 ? rows : nothing;
  };
  return { ...tx, $queryRawUnsafe: ask } as unknown as typeof tx;
}

async function statementsOf(name: string): Promise<RecordedStatement[]> {
  const { tx, statements } = recordingTransaction();
  await CALLS[name]?.(tx).catch(() => undefined); // an answer of nothing is more than some can bear; what was asked is known by then
  return statements;
}

describe('every statement', () => {
  test('is looked at here', () => {
    const functions = [stock, retention, deadLetters, parking].flatMap((module) => Object.entries(module).filter(([, value]) => typeof value === 'function').map(([name]) => name));
    expect(Object.keys(CALLS).toSorted()).toEqual(functions.toSorted());
  });

  test.each(Object.keys(CALLS))('of %s fits the schema', async (name) => {
    const statements = await statementsOf(name);
    expect(statements.length).toBeGreaterThan(0);
    for (const { sql } of statements) {
      await postgres.pool.query(`PREPARE probe AS ${sql}`);
      await postgres.pool.query('DEALLOCATE ALL');
    }
  });
});

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Join Type'?: string;
  Plans?: Plan[];
}

const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

/** Nodes of the plan this statement gets from the ingest pool, as a named statement is planned. */
/** A parameter as EXECUTE takes it: uuid arrays travel in binary, so the server spells them out. */
async function textOf(client: pg.ClientBase, value: NonNullable<RecordedStatement['values'][number]>): Promise<string> {
  if (!Buffer.isBuffer(value)) return String(value);
  return (await client.query<{ text: string }>('SELECT $1::uuid[]::text AS text', [value])).rows[0]?.text ?? '';
}

async function planOf({ sql, values }: RecordedStatement): Promise<Plan[]> {
  const client: pg.PoolClient = await postgres.pool.connect();
  try {
    await client.query(`PREPARE plan AS ${sql}`);
    const literals: string[] = [];
    for (const value of values) literals.push(value === null ? 'NULL' : `'${(await textOf(client, value)).replaceAll("'", "''")}'`);
    const { rows } = await client.query<{ 'QUERY PLAN': { Plan: Plan }[] }>(`EXPLAIN (FORMAT JSON) EXECUTE plan(${literals.join(', ')})`);
    return nodesOf(rows[0]!['QUERY PLAN'][0]!.Plan);
  } finally {
    await client.query('DEALLOCATE ALL');
    client.release();
  }
}

/** How each table is reached. */
const accesses = (nodes: readonly Plan[], table: string): string[] => nodes.filter((node) => node['Relation Name'] === table && node['Node Type'] !== 'ModifyTable').map((node) => `${node['Node Type']}${node['Index Name'] === undefined ? '' : ` ${node['Index Name']}`}`);

describe('on a ledger of 300,000 rows', () => {
  beforeAll(async () => {
    await postgres.pool.query(`
      INSERT INTO stock_ledger (event_id, user_id, item_id, occurred_at, quantity, delta, on_hand, kind, outcome, cause)
      SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), 1, 1, 1, 'S', 'a', 'test' FROM generate_series(1, 300000);
      INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand) SELECT user_id, item_id, event_id, 1 FROM stock_ledger;
      ANALYZE stock_ledger, inventory_items`);
  }, 120_000);

  const thousand = (): StockFold => {
    const big = new StockFold();
    for (let n = 0; n < 1_000; n += 1) big.apply(change({ user_id: randomUuid(), item_id: randomUuid() }));
    return big;
  };

  test('a chunk reads by key: the ledger by event id, items by user and item, nothing else', async () => {
    const { tx, statements } = recordingTransaction();
    const big = thousand();
    await stock.readStock(tx, big, big.ledger.map((row) => row.event.event_id)).catch(() => undefined);
    const nodes = await planOf(statements[0]!);
    expect(accesses(nodes, 'stock_ledger')).toEqual([expect.stringMatching(/^Index (Only )?Scan stock_ledger_pkey$/)]);
    expect(accesses(nodes, 'inventory_items')).toEqual(['Index Scan inventory_items_pkey']);
    expect(nodes.map((node) => node['Node Type']).filter((type) => /Hash|Merge|Seq Scan|Sort|Materialize/.test(type))).toEqual([]);
  });

  test('a chunk writes at the place it has read: no look-up, no scan', async () => {
    const { tx, statements } = recordingTransaction();
    const big = thousand();
    for (const item of big.items) item.place = '(0,1)';
    await stock.writeStock(tx, big).catch(() => undefined);
    const nodes = await planOf(statements[0]!);
    expect(accesses(nodes, 'inventory_items')).toEqual(['Tid Scan']);
    expect(nodes.map((node) => node['Node Type']).filter((type) => /Hash|Merge|Seq Scan|Sort/.test(type))).toEqual([]);
  });

  test('retention walks the key and deletes by it', async () => {
    const [, walk] = await (async () => {
      const { tx, statements } = recordingTransaction();
      await retention.pruneLedger(answering(tx, [{ mine: true }]), { after: randomUuid(), keepSince: Date.now(), rows: 5_000 });
      return statements;
    })();
    const nodes = await planOf(walk!);
    expect(accesses(nodes, 'stock_ledger').length).toBeGreaterThan(0);
    for (const access of accesses(nodes, 'stock_ledger')) expect(access).toMatch(/Index (Only )?Scan stock_ledger_pkey|Tid Scan/);
  });

  test('the ingest pool has the planner settings, and no other pool has', async () => {
    const plain = createPostgres(databaseConfig(database.url), { logger: silentLogger, applicationName: 'plans', keyLookupsOnly: false });
    const settings = async (from: Postgres): Promise<Record<string, string>> =>
      Object.fromEntries((await from.pool.query<{ name: string; setting: string }>("SELECT name, setting FROM pg_settings WHERE name IN ('enable_hashjoin', 'enable_mergejoin', 'enable_seqscan', 'plan_cache_mode', 'jit')")).rows.map(({ name, setting }) => [name, setting]));
    try {
      expect(await settings(postgres)).toEqual({ enable_hashjoin: 'off', enable_mergejoin: 'off', enable_seqscan: 'off', plan_cache_mode: 'force_generic_plan', jit: 'off' });
      expect(await settings(plain)).not.toEqual(await settings(postgres));
    } finally {
      await plain.close();
    }
  });
});
