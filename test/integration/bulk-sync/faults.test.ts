import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addSeller } from '../../../src/marketplace/index.ts';
import { BULK, bulkWorld, type BulkWorld } from '../../support/bulk-world.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { syncWorld } from '../../support/sync-world.ts';
import { until } from '../../support/wait.ts';

/** Protects: an export that is no whole stock, or looks like none, changes nothing; one bad chunk harms no other; nothing is applied twice. */
let world: MarketplaceWorld;
let bulk: BulkWorld;

beforeAll(async () => {
  world = await createMarketplaceWorld({ env: { ...BULK, BRX_BULK_SYNC_CHUNK_RETRIES: '0' } });
  bulk = bulkWorld(world);
  await world.startAll();
});
afterAll(() => world.close());

const many = (length: number): number[] => Array.from({ length }, () => 3);
const exportOf = (sellerId: number) => ({ sellerId, path: '/products/export' });

describe('exports', () => {
  test.each(['reset_mid_body', 'error_before_apply', 'html_error', 'throttled', 'edge_403'] as const)('%s: taken again, and imported once', async (kind) => {
    const seller = await bulk.stranger(...many(12));
    const fault = world.simulator.control.inject({ kind, when: exportOf(seller.sellerId) });
    expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', created: 12, chunks: 3 });
    expect(fault.fired).toBe(1);
    expect(await world.rows('SELECT FROM stock_ledger WHERE user_id = $1', seller.user)).toHaveLength(12);
  });

  test('the token is revoked: the job ends and says so, and so does the account', async () => {
    const seller = await bulk.stranger(1);
    // Or it is the look at the orders of a new account that hears of it first, and a job of an account whose token is rejected waits.
    await until('its orders have been looked at', async () => (await world.rows('SELECT FROM remote_order_polls WHERE user_id = $1 AND polled_at IS NOT NULL', seller.user)).length === 1);
    world.simulator.control.revokeToken(seller.sellerId);
    expect(await bulk.run(seller.user, 'report')).toMatchObject({ state: 'FAILED', problem: 'token_rejected' });
    expect(await world.rows('SELECT status FROM marketplace_sellers WHERE user_id = $1', seller.user)).toEqual([{ status: 'token_rejected' }]);
  });

  test.each([0.8, 0])('cut to %d of what there was: not believed, and nothing is changed, until it is confirmed', async (keep) => {
    const seller = await bulk.stranger(...many(20));
    await bulk.run(seller.user, 'adopt-remote');
    const before = await bulk.stock(seller.user);
    for (const { id } of seller.products) world.simulator.control.setQuantity(id, 9);
    world.simulator.control.inject({ kind: 'truncated_export', keep, when: exportOf(seller.sellerId), times: 2 });
    expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'FAILED', problem: 'shrunk', products: 20 * keep, adopted: 0 });
    expect(await bulk.stock(seller.user)).toEqual(before);
    expect(await bulk.run(seller.user, 'report', { confirmShrink: true })).toMatchObject({ state: 'DONE', products: 20 * keep });
  });

  test('three exports in a row that agree are believed; the third of two kinds is not', async () => {
    const seller = await bulk.stranger(...many(20));
    await bulk.run(seller.user, 'adopt-remote');
    const { control } = world.simulator;
    control.inject({ kind: 'truncated_export', keep: 0.5, when: exportOf(seller.sellerId) });
    expect(await bulk.run(seller.user, 'report')).toMatchObject({ problem: 'shrunk' });
    for (const { id } of seller.products.slice(0, 5)) control.removeProduct(id);
    const states = [];
    for (let times = 0; times < 3; times += 1) states.push((await bulk.run(seller.user, 'report')).state);
    expect(states).toEqual(['FAILED', 'FAILED', 'DONE']);
    // What is gone is not expected in the next ones, though nobody has mended it yet; what is missed beside it is.
    expect(await bulk.run(seller.user, 'report')).toMatchObject({ state: 'DONE', products: 15 });
    for (const { id } of seller.products.slice(5, 10)) control.removeProduct(id);
    expect(await bulk.run(seller.user, 'report')).toMatchObject({ problem: 'shrunk', said: '10 products, 15 before' });
  });

  test('a seller who has to wait an hour after a 429 keeps nobody else’s stock from being exported, also where there is one job at a time', async () => {
    const small = await createMarketplaceWorld({ env: { ...BULK, BRX_BULK_SYNC_JOBS: '1' } });
    try {
      const own = bulkWorld(small);
      await small.startAll();
      const [first, second] = [await own.stranger(3), await own.stranger(3)];
      await small.access.limiter.throttled(first.user, { retryAfterMs: 3_600_000 });
      const held = await own.ask(first.user, 'adopt-remote');
      await until('it is about to be exported', async () => (await small.rows("SELECT FROM bulk_sync_jobs WHERE job_id = $1 AND state = 'EXPORTING'", held)).length === 1);
      expect(await own.run(second.user, 'adopt-remote')).toMatchObject({ state: 'DONE', created: 1 });
      expect(await small.rows('SELECT state, failures, problem FROM bulk_sync_jobs WHERE job_id = $1', held)).toEqual([{ state: 'EXPORTING', failures: 0, problem: null }]);
    } finally {
      await small.close();
    }
  });

  test('behind the truth: what was sold there meanwhile does not come back', async () => {
    const late = await createMarketplaceWorld({ env: { ...BULK, BRX_ORDERS_SETTLE_MS: '60000' } });
    try {
      const here = bulkWorld(late);
      const seller = await here.stranger(5, 5);
      await late.startAll();
      await late.rows("UPDATE marketplace_sellers SET added_at = now() - interval '1 hour' WHERE user_id = $1", seller.user);
      await here.run(seller.user, 'adopt-remote');
      await late.rows("UPDATE inventory_items SET updated_at = now() - interval '1 hour' WHERE user_id = $1", seller.user);
      await late.rows("UPDATE marketplace_listings SET confirmed_at = now() - interval '1 hour' WHERE user_id = $1", seller.user);
      const imported = Date.now();
      await until('CardTrader has shown it so for a while', () => Promise.resolve(Date.now() > imported + 4_500));
      late.simulator.control.sell({ sellerId: seller.sellerId, productId: seller.products[0]!.id, quantity: 2 });
      await late.rows('UPDATE remote_order_polls SET next_poll_at = now() WHERE user_id = $1', seller.user);
      await until('the sale is in stock', async () => (await here.stock(seller.user)).get(seller.products[0]!.id) === 3);
      late.simulator.control.inject({ kind: 'stale_export', delayMs: Date.now() - imported - 500, when: exportOf(seller.sellerId) });
      expect(await here.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', adopted: 0, left: 1, same: 1 });
      expect((await here.stock(seller.user)).get(seller.products[0]!.id)).toBe(3);
    } finally {
      await late.close();
    }
  });

  test.each([['with a marker', '255'], ['without room for a marker', '64']])('behind the truth: what was sent there meanwhile does not come back, %s', async (_, length) => {
    const late = await createMarketplaceWorld({ env: { ...BULK, BRX_ORDERS_SETTLE_MS: '60000', BRX_MARKETPLACE_DATA_FIELD_LENGTH: length } });
    try {
      const [here, sync] = [bulkWorld(late), syncWorld(late)];
      await late.startAll();
      const seller = await sync.seller(5);
      const [item] = seller.items;
      await sync.quiet();
      const before = Date.now();
      await until('CardTrader has shown it so for a while', () => Promise.resolve(Date.now() > before + 3_000));
      await sync.says(item!, { kind: 'ADJUST', quantity: 3 });
      await sync.quiet();
      expect([item!.now()?.quantity, item!.now()?.userData?.includes(' brx:')]).toEqual([8, length === '255']);
      // The change here is old; only that CardTrader was told of it late says that the export cannot have it.
      await late.rows("UPDATE inventory_items SET updated_at = now() - interval '1 hour' WHERE user_id = $1", seller.user);
      late.simulator.control.inject({ kind: 'stale_export', delayMs: Date.now() - before, when: exportOf(seller.sellerId) });
      expect(await here.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', adopted: 0, left: 1 });
      expect(await here.stock(seller.user)).toEqual(new Map([[item!.productId, 8]]));
    } finally {
      await late.close();
    }
  });
});

