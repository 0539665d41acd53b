import { expect, onTestFinished, test } from 'vitest';
import type { PurchaseRequested } from '../../src/contract/index.ts';
import { businessHash } from '../../src/operations/verify/index.ts';
import { createRandom } from '../../src/platform/random.ts';
import { FAULT_KINDS } from '../../src/simulator/index.ts';
import { startPrivateRedis } from '../../stack/index.ts';
import { createTestDatabase } from '../support/database.ts';
import { cancellation, line, purchase } from '../support/events.ts';
import { createMarketplaceWorld } from '../support/marketplace-world.ts';
import { checkSales } from '../support/sale-invariants.ts';
import { seed } from '../support/seed.ts';
import { startPrivatePostgres } from '../support/stack.ts';
import { processState, until } from '../support/wait.ts';
import { Worker } from '../support/worker.ts';

/**
 * P2, P5, P6, P7: sales while everything breaks at once: workers killed, frozen past their leases and stopped, PostgreSQL crashing, Redis
 * killed and flushed, CardTrader with every kind of fault. Then it is quiet, every sale ends, and the invariants hold; a replay of it
 * all changes nothing. `FC_SEED=<seed>` runs the same choices again.
 */
const SELLERS = 10;
const ITEMS = 4;
const COPIES = 40;
const SALES = 600;
/** Of each kind: about one call in twelve goes wrong. */
const FAULTS = Object.fromEntries(FAULT_KINDS.filter((kind) => kind !== 'token_revoked' && kind !== 'token_regenerated').map((kind) => [kind, { chance: kind === 'product_vanishes' ? 0.001 : 0.006, delayMs: kind === 'applied_late' ? 500 : 1_300 }]));

test(`sales while everything breaks (seed ${seed})`, { timeout: 600_000 }, async () => {
  const random = createRandom(seed);
  const postgres = await startPrivatePostgres();
  onTestFinished(() => postgres.remove());
  const redis = await startPrivateRedis();
  onTestFinished(() => redis.remove());
  const world = await createMarketplaceWorld({ seed, database: await createTestDatabase(postgres.url), env: { BRX_REDIS_URL: redis.url, BRX_RATE_LIMIT_WINDOW_MS: '1000', BRX_RATE_LIMIT_REQUESTS: '200', BRX_RATE_LIMIT_MARGIN_MS: '100' } });
  const workers: Worker[] = [];
  onTestFinished(async () => {
    await Promise.all(workers.map((worker) => worker.kill()));
    await world.close();
  });
  const preparing = await world.start(['ingest']);
  const sellers = await Promise.all(Array.from({ length: SELLERS }, () => world.seller(...Array.from({ length: ITEMS }, () => COPIES))));
  await preparing.stop();
  world.simulator.control.setFaults(FAULTS);

  const start = (): Worker => {
    const worker = new Worker(['start', '--roles', 'ingest,saga,relay,dispatcher'], { ...world.environment, BRX_INGEST_SESSION_TIMEOUT_MS: '6000', BRX_LOG_FORMAT: 'json' });
    workers.push(worker);
    return worker;
  };
  const alive: Worker[] = [start(), start()];
  await Promise.all(alive.map((worker) => worker.said('"running"')));
  const replace = async (index: number): Promise<void> => {
    alive[index] = start();
    await alive[index].said('"running"'); // a start needs the database; afterwards its absence is borne
  };
  /** Undefined while the database is away. */
  const ended = (): Promise<number | undefined> => world.rows<{ n: number }>("SELECT count(*)::int AS n FROM purchase_sagas WHERE state IN ('CONFIRMED', 'REJECTED', 'COMPENSATED')").then(([row]) => row?.n, () => undefined);
  const progress = async (): Promise<void> => {
    const before = await until('a database', ended);
    await until('a dozen more sales that have ended', async () => ((await ended()) ?? 0) >= before + 12, { timeoutMs: 60_000, state: () => alive.map((worker) => worker.tail(8)).join('\n') });
  };

  const sales: PurchaseRequested[] = [];
  let selling = true;
  const seller = async (): Promise<void> => {
    while (selling && sales.length < SALES) {
      const { user, items } = sellers[random.below(SELLERS)]!;
      const lines = Array.from({ length: 1 + random.below(3) }, () => line(items[random.below(ITEMS)]!.itemId, 1 + random.below(2)));
      const sale = purchase({ user_id: user, lines, expires_at: random.chance(0.05) ? Date.now() + 3_000 : null });
      sales.push(sale);
      await world.send(sale, ...(random.chance(0.2) ? [cancellation(sale)] : []));
      if (random.chance(0.1)) await world.send(cancellation(sales[random.below(sales.length)]!));
      await until('fewer than 40 sales under way', async () => sales.length - ((await ended()) ?? 0) < 40, { timeoutMs: 90_000 });
    }
  };
  const TROUBLE = [
    async (index: number) => {
      alive[index]!.signal('SIGKILL');
      await alive[index]!.ended();
      await replace(index);
    },
    async (index: number) => {
      const frozen = alive[index]!;
      frozen.signal('SIGSTOP');
      await until('a frozen worker', () => processState(frozen.pid) === 'T');
      await progress();
      frozen.signal('SIGCONT');
    },
    async (index: number) => {
      alive[index]!.signal('SIGTERM');
      await alive[index]!.ended(60_000);
      await replace(index);
    },
    () => postgres.restart('immediate'),
    () => postgres.restart('fast'),
    async () => {
      await redis.kill();
      await redis.start();
    },
  ];
  const buyers = Promise.all([seller(), seller(), seller()]);
  buyers.catch(() => undefined); // told where it is waited for
  const mustLive = (): void => {
    for (const worker of alive) if (worker.exit !== undefined) throw new Error(`a worker ended by itself\n${worker.tail(40)}`);
  };
  for (const trouble of [...TROUBLE, ...TROUBLE].map((kind) => ({ kind, at: random.unit() })).toSorted((a, b) => a.at - b.at)) {
    await progress();
    mustLive();
    await trouble.kind(random.below(2));
  }
  selling = false;
  await buyers;

  // Quiet: nothing breaks any more.
  world.simulator.control.clearFaults();
  mustLive();
  await world.reached(['CONFIRMED', 'REJECTED', 'COMPENSATED', 'NEEDS_OPERATOR'], ...sales);
  await world.caughtUp();
  await world.settled();
  await world.reached(['CONFIRMED', 'REJECTED', 'COMPENSATED', 'NEEDS_OPERATOR'], ...sales);
  await world.published();
  await world.simulator.control.idle();
  const report = await checkSales(world, sellers, COPIES);
  expect(report.sales).toBe(sales.length);
  expect(report.byState['CONFIRMED']).toBeGreaterThan(50);
  const fired = world.simulator.control.faults();
  expect(Object.values(fired).reduce((sum, times) => sum + times, 0)).toBeGreaterThan(20);
  process.stderr.write(`chaos: ${JSON.stringify({ ...report, faults: fired })}\n`);

  // I6: all of it again, from the beginning.
  for (const worker of alive) worker.signal('SIGTERM');
  await Promise.all(alive.map((worker) => worker.ended(60_000)));
  const state = async () => ({ hash: await businessHash(world.pool), drawn: await world.rows('SELECT last_value FROM outbox_id_seq'), writes: world.simulator.control.ledger().length });
  const before = await state();
  await world.rewind();
  await replace(0);
  await world.caughtUp();
  expect(await state()).toEqual(before);
});
