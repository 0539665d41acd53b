import { describe, expect, test } from 'vitest';
import type { InventoryChanged, PurchaseCancelled, PurchaseRequested } from '../../src/contract/index.ts';
import { lineId } from '../../src/purchase/fold.ts';
import { createTopicLog, NO_EVIDENCE, settle, type Evidence, type LoggedRecord, type SaleStep, type TopicLog, type Verdict } from '../../src/operations/verify/index.ts';
import { createDifferences } from '../../src/operations/verify/differences.ts';
import { compareOperations } from '../../src/operations/verify/operations.ts';
import { mayFollow, outcomeOf, rowId, saleOn } from '../../src/operations/verify/sale-rules.ts';
import { compareSales } from '../../src/operations/verify/compare-sales.ts';
import { UNSEEN } from '../../src/operations/verify/rules.ts';
import { cancellation, change, line, purchase, uuid } from '../support/events.ts';

const NOW = Date.now();
const USER = uuid(1);
const [A, B] = [uuid(2), uuid(3)];

type Sent = InventoryChanged | PurchaseRequested | PurchaseCancelled;
const contentOf = (event: Sent): LoggedRecord['content'] => ('kind' in event ? { event } : 'lines' in event ? { request: event } : { cancel: event });

/** The oracle on these events of one partition; `steps` are what the database says of sales, each behind the event it names. */
function run(events: readonly Sent[], sagas: Record<string, { event: string; steps: readonly (SaleStep & { behind?: string })[] }> = {}, evidence: (log: TopicLog) => Partial<Evidence> = () => ({})) {
  const log = createTopicLog();
  events.forEach((event, offset) => log.add({ partition: 0, offset, timestamp: NOW, content: contentOf(event) }));
  const places = new Map(Object.values(sagas).flatMap(({ steps }) => steps.map(({ eventId, behind }) => [eventId, behind] as const)));
  const verdict = settle(log, { horizonMs: 86_400_000, now: NOW }, {
    ...NO_EVIDENCE,
    saga(sale) {
      const saga = sagas[log.sales.text(sale, 1)];
      return saga === undefined ? undefined : { event: log.events.find(saga.event), steps: saga.steps };
    },
    row(row) {
      const behind = places.get(log.events.text(row));
      return behind === undefined ? undefined : { outcome: 'a', previous: log.events.find(behind) };
    },
    ...evidence(log),
  });
  return { log, verdict, row: (id: string): ReturnType<Verdict['saleRows']['get']> => verdict.saleRows.get(log.events.find(id)), item: (item: string) => verdict.item(log.items.find(USER, item)) };
}

const stock = (item: string, quantity: number): InventoryChanged => change({ user_id: USER, item_id: item, quantity });
const buys = (...lines: [item: string, quantity: number][]): PurchaseRequested => purchase({ user_id: USER, lines: lines.map(([item, quantity]) => line(item, quantity)) });
const calls = (sale: PurchaseRequested): PurchaseCancelled => cancellation(sale);
const step = (version: number, fact: string, state: string, behind?: string, reason: string | null = null): SaleStep & { behind?: string } => ({ version, fact, state, eventId: uuid(5_000 + version), reason, ...(behind !== undefined && { behind }) });

