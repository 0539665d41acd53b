import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { line, purchase } from '../../support/events.ts';
import { createMarketplaceWorld, type ListedSeller, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { syncWorld, type SyncWorld } from '../../support/sync-world.ts';
import { until } from '../../support/wait.ts';

/** Protects: many changes go as bulk jobs, and each item ends as it would alone. */
let world: MarketplaceWorld;
let sync: SyncWorld;

beforeAll(async () => {
  world = await createMarketplaceWorld({ guesses: { jobPendingMs: 2_500, quantityZero: 'refuse' }, env: { BRX_DISPATCHER_JOB_PATIENCE_MS: '5000' } });
  sync = syncWorld(world);
  await world.start(['ingest', 'saga', 'relay']);
});
afterAll(() => world.close());
afterEach(() => expect(world.simulator.control.waitingFaults()).toEqual([])); // what was to go wrong did

const MANY = 40;

/** Many listed items; their changes are all there before anybody looks, so that they go as one job. */
async function changed(how: (index: number) => Parameters<SyncWorld['says']>[1] = (index) => ({ quantity: 10 + index })): Promise<ListedSeller> {
  const seller = await world.seller(...Array.from({ length: MANY }, () => 5));
  await sync.set(seller.user, { listingSync: true });
  for (const [index, item] of seller.items.entries()) await sync.says(item, how(index));
  await until('all wait', async () => (await world.rows("SELECT FROM marketplace_operations WHERE user_id = $1 AND state = 'PENDING'", seller.user)).length === MANY);
  return seller;
}

/** Somebody carries it out, until the test ends. */
async function started(): Promise<AsyncDisposable> {
  const flow = await world.start(['dispatcher']);
  return { [Symbol.asyncDispose]: () => flow.stop() };
}

const calls = (sellerId: number, what: string): number => world.simulator.control.recentRequests(sellerId).filter(({ path }) => path.includes(what)).length;
const shown = ({ items }: ListedSeller): (number | undefined)[] => items.map((item) => item.now()?.quantity);
const wanted = Array.from({ length: MANY }, (_, index) => 10 + index);

describe.sequential('many at once', () => {
  test('one job, no single writes; every listing is confirmed', async () => {
    const seller = await changed();
    await using dispatcher = await started();
    void dispatcher;
    await sync.quiet();
    expect(shown(seller)).toEqual(wanted);
    expect([calls(seller.sellerId, 'bulk_update'), world.simulator.control.ledger({ sellerId: seller.sellerId }).filter(({ source }) => source === 'api').length]).toEqual([1, 0]);
    expect(await world.rows('SELECT FROM marketplace_listings AS l JOIN inventory_items AS i USING (user_id, item_id) WHERE l.user_id = $1 AND (l.quantity <> i.on_hand OR l.mismatch IS NOT NULL OR l.unaccounted <> 0)', seller.user)).toEqual([]);
    expect(world.simulator.control.repeated()).toEqual([]);
  });

  test('an item that is refused harms no other, and its quantity goes without what was refused', async () => {
    const seller = await changed((index) => ({ quantity: 10 + index, ...(index === 7 && { properties: { condition: 'Chewed' } }) }));
    await using dispatcher = await started();
    void dispatcher;
    await sync.quiet();
    expect(shown(seller)).toEqual(wanted);
    expect(await sync.problem(seller.items[7]!)).toMatchObject({ kind: 'refused', said: expect.stringContaining('Chewed') as string });
    expect(await world.rows('SELECT FROM marketplace_problems WHERE user_id = $1', seller.user)).toHaveLength(1);
  });

  test('all copies of many are gone here, and CardTrader takes no quantity of 0: their products are deleted, after one job that was in vain', async () => {
    const seller = await changed(() => ({ quantity: 0 }));
    await using dispatcher = await started();
    void dispatcher;
    await sync.quiet();
    expect(shown(seller)).toEqual(seller.items.map(() => undefined));
    expect(calls(seller.sellerId, 'bulk_update')).toBe(1);
  });

  test.each(['response_lost', 'applied_late', 'error_after_apply', 'error_before_apply', 'reset_mid_body'] as const)('the answer to the bulk call is lost (%s): each is told by its marker, and takes effect once', async (kind) => {
    const seller = await changed();
    world.simulator.control.inject({ kind, when: { sellerId: seller.sellerId, path: '/products/bulk_update' }, ...(kind === 'applied_late' && { delayMs: 300 }) });
    await using dispatcher = await started();
    void dispatcher;
    await sync.quiet();
    expect(shown(seller)).toEqual(wanted);
    expect(world.simulator.control.repeated()).toEqual([]);
    expect(await world.rows("SELECT FROM marketplace_operations WHERE user_id = $1 AND state <> 'APPLIED'", seller.user)).toEqual([]);
  });

  test('looks at the job fail: they are repeated', async () => {
    const seller = await changed();
    for (const kind of ['error_before_apply', 'reset_mid_body', 'html_error', 'throttled'] as const) world.simulator.control.inject({ kind, when: { sellerId: seller.sellerId, path: '/jobs/' } });
    await using dispatcher = await started();
    void dispatcher;
    await sync.quiet();
    expect(shown(seller)).toEqual(wanted);
    expect(world.simulator.control.repeated()).toEqual([]);
  });

  test('copies sold there while the job runs are taken off again; heard of, all is even', async () => {
    const seller = await changed();
    const [item] = seller.items as [(typeof seller.items)[0]];
    world.simulator.control.inject({ kind: 'slow_answer', delayMs: 500, when: { sellerId: seller.sellerId, path: '/products/export' } });
    await using dispatcher = await started();
    void dispatcher;
    await until('they are being sent', async () => (await world.rows("SELECT FROM marketplace_operations WHERE user_id = $1 AND state = 'SENT'", seller.user)).length > 0);
    world.simulator.control.sell({ sellerId: seller.sellerId, productId: item.productId, quantity: 2 });
    await sync.quiet();
    await sync.hears(item, -2);
    await sync.quiet();
    expect(item.now()?.quantity).toBe(8);
    expect(await sync.unaccounted(item)).toBe(0);
    expect(shown(seller).slice(1)).toEqual(wanted.slice(1));
  });

  test('a sale of an item that is in no job does not wait for one; one of an item in it follows it', async () => {
    const seller = await changed((index) => ({ quantity: index === 0 ? 5 : 10 + index }));
    await using dispatcher = await started();
    void dispatcher;
    await until('the job runs', () => Promise.resolve(calls(seller.sellerId, 'bulk_update') === 1));
    const [free, inside] = [purchase({ user_id: seller.user, lines: [line(seller.items[0]!.itemId, 1)] }), purchase({ user_id: seller.user, lines: [line(seller.items[1]!.itemId, 1)] })];
    await world.send(free, inside);
    await world.reached(['CONFIRMED'], free);
    await world.reached(['CONFIRMED'], inside);
    await sync.quiet();
    const [order] = await world.rows<{ free: boolean; inside: boolean }>(
      `SELECT (SELECT settled_at FROM marketplace_operations WHERE purchase_id = $1) < min(settled_at) AS free, (SELECT settled_at FROM marketplace_operations WHERE purchase_id = $2) > min(settled_at) AS inside
         FROM marketplace_operations WHERE user_id = $3 AND kind = 'SYNC'`,
      free.purchase_id,
      inside.purchase_id,
      seller.user,
    );
    expect(order).toEqual({ free: true, inside: true });
    expect(shown(seller).slice(0, 3)).toEqual([4, 10, 12]);
  });

  test('many new items are listed by one job, each once; a warning is kept with its item', async () => {
      const seller = await sync.seller();
    const cards = world.simulator.control.blueprints();
    const items = await Promise.all(Array.from({ length: MANY }, (_, index) => sync.unlisted(seller, { quantity: 1 + index, blueprint_id: cards[index]!.id, ...(index === 4 && { properties: { collector_number: '99' } }) })));
    await until('all wait', async () => (await world.rows("SELECT FROM marketplace_operations WHERE user_id = $1 AND state = 'PENDING'", seller.user)).length === MANY);
      await using dispatcher = await started();
    void dispatcher;
    await sync.quiet();
    expect(items.map((item) => item.all().map(({ quantity }) => quantity))).toEqual(items.map((_, index) => [1 + index]));
    expect(await sync.problem(items[4]!)).toMatchObject({ kind: 'warning', said: expect.stringContaining('collector_number') as string });
    expect([calls(seller.sellerId, 'bulk_create'), world.simulator.control.products(seller.sellerId).length]).toEqual([1, MANY]);
    expect(await world.rows('SELECT FROM marketplace_listings WHERE user_id = $1', seller.user)).toHaveLength(MANY);
  });

  test('the answer to that bulk call is lost: still each once', async () => {
      const seller = await sync.seller();
    const cards = world.simulator.control.blueprints();
    world.simulator.control.inject({ kind: 'response_lost', when: { sellerId: seller.sellerId, path: '/products/bulk_create' } });
    const items = await Promise.all(Array.from({ length: MANY }, (_, index) => sync.unlisted(seller, { quantity: 1 + index, blueprint_id: cards[index]!.id })));
    await until('all wait', async () => (await world.rows("SELECT FROM marketplace_operations WHERE user_id = $1 AND state = 'PENDING'", seller.user)).length === MANY);
      await using dispatcher = await started();
    void dispatcher;
    await sync.quiet();
    expect(items.map((item) => item.all().map(({ quantity }) => quantity))).toEqual(items.map((_, index) => [1 + index]));
    expect(world.simulator.control.products(seller.sellerId).length).toBe(MANY);
  });
});
