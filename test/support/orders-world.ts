import type { InventoryLevel } from '../../src/contract/index.ts';
import type { Sale, SimulatorOptions } from '../../src/simulator/index.ts';
import { createMarketplaceWorld, type ListedItem, type ListedSeller, type MarketplaceWorld } from './marketplace-world.ts';
import type { RunningFlow } from './flow.ts';
import { stockOf } from './sales.ts';
import { readDecoded } from './topic.ts';
import { until } from './wait.ts';

/** Sellers who sell on CardTrader: orders there, stock here. */
export interface OrdersWorld extends MarketplaceWorld {
  /** A buyer takes copies of an item; the order's id. */
  sell(item: ListedItem, quantity: number, more?: Partial<Pick<Sale, 'viaZero' | 'presale' | 'as'>>): number;
  onHand(item: ListedItem): Promise<number | undefined>;
  /** Resolves once the item has so many, and the events of orders are through. */
  has(item: ListedItem, copies: number): Promise<void>;
  /** Resolves once the list of the seller's orders has been read to its end after this call, and all that came of it is applied. */
  polled(seller: Pick<ListedSeller, 'user'>): Promise<void>;
  /** Ledger rows of an item that tell of orders, oldest first: what each changed. */
  sold(item: ListedItem): Promise<number[]>;
  levels(user: string): Promise<InventoryLevel[]>;
  /** Resolves once CardTrader's clock is past every second in which the item's listing, or what was sold of it, was confirmed. */
  settledClock(item: ListedItem): Promise<void>;
}

/** Orders are looked at every second, and exports are never behind. */
export const OFTEN = { BRX_ORDERS_SELLERS: '8', BRX_ORDERS_POLL_SECONDS: '1', BRX_ORDERS_SETTLE_MS: '0' };
/** Orders are looked at when somebody says so. */
export const SELDOM = { BRX_ORDERS_SELLERS: '8', BRX_ORDERS_POLL_SECONDS: '86400', BRX_ORDERS_SETTLE_MS: '0' };

export async function createOrdersWorld(options: SimulatorOptions & { env?: Readonly<Record<string, string>> } = {}): Promise<OrdersWorld> {
  const world = await createMarketplaceWorld({ ...options, env: { ...OFTEN, ...options.env } });
  const waiting = async (): Promise<number> => (await world.rows('SELECT FROM outbox LIMIT 1')).length;
  const through = async (): Promise<void> => {
    await until('the events of orders are published', async () => (await waiting()) === 0);
    await world.caughtUp();
  };
  return {
    ...world,
    sell(item, quantity, more = {}) {
      const product = item.now();
      if (product === undefined) throw new Error('it is not listed');
      const sold = world.simulator.control.sell({ sellerId: item.sellerId, productId: product.id, quantity, ...more });
      if (!sold.sold) throw new Error(sold.reason);
      return sold.order.id;
    },
    onHand: async ({ user, itemId }) => (await stockOf(world, user, itemId))?.on_hand,
    async has(item, copies) {
      let last: number | undefined;
      await until(`${copies} copies`, async () => (last = (await stockOf(world, item.user, item.itemId))?.on_hand) === copies, { state: () => String(last), timeoutMs: 30_000 });
      await through();
    },
    async polled({ user }) {
      const [before] = await world.rows<{ at: Date }>('SELECT clock_timestamp() AS at');
      await world.rows('UPDATE remote_order_polls SET next_poll_at = now() WHERE user_id = $1', user);
      // One that was under way may have read before; the one after it has not.
      const complete = async (after: Date): Promise<void> => void (await until('a poll', async () => (await world.rows('SELECT FROM remote_order_polls WHERE user_id = $1 AND polled_at > $2 AND lease_owner IS NULL', user, after)).length === 1, { timeoutMs: 30_000 }));
      await complete(before!.at);
      const [between] = await world.rows<{ at: Date }>('SELECT clock_timestamp() AS at');
      await world.rows('UPDATE remote_order_polls SET next_poll_at = now() WHERE user_id = $1', user);
      await complete(between!.at);
      await through();
    },
    sold: async ({ user, itemId }) => (await world.rows<{ delta: number }>("SELECT delta FROM stock_ledger WHERE user_id = $1 AND item_id = $2 AND cause = 'cardtrader' ORDER BY recorded_at", user, itemId)).map(({ delta }) => delta),
    async levels(user) {
      await through();
      return (await readDecoded<InventoryLevel>(world.topics, world.topics.levels)).filter(({ key }) => key === user).map(({ event }) => event);
    },
    async settledClock({ user, itemId }) {
      const [row] = await world.rows<{ last: Date }>(
        'SELECT greatest(l.confirmed_at, (SELECT max(sold_at) FROM remote_order_lines AS o WHERE o.user_id = l.user_id AND o.item_id = l.item_id)) AS last FROM marketplace_listings AS l WHERE l.user_id = $1 AND l.item_id = $2',
        user,
        itemId,
      );
      await until('CardTrader’s clock goes on', () => Promise.resolve(Date.now() > row!.last.getTime() + 2_100));
    },
  };
}

/** Where a flow with the role http listens. */
export function httpUrl({ flow }: RunningFlow): string {
  const http = flow.services.find(({ name }) => name === 'http');
  if (http === undefined || !('url' in http)) throw new Error('nobody listens');
  return String(http.url);
}
