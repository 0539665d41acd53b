import { describe, expect, test } from 'vitest';
import { RECORDS } from '../../../src/contract/index.ts';
import { DRIFTED, OVERSOLD, StockFold, type Item } from '../../../src/inventory/index.ts';
import { lineId, type SagaEntry } from '../../../src/purchase/fold.ts';
import type { Operation } from '../../../src/marketplace/index.ts';
import type { PurchaseFold } from '../../../src/purchase/index.ts';
import type { Saga } from '../../../src/purchase/saga.ts';
import { cancellation, change, folds, line, purchase, uuid } from '../../support/events.ts';

/** Protects: what a sale does to stock, ledger, holds, operations and messages; DESIGN section 4's table of meanings, the rows of purchases. */
const USER = uuid(1);
const [A, B, C] = [uuid(0xa), uuid(0xb), uuid(0xc)];
const NOW = Date.UTC(2026, 10, 25);

/** Folds over items that are there, with so many on hand. */
function stocked(onHand: Record<string, number>, state: Partial<Item> = {}): { stock: StockFold; purchases: PurchaseFold } {
  const both = folds(new StockFold(), NOW);
  for (const [itemId, count] of Object.entries(onHand)) Object.assign(both.stock.touch(USER, itemId), { exists: true, lastEventId: uuid(99), onHand: count, ...state });
  return both;
}

const item = (both: { stock: StockFold }, itemId: string): Item => both.stock.touch(USER, itemId);
const wants = (...lines: [string, number][]) => purchase({ user_id: USER, lines: lines.map(([itemId, quantity]) => line(itemId, quantity)) });

/** A saga as the database had it, in that state, over the items of `lines`. */
function stored(both: { stock: StockFold; purchases: PurchaseFold }, state: Saga['state'], lines: [string, number][], given: Partial<Saga> = {}, operations: Operation[] = []): SagaEntry {
  const entry = both.purchases.touch(USER, uuid(50));
  entry.saga = { userId: USER, purchaseId: uuid(50), eventId: uuid(51), startedAt: NOW - 5_000, currency: 'EUR', buyerId: null, lines: lines.map(([itemId, quantity]) => ({ itemId, quantity, unitPriceCents: 5 })), deadlineAt: NOW + 60_000, version: 4, state, reason: null, cancelled: false, sold: state === 'CONFIRMED', traceparent: null, ...given };
  entry.storedVersion = 4;
  entry.operations = operations;
  return entry;
}

