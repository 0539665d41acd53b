import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startPrivatePostgres, type PrivatePostgres } from '../../../stack/index.ts';
import { BrxError } from '../../../src/errors.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { classify, createPostgres, DatabaseFailure, inTransaction, poolStats, type Postgres } from '../../../src/platform/postgres/index.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { shapeOf } from '../../support/database-errors.ts';

/** What the writer sees when PostgreSQL goes away at each moment, on a server of our own that we may stop, kill and freeze. */
let server: PrivatePostgres;
let database: TestDatabase;
let postgres: Postgres;
let frozen: number | undefined;

beforeAll(async () => {
  server = await startPrivatePostgres();
  database = await createTestDatabase(server.url);
});
afterAll(async () => {
  await server.remove();
});
beforeEach(() => {
  postgres = open(database.url);
});
afterEach(async () => {
  // Here and not in a finally: a test that times out never gets to that, and would leave a frozen backend behind.
  if (frozen !== undefined) process.kill(frozen, 'SIGCONT');
  frozen = undefined;
  await postgres.close();
});

function open(url: string, changes: Parameters<typeof databaseConfig>[1] = {}): Postgres {
  return createPostgres(databaseConfig(url, changes), { logger: silentLogger, applicationName: 'outages', keyLookupsOnly: false });
}

async function failureOf(promise: Promise<unknown>): Promise<DatabaseFailure> {
  const error: unknown = await promise.then((value) => expect.unreachable(`resolved with ${JSON.stringify(value)}`), (reason: unknown) => reason);
  expect(error).toBeInstanceOf(DatabaseFailure);
  return error as DatabaseFailure;
}

/** From outside: the connection of whoever runs `postgres` is ended. */
async function terminateAll(): Promise<void> {
  const admin = open(database.url, { poolMax: 2 });
  await admin.pool.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'outages' AND pid <> pg_backend_pid() AND datname = current_database()");
  await admin.close();
}

const write = (id: string) => `INSERT INTO parked_users (user_id, reason, error) VALUES ('${id}', 'x', 'x')`;
const USER = ['1', '2', '3', '4'].map((n) => `00000000-0000-7000-8000-00000000000${n}`);
const count = async (id: string | undefined): Promise<number> => postgres.prisma.parkedUser.count({ where: { userId: id ?? '' } });

describe('the connection is lost', () => {
  test('while the transaction thinks: unavailable, outcome known', async () => {
    const failure = await failureOf(
      inTransaction(postgres, async (tx) => {
        await tx.$executeRawUnsafe(write(USER[0]!));
        await terminateAll();
        await expect.poll(() => broken(postgres), { timeout: 5_000 }).toBe(true);
        await tx.$executeRawUnsafe('SELECT 1');
      }),
    );
    expect({ kind: failure.kind, unknown: failure.outcomeUnknown, message: failure.message }).toEqual({ kind: 'unavailable', unknown: false, message: 'Client has encountered a connection error and is not queryable' });
    expect(await count(USER[0])).toBe(0);
  });

  test('of a client in use without Prisma: its next statement fails, the process lives', async () => {
    const client = await postgres.pool.connect();
    await terminateAll();
    await expect.poll(() => broken(postgres), { timeout: 5_000 }).toBe(true);
    await expect(client.query('SELECT 1')).rejects.toThrow('not queryable');
    client.release();
    expect(poolStats(postgres.pool)).toMatchObject({ used: 0 });
  });

  test('during a statement: 57P01', async () => {
    const failure = await failureOf(inTransaction(postgres, (tx) => tx.$executeRawUnsafe('SELECT pg_terminate_backend(pg_backend_pid())')));
    expect({ kind: failure.kind, state: failure.state, unknown: failure.outcomeUnknown }).toEqual({ kind: 'unavailable', state: '57P01', unknown: false });
    expect(await count(USER[0])).toBe(0); // and the next call has a new connection
  });

  test('COMMIT sent, its answer lost: outcome unknown, and it did commit', async () => {
    const failure = await failureOf(inTransaction(postgres, (tx) => tx.$executeRawUnsafe(write(USER[1]!)), { onCommitSent: () => cutAll(postgres) }));
    expect({ kind: failure.kind, unknown: failure.outcomeUnknown }).toEqual({ kind: 'unavailable', unknown: true });
    expect(shapeOf(failure.cause)).toMatchObject({ name: 'Error', code: undefined, kind: undefined });
    await expect.poll(() => count(USER[1]), { timeout: 5_000 }).toBe(1);
  });

  test('the server dies inside COMMIT: outcome unknown, and it did not', async () => {
    await postgres.pool.query(`
      CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
      CREATE CONSTRAINT TRIGGER die AFTER INSERT ON parked_users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()`);
    try {
      const failure = await failureOf(inTransaction(postgres, (tx) => tx.$executeRawUnsafe(write(USER[2]!))));
      expect({ kind: failure.kind, state: failure.state, unknown: failure.outcomeUnknown }).toEqual({ kind: 'unavailable', state: '57P01', unknown: true });
      expect(await count(USER[2])).toBe(0);
    } finally {
      await postgres.pool.query('DROP FUNCTION die CASCADE');
    }
  });

  test('idle-in-transaction timeout: a frozen instance loses its transaction, nobody else waits for it', async () => {
    const short = open(database.url, { idleTransactionTimeoutMs: 100 });
    const failure = await failureOf(
      inTransaction(short, async (tx) => {
        await tx.$executeRawUnsafe(write(USER[3]!));
        await expect.poll(() => broken(short), { timeout: 5_000 }).toBe(true);
        await tx.$executeRawUnsafe('SELECT 1');
      }),
    );
    expect(failure.kind).toBe('unavailable');
    expect(await count(USER[3])).toBe(0);
    await short.close();
  });

  test('a frozen backend: the watchdog cuts the connection', async () => {
    const short = open(database.url, { statementTimeoutMs: 400, lockTimeoutMs: 300 });
    const failure = await failureOf(
      inTransaction(short, async (tx) => {
        const [backend] = await tx.$queryRawUnsafe<{ pid: number }[]>('SELECT pg_backend_pid() AS pid');
        process.kill(backend!.pid, 'SIGSTOP');
        frozen = backend!.pid;
        await tx.$executeRawUnsafe('SELECT 1');
      }),
    );
    expect({ kind: failure.kind, message: failure.message }).toEqual({ kind: 'unavailable', message: 'Connection terminated unexpectedly' });
    await short.ping(); // on a new connection
    expect(poolStats(short.pool)).toMatchObject({ used: 0 });
    await short.close();
  });
});

