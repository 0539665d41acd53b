import { afterAll, beforeAll, expect, test } from 'vitest';
import { addSeller, pauseSeller, resumeSeller } from '../../../src/marketplace/index.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { syncWorld, type SyncWorld } from '../../support/sync-world.ts';
import { until } from '../../support/wait.ts';

/** Protects: while a seller rests nothing is sent, and afterwards one write has all that was missed. */
let world: MarketplaceWorld;
let sync: SyncWorld;
const by = { who: 'test', reason: 'test' };

beforeAll(async () => {
  world = await createMarketplaceWorld();
  sync = syncWorld(world);
  await world.startAll();
});
afterAll(() => world.close());

const applied = (user: string, onHand: number): Promise<unknown> => until('it is applied', async () => (await world.rows('SELECT FROM inventory_items WHERE user_id = $1 AND on_hand = $2', user, onHand)).length === 1);

test('paused: nothing is sent; resumed: one write', async () => {
  const seller = await sync.seller(5);
  const [item] = seller.items as [(typeof seller.items)[0]];
  await pauseSeller(world.postgres, seller.user, by);
  for (const quantity of [6, 7, 8]) await sync.says(item, { quantity });
  await applied(seller.user, 8);
  expect(item.now()?.quantity).toBe(5);
  expect(await world.rows('SELECT state FROM marketplace_operations WHERE user_id = $1', seller.user)).toEqual([{ state: 'PENDING' }]);
  await resumeSeller(world.postgres, seller.user, by);
  await sync.quiet();
  expect(item.now()?.quantity).toBe(8);
  expect(world.simulator.control.ledger({ productId: item.productId }).filter(({ source }) => source === 'api')).toHaveLength(1);
});

test('the token is rejected: it waits for a new one', async () => {
  const seller = await sync.seller(5);
  const [item] = seller.items as [(typeof seller.items)[0]];
  world.simulator.control.revokeToken(seller.sellerId);
  await sync.says(item, { quantity: 9 });
  await until('the account rests', async () => (await world.rows("SELECT FROM marketplace_sellers WHERE user_id = $1 AND status = 'token_rejected'", seller.user)).length === 1);
  const token = world.simulator.control.regenerateToken(seller.sellerId);
  await addSeller({ postgres: world.postgres, keyring: world.access.keyring, client: world.access.client }, seller.user, token, { ...by, otherAccount: false });
  await sync.quiet();
  expect(item.now()?.quantity).toBe(9);
});

test('no usable answers for a while: once, when there are', async () => {
  const seller = await sync.seller(5);
  const [item] = seller.items as [(typeof seller.items)[0]];
  world.simulator.control.inject({ kind: 'error_before_apply', times: 3, when: { sellerId: seller.sellerId } });
  await sync.says(item, { quantity: 9 });
  await sync.quiet();
  expect(item.now()?.quantity).toBe(9);
  expect(world.simulator.control.repeated()).toEqual([]);
});
