import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { selectLackingRights } from '../../src/operations/doctor/doctor.sql.ts';
import { BULK, bulkWorld, type BulkWorld } from '../support/bulk-world.ts';
import { openPool } from '../support/database.ts';
import { cancellation, line, purchase } from '../support/events.ts';
import type { RunningFlow } from '../support/flow.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../support/marketplace-world.ts';
import { stockOf } from '../support/sales.ts';

/** Protects: a role as ops/postgres/role.sql makes it can do all the program does, and does not own its tables. */
const role = `brx_test_${randomBytes(4).toString('hex')}`;
let world: MarketplaceWorld;
let bulk: BulkWorld;
let flow: RunningFlow;
let url: URL;

beforeAll(async () => {
  world = await createMarketplaceWorld({ env: { ...BULK, BRX_HTTP_PORT: '0' } });
  bulk = bulkWorld(world);
  await world.pool.query(readFileSync('ops/postgres/role.sql', 'utf8').replaceAll('brx_sync', role));
  url = new URL(world.database.url);
  url.username = role;
  flow = await world.start(['ingest', 'saga', 'relay', 'dispatcher', 'http'], { BRX_DATABASE_URL: url.toString() });
});
afterAll(async () => {
  await flow?.stop();
  await world?.pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  await world?.close();
});

test('sales on both sides, what is called off, and an import', async () => {
  const seller = await world.seller(5);
  const [item] = seller.items;
  const sale = purchase({ user_id: seller.user, lines: [line(item!.itemId, 2)] });
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  await world.send(cancellation(sale));
  await world.reached(['COMPENSATED'], sale);
  expect(await stockOf(world, seller.user, item!.itemId)).toMatchObject({ on_hand: 5, held: 0 });
  const stranger = await bulk.stranger(2, 3);
  expect(await bulk.run(stranger.user, 'adopt-remote')).toMatchObject({ state: 'DONE' });
  expect([...(await bulk.stock(stranger.user)).values()]).toEqual([2, 3]);
  expect(flow.fatal).toEqual([]);
});

test('nothing is lacking, also on tables of later migrations; it makes and changes no table', async () => {
  const pool = openPool({ url: url.toString() }, 1);
  try {
    await world.rows('CREATE TABLE later (id bigint GENERATED ALWAYS AS IDENTITY)');
    expect(await selectLackingRights(pool)).toEqual([]);
    await pool.query('INSERT INTO later DEFAULT VALUES');
    for (const statement of ['CREATE TABLE its_own ()', 'ALTER TABLE later ADD COLUMN its_own int', 'TRUNCATE later', 'DROP TABLE stock_ledger']) await expect(pool.query(statement), statement).rejects.toMatchObject({ code: '42501' });
  } finally {
    await pool.end();
    await world.rows('DROP TABLE later');
  }
});