describe('no connection can be made', () => {
  test('too many connections', async () => {
    await postgres.pool.query('DROP ROLE IF EXISTS one; CREATE ROLE one LOGIN CONNECTION LIMIT 1');
    const url = new URL(database.url);
    url.username = 'one';
    const one = open(url.toString());
    const held = await one.pool.connect();
    const failure = await failureOf(inTransaction(one, (tx) => tx.$executeRawUnsafe('SELECT 1')));
    expect({ kind: failure.kind, state: failure.state }).toEqual({ kind: 'unavailable', state: '53300' });
    expect(shapeOf(failure.cause)).toMatchObject({ code: 'P2037', kind: 'TooManyConnections' });
    held.release();
    await one.close();
  });

  test('no such database, no such user: stop loudly instead of waiting', async () => {
    for (const [part, value, state] of [['pathname', '/nowhere', '3D000'], ['username', 'nobody', '28000']] as const) {
      const url = new URL(database.url);
      url[part] = value;
      const wrong = open(url.toString());
      const failure = await failureOf(inTransaction(wrong, (tx) => tx.$executeRawUnsafe('SELECT 1')));
      expect({ kind: failure.kind, state: failure.state }).toEqual({ kind: 'schema', state });
      await wrong.close();
    }
  });

  test.each(['fast', 'immediate'] as const)('server stopped (%s): unavailable while it is down, works again when it is up, on the same pool', async (mode) => {
    await postgres.ping();
    await server.stop(mode);
    // Until the pool has heard of it, the first question goes to a connection that is gone, and fails with another code.
    await expect.poll(() => postgres.pool.totalCount, { timeout: 5_000 }).toBe(0);
    const failures = [
      await failureOf(inTransaction(postgres, (tx) => tx.$executeRawUnsafe('SELECT 1'))),
      classify(await postgres.prisma.$queryRawUnsafe('SELECT 1').catch((error: unknown) => error)),
      classify(await postgres.prisma.parkedUser.findFirst().catch((error: unknown) => error)),
    ];
    expect(failures.map(({ kind }) => kind)).toEqual(['unavailable', 'unavailable', 'unavailable']);
    expect(failures.map(({ cause }) => shapeOf(cause).code)).toEqual(['P1001', 'P2010', 'P1001']);
    await expect(postgres.ping()).rejects.toSatisfy((error) => error instanceof BrxError && error.code === 'BRX_DATABASE_UNAVAILABLE' && error.retryable);
    await server.start();
    await postgres.ping();
  });

  test('server restarted in the middle of a statement', async () => {
    const running = failureOf(inTransaction(postgres, (tx) => tx.$executeRawUnsafe('SELECT pg_sleep(7)')));
    const admin = open(database.url, { poolMax: 2 });
    await expect.poll(async () => (await admin.pool.query("SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(7)%' AND state = 'active'")).rowCount, { timeout: 5_000 }).toBe(1);
    await server.restart('immediate');
    expect((await running).kind).toBe('unavailable');
    await postgres.ping();
    await admin.close();
  });
});

/** Whether the connection in use has been found broken. */
function broken(of: Postgres): boolean {
  return clientsOf(of).some((client) => !client._queryable);
}

/** Cuts every connection at our end. */
function cutAll(of: Postgres): void {
  for (const client of clientsOf(of)) client.connection.stream.destroy();
}

const clientsOf = (of: Postgres): { _queryable: boolean; connection: { stream: { destroy(): void } } }[] => (of.pool as unknown as { _clients: ReturnType<typeof clientsOf> })._clients;
