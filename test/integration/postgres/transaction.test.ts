import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Clock } from '../../../src/platform/clock.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { CONFLICT_RETRIES, createPostgres, DatabaseFailure, inTransaction, nameStatement, poolStats, SilentRollback, type Postgres, type Transaction } from '../../../src/platform/postgres/index.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { barrier } from '../../support/database-errors.ts';

/** The transaction every writer goes through, and the traps of write-path.md 8.4 and 9 it has to keep shut. */
let database: TestDatabase;
let postgres: Postgres;

beforeAll(async () => {
  database = await createTestDatabase();
  postgres = open({});
  await postgres.pool.query('CREATE TABLE rows (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)');
});
afterAll(async () => {
  await postgres.close();
  await database.drop();
});

function open(changes: Parameters<typeof databaseConfig>[1], more: { clock?: Clock; keyLookupsOnly?: boolean; onPoolWait?: (ms: number) => void } = {}): Postgres {
  return createPostgres(databaseConfig(database.url, changes), { logger: silentLogger, applicationName: 'transaction test', keyLookupsOnly: false, ...more });
}

const ids = async (from: number): Promise<number[]> => (await postgres.pool.query<{ id: number }>('SELECT id FROM rows WHERE id >= $1 AND id < $1 + 100 ORDER BY id', [from])).rows.map((row) => row.id);
const insert = (tx: Transaction, id: number): Promise<number> => tx.$executeRawUnsafe(`INSERT INTO rows (id) VALUES (${id})`);

describe('inTransaction', () => {
  test('commits what the work wrote and returns what it returned', async () => {
    expect(await inTransaction(postgres, async (tx) => [await insert(tx, 100), await insert(tx, 101)])).toEqual([1, 1]);
    expect(await ids(100)).toEqual([100, 101]);
  });

  test('rolls back and passes on what is no database error, unchanged', async () => {
    const reason = new RangeError('mine');
    const failing = inTransaction(postgres, async (tx) => {
      await insert(tx, 200);
      throw reason;
    });
    await expect(failing).rejects.toBe(reason);
    expect(await ids(200)).toEqual([]);
  });

  test('sends BEGIN, the statements and COMMIT, nothing else', async () => {
    const sent: string[] = [];
    const own = open({ poolMax: 2 });
    own.pool.on('connect', (client) => {
      const query = client.query.bind(client) as (...args: unknown[]) => unknown;
      Object.defineProperty(client, 'query', { value: (...args: [{ text: string }]) => (sent.push(args[0].text), query(...args)) });
    });
    await inTransaction(own, (tx) => tx.$executeRawUnsafe('SELECT 1'));
    await own.close();
    expect(sent).toEqual(['BEGIN', 'SELECT 1', 'COMMIT']);
  });

  test('a deadlock is retried, and both transactions take effect', async () => {
    await postgres.pool.query('INSERT INTO rows (id) VALUES (300), (301)');
    const bothHold = barrier(2);
    const retries: (string | undefined)[] = [];
    const add = (first: number, second: number) =>
      inTransaction(
        postgres,
        async (tx) => {
          await tx.$executeRawUnsafe(`UPDATE rows SET n = n + 1 WHERE id = ${first}`);
          await bothHold();
          await tx.$executeRawUnsafe(`UPDATE rows SET n = n + 1 WHERE id = ${second}`);
        },
        { onRetry: (failure) => retries.push(failure.state) },
      );
    await Promise.all([add(300, 301), add(301, 300)]);
    expect(retries).toEqual(['40P01']);
    expect((await postgres.pool.query<{ n: number }>('SELECT n FROM rows WHERE id IN (300, 301)')).rows).toEqual([{ n: 2 }, { n: 2 }]);
  });

  test('a serialization failure is retried 3 times with growing, jittered waits, then BRX_DATABASE_CONFLICT', async () => {
    const waits: number[] = [];
    const clock: Clock = { ...systemClock, random: () => 0.5, sleep: (ms) => (waits.push(ms), Promise.resolve()) };
    const own = open({}, { clock });
    let runs = 0;
    const never = inTransaction(
      own,
      async (tx) => {
        runs += 1;
        await tx.$executeRawUnsafe("DO $$ BEGIN RAISE 'in the way' USING ERRCODE = '40001'; END $$");
      },
      { name: 'this chunk' },
    );
    await expect(never).rejects.toMatchObject({ code: 'BRX_DATABASE_CONFLICT', retryable: true, message: 'this chunk met another one 4 times in a row: in the way' });
    await own.close();
    expect(runs).toBe(1 + CONFLICT_RETRIES);
    expect(waits).toEqual([25, 50, 100]);
  });

  test('an aborted signal keeps it from starting, and from waiting for the next try', async () => {
    const controller = new AbortController();
    const reason = new Error('stopping');
    let runs = 0;
    const stopped = inTransaction(
      postgres,
      async (tx) => {
        runs += 1;
        await tx.$executeRawUnsafe("DO $$ BEGIN RAISE 'in the way' USING ERRCODE = '40P01'; END $$");
      },
      { signal: controller.signal, onRetry: () => controller.abort(reason) },
    );
    await expect(stopped).rejects.toBe(reason);
    await expect(inTransaction(postgres, (tx) => insert(tx, 400), { signal: controller.signal })).rejects.toBe(reason);
    expect({ runs, rows: await ids(400) }).toEqual({ runs: 1, rows: [] });
  });

  test('onCommitSent is called for its own transaction only, between sending COMMIT and its answer', async () => {
    const events: string[] = [];
    const run = (name: string, onCommitSent?: () => void) =>
      inTransaction(postgres, (tx) => tx.$executeRawUnsafe('SELECT 1'), onCommitSent === undefined ? {} : { onCommitSent }).then(() => events.push(`${name} done`));
    await Promise.all([run('a', () => events.push('a sent')), run('b'), run('c', () => events.push('c sent')), run('d')]);
    expect(events.filter((event) => event.endsWith('sent')).sort()).toEqual(['a sent', 'c sent']);
    expect(events.indexOf('a sent')).toBeLessThan(events.indexOf('a done'));
  });
});

