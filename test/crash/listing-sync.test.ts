import { describe, expect, it } from 'vitest';
import { FAULT_POINTS, type FaultPoint } from '../../src/platform/fault-points.ts';
import { createMarketplaceWorld, type ListedSeller, type MarketplaceWorld } from '../support/marketplace-world.ts';
import { syncWorld, type SyncWorld } from '../support/sync-world.ts';
import { processState, until } from '../support/wait.ts';
import { SOON_FREE, Worker } from '../support/worker.ts';

/**
 * P7: a process that brings listings into line is killed, or frozen past its lease, at each step of creates, bulk jobs and looks at jobs. Another
 * one ends it: every item is listed once, with what is here, and no operation takes effect twice.
 */
const MANY = 25;
const FEW = 3;

interface Case extends AsyncDisposable {
  readonly world: MarketplaceWorld;
  readonly sync: SyncWorld;
  worker(fault: string): Worker;
  agrees(): Promise<void>;
}

/** Changes of one seller of many items, and of one of few; new items of both. Nobody is at work yet. */
async function prepare(): Promise<Case> {
  const world = await createMarketplaceWorld({ env: { BRX_DISPATCHER_JOB_PATIENCE_MS: '3000' } });
  const sync = syncWorld(world);
  const ingest = await world.start(['ingest']);
  const cards = world.simulator.control.blueprints();
  const sellers: { seller: ListedSeller; fresh: Awaited<ReturnType<SyncWorld['unlisted']>>[] }[] = [];
  for (const count of [MANY, FEW]) {
    const seller = await sync.seller(...Array.from({ length: count }, () => 5));
    for (const [index, item] of seller.items.entries()) await sync.says(item, { quantity: 10 + index, price_cents: 300 });
    const fresh = await Promise.all(Array.from({ length: count }, (_, index) => sync.unlisted(seller, { quantity: 1 + index, blueprint_id: cards[index]!.id })));
    sellers.push({ seller, fresh });
  }
  await until('all wait', async () => (await world.rows("SELECT FROM marketplace_operations WHERE state = 'PENDING'")).length === 2 * (MANY + FEW));
  await ingest.stop();
  const workers: Worker[] = [];
  return {
    world,
    sync,
    worker(fault) {
      const worker = new Worker(['start', '--roles', 'dispatcher'], { ...world.environment, ...SOON_FREE, BRX_FAULT: fault });
      workers.push(worker);
      return worker;
    },
    async agrees() {
      await sync.quiet();
      for (const { seller, fresh } of sellers) {
        const there = world.simulator.control.products(seller.sellerId);
        expect(seller.items.map((item) => there.filter(({ userData }) => userData?.includes(item.itemId)).map(({ quantity, priceCents }) => [quantity, priceCents]))).toEqual(seller.items.map((_, index) => [[10 + index, 300]]));
        expect(fresh.map((item) => item.all().map(({ quantity }) => quantity))).toEqual(fresh.map((_, index) => [1 + index]));
        expect(await world.rows('SELECT l.quantity, i.on_hand, l.mismatch, l.unaccounted FROM marketplace_listings AS l JOIN inventory_items AS i USING (user_id, item_id) WHERE l.user_id = $1 AND (l.quantity <> i.on_hand OR l.unaccounted <> 0)', seller.user)).toEqual([]);
      }
      expect(world.simulator.control.repeated()).toEqual([]);
      expect(await world.rows("SELECT kind, state, reason FROM marketplace_operations WHERE state <> 'APPLIED'")).toEqual([]);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.kill()));
      await world.close();
    },
  };
}

const POINTS = FAULT_POINTS.filter((point) => point.startsWith('sync.') || point.startsWith('dispatcher.'));

describe.concurrent('killed with SIGKILL', () => {
  it.for(POINTS)('at %s', async (point) => {
    await using test = await prepare();
    const first = test.worker(`${point}:kill:1`);
    expect(await first.ended(90_000)).toEqual({ code: null, signal: 'SIGKILL' });
    await test.world.start(['dispatcher']);
    await test.agrees();
  });
});

const FROZEN = ['sync.before-send', 'sync.after-response', 'sync.job-stored', 'sync.after-poll'] as const satisfies readonly FaultPoint[];

describe.concurrent('frozen past its lease, and woken when another one has done it all', () => {
  it.for(FROZEN)('at %s: it changes nothing any more', async (point) => {
    await using test = await prepare();
    const zombie = test.worker(`${point}:stop:1`);
    await zombie.said(`fault point ${point}: stop`);
    await until('a frozen worker', () => processState(zombie.pid) === 'T');
    await test.world.start(['dispatcher']);
    await test.agrees();
    const effects = test.world.simulator.control.ledger().length;
    zombie.signal('SIGCONT');
    await until('the zombie knows', () => zombie.logged('the lease of a seller was over before its work was; somebody else has the seller').length > 0, { timeoutMs: 80_000, state: () => zombie.tail() });
    await test.agrees();
    expect(test.world.simulator.control.ledger().length).toBe(effects);
  });
});
