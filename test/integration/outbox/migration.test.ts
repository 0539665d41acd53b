import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test, type TestContext } from 'vitest';
import { migrate } from '../../../src/operations/migrate/index.ts';
import { migrationsDirectory } from '../../../src/operations/migrate/files.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { createPostgres, inTransaction } from '../../../src/platform/postgres/index.ts';
import { buryDeadLetters, sourceColumns, type DeadEntry } from '../../../src/records/index.ts';
import { createEmptyDatabase, createTestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { randomUuid, source, uuid7 } from '../../support/events.ts';

/** Protects: dead letters that were not published when the outbox came are published by it as if they had been enqueued. */
const GROUP = 'brx-sync-ingest';

const at = (offset: number | string, partition: number, more: Parameters<typeof source>[0], dead: Partial<DeadEntry> = {}): DeadEntry => ({
  kind: 'dead',
  reason: 'undecodable',
  detail: 'not Confluent wire format',
  userId: null,
  eventId: null,
  source: source({ offset: String(offset), partition, key: Buffer.from('k'), value: Buffer.from([0, 1, 255]), ...more }),
  ...dead,
});

const LETTERS: readonly DeadEntry[] = [
  at(1, 3, { headers: { traceparent: '00-abc-def-01', twice: [Buffer.from('1'), null], none: null, empty: '' } }),
  at(2, 11, { key: null, value: null, timestamp: 1_767_225_600_123 }),
  at('9007199254740993', 0, { headers: { 'a\u0000b': 'x', '': 'nameless', long: Buffer.alloc(300, 7) } }),
  at(4, 15, { headers: {} }, { reason: 'invalid', detail: 'é'.repeat(1_000), userId: randomUuid(), eventId: uuid7(Date.now()) }),
  // Dead already once: what it says of itself gives way to what we say.
  at(5, 3, { headers: { 'kafka_dlt-original-topic': 'elsewhere', 'brx-dead-letter-reason': ['old', 'older'], kept: 'x' } }, { reason: 'too_old' }),
];

async function connected({ onTestFinished }: TestContext, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** Its rows in order; headers by name, because Kafka and its clients promise no order among names. */
async function outboxOf(client: pg.Client): Promise<unknown[]> {
  const { rows } = await client.query<{ headers: [string, string | null][] }>("SELECT shard, partition, user_id, event_id, available_at, topic, encode(record_key, 'hex') AS key, encode(record_value, 'hex') AS value, record_headers AS headers FROM outbox ORDER BY id");
  return rows.map((row) => ({ ...row, headers: row.headers.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)) }));
}

test('a database of the version before', async (context) => {
  // What this version enqueues.
  const fresh = await createTestDatabase();
  context.onTestFinished(() => fresh.drop());
  const postgres = createPostgres(databaseConfig(fresh.url), { logger: silentLogger, applicationName: 'test', keyLookupsOnly: true });
  context.onTestFinished(() => postgres.close());
  await inTransaction(postgres, (tx) => buryDeadLetters(tx, LETTERS, GROUP));

  // The same dead letters where the version before has left them, and one it had published.
  const old = await createEmptyDatabase();
  context.onTestFinished(() => old.drop());
  const directory = mkdtempSync(join(tmpdir(), 'brx-migrations-'));
  context.onTestFinished(() => rmSync(directory, { recursive: true }));
  cpSync(join(migrationsDirectory(), '20261123000000_inventory'), join(directory, '20261123000000_inventory'), { recursive: true });
  await migrate(old.url, { logger: silentLogger, directory });
  const client = await connected(context, old.url);
  await client.query(
    `INSERT INTO dead_letters (reason, detail, user_id, event_id, consumer_group, topic, partition, "offset", record_timestamp, record_key, record_value, record_headers)
     SELECT reason, detail, user_id, event_id, $5, topic, partition, "offset", record_timestamp, record_key, record_value, record_headers::jsonb
       FROM unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $6::text[], $7::int[], $8::bigint[], $9::timestamptz[], $10::bytea[], $11::bytea[], $12::text[])
         AS d (reason, detail, user_id, event_id, topic, partition, "offset", record_timestamp, record_key, record_value, record_headers)`,
    [LETTERS.map(({ reason }) => reason), LETTERS.map(({ detail }) => detail), LETTERS.map(({ userId }) => userId), LETTERS.map(({ eventId }) => eventId), GROUP, ...sourceColumns(LETTERS.map((letter) => letter.source))],
  );
  await client.query(`INSERT INTO dead_letters (reason, detail, consumer_group, topic, partition, "offset", record_timestamp, record_headers, published_at) VALUES ('invalid', 'published', 'g', 't', 0, 0, now(), '[]', now())`);
  await migrate(old.url, { logger: silentLogger });

  const expected = await outboxOf(await connected(context, fresh.url));
  expect(expected).toHaveLength(LETTERS.length);
  expect(await outboxOf(client)).toEqual(expected);
});