describe('a purchase', () => {
  test('reserves all of its lines: held, not gone, and told to the saga', () => {
    const both = stocked({ [A]: 5, [B]: 1 });
    const event = wants([A, 2], [B, 1]);
    expect(both.purchases.request(event)).toBe('reserved');
    expect([item(both, A), item(both, B)]).toMatchObject([{ onHand: 5, held: 2 }, { onHand: 1, held: 1 }]);
    expect(both.purchases.holds.map(({ line: { itemId, quantity } }) => [itemId, quantity])).toEqual([[A, 2], [B, 1]]);
    expect(both.purchases.messages).toEqual([
      { traceparent: null, topic: 'sagaEvents', record: 'PurchaseReserved', value: expect.objectContaining({ purchase_id: event.purchase_id, user_id: USER, lines: [{ item_id: A, quantity: 2 }, { item_id: B, quantity: 1 }], hold_expires_at: NOW + 900_000 }) as unknown },
    ]);
    expect(both.purchases.history).toMatchObject([{ fact: { fact: 'reserved' }, saga: { version: 1, state: 'RESERVED', cancelled: false, sold: false } }]);
  });

  test('with a trace: every record of the sale names it, whatever comes next', () => {
    const both = stocked({ [A]: 5 });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const event = wants([A, 2]);
    both.purchases.request(event, traceparent);
    both.purchases.stimulate(both.purchases.touch(USER, event.purchase_id), { kind: 'look' });
    expect(both.purchases.messages.map((message) => [message.record, message.traceparent])).toEqual([['PurchaseReserved', traceparent], ['PurchaseSettled', traceparent]]);
    expect(both.purchases.entries[0]?.saga?.traceparent).toBe(traceparent);
  });

  test('of all there is leaves none available, and the next one is rejected', () => {
    const both = stocked({ [A]: 2 });
    expect(both.purchases.request(wants([A, 2]))).toBe('reserved');
    expect(both.purchases.request(wants([A, 1]))).toBe('rejected');
    expect(item(both, A)).toMatchObject({ onHand: 2, held: 2 });
  });

  test.each<[what: string, onHand: Record<string, number>, lines: [string, number][], reason: string]>([
    ['more than is available', { [A]: 1 }, [[A, 2]], 'insufficient_stock'],
    ['one line too many: none is reserved', { [A]: 5, [B]: 0 }, [[A, 1], [B, 1]], 'insufficient_stock'],
    ['lines of one item that together are too many', { [A]: 3 }, [[A, 2], [A, 2]], 'insufficient_stock'],
    ['an item never seen', { [A]: 5 }, [[A, 1], [C, 1]], 'unknown_item'],
    ['an item never seen and one of which there is too little', { [A]: 0 }, [[A, 1], [C, 1]], 'unknown_item'],
  ])('of %s is rejected, and whoever sent it is told', (_, onHand, lines, reason) => {
    const both = stocked(onHand);
    const event = wants(...lines);
    expect(both.purchases.request(event)).toBe('rejected');
    for (const itemId of Object.keys(onHand)) expect(item(both, itemId)).toMatchObject({ onHand: onHand[itemId], held: 0 });
    expect(both.purchases.holds).toEqual([]);
    expect(both.purchases.messages).toMatchObject([{ topic: 'purchaseOutcomes', record: 'PurchaseSettled', value: { purchase_id: event.purchase_id, outcome: 'REJECTED', reason, lines: event.lines } }]);
    expect(both.purchases.entries[0]?.saga).toMatchObject({ state: 'REJECTED', reason, version: 1 });
    expect(both.stock.moves.map((move) => [move.outcome, move.cause, move.delta, move.held])).toEqual([...new Set(lines.map(([itemId]) => itemId))].map(() => ['rejected', reason, 0, 0]));
  });

  test('of an item never seen creates none: its ledger row alone is written', () => {
    const both = stocked({});
    both.purchases.request(wants([C, 1]));
    expect(both.stock.itemsToWrite()).toMatchObject([{ itemId: C, exists: false, lastEventId: null }]);
  });

  test('and what comes of it: every item it names is written; only copies that leave or come back are told to CardTrader', () => {
    const both = stocked({ [A]: 5, [B]: 5 });
    const event = wants([A, 2], [B, 1]);
    both.purchases.request(event);
    expect(both.stock.itemsToWrite()).toMatchObject([{ itemId: A, altered: false }, { itemId: B, altered: false }]);
    both.purchases.stimulate(both.purchases.touch(USER, event.purchase_id), { kind: 'look' });
    expect(both.stock.itemsToWrite()).toMatchObject([{ itemId: A, onHand: 3, altered: true }, { itemId: B, onHand: 4, altered: true }]);
  });

  test('counts what earlier purchases hold, and what an event of the same chunk brought', () => {
    const both = stocked({ [A]: 3 }, { held: 2 });
    expect(both.purchases.request(wants([A, 2]))).toBe('rejected');
    both.stock.apply(change({ user_id: USER, item_id: A, kind: 'ADJUST', quantity: 1 }));
    expect(both.purchases.request(wants([A, 2]))).toBe('reserved');
    expect(item(both, A)).toMatchObject({ onHand: 4, held: 4 });
  });

  test('of a removed or oversold item finds nothing available', () => {
    const both = stocked({ [A]: 1 }, { held: 3, flags: OVERSOLD });
    expect(both.purchases.request(wants([A, 1]))).toBe('rejected');
  });

  test('known under another event is a duplicate: no row, no message', () => {
    const both = stocked({ [A]: 5 });
    const event = wants([A, 1]);
    both.purchases.request(event);
    const before = [both.stock.moves.length, both.purchases.messages.length];
    expect(both.purchases.request({ ...event, event_id: uuid(77), lines: [line(A, 4)] })).toBe('duplicate');
    expect([both.stock.moves.length, both.purchases.messages.length]).toEqual(before);
    expect(item(both, A).held).toBe(1);
  });

  test('of another seller under the same id is another purchase', () => {
    const both = stocked({ [A]: 5 });
    const event = wants([A, 1]);
    Object.assign(both.stock.touch(uuid(2), A), { exists: true, onHand: 1 });
    both.purchases.request(event);
    expect(both.purchases.request({ ...event, event_id: uuid(77), user_id: uuid(2) })).toBe('reserved');
  });

  test('ends no later than its own expires_at, and no later than the hold', () => {
    const both = stocked({ [A]: 5 });
    both.purchases.request({ ...wants([A, 1]), expires_at: NOW + 1_000 });
    both.purchases.request({ ...wants([A, 1]), expires_at: NOW + 86_400_000 });
    both.purchases.request(wants([A, 1]));
    expect(both.purchases.entries.map(({ saga }) => saga?.deadlineAt)).toEqual([NOW + 1_000, NOW + 900_000, NOW + 900_000]);
  });

  test('leaves one ledger row an item, found by the event’s id and linked into each item’s history', () => {
    const both = stocked({ [A]: 5, [B]: 5 });
    const event = wants([A, 1], [B, 2], [A, 1]);
    both.purchases.request(event);
    expect(both.stock.moves).toMatchObject([
      { id: event.event_id, previousId: uuid(99), kind: 'P', quantity: 2, held: 2, delta: 0, onHandAfter: 5, outcome: 'applied', occurredAt: event.occurred_at },
      { id: lineId(event.event_id, 1), previousId: uuid(99), kind: 'P', quantity: 2, held: 2, delta: 0, onHandAfter: 5 },
    ]);
    expect([item(both, A).lastEventId, item(both, B).lastEventId]).toEqual([event.event_id, lineId(event.event_id, 1)]);
  });
});

