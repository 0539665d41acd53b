import pg from 'pg';
import { migrate } from '../../src/operations/migrate/index.ts';
import { silentLogger } from '../../src/platform/log.ts';

const TABLES = ['inventory_items', 'marketplace_listings', 'stock_ledger'] as const;
const ROWS = 500;
const SAMPLE = 200_000;
const CONNECTIONS = 2;

export interface Ceiling {
  readonly products: number;
  readonly productsPerSecond: number;
}

/**
 * What PostgreSQL can take at all: the rows an import has made, from memory, by one statement a table and 500 products in a transaction, over two bare connections; no Kafka,
 * no look-ups, no locks, no Prisma. Of at most 200,000 products, into a database of its own.
 */
export async function ceiling(from: string, adminUrl: string, say: (line: string) => void): Promise<Ceiling> {
  const name = `bench_ceiling_${Date.now().toString(36)}`;
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  const url = new URL(from);
  url.pathname = `/${name}`;
  await migrate(url.href, { logger: silentLogger });
  const source = new pg.Client({ connectionString: from });
  const targets = Array.from({ length: CONNECTIONS }, () => new pg.Client({ connectionString: url.href }));
  try {
    for (const client of [source, ...targets]) await client.connect();
    const batches: string[][] = [];
    const { rows: keys } = await source.query<{ user_id: string; item_id: string }>('SELECT user_id, item_id FROM marketplace_listings ORDER BY user_id, item_id LIMIT $1', [SAMPLE]);
    for (let at = 0; at < keys.length; at += ROWS) {
      const some = keys.slice(at, at + ROWS);
      const [users, items] = [some.map((key) => key.user_id), some.map((key) => key.item_id)];
      const batch: string[] = [];
      for (const table of TABLES) batch.push((await source.query<{ rows: string }>(`SELECT coalesce(json_agg(t), '[]')::text AS rows FROM ${table} AS t JOIN unnest($1::uuid[], $2::uuid[]) AS k (user_id, item_id) USING (user_id, item_id)`, [users, items])).rows[0]?.rows ?? '[]');
      batches.push(batch);
    }
    const { rows: sellers } = await source.query<{ rows: string }>('SELECT json_agg(s)::text AS rows FROM marketplace_sellers AS s');
    await targets[0]?.query('INSERT INTO marketplace_sellers SELECT * FROM json_populate_recordset(NULL::marketplace_sellers, $1)', [sellers[0]?.rows]);
    say(`ceiling: ${keys.length.toLocaleString('en-US')} products from memory`);
    const begun = performance.now();
    let next = 0;
    const insert = async (client: pg.Client): Promise<void> => {
      for (let batch = batches[next++]; batch !== undefined; batch = batches[next++]) {
        await client.query('BEGIN');
        for (const [index, table] of TABLES.entries()) await client.query({ name: table, text: `INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1)`, values: [batch[index]] });
        await client.query('COMMIT');
      }
    };
    await Promise.all(targets.map((client) => insert(client)));
    return { products: keys.length, productsPerSecond: keys.length / ((performance.now() - begun) / 1_000) };
  } finally {
    for (const client of [source, ...targets]) await client.end();
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.end();
  }
}
