import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../../src/config.ts';
import { addSeller, type CardTraderClient } from '../../../src/marketplace/index.ts';
import { createOrders } from '../../../src/orders/index.ts';
import type { OrdersObserver } from '../../../src/orders/observer.ts';
import { countOrders } from '../../../src/orders/select.sql.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { createRegistry } from '../../../src/platform/kafka/index.ts';
import { randomUuid } from '../../support/events.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { until } from '../../support/wait.ts';

/** Protects: at a seller’s orders one process looks once at a time, however long CardTrader takes to answer; orders that nobody can read count as not read; nobody waits for a seller who has to wait. */
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

const POLL_MS = 86_400_000;

function pollerWith({ sellers = 4, orders = world.access.client.orders }: { sellers?: number; orders?: CardTraderClient['orders'] }): ReturnType<typeof createOrders> {
  const nothing = (): void => undefined;
  const observer: OrdersObserver = { claimed: nothing, applied: nothing, unreadable: nothing, refused: nothing, counted: nothing, looked: nothing, tokenUnusable: nothing, transactionRetried: nothing, waiting: nothing };
  return createOrders({
    config: { sellers, pollMs: POLL_MS, settleMs: 0 },
    topicPrefix: world.topics.prefix,
    registry: createRegistry(readConfig(world.environment).registry),
    postgres: world.postgres,
    access: { ...world.access, client: { ...world.access.client, orders } },
    clock: systemClock,
    observer,
    onEnqueued: nothing,
    onFatal: (error) => {
      throw error;
    },
  });
}

test('a look that outlasts its lease is not begun a second time beside itself', async () => {
  const calls: string[] = [];
  let answer = (): void => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const { client } = world.access;
  const poller = pollerWith({
    orders: async (caller, filter) => {
      calls.push(caller.userId);
      await answered;
      return client.orders(caller, filter);
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

test('a list that is never answered counts as overdue, though each look at it is soon made again', async () => {
  const overdue = async (): Promise<number> => (await countOrders(world.postgres.prisma, POLL_MS / 1_000)).overdueSeconds;
  const seller = await stranger();
  await world.rows("UPDATE remote_order_polls SET polled_at = now() - interval '2 days' WHERE user_id = $1", seller);
  expect(await overdue()).toBeLessThan(3_600); // one that is about to be read
  const poller = pollerWith({ orders: () => Promise.resolve({ outcome: 'unknown', reason: 'unreadable', message: 'no list of orders', status: 200, requestId: null, serverDate: null, durationMs: 1 }) });
  await poller.start();
  await until('a look came to nothing', async () => (await world.rows('SELECT FROM remote_order_polls WHERE user_id = $1 AND failures > 0 AND lease_owner IS NULL', seller)).length === 1);
  await poller.stop();
  const seconds = await overdue();
  expect(seconds).toBeGreaterThan(86_300); // a day, of the two
  expect(seconds).toBeLessThan(86_700);
  await world.rows("UPDATE marketplace_sellers SET status = 'paused' WHERE user_id = $1", seller);
  expect(await overdue()).toBeLessThan(3_600);
});

test('a seller who has to wait an hour after a 429 keeps nobody else’s orders unread, also where one seller is looked at at a time', async () => {
  const [first, second] = [await stranger(), await stranger()];
  await world.access.limiter.throttled(first, { retryAfterMs: 3_600_000 });
  const poller = pollerWith({ sellers: 1 });
  await poller.start();
  try {
    await until('the other’s are read', async () => (await world.rows('SELECT FROM remote_order_polls WHERE user_id = $1 AND polled_at IS NOT NULL', second)).length === 1, { timeoutMs: 40_000 });
    // It has not failed: it is still to be looked at.
    expect(await world.rows('SELECT polled_at, failures, problem, next_poll_at <= now() AS due FROM remote_order_polls WHERE user_id = $1', first)).toEqual([{ polled_at: null, failures: 0, problem: null, due: true }]);
  } finally {
    await poller.stop();
  }
});
