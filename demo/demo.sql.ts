import pg from 'pg';

/** Databases of demo runs, and what the report wants to know of one. */
export const DATABASE_PREFIX = 'brx_demo_';
/** How a running demo is told from one that is over: it keeps a connection of this name to its database. */
export const DEMO_APPLICATION = 'brx-sync demo';
const KEPT = 'kept';

/** On the server that `url` names; `work` gets a connection that is closed afterwards. */
export async function onServer<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, application_name: DEMO_APPLICATION });
  client.on('error', () => undefined); // the query under way rejects too
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** `name` comes from us: a prefix and hex digits. */
export async function createDatabase(client: pg.Client, name: string, keep: boolean): Promise<void> {
  await client.query(`CREATE DATABASE ${name}`);
  if (keep) await client.query(`COMMENT ON DATABASE ${name} IS '${KEPT}'`);
}

export async function dropDatabase(client: pg.Client, name: string): Promise<void> {
  if (!name.startsWith(DATABASE_PREFIX)) throw new Error(`${name} is not a demo's database`);
  await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
}

/** Databases of demos that neither run nor are to be kept. */
export async function finishedDatabases(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ datname: string }>(
    `SELECT datname FROM pg_database AS d
      WHERE datname ~ $1 AND coalesce(shobj_description(d.oid, 'pg_database'), '') <> $2
        AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datname = d.datname AND a.application_name = $3)`,
    [`^${DATABASE_PREFIX}[0-9a-f]+$`, KEPT, DEMO_APPLICATION],
  );
  return rows.map(({ datname }) => datname);
}

/** Connections of each application to the database we are in. */
export async function connections(pool: pg.Pool): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ application_name: string; count: number }>(
    'SELECT application_name, count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() GROUP BY application_name',
  );
  return new Map(rows.map((row) => [row.application_name, row.count]));
}

/** Outbox rows, and sales that go on by themselves. */
export async function underWay(pool: pg.Pool): Promise<{ unpublished: number; openSales: number }> {
  const { rows } = await pool.query<{ unpublished: number; openSales: number }>(
    `SELECT (SELECT count(*)::int FROM outbox) AS unpublished, (SELECT count(*)::int FROM purchase_sagas WHERE next_action_at IS NOT NULL AND state <> 'NEEDS_OPERATOR') AS "openSales"`,
  );
  return rows[0] ?? { unpublished: 0, openSales: 0 };
}

/** Sales by how they ended, or where they are. */
export async function salesByState(pool: pg.Pool): Promise<Readonly<Record<string, number>>> {
  const { rows } = await pool.query<{ state: string; count: number }>('SELECT state, count(*)::int AS count FROM purchase_sagas GROUP BY state');
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

/** Copies on hand by item. */
export async function onHandOf(pool: pg.Pool, users: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ item_id: string; on_hand: number }>('SELECT item_id, on_hand FROM inventory_items WHERE user_id = ANY ($1::uuid[])', [users]);
  return new Map(rows.map((row) => [row.item_id, row.on_hand]));
}

export interface Facts {
  lowest: number;
  drifted: number;
  /** Users with a dead letter, and those of them whose events took effect afterwards all the same. */
  unlucky: number;
  wentOn: number;
}

/** What stands in the tables when all is done. */
export async function readFacts(pool: pg.Pool): Promise<Facts> {
  const { rows } = await pool.query<Facts>(
    `WITH unlucky AS (SELECT user_id, min(created_at) AS at FROM dead_letters WHERE user_id IS NOT NULL GROUP BY user_id)
     SELECT (SELECT coalesce(min(least(on_hand, held)), 0) FROM inventory_items) AS lowest,
            (SELECT count(*)::int FROM inventory_items WHERE flags & 2 <> 0) AS drifted,
            (SELECT count(*)::int FROM unlucky) AS unlucky,
            (SELECT count(*)::int FROM unlucky AS u
              WHERE EXISTS (SELECT FROM stock_ledger AS l WHERE l.user_id = u.user_id AND l.outcome = 'a' AND l.recorded_at >= u.at)) AS "wentOn"`,
  );
  const facts = rows[0];
  if (facts === undefined) throw new Error('no row of a query that always has one');
  return facts;
}

/** The confirmed sale that took the most calls to CardTrader. */
export async function telltaleSale(pool: pg.Pool): Promise<{ user_id: string; purchase_id: string } | undefined> {
  const { rows } = await pool.query<{ user_id: string; purchase_id: string }>(
    `SELECT s.user_id, s.purchase_id FROM marketplace_operations AS o JOIN purchase_sagas AS s USING (user_id, purchase_id)
      WHERE s.state = 'CONFIRMED' GROUP BY s.user_id, s.purchase_id ORDER BY sum(jsonb_array_length(o.evidence)) DESC, s.purchase_id LIMIT 1`,
  );
  return rows[0];
}

/** An item with something to tell: one whose history holds an event that was refused or stale, and a dozen others. */
export async function telltaleItem(pool: pg.Pool): Promise<{ user_id: string; item_id: string } | undefined> {
  const { rows } = await pool.query<{ user_id: string; item_id: string }>(
    `SELECT user_id, item_id FROM stock_ledger GROUP BY user_id, item_id
      ORDER BY count(DISTINCT outcome) DESC, abs(count(*) - 12), user_id, item_id LIMIT 1`,
  );
  return rows[0];
}