describe('sold', () => {
  test('what was held is gone, and the buyer’s platform is told', () => {
    const both = stocked({ [A]: 5 }, { held: 2 });
    const entry = stored(both, 'CALLING', [[A, 2]], {}, [{ id: uuid(60), itemId: A, kind: 'TAKE', quantity: 2, state: 'APPLIED', returns: null, reason: null }]);
    expect(both.purchases.stimulate(entry, { kind: 'look' })).toBe(true);
    expect(item(both, A)).toMatchObject({ onHand: 3, held: 0 });
    expect(both.stock.moves).toMatchObject([{ kind: 'T', delta: -2, held: -2, onHandAfter: 3, cause: 'sold' }]);
    expect(both.purchases.released).toHaveLength(1);
    expect(both.purchases.messages).toMatchObject([{ record: 'PurchaseSettled', value: { outcome: 'CONFIRMED', reason: null } }]);
  });

  test('although a SET has lowered the stock below what was held: the sale stands, the number is not certain', () => {
    const both = stocked({ [A]: 1 }, { held: 2, flags: OVERSOLD });
    both.purchases.stimulate(stored(both, 'CALLING', [[A, 2]], {}, [{ id: uuid(60), itemId: A, kind: 'TAKE', quantity: 2, state: 'APPLIED', returns: null, reason: null }]), { kind: 'look' });
    expect(item(both, A)).toMatchObject({ onHand: 0, held: 0, flags: DRIFTED });
    expect(both.stock.moves).toMatchObject([{ kind: 'T', quantity: 2, delta: -1, held: -2, onHandAfter: 0 }]);
  });

  test('asked of CardTrader first: one operation an item, with an id that follows from the purchase', () => {
    const both = stocked({ [A]: 5, [B]: 5 }, { held: 1 });
    const entry = stored(both, 'RESERVED', [[A, 1], [B, 1]]);
    entry.listings = [{ itemId: B, productId: 4711 }];
    both.purchases.stimulate(entry, { kind: 'look' });
    expect(both.purchases.newOperations).toMatchObject([{ productId: 4711, operation: { itemId: B, kind: 'TAKE', quantity: 1, state: 'PENDING', returns: null } }]);
    expect(item(both, B)).toMatchObject({ onHand: 5, held: 1 });
    const again = stocked({ [A]: 5, [B]: 5 }, { held: 1 });
    const same = stored(again, 'RESERVED', [[A, 1], [B, 1]]);
    same.listings = entry.listings;
    again.purchases.stimulate(same, { kind: 'look' });
    expect(again.purchases.newOperations[0]?.operation.id).toBe(both.purchases.newOperations[0]?.operation.id);
    expect(again.purchases.history[0]?.eventId).toBe(both.purchases.history[0]?.eventId);
  });
});

