import { describe, it, type ExpectStatic } from 'vitest';
import { valueBytes } from '../../src/operations/generate/index.ts';
import { createRandom } from '../../src/platform/random.ts';
import { REDRIVE_HEADER } from '../../src/records/redriven.ts';
import { change, randomUuid } from '../support/events.ts';
import { seed } from '../support/seed.ts';
import { createSystem, type System } from '../support/system.ts';
import { until } from '../support/wait.ts';
import type { Worker } from '../support/worker.ts';

/**
 * P2, P3: a redrive is killed with SIGKILL, wherever it is, and begun again: every dead letter has been sent once, has taken effect once, and is written down once. The letters are
 * ADJUST by one of few items, so that one that is lost or doubled shows in a number.
 */
const LETTERS = 300;
const ITEMS = 6;
const RATE = 60;

/** Dead letters of events that this version can read, as if an older one had not been able to; straight into the table, the topic has never seen them. */
async function buried({ pool, topics }: System): Promise<{ user: string; items: string[] }> {
  const user = randomUuid();
  const items = Array.from({ length: ITEMS }, () => randomUuid());
  const values = Array.from({ length: LETTERS }, (_, n) => valueBytes({ record: 'InventoryChanged', value: change({ user_id: user, item_id: items[n % ITEMS]!, kind: 'ADJUST', quantity: 1 }) }, topics.schemaIds)?.toString('hex') ?? '');
  await pool.query(
    `INSERT INTO dead_letters (reason, detail, consumer_group, topic, partition, "offset", record_timestamp, record_key, record_value, record_headers)
     SELECT 'unknown_type', 'a test', $1, $2, 0, 1000000 + n, now(), convert_to($3, 'UTF8'), decode(value, 'hex'), '[]' FROM unnest($4::text[]) WITH ORDINALITY AS e (value, n) ORDER BY n`,
    [topics.groupId, topics.events, user, values],
  );
  return { user, items };
}

const redrive = (system: System): Worker => system.run(['dlq', 'redrive', '--cause', 'unknown_type', '--reason', 'the test', '--rate', String(RATE), '--wait', '30', '--yes', '--json']);
const redriven = async ({ pool }: System): Promise<number> => (await pool.query<{ n: number }>("SELECT count(*)::int AS n FROM dead_letters WHERE state = 'redriven'")).rows[0]?.n ?? 0;

/** Each letter sent, published, in the ledger, and in the audit: once. */
async function once(system: System, { user, items }: { user: string; items: readonly string[] }, expect: ExpectStatic): Promise<void> {
  const { pool, topics } = system;
  await until('all of it has taken effect', async () => (await system.ledgerRows()) >= LETTERS, { state: () => system.tail() });
  await until('an empty outbox', async () => (await pool.query('SELECT FROM outbox LIMIT 1')).rowCount === 0);
  const stock = await pool.query<{ item_id: string; on_hand: number }>('SELECT item_id, on_hand FROM inventory_items WHERE user_id = $1', [user]);
  expect(new Map(stock.rows.map((row) => [row.item_id, row.on_hand]))).toEqual(new Map(items.map((item) => [item, LETTERS / ITEMS])));
  expect(await system.ledgerRows()).toBe(LETTERS);
  const copies = new Map<string, number>();
  for (const { headers } of await topics.readAll(topics.events)) {
    const of = String(headers?.[REDRIVE_HEADER]);
    copies.set(of, (copies.get(of) ?? 0) + 1);
  }
  expect([copies.size, ...new Set(copies.values())]).toEqual([LETTERS, 1]);
  const states = await pool.query('SELECT state, count(*)::int AS n FROM dead_letters GROUP BY state');
  expect(states.rows).toEqual([{ state: 'redriven', n: LETTERS }]);
  const audit = await pool.query("SELECT count(*)::int AS n, count(DISTINCT target)::int AS letters FROM operator_actions WHERE action = 'dlq.redrive'");
  expect(audit.rows).toEqual([{ n: LETTERS, letters: LETTERS }]);
}

describe.concurrent('a redrive killed with SIGKILL', () => {
  it(`at random, again and again: begun again it sends the rest (seed ${seed})`, { timeout: 120_000 }, async (context) => {
    const { expect } = context;
    const random = createRandom(seed);
    const system = await createSystem(context);
    const letters = await buried(system);
    await system.takeOver();
    for (let kills = 0; kills < 3; kills += 1) {
      const before = await redriven(system);
      const at = before + 1 + random.below(RATE);
      if (at >= LETTERS) break;
      const run = redrive(system);
      await until(`${at} letters sent`, async () => (await redriven(system)) >= at, { timeoutMs: 30_000, state: () => run.tail() });
      await run.kill();
    }
    expect(await redriven(system)).toBeLessThan(LETTERS);
    const last = redrive(system);
    expect(await last.ended(60_000), last.text).toEqual({ code: 0, signal: null });
    await once(system, letters, expect);
  });

  it('inside the transaction of a page: none of the page was sent, and all of it is the next time', { timeout: 120_000 }, async (context) => {
    const { expect } = context;
    const system = await createSystem(context);
    const letters = await buried(system);
    await system.takeOver();
    // A letter of the second page is held, so that the redrive stands in the middle of its transaction.
    const holder = await system.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT FROM dead_letters WHERE id = (SELECT id FROM dead_letters ORDER BY id OFFSET $1 LIMIT 1) FOR UPDATE', [RATE + 10]);
    const first = redrive(system);
    await until('the redrive waits for the letter', async () => (await system.pool.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%dead_letters%' AND pid <> pg_backend_pid()")).rowCount === 1, { timeoutMs: 30_000, state: () => first.tail() });
    await first.kill();
    await holder.query('ROLLBACK');
    await until('its transaction is over', async () => (await system.pool.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'brx-sync command'")).rowCount === 0);
    expect(await redriven(system)).toBe(RATE);
    const second = redrive(system);
    expect(await second.ended(60_000), second.text).toEqual({ code: 0, signal: null });
    await once(system, letters, expect);
  });

  it('while it waits for what becomes of them: they are sent, and the next has nothing to do', { timeout: 120_000 }, async (context) => {
    const { expect } = context;
    const system = await createSystem(context);
    const letters = await buried(system);
    // Nobody reads or publishes yet: it has sent all and waits.
    const first = redrive(system);
    await until('all are sent', async () => (await redriven(system)) === LETTERS, { timeoutMs: 60_000, state: () => first.tail() });
    await first.kill();
    const second = redrive(system);
    expect((await second.ended(60_000)).code, second.text).toBe(4); // none is open
    await system.takeOver();
    await once(system, letters, expect);
  });
});
