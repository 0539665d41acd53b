import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLogger } from '../../../src/platform/log.ts';
import { classify, createPostgres, inTransaction, poolStats, type FailureKind, type Postgres, type Transaction } from '../../../src/platform/postgres/index.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { crossed, shapeOf } from '../../support/database-errors.ts';

/**
 * How the installed Prisma reports what PostgreSQL says, provoked for real, and what we make of it. The shapes are recorded:
 * an upgrade of Prisma, adapter-pg or pg that changes one fails here before it misclassifies in production.
 */
let database: TestDatabase;
let postgres: Postgres;

beforeAll(async () => {
  database = await createTestDatabase();
  postgres = open();
  await postgres.pool.query(`
    CREATE TABLE probe (id int PRIMARY KEY, n smallint NOT NULL DEFAULT 0 CONSTRAINT probe_small CHECK (n < 100), twin int CONSTRAINT probe_twin UNIQUE DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO probe SELECT n FROM generate_series(1, 20) AS n`);
  await postgres.pool.query(`INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand) SELECT uuid(n), uuid(n), uuid(n), 0
    FROM (SELECT '00000000-0000-7000-8000-00000000000' || generate_series(1, 9)) AS ids (n)`.replaceAll('uuid(n)', 'n::uuid'));
});
afterAll(async () => {
  await postgres.close();
  await database.drop();
});

function open(changes: Parameters<typeof databaseConfig>[1] = {}): Postgres {
  return createPostgres(databaseConfig(database.url, changes), { logger: silentLogger, applicationName: 'error map', keyLookupsOnly: false });
}

async function withPool(changes: Parameters<typeof databaseConfig>[1], work: (postgres: Postgres) => Promise<void>): Promise<void> {
  const own = open(changes);
  try {
    await work(own);
  } finally {
    await own.close();
  }
}

