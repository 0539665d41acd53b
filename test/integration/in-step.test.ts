import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRandom } from '../../src/platform/random.ts';
import { CALLS_GO_WRONG, inStep } from '../support/in-step.ts';
import { createOrdersWorld, type OrdersWorld } from '../support/orders-world.ts';
import { seed } from '../support/seed.ts';
import { syncWorld } from '../support/sync-world.ts';
import { until } from '../support/wait.ts';

/**
 * P5, P7, P8 with everything at once that keeps both sides in step: the upstream changes stock and prices and sells, CardTrader sells and calls off, in
 * a random order, while sagas, listing sync and the poll of orders work. Once it is quiet, CardTrader shows what is here, and a model that knows
 * nothing but what was done says how much that is. `FC_SEED=<seed>` runs the same choices again.
 */
let world: OrdersWorld;
let play: ReturnType<typeof inStep>;

const COPIES = 12;
const ACTS = { items: 4, copies: COPIES, steps: 60 };

beforeAll(async () => {
  world = await createOrdersWorld({ seed });
  play = inStep(world, syncWorld(world));
  await world.startAll();
});
afterAll(() => world.close());

test(`nothing goes wrong: stock is what was there, came, and was sold, and both sides end equal, or fewer are there and it is to be seen (seed ${seed})`, { timeout: 240_000 }, async () => {
  const done = await play.actAtRandom(createRandom(seed), { ...ACTS, cancellations: false });
  await play.quiet(done);
  for (const item of done.seller.items) {
    let last = await play.sides(item);
    // CardTrader's clock has whole seconds: a sale in the second in which a listing was read may be in what was read or not. Then fewer are shown there, and an operator is told.
    await until('both sides are equal, or fewer are there and an operator is told', async () => (last = await play.sides(item)).here === last.there || (last.there < last.here && (await play.seen(item))), { state: () => `${item.itemId} ${JSON.stringify(last)}` });
    expect({ item: item.itemId, here: last.here }).toEqual({ item: item.itemId, here: await play.left(item, COPIES, done) });
  }
  expect(world.simulator.control.repeated()).toEqual([]);
});

test(`sales are called off there, and calls to CardTrader go wrong in every way: both sides end equal, or it is to be seen where and why (seed ${seed})`, { timeout: 240_000 }, async () => {
  const { control } = world.simulator;
  const done = await play.actAtRandom(createRandom(seed + 1), { ...ACTS, cancellations: true, begin: () => control.setFaults(CALLS_GO_WRONG) }).finally(() => control.clearFaults());
  await control.idle();
  await play.quiet(done);
  for (const item of done.seller.items) {
    let last = await play.sides(item);
    await until('both sides are equal, or an operator is told', async () => (last = await play.sides(item)).here === last.there || (await play.seen(item)), { state: () => `${item.itemId} ${JSON.stringify(last)}` });
    // Never more there than here by our doing: what nobody has told us of is sold out there first.
    expect({ item: item.itemId, oversold: last.there > last.here && !(await play.seen(item)) }).toEqual({ item: item.itemId, oversold: false });
  }
  expect(control.repeated()).toEqual([]);
});
