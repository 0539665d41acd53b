import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { selectJobs, type JobRow } from '../../../src/bulk-sync/index.ts';
import { countBulkSync } from '../../../src/bulk-sync/jobs.sql.ts';
import type { InventorySnapshotChunk } from '../../../src/contract/index.ts';
import { BULK, bulkWorld, type BulkWorld, type Stranger } from '../../support/bulk-world.ts';
import { commandLine, type Ran } from '../../support/cli.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { readDecoded } from '../../support/topic.ts';

/**
 * Protects: a chunk the database refuses for a while is applied once it does not, without an operator, once, and not over what is newer: nothing is tried again of a job that was called off or
 * gave way to a newer export. What is refused every time is left to the operator.
 *
 * Two processes of each kind are at work. Nobody waits for a pause: its end is brought forward in the database.
 */
let world: MarketplaceWorld;
let bulk: BulkWorld;
let brx: (argv: readonly string[]) => Promise<Ran>;

beforeAll(async () => {
  world = await createMarketplaceWorld({ env: { ...BULK, BRX_BULK_SYNC_CHUNK_RETRIES: '2' } });
  bulk = bulkWorld(world);
  ({ brx } = commandLine(world.environment));
  await world.startAll();
  await world.start(['dispatcher', 'ingest']);
});
afterAll(() => world.close());

const many = (length: number): number[] => Array.from({ length }, () => 3);
const poison = (productId: number): Promise<void> => bulk.poison(productId);
const heal = (): Promise<void> => bulk.heal();
const jobOf = async (jobId: string): Promise<JobRow | undefined> => (await selectJobs(world.postgres.prisma, [jobId]))[0];
const bringForward = (jobId: string): Promise<void> => bulk.bringForward(jobId);
const retrying = (jobId: string, retries: number): Promise<JobRow> => bulk.retrying(jobId, retries);
/** How often the record of each of a job's chunks was published. */
async function published(jobId: string): Promise<Map<number, number>> {
  await world.published();
  const times = new Map<number, number>();
  for (const { event } of await readDecoded<InventorySnapshotChunk>(world.topics, world.topics.snapshots)) if (event.job_id === jobId) times.set(event.chunk, (times.get(event.chunk) ?? 0) + 1);
  return times;
}
/** A seller whose import waits to try its third chunk again; the chunk's products are the last of `seller.products`. */
async function refused(): Promise<{ seller: Stranger; jobId: string }> {
  const seller = await bulk.stranger(...many(12));
  await poison(seller.products[11]!.id);
  const jobId = await bulk.ask(seller.user, 'adopt-remote');
  await retrying(jobId, 0);
  return { seller, jobId };
}

test('refused for a while: tried again by itself, by one process, and applied; the job ends as if nothing had been', async () => {
  const { seller, jobId } = await refused();
  expect(await jobOf(jobId)).toMatchObject({ state: 'APPLYING', endedAt: null, done: 2, parked: 1, created: 10, nextTryAt: expect.any(Date) as Date });
  expect((await bulk.stock(seller.user)).size).toBe(10);
  const shown = await brx(['sync', 'show', jobId]);
  expect(shown.stdout).toMatch(/chunk 2 \(2 products\) is parked; next try at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: .*poisoned/);
  expect(await world.rows('SELECT extract(epoch FROM next_try_at - ended_at)::int AS pause FROM bulk_sync_chunks WHERE job_id = $1 AND next_try_at IS NOT NULL', jobId)).toEqual([{ pause: 60 }]);

  await bringForward(jobId);
  await retrying(jobId, 1);
  expect((await brx(['sync', 'show', jobId, '--json'])).json).toMatchObject({ parkedChunks: [{ chunk: 2, tries: 6, retries: 1, nextTryAt: expect.any(String) as string }] });
  expect(await world.rows('SELECT extract(epoch FROM next_try_at - ended_at)::int AS pause FROM bulk_sync_chunks WHERE job_id = $1 AND next_try_at IS NOT NULL', jobId)).toEqual([{ pause: 300 }]);

  await heal();
  await bringForward(jobId);
  expect(await bulk.over(jobId)).toMatchObject({ state: 'DONE', done: 3, parked: 0, created: 12, nextTryAt: null });
  expect(await bulk.stock(seller.user)).toEqual(new Map(seller.products.map(({ id }) => [id, 3])));
  expect(await world.rows("SELECT FROM stock_ledger WHERE user_id = $1 AND cause = 'import'", seller.user)).toHaveLength(12);
  expect(await world.rows('SELECT tries, retries FROM bulk_sync_chunks WHERE job_id = $1 AND chunk = 2', jobId)).toEqual([{ tries: 7, retries: 2 }]);
  expect(await published(jobId)).toEqual(new Map([[0, 1], [1, 1], [2, 3]]));
});

test('refused every time: parked for the operator, and the job is over', async () => {
  const { seller, jobId } = await refused();
  await bringForward(jobId);
  await retrying(jobId, 1);
  await bringForward(jobId);
  expect(await bulk.over(jobId)).toMatchObject({ state: 'DONE', done: 2, parked: 1, nextTryAt: null });
  expect(await world.rows("SELECT tries, retries, next_try_at FROM bulk_sync_chunks WHERE job_id = $1 AND state = 'PARKED'", jobId)).toEqual([{ tries: 9, retries: 2, next_try_at: null }]);
  expect((await brx(['sync', 'show', jobId])).stdout).toContain('is parked; tried again 2 times, not tried again by itself: ');
  await heal();
  expect(await bulk.run(seller.user, 'adopt-remote')).toMatchObject({ state: 'DONE', created: 2, same: 10 });
});

