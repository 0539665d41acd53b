import { afterAll, beforeAll, expect, it } from 'vitest';
import { deleteOldDeadLetters } from '../../../src/records/dead-letters.sql.ts';
import { pruneDeadLetters } from '../../../src/records/index.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { createPostgres, type Postgres } from '../../../src/platform/postgres/index.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { recordingTransaction, type RecordedStatement } from '../../support/recorded-sql.ts';

/** P9: the dead-letter table is bounded by time, and nothing leaves it that is still in reach of a replay. */
let database: TestDatabase;
let postgres: Postgres;

beforeAll(async () => {
  database = await createTestDatabase();
  postgres = createPostgres(databaseConfig(database.url), { logger: silentLogger, applicationName: 'retention', keyLookupsOnly: true });
});

afterAll(async () => {
  await postgres.close();
  await database.drop();
});

it('forgets dead letters that are old, a thousand a step, and no others', async () => {
  await postgres.pool.query(
    `INSERT INTO dead_letters (topic, partition, "offset", record_timestamp, record_headers, reason, detail, consumer_group, created_at)
     SELECT kind, 0, n, now(), '[]', 'undecodable', '', 'group', now() - age
       FROM (VALUES ('old', 1500, interval '40 days'), ('young', 3, interval '1 day')) AS k (kind, many, age),
            generate_series(1, many) AS n`,
  );
  const keepSince = Date.now() - 31 * 86_400_000;

  expect(await pruneDeadLetters(postgres, keepSince)).toBe(1_000);
  expect(await pruneDeadLetters(postgres, keepSince)).toBe(500);
  expect(await pruneDeadLetters(postgres, keepSince)).toBe(0);

  const { rows } = await postgres.pool.query<{ topic: string; n: number }>('SELECT topic, count(*)::int AS n FROM dead_letters GROUP BY topic ORDER BY topic');
  expect(rows).toEqual([{ topic: 'young', n: 3 }]);
});

it('reads a thousand, however many there are that must be kept', async () => {
  await postgres.pool.query(
    `INSERT INTO dead_letters (topic, partition, "offset", record_timestamp, record_headers, reason, detail, consumer_group)
     SELECT 'many', 0, n, now(), '[]', 'undecodable', '', 'group' FROM generate_series(1, 50000) AS n`,
  );
  await postgres.pool.query('ANALYZE dead_letters');
  const { tx, statements } = recordingTransaction();
  await deleteOldDeadLetters(tx, Date.now() - 31 * 86_400_000, 1_000);
  const client = await postgres.pool.connect();
  try {
    const [{ sql, values }] = statements as [RecordedStatement];
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN (ANALYZE, FORMAT TEXT) ${sql.replace('$1', `'${String(values[0])}'`)}`);
    const read = rows.map((row) => row['QUERY PLAN']).flatMap((line) => [.../actual .*rows=(\d+)|Rows Removed by Filter: (\d+)/g[Symbol.matchAll](line)]).map(([, kept, removed]) => Number(kept ?? removed));
    expect(read.length).toBeGreaterThan(0);
    expect(Math.max(...read)).toBeLessThanOrEqual(1_000);
  } finally {
    client.release();
  }
});
