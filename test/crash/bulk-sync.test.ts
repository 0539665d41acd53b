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

/**
 * P3, P2: a chunk the database refused is tried again, and whoever claims, sends or applies it is killed meanwhile. Another one goes on: no try is spent twice, the chunk is applied once, and
 * the job ends as if nothing had been. `healed`: what refused it has passed; else it is parked once more first, which is known too when its record is read again.
 */
const RETRIED = ['bulk.after-claim', 'bulk.chunks-sent', ...APPLYING] as const;

describe.concurrent('killed while a parked chunk is tried again', () => {
  it.for([...RETRIED.map((point) => [point, 'healed'] as const), ['bulk.commit-acknowledged', 'refused'] as const])('%s, %s', async ([point, state], { onTestFinished }) => {
    const world = await createMarketplaceWorld({ env: { ...BULK, BRX_BULK_SYNC_CHUNK_RETRIES: '2' } });
    onTestFinished(() => world.close());
    const [role, others] = APPLYING.includes(point) ? (['ingest', 'dispatcher'] as const) : (['dispatcher', 'ingest'] as const);
    const bulk = bulkWorld(world);
    await world.start(['relay', others]);
    const before = await world.start([role]);
    const seller = await bulk.stranger(...Array.from({ length: 12 }, (_, index) => index + 1));
    await bulk.poison(seller.products[11]!.id);
    const jobId = await bulk.ask(seller.user, 'adopt-remote');
    await bulk.retrying(jobId, 0);
    await before.stop();
    const tries = () => world.rows<{ tries: number; retries: number }>('SELECT tries, retries FROM bulk_sync_chunks WHERE job_id = $1 AND chunk = 2', jobId);

    if (state === 'healed') await bulk.heal();
    await bulk.bringForward(jobId);
    const killed = new Worker(['start', '--roles', role], { ...world.environment, ...SOON_FREE, BRX_FAULT: `${point}:kill` });
    onTestFinished(() => killed.kill());
    expect(await killed.ended(60_000)).toMatchObject({ signal: 'SIGKILL' });
    await world.orderLeasesOver();
    await world.start([role]);
    if (state === 'refused') {
      await bulk.retrying(jobId, 1);
      await bulk.snapshotsRead();
      expect(await tries()).toEqual([{ tries: 6, retries: 1 }]);
      await bulk.heal();
      await bulk.bringForward(jobId);
    }
    expect(await bulk.over(jobId)).toMatchObject({ state: 'DONE', chunks: 3, done: 3, parked: 0, created: 12, nextTryAt: null });
    expect(await tries()).toEqual([state === 'healed' ? { tries: 4, retries: 1 } : { tries: 7, retries: 2 }]);
    expect(await bulk.stock(seller.user)).toEqual(new Map(seller.products.map(({ id }, index) => [id, index + 1])));
    expect(await world.rows('SELECT FROM stock_ledger WHERE user_id = $1', seller.user)).toHaveLength(12);
    await until('everything is told', async () => (await world.rows('SELECT FROM outbox LIMIT 1')).length === 0);
  });
});
