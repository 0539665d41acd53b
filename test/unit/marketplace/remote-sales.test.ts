import { describe, expect, test } from 'vitest';
import { cardLines, copies, reckon, soldLines, soldSince, timeOf } from '../../../src/marketplace/dispatcher/remote-sales.ts';
import { BLUEPRINT, ITEM, NOON, order, orderLine, PRODUCT, sold } from '../../support/operations.ts';
import { uuid } from '../../support/events.ts';

/** Protects: which lines of which orders took copies of a product, each once (cardtrader.md section 8), and how many of them a write has put up again. */
const OF = { productId: PRODUCT, itemId: ITEM, soldLines: [] };
const taken = (...orders: Parameters<typeof soldLines>[0]): number => copies(soldLines(orders, OF));

describe('lines of orders', () => {
  const zero = { viaCardtraderZero: true };
  test.each([
    ['a direct sale', order({ lines: [orderLine({ quantity: 2 })] }), 2],
    ['sent, arrived, lost: sold all the same', order({ state: 'lost' }), 1],
    ['a cancellation that is asked for', order({ state: 'request_for_cancel' }), 1],
    ['a state nobody knows', order({ state: 'brand_new' }), 1],
    ['cancelled', order({ state: 'canceled' }), 0],
    ['a line that was taken out', order({ lines: [orderLine({ deletedAt: NOON })] }), 0],
    ['of another product', order({ lines: [orderLine({ productId: 202 })] }), 0],
    ['without a product id: by its text', order({ lines: [orderLine({ productId: null, userDataField: `${ITEM} brx:${uuid(7)}` })] }), 1],
    ['without a product id, of another item', order({ lines: [orderLine({ productId: null, userDataField: uuid(7) })] }), 0],
    ['CardTrader Zero where it was sold', order({ ...zero, state: 'hub_pending', id: 50, lines: [orderLine({ hubPendingOrderId: 50 })] }), 1],
    ['the same once it is closed', order({ ...zero, state: 'closed', id: 50, lines: [orderLine({ hubPendingOrderId: 50 })] }), 1],
    ['the merged order of the week’s end', order({ ...zero, state: 'paid', id: 60, lines: [orderLine({ hubPendingOrderId: 50 })] }), 0],
    ['the merged order where lines do not say where they come from', order({ ...zero, state: 'sent', id: 60, lines: [orderLine({ hubPendingOrderId: null })] }), 0],
    ...['paid', 'arrived', 'done'].map((state): [string, ReturnType<typeof order>, number] => [`and the same when it is ${state}`, order({ ...zero, state, id: 60, lines: [orderLine({ hubPendingOrderId: null })] }), 0]),
    ...['request_for_cancel', 'lost', 'closed'].map((state): [string, ReturnType<typeof order>, number] => [`the merged order that is ${state}: its lines say where they come from`, order({ ...zero, state, id: 60, lines: [orderLine({ hubPendingOrderId: 50 })] }), 0]),
    ['an order that was never merged, paid under the id it was sold in', order({ ...zero, state: 'paid', id: 50, lines: [orderLine({ hubPendingOrderId: 50 })] }), 1],
    ['hub_pending where lines do not say', order({ ...zero, state: 'hub_pending', lines: [orderLine({ hubPendingOrderId: null })] }), 1],
  ])('%s', (_, given, expected) => expect(taken(given)).toBe(expected));

  test('what is accounted for does not count again', () => {
    const orders = [order({ lines: [orderLine({ id: 1 }), orderLine({ id: 2, quantity: 3 })] })];
    expect(soldLines(orders, { ...OF, soldLines: [1] })).toEqual([{ id: 2, quantity: 3, at: NOON + 5_000 }]);
  });
  test('a line without a time has that of its order, or none', () => {
    expect(soldLines([order({ paidAt: 7, lines: [orderLine({ createdAt: null })] }), order({ paidAt: null, lines: [orderLine({ createdAt: null })] })], OF).map(({ at }) => at)).toEqual([7, null]);
  });
  test('of a card: of all its products but the one that is gone', () => {
    const orders = [order({ lines: [orderLine(), orderLine({ id: 2, productId: 202 }), orderLine({ id: 3, productId: null }), orderLine({ id: 4, productId: 303, blueprintId: 1 })] }), order({ state: 'canceled', lines: [orderLine({ id: 5, productId: 202 })] })];
    expect(cardLines(orders, { blueprintId: BLUEPRINT, productId: PRODUCT }).map(({ id }) => id)).toEqual([2, 3]);
  });
});

test('sold since: what has no time may have been', () => {
  expect(soldSince([sold(1, NOON - 1), sold(1, NOON, 2), sold(1, null, 3)], NOON).map(({ id }) => id)).toEqual([2, 3]);
});

test('when an order came about: the latest it says', () => {
  expect(timeOf(order({ paidAt: 5, lines: [orderLine({ createdAt: 9 }), orderLine({ createdAt: null })] }))).toBe(9);
  expect(timeOf(order({ paidAt: null, lines: [] }))).toBeNull();
});

describe('the reckoning', () => {
  // 9 confirmed at noon, `before` read a minute later, 2 taken.
  const at = NOON + 60_000;
  const reckoned = (before: number, now: number | null, ...quantities: [quantity: number, at: number | null][]) =>
    reckon({ confirmed: 9, confirmedAt: NOON, before, readAt: at, target: before - 2, now, lines: quantities.map(([quantity, time], index) => sold(quantity, time, index)) });

  test.each([
    ['nothing sold', reckoned(9, 7), 0, true],
    ['seen by the read', reckoned(8, 6, [1, NOON + 5_000]), 0, true],
    ['overwritten', reckoned(9, 7, [1, at]), 1, true],
    ['gone afterwards', reckoned(9, 6, [1, at + 5_000]), 0, true],
    ['one of each', reckoned(8, 5, [1, NOON + 5_000], [1, at], [1, at + 5_000]), 1, true],
    ['in the second of the read, and seen', reckoned(8, 6, [1, at - 500]), 0, true],
    ['of unknown time, and overwritten', reckoned(9, 7, [1, null]), 1, true],
    ['before it was confirmed', reckoned(9, 7, [1, NOON - 5_000]), 0, true],
    ['fewer than sales explain, and none lately: taken off by hand', reckoned(7, 5, [1, NOON + 5_000]), 0, true],
    ['more than confirmed, and one sold since the read: it may be overwritten', reckoned(12, 10, [1, at]), 1, false],
    ['the same, and one went afterwards: that is it', reckoned(12, 9, [1, at]), 0, false],
    ['more went than was sold, none of it lately: nothing was put up again', reckoned(8, 5, [1, NOON + 5_000]), 0, true],
    ['more than confirmed, and more went afterwards than were sold', reckoned(12, 8, [1, at]), 0, false],
    ['in the second it was confirmed: it need not be in that number', reckoned(9, 7, [1, NOON - 500]), 1, true],
    ['put up by hand afterwards: what was sold since the read may be overwritten', reckoned(9, 8, [1, at]), 1, false],
    ['nobody looked: all since the read may be', reckoned(9, null, [2, at]), 2, false],
  ])('%s', (_, result, unseen, certain) => expect(result).toEqual({ unseen, certain }));
});
