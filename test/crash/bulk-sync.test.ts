import { describe, expect, it } from 'vitest';
import { FAULT_POINTS, type FaultPoint } from '../../src/platform/fault-points.ts';
import { BULK, bulkWorld } from '../support/bulk-world.ts';
import { createMarketplaceWorld } from '../support/marketplace-world.ts';
import { until } from '../support/wait.ts';
import { SOON_FREE, Worker } from '../support/worker.ts';

/**
 * P3, P2: a process is killed at each step of an import: in the export, between its chunks, while they are sent, in and behind a chunk's transaction. Another one
 * ends the job: every product is here once, and the ledger has one row for each.
 */
const MANY = 23;
const APPLYING: readonly FaultPoint[] = ['bulk.after-write', 'bulk.commit-acknowledged', 'bulk.offset-committed'];
const points = FAULT_POINTS.filter((point): point is Extract<FaultPoint, `bulk.${string}`> => point.startsWith('bulk.'));

describe.concurrent('killed while a seller is imported', () => {
  it.for([...points.map((point) => [point, 1] as const), ['bulk.chunk-kept', 3] as const, ['bulk.after-write', 3] as const])('%s, passage %d', async ([point, passage], { onTestFinished }) => {
    const world = await createMarketplaceWorld({ env: BULK });
    onTestFinished(() => world.close());
    const [role, others] = APPLYING.includes(point) ? (['ingest', 'dispatcher'] as const) : (['dispatcher', 'ingest'] as const);
    const bulk = bulkWorld(world);
    await world.start(['relay', others]);
    const seller = await bulk.stranger(...Array.from({ length: MANY }, (_, index) => index + 1));
    const jobId = await bulk.ask(seller.user, 'adopt-remote');
    const first = new Worker(['start', '--roles', role], { ...world.environment, ...SOON_FREE, BRX_FAULT: `${point}:kill:${passage}` });
    onTestFinished(() => first.kill());
    expect(await first.ended(60_000)).toMatchObject({ signal: 'SIGKILL' });
    await world.orderLeasesOver(); // the dead one may have been reading orders
    await world.start([role]);
    const job = await bulk.over(jobId);
    expect(job).toMatchObject({ state: 'DONE', products: MANY, chunks: 5, done: 5, parked: 0, created: MANY });
    expect([...(await bulk.stock(seller.user)).values()].sort((a, b) => a - b)).toEqual(Array.from({ length: MANY }, (_, index) => index + 1));
    expect(await world.rows('SELECT FROM stock_ledger WHERE user_id = $1', seller.user)).toHaveLength(MANY);
    expect(await world.rows('SELECT FROM inventory_items WHERE user_id = $1', seller.user)).toHaveLength(MANY);
    await until('everything is told', async () => (await world.rows('SELECT FROM outbox LIMIT 1')).length === 0);
  });
});
