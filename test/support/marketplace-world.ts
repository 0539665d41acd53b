import { readConfig, type Role } from '../../src/config.ts';
import { addSeller, linkListings, openAccess, openToken, type Access } from '../../src/marketplace/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { createPostgres, type Postgres } from '../../src/platform/postgres/index.ts';
import { startSimulator, type Product, type Simulator, type SimulatorOptions } from '../../src/simulator/index.ts';
import type { TestDatabase } from './database.ts';
import { databaseConfig } from './database-config.ts';
import { change, randomUuid } from './events.ts';
import type { RunningFlow } from './flow.ts';
import { createSaleWorld, type SaleWorld } from './sales.ts';
import { stackUrls } from './stack.ts';
import { until } from './wait.ts';

/** Sellers with an account at a CardTrader stand-in, over the topics and the database of a SaleWorld. */
export interface MarketplaceWorld extends SaleWorld {
  readonly simulator: Simulator;
  readonly postgres: Postgres;
  readonly access: Access;
  /** A seller with these copies on hand, each item listed with as many on CardTrader. */
  seller(...copies: number[]): Promise<ListedSeller>;
  startAll(env?: Readonly<Record<string, string>>): Promise<RunningFlow>;
  /** What there is of an operation, oldest first. */
  operations(purchaseId: string): Promise<StoredOperation[]>;
  listing(item: ListedItem): Promise<StoredListing>;
  /** Leases of looks at orders are over, as they will be some time after their holder has died: a test need not wait for that. */
  orderLeasesOver(): Promise<void>;
  /** Resolves once no operation is outstanding. */
  settled(): Promise<void>;
}

export interface ListedSeller {
  readonly user: string;
  readonly sellerId: number;
  readonly items: readonly ListedItem[];
}

export interface ListedItem {
  readonly user: string;
  readonly sellerId: number;
  readonly itemId: string;
  readonly productId: number;
  /** As CardTrader has it now; undefined: it is gone. */
  now(): Product | undefined;
}

export interface StoredOperation {
  operation_id: string;
  item_id: string;
  kind: string;
  state: string;
  reason: string | null;
  attempts: number;
  before: number | null;
  target: number | null;
  evidence: { call: string; outcome: string; quantity?: number; reason?: string; said?: string }[];
}

export interface StoredListing {
  product_id: string;
  quantity: number;
  gone: boolean;
  operation_id: string | null;
  mismatch: { kind: string; expected: number | null; found: number | null } | null;
}

/** Short waits, so that a test of lost answers takes seconds; nobody looks at orders, and nothing is reconciled at night, which are tested on their own. */
export const SHORT = { BRX_MARKETPLACE_CONNECT_TIMEOUT_MS: '500', BRX_MARKETPLACE_READ_TIMEOUT_MS: '1500', BRX_MARKETPLACE_WRITE_TIMEOUT_MS: '1000', BRX_MARKETPLACE_EXPORT_TIMEOUT_MS: '10000', BRX_DISPATCHER_QUARANTINE_MS: '1200', BRX_DISPATCHER_LEASE_MS: '3000', BRX_ORDERS_SELLERS: '0', BRX_RECONCILE_WINDOW: 'off' };

export async function createMarketplaceWorld(options: SimulatorOptions & { env?: Readonly<Record<string, string>>; database?: TestDatabase } = {}): Promise<MarketplaceWorld> {
  const { env = {}, database, ...simulatorOptions } = options;
  const world = await createSaleWorld(database === undefined ? {} : { database });
  const simulator = await startSimulator({ stock: { sellers: 0, products: 0 }, ...simulatorOptions });
  const environment: Readonly<Record<string, string>> = { ...world.environment, BRX_MARKETPLACE_URL: simulator.apiUrl, BRX_REDIS_URL: stackUrls().redisUrl, BRX_SECRET_KEYS: `test:${Buffer.alloc(32, 7).toString('base64')}`, ...SHORT, ...env };
  const config = readConfig(environment);
  const access = openAccess(config, { clock: systemClock, logger: silentLogger, connectionName: 'test' });
  const postgres = createPostgres(databaseConfig(world.database.url), { logger: silentLogger, applicationName: 'test', keyLookupsOnly: false });
  const accounts = { postgres, keyring: access.keyring, client: access.client };

  return {
    ...world,
    simulator,
    postgres,
    access,
    environment,
    async seller(...copies) {
      const user = randomUuid();
      const account = simulator.control.addSeller();
      const items = copies.map((quantity, index): ListedItem => {
        const itemId = randomUuid();
        const { id } = simulator.control.addProduct(account.id, { quantity, priceCents: 100 + index, userData: itemId });
        return { user, sellerId: account.id, itemId, productId: id, now: () => simulator.control.products(account.id).find((product) => product.userData?.includes(itemId)) };
      });
      await world.send(...items.map(({ itemId }, index) => change({ user_id: user, item_id: itemId, quantity: copies[index] ?? 0 })));
      await until('the items are here', async () => (await world.rows('SELECT FROM inventory_items WHERE user_id = $1', user)).length === copies.length);
      await addSeller(accounts, user, account.token, { otherAccount: false, who: 'test', reason: 'test' });
      await linkListings({ postgres, clock: systemClock, client: access.client }, { userId: user, token: await openToken(accounts, user) }, { who: 'test', force: false });
      return { user, sellerId: account.id, items };
    },
    start: (roles: readonly Role[], more = {}, clock) => world.start(roles, { ...environment, ...more }, clock),
    startAll: (more = {}) => world.start(['ingest', 'saga', 'relay', 'dispatcher'], { ...environment, ...more }),
    operations: (purchaseId) => world.rows('SELECT operation_id, item_id, kind, state, reason, attempts, before, target, evidence FROM marketplace_operations WHERE purchase_id = $1 ORDER BY seq', purchaseId),
    async listing({ user, itemId }) {
      const [row] = await world.rows<StoredListing>('SELECT product_id, quantity, gone, operation_id, mismatch FROM marketplace_listings WHERE user_id = $1 AND item_id = $2', user, itemId);
      if (row === undefined) throw new Error(`item ${itemId} is not listed`);
      return row;
    },
    async orderLeasesOver() {
      await world.rows("UPDATE remote_order_polls SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL");
    },
    async settled() {
      await until('no operation is outstanding', async () => (await world.rows('SELECT FROM marketplace_operations WHERE due_at IS NOT NULL')).length === 0, { timeoutMs: 60_000 });
    },
    async close() {
      await world.close();
      await postgres.close();
      await access.close();
      await simulator.close();
    },
  };
}
