import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { Pool as HttpPool } from 'undici';
import { loadDependency } from '../dependencies.ts';
import { runLoad, type Load } from './load.ts';
import type { Shop } from './world.ts';

/** The parts of DBOS that are used. */
interface Sdk {
  DBOS: {
    readonly workflowID: string | undefined;
    readonly stepID: number | undefined;
    setConfig(config: object): void;
    launch(): Promise<void>;
    shutdown(): Promise<void>;
    registerWorkflow<Args extends unknown[], R>(workflow: (...args: Args) => Promise<R>, config: { name: string }): (...args: Args) => Promise<R>;
    startWorkflow<Args extends unknown[], R>(workflow: (...args: Args) => Promise<R>, options: { workflowID: string }): (...args: Args) => Promise<{ getResult(): Promise<R> }>;
    runStep<R>(step: () => Promise<R>, config: { name: string }): Promise<R>;
  };
}
interface DataSources {
  registerDataSource(this: void, source: object): void;
  registerTransaction<Args extends unknown[], R>(this: void, source: string, transaction: (...args: Args) => Promise<R>, config: { name: string }): (...args: Args) => Promise<R>;
  migrateDataSourcePG(this: void, run: (sql: string) => Promise<readonly object[]>): Promise<void>;
}
const { DBOS } = loadDependency<Sdk>('@dbos-inc/dbos-sdk');
const { registerDataSource, registerTransaction, migrateDataSourcePG } = loadDependency<DataSources>('@dbos-inc/dbos-sdk/datasource');

const [databaseUrl = '', apiUrl = '', calls = '1', loadText = '', warmUpMs = '0', ms = '0'] = process.argv.slice(2);
const input = createInterface({ input: process.stdin });
const shops = JSON.parse(((await once(input, 'line')) as [string])[0]) as Shop[];
const items = shops.flatMap(({ userId, token, items: own }) => own.map((item) => ({ ...item, userId, token })));
type Item = (typeof items)[number];

const pool = new pg.Pool({ connectionString: databaseUrl, max: 20 });
const transactions = new AsyncLocalStorage<pg.PoolClient>();
const query = (name: string, text: string, values: unknown[]): Promise<pg.QueryResult> => {
  const client = transactions.getStore();
  if (client === undefined) throw new Error('not in a transaction');
  return client.query({ name, text, values });
};

/** A transaction on our own tables with its checkpoint in it, over bare pg: DBOS's way of exactly once, with as few statements as it takes. */
registerDataSource({
  name: 'shop',
  async initialize() {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      await migrateDataSourcePG(async (sql) => (await client.query<object>(sql)).rows);
      await client.query('COMMIT');
    } finally {
      client.release();
    }
  },
  destroy: () => pool.end(),
  async invokeTransactionFunction<R>(_config: unknown, target: unknown, work: (...args: unknown[]) => Promise<R>, ...args: unknown[]): Promise<R> {
    const client = await pool.connect();
    const key = [DBOS.workflowID, DBOS.stepID];
    try {
      await client.query('BEGIN');
      const result = await transactions.run(client, () => work.apply(target, args));
      const { rowCount } = await client.query({ name: 'checkpoint', text: 'INSERT INTO dbos.transaction_completion (workflow_id, function_num, output) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', values: [...key, JSON.stringify(result ?? null)] });
      if (rowCount === 0) throw new Error('this step was taken before'); // no run of the benchmark recovers anything
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  },
});

const reserve = registerTransaction(
  'shop',
  async (saleId: string, item: Item): Promise<void> => {
    const { rowCount } = await query(
      'reserve',
      `WITH held AS (UPDATE bench_items SET held = held + 1 WHERE item_id = $2 AND on_hand - held >= 1 RETURNING item_id)
       INSERT INTO bench_sales (sale_id, item_id, quantity, state) SELECT $1, item_id, 1, 'RESERVED' FROM held`,
      [saleId, item.itemId],
    );
    if (rowCount !== 1) throw new Error('out of stock');
  },
  { name: 'reserve' },
);

const settle = registerTransaction(
  'shop',
  async (saleId: string, item: Item, remote: number): Promise<void> => {
    await query(
      'settle',
      `WITH sold AS (UPDATE bench_items SET on_hand = on_hand - 1, held = held - 1 WHERE item_id = $2),
            ended AS (UPDATE bench_sales SET state = 'CONFIRMED', remote_quantity = $3 WHERE sale_id = $1 AND state = 'RESERVED' RETURNING sale_id)
       INSERT INTO bench_outcomes (sale_id, outcome) SELECT sale_id, 'CONFIRMED' FROM ended`,
      [saleId, item.itemId, remote],
    );
  },
  { name: 'settle' },
);

const { origin, pathname } = new URL(apiUrl);
const http = new HttpPool(origin, { connections: 128 });
async function call(item: Item, method: 'GET' | 'POST', path: string, operationId?: string, body?: object): Promise<unknown> {
  const response = await http.request({
    method,
    path: pathname + path,
    headers: { authorization: `Bearer ${item.token}`, ...(operationId !== undefined && { 'x-request-id': operationId }), ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (response.statusCode !== 200) throw new Error(`${method} ${path}: ${response.statusCode} ${await response.body.text()}`);
  return response.body.json();
}

/** With three calls it asks what BRX Sync asks: the product before, the orders after. The write itself is relative, so that nothing must be kept in order. */
async function takeThere(saleId: string, item: Item): Promise<number> {
  if (calls === '3') await call(item, 'GET', `/products/export?blueprint_id=${item.blueprintId}`);
  const answer = (await call(item, 'POST', `/products/${item.productId}/increment`, saleId, { delta_quantity: -1 })) as { resource: { quantity: number } };
  if (calls === '3') await call(item, 'GET', '/orders?sort=id.desc&limit=20&page=1');
  return answer.resource.quantity;
}

const sale = DBOS.registerWorkflow(
  async (saleId: string, item: Item): Promise<void> => {
    await reserve(saleId, item);
    const remote = await DBOS.runStep(() => takeThere(saleId, item), { name: 'take' });
    await settle(saleId, item, remote);
  },
  { name: 'sale' },
);

DBOS.setConfig({ name: 'bench', systemDatabaseUrl: databaseUrl, logLevel: 'error' });
await DBOS.launch();
const sold: string[] = [];
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const answered = async (): Promise<void> => void (await once(input, 'line'));
const loaded = await runLoad(JSON.parse(loadText) as Load, {
  warmUpMs: Number(warmUpMs),
  ms: Number(ms),
  async sell() {
    const item = items[Math.floor(Math.random() * items.length)] as Item;
    const saleId = randomUUID();
    sold.push(item.itemId);
    await (await DBOS.startWorkflow(sale, { workflowID: saleId })(saleId, item)).getResult();
  },
  async begin() {
    say('begin');
    await answered();
  },
  async end() {
    say('end');
    await answered();
  },
});
say(`loaded ${JSON.stringify({ ...loaded, sold })}`);
await answered();
await DBOS.shutdown();
process.exit(0);
