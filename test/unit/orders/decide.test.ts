import { describe, expect, test } from 'vitest';
import type { RemoteOrder } from '../../../src/marketplace/index.ts';
import { CIRCUMSTANCES, ITEM, NOW, OrderBook, orderLine, remoteOrder } from '../../support/orders.ts';

/** Protects: what each state of an order on CardTrader does to stock here (cardtrader.md section 8), and the mistakes of others (section 10). */
const zero = { viaCardtraderZero: true } as const;
const own = (hub: number | null, more: object = {}): Pick<RemoteOrder, 'lines'> => ({ lines: [orderLine({ hubPendingOrderId: hub, ...more })] });

/** The stock after these views of order 7, a minute apart. */
function after(...views: Partial<RemoteOrder>[]): number {
  const book = new OrderBook();
  views.forEach((view, index) => book.see(remoteOrder(view), NOW + index * 60_000));
  return book.stock();
}

describe('when copies leave stock: each row of the state table', () => {
  test.each<[what: string, view: Partial<RemoteOrder>, stock: number]>([
    ['a direct sale that is paid', {}, -2],
    ['a direct sale first seen when it was sent', { state: 'sent' }, -2],
    ['or had arrived', { state: 'arrived' }, -2],
    ['or was done', { state: 'done' }, -2],
    ['a direct sale that was lost: the copies are gone', { state: 'lost' }, -2],
    ['a direct sale whose cancellation is asked for: still sold', { state: 'request_for_cancel' }, -2],
    ['CT Zero waiting in the hub', { ...zero, state: 'hub_pending', paidAt: null, ...own(7) }, -2],
    ['the same, and it does not say in which order it was sold', { ...zero, state: 'hub_pending', ...own(null) }, -2],
    ['CT Zero first seen when it was closed already', { ...zero, state: 'closed', ...own(7) }, -2],
    ['the merged order of the week: counted before', { ...zero, state: 'paid', ...own(3) }, 0],
    ['the same without the order it was sold in', { ...zero, state: 'paid', ...own(null) }, 0],
    ['the merged order on its way', { ...zero, state: 'sent', ...own(3) }, 0],
    ['and at its end', { ...zero, state: 'done', ...own(3) }, 0],
    ['a merged order whose cancellation is asked for', { ...zero, state: 'request_for_cancel', ...own(null) }, 0],
    ['CT Zero whose cancellation is asked for in the order that sold it: still sold', { ...zero, state: 'request_for_cancel', ...own(7) }, -2],
    ['a presale in the order that sold it', { ...zero, state: 'hub_pending', presale: true, ...own(7) }, -2],
    ['a presale that is out, in the order that follows: counted before', { ...zero, state: 'hub_pending', presale: true, presaleEndedAt: NOW, ...own(3) }, 0],
    ['the same, and it does not say which sold it', { ...zero, state: 'hub_pending', presale: true, presaleEndedAt: NOW, ...own(null) }, 0],
    ['a presale sold in another order, whatever it says of its end', { ...zero, state: 'hub_pending', presale: true, ...own(3) }, 0],
    ['a presale in the order that sold it, once it is out', { ...zero, state: 'closed', presale: true, presaleEndedAt: NOW, ...own(7) }, -2],
    ['a presale that does not say it, before it is out', { ...zero, state: 'hub_pending', presale: true, ...own(null) }, -2],
    ['whether it is CT Zero is not told: the hub says it', { viaCardtraderZero: null, state: 'hub_pending', ...own(null) }, -2],
    ['not told, and the line was sold in another order', { viaCardtraderZero: null, state: 'paid', ...own(3) }, 0],
    ['not told, and nothing speaks of the hub', { viaCardtraderZero: null }, -2],
    ['a state nobody knows', { state: 'teleported' }, 0],
    ['an order first seen when it was cancelled: nothing, until it is known whether it is on sale again', { state: 'canceled', cancelledAt: NOW }, 0],
    ['a line first seen when it was taken out', { lines: [orderLine({ deletedAt: NOW })] }, 0],
    ['two lines of one item', { lines: [orderLine(), orderLine({ id: 502, quantity: 1 })] }, -3],
    ['a line of no copies', { lines: [orderLine({ quantity: 0 })] }, 0],
  ])('%s', (_, view, stock) => expect(after(view)).toBe(stock));
});

