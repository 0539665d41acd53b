import { describe, expect, test } from 'vitest';
import type { InventoryChanged } from '../../src/contract/index.ts';
import { DRIFTED, MAX_ON_HAND, OVERSOLD, REMOVED, StockFold, type Item } from '../../src/inventory/index.ts';
import { change, uuid } from '../support/events.ts';

/** Protects: what each event means for its item, DESIGN section 4's table of meanings row by row. */
const USER = uuid(1);
const ITEM = uuid(2);
const FIRST = uuid(3);

type Step = [kind: InventoryChanged['kind'], quantity: number, more?: Partial<InventoryChanged>];

const event = ([kind, quantity, more]: Step): InventoryChanged => change({ user_id: USER, item_id: ITEM, kind, quantity, ...more });

/** A fold over an item that is already there, in this state. */
function stocked(state: Partial<Item>): StockFold {
  const fold = new StockFold();
  Object.assign(fold.touch(USER, ITEM), { exists: true, lastEventId: FIRST, ...state });
  return fold;
}

function after(fold: StockFold, ...steps: Step[]): Item {
  for (const step of steps) fold.apply(event(step));
  return fold.touch(USER, ITEM);
}

describe('what an event does to its item', () => {
  test.each<[what: string, before: Partial<Item> | undefined, step: Step, expected: Partial<Item>]>([
    ['SET of an item never seen creates it', undefined, ['SET', 5], { exists: true, onHand: 5, flags: 0 }],
    ['ADJUST of an item never seen creates it', undefined, ['ADJUST', 5], { exists: true, onHand: 5, flags: 0 }],
    ['REMOVE of an item never seen creates it removed', undefined, ['REMOVE', 0], { exists: true, onHand: 0, flags: REMOVED }],
    ['SET replaces what was there', { onHand: 9 }, ['SET', 5], { onHand: 5 }],
    ['ADJUST adds', { onHand: 9 }, ['ADJUST', 5], { onHand: 14 }],
    ['ADJUST takes away, down to nothing', { onHand: 9 }, ['ADJUST', -9], { onHand: 0 }],
    ['ADJUST by 0 changes only what it says', { onHand: 9 }, ['ADJUST', 0, { price_cents: 7 }], { onHand: 9, priceCents: 7 }],
    ['REMOVE takes all', { onHand: 9 }, ['REMOVE', 0], { onHand: 0, flags: REMOVED }],
    ['ADJUST of a removed item applies, and it stays removed', { flags: REMOVED }, ['ADJUST', 4], { onHand: 4, flags: REMOVED }],
    ['SET brings a removed item back', { flags: REMOVED }, ['SET', 4], { onHand: 4, flags: 0 }],
    ['ADJUST of a drifted item applies, and it stays drifted', { onHand: 1, flags: DRIFTED }, ['ADJUST', 4], { onHand: 5, flags: DRIFTED }],
    ['a sale on CardTrader of more than is here has happened: nothing is left, and the item drifted', { onHand: 1 }, ['ADJUST', -3, { source: 'cardtrader' }], { onHand: 0, flags: DRIFTED }],
    ['the same of what is held: oversold', { onHand: 1, held: 1 }, ['ADJUST', -1, { source: 'cardtrader' }], { onHand: 0, flags: OVERSOLD }],
    ['a sale on CardTrader of an item never seen', undefined, ['ADJUST', -1, { source: 'cardtrader' }], { exists: true, onHand: 0, flags: DRIFTED }],
    ['SET ends the drift', { flags: DRIFTED | REMOVED }, ['SET', 4], { onHand: 4, flags: 0 }],
    ['REMOVE does not end the drift', { flags: DRIFTED }, ['REMOVE', 0], { flags: DRIFTED | REMOVED }],
    ['SET below what is held is applied, and the item is oversold', { onHand: 9, held: 3 }, ['SET', 2], { onHand: 2, flags: OVERSOLD }],
    ['ADJUST below what is held likewise', { onHand: 4, held: 3 }, ['ADJUST', -2], { onHand: 2, flags: OVERSOLD }],
    ['REMOVE below what is held likewise', { onHand: 4, held: 3 }, ['REMOVE', 0], { onHand: 0, flags: OVERSOLD | REMOVED }],
    ['exactly what is held is not oversold', { onHand: 4, held: 3, flags: 0 }, ['SET', 3], { onHand: 3, flags: 0 }],
    ['stock that comes back ends the overselling', { onHand: 1, held: 3, flags: OVERSOLD }, ['ADJUST', 2], { onHand: 3, flags: 0 }],
    ['up to what an integer holds', { onHand: MAX_ON_HAND - 1 }, ['ADJUST', 1], { onHand: MAX_ON_HAND }],
    ['an applied version is the item’s', { version: 3 }, ['SET', 1, { version: 4 }], { version: 4, onHand: 1 }],
    ['the first version is the item’s', { version: null }, ['SET', 1, { version: -4 }], { version: -4 }],
    ['an event without version is applied, and the item keeps its version', { version: 3 }, ['SET', 7], { version: 3, onHand: 7 }],
  ])('%s', (_, before, step, expected) => {
    const fold = before === undefined ? new StockFold() : stocked(before);
    expect(fold.apply(event(step))).toBeUndefined();
    expect(fold.touch(USER, ITEM)).toMatchObject({ ...expected, changed: true });
  });

  test.each<[what: string, before: Partial<Item> | undefined, step: Step, refusal: string, expected: Partial<Item>]>([
    ['an older version is stale', { onHand: 9, version: 3 }, ['SET', 1, { version: 2 }], 'stale', { onHand: 9, version: 3 }],
    ['an equal version is stale', { onHand: 9, version: 3 }, ['ADJUST', 1, { version: 3 }], 'stale', { onHand: 9, version: 3 }],
    ['stale comes before anything else', { onHand: 0, version: 3 }, ['ADJUST', -1, { version: 3 }], 'stale', { onHand: 0, flags: 0 }],
    ['a stale REMOVE removes nothing', { onHand: 9, version: 3 }, ['REMOVE', 0, { version: 1 }], 'stale', { onHand: 9, flags: 0 }],
    ['a stale SET does not end the drift', { flags: DRIFTED, version: 3 }, ['SET', 4, { version: 3 }], 'stale', { onHand: 0, flags: DRIFTED }],
    ['ADJUST below zero marks the item drifted', { onHand: 2, version: 3 }, ['ADJUST', -3, { version: 4 }], 'would_go_negative', { onHand: 2, version: 3, flags: DRIFTED }],
    ['ADJUST below zero of an item never seen creates it, drifted', undefined, ['ADJUST', -1], 'would_go_negative', { exists: true, onHand: 0, flags: DRIFTED }],
    ['above an integer is out of range, and nothing changes', { onHand: 1, version: 3 }, ['ADJUST', MAX_ON_HAND, { version: 4 }], 'out_of_range', { onHand: 1, version: 3, flags: 0 }],
  ])('%s', (_, before, step, refusal, expected) => {
    const fold = before === undefined ? new StockFold() : stocked(before);
    const [kind, quantity, more] = step;
    expect(fold.apply(event([kind, quantity, { price_cents: 99, currency: 'EUR', blueprint_id: 7, properties: { foil: 'yes' }, ...more }]))).toBe(refusal);
    // Nothing else of a refused event is taken over.
    expect(fold.touch(USER, ITEM)).toMatchObject({ ...expected, priceCents: null, currency: null, blueprintId: null, properties: null });
  });

  test('later events of a drifted item flow', () => {
    expect(after(new StockFold(), ['ADJUST', -1], ['ADJUST', 3], ['ADJUST', -1])).toMatchObject({ onHand: 2, flags: DRIFTED });
  });

  test('what an event does not say stays as it was said last', () => {
    const item = after(new StockFold(), ['SET', 1, { price_cents: 100, currency: 'EUR', blueprint_id: 5, properties: { foil: 'yes' } }], ['SET', 2], ['ADJUST', 1, { price_cents: 0, properties: {} }]);
    expect(item).toMatchObject({ onHand: 3, priceCents: 0, currency: 'EUR', blueprintId: 5, properties: {} });
  });
});

