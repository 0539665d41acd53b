import { readFileSync, readdirSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LANE_LOCK_CLASS } from '../../src/platform/postgres/index.ts';
import { createTestDatabase, openPool, type TestDatabase } from '../support/database.ts';
import { until } from '../support/wait.ts';

/** Protects: what runbooks tell people to ask PostgreSQL is answered, and names who is in the way. */
const FOLDER = 'docs/runbooks';
const queries = readdirSync(FOLDER).flatMap((file) => [...readFileSync(`${FOLDER}/${file}`, 'utf8').matchAll(/```sql\n([^]*?)```/g)].flatMap(([, block = '']) => block.split('\n').map((line) => line.replace(/\s*--.*$/, '')).filter((line) => line !== '')).map((query) => ({ file, query })));
let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = openPool(database, 2);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

test('there are some', () => {
  expect(queries.length).toBeGreaterThan(5);
});

test.each(queries)('$file: $query', async ({ query }) => {
  const answer = pool.query(query).then(({ fields }) => fields.length, (error: { code?: string }) => error.code);
  if (query.includes('pg_is_wal_replay_paused')) expect(await answer).toBe('55000'); // known, and only a standby answers it
  else expect(await answer).toBeGreaterThan(0);
});

test('a transaction that waits for a lane is told with the session that holds it', async () => {
  const query = queries.find(({ file }) => file === 'BrxConsumerStandsStill.md')?.query ?? '';
  const sessions = await Promise.all(['somebody', 'brx-sync runbooks'].map(async (name) => {
    const client = new pg.Client({ connectionString: database.url, application_name: name });
    await client.connect();
    await client.query('BEGIN');
    return client;
  }));
  const [holder, waiter] = sessions as [pg.Client, pg.Client];
  const lock = (client: pg.Client): Promise<unknown> => client.query('SELECT pg_advisory_xact_lock($1, 7)', [LANE_LOCK_CLASS]);
  try {
    await lock(holder);
    const waits = lock(waiter).catch(() => undefined);
    const { rows: [{ pid } = { pid: 0 }] } = await holder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await until('it is told', async () => (await pool.query<{ blocked_by?: number[] }>(query)).rows.some(({ blocked_by: by }) => by?.includes(pid)));
    await holder.query('ROLLBACK');
    await waits;
  } finally {
    for (const client of sessions) await client.end();
  }
});