async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => expect.unreachable(`resolved with ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
}

/** Runs the raw Prisma transaction, without our retries, and gives the very error Prisma threw. */
const thrown = (work: (tx: Transaction) => Promise<unknown>, on = postgres): Promise<unknown> =>
  rejectionOf(on.prisma.$transaction((tx) => work(tx as Transaction), { timeout: on.config.transactionTimeoutMs, maxWait: on.config.maxWaitMs }));

const raw = (sql: string) => (tx: Transaction) => tx.$executeRawUnsafe(sql);

interface Expected {
  shape: Partial<ReturnType<typeof shapeOf>>;
  kind: FailureKind;
  state?: string;
  constraint?: string;
}

function expectError(error: unknown, { shape, kind, state, constraint }: Expected): void {
  expect(shapeOf(error)).toMatchObject(shape);
  const failure = classify(error);
  expect({ kind: failure.kind, state: failure.state, constraint: failure.constraint }).toEqual({ kind, state, constraint });
  expect(failure.message).not.toMatch(/invocation|\n/); // PostgreSQL's sentence, not Prisma's page
}

describe('one statement', () => {
  const known = { name: 'PrismaClientKnownRequestError' };
  const cases: [what: string, work: (tx: Transaction) => Promise<unknown>, expected: Expected][] = [
    ['unique, raw', raw('INSERT INTO probe (id) VALUES (1)'), { shape: { ...known, code: 'P2010', kind: 'UniqueConstraintViolation' }, kind: 'duplicate', state: '23505', constraint: 'probe_pkey' }],
    [
      'unique, model call',
      (tx) => tx.inventoryItem.create({ data: { userId: '00000000-0000-7000-8000-000000000001', itemId: '00000000-0000-7000-8000-000000000001', lastEventId: '00000000-0000-7000-8000-000000000001', onHand: 0 } }),
      { shape: { ...known, code: 'P2002' }, kind: 'duplicate', state: '23505', constraint: 'inventory_items_pkey' },
    ],
    ['one key twice in an upsert', raw('INSERT INTO probe (id) VALUES (50), (50) ON CONFLICT (id) DO UPDATE SET n = 1'), { shape: { ...known, code: 'P2010', kind: 'postgres' }, kind: 'data', state: '21000' }],
    ['check, raw', raw('UPDATE probe SET n = 100 WHERE id = 1'), { shape: { ...known, code: 'P2010', kind: 'postgres' }, kind: 'data', state: '23514', constraint: 'probe_small' }],
    ['check, model call', (tx) => tx.inventoryItem.updateMany({ data: { onHand: -1 } }), { shape: { ...known, code: 'P2039', kind: 'postgres' }, kind: 'data', state: '23514', constraint: 'inventory_items_on_hand_not_negative' }],
    ['foreign key', raw("INSERT INTO parked_events (topic, partition, \"offset\", record_timestamp, record_headers, user_id, event_id) VALUES ('t', 0, 0, now(), '[]', gen_random_uuid(), gen_random_uuid())"), { shape: { ...known, code: 'P2010', kind: 'ForeignKeyConstraintViolation' }, kind: 'data', state: '23503', constraint: 'parked_events_user_id_fkey' }],
    ['not null', raw('INSERT INTO probe (id, n) VALUES (50, NULL)'), { shape: { ...known, code: 'P2010', kind: 'NullConstraintViolation' }, kind: 'data', state: '23502' }],
    ['number out of range', raw('UPDATE probe SET n = 40000 WHERE id = 1'), { shape: { ...known, code: 'P2010', kind: 'ValueOutOfRange' }, kind: 'data', state: '22003' }],
    ['not a uuid', raw("SELECT 'x'::uuid"), { shape: { ...known, code: 'P2010', kind: 'InvalidInputValue' }, kind: 'data', state: '22P02' }],
    ['RAISE', raw("DO $$ BEGIN RAISE 'no'; END $$"), { shape: { ...known, code: 'P2010', kind: 'postgres' }, kind: 'data', state: 'P0001' }],
    ['no such table', raw('SELECT FROM nowhere'), { shape: { ...known, code: 'P2010', kind: 'TableDoesNotExist' }, kind: 'schema', state: '42P01' }],
    ['no such column', raw('SELECT nothing FROM probe'), { shape: { ...known, code: 'P2010', kind: 'ColumnNotFound' }, kind: 'schema', state: '42703' }],
    ['no right', raw('SET LOCAL ROLE pg_monitor'), { shape: {}, kind: 'schema', state: '42501' }],
    ['read-only', raw('SET TRANSACTION READ ONLY'), { shape: {}, kind: 'unavailable', state: '25006' }],
    ['operator cancels', raw('SELECT pg_cancel_backend(pg_backend_pid())'), { shape: { ...known, code: 'P2010', kind: 'postgres' }, kind: 'timeout', state: '57014' }],
  ];
  // Two of them need a second statement to fail.
  const then: Readonly<Record<string, string>> = { 'no right': 'SELECT FROM probe', 'read-only': 'DELETE FROM probe' };

  test.each(cases)('%s', async (what, work, expected) => {
    const second = then[what];
    expectError(await thrown(second === undefined ? work : async (tx) => [await work(tx), await tx.$executeRawUnsafe(second)]), expected);
    expect(await postgres.pool.query('SELECT FROM probe')).toMatchObject({ rowCount: 20 });
  });

  test('statement timeout, raw and model call', async () => {
    await withPool({ statementTimeoutMs: 100, lockTimeoutMs: 90 }, async (own) => {
      expectError(await thrown(raw('SELECT pg_sleep(5)'), own), { shape: { ...known, code: 'P2010', kind: 'postgres' }, kind: 'timeout', state: '57014' });
    });
    await withPool({ statementTimeoutMs: 100, lockTimeoutMs: 5_000 }, async (own) => {
      await blocking('SELECT FROM inventory_items FOR UPDATE', async () => {
        expectError(await thrown((tx) => tx.inventoryItem.updateMany({ data: { held: 0 } }), own), { shape: { ...known, code: 'P2039', kind: 'postgres' }, kind: 'timeout', state: '57014' });
      });
    });
  });

  test('lock timeout waits for a lock, never blames the event', async () => {
    await withPool({ lockTimeoutMs: 100 }, async (own) => {
      await blocking('SELECT pg_advisory_xact_lock(7)', async () => {
        expectError(await thrown(raw('SELECT pg_advisory_xact_lock(7)'), own), { shape: { ...known, code: 'P2010', kind: 'postgres' }, kind: 'unavailable', state: '55P03' });
      });
      await blocking('SELECT FROM inventory_items FOR UPDATE', async () => {
        expectError(await thrown((tx) => tx.inventoryItem.updateMany({ data: { held: 0 } }), own), { shape: { ...known, code: 'P2039', kind: 'postgres' }, kind: 'unavailable', state: '55P03' });
      });
    });
  });
});

/** Holds `sql`'s locks in a transaction while `work` runs. */
async function blocking(sql: string, work: () => Promise<void>): Promise<void> {
  const blocker = await postgres.pool.connect();
  try {
    await blocker.query('BEGIN');
    await blocker.query(sql);
    await work();
  } finally {
    await blocker.query('ROLLBACK');
    blocker.release();
  }
}

describe('transactions that meet', () => {
  test('deadlock, raw', async () => {
    const lock = (id: number) => raw(`UPDATE probe SET n = n WHERE id = ${id}`);
    const [error] = await crossed(postgres, lock(1), lock(2));
    expectError(error, { shape: { code: 'P2010', kind: 'TransactionWriteConflict' }, kind: 'conflict', state: '40P01' });
  });

  test('deadlock, model call', async () => {
    const lock = (n: number) => (tx: Transaction) => tx.inventoryItem.updateMany({ where: { itemId: `00000000-0000-7000-8000-00000000000${n}` }, data: { held: 0 } });
    const [error] = await crossed(postgres, lock(1), lock(2));
    expectError(error, { shape: { code: 'P2034', kind: 'TransactionWriteConflict' }, kind: 'conflict', state: '40P01' });
  });

  test('serialization failure of a statement', async () => {
    const error = await thrown(async (tx) => {
      await tx.$executeRawUnsafe('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
      await tx.$queryRawUnsafe('SELECT FROM probe');
      await postgres.pool.query('UPDATE probe SET n = n WHERE id = 3');
      await tx.$executeRawUnsafe('UPDATE probe SET n = n WHERE id = 3');
    });
    expectError(error, { shape: { code: 'P2010', kind: 'TransactionWriteConflict' }, kind: 'conflict', state: '40001' });
  });

  test('serialization failure at COMMIT comes bare', async () => {
    const writeSkew = (write: number) => async (tx: Transaction): Promise<void> => {
      await tx.$executeRawUnsafe('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE');
      await tx.$queryRawUnsafe('SELECT sum(n) FROM probe');
      await tx.$executeRawUnsafe(`UPDATE probe SET n = n WHERE id = ${write}`);
    };
    const error = await thrown(async (tx) => {
      await writeSkew(4)(tx);
      await postgres.prisma.$transaction((other) => writeSkew(5)(other as Transaction));
    });
    expectError(error, { shape: { name: 'DriverAdapterError', code: undefined, kind: 'TransactionWriteConflict' }, kind: 'conflict', state: '40001' });
  });

  test('deferred unique at COMMIT comes bare, and no connection is left behind', async () => {
    await withPool({ poolMax: 2 }, async (own) => {
      const error = await thrown(raw('UPDATE probe SET twin = 1 WHERE id IN (6, 7)'), own);
      expectError(error, { shape: { name: 'DriverAdapterError', code: undefined, kind: 'UniqueConstraintViolation' }, kind: 'duplicate', state: '23505', constraint: 'probe_twin' });
      expect(poolStats(own.pool)).toMatchObject({ used: 0, waiting: 0 });
    });
  });
});

describe('limits', () => {
  test('transaction timeout while a statement runs', async () => {
    await withPool({ transactionTimeoutMs: 150 }, async (own) => {
      const error = await thrown(raw('SELECT pg_sleep(0.4)'), own);
      expectError(error, { shape: { code: 'P2028', kind: undefined }, kind: 'timeout' });
    });
  });

  test('transaction timeout while the work thinks: seen at its next statement', async () => {
    await withPool({ transactionTimeoutMs: 100 }, async (own) => {
      const error = await thrown(async (tx) => {
        await tx.$executeRawUnsafe('SELECT 1');
        await expect.poll(() => own.pool.idleCount, { timeout: 5_000 }).toBe(1); // rolled back behind the work's back
        await tx.$executeRawUnsafe('SELECT 2');
      }, own);
      expectError(error, { shape: { code: 'P2028', kind: undefined }, kind: 'timeout' });
    });
  });

  test('maxWait: no connection for the transaction in time', async () => {
    await withPool({ poolMax: 1, maxWaitMs: 100, acquireTimeoutMs: 2_000 }, async (own) => {
      const held = await own.pool.connect();
      const error = await thrown(raw('SELECT 1'), own);
      held.release();
      expectError(error, { shape: { code: 'P2028', kind: undefined }, kind: 'unavailable' });
    });
  });

  test('pool exhausted: no connection for anyone in time', async () => {
    await withPool({ poolMax: 1, acquireTimeoutMs: 100 }, async (own) => {
      const held = await own.pool.connect();
      const inTx = await thrown(raw('SELECT 1'), own);
      const plain = await rejectionOf(own.prisma.$queryRawUnsafe('SELECT 1'));
      const model = await rejectionOf(own.prisma.inventoryItem.findFirst());
      held.release();
      for (const error of [inTx, plain, model]) expectError(error, { shape: { name: 'Error', code: undefined, kind: undefined }, kind: 'unavailable' });
    });
  });

  test('the transaction was used after its end: a bug, not a failure to wait for', async () => {
    let leaked: Transaction | undefined;
    await inTransaction(postgres, async (tx) => {
      leaked = tx;
      await tx.$executeRawUnsafe('SELECT 1');
    });
    const error = await rejectionOf(leaked?.$executeRawUnsafe('SELECT 1') ?? Promise.resolve('not leaked'));
    expectError(error, { shape: { code: 'P2028' }, kind: 'unknown' });
  });
});
