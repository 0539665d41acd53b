import { requestSync, selectFindings, selectJobs, type Finding, type JobRow, type Mode } from '../../src/bulk-sync/index.ts';
import { addSeller } from '../../src/marketplace/index.ts';
import type { Product } from '../../src/simulator/index.ts';
import { randomUuid } from './events.ts';
import type { MarketplaceWorld } from './marketplace-world.ts';
import { until } from './wait.ts';

/** Small chunks, and exports that are believed at once; whoever reads orders is at work. */
export const BULK = { BRX_BULK_SYNC_CHUNK_PRODUCTS: '5', BRX_ORDERS_SETTLE_MS: '0', BRX_ORDERS_SELLERS: '4', BRX_BULK_SYNC_ORDERS_PATIENCE_MS: '20000' };

/** A seller whose stock is on CardTrader and not known here. */
export interface Stranger {
  readonly user: string;
  readonly sellerId: number;
  readonly products: readonly Product[];
}

/** What tests of bulk sync do beside what sales need. */
export interface BulkWorld {
  stranger(...copies: number[]): Promise<Stranger>;
  ask(user: string, mode: Mode, more?: { dryRun?: boolean; confirmShrink?: boolean }): Promise<string>;
  /** Resolves once the job is over. */
  over(jobId: string): Promise<JobRow>;
  /** Asks, and waits until it is over. */
  run(user: string, mode: Mode, more?: { dryRun?: boolean; confirmShrink?: boolean }): Promise<JobRow>;
  findings(jobId: string): Promise<Finding[]>;
  /** What is here: copies by product. */
  stock(user: string): Promise<Map<number, number>>;
}

export function bulkWorld(world: MarketplaceWorld): BulkWorld {
  const { control } = world.simulator;
  const self: BulkWorld = {
    async stranger(...copies) {
      const user = randomUuid();
      const account = control.addSeller();
      const products = copies.map((quantity, index) => control.addProduct(account.id, { quantity, priceCents: 100 + index }));
      await addSeller({ postgres: world.postgres, keyring: world.access.keyring, client: world.access.client }, user, account.token, { otherAccount: false, who: 'test', reason: 'test' });
      return { user, sellerId: account.id, products };
    },
    ask: (user, mode, { dryRun = false, confirmShrink = false } = {}) => requestSync(world.postgres, user, { mode, dryRun, confirmShrink, who: 'test', reason: 'test' }),
    async over(jobId) {
      let last: JobRow | undefined;
      return until(`the end of job ${jobId}`, async () => ((last = (await selectJobs(world.postgres.prisma, [jobId]))[0]), last?.endedAt === null ? undefined : last), { timeoutMs: 60_000, state: () => JSON.stringify(last) });
    },
    run: async (user, mode, more) => self.over(await self.ask(user, mode, more)),
    findings: (jobId) => selectFindings(world.postgres.prisma, jobId, 1_000),
    async stock(user) {
      const rows = await world.rows<{ product_id: string; on_hand: number }>('SELECT l.product_id, i.on_hand FROM inventory_items AS i JOIN marketplace_listings AS l USING (user_id, item_id) WHERE i.user_id = $1 ORDER BY l.product_id', user);
      return new Map(rows.map((row) => [Number(row.product_id), row.on_hand]));
    },
  };
  return self;
}
