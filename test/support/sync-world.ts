import { setListingSync, type SyncSettings } from '../../src/marketplace/index.ts';
import type { Product } from '../../src/simulator/index.ts';
import { change, randomUuid } from './events.ts';
import type { ListedItem, ListedSeller, MarketplaceWorld } from './marketplace-world.ts';
import { until } from './wait.ts';

/** What tests of listing sync do beside what sales need. */
export interface SyncWorld {
  /** As `seller`, with listing sync on. */
  seller(...copies: number[]): Promise<ListedSeller>;
  set(user: string, settings: SyncSettings): Promise<number>;
  /** The upstream says something of an item. */
  says(item: Pick<ListedItem, 'user' | 'itemId'>, more: Parameters<typeof change>[0]): Promise<void>;
  /** As ADJUST events of ours tell it: CardTrader sold copies (negative), or gave them back. */
  hears(item: Pick<ListedItem, 'user' | 'itemId'>, quantity: number): Promise<void>;
  /** An item nobody has listed; `now` is its product, if there is one. */
  unlisted(seller: ListedSeller, more?: Parameters<typeof change>[0]): Promise<Pick<ListedItem, 'user' | 'itemId' | 'now'> & { all(): Product[] }>;
  /** Everything the upstream has said is applied, and nothing is outstanding. */
  quiet(): Promise<void>;
  unaccounted(item: Pick<ListedItem, 'user' | 'itemId'>): Promise<number | undefined>;
  problem(item: Pick<ListedItem, 'user' | 'itemId'>): Promise<{ kind: string; said: string } | undefined>;
}

export function syncWorld(world: MarketplaceWorld): SyncWorld {
  const { control } = world.simulator;
  const named = (sellerId: number, itemId: string): Product[] => control.products(sellerId).filter((product) => product.userData?.includes(itemId));
  const sent: string[] = [];
  const send = async (event: ReturnType<typeof change>): Promise<void> => {
    sent.push(event.event_id);
    await world.send(event);
  };
  const self: SyncWorld = {
    async seller(...copies) {
      const seller = await world.seller(...copies);
      await self.set(seller.user, { listingSync: true });
      return seller;
    },
    set: async (user, settings) => (await setListingSync(world.postgres, user, settings, { who: 'test', reason: 'test' })).asked,
    says: ({ user, itemId }, more) => send(change({ user_id: user, item_id: itemId, blueprint_id: null, price_cents: null, currency: null, properties: null, ...more })),
    hears: ({ user, itemId }, quantity) => send(change({ user_id: user, item_id: itemId, kind: 'ADJUST', quantity, blueprint_id: null, price_cents: null, currency: null, properties: null, source: 'cardtrader' })),
    async unlisted({ user, sellerId }, more = {}) {
      const itemId = randomUuid();
      await send(change({ user_id: user, item_id: itemId, quantity: 2, blueprint_id: control.blueprints()[0]?.id ?? 0, price_cents: 250, currency: 'EUR', properties: null, ...more }));
      return { user, itemId, now: () => named(sellerId, itemId)[0], all: () => named(sellerId, itemId) };
    },
    async quiet() {
      await until('all is applied', async () => (await world.rows('SELECT FROM unnest($1::uuid[]) AS s (event_id) WHERE NOT EXISTS (SELECT FROM stock_ledger AS l WHERE l.event_id = s.event_id)', sent)).length === 0, { timeoutMs: 30_000 });
      await until('nothing is outstanding', async () => (await world.rows('SELECT FROM marketplace_operations WHERE due_at IS NOT NULL')).length === 0, {
        timeoutMs: 60_000,
      });
    },
    unaccounted: async ({ user, itemId }) => (await world.rows<{ unaccounted: number }>('SELECT unaccounted FROM marketplace_listings WHERE user_id = $1 AND item_id = $2', user, itemId))[0]?.unaccounted,
    problem: async ({ user, itemId }) => (await world.rows<{ kind: string; said: string }>('SELECT kind, said FROM marketplace_problems WHERE user_id = $1 AND item_id = $2', user, itemId))[0],
  };
  return self;
}
