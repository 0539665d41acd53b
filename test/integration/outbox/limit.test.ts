import pg from 'pg';
import { expect, test } from 'vitest';
import { holdsAtLeast } from '../../../src/outbox/limit.sql.ts';
import { createIngestWorld, itemOf } from '../../support/ingest.ts';
import { change } from '../../support/events.ts';
import { createOutboxWorld } from '../../support/outbox.ts';
import { until } from '../../support/wait.ts';

const rowsForLater = (count: number): string => `INSERT INTO outbox (topic, shard, available_at) SELECT 'later', 0, now() + interval '1 day' FROM generate_series(1, ${count})`;

/** On a connection of its own, because a connection that ends reports its statistics at once, and one that idles after ten seconds. */
async function alone(connectionString: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(sql);
  await client.end();
}

/** Protects P9: an outbox that nobody publishes does not grow for ever; marketplace events wait in Kafka, and nothing is refused for it. */
test('ingest holds while the outbox is full, keeps its membership, and goes on when there is room', async ({ onTestFinished }) => {
  const world = await createIngestWorld();
  onTestFinished(() => world.close());
  const { signals } = await world.start({ outboxMaxRows: 1_000 });
  const [before, meanwhile] = [change(), change()];
  await world.sendEvents(before);
  await world.processed();
  const joins = signals.assigned;
  await alone(world.database.url, rowsForLater(1_500));
  await until('it is known to be full', () => holdsAtLeast(world.parking.postgres.prisma, 1_000));
  // What is looked at every two seconds may let one chunk more in.
  await until('ingest is held', async () => {
    await world.sendEvents(change());
    return signals.held.includes('BRX_OUTBOX_FULL');
  });
  await world.sendEvents(meanwhile);
  const held = signals.chunks.length;
  await until('it is asked again', () => signals.held.length > 0 && signals.resumed === 0);
  expect(await itemOf(world.pool, meanwhile.user_id, meanwhile.item_id)).toBeUndefined();
  expect(signals.chunks).toHaveLength(held);

  await alone(world.database.url, 'DELETE FROM outbox');
  await world.processed();
  expect(await itemOf(world.pool, meanwhile.user_id, meanwhile.item_id)).toMatchObject({ on_hand: 1 });
  expect(signals).toMatchObject({ assigned: joins, crashes: [], fatal: [] });
  expect(new Set(signals.held)).toEqual(new Set(['BRX_OUTBOX_FULL']));
});

test('what the statistics say is believed when it is little, and counted when it is much', async (context) => {
  const world = await createOutboxWorld(context);
  const { prisma } = world.postgres;
  const statistics = (rows: number) => world.pool.query(`UPDATE pg_class SET reltuples = ${rows} WHERE oid = 'outbox'::regclass`);
  await world.pool.query('ALTER TABLE outbox SET (autovacuum_enabled = false)');
  expect(await holdsAtLeast(prisma, 1_000)).toBe(false);
  await alone(world.databaseUrl, rowsForLater(2_000));
  await until('it is known', () => holdsAtLeast(prisma, 1_000));
  expect(await holdsAtLeast(prisma, 2_000)).toBe(true);
  expect(await holdsAtLeast(prisma, 2_001)).toBe(false);
  // Stale and too high, as after a drain that no vacuum has seen: counted, and found to be wrong.
  await alone(world.databaseUrl, 'DELETE FROM outbox WHERE id > 10');
  await statistics(5_000);
  expect(await holdsAtLeast(prisma, 1_000)).toBe(false);
  expect(await holdsAtLeast(prisma, 10)).toBe(true);
  // After a crash live tuples are forgotten; what ANALYZE has found is not.
  await alone(world.databaseUrl, rowsForLater(2_000));
  await statistics(2_000);
  await world.pool.query('SELECT pg_stat_reset()');
  expect(await holdsAtLeast(prisma, 1_000)).toBe(true);
});