describe('traps', () => {
  test('an error swallowed inside the work does not pass for success', async () => {
    const swallowing = inTransaction(postgres, async (tx) => {
      await insert(tx, 500);
      await insert(tx, 500).catch(() => undefined);
    });
    await expect(swallowing).rejects.toBeInstanceOf(SilentRollback);
    expect(await ids(500)).toEqual([]);
    expect(poolStats(postgres.pool).used).toBe(0);
  });

  test('nor with Promise.allSettled, whose later calls come back fulfilled', async () => {
    const settling = inTransaction(postgres, async (tx) => {
      const results = await Promise.allSettled([insert(tx, 600), insert(tx, 600), insert(tx, 601)]);
      expect(results[1]?.status).toBe('rejected');
    });
    await expect(settling).rejects.toThrow();
    expect(await ids(600)).toEqual([]);
  });

  test('no query_timeout, by option or by URL: with one, a connection comes back inside an open transaction', () => {
    expect(postgres.pool.options.query_timeout).toBeUndefined();
    expect(() => createPostgres(databaseConfig(`${database.url}?query_timeout=300`), { logger: silentLogger, applicationName: 'x', keyLookupsOnly: false })).toThrow(/query_timeout/);
  });

  test('a connection that comes back inside a transaction is never handed on', async () => {
    const own = open({ poolMax: 1 });
    const careless = await own.pool.connect();
    await careless.query('BEGIN');
    await careless.query('INSERT INTO rows (id) VALUES (700)');
    careless.release();
    await inTransaction(own, (tx) => insert(tx, 701));
    await own.close();
    expect(await ids(700)).toEqual([701]);
  });

  test('Prisma uses this very pool, with its limits', async () => {
    await postgres.ping();
    const settings = await postgres.prisma.$queryRawUnsafe("SELECT name, setting FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'application_name', 'enable_hashjoin') ORDER BY name");
    expect(settings).toEqual([
      { name: 'application_name', setting: 'transaction test' },
      { name: 'enable_hashjoin', setting: 'on' },
      { name: 'idle_in_transaction_session_timeout', setting: '9000' },
      { name: 'lock_timeout', setting: '5000' },
      { name: 'statement_timeout', setting: '8000' },
    ]);
  });

  test('a pool that is not the one Prisma uses is found out by the first ping', async () => {
    const mixed: { pool: Postgres['pool'] } = open({});
    const { assertSamePool } = await import('../../../src/platform/postgres/prisma.ts');
    const other = createPostgres(databaseConfig(database.url), { logger: silentLogger, applicationName: 'another', keyLookupsOnly: false });
    await expect(assertSamePool(other.prisma, mixed.pool)).rejects.toMatchObject({ code: 'BRX_INTERNAL' });
    await Promise.all([other.close(), mixed.pool.end()]);
  });

  test('answers are never crossed between transactions that fail and transactions that do not', async () => {
    const own = open({ poolMax: 4, maxWaitMs: 60_000, acquireTimeoutMs: 60_000 });
    const wrong: string[] = [];
    const one = async (n: number): Promise<void> => {
      const fails = n % 3 === 0;
      const done = inTransaction(own, async (tx) => {
        const [row] = await tx.$queryRawUnsafe<{ n: number }[]>('SELECT $1::int AS n', n);
        if (row?.n !== n) wrong.push(`${n} was answered ${row?.n}`);
        if (fails) await tx.$queryRawUnsafe(n % 2 === 0 ? 'SELECT 1 / 0' : 'SELECT FROM nowhere');
        const [second] = await tx.$queryRawUnsafe<{ m: number }[]>('SELECT $1::int AS m', -n);
        if (second?.m !== -n) wrong.push(`${-n} was answered ${second?.m}`);
      });
      await done.then(
        () => fails && wrong.push(`${n} succeeded`),
        (error: unknown) => {
          const expected = n % 2 === 0 ? '22012' : '42P01';
          if (!fails || !(error instanceof DatabaseFailure) || error.state !== expected) wrong.push(`${n}: ${String(error)}`);
        },
      );
    };
    for (let round = 0; round < 50; round += 1) await Promise.all(Array.from({ length: 12 }, (_, index) => one(round * 12 + index)));
    await own.close();
    expect(wrong).toEqual([]);
  });
});

