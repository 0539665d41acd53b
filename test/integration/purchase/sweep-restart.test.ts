import { expect, test } from 'vitest';
import { laneOf } from '../../../src/contract/index.ts';
import { LANE_LOCK_CLASS } from '../../../src/platform/postgres/index.ts';
import { createTestDatabase } from '../../support/database.ts';
import { change, line, purchase, randomUuid } from '../../support/events.ts';
import { createSaleWorld, stockOf } from '../../support/sales.ts';
import { startPrivatePostgres } from '../../support/stack.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects: the sweep survives a database that crashes under it, in either half of its work, and drops nothing (P6; outbox-and-saga.md 2.3, F4).
 * No relay runs, so no record ever tells of these sales: only the sweep can end them.
 */
const PHASES: [phase: string, hold: (lane: number) => string, statement: RegExp][] = [
  ['while it claims what is due', () => 'LOCK TABLE purchase_sagas IN ACCESS EXCLUSIVE MODE', /UPDATE purchase_sagas AS s\s+SET next_action_at = least/],
  ['after its claim, while it waits for the lane of what it has claimed', (lane) => `SELECT pg_advisory_lock(${LANE_LOCK_CLASS}, ${lane})`, /pg_advisory_xact_lock/],
];

test.concurrent.each(PHASES)('PostgreSQL restarted with -m immediate, %s: the sale ends all the same', { timeout: 120_000 }, async (_, hold, statement) => {
  const postgres = await startPrivatePostgres();
  try {
    const world = await createSaleWorld({ database: await createTestDatabase(postgres.url) });
    try {
      const user = randomUuid();
      const item = randomUuid();
      const sale = purchase({ user_id: user, lines: [line(item, 2)] });
      const preparing = await world.start(['ingest']);
      await world.send(change({ user_id: user, item_id: item, quantity: 5 }), sale);
      await world.reached(['RESERVED'], sale);
      await preparing.stop();

      const holder = await world.pool.connect();
      holder.on('error', () => undefined); // it goes with the server
      await holder.query('BEGIN');
      await holder.query(hold(laneOf(user)));
      if (/advisory/.test(hold(0))) await world.rows('UPDATE purchase_sagas SET next_action_at = now()');
      else await holder.query('UPDATE purchase_sagas SET next_action_at = now()');
      const running = await world.start(['saga']);
      await until('a sweep that waits', async () => (await world.rows<{ query: string }>("SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")).some(({ query }) => statement.test(query)));
      await postgres.restart('immediate');
      holder.release(true);

      await world.reached(['CONFIRMED'], sale);
      expect(running.fatal).toEqual([]);
      expect(await world.facts(sale)).toEqual(['reserved', 'confirmed']);
      expect(await stockOf(world, user, item)).toMatchObject({ on_hand: 3, held: 0 });
    } finally {
      await world.close();
    }
  } finally {
    await postgres.remove();
  }
});
