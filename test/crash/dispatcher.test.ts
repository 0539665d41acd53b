import { describe, expect, it } from 'vitest';
import type { PurchaseRequested } from '../../src/contract/index.ts';
import { FAULT_POINTS, type FaultPoint } from '../../src/platform/fault-points.ts';
import { cancellation, line, purchase } from '../support/events.ts';
import { createMarketplaceWorld, type ListedSeller, type MarketplaceWorld } from '../support/marketplace-world.ts';
import { stockOf } from '../support/sales.ts';
import { processState, until } from '../support/wait.ts';
import { SOON_FREE, Worker } from '../support/worker.ts';

/**
 * P6, P7: a process that sells is killed, told to stop, or frozen past its lease at any named point of sagas and dispatcher. Another one ends every
 * sale; each operation takes effect once or not at all, and stock here and on CardTrader agree.
 */
const POINTS = FAULT_POINTS.filter((point) => point.startsWith('saga.') || point.startsWith('dispatcher.'));
const COPIES = 9;
/** At the second passage there is work that is done; of claims there may be only one, as all sellers may have work by then. */
const at = (point: FaultPoint, what: 'kill' | 'stop'): string => `${point}:${what}:${point === 'dispatcher.after-claim' ? 1 : 2}`;

interface Case extends AsyncDisposable {
  readonly world: MarketplaceWorld;
  readonly sellers: readonly ListedSeller[];
  readonly sales: readonly PurchaseRequested[];
  worker(fault: string): Worker;
  /** Some of the sales are called off while it is not known how far they are. */
  callOff(): Promise<void>;
  /** Every sale has ended, and nothing anywhere disagrees. */
  agrees(): Promise<void>;
}

/** Sales of several sellers on the topic, some of them called off, and nobody who works yet. */
async function prepare(): Promise<Case> {
  const world = await createMarketplaceWorld();
  const preparing = await world.start(['ingest']);
  const sellers = await Promise.all([1, 2, 3].map(() => world.seller(COPIES, COPIES)));
  await preparing.stop();
  const sales = sellers.flatMap(({ user, items }) => [1, 2, 1].map((quantity, index) => purchase({ user_id: user, lines: index === 1 ? items.map(({ itemId }) => line(itemId, quantity)) : [line(items[index === 0 ? 0 : 1]!.itemId, quantity)] })));
  await world.send(...sales);
  const calledOff = sales.filter((_, index) => index % 4 === 1);
  const workers: Worker[] = [];
  return {
    world,
    sellers,
    sales,
    worker(fault) {
      const worker = new Worker(['start', '--roles', 'ingest,saga,relay,dispatcher'], { ...world.environment, ...SOON_FREE, BRX_FAULT: fault });
      workers.push(worker);
      return worker;
    },
    async callOff() {
      await world.send(...calledOff.map((sale) => cancellation(sale)));
    },
    async agrees() {
      await world.reached(['COMPENSATED'], ...calledOff);
      await world.reached(['CONFIRMED'], ...sales.filter((sale) => !calledOff.includes(sale)));
      await world.settled();
      await world.published();
      const outcomes = await world.outcomes();
      for (const sale of sales) {
        const state = (await world.saga(sale))?.state;
        const told = outcomes.get(sale.purchase_id)?.map(({ outcome }) => outcome);
        expect([state, told?.at(-1)]).toEqual(state === 'CONFIRMED' ? ['CONFIRMED', 'CONFIRMED'] : ['COMPENSATED', 'CANCELLED']);
        for (const operation of await world.operations(sale.purchase_id)) {
          const { operation_id: id } = operation;
          const story = (): string => JSON.stringify({ operation, effects: world.simulator.control.ledger({ operationId: id }) }, null, 1);
          expect([operation.state, world.simulator.control.effects(id)], story()).toEqual(operation.state === 'WITHDRAWN' ? ['WITHDRAWN', 0] : ['APPLIED', 1]);
        }
      }
      expect(world.simulator.control.repeated()).toEqual([]);
      for (const { items } of sellers) {
        for (const item of items) {
          const stock = await stockOf(world, item.user, item.itemId);
          expect([stock?.held, item.now()?.quantity]).toEqual([0, stock?.on_hand]);
        }
      }
      const kept = await world.rows<{ kept: number }>("SELECT coalesce(sum(l.quantity), 0)::int AS kept FROM purchase_sagas AS s, jsonb_to_recordset(s.lines) AS l (quantity int) WHERE s.state = 'CONFIRMED'");
      const [onHand] = await world.rows<{ n: number }>('SELECT sum(on_hand)::int AS n FROM inventory_items');
      expect(onHand!.n).toBe(sellers.length * 2 * COPIES - kept[0]!.kept);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.kill()));
      await world.close();
    },
  };
}

describe.concurrent('killed with SIGKILL', () => {
  it.for(POINTS)('at %s', async (point) => {
    await using test = await prepare();
    const first = test.worker(at(point, 'kill'));
    expect(await first.ended()).toEqual({ code: null, signal: 'SIGKILL' });
    expect(first.text).toContain(`fault point ${point}: kill`);
    await test.callOff();
    await test.world.startAll();
    await test.agrees();
  });
});

describe.concurrent('told to stop', () => {
  it.for(POINTS)('at %s: exit 0, and what it left undone another one does', async (point) => {
    await using test = await prepare();
    const first = test.worker(at(point, 'stop'));
    await first.said(`fault point ${point}: stop`);
    await until('a frozen worker', () => processState(first.pid) === 'T');
    first.signal('SIGTERM');
    first.signal('SIGCONT');
    expect(await first.ended(15_000)).toEqual({ code: 0, signal: null });
    expect(await test.world.rows('SELECT FROM marketplace_sellers WHERE lease_owner IS NOT NULL')).toEqual([]);
    await test.callOff();
    await test.world.startAll();
    await test.agrees();
  });
});

/** Where a frozen process has the most to spoil: about to send, sent, answered, and about to record. */
const FROZEN = ['dispatcher.after-claim', 'dispatcher.before-send', 'dispatcher.after-send', 'dispatcher.after-response', 'dispatcher.after-store', 'saga.after-write'] as const satisfies readonly FaultPoint[];

describe.concurrent('frozen past its lease, and woken when others have taken over', () => {
  it.for(FROZEN)('at %s: it changes nothing any more', async (point) => {
    await using test = await prepare();
    const zombie = test.worker(at(point, 'stop'));
    await zombie.said(`fault point ${point}: stop`);
    await until('a frozen worker', () => processState(zombie.pid) === 'T');
    await test.callOff();
    await test.world.startAll();
    await test.agrees();
    const effects = test.world.simulator.control.ledger().length;
    // It may have been frozen before it was a member of any group: then it knows once it has joined for the first time.
    const joins = zombie.joins().length;
    zombie.signal('SIGCONT');
    await until('the zombie knows', () => zombie.exit !== undefined || zombie.logged('the lease of a seller was over before its work was; somebody else has the seller').length > 0 || zombie.joins().length > joins, { timeoutMs: 80_000, state: () => zombie.tail() });
    const more = test.sellers.map(({ user, items }) => purchase({ user_id: user, lines: [line(items[0]!.itemId, 1)] }));
    await test.world.send(...more);
    await test.world.reached(['CONFIRMED'], ...more);
    await test.agrees();
    expect(test.world.simulator.control.ledger().length).toBe(effects + more.length);
  });
});