describe('the pool', () => {
  test('keyLookupsOnly: named statements keep the one generic plan that looks keys up', async () => {
    const own = open({ poolMax: 1 }, { keyLookupsOnly: true });
    const text = nameStatement('SELECT k.id FROM unnest($1::uuid[]) AS k (id) JOIN stock_ledger AS l ON l.event_id = k.id', 'transaction_test_lookup');
    await own.prisma.$queryRawUnsafe(text, '{}');
    const [prepared] = await own.prisma.$queryRawUnsafe<{ name: string; generic: bigint }[]>('SELECT name, generic_plans AS generic FROM pg_prepared_statements');
    expect(prepared).toEqual({ name: 'transaction_test_lookup', generic: 1n });
    const plan = await own.pool.query<{ 'QUERY PLAN': string }>("EXPLAIN EXECUTE transaction_test_lookup('{}')");
    expect(plan.rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/Nested Loop[\s\S]*Index.*stock_ledger_pkey/);
    await own.close();
  });

  test('counts its connections and measures each wait, also of those who gave up', async () => {
    const waits: number[] = [];
    const own = open({ poolMax: 1, acquireTimeoutMs: 200 }, { onPoolWait: (ms) => waits.push(ms) });
    const held = await own.pool.connect();
    const waiting = own.prisma.$queryRawUnsafe('SELECT 1');
    const refused = expect(waiting).rejects.toThrow('timeout exceeded when trying to connect');
    await expect.poll(() => poolStats(own.pool)).toEqual({ max: 1, total: 1, used: 1, idle: 0, waiting: 1 });
    await refused;
    held.release();
    expect(poolStats(own.pool)).toEqual({ max: 1, total: 1, used: 0, idle: 1, waiting: 0 });
    await own.close();
    expect(waits).toHaveLength(2);
    expect(waits[1]).toBeGreaterThan(150);
  });
});