describe('what a purchase must find', () => {
  const cases: [string, readonly Sent[], PurchaseRequested, string][] = (() => {
    const [fits, exact, short, none, twice] = [buys([A, 2], [B, 1]), buys([A, 5]), buys([A, 2], [B, 4]), buys([A, 1], [uuid(9), 1]), buys([A, 3], [A, 3])];
    return [
      ['all of it', [stock(A, 5), stock(B, 3), fits], fits, 'reserved'],
      ['the very last', [stock(A, 5), exact], exact, 'reserved'],
      ['one line short: none is taken', [stock(A, 5), stock(B, 3), short], short, 'insufficient_stock'],
      ['an item nobody has listed', [stock(A, 5), none], none, 'unknown_item'],
      ['two lines of one item count together', [stock(A, 5), twice], twice, 'insufficient_stock'],
      ['stock that comes too late', [exact, stock(A, 5)], exact, 'unknown_item'],
    ];
  })();
  test.each(cases)('%s', (_name, events, sale, decision) => {
    const { log, verdict } = run(events);
    expect(verdict.sales.get(log.sales.find(USER, sale.purchase_id))?.decision).toBe(decision);
  });

  test('less what sales before it hold, and what they took', () => {
    const [first, second] = [buys([A, 4]), buys([A, 2])];
    const events = [stock(A, 5), first, second];
    const held = { [first.purchase_id]: { event: first.event_id, steps: [step(1, 'reserved', 'RESERVED')] } };
    const { log, verdict, item } = run(events, held);
    expect(verdict.sales.get(log.sales.find(USER, second.purchase_id))).toMatchObject({ decision: 'insufficient_stock', lacking: [{ wanted: 2, available: 1 }] });
    expect(item(A)).toMatchObject({ on_hand: 5, held: 4 });

    const sold = { [first.purchase_id]: { event: first.event_id, steps: [step(1, 'reserved', 'RESERVED'), step(2, 'confirmed', 'CONFIRMED', first.event_id)] } };
    const later = run(events, sold);
    expect(later.row(uuid(5_002))).toMatchObject({ kind: 'T', delta: -4, held: -4, on_hand: 1 });
    expect(later.item(A)).toMatchObject({ on_hand: 1, held: 0 });
    // Undone before the second came: it finds all of it.
    const undone = { [first.purchase_id]: { event: first.event_id, steps: [step(1, 'reserved', 'RESERVED'), step(2, 'compensated', 'COMPENSATED', first.event_id, 'expired')] } };
    expect(run(events, undone).verdict.sales.get(log.sales.find(USER, second.purchase_id))?.decision).toBe('reserved');
  });

  test('a step the database has no place for is told, and the item held to it', () => {
    const sale = buys([A, 2]);
    const { verdict, item } = run([stock(A, 5), sale], { [sale.purchase_id]: { event: sale.event_id, steps: [step(1, 'reserved', 'RESERVED'), step(2, 'confirmed', 'CONFIRMED')] } });
    expect(verdict.adrift.size).toBe(1);
    expect(item(A)).toMatchObject({ on_hand: 3, held: 0 });
  });
});

describe('which records count', () => {
  test('the same purchase under another event id is a duplicate, and has no row', () => {
    const sale = buys([A, 1]);
    const again = { ...sale, event_id: uuid(77) };
    const { log, verdict, row } = run([stock(A, 5), sale, again, sale]);
    expect([verdict.counts.duplicate, verdict.sales.size, row(again.event_id)]).toEqual([2, 1, undefined]);
    expect(log.eventOf(verdict.sales.get(log.sales.find(USER, sale.purchase_id))?.occurrence ?? -1)).toBe(log.events.find(sale.event_id));
  });

  test('a cancellation before its purchase, or without one, is a dead letter; the same again behind it counts', () => {
    const [sale, other] = [buys([A, 1]), buys([A, 1])];
    const early = calls(sale);
    const { verdict, row } = run([stock(A, 5), early, calls(other), sale, early, early]);
    expect(verdict.deadLetters.map(({ offset, reason }) => [offset, reason])).toEqual([[1, 'unknown_purchase'], [2, 'unknown_purchase']]);
    expect(row(early.event_id)).toMatchObject({ kind: 'C', delta: 0, held: 0 });
    expect(verdict.counts).toMatchObject({ duplicate: 1, dead_letters: { unknown_purchase: 2 } });
  });

  test('one that waits with a parked user is parked, its purchase too', () => {
    const sale = buys([A, 1]);
    const call = calls(sale);
    const { verdict } = run([stock(A, 5), sale, call], {}, (log) => ({ isParked: (event) => event === log.events.find(sale.event_id) || event === log.events.find(call.event_id) }));
    expect(verdict.counts).toMatchObject({ parked: 2, dead_letters: { unknown_purchase: 0 } });
    expect(verdict.saleRows.size).toBe(0);
  });

  test('ids of further rows are those the ledger has', () => {
    for (const index of [1, 2, 999]) expect(rowId(uuid(12_345), index)).toBe(lineId(uuid(12_345), index));
  });
});

describe('effects', () => {
  const item = { ...UNSEEN, on_hand: 5, held: 2 };
  test.each([
    ['reserved', { on_hand: 5, held: 4, drifted: false }],
    ['none', { on_hand: 5, held: 2, drifted: false }],
    ['sold', { on_hand: 3, held: 0, drifted: false }],
    ['released', { on_hand: 5, held: 0, drifted: false }],
    ['returned', { on_hand: 7, held: 2, drifted: false }],
  ] as const)('%s', (effect, after) => expect(saleOn(item, effect, 2)).toMatchObject(after));
  test('a sale of more than a SET has left goes to 0, and the number is uncertain', () => expect(saleOn({ ...item, on_hand: 1 }, 'sold', 2)).toMatchObject({ on_hand: 0, held: 0, drifted: true }));
});

