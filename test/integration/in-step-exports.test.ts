import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobRow } from '../../src/bulk-sync/index.ts';
import { createRandom, type Random } from '../../src/platform/random.ts';
import { BULK, bulkWorld, type BulkWorld } from '../support/bulk-world.ts';
import { CALLS_GO_WRONG, inStep, type Done } from '../support/in-step.ts';
import type { ListedItem, ListedSeller } from '../support/marketplace-world.ts';
import { createOrdersWorld, OFTEN, type OrdersWorld } from '../support/orders-world.ts';
import type { RunningFlow } from '../support/flow.ts';
import { seed } from '../support/seed.ts';
import { syncWorld } from '../support/sync-world.ts';
import { until } from '../support/wait.ts';

/**
 * Protects: bulk syncs that are asked for at any moment, to report or to import, do not put either side out of step, whatever is changed and sold on both sides while an export is
 * taken, on its way, and applied; nor when calls go wrong and processes are stopped in between. The model is that of in-step.test.ts. `FC_SEED=<seed>` runs the same choices again.
 */
const COPIES = 9;
const ACTS = { items: 3, copies: COPIES, steps: 60 };
let world: OrdersWorld;
let bulk: BulkWorld;
let play: ReturnType<typeof inStep>;

beforeAll(async () => {
  world = await createOrdersWorld({ seed, env: { ...BULK, ...OFTEN, BRX_BULK_SYNC_CHUNK_PRODUCTS: '2', BRX_BULK_SYNC_ORDERS_PATIENCE_MS: '5000' } });
  bulk = bulkWorld(world);
  play = inStep(world, syncWorld(world));
});
afterAll(() => world.close());

/** Asks for a bulk sync at random; one at a time. Some exports take their time, so that much happens while one is read. */
function asking(random: Random, jobs: string[]): (seller: ListedSeller) => Promise<void> {
  return async ({ user, sellerId }) => {
    const open = jobs.length > 0 && (await world.rows('SELECT FROM bulk_sync_jobs WHERE job_id = $1 AND ended_at IS NULL', jobs.at(-1))).length > 0;
    if (open) return;
    if (random.chance(0.5)) world.simulator.control.inject({ kind: 'slow_loris', delayMs: 100 + random.below(500), when: { sellerId, path: '/products/export' } });
    jobs.push(await bulk.ask(user, random.chance(0.5) ? 'report' : 'adopt-remote', { confirmShrink: true }));
  };
}

const ended = (jobs: readonly string[]): Promise<JobRow[]> => Promise.all(jobs.map((job) => bulk.over(job)));

/** Which of the sides an operator is told about: by what listing sync and orders say, or by the report that is made in the end. */
async function toBeSeen(item: ListedItem, reports: readonly JobRow[]): Promise<boolean> {
  if (await play.seen(item)) return true;
  expect(reports.every(({ state }) => state === 'DONE')).toBe(true);
  return (await world.rows('SELECT FROM drift WHERE user_id = $1 AND item_id = $2', item.user, item.itemId)).length > 0;
}

/** Everything has come to rest, and what differs then was reported on, twice. */
async function rested(done: Done, jobs: readonly string[]): Promise<JobRow[]> {
  await ended(jobs);
  await play.quiet(done);
  return [await bulk.run(done.seller.user, 'report', { confirmShrink: true }), await bulk.run(done.seller.user, 'report', { confirmShrink: true })];
}

test(`nothing goes wrong: no export changes what is here, and both sides end equal, or fewer are there and it is to be seen (seed ${seed})`, { timeout: 120_000 }, async () => {
  const flow = await world.startAll();
  const random = createRandom(seed);
  const jobs: string[] = [];
  const ask = asking(random, jobs);
  const done = await play.actAtRandom(random, { ...ACTS, cancellations: false, more: [ask, ask] });
  const reports = await rested(done, jobs);
  for (const item of done.seller.items) {
    let last = await play.sides(item);
    await until('both sides are equal, or fewer are there and an operator is told', async () => (last = await play.sides(item)).here === last.there || (last.there < last.here && (await toBeSeen(item, reports))), { state: () => `${item.itemId} ${JSON.stringify(last)}` });
    expect({ item: item.itemId, here: last.here, jobs: jobs.length > 0 }).toEqual({ item: item.itemId, here: await play.left(item, COPIES, done), jobs: true });
  }
  await flow.stop();
});

test(`calls to CardTrader go wrong, and processes are stopped in between: both sides end equal, or it is to be seen where (seed ${seed})`, { timeout: 120_000 }, async () => {
  const { control } = world.simulator;
  const others = await world.start(['saga', 'relay']);
  let ingest: RunningFlow = await world.start(['ingest']);
  let dispatcher: RunningFlow = await world.start(['dispatcher']);
  const random = createRandom(seed + 1);
  const jobs: string[] = [];
  const ask = asking(random, jobs);
  const more = [
    ask,
    ask,
    async () => {
      await dispatcher.stop();
      dispatcher = await world.start(['dispatcher']);
    },
    async () => {
      if (!random.chance(0.3)) return;
      await ingest.stop();
      ingest = await world.start(['ingest']);
    },
  ];
  const done = await play.actAtRandom(random, { ...ACTS, steps: 40, cancellations: true, begin: () => control.setFaults(CALLS_GO_WRONG), more }).finally(() => control.clearFaults());
  await control.idle();
  const reports = await rested(done, jobs);
  for (const item of done.seller.items) {
    let last = await play.sides(item);
    await until('both sides are equal, or an operator is told', async () => (last = await play.sides(item)).here === last.there || (await toBeSeen(item, reports)), { state: () => `${item.itemId} ${JSON.stringify(last)}` });
  }
  expect(control.repeated()).toEqual([]);
  for (const flow of [dispatcher, ingest, others]) {
    expect(flow.fatal).toEqual([]);
    await flow.stop();
  }
});