describe('undone', () => {
  test('before anything was called: the hold is released at once', () => {
    const both = stocked({ [A]: 5 }, { held: 2 });
    stored(both, 'RESERVED', [[A, 2]]);
    const event = cancellation({ user_id: USER, purchase_id: uuid(50) });
    expect(both.purchases.cancel(event)).toBe('ok');
    expect(item(both, A)).toMatchObject({ onHand: 5, held: 0 });
    expect(both.stock.moves).toMatchObject([{ id: event.event_id, kind: 'C', delta: 0, held: 0, outcome: 'applied' }, { kind: 'B', delta: 0, held: -2, cause: 'cancelled' }]);
    expect(both.purchases.messages).toMatchObject([{ record: 'PurchaseSettled', value: { outcome: 'CANCELLED', reason: 'cancelled' } }]);
    expect(both.purchases.released).toHaveLength(1);
  });

  test('after the sale: the stock comes back, and the sender is told a second time', () => {
    const both = stocked({ [A]: 3 });
    stored(both, 'CONFIRMED', [[A, 2]]);
    both.purchases.cancel(cancellation({ user_id: USER, purchase_id: uuid(50) }));
    expect(item(both, A)).toMatchObject({ onHand: 5, held: 0 });
    expect(both.stock.moves.at(-1)).toMatchObject({ kind: 'B', delta: 2, held: 0 });
    expect(both.purchases.released).toEqual([]); // its hold went with the sale
    expect(both.purchases.messages).toMatchObject([{ value: { outcome: 'CANCELLED' } }]);
  });

  test('after a sale on both sides: the stock comes back once CardTrader has it back', () => {
    const both = stocked({ [A]: 3 });
    const entry = stored(both, 'CONFIRMED', [[A, 2]], {}, [{ id: uuid(60), itemId: A, kind: 'TAKE', quantity: 2, state: 'APPLIED', returns: null, reason: null }]);
    both.purchases.cancel(cancellation({ user_id: USER, purchase_id: uuid(50) }));
    expect(item(both, A)).toMatchObject({ onHand: 3 });
    expect(both.purchases.newOperations).toMatchObject([{ productId: null, operation: { kind: 'RETURN', itemId: A, quantity: 2, returns: uuid(60), state: 'PENDING' } }]);
    entry.operations = entry.operations.map((operation) => ({ ...operation, state: 'APPLIED' }));
    both.purchases.stimulate(entry, { kind: 'look' });
    expect(item(both, A)).toMatchObject({ onHand: 5 });
    expect(entry.saga).toMatchObject({ state: 'COMPENSATED', sold: false });
  });

  test('because CardTrader refused: rejected, with its reason, though it had been reserved', () => {
    const both = stocked({ [A]: 5 }, { held: 2 });
    const entry = stored(both, 'CALLING', [[A, 2]], {}, [{ id: uuid(60), itemId: A, kind: 'TAKE', quantity: 2, state: 'REFUSED', returns: null, reason: 'remote_product_gone' }]);
    both.purchases.stimulate(entry, { kind: 'look' });
    expect(entry.saga).toMatchObject({ state: 'COMPENSATED', version: 6 }); // compensating, compensated
    expect(both.purchases.messages.map(({ record }) => record)).toEqual(['PurchaseAdvanced', 'PurchaseSettled']);
    expect(both.purchases.messages.at(-1)).toMatchObject({ value: { outcome: 'REJECTED', reason: 'remote_product_gone' } });
    expect(item(both, A)).toMatchObject({ onHand: 5, held: 0 });
  });

  test('with a call never sent: withdrawn', () => {
    const both = stocked({ [A]: 5 }, { held: 2 });
    const entry = stored(both, 'CALLING', [[A, 2]], { deadlineAt: NOW }, [{ id: uuid(60), itemId: A, kind: 'TAKE', quantity: 2, state: 'PENDING', returns: null, reason: null }]);
    both.purchases.stimulate(entry, { kind: 'look' });
    expect(both.purchases.withdrawn).toEqual([uuid(60)]);
    expect(entry.saga).toMatchObject({ state: 'COMPENSATED', reason: 'expired' });
  });

  test('cancelled in the very chunk that requested it', () => {
    const both = stocked({ [A]: 5 });
    const event = wants([A, 2]);
    both.purchases.request(event);
    expect(both.purchases.cancel(cancellation(event))).toBe('ok');
    expect(item(both, A)).toMatchObject({ onHand: 5, held: 0 });
    expect(both.purchases.entries[0]).toMatchObject({ storedVersion: 0, saga: { state: 'COMPENSATED', version: 2 } });
    expect(both.purchases.messages.map(({ record }) => record)).toEqual(['PurchaseReserved', 'PurchaseSettled']);
  });
});

