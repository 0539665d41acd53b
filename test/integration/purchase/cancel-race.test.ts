import { afterAll, beforeAll, expect, test } from 'vitest';
import { laneOf } from '../../../src/contract/index.ts';
import { LANE_LOCK_CLASS } from '../../../src/platform/postgres/index.ts';
import { cancellation, line, purchase } from '../../support/events.ts';
import { createMarketplaceWorld, type ListedSeller, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import type { RunningFlow } from '../../support/flow.ts';
import { stockOf } from '../../support/sales.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects: a cancellation arrives in the very moment in which a sale is done. The test holds the seller's lane until both stand before it, in a
 * known order (PostgreSQL grants an advisory lock in the order in which it was asked for): either way the sale is undone on both sides, once,
 * and its sender is told in order (P5 to P7).
 */
let world: MarketplaceWorld;
/** Answers that are slow are still answers. */
const PATIENT = { BRX_MARKETPLACE_WRITE_TIMEOUT_MS: '8000', BRX_DISPATCHER_QUARANTINE_MS: '9000', BRX_DISPATCHER_LEASE_MS: '15000' };

beforeAll(async () => {
  world = await createMarketplaceWorld({ env: PATIENT });
  await world.start(['ingest', 'relay']);
});
afterAll(() => world.close());

const wants = ({ user, items: [item] }: ListedSeller) => purchase({ user_id: user, lines: [line(item!.itemId, 2)] });

/** The seller's lane, held until it is released. */
async function holdLane(user: string) {
  const lane = laneOf(user);
  const client = await world.pool.connect();
  await client.query('SELECT pg_advisory_lock($1, $2)', [LANE_LOCK_CLASS, lane]);
  return {
    /** Resolves once so many transactions stand before it. */
    waiting: (transactions: number): Promise<unknown> =>
      until(`${transactions} transactions before the lane`, async () => (await world.rows("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = $1 AND objid = $2", LANE_LOCK_CLASS, lane)).length === transactions),
    async release() {
      await client.query('SELECT pg_advisory_unlock($1, $2)', [LANE_LOCK_CLASS, lane]);
      client.release();
    },
  };
}

async function undone(seller: ListedSeller, sale: ReturnType<typeof wants>, outcomes: readonly string[]): Promise<void> {
  await world.reached(['COMPENSATED'], sale);
  await world.settled();
  expect((await world.outcomes()).get(sale.purchase_id)?.map(({ outcome }) => outcome)).toEqual(outcomes);
  expect([seller.items[0]!.now()?.quantity, await stockOf(world, seller.user, seller.items[0]!.itemId)]).toMatchObject([5, { on_hand: 5, held: 0 }]);
  for (const { operation_id: id, kind, state } of await world.operations(sale.purchase_id)) expect([kind, state, world.simulator.control.effects(id)]).toEqual([kind, 'APPLIED', 1]);
  expect((await world.operations(sale.purchase_id)).map(({ kind }) => kind)).toEqual(['TAKE', 'RETURN']);
}

/** A sale of which the write has taken effect, and its answer is on the way; the lane is held. */
async function answering() {
  const seller = await world.seller(5);
  const sale = wants(seller);
  world.simulator.control.inject({ kind: 'slow_answer', delayMs: 1_500, when: { sellerId: seller.sellerId, method: 'PUT' } });
  await world.send(sale);
  const [operation] = await until('an operation that is sent', async () => {
    const operations = await world.operations(sale.purchase_id);
    return operations.some(({ operation_id: id }) => world.simulator.control.effects(id) === 1) ? operations : undefined;
  });
  expect(operation?.state).toBe('SENT');
  return { seller, sale, lane: await holdLane(seller.user) };
}

test('before the result is recorded: what was sent is known first, then given back', async () => {
  const running = await world.start(['saga', 'dispatcher']);
  const { seller, sale, lane } = await answering();
  await world.send(cancellation(sale));
  await lane.waiting(1);
  expect((await world.operations(sale.purchase_id))[0]?.evidence).toEqual([]); // the cancellation is the one that waits: CardTrader's answer is still on the way
  await lane.waiting(2);
  await lane.release();
  await undone(seller, sale, ['CANCELLED']);
  expect(await world.facts(sale)).toEqual(['reserved', 'called', 'compensating', 'giving_back', 'compensated']);
  await running.stop();
});

test('after the result is recorded, before anybody has looked: given back at once, never confirmed', async () => {
  const running = await world.start(['saga', 'dispatcher']);
  const { seller, sale, lane } = await answering();
  await lane.waiting(1); // the result
  await world.send(cancellation(sale));
  await lane.waiting(2);
  await lane.release();
  await undone(seller, sale, ['CANCELLED']);
  expect(await world.facts(sale)).toEqual(['reserved', 'called', 'compensating', 'compensated']);
  await running.stop();
});

/** A sale whose result is recorded and which nobody has looked at since; the lane is held. */
async function applied() {
  const seller = await world.seller(5);
  const sale = wants(seller);
  const sagas = await world.start(['saga']);
  await world.send(sale);
  await world.reached(['CALLING'], sale);
  await sagas.stop();
  const dispatcher = await world.start(['dispatcher']);
  await until('the result', async () => (await world.operations(sale.purchase_id))[0]?.state === 'APPLIED');
  await world.published();
  return { seller, sale, lane: await holdLane(seller.user), dispatcher };
}

const stopAll = (...flows: readonly RunningFlow[]): Promise<unknown> => Promise.all(flows.map((flow) => flow.stop()));

test('before the confirmation: undone, and only that is told', async () => {
  const { seller, sale, lane, dispatcher } = await applied();
  await world.send(cancellation(sale));
  await lane.waiting(1);
  const sagas = await world.start(['saga']);
  await lane.waiting(2); // the look that would have confirmed it
  await lane.release();
  await undone(seller, sale, ['CANCELLED']);
  expect(await world.facts(sale)).not.toContain('confirmed');
  await stopAll(sagas, dispatcher);
});

test('after the confirmation: confirmed, then undone, and told in that order', async () => {
  const { seller, sale, lane, dispatcher } = await applied();
  const sagas = await world.start(['saga']);
  await lane.waiting(1);
  await world.send(cancellation(sale));
  await lane.waiting(2);
  await lane.release();
  await undone(seller, sale, ['CONFIRMED', 'CANCELLED']);
  expect(await world.facts(sale)).toEqual(['reserved', 'called', 'confirmed', 'compensating', 'compensated']);
  await stopAll(sagas, dispatcher);
});