test('the account is exchanged while a job is under way: it ends with what it knows of the other one', async () => {
  const seller = await bulk.stranger(3, 4);
  await bulk.run(seller.user, 'report');
  expect(await world.rows('SELECT FROM drift WHERE user_id = $1', seller.user)).toHaveLength(2);
  world.simulator.control.inject({ kind: 'slow_answer', delayMs: 1_500, when: exportOf(seller.sellerId) });
  const jobId = await bulk.ask(seller.user, 'adopt-remote');
  await until('the export to be under way', async () => (await world.rows("SELECT FROM bulk_sync_jobs WHERE job_id = $1 AND state = 'EXPORTING'", jobId)).length === 1);
  const other = world.simulator.control.addSeller();
  await addSeller({ postgres: world.postgres, keyring: world.access.keyring, client: world.access.client }, seller.user, other.token, { otherAccount: true, who: 'test', reason: 'test' });
  expect(await bulk.over(jobId)).toMatchObject({ state: 'CANCELLED' });
  expect(await world.rows('SELECT FROM drift WHERE user_id = $1', seller.user)).toEqual([]);
  // What the other account has is no measure of this one's.
  expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', products: 0, created: 0 });
  expect(await world.rows('SELECT FROM inventory_items WHERE user_id = $1', seller.user)).toEqual([]);
});

