import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { InventoryChanged } from '../../src/contract/index.ts';
import { DRIFTED, MAX_ON_HAND, OVERSOLD, REMOVED, type Item } from '../../src/inventory/index.ts';
import { ruleOn, UNSEEN, type ItemState } from '../../src/operations/verify/rules.ts';
import { entry } from '../support/events.ts';
import { seed } from '../support/seed.ts';
import { StockStore } from '../support/stock-store.ts';
import { cut, cuts, events, withCopies } from './workload.ts';

/** Protects: what the fold makes of any run of events, however it is cut into chunks and whatever is delivered twice. */
const options = { seed, numRuns: 500 };

function folded(chunks: readonly (readonly InventoryChanged[])[]): StockStore {
  const store = new StockStore();
  for (const chunk of chunks) store.apply(chunk.map((event) => entry(event)));
  return store;
}

/** What PostgreSQL would hold. */
function tables(store: StockStore): unknown {
  const items = [...store.items.values()].toSorted((a, b) => (`${a.userId}${a.itemId}` < `${b.userId}${b.itemId}` ? -1 : 1));
  const ledger = store.ledger.map(({ item, ...row }) => ({ ...row, item: item.itemId }));
  return { items, ledger };
}

test(`one chunk or many: the same (seed ${seed})`, () => {
  fc.assert(
    fc.property(events, cuts, cuts, (list, some, others) => {
      const whole = tables(folded([list]));
      expect(tables(folded(cut(list, some)))).toEqual(whole);
      expect(tables(folded(cut(list, others)))).toEqual(whole);
    }),
    options,
  );
});

test(`a duplicate changes nothing, wherever it comes and whatever it says (seed ${seed})`, () => {
  fc.assert(
    fc.property(withCopies, cuts, ({ once, repeated }, sizes) => {
      expect(tables(folded(cut(repeated, sizes)))).toEqual(tables(folded([once])));
    }),
    options,
  );
});

test(`everything again from the start changes nothing (seed ${seed})`, () => {
  fc.assert(
    fc.property(events, cuts, cuts, (list, first, again) => {
      const store = folded(cut(list, first));
      const before = structuredClone(tables(store));
      const outcomes = cut(list, again).flatMap((chunk) => store.apply(chunk.map((event) => entry(event))));
      expect(outcomes.every((outcome) => outcome === 'duplicate')).toBe(true);
      expect(tables(store)).toEqual(before);
    }),
    options,
  );
});

test(`stock is the sum of its ledger, never negative, and its history one unbroken chain (seed ${seed})`, () => {
  fc.assert(
    fc.property(withCopies, cuts, ({ once, repeated }, sizes) => {
      const store = folded(cut(repeated, sizes));
      expect(store.ledger.map((row) => row.event.event_id)).toEqual(once.map((event) => event.event_id)); // one row an event, in order
      for (const item of store.items.values()) {
        const rows = store.ledger.filter(({ event }) => event.user_id === item.userId && event.item_id === item.itemId);
        let [onHand, previous] = [0, null as string | null];
        for (const row of rows) {
          expect(row.previousEventId).toBe(previous);
          onHand += row.delta;
          expect(row.onHand).toBe(onHand);
          expect(onHand).toBeGreaterThanOrEqual(0);
          expect(onHand).toBeLessThanOrEqual(MAX_ON_HAND);
          if (row.outcome !== 'applied') expect(row.delta).toBe(0);
          previous = row.event.event_id;
        }
        expect(item).toMatchObject({ onHand, lastEventId: previous });
      }
      expect(store.items.size).toBe(new Set(once.map((event) => `${event.user_id}${event.item_id}`)).size);
    }),
    options,
  );
});

test(`versions of an item only grow, and a stale event takes no effect (seed ${seed})`, () => {
  fc.assert(
    fc.property(events, cuts, (list, sizes) => {
      const newest = new Map<string, number>();
      for (const { event, outcome } of folded(cut(list, sizes)).ledger) {
        const key = `${event.user_id}${event.item_id}`;
        const version = newest.get(key);
        const late = event.version !== null && version !== undefined && event.version <= version;
        expect(outcome === 'stale').toBe(late);
        if (outcome === 'applied' && event.version !== null) newest.set(key, event.version);
      }
    }),
    options,
  );
});

test(`the same as the oracle’s table of rules, which shares no code (seed ${seed})`, () => {
  fc.assert(
    fc.property(events, cuts, (list, sizes) => {
      const store = folded(cut(list, sizes));
      const oracle = new Map<string, ItemState>();
      list.forEach((event, index) => {
        const key = `${event.user_id}/${event.item_id}`;
        const { outcome, after } = ruleOn(oracle.get(key) ?? UNSEEN, { ...event, properties: sorted(event.properties) });
        oracle.set(key, after);
        const row = store.ledger[index];
        expect(row?.outcome === 'dead_lettered' ? row.cause : row?.outcome).toBe(outcome);
        expect(row?.onHand).toBe(after.on_hand);
      });
      for (const [key, state] of oracle) expect(asOracle(store.items.get(key))).toEqual(state);
    }),
    options,
  );
});

test(`oversold exactly while less is there than held, whatever else the flags say (seed ${seed})`, () => {
  fc.assert(
    fc.property(events, cuts, fc.nat(4), (list, sizes, held) => {
      const store = new StockStore();
      for (const chunk of cut(list, sizes)) {
        store.apply(chunk.map((event) => entry(event)));
        for (const item of store.items.values()) {
          // A sale reserves between two chunks, as the saga will, and keeps the table's CHECK.
          item.held = held;
          item.flags = item.onHand < held ? item.flags | OVERSOLD : item.flags & ~OVERSOLD;
        }
      }
      store.apply(list.slice(0, 1).map((event) => entry({ ...event, event_id: event.item_id, kind: 'SET', quantity: 2, version: null })));
      for (const item of store.items.values()) expect((item.flags & OVERSOLD) !== 0).toBe(item.onHand < item.held);
    }),
    options,
  );
});

const sorted = (properties: Record<string, string> | null): string | null => (properties === null ? null : JSON.stringify(Object.fromEntries(Object.entries(properties).toSorted(([a], [b]) => (a < b ? -1 : 1)))));

function asOracle(item: Item | undefined): ItemState | undefined {
  if (item === undefined) return undefined;
  const { onHand, held, priceCents, currency, blueprintId, properties, version, flags } = item;
  return { on_hand: onHand, held, price_cents: priceCents, currency, blueprint_id: blueprintId, properties: sorted(properties), version, removed: (flags & REMOVED) !== 0, drifted: (flags & DRIFTED) !== 0 };
}