describe('the ledger', () => {
  test('each event earns one row, in order, linked to the item’s row before it', () => {
    const fold = stocked({ onHand: 5, version: 2 });
    const events = [event(['ADJUST', 3]), event(['SET', 1, { version: 1 }]), event(['ADJUST', -9]), event(['SET', 1, { version: 3, source: 'shop' }])];
    for (const each of events) fold.apply(each);
    expect(fold.ledger.map(({ event: { event_id }, previousEventId, delta, onHand, outcome, cause }) => ({ event_id, previousEventId, delta, onHand, outcome, cause }))).toEqual([
      { event_id: events[0]?.event_id, previousEventId: FIRST, delta: 3, onHand: 8, outcome: 'applied', cause: 'test' },
      { event_id: events[1]?.event_id, previousEventId: events[0]?.event_id, delta: 0, onHand: 8, outcome: 'stale', cause: 'stale' },
      { event_id: events[2]?.event_id, previousEventId: events[1]?.event_id, delta: 0, onHand: 8, outcome: 'dead_lettered', cause: 'would_go_negative' },
      { event_id: events[3]?.event_id, previousEventId: events[2]?.event_id, delta: -7, onHand: 1, outcome: 'applied', cause: 'shop' },
    ]);
    expect(fold.touch(USER, ITEM).lastEventId).toBe(events[3]?.event_id);
  });

  test('a stale event is written too: the item points to its row', () => {
    const fold = stocked({ version: 2 });
    const stale = event(['SET', 1, { version: 2 }]);
    fold.apply(stale);
    expect(fold.itemsToWrite()).toEqual([expect.objectContaining({ lastEventId: stale.event_id })]);
  });

  test('a discarded event is recorded without effect', () => {
    const fold = stocked({ onHand: 5 });
    const given = event(['SET', 9]);
    fold.discard(given);
    expect(fold.ledger).toMatchObject([{ delta: 0, onHand: 5, outcome: 'dead_lettered', cause: 'discarded', previousEventId: FIRST }]);
    expect(fold.itemsToWrite()).toMatchObject([{ onHand: 5, lastEventId: given.event_id }]);
  });

  test('a discarded event creates no item', () => {
    const fold = new StockFold();
    fold.discard(event(['SET', 9]));
    expect(fold.ledger).toMatchObject([{ previousEventId: null }]);
    // Named for its ledger row alone: without a last event it is not written.
    expect(fold.itemsToWrite()).toMatchObject([{ exists: false, lastEventId: null }]);
  });
});