describe('the mistakes of the earlier service', () => {
  test('a cancellation that is only asked for puts nothing back', () => expect(after({}, { state: 'request_for_cancel' })).toBe(-2));
  test('nor does an order that leaves paid', () => expect(after({}, { state: 'sent' }, { state: 'arrived' }, { state: 'done' })).toBe(-2));
  test('nor a cancellation that was refused', () => expect(after({}, { state: 'request_for_cancel' }, { state: 'paid' })).toBe(-2));
  test('it is the state that counts, not what a webhook calls it: seen first in the hub, on any occasion', () => expect(after({ ...zero, state: 'hub_pending', ...own(7) }, { ...zero, state: 'hub_pending', ...own(7) })).toBe(-2));
  test('the week’s end counts nothing twice', () => {
    const book = new OrderBook();
    book.see(remoteOrder({ ...zero, id: 7, state: 'hub_pending', ...own(7) }), NOW);
    book.see(remoteOrder({ ...zero, id: 8, state: 'hub_pending', ...own(8, { id: 502, quantity: 1 }) }), NOW);
    for (const [id, line, quantity] of [[7, 501, 2], [8, 502, 1]] as const) book.see(remoteOrder({ ...zero, id, state: 'closed', ...own(id, { id: line, quantity }) }), NOW + 1);
    book.see(remoteOrder({ ...zero, id: 9, state: 'paid', lines: [orderLine({ id: 601, hubPendingOrderId: 7 }), orderLine({ id: 602, hubPendingOrderId: 8, quantity: 1 })] }), NOW + 2);
    book.see(remoteOrder({ ...zero, id: 9, state: 'sent', lines: [orderLine({ id: 601, hubPendingOrderId: 7 }), orderLine({ id: 602, hubPendingOrderId: 8, quantity: 1 })] }), NOW + 3);
    expect(book.stock()).toBe(-3);
  });
  test('closed puts nothing back', () => expect(after({ ...zero, state: 'hub_pending', ...own(7) }, { ...zero, state: 'closed', ...own(7) })).toBe(-2));
  test('what is not understood yet is, once it is', () => expect(after({ state: 'teleported' }, { state: 'sent' })).toBe(-2));
  test('and what is understood is not forgotten over what is not', () => expect(after({}, { state: 'teleported' })).toBe(-2));
});

