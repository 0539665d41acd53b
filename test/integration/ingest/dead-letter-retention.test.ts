import { afterAll, beforeAll, expect, it } from 'vitest';
import { pruneDeadLetters } from '../../../src/records/index.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { createPostgres, type Postgres } from '../../../src/platform/postgres/index.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';

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