test('while it is waited for: whoever watches is told and not kept waiting', async () => {
  const seller = await bulk.stranger(...many(3));
  await poison(seller.products[0]!.id);
  const ran = await brx(['sync', seller.user, '--mode', 'adopt-remote']);
  expect([ran.exit, ran.stdout]).toEqual([1, expect.stringContaining('is parked; next try at') as string]);
  await heal();
});

describe('what is not tried again', () => {
  test('a chunk of a job that was called off', async () => {
    const { seller, jobId } = await refused();
    await heal();
    expect((await brx(['sync', 'cancel', jobId, '--reason', 'test'])).exit).toBe(0);
    await bringForward(jobId);
    // Whoever would try it again would have by the time another seller's job has come and gone.
    await bulk.run((await bulk.stranger(1)).user, 'adopt-remote');
    expect(await jobOf(jobId)).toMatchObject({ state: 'CANCELLED', parked: 1, nextTryAt: null });
    expect((await bulk.stock(seller.user)).size).toBe(10);
    expect(await published(jobId)).toEqual(new Map([[0, 1], [1, 1], [2, 1]]));
  });

  test('a chunk whose job gave way to a newer export', async () => {
    const { seller, jobId } = await refused();
    await heal();
    world.simulator.control.setQuantity(seller.products[11]!.id, 8);
    const newer = await bulk.run(seller.user, 'adopt-remote');
    expect(newer).toMatchObject({ state: 'DONE', created: 2, same: 10 });
    await bringForward(jobId);
    await bulk.run((await bulk.stranger(1)).user, 'adopt-remote');
    expect(await jobOf(jobId)).toMatchObject({ state: 'DONE', done: 2, parked: 1, nextTryAt: null });
    expect((await bulk.stock(seller.user)).get(seller.products[11]!.id)).toBe(8);
    expect(await published(jobId)).toEqual(new Map([[0, 1], [1, 1], [2, 1]]));
    expect(await world.rows("SELECT detail->>'replaced' AS replaced FROM operator_actions WHERE action = 'sync.request' AND detail->>'jobId' = $1", newer.jobId)).toEqual([{ replaced: jobId }]);
  });

  test('an item that has changed here since the export: the rest of its chunk is applied', async () => {
    const seller = await bulk.stranger(...many(12));
    await bulk.run(seller.user, 'adopt-remote');
    const [changed, other] = [seller.products[10]!.id, seller.products[11]!.id];
    for (const id of [changed, other]) world.simulator.control.setQuantity(id, 9);
    await poison(other);
    const jobId = await bulk.ask(seller.user, 'adopt-remote');
    await retrying(jobId, 0);
    await world.rows('UPDATE inventory_items AS i SET on_hand = 1, updated_at = now() FROM marketplace_listings AS l WHERE l.user_id = i.user_id AND l.item_id = i.item_id AND i.user_id = $1 AND l.product_id = $2', seller.user, changed);
    await heal();
    await bringForward(jobId);
    expect(await bulk.over(jobId)).toMatchObject({ state: 'DONE', adopted: 1, left: 1, same: 10 });
    const stock = await bulk.stock(seller.user);
    expect([stock.get(changed), stock.get(other)]).toEqual([1, 9]);
  });
});

test('a report whose last chunk comes late: its differences are of when the export was taken', async () => {
  const seller = await bulk.stranger(...many(12));
  await bulk.run(seller.user, 'adopt-remote');
  world.simulator.control.setQuantity(seller.products[0]!.id, 9);
  const { exportedAt: before } = await bulk.run(seller.user, 'report');
  // Reports write no listings: what refuses this one is a finding of the last chunk.
  world.simulator.control.setQuantity(seller.products[11]!.id, 7);
  await world.rows(`CREATE FUNCTION refuse_finding() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.product_id = ${seller.products[11]!.id} THEN RAISE check_violation; END IF; RETURN NEW; END $$`);
  await world.rows('CREATE TRIGGER refuse_finding BEFORE INSERT ON bulk_sync_findings FOR EACH ROW EXECUTE FUNCTION refuse_finding()');
  const jobId = await bulk.ask(seller.user, 'report');
  await retrying(jobId, 0);
  expect(await world.rows('SELECT theirs, seen_at FROM drift WHERE user_id = $1', seller.user)).toEqual([{ theirs: 9, seen_at: before }]);
  await world.rows('DROP TRIGGER refuse_finding ON bulk_sync_findings');
  await bringForward(jobId);
  const { exportedAt } = await bulk.over(jobId);
  expect(await world.rows('SELECT theirs, seen_at, first_at FROM drift WHERE user_id = $1 ORDER BY theirs', seller.user)).toEqual([{ theirs: 7, seen_at: exportedAt, first_at: exportedAt }, { theirs: 9, seen_at: exportedAt, first_at: before }]);
});

test('what is tried again is counted, then what is left to people, until a newer job of the seller has ended; a job that waits is not old', async () => {
  const before = await countBulkSync(world.postgres.prisma);
  const { seller, jobId } = await refused();
  expect(await countBulkSync(world.postgres.prisma)).toMatchObject({ retried: before.retried + 1, left: before.left, oldestSeconds: 0 });
  await bringForward(jobId);
  await retrying(jobId, 1);
  await bringForward(jobId);
  await bulk.over(jobId);
  expect(await countBulkSync(world.postgres.prisma)).toMatchObject({ retried: before.retried, left: before.left + 1 });
  await heal();
  await bulk.run(seller.user, 'adopt-remote');
  expect(await countBulkSync(world.postgres.prisma)).toMatchObject({ retried: before.retried, left: before.left });
});
