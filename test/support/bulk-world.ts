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
  /** From now on the database refuses what would list this product; `heal`: it refuses none any more. */
  poison(productId: number): Promise<void>;
  heal(): Promise<void>;
  /** Resolves once nothing is left of a job but parked chunks, tried again so often. */
  retrying(jobId: string, retries: number): Promise<JobRow>;
  /** The pause before the next try of a job's parked chunks is over: nobody waits for it. */
  bringForward(jobId: string): Promise<void>;
  /** Resolves once every record of chunks is read, and the group stands behind it. */
  snapshotsRead(): Promise<void>;
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
    async poison(productId) {
      await world.rows('CREATE TABLE IF NOT EXISTS poison (product_id bigint)');
      await world.rows("CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT FROM poison WHERE product_id = NEW.product_id) THEN RAISE check_violation USING MESSAGE = 'poisoned'; END IF; RETURN NEW; END $$");
      await world.rows('CREATE OR REPLACE TRIGGER refuse BEFORE INSERT OR UPDATE ON marketplace_listings FOR EACH ROW EXECUTE FUNCTION refuse()');
      await world.rows('INSERT INTO poison VALUES ($1)', productId);
    },
    async heal() {
      await world.rows('DELETE FROM poison');
    },
    retrying: (jobId, retries) =>
      until(`job ${jobId} waits for try ${retries + 1}`, async () => {
        const [job] = await selectJobs(world.postgres.prisma, [jobId]);
        const [parked] = await world.rows<{ retries: number }>("SELECT retries FROM bulk_sync_chunks WHERE job_id = $1 AND state = 'PARKED'", jobId);
        return job?.state === 'APPLYING' && !job.leased && job.done + job.parked === job.chunks && parked?.retries === retries ? job : undefined;
      }),
    async bringForward(jobId) {
      await world.rows('UPDATE bulk_sync_chunks SET next_try_at = now() WHERE job_id = $1 AND next_try_at IS NOT NULL', jobId);
      await world.rows('UPDATE bulk_sync_jobs SET due_at = now() WHERE job_id = $1 AND due_at IS NOT NULL', jobId);
    },
    async snapshotsRead() {
      const { admin, snapshots, snapshotsGroupId } = world.topics;
      await until('all chunks are read', async () => {
        const ends = await admin.fetchTopicOffsets(snapshots);
        const [group] = await admin.fetchOffsets({ groupId: snapshotsGroupId, topics: [snapshots] });
        return ends.every(({ partition, high }) => high === '0' || Number(group?.partitions.find((each) => each.partition === partition)?.offset) >= Number(high));
      });
    },
  };
  return self;
}