describe('cancelled', () => {
  const cancelled = { state: 'canceled', cancelledAt: NOW + 60_000 } as const;
  const answered = (answer: 'all' | 'none' | undefined, ...views: Partial<RemoteOrder>[]): number => {
    const book = new OrderBook();
    views.forEach((view, index) => book.see(remoteOrder(view), NOW + index * 60_000));
    if (answer !== undefined) for (const { lineId } of book.records.get(7)?.lines ?? []) book.resolve(7, lineId, answer);
    const stock = book.stock();
    for (const view of views) book.see(remoteOrder(view), NOW);
    expect(book.stock()).toBe(stock); // whatever is seen afterwards, and however often, is known
    return stock;
  };
  test('on sale again: back', () => expect(answered('all', {}, cancelled)).toBe(0));
  test('not on sale again: gone, as before', () => expect(answered('none', {}, cancelled)).toBe(-2));
  test('nobody knows: as before', () => expect(answered(undefined, {}, cancelled)).toBe(-2));
  test('never seen before, on sale again: nothing has changed', () => expect(answered('all', cancelled)).toBe(0));
  test('never seen before, not on sale again: gone', () => expect(answered('none', cancelled)).toBe(-2));
  test('one line alone', () => {
    const lines = (more: object): RemoteOrder['lines'] => [orderLine(more), orderLine({ id: 502, quantity: 3 })];
    const book = new OrderBook();
    book.see(remoteOrder({ lines: lines({}) }), NOW);
    book.see(remoteOrder({ lines: lines({ deletedAt: NOW + 1 }) }), NOW + 1);
    expect(book.stock()).toBe(-5);
    book.resolve(7, 501, 'all');
    expect(book.stock()).toBe(-3);
  });
  test('one line alone, told by its price only', () => expect(answered('all', {}, { lines: [orderLine({ priceCancelled: true })] })).toBe(0));
  test('a line that shrinks', () => {
    const book = new OrderBook();
    book.see(remoteOrder(), NOW);
    book.see(remoteOrder({ lines: [orderLine({ quantity: 1 })] }), NOW + 1);
    expect(book.records.get(7)?.lines[0]).toMatchObject({ quantity: 2, cancelled: 1 });
    expect(book.stock()).toBe(-2);
    book.resolve(7, 501, 'all');
    expect(book.stock()).toBe(-1);
    book.see(remoteOrder(), NOW); // an older view
    expect(book.stock()).toBe(-1);
  });
  test('a line that shrinks, and an older view of it', () => {
    const book = new OrderBook();
    book.see(remoteOrder({ lines: [orderLine({ quantity: 1 })] }), NOW + 1);
    book.see(remoteOrder(), NOW);
    expect(book.records.get(7)?.lines[0]).toMatchObject({ quantity: 2, cancelled: 1 });
  });
  test('called off is called off, also for a view of the same second', () => {
    const book = new OrderBook();
    book.see(remoteOrder({ lines: [orderLine({ deletedAt: NOW })] }), NOW);
    book.see(remoteOrder(), NOW);
    expect(book.records.get(7)?.lines[0]).toMatchObject({ quantity: 2, cancelled: 2 });
  });
  test('CT Zero counted in the hub, cancelled without a word of where it was sold: counted it stays, and comes back', () => expect(answered('all', { ...zero, state: 'hub_pending', ...own(null) }, { ...zero, ...cancelled, ...own(null) })).toBe(0));
  test('a merged order: its copies were counted elsewhere, and come back here', () => {
    const book = new OrderBook();
    book.see(remoteOrder({ ...zero, state: 'closed', ...own(7) }), NOW);
    book.see(remoteOrder({ ...zero, id: 9, state: 'paid', ...own(7, { id: 601 }) }), NOW);
    book.see(remoteOrder({ ...zero, id: 9, ...cancelled, ...own(7, { id: 601 }) }), NOW + 60_000);
    expect(book.stock()).toBe(-2);
    book.resolve(9, 601, 'all');
    expect(book.stock()).toBe(0);
  });
  test('a CT Zero order first seen when it was cancelled, in the order that sold it, not on sale again: gone', () => expect(answered('none', { ...zero, ...cancelled, ...own(7) })).toBe(-2));
  test('a CT Zero order that does not say whether it is the merged one: nothing', () => expect(answered('all', { ...zero, ...cancelled, ...own(null) })).toBe(0));
  test('the state is cancelled for good', () => {
    const book = new OrderBook();
    book.see(remoteOrder(cancelled), NOW + 60_000);
    book.see(remoteOrder({ state: 'request_for_cancel' }), NOW + 90_000);
    expect(book.records.get(7)).toMatchObject({ state: 'canceled', open: false });
  });
});

describe('views in any order', () => {
  const lines = (quantity: number): Partial<RemoteOrder> => ({ lines: [orderLine({ quantity })] });
  test('the state that is shown is that of the newest view', () => {
    const book = new OrderBook();
    for (const [state, at] of [['paid', 0], ['sent', 20], ['paid', 0], ['paid', 10]] as const) book.see(remoteOrder({ state }), NOW + at);
    expect(book.records.get(7)).toMatchObject({ state: 'sent', open: true, seenAt: NOW + 20 });
    book.see(remoteOrder({ state: 'done' }), NOW + 30);
    expect(book.records.get(7)).toMatchObject({ state: 'done', open: false });
  });
  test('an older view that shows it cancelled is believed: nothing comes after that', () => {
    const book = new OrderBook();
    book.see(remoteOrder({ state: 'request_for_cancel' }), NOW + 1);
    book.see(remoteOrder({ state: 'canceled', cancelledAt: NOW }), NOW);
    expect(book.records.get(7)).toMatchObject({ state: 'canceled', open: false });
  });
  test('of two views of one second the one that came last is the newer', () => {
    const book = new OrderBook();
    book.see(remoteOrder(), NOW);
    expect(book.records.get(7)?.lines[0]).toMatchObject({ cancelled: 0, cancelledAt: null });
    book.see(remoteOrder({ state: 'sent', ...lines(1) }), NOW);
    expect(book.records.get(7)).toMatchObject({ state: 'sent', lines: [{ quantity: 2, cancelled: 1, cancelledAt: NOW }] });
  });
  test.each([['all', -1, { relisted: 1, kept: 0 }], ['none', -2, { relisted: 0, kept: 1 }]] as const)('what is known of a copy that was called off (%s) stays known when the line is shown whole again', (answer, stock, known) => {
    const book = new OrderBook();
    book.see(remoteOrder(), NOW);
    book.see(remoteOrder(lines(1)), NOW + 1);
    book.resolve(7, 501, answer);
    book.see(remoteOrder(), NOW + 2);
    expect(book.records.get(7)?.lines[0]).toMatchObject({ quantity: 2, cancelled: 1, ...known });
    expect(book.stock()).toBe(stock);
  });
});

