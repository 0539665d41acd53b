import { expect, test } from 'vitest';
import { StockFold } from '../../src/inventory/index.ts';
import { generateEvents, type GeneratedRecord } from '../../src/operations/generate/index.ts';
import { createTopicLog, settle } from '../../src/operations/verify/index.ts';

/** Two statements of one contract that share no code: where they part, one of them has misread it. */
const AT = Date.UTC(2026, 10, 23);

test.each([1, 2, 3])('fold and oracle agree on every event and item of a workload (seed %d)', (seed) => {
  // Few items, much of everything that is not ordinary, and removals, so that cases meet.
  const workload = generateEvents({ at: AT, events: 30_000, users: 40, itemsPerUser: 8, seed, negative: 0.1, stale: 0.1, duplicates: 0.2, newItems: 0.3, poison: 0, mix: { set: 30, adjust: 50, remove: 20 } });
  const fold = new StockFold();
  const log = createTopicLog();
  const seen = new Set<string>();
  for (const record of workload) {
    const { value } = record.body as Extract<GeneratedRecord['body'], { record: 'InventoryChanged' }>;
    log.add({ partition: 0, offset: log.records, timestamp: record.timestamp, content: { event: value } });
    if (!seen.has(value.event_id)) fold.apply(value);
    seen.add(value.event_id);
  }
  const verdict = settle(log, { horizonMs: 30 * 86_400_000, now: AT });

  expect(fold.ledger.length).toBe(seen.size);
  for (const { event, previousEventId, delta, onHand, outcome, cause } of fold.ledger) {
    const row = verdict.row(log.events.find(event.event_id));
    const previous = row?.previous ?? null;
    expect({ outcome: row?.outcome, delta: row?.delta, onHand: row?.on_hand, previous: previous === null ? null : log.events.text(previous) }).toEqual({
      outcome: outcome === 'dead_lettered' ? cause : outcome,
      delta,
      onHand,
      previous: previousEventId,
    });
  }
  for (const { userId, itemId, ...item } of fold.items) {
    const state = verdict.item(log.items.find(userId, itemId));
    expect(state).toMatchObject({
      on_hand: item.onHand,
      version: item.version,
      price_cents: item.priceCents,
      currency: item.currency,
      blueprint_id: item.blueprintId,
      removed: (item.flags & 1) !== 0,
      drifted: (item.flags & 2) !== 0,
    });
    expect(state?.properties === null || state === undefined ? null : JSON.parse(state.properties)).toEqual(item.properties);
    expect(log.events.text(state?.last ?? -1)).toBe(item.lastEventId);
  }
});
