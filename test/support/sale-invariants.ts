import { expect } from 'vitest';
import type { MarketplaceWorld, ListedSeller } from './marketplace-world.ts';

/**
 * What must hold once every sale has ended, whatever went wrong on the way (outbox-and-saga.md section 6.2, I1 to I5, I8, I9). Nothing of it
 * is taken from the code that decides: sums over rows, the stand-in's ledger, and the records in the topics.
 */
export async function checkSales(world: MarketplaceWorld, sellers: readonly ListedSeller[], copies: number): Promise<{ sales: number; byState: Record<string, number>; repaired: number }> {
  const { control } = world.simulator;
  const rows: MarketplaceWorld['rows'] = (sql, ...values) => world.rows(sql, ...values);

  // I2: each has ended, or waits for an operator and says why.
  const states = await rows<{ state: string; sales: number }>('SELECT state, count(*)::int AS sales FROM purchase_sagas GROUP BY state');
  const byState = Object.fromEntries(states.map(({ state, sales }) => [state, sales]));
  expect(Object.keys(byState).filter((state) => !['CONFIRMED', 'REJECTED', 'COMPENSATED', 'NEEDS_OPERATOR'].includes(state))).toEqual([]);
  expect(await rows("SELECT purchase_id FROM purchase_sagas AS s WHERE state = 'NEEDS_OPERATOR' AND NOT EXISTS (SELECT FROM purchase_history AS h WHERE h.purchase_id = s.purchase_id AND h.fact = 'stuck' AND h.detail ->> 'why' <> '')")).toEqual([]);

  // I1: what there was is on hand or sold; what is held is what sales that wait for an operator hold.
  const stock = await rows<{ user_id: string; item_id: string; on_hand: number; held: number; sold: number; waiting: number }>(
    `SELECT i.user_id, i.item_id, i.on_hand, i.held, coalesce(sum(l.quantity) FILTER (WHERE s.state = 'CONFIRMED'), 0)::int AS sold,
            coalesce(sum(l.quantity) FILTER (WHERE s.state = 'NEEDS_OPERATOR' AND NOT s.sold), 0)::int AS waiting
       FROM inventory_items AS i LEFT JOIN (purchase_sagas AS s CROSS JOIN LATERAL jsonb_to_recordset(s.lines) AS l (item_id uuid, quantity int)) ON s.user_id = i.user_id AND l.item_id = i.item_id
      GROUP BY 1, 2, 3, 4`,
  );
  for (const { item_id: item, on_hand: onHand, held, sold, waiting } of stock) expect({ item, total: onHand + sold, held }).toEqual({ item, total: copies, held: waiting });
  expect(await rows('SELECT i.item_id FROM inventory_items AS i LEFT JOIN (SELECT user_id, item_id, sum(quantity) AS held FROM stock_holds GROUP BY 1, 2) AS h USING (user_id, item_id) WHERE i.held <> coalesce(h.held, 0)')).toEqual([]);

  // I3: at most one effect an operation; one exactly where it is said to be applied, or was refused because its copies were sold there.
  const repeated = control.repeated();
  if (repeated.length > 0) {
    const found = await rows('SELECT operation_id, kind, state, attempts, before, target, sent_at, evidence FROM marketplace_operations WHERE operation_id = ANY ($1::uuid[])', repeated.map(({ operationId }) => operationId));
    throw new Error(`operations took effect more than once: ${JSON.stringify(found.map((row) => ({ row, effects: control.ledger({ operationId: String(row['operation_id']) }) })), null, 1)}`);
  }
  const operations = await rows<{ operation_id: string; purchase_id: string | null; item_id: string; kind: string; state: string; quantity: number }>('SELECT operation_id, purchase_id, item_id, kind, state, quantity FROM marketplace_operations');
  for (const { operation_id: id, kind, state } of operations) {
    const effects = control.effects(id);
    if (state === 'APPLIED') expect([id, kind, effects === 1 || kind === 'LOWER']).toEqual([id, kind, true]); // nothing is lowered where the product is gone
    else if (state === 'WITHDRAWN') expect([id, kind, effects]).toEqual([id, kind, 0]);
    else expect(['REFUSED', 'NEEDS_OPERATOR']).toContain(state);
  }
  // CONFIRMED: everything taken and nothing given back; COMPENSATED: what was taken is given back.
  const wrong = await rows(
    `SELECT s.purchase_id, s.state, o.kind, o.state FROM purchase_sagas AS s JOIN marketplace_operations AS o USING (purchase_id, user_id)
      WHERE s.state = 'CONFIRMED' AND (o.kind <> 'TAKE' OR o.state <> 'APPLIED')
         OR s.state = 'COMPENSATED' AND o.kind = 'TAKE' AND o.state = 'APPLIED' AND NOT EXISTS (SELECT FROM marketplace_operations AS r WHERE r.returns = o.operation_id AND r.state = 'APPLIED')`,
  );
  expect(wrong).toEqual([]);

  // The listing: never more copies than are left; fewer only where that is to be seen.
  let repaired = 0;
  for (const { items } of sellers) {
    for (const item of items) {
      const mine = operations.filter(({ item_id: itemId }) => itemId === item.itemId);
      if (mine.some(({ state }) => state === 'NEEDS_OPERATOR')) continue;
      const net = (kind: string): number => mine.filter((operation) => operation.kind === kind && operation.state === 'APPLIED').reduce((sum, { quantity }) => sum + quantity, 0);
      const soldThere = control.ledger({ sellerId: item.sellerId }).filter(({ verb, productId, after }) => (verb === 'sale' || verb === 'vanish') && productId === item.productId && after !== undefined);
      const vanished = control.ledger({ sellerId: item.sellerId, productId: item.productId }).some(({ verb }) => verb === 'vanish');
      const listing = await world.listing(item);
      repaired += mine.filter(({ kind }) => kind === 'LOWER').length;
      if (vanished || item.now() === undefined) {
        expect([item.itemId, listing.gone || listing.product_id !== String(item.productId) || copies - net('TAKE') + net('RETURN') - soldThere.length >= 0]).toEqual([item.itemId, true]);
        continue;
      }
      const left = copies - net('TAKE') + net('RETURN') - soldThere.reduce((sum, { before, after }) => sum + (before ?? 0) - (after ?? 0), 0);
      const there = item.now()?.quantity ?? 0;
      expect({ item: item.itemId, there: there <= left }).toEqual({ item: item.itemId, there: true });
      if (there < left) expect([item.itemId, listing.mismatch]).not.toEqual([item.itemId, null]);
      if (there === left) expect([item.itemId, listing.quantity]).toEqual([item.itemId, there]);
    }
  }

  // I8: versions without a gap; what the last step says is what the sale says.
  expect(await rows('SELECT purchase_id FROM purchase_history GROUP BY purchase_id, user_id HAVING max(version) <> count(*) OR min(version) <> 1')).toEqual([]);
  expect(await rows('SELECT s.purchase_id FROM purchase_sagas AS s JOIN purchase_history AS h ON h.purchase_id = s.purchase_id AND h.user_id = s.user_id AND h.version = s.version WHERE h.state <> s.state')).toEqual([]);

  // I9, I5 and I4: everything is published, each step once but for copies, and the first copies of a sale's steps in their order.
  expect(await rows('SELECT FROM outbox')).toEqual([]);
  const steps = await rows<{ event_id: string; purchase_id: string; version: number }>('SELECT event_id, purchase_id, version FROM purchase_history');
  const told = new Map<string, number>();
  for (const topic of [world.topics.sagaEvents, world.topics.outcomes]) {
    const seen = new Set<string>();
    const last = new Map<string, number>();
    for (const { headers } of await world.topics.readAll(topic)) {
      const id = String(headers?.['brx-event-id']);
      if (seen.has(id)) continue;
      seen.add(id);
      told.set(id, (told.get(id) ?? 0) + 1);
      const step = steps.find(({ event_id: eventId }) => eventId === id);
      if (step === undefined) continue;
      expect([id, step.version > (last.get(step.purchase_id) ?? 0)]).toEqual([id, true]);
      last.set(step.purchase_id, step.version);
    }
  }
  for (const { event_id: id } of steps) expect([id, told.get(id)]).toEqual([id, 1]);
  return { sales: states.reduce((sum, { sales }) => sum + sales, 0), byState, repaired };
}