describe('before the account was taken on', () => {
  const since = NOW;
  test('a sale that does not say when it was counts: a copy too few is better than one sold twice', () => {
    const book = new OrderBook({ ...CIRCUMSTANCES, since });
    book.see(remoteOrder({ paidAt: null, lines: [orderLine({ createdAt: null })] }), NOW + 1);
    expect(book.stock()).toBe(-2);
  });
  test('what was sold is in the stock that was reported then', () => {
    const book = new OrderBook({ ...CIRCUMSTANCES, since });
    book.see(remoteOrder({ state: 'sent', paidAt: NOW - 5, lines: [orderLine({ createdAt: NOW - 5 })] }), NOW);
    expect(book.stock()).toBe(0);
    expect(book.records.get(7)?.lines[0]?.counting).toBe('before');
    book.see(remoteOrder({ state: 'canceled', cancelledAt: NOW + 5, lines: [orderLine({ createdAt: NOW - 5 })] }), NOW + 10);
    book.resolve(7, 501, 'all');
    expect(book.stock()).toBe(2); // on sale again since
  });
  test('what was called off by then, too', () => {
    const book = new OrderBook({ ...CIRCUMSTANCES, since });
    book.see(remoteOrder({ state: 'canceled', cancelledAt: NOW - 1, lines: [orderLine({ createdAt: NOW - 5 })] }), NOW);
    book.resolve(7, 501, 'all');
    expect(book.stock()).toBe(0);
    expect(book.records.get(7)?.lines[0]).toMatchObject({ cancelled: 2, kept: 2 });
  });
});

describe('what belongs to what', () => {
  test('a line tied to nothing changes no stock until it is tied', () => {
    let item: string | null = null;
    const book = new OrderBook({ ...CIRCUMSTANCES, itemOf: () => item });
    book.see(remoteOrder(), NOW);
    expect(book.events).toEqual([]);
    item = ITEM;
    book.see(remoteOrder(), NOW + 1);
    expect(book.stock()).toBe(-2);
  });
  test('and once it is tied it stays so', () => {
    let item: string | null = ITEM;
    const book = new OrderBook({ ...CIRCUMSTANCES, itemOf: () => item });
    book.see(remoteOrder(), NOW);
    item = null;
    book.see(remoteOrder({ state: 'sent' }), NOW + 1);
    expect(book.records.get(7)?.lines[0]?.itemId).toBe(ITEM);
  });
});

describe('events', () => {
  test('decided twice from the same state they are the same events', () => {
    const [one, other] = [new OrderBook(), new OrderBook()];
    one.see(remoteOrder(), NOW);
    other.see(remoteOrder({ state: 'sent' }), NOW + 5_000);
    expect(one.events).toEqual(other.events);
  });
  test('taken, given back and taken again are three', () => {
    const book = new OrderBook();
    book.see(remoteOrder(), NOW);
    book.see(remoteOrder({ lines: [orderLine({ deletedAt: NOW })] }), NOW + 1);
    book.resolve(7, 501, 'all');
    book.see(remoteOrder({ lines: [orderLine({ quantity: 3, deletedAt: NOW })] }), NOW + 2);
    book.resolve(7, 501, 'none');
    expect(book.events.map(({ quantity }) => quantity)).toEqual([-2, 2, -1]);
    expect(new Set(book.events.map(({ id }) => id)).size).toBe(book.events.length);
  });
});
