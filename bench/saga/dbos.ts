import pg from 'pg';
import { startChild } from '../ingest/child.ts';
import { equal, Oracle, type Contestant } from './contestants.ts';
import type { Loaded } from './load.ts';
import type { World } from './world.ts';

const TABLES = `
  CREATE TABLE bench_items (item_id uuid PRIMARY KEY, user_id uuid NOT NULL, on_hand int NOT NULL CHECK (on_hand >= 0), held int NOT NULL CHECK (held >= 0)) WITH (fillfactor = 70);
  CREATE TABLE bench_sales (sale_id uuid PRIMARY KEY, item_id uuid NOT NULL, quantity int NOT NULL, state text NOT NULL, remote_quantity int, at timestamptz NOT NULL DEFAULT now()) WITH (fillfactor = 70);
  CREATE TABLE bench_outcomes (sale_id uuid PRIMARY KEY, outcome text NOT NULL, at timestamptz NOT NULL DEFAULT now())`;

/**
 * A sale as a DBOS workflow: reserve (transaction), take at CardTrader (step), settle and tell the outcome (transaction, a row). Started in
 * the process that carries it out, and the outcome stays in the database: no Kafka before or behind it, which is in its favour.
 */
export async function dbos(world: World, calls: 1 | 3): Promise<Contestant> {
  const databaseUrl = await world.createDatabase(`dbos_${calls}`);
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on('error', () => undefined); // the next query says so
  await client.connect();
  await client.query(TABLES);
  const shops = world.takeShops();
  const items = shops.flatMap(({ userId, items: own }) => own.map((item) => ({ ...item, userId })));
  await client.query('INSERT INTO bench_items (item_id, user_id, on_hand, held) SELECT item_id, user_id, $3, 0 FROM unnest($1::uuid[], $2::uuid[]) AS i (item_id, user_id)', [items.map(({ itemId }) => itemId), items.map(({ userId }) => userId), world.sizes.copies]);
  await client.query('ANALYZE');
  const oracle = new Oracle();
  return {
    name: calls === 1 ? 'DBOS' : 'DBOS, three calls',
    calls,
    async run(load, { warmUpMs, ms }) {
      await world.server.query('CHECKPOINT');
      const child = startChild('bench/saga/dbos-worker.js', [databaseUrl, world.apiUrl, String(calls), JSON.stringify(load), String(warmUpMs), String(ms)], { DBOS__VMID: 'bench' });
      try {
        child.say(JSON.stringify(shops));
        await child.line('begin');
        const stop = await world.startCounting(child.pid);
        child.say('begun');
        await child.line('end');
        const costs = await stop();
        child.say('ended');
        const { sold, ...loaded } = JSON.parse((await child.line('loaded')).slice('loaded '.length)) as Loaded & { sold: string[] };
        for (const itemId of sold) oracle.sell(itemId);
        child.say('end');
        return { ...loaded, costs };
      } finally {
        await child.stop();
      }
    },
    async check() {
      const { rows: states } = await client.query<{ state: string; n: number }>('SELECT state, count(*)::int AS n FROM bench_sales GROUP BY state');
      equal('sales', states, [{ state: 'CONFIRMED', n: oracle.sales }]);
      equal('outcomes', (await client.query<{ n: number }>('SELECT count(*)::int AS n FROM bench_outcomes')).rows[0]?.n, oracle.sales);
      equal('workflows', (await client.query<{ n: number }>(`SELECT count(*)::int AS n FROM dbos.workflow_status WHERE status = 'SUCCESS'`)).rows[0]?.n, oracle.sales);
      const { rows: stock } = await client.query<{ item_id: string; on_hand: number; held: number }>('SELECT item_id, on_hand, held FROM bench_items');
      const { quantities, repeated, throttled } = await world.simulator();
      const there = new Map(quantities);
      const here = new Map(stock.map((row) => [row.item_id, row]));
      for (const { itemId, productId } of items) {
        const expected = world.sizes.copies - oracle.sold(itemId);
        equal(`item ${itemId}`, [here.get(itemId)?.on_hand, here.get(itemId)?.held, there.get(productId)], [expected, 0, expected]);
      }
      equal('operations that took effect twice, requests above the limit', [repeated, throttled], [0, 0]);
      return `${oracle.sales} sales confirmed, each once`;
    },
    close: () => client.end(),
  };
}
