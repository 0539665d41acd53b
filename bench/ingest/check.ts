import pg from 'pg';
import { businessHash, verify } from '../../src/operations/verify/index.ts';
import { TOPICS, topicName } from '../../src/contract/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createCodec, createRegistry } from '../../src/platform/kafka/index.ts';
import type { Run } from './contestants.ts';
import type { World } from './world.ts';

/** A run with a wrong result has no number: each check throws, and the benchmark ends without a table. */

/** The whole database against the oracle, over the whole topic. */
export async function checkAgainstOracle(world: World, run: Run): Promise<string> {
  const config = world.config(run.databaseUrl, run.groupId);
  return withPool(run.databaseUrl, async (pool) => {
    const report = await verify({
      pool,
      kafka: world.kafka,
      topic: world.topic,
      outcomesTopic: topicName(config.kafka.topicPrefix, TOPICS.purchaseOutcomes),
      snapshotsTopic: topicName(config.kafka.topicPrefix, TOPICS.inventorySnapshots),
      groupId: run.groupId,
      codec: createCodec(createRegistry(config.registry)),
      clock: systemClock,
      horizonMs: config.ingest.horizonMs,
    });
    if (!report.ok || !report.complete) throw new Error(`${run.contestant}: the result is wrong: ${JSON.stringify(report.differences, null, 1)}`);
    return `${report.compared.records} records, ${report.compared.items} items, ${report.compared.ledger_rows} ledger rows as the oracle says`;
  });
}

/** Every business row the same as in a run that was verified. */
export async function checkSame(run: Run, verified: Run): Promise<void> {
  const hashes = await Promise.all([run, verified].map(({ databaseUrl }) => withPool(databaseUrl, businessHash)));
  if (hashes[0] !== hashes[1]) throw new Error(`${run.contestant}: its rows differ from those of ${verified.contestant}, which were verified`);
}

/** The naive consumer keeps no ledger; each item it touched must have what the verified ledger says after the event it applied last. */
export async function checkNaive(run: Run, verified: Run): Promise<void> {
  const rows = await withPool(run.databaseUrl, async (pool) =>
    (await pool.query<{ last_event_id: string; on_hand: number }>('SELECT last_event_id, on_hand FROM inventory_items AS i WHERE NOT EXISTS (SELECT FROM stock_ledger AS l WHERE l.event_id = i.last_event_id)')).rows,
  );
  const agreed = await withPool(verified.databaseUrl, async (pool) => {
    const { rows: answer } = await pool.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM unnest($1::uuid[], $2::int[]) AS i (event_id, on_hand) JOIN stock_ledger AS l USING (event_id) WHERE l.on_hand = i.on_hand',
      [rows.map((row) => row.last_event_id), rows.map((row) => row.on_hand)],
    );
    return answer[0]?.n ?? 0;
  });
  if (rows.length === 0 || agreed !== rows.length) throw new Error(`${run.contestant}: ${rows.length - agreed} of ${rows.length} items are wrong`);
}

async function withPool<T>(connectionString: string, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const pool = new pg.Pool({ connectionString, max: 4 });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}