test('what has to be written is sorted by user and item, whatever order it came in', () => {
  const fold = new StockFold();
  const keys = [[3, 1], [1, 2], [2, 9], [1, 1], [3, 0]] as const;
  for (const [user, item] of keys) fold.apply(change({ user_id: uuid(user), item_id: uuid(item) }));
  fold.touch(uuid(0), uuid(0)); // read, but no event changed it
  expect(fold.itemsToWrite().map(({ userId, itemId }) => [userId, itemId])).toEqual([[1, 1], [1, 2], [2, 9], [3, 0], [3, 1]].map(([user = 0, item = 0]) => [uuid(user), uuid(item)]));
  expect(fold.items).toHaveLength(6);
});

test('what may have to be told to CardTrader is marked: whatever took effect, and no other', () => {
  const altered = (...steps: Step[]): boolean => after(stocked({ onHand: 5, version: 3 }), ...steps).altered;
  expect([altered(['SET', 5]), altered(['ADJUST', 0, { price_cents: 7 }])]).toEqual([true, true]);
  expect([altered(), altered(['SET', 1, { version: 3 }]), altered(['ADJUST', -9])]).toEqual([false, false, false]);
  expect(altered(['SET', 1], ['SET', 1, { version: 3 }])).toBe(true);
});

test('items of different users never meet, though their ids are the same', () => {
  const fold = new StockFold();
  fold.apply(change({ user_id: uuid(1), item_id: ITEM, quantity: 4 }));
  fold.apply(change({ user_id: uuid(2), item_id: ITEM, kind: 'ADJUST', quantity: 1 }));
  expect(fold.itemsToWrite().map((item) => item.onHand)).toEqual([4, 1]);
});
