import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../../src/config.ts';
import { addSeller, type Caller } from '../../../src/marketplace/index.ts';
import { createOrders } from '../../../src/orders/index.ts';
import type { OrdersObserver } from '../../../src/orders/observer.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { createRegistry } from '../../../src/platform/kafka/index.ts';
import { randomUuid } from '../../support/events.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { until } from '../../support/wait.ts';

/** Protects: at a seller’s orders one process looks once at a time, however long CardTrader takes to answer. */
let world: MarketplaceWorld;

beforeAll(async () => {
  world = await createMarketplaceWorld();
});
afterAll(() => world.close());

async function stranger(): Promise<string> {
  const user = randomUuid();
  await addSeller({ postgres: world.postgres, keyring: world.access.keyring, client: world.access.client }, user, world.simulator.control.addSeller().token, { otherAccount: false, who: 'test', reason: 'test' });
  return user;
}

test('a look that outlasts its lease is not begun a second time beside itself', async () => {
  const calls: string[] = [];
  let answer = (): void => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const nothing = (): void => undefined;
  const observer: OrdersObserver = { claimed: nothing, applied: nothing, unreadable: nothing, refused: nothing, counted: nothing, looked: nothing, tokenUnusable: nothing, transactionRetried: nothing, waiting: nothing };
  const { client, limiter, keyring } = world.access;
  const slow = {
    ...client,
    orders: async (caller: Caller, filter: Parameters<typeof client.orders>[1]) => {
      calls.push(caller.userId);
      await answered;
      return client.orders(caller, filter);
    },
  };
  const poller = createOrders({
    config: { sellers: 4, pollMs: 86_400_000, settleMs: 0 },
    topicPrefix: world.topics.prefix,
    registry: createRegistry(readConfig(world.environment).registry),
    postgres: world.postgres,
    access: { ...world.access, client: slow, limiter, keyring },
    clock: systemClock,
    observer,
    onEnqueued: nothing,
    onFatal: (error) => {
      throw error;
    },
  });
  const first = await stranger();
  await poller.start();
  await until('it asks for the orders', () => calls.length === 1);
  await world.orderLeasesOver();
  const second = await stranger();
  // Who has waited longest comes first: by the time the second one is looked at, the first would have been, again.
  await until('it asks for the other’s', () => calls.includes(second));
  expect(calls).toEqual([first, second]);
  answer();
  await until('both are read', async () => (await world.rows('SELECT FROM remote_order_polls WHERE polled_at IS NOT NULL AND lease_owner IS NULL')).length === 2);
  await poller.stop();
});
