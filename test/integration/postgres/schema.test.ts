import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLogger } from '../../../src/platform/log.ts';
import { createPostgres, inTransaction, type Postgres } from '../../../src/platform/postgres/index.ts';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { dumpSchema } from '../../support/schema-dump.ts';

const SCHEMA_FILE = fileURLToPath(new URL('../../../prisma/schema.sql', import.meta.url));
const USER = '0190a000-0000-7000-8000-000000000001';
const ITEM = '0190a000-0000-7000-8000-000000000002';
const EVENT = '0190a000-0000-7000-8000-000000000003';
const WHEN = new Date('2026-01-02T03:04:05.678Z');

let database: TestDatabase;
let postgres: Postgres;

beforeAll(async () => {
  database = await createTestDatabase();
  postgres = createPostgres(databaseConfig(database.url), { logger: silentLogger, applicationName: 'schema test', keyLookupsOnly: false });
});
afterAll(async () => {
  await postgres.close();
  await database.drop();
});

async function dump(url: string, before?: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    if (before !== undefined) await client.query(before);
    return await dumpSchema(client);
  } finally {
    await client.end();
  }
}

describe('the committed schema', () => {
  test('prisma/schema.sql is what the migrations make', async () => {
    await expect(await dump(database.url)).toMatchFileSnapshot(SCHEMA_FILE);
  });

  test('prisma/schema.sql makes that schema in an empty database', async () => {
    const empty = await createEmptyDatabase();
    try {
      const committed = await readFile(SCHEMA_FILE, 'utf8');
      expect(await dump(empty.url, committed)).toBe(committed);
    } finally {
      await empty.drop();
    }
  });
});

describe('Prisma’s models fit the tables: every column is written and read back', () => {
  const source = { topic: 'brx.marketplace-events', partition: 3, offset: 2n ** 53n + 1n, recordTimestamp: WHEN, recordKey: new Uint8Array([0, 255]), recordValue: null, recordHeaders: [['a', 'Yg==']] };

  test('inventory_items', async () => {
    const row = { userId: USER, itemId: ITEM, lastEventId: EVENT, blueprintId: 2n ** 60n, priceCents: 199n, version: 7n, updatedAt: WHEN, onHand: 2_147_483_647, held: 1, flags: 3, currency: 'EUR', properties: { language: 'it' } };
    await postgres.prisma.inventoryItem.create({ data: row });
    expect(await postgres.prisma.inventoryItem.findFirst({ where: { userId: USER } })).toEqual(row);
  });

  test('stock_ledger', async () => {
    const row = { eventId: EVENT, userId: USER, itemId: ITEM, previousEventId: null, occurredAt: WHEN, recordedAt: WHEN, version: null, quantity: -2, delta: -2, onHand: 5, kind: 'A', outcome: 'a', cause: 'shop' };
    await postgres.prisma.stockLedgerEntry.create({ data: row });
    expect(await postgres.prisma.stockLedgerEntry.findFirst({ where: { eventId: EVENT } })).toEqual(row);
  });

  test('parked_users and parked_events', async () => {
    const user = { userId: USER, parkedAt: WHEN, lastAttemptAt: WHEN, attempts: 2, reason: 'data', error: 'refused' };
    const event = { ...source, parkedAt: WHEN, eventId: EVENT };
    await postgres.prisma.parkedUser.create({ data: { ...user, events: { create: event } } });
    expect(await postgres.prisma.parkedUser.findFirst({ where: { userId: USER }, include: { events: true } })).toEqual({ ...user, events: [{ ...event, id: expect.any(BigInt) as bigint, userId: USER }] });
  });

  test('dead_letters', async () => {
    const row = { ...source, createdAt: WHEN, publishedAt: null, userId: USER, eventId: null, consumerGroup: 'g', reason: 'invalid', detail: 'quantity: too small' };
    await postgres.prisma.deadLetter.create({ data: row });
    expect(await postgres.prisma.deadLetter.findFirst({ where: { offset: row.offset } })).toEqual({ ...row, id: expect.any(BigInt) as bigint });
  });

  test('the view stock_history spells codes out', async () => {
    const history = await inTransaction(postgres, async (tx) => {
      await tx.stockLedgerEntry.create({ data: { eventId: USER, userId: USER, itemId: USER, occurredAt: WHEN, quantity: 0, delta: -1, onHand: 0, kind: 'R', outcome: 'a', cause: 'shop' } });
      return tx.$queryRawUnsafe('SELECT kind, outcome, delta, cause FROM stock_history WHERE event_id = $1::uuid', USER);
    });
    expect(history).toEqual([{ kind: 'REMOVE', outcome: 'applied', delta: -1, cause: 'shop' }]);
  });
});

describe('what the tables refuse', () => {
  const item = { user_id: ITEM, item_id: EVENT, last_event_id: EVENT, on_hand: 1, held: 0, flags: 0 };
  const ledger = { event_id: ITEM, user_id: USER, item_id: ITEM, occurred_at: WHEN, quantity: 1, delta: 0, on_hand: 1, kind: 'S', outcome: 's', cause: 'shop' };
  const deadLetter = { topic: 't', partition: 0, offset: 1, record_timestamp: WHEN, record_headers: '[]', reason: 'invalid', detail: '', consumer_group: 'g' };

  const insert = async (table: string, row: object): Promise<void> => {
    const columns = Object.keys(row).map((name) => `"${name}"`);
    await postgres.pool.query(`INSERT INTO ${table} (${columns.join()}) VALUES (${columns.map((_, index) => `$${index + 1}`).join()})`, Object.values(row));
  };

  // Each row of the table below differs from one that is accepted in one thing only.
  beforeAll(async () => {
    await insert('inventory_items', item);
    await insert('stock_ledger', ledger);
    await insert('dead_letters', deadLetter);
  });

  test.each([
    ['inventory_items_on_hand_not_negative', 'inventory_items', { ...item, on_hand: -1, flags: 4 }],
    ['inventory_items_held_not_negative', 'inventory_items', { ...item, held: -1 }],
    ['inventory_items_price_not_negative', 'inventory_items', { ...item, price_cents: -1 }],
    ['inventory_items_currency_three_characters', 'inventory_items', { ...item, currency: 'EURO' }],
    ['inventory_items_flags_known', 'inventory_items', { ...item, flags: 8 }],
    ['inventory_items_oversold_told', 'inventory_items', { ...item, held: 2 }],
    ['inventory_items_oversold_told', 'inventory_items', { ...item, flags: 4 }],
    ['stock_ledger_kind_known', 'stock_ledger', { ...ledger, kind: 'X' }],
    ['stock_ledger_outcome_known', 'stock_ledger', { ...ledger, outcome: 'x' }],
    ['stock_ledger_only_applied_changes', 'stock_ledger', { ...ledger, delta: 1 }],
    ['stock_ledger_pkey', 'stock_ledger', ledger],
    ['dead_letters_reason_known', 'dead_letters', { ...deadLetter, reason: 'because' }],
    ['dead_letters_topic_partition_offset_key', 'dead_letters', deadLetter],
    ['parked_users_attempts_not_negative', 'parked_users', { user_id: ITEM, reason: '', error: '', attempts: -1 }],
    ['parked_events_user_id_fkey', 'parked_events', { topic: 't', partition: 0, offset: 1, record_timestamp: WHEN, record_headers: '[]', user_id: ITEM, event_id: ITEM }],
  ])('%s', async (constraint, table, row) => {
    await expect(insert(table, row)).rejects.toMatchObject({ constraint });
  });
});
