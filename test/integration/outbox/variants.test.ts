import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enqueue, Relay, RELAY_SESSION, shardOf } from '../../../src/outbox/index.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { createPostgres, inTransaction, lockUsers, openSession } from '../../../src/platform/postgres/index.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { uuid } from '../../support/events.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects: the way the outbox is written and read is the one that loses nothing and keeps each user's order. The other ways people
 * read a table in order are run against the same writers and must lose or reorder, so that this file is known to see it; their
 * numbers are those of the table in the reference ("The sequence/commit gap"). If one of them stops failing on a later version of
 * PostgreSQL, that is news, not noise.
 */
const WRITERS = 16;
const USERS = 30;
/** Longest time until a way that does not work must have shown it; it takes a fraction of that. */
const SHOW_MS = 20_000;
/** Transactions after which a way that works has shown enough: the others need some hundreds. */
const ENOUGH = 6_000;

interface Row {
  id: string;
  user_no: number;
  n: number;
}

/** What was committed and what was published, as it happens. */
class Record {
  readonly committed = new Set<string>();
  readonly #published = new Set<string>();
  readonly #last = new Map<number, number>();
  breaks = 0;

  publish(rows: readonly Pick<Row, 'user_no' | 'n'>[]): void {
    for (const { user_no: user, n } of rows) {
      if (this.#published.has(`${user}/${n}`)) continue;
      this.#published.add(`${user}/${n}`);
      if (n < (this.#last.get(user) ?? 0)) this.breaks += 1;
      else this.#last.set(user, n);
    }
  }

  get lost(): number {
    return [...this.committed].filter((one) => !this.#published.has(one)).length;
  }
}

/** How a writer keeps others from its user until it has committed; `id` only matters for what comes first. */
type Lock = 'none' | 'row' | 'advisory';

let database: TestDatabase;
let clients: pg.Client[];

beforeAll(async () => {
  database = await createTestDatabase();
  clients = await Promise.all(
    Array.from({ length: WRITERS + 4 }, async () => {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      return client;
    }),
  );
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await database.drop();
});

/** A third of the commits come up to 15 ms late. */
const lateness = (): number => (Math.random() < 0.3 ? Math.random() * 0.015 : 0);
const someUser = (): number => Math.floor(Math.random() * USERS);

/** The writer's transaction: takes the user's next number and writes the row that tells it, then commits, some of them late. */
async function write(client: pg.Client, lock: Lock, record: Record): Promise<void> {
  const user = someUser();
  await client.query('BEGIN');
  if (lock === 'advisory') await client.query('SELECT pg_advisory_xact_lock($1)', [user]);
  // Under 'none' the number is drawn from a sequence of the user: nobody waits for anybody.
  const { rows } = await client.query<{ n: number }>(lock === 'none' ? "SELECT nextval('trial_number')::int AS n" : 'UPDATE trial_users SET n = n + 1 WHERE user_no = $1 RETURNING n', lock === 'none' ? [] : [user]);
  const n = rows[0]?.n ?? 0;
  await client.query('INSERT INTO trial (user_no, n) VALUES ($1, $2)', [user, n]);
  const late = lateness();
  if (late > 0) await client.query('SELECT pg_sleep($1)', [late]);
  await client.query('COMMIT');
  record.committed.add(`${user}/${n}`);
}

/** One look at the table, and what it publishes; answers how many rows. Each call is handed the same `state`. */
type Look = (client: pg.Client, record: Record, state: { last: bigint; xid: string; fullAt: number }) => Promise<number>;

const UNPUBLISHED = 'SELECT id, user_no, n FROM trial WHERE NOT published';

async function markPublished(client: pg.Client, record: Record, rows: readonly Row[]): Promise<number> {
  record.publish(rows);
  if (rows.length > 0) await client.query('UPDATE trial SET published = true WHERE id = ANY($1)', [rows.map(({ id }) => id)]);
  return rows.length;
}

const cursor: Look = async (client, record, state) => {
  const { rows } = await client.query<Row>('SELECT id, user_no, n FROM trial WHERE id > $1 ORDER BY id LIMIT 200', [state.last]);
  record.publish(rows);
  state.last = BigInt(rows.at(-1)?.id ?? state.last);
  return rows.length;
};

const cursorBelowXmin: Look = async (client, record, state) => {
  const { rows } = await client.query<Row & { xid: string }>(
    'SELECT id, user_no, n, xid::text AS xid FROM trial WHERE (xid, id) > ($1::xid8, $2::bigint) AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, id LIMIT 200',
    [state.xid, state.last],
  );
  record.publish(rows);
  state.last = BigInt(rows.at(-1)?.id ?? state.last);
  state.xid = rows.at(-1)?.xid ?? state.xid;
  return rows.length;
};

const unpublished: Look = async (client, record) => markPublished(client, record, (await client.query<Row>(`${UNPUBLISHED} ORDER BY id LIMIT 200`)).rows);

const unpublishedBelowXmin: Look = async (client, record) => markPublished(client, record, (await client.query<Row>(`${UNPUBLISHED} AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY id LIMIT 200`)).rows);

const skippingLocked: Look = async (client, record) => {
  await client.query('BEGIN');
  const { rows } = await client.query<Row>(`${UNPUBLISHED} ORDER BY id LIMIT 20 FOR UPDATE SKIP LOCKED`);
  if (rows.length > 0) await client.query('SELECT pg_sleep($1)', [Math.random() * 0.003]); // the send
  const count = await markPublished(client, record, rows);
  await client.query('COMMIT');
  return count;
};

const fromTheLastSeen: Look = async (client, record, state) => {
  const full = performance.now() > state.fullAt;
  if (full) state.fullAt = performance.now() + 50;
  const { rows } = await client.query<Row>(`${UNPUBLISHED} AND id > $1 ORDER BY id LIMIT 200`, [full ? 0 : state.last]);
  const last = BigInt(rows.at(-1)?.id ?? 0);
  if (last > state.last) state.last = last;
  return markPublished(client, record, rows);
};

interface Way {
  lock: Lock;
  look: Look;
  pollers?: number;
  cache?: number;
}

/** Writers and pollers at once until `done`, then pollers alone until they find nothing; what came of it. */
async function trial({ lock, look, pollers = 1, cache = 1 }: Way, done: (record: Record) => boolean): Promise<Record> {
  const [setup] = clients as [pg.Client];
  await setup.query('DROP TABLE IF EXISTS trial, trial_users; DROP SEQUENCE IF EXISTS trial_number; CREATE SEQUENCE trial_number');
  await setup.query('CREATE TABLE trial_users (user_no int PRIMARY KEY, n int NOT NULL DEFAULT 0)');
  await setup.query(`INSERT INTO trial_users SELECT generate_series(0, ${USERS - 1})`);
  await setup.query(`CREATE TABLE trial (id bigint GENERATED ALWAYS AS IDENTITY (CACHE ${cache}) PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), published boolean NOT NULL DEFAULT false, user_no int NOT NULL, n int NOT NULL)`);
  await setup.query('CREATE INDEX ON trial (id) WHERE NOT published');
  const record = new Record();
  const deadline = performance.now() + SHOW_MS;
  let stopped = false;
  const over = (): boolean => (stopped ||= done(record) || performance.now() > deadline);
  const state = { last: 0n, xid: '0', fullAt: 0 };
  const writing = clients.slice(0, WRITERS).map(async (client) => {
    while (!over()) await write(client, lock, record);
  });
  let quiet = false;
  const polling = clients.slice(WRITERS, WRITERS + pollers).map(async (client) => {
    for (;;) {
      const last = quiet; // a look that begins after the last commit sees it
      if ((await look(client, record, state)) === 0 && last) return;
    }
  });
  await Promise.all(writing);
  quiet = true;
  await Promise.all(polling);
  return record;
}

describe('control arm, which must be seen to fail', () => {
  test('a cursor (id > last) loses rows', async () => {
    expect((await trial({ lock: 'none', look: cursor }, ({ committed }) => committed.size > 1_000)).lost).toBeGreaterThan(0);
  });

  test('a cursor loses rows also when the user is locked before the id is drawn', async () => {
    expect((await trial({ lock: 'advisory', look: cursor }, ({ committed }) => committed.size > 1_000)).lost).toBeGreaterThan(0);
  });

  test.each<[what: string, way: Way]>([
    ['a cursor (xid, id) below xmin, with a row lock', { lock: 'row', look: cursorBelowXmin }],
    ['unpublished rows by id, below xmin, with a row lock', { lock: 'row', look: unpublishedBelowXmin }],
    ['unpublished rows by id with SKIP LOCKED, three pollers', { lock: 'advisory', look: skippingLocked, pollers: 3 }],
    ['unpublished rows behind the last one seen, all of them every 50 ms', { lock: 'advisory', look: fromTheLastSeen }],
    ['unpublished rows by id, from a sequence with CACHE 20', { lock: 'advisory', look: unpublished, cache: 20 }],
  ])('%s: breaks the order of a user', async (_, way) => {
    expect((await trial(way, ({ breaks }) => breaks > 0)).breaks).toBeGreaterThan(0);
  });
});

describe('what loses nothing and keeps the order', () => {
  test.each<[Lock]>([['row'], ['advisory']])('unpublished rows by id, one poller, the user locked (%s) before the id is drawn', async (lock) => {
    const record = await trial({ lock, look: unpublished }, ({ committed }) => committed.size >= ENOUGH);
    expect(record.committed.size).toBeGreaterThanOrEqual(ENOUGH);
    expect({ lost: record.lost, breaks: record.breaks }).toEqual({ lost: 0, breaks: 0 });
  });

  test.each([[1], [3]])('ours: enqueue under the lane, and %i relays with shards and floors', async (count) => {
    const record = new Record();
    const postgres = createPostgres(databaseConfig(database.url, { poolMax: WRITERS }), { logger: silentLogger, applicationName: 'writers', keyLookupsOnly: true });
    const problems: string[] = [];
    const relays = Array.from(
      { length: count },
      () =>
        new Relay({
          openSession: () => openSession(databaseConfig(database.url), { ...RELAY_SESSION, logger: silentLogger, applicationName: 'relay' }),
          producer: {
            connect: () => Promise.resolve(),
            disconnect: () => Promise.resolve(),
            async sendBatch(messages) {
              await new Promise((resolve) => setImmediate(resolve));
              record.publish(messages.map(({ value }) => JSON.parse(String(value)) as Pick<Row, 'user_no' | 'n'>));
            },
          },
          clock: systemClock,
          observer: { published: () => undefined, blocked: () => undefined, owns: () => undefined, waiting: (error) => problems.push(error), belowFloor: (shard, id) => problems.push(`below the floor: ${shard}/${id}`) },
          onFatal: (error) => problems.push(error.message),
        }),
    );
    await Promise.all(relays.map((relay) => relay.start()));
    const numbers = new Map<number, number>();
    const one = async (): Promise<void> => {
      const user = someUser();
      const userId = uuid(user);
      const n = await inTransaction(postgres, async (tx) => {
        await lockUsers(tx, [userId]);
        const next = (numbers.get(user) ?? 0) + 1;
        numbers.set(user, next);
        await enqueue(tx, [{ topic: 'none', shard: shardOf(userId), userId, eventId: null, key: null, value: Buffer.from(JSON.stringify({ user_no: user, n: next })) }]);
        const late = Math.random() < 0.002 ? 0.7 : lateness(); // a few longer than a floor takes to move
        if (late > 0) await tx.$executeRawUnsafe(`SELECT pg_sleep(${late})`);
        return next;
      });
      record.committed.add(`${user}/${n}`);
    };
    await Promise.all(
      Array.from({ length: WRITERS }, async () => {
        while (record.committed.size < ENOUGH) await one();
      }),
    );
    await until('everything is published', () => record.lost === 0 || problems.length > 0);
    await Promise.all(relays.map((relay) => relay.stop()));
    await postgres.close();
    expect(problems).toEqual([]);
    expect(record.breaks).toBe(0);
  });
});
