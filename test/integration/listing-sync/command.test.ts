import { afterAll, beforeAll, expect, test } from 'vitest';
import { commandLine, type Ran } from '../../support/cli.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { syncWorld, type SyncWorld } from '../../support/sync-world.ts';

/** Protects: operators turn listing sync on and off, and see what CardTrader does not take. */
let world: MarketplaceWorld;
let sync: SyncWorld;
let brx: (argv: readonly string[]) => Promise<Ran>;

beforeAll(async () => {
  world = await createMarketplaceWorld();
  sync = syncWorld(world);
  ({ brx } = commandLine(world.environment));
  await world.startAll();
});
afterAll(() => world.close());

test('set: on with a buffer; shown; off again; nothing to set is told', async () => {
  const seller = await world.seller(5);
  const [item] = seller.items as [(typeof seller.items)[0]];
  expect(await brx(['users', 'set', seller.user, '--listing-sync', 'on', '--buffer', '2', '--json'])).toMatchObject({ exit: 0, json: { listingSync: true, buffer: 2, asked: 1 } });
  await sync.quiet();
  expect(item.now()?.quantity).toBe(3);
  expect((await brx(['users', 'show', seller.user])).stdout).toContain('listing sync is on, 2 copies of each item kept from CardTrader');
  expect(await brx(['users', 'set', seller.user, '--listing-sync', 'off', '--json'])).toMatchObject({ exit: 0, json: { listingSync: false, buffer: 2, asked: 0 } });
  expect((await brx(['users', 'set', seller.user])).exit).not.toBe(0);
  expect(await world.rows('SELECT action FROM operator_actions WHERE target = $1 AND action = $2', seller.user, 'users.set')).toHaveLength(2);
});

test('push: what CardTrader lacks for reasons nobody knows is put up when an operator says so, not before', async () => {
  const seller = await sync.seller(5);
  const [item] = seller.items as [(typeof seller.items)[0]];
  world.simulator.control.setQuantity(item.productId, 3); // by hand, on the site
  await sync.says(item, { quantity: 5, price_cents: 700 });
  await sync.quiet();
  expect([item.now()?.quantity, item.now()?.priceCents]).toEqual([3, 700]);
  await brx(['users', 'set', seller.user, '--push']);
  await sync.quiet();
  expect(item.now()?.quantity).toBe(5);
});

test('problems: what CardTrader said of an item', async () => {
  const seller = await sync.seller();
  const item = await sync.unlisted(seller, { properties: { condition: 'Chewed' } });
  await sync.quiet();
  expect((await brx(['listings', 'problems', seller.user, '--json'])).json).toMatchObject([{ itemId: item.itemId, kind: 'refused', productId: null, said: expect.stringContaining('Chewed') as string }]);
  expect((await brx(['listings', 'problems', seller.user])).stdout).toContain('Chewed');
});