describe('chunks', () => {
  test('one the database refuses is tried again, then parked with its reason; the others are applied', async () => {
    const seller = await bulk.stranger(...many(23));
    const poisoned = seller.products[12]!.id;
    await world.rows(`ALTER TABLE marketplace_listings ADD CONSTRAINT refused_by_test CHECK (product_id <> ${poisoned}) NOT VALID`);
    try {
      const job = await bulk.run(seller.user, 'adopt-remote');
      expect(job).toMatchObject({ state: 'DONE', chunks: 5, done: 4, parked: 1, created: 18 });
      expect(await world.rows("SELECT chunk, tries, reason FROM bulk_sync_chunks WHERE job_id = $1 AND state = 'PARKED'", job.jobId)).toEqual([{ chunk: 2, tries: 3, reason: expect.stringContaining('refused_by_test') as string }]);
      expect((await bulk.stock(seller.user)).size).toBe(18);
    } finally {
      await world.rows('ALTER TABLE marketplace_listings DROP CONSTRAINT refused_by_test');
    }
    expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', parked: 0, created: 5, same: 18 });
  });

  test('what passes while it is tried again is not parked', async () => {
    const seller = await bulk.stranger(...many(7));
    await world.rows("CREATE SEQUENCE refusals; CREATE FUNCTION refuse_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('refusals') < 3 THEN RAISE check_violation; END IF; RETURN NEW; END $$; CREATE TRIGGER refuse_once BEFORE INSERT ON marketplace_listings FOR EACH ROW EXECUTE FUNCTION refuse_once()");
    try {
      expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', parked: 0, created: 7 });
    } finally {
      await world.rows('DROP TRIGGER refuse_once ON marketplace_listings; DROP FUNCTION refuse_once; DROP SEQUENCE refusals');
    }
  });

  test('words of a seller that spell an escape, or that JSON of PostgreSQL does not know, stop nobody', async () => {
    const seller = await bulk.stranger(1);
    const words = [String.raw`ends in \u0000`, String.raw`\u0000x`, 'with\0NUL', 'half a pair \ud83d'];
    const products = words.map((description) => world.simulator.control.addProduct(seller.sellerId, { quantity: 2, description }));
    expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', parked: 0, created: 5 });
    const kept = await world.rows<{ description: string }>("SELECT product ->> 'description' AS description FROM marketplace_listings WHERE user_id = $1 AND product_id = ANY ($2) ORDER BY product_id", seller.user, products.map(({ id }) => id));
    expect(kept.map(({ description }) => description)).toEqual([words[0], words[1], 'with\uFFFDNUL', 'half a pair \uFFFD']);
  });

  test('while nothing is published a record waits once, however long; one that is gone is sent again', async () => {
    const away = await createMarketplaceWorld({ env: { ...BULK, BRX_BULK_SYNC_ORDERS_PATIENCE_MS: '0' } });
    try {
      const here = bulkWorld(away);
      await away.start(['dispatcher']);
      const seller = await here.stranger(...many(12));
      const jobId = await here.ask(seller.user, 'adopt-remote');
      const waiting = () => away.rows<{ event_id: string }>('SELECT event_id FROM outbox WHERE topic = $1', away.topics.snapshots);
      await until('all are on their way', async () => (await waiting()).length === 3);
      const longAgo = async (): Promise<void> => {
        await away.rows("UPDATE bulk_sync_chunks SET sent_at = now() - interval '11 minutes' WHERE job_id = $1", jobId);
        await until('somebody has looked after them', async () => (await away.rows("SELECT FROM bulk_sync_chunks WHERE job_id = $1 AND sent_at < now() - interval '1 minute'", jobId)).length === 0);
      };
      await longAgo();
      const records = await waiting();
      expect(records).toHaveLength(3);
      await away.rows('DELETE FROM outbox WHERE event_id = $1', records[0]!.event_id);
      await longAgo();
      expect((await waiting()).map(({ event_id: id }) => id).sort()).toEqual(records.map(({ event_id: id }) => id).sort());
    } finally {
      await away.close();
    }
  });

  test('records read again change nothing while their job goes on', async () => {
    const seller = await bulk.stranger(...many(12));
    await bulk.run(seller.user, 'adopt-remote');
    const state = (): Promise<unknown[]> => Promise.all(['inventory_items', 'stock_ledger', 'marketplace_listings'].map((table) => world.rows(`SELECT * FROM ${table} WHERE user_id = $1 ORDER BY item_id`, seller.user)));
    // Whatever would apply one again would put the old number back.
    await world.rows("UPDATE inventory_items SET on_hand = 99, updated_at = now() - interval '1 day' WHERE user_id = $1", seller.user);
    await world.rows("UPDATE bulk_sync_jobs SET state = 'APPLYING', due_at = now() + interval '1 day' WHERE user_id = $1", seller.user);
    const before = await state();
    const records = (await world.topics.readAll(world.topics.snapshots)).filter(({ key }) => key?.toString() === seller.user);
    expect(records.length).toBeGreaterThanOrEqual(3);
    await world.topics.producer.sendBatch([...records, ...records].map(({ key, value }) => ({ topic: world.topics.snapshots, key, value })));
    await bulk.snapshotsRead();
    expect(await state()).toEqual(before);
  });

  test('bytes that are no chunk are a dead letter, and the next is read', async () => {
    const seller = await bulk.stranger(2);
    await world.topics.producer.sendBatch([{ topic: world.topics.snapshots, key: seller.user, value: Buffer.from('nonsense') }]);
    expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', created: 1 });
    expect(await world.rows('SELECT reason FROM dead_letters WHERE topic = $1', world.topics.snapshots)).toEqual([{ reason: 'undecodable' }]);
  });
});