describe('a cancellation', () => {
  test('of a purchase nobody knows is refused, and leaves no row', () => {
    const both = stocked({ [A]: 5 });
    expect(both.purchases.cancel(cancellation({ user_id: USER, purchase_id: uuid(50) }))).toBe('unknown_purchase');
    expect(both.stock.moves).toEqual([]);
  });

  test.each(['REJECTED', 'COMPENSATED'] as const)('of a purchase that is %s is stale: a row, no effect', (state) => {
    const both = stocked({ [A]: 5 });
    stored(both, state, [[A, 2]], { reason: 'expired' });
    const event = cancellation({ user_id: USER, purchase_id: uuid(50) });
    expect(both.purchases.cancel(event)).toBe('stale');
    expect(both.stock.moves).toMatchObject([{ id: event.event_id, kind: 'C', outcome: 'stale', delta: 0, held: 0 }]);
    expect(both.purchases.messages).toEqual([]);
  });
});

describe('what an operator discards', () => {
  test('a purchase: rejected, so that its sender is not left waiting', () => {
    const both = stocked({ [A]: 5 });
    const event = wants([A, 1]);
    both.purchases.discardRequest(event);
    expect(both.stock.moves).toMatchObject([{ id: event.event_id, outcome: 'dead_lettered', cause: 'discarded', held: 0, delta: 0 }]);
    expect(both.purchases.messages).toMatchObject([{ value: { outcome: 'REJECTED', reason: 'discarded' } }]);
    expect(item(both, A)).toMatchObject({ onHand: 5, held: 0 });
  });

  test('a purchase that is known under another event: it stays what it is, and nobody is told anything', () => {
    const both = stocked({ [A]: 3 });
    const entry = stored(both, 'CONFIRMED', [[A, 2]]);
    both.purchases.discardRequest({ ...wants([A, 2]), purchase_id: uuid(50) });
    expect(entry.saga).toMatchObject({ state: 'CONFIRMED', version: 4 });
    expect([both.stock.moves, both.purchases.messages, both.purchases.history]).toEqual([[], [], []]);
  });

  test('a cancellation of a purchase nobody knows: not even a row', () => {
    const both = stocked({ [A]: 5 });
    both.purchases.discardCancel(cancellation({ user_id: USER, purchase_id: uuid(50) }));
    expect(both.stock.moves).toEqual([]);
  });

  test('a cancellation: only a row', () => {
    const both = stocked({ [A]: 5 }, { held: 1 });
    stored(both, 'RESERVED', [[A, 1]]);
    both.purchases.discardCancel(cancellation({ user_id: USER, purchase_id: uuid(50) }));
    expect(both.stock.moves).toMatchObject([{ kind: 'C', outcome: 'dead_lettered', delta: 0, held: 0 }]);
    expect(item(both, A)).toMatchObject({ onHand: 5, held: 1 });
    expect(both.purchases.messages).toEqual([]);
  });
});

test('every message keeps the contract', () => {
  const both = stocked({ [A]: 5, [B]: 5 });
  const first = wants([A, 2], [B, 1]);
  both.purchases.request(first);
  both.purchases.request(wants([A, 9]));
  const entry = both.purchases.touch(USER, first.purchase_id);
  entry.listings = [{ itemId: A, productId: 1 }];
  both.purchases.stimulate(entry, { kind: 'look' });
  both.purchases.cancel(cancellation(first));
  expect(both.purchases.messages.map(({ record }) => record)).toEqual(['PurchaseReserved', 'PurchaseSettled', 'PurchaseAdvanced', 'PurchaseAdvanced', 'PurchaseSettled']);
  for (const { record, value } of both.purchases.messages) expect(RECORDS[record].schema.safeParse(value).error).toBeUndefined();
});

test('ids of an event’s rows differ, keep their time, and are uuids', () => {
  const id = '0192d3a4-0000-7000-8000-ffffffffffff';
  const ids = [id, ...Array.from({ length: 999 }, (_, index) => lineId(id, index + 1))];
  expect(new Set(ids).size).toBe(1_000);
  for (const one of ids) expect(one).toMatch(/^0192d3a4-0000-7000-8000-[0-9a-f]{12}$/);
});
