import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { InventoryChanged } from '../../../src/contract/index.ts';
import { readStock, StockFold, writeStock } from '../../../src/inventory/index.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { createPostgres, inTransaction, lockUsers, type Postgres, type Transaction } from '../../../src/platform/postgres/index.ts';
import { createTestDatabase, openPool, type TestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { change, history, randomUuid } from '../../support/events.ts';
import { itemOf } from '../../support/ingest.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects: rows are written where they were read. Somebody who writes without the lane lock (an operator in psql) may move them
 * in between; then the chunk is a conflict and is tried again, and it never writes into a row that has taken the place.
 */
let database: TestDatabase;
let postgres: Postgres;
let operator: pg.Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  postgres = createPostgres(databaseConfig(database.url), { logger: silentLogger, applicationName: 'test', keyLookupsOnly: true });
  operator = openPool(database, 2);
});
afterAll(async () => {
  await postgres.close();
  await operator.end();
  await database.drop();
});

/** Reads, lets `meddle` do something the first time, and writes, as a chunk does. Returns how often it had to begin. */
async function apply(event: InventoryChanged, meddle: (tx: Transaction) => Promise<unknown> = () => Promise.resolve()): Promise<number> {
  let begun = 0;
  await inTransaction(postgres, async (tx) => {
    begun += 1;
    const fold = new StockFold();
    fold.touch(event.user_id, event.item_id);
    await lockUsers(tx, [event.user_id]);
    await readStock(tx, fold, [event.event_id]);
    if (begun === 1) await meddle(tx);
    fold.apply(event);
    await writeStock(tx, fold);
  });
  return begun;
}

const placeOf = async (user: string): Promise<string | undefined> => (await operator.query<{ ctid: string }>('SELECT ctid::text FROM inventory_items WHERE user_id = $1', [user])).rows[0]?.ctid;

async function stocked(): Promise<{ user: string; item: string; add: InventoryChanged }> {
  const [user, item] = [randomUuid(), randomUuid()];
  const [set, add] = history(user, item, ['SET', 10], ['ADJUST', 1]);
  expect(await apply(set!)).toBe(1);
  return { user, item, add: add! };
}

test('a row that was updated meanwhile: what is written follows from what is there', async () => {
  const { user, item, add } = await stocked();
  expect(await apply(add, () => operator.query('UPDATE inventory_items SET on_hand = 50 WHERE user_id = $1', [user]))).toBe(2);
  expect(await itemOf(operator, user, item)).toMatchObject({ on_hand: 51 });
});

test('a row that was deleted meanwhile, and whose place another user’s item has taken', async () => {
  const { user, item, add } = await stocked();
  const was = await placeOf(user);
  let other = '';
  const taken = async (tx: Transaction): Promise<void> => {
    await operator.query('DELETE FROM inventory_items WHERE user_id = $1', [user]);
    await tx.$queryRawUnsafe('SELECT 1'); // as a chunk reads parked users here: the snapshot that still saw the old row is gone
    await until('another item stands at the place', async () => {
      await operator.query('VACUUM inventory_items');
      other = randomUuid();
      await operator.query('INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand) VALUES ($1, $1, $1, 77)', [other]);
      return (await placeOf(other)) === was;
    });
  };
  expect(await apply(add, taken)).toBe(2);
  expect(await itemOf(operator, other, other)).toMatchObject({ on_hand: 77, last_event_id: other });
  expect(await itemOf(operator, user, item)).toMatchObject({ on_hand: 1, last_event_id: add.event_id });
});

test('an item that was created meanwhile', async () => {
  const event = change({ kind: 'ADJUST', quantity: 3 });
  const created = () => operator.query('INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand) VALUES ($1, $2, $2, 5)', [event.user_id, event.item_id]);
  await expect(apply(event, created)).rejects.toMatchObject({ kind: 'duplicate' }); // one that stands alone is tried again by whoever halves the chunk
  expect(await apply(event)).toBe(1);
  expect(await itemOf(operator, event.user_id, event.item_id)).toMatchObject({ on_hand: 8 });
});
