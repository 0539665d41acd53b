import { describe, expect, it } from 'vitest';
import { FAULT_POINTS } from '../../src/platform/fault-points.ts';
import { createOrdersWorld, type OrdersWorld } from '../support/orders-world.ts';
import { processState, until } from '../support/wait.ts';
import { SOON_FREE, Worker } from '../support/worker.ts';

const ROLES = ['ingest', 'relay', 'dispatcher'] as const;

/**
 * P2, P3 for sales on CardTrader: a process that looks at orders is killed, or frozen past its lease, at each named point. Another one sees
 * what it left; each sale takes its copies once, and the cancelled ones come back once.
 */
const POINTS = FAULT_POINTS.filter((point) => point.startsWith('orders.'));

interface Case extends AsyncDisposable {
  readonly world: OrdersWorld;
  worker(fault: string): Worker;
  /** Another one, for which the dead one's leases are over. */
  takeOver(): Promise<unknown>;
  agrees(): Promise<void>;
}

async function prepare(): Promise<Case> {
  const world = await createOrdersWorld();
  const preparing = await world.start(['ingest']);
  const sellers = await Promise.all([1, 2, 3].map(() => world.seller(9, 9)));
  await preparing.stop();
  for (const { items } of sellers) {
    const [first, second] = items;
    world.sell(first!, 1);
    world.sell(first!, 2);
    world.sell(second!, 1, { viaZero: true });
  }
  for (const { sellerId } of sellers) world.simulator.control.mergeHub(sellerId);
  const workers: Worker[] = [];
  return {
    world,
    worker(fault) {
      const worker = new Worker(['start', '--roles', ROLES.join()], { ...world.environment, ...SOON_FREE, BRX_FAULT: fault });
      workers.push(worker);
      return worker;
    },
    async takeOver() {
      await world.orderLeasesOver();
      await world.start(ROLES);
    },
    async agrees() {
      for (const { items } of sellers) {
        const [first, second] = items;
        await until('every sale is here', async () => (await world.onHand(first!)) === 6 && (await world.onHand(second!)) === 8, { timeoutMs: 90_000, state: () => workers.map((worker) => worker.tail(10)).join('\n') });
      }
      await world.published();
      for (const { items } of sellers) {
        expect((await world.sold(items[0]!)).toSorted((a, b) => b - a)).toEqual([-1, -2]);
        expect(await world.sold(items[1]!)).toEqual([-1]);
      }
      const events = (await world.topics.readAll(world.topics.events)).map(({ headers }) => String(headers?.['brx-event-id']));
      const told = (await world.topics.readAll(world.topics.levels)).map(({ headers }) => String(headers?.['brx-event-id']));
      expect(new Set(told).size).toBe(9);
      expect(events.filter((id) => id !== 'undefined').length).toBeGreaterThanOrEqual(9);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.kill()));
      await world.close();
    },
  };
}

describe.concurrent('killed with SIGKILL', () => {
  it.for(POINTS.flatMap((point) => [1, 2].map((passage) => [point, passage] as const)))('at %s, passage %i', async ([point, passage]) => {
    await using test = await prepare();
    const first = test.worker(`${point}:kill:${passage}`);
    expect(await first.ended(90_000)).toEqual({ code: null, signal: 'SIGKILL' });
    expect(first.text).toContain(`fault point ${point}: kill`);
    await test.takeOver();
    await test.agrees();
  });
});

describe.concurrent('frozen past its lease, and woken when others have taken over', () => {
  it.for(POINTS)('at %s: it adds nothing', async (point) => {
    await using test = await prepare();
    const zombie = test.worker(`${point}:stop:2`);
    await zombie.said(`fault point ${point}: stop`);
    await until('a frozen worker', () => processState(zombie.pid) === 'T');
    await test.takeOver();
    await test.agrees();
    // It has been expelled from its group meanwhile, or was frozen before it joined at all, and goes on when it has joined; or it ends.
    const assigned = zombie.logged('partitions assigned').length;
    zombie.signal('SIGCONT');
    await until('the zombie goes on', () => zombie.exit !== undefined || zombie.logged('partitions assigned').length > assigned, { timeoutMs: 60_000, state: () => zombie.tail() });
    await test.agrees();
  });
});