describe('steps', () => {
  test.each([
    ['', 'reserved', 'RESERVED', true],
    ['', 'confirmed', 'CONFIRMED', false],
    ['RESERVED', 'confirmed', 'CONFIRMED', true],
    ['CONFIRMED', 'confirmed', 'CONFIRMED', false],
    ['CONFIRMED', 'compensated', 'COMPENSATED', true],
    ['COMPENSATED', 'compensated', 'COMPENSATED', false],
    ['REJECTED', 'reserved', 'RESERVED', false],
    ['COMPENSATING', 'confirmed', 'CONFIRMED', false],
    ['NEEDS_OPERATOR', 'resumed', 'CALLING', true],
  ])('%s, then %s', (before, fact, after, allowed) => expect(mayFollow(before, fact, after)).toBe(allowed));

  test.each([
    ['rejected', 'insufficient_stock', false, { outcome: 'REJECTED', reason: 'insufficient_stock' }],
    ['confirmed', null, false, { outcome: 'CONFIRMED', reason: null }],
    ['compensated', 'expired', false, { outcome: 'REJECTED', reason: 'expired' }],
    ['compensated', 'cancelled', false, { outcome: 'CANCELLED', reason: 'cancelled' }],
    ['compensated', 'operator', true, { outcome: 'CANCELLED', reason: 'operator' }],
    ['called', null, false, undefined],
  ])('%s (%s) is told as', (fact, reason, sold, told) => expect(outcomeOf(fact, reason, sold)).toEqual(told));
});

test('a cancellation that was ignored although the sale stood', () => {
  const sale = buys([A, 1]);
  const call = calls(sale);
  const steps = [step(1, 'reserved', 'RESERVED'), step(2, 'confirmed', 'CONFIRMED', sale.event_id)];
  const { log, verdict } = run([stock(A, 5), sale, call], { [sale.purchase_id]: { event: sale.event_id, steps } }, (self) => ({
    row: (row) => (row === self.events.find(call.event_id) ? { outcome: 's', previous: -1 } : self.events.text(row) === uuid(5_002) ? { outcome: 'a', previous: self.events.find(sale.event_id) } : undefined),
  }));
  const differences = createDifferences();
  const saga = { event: log.events.find(sale.event_id), steps, state: 'CONFIRMED', version: 2, reason: null, sold: true, currency: 'EUR', buyer_id: null, lines: sale.lines, operations: [] };
  compareSales(log, verdict, { sagas: new Map([[log.sales.find(USER, sale.purchase_id), saga]]), holds: new Map() }, differences, { settled: true, told: new Set() });
  expect(differences.first).toMatchObject([{ what: 'sale', problem: 'a cancellation was ignored although the sale stood', purchase_id: sale.purchase_id }]);
});

describe('operations on CardTrader', () => {
  const take = (id: number, state: string, more: { itemId?: string; quantity?: number } = {}) => ({ id: uuid(id), kind: 'TAKE', state, itemId: A, quantity: 1, returns: null, ...more });
  const back = (id: number, of: number, state: string) => ({ id: uuid(id), kind: 'RETURN', state, itemId: A, quantity: 1, returns: uuid(of) });
  test.each<[string, Parameters<typeof compareOperations>[0], string[]]>([
    ['all taken', { state: 'CONFIRMED', operations: [take(1, 'APPLIED')] }, []],
    ['nothing listed', { state: 'CONFIRMED', operations: [] }, []],
    ['taken and given back', { state: 'COMPENSATED', operations: [take(1, 'APPLIED'), back(2, 1, 'APPLIED')] }, []],
    ['refused, nothing to give back', { state: 'COMPENSATED', operations: [take(1, 'REFUSED')] }, []],
    ['under way', { state: 'CALLING', operations: [take(1, 'SENT')] }, []],
    ['another quantity', { state: 'CALLING', operations: [take(1, 'SENT', { quantity: 2 })] }, ['another quantity was to be taken on CardTrader than was sold']],
    ['given back twice', { state: 'COMPENSATING', operations: [take(1, 'APPLIED'), back(2, 1, 'PENDING'), back(3, 1, 'PENDING')] }, ['what a sale took on CardTrader was to be given back more than once']],
    ['a rejected sale that called', { state: 'REJECTED', operations: [take(1, 'WITHDRAWN')] }, ['a rejected sale asked something of CardTrader']],
    ['given back in vain', { state: 'COMPENSATED', operations: [take(1, 'APPLIED'), back(2, 1, 'REFUSED')] }, ['a sale was undone, and what it took on CardTrader was not given back']],
  ])('%s', (_name, saga, problems) => expect(compareOperations(saga, [{ itemId: A, quantity: 1 }]).map(({ problem }) => problem)).toEqual(problems));
});
