import { describe, expect, test } from 'vitest';
import { copiesMoved, plan, type Plan } from '../../../src/marketplace/dispatcher/plan.ts';
import type { Work } from '../../../src/marketplace/dispatcher/work.ts';
import { fingerprintOf, type Stock } from '../../../src/marketplace/listing-sync/index.ts';
import { BLUEPRINT, intent, LAST, listing, OTHER, OURS, product, work } from '../../support/operations.ts';

/** Protects: what is written to CardTrader, from what was confirmed last and what is read now. 5 copies were confirmed; the operation is about 2. */
const [take, lower, giveBack] = [work(), work({ kind: 'LOWER', purchaseId: null }), work({ kind: 'RETURN' })];

describe('nothing unexpected: the product is as it was confirmed', () => {
  test('TAKE writes what is left', () => expect(plan(take, product(5))).toEqual({ plan: 'write', before: 5, target: 3, mismatch: null }));
  test('TAKE of all of them writes 0', () => expect(plan({ ...take, quantity: 5 }, product(5))).toEqual({ plan: 'write', before: 5, target: 0, mismatch: null }));
  test('LOWER writes what is left', () => expect(plan(lower, product(5))).toEqual({ plan: 'write', before: 5, target: 3, mismatch: null }));
  test('RETURN writes what it is with them', () => expect(plan(giveBack, product(5))).toEqual({ plan: 'write', before: 5, target: 7, mismatch: null }));
});

describe('the marker of this very operation: it took effect, whatever the quantity', () => {
  test.each([0, 3, 5, 99])('%i copies', (quantity) => {
    for (const each of [take, lower, giveBack]) expect(plan(each, product(quantity, OURS))).toEqual({ plan: 'done' });
  });
});

describe('there is no product', () => {
  test('nothing can be taken', () => expect(plan(take, null)).toEqual({ plan: 'gone' }));
  test('nothing is left to be lowered', () => expect(plan(lower, null)).toEqual({ plan: 'gone' }));
  test('what comes back is listed anew', () => expect(plan(giveBack, null)).toEqual({ plan: 'create' }));
});

describe('another quantity under the marker we confirmed: somebody did it there, and it counts', () => {
  test('fewer: sold or taken off', () => expect(plan(take, product(4))).toEqual({ plan: 'write', before: 4, target: 2, mismatch: 'fewer' }));
  test('just enough', () => expect(plan(take, product(2))).toEqual({ plan: 'write', before: 2, target: 0, mismatch: 'fewer' }));
  test('too few: refused with what was found', () => expect(plan(take, product(1))).toEqual({ plan: 'too_few', found: 1 }));
  test('none at all', () => expect(plan(take, product(0))).toEqual({ plan: 'too_few', found: 0 }));
  test('more: put up there, and theirs', () => expect(plan(take, product(8))).toEqual({ plan: 'write', before: 8, target: 6, mismatch: 'more' }));
  test('LOWER stops at 0', () => expect(plan(lower, product(1))).toEqual({ plan: 'write', before: 1, target: 0, mismatch: 'fewer' }));
  test('RETURN adds to what is there', () => expect(plan(giveBack, product(0))).toEqual({ plan: 'write', before: 0, target: 2, mismatch: 'fewer' }));
});

describe('another marker than we confirmed: an older state of ours, so the lower of the two numbers is the safe one', () => {
  test.each([['of another operation', OTHER], ['none', null]])('%s, and more copies: what was sold since does not come back', (_, marker) => {
    expect(plan(take, product(7, marker))).toEqual({ plan: 'write', before: 5, target: 3, mismatch: 'echo' });
  });
  test('and fewer copies: those are all there are', () => expect(plan(take, product(3, OTHER))).toEqual({ plan: 'write', before: 3, target: 1, mismatch: 'fewer' }));
  test('and as many: nothing to tell', () => expect(plan(take, product(5, OTHER))).toEqual({ plan: 'write', before: 5, target: 3, mismatch: null }));
  test('a TAKE is measured by the lower number', () => expect(plan({ ...take, listing: listing({ quantity: 1 }) }, product(7, OTHER))).toEqual({ plan: 'too_few', found: 1 }));
  test('a RETURN adds to the lower number', () => expect(plan(giveBack, product(9, OTHER))).toEqual({ plan: 'write', before: 5, target: 7, mismatch: 'echo' }));
  test('never marked and never confirmed with one: nothing is older than that', () => expect(plan({ ...take, listing: listing({ operationId: null }) }, product(8, null))).toEqual({ plan: 'write', before: 8, target: 6, mismatch: 'more' }));
});

test('what was gone and is there again has nothing to be compared with', () => {
  expect(plan({ ...take, listing: listing({ gone: true, quantity: 0, operationId: null }) }, product(4, LAST))).toEqual({ plan: 'write', before: 4, target: 2, mismatch: 'more' });
});

const stock = (given: Partial<Stock> = {}): Stock => ({ onHand: 5, buffer: 0, blueprintId: BLUEPRINT, priceCents: 250, currency: 'EUR', properties: null, eventId: 'e', ...given });

describe('SYNC: our own changes on top of what is there', () => {
  const sync = (of: Partial<Stock> | null, given: Partial<Work> = {}): Work => work({ kind: 'SYNC', purchaseId: null, quantity: 0, stock: of === null ? null : stock(of), ...given });
  const same = (before: number, mismatch: 'fewer' | 'more' | null = null): Plan => ({ plan: 'same', before, mismatch });
  test.each<[what: string, of: Work, there: ReturnType<typeof product>, then: Plan]>([
    ['both agree', sync({}), product(5), same(5)],
    ['it is not kept in step any more', sync(null), product(4), same(4, 'fewer')],
    ['more here', sync({ onHand: 7 }), product(5), { plan: 'write', before: 5, target: 7, details: {}, mismatch: null }],
    ['fewer here', sync({ onHand: 3 }), product(5), { plan: 'write', before: 5, target: 3, details: {}, mismatch: null }],
    ['another price alone', sync({ priceCents: 300 }), product(5), { plan: 'write', before: 5, target: 5, details: { priceCents: 300 }, mismatch: null }],
    ['another price of a single copy', sync({ priceCents: 300, onHand: 1 }), product(5), { plan: 'write', before: 5, target: 1, details: { priceCents: 300 }, mismatch: null }],
    ['none here: its price is nobody’s concern', sync({ priceCents: 300, onHand: 0 }), product(5), { plan: 'write', before: 5, target: 0, details: {}, mismatch: null }],
    ['a price that was refused', sync({ priceCents: 300 }, { problem: { kind: 'refused', said: 'no', wanted: fingerprintOf(stock({ priceCents: 300 })) } }), product(5), same(5)],
    ['somebody changed a property there', sync({ properties: { condition: 'Poor' } }, { listing: listing({ product: { ...listing().product, properties: { condition: 'Poor' } } }) }), product(5, LAST, { properties: { condition: 'Mint' } }), { plan: 'write', before: 5, target: 5, details: { properties: { condition: 'Poor' } }, mismatch: null }],
    ['sold there, and not heard of here: it is not put up again', sync({}), product(4), same(4, 'fewer')],
    ['sold there, and heard of here first: nothing strange', sync({ onHand: 4 }, { listing: listing({ unaccounted: 1 }) }), product(4), same(4)],
    ['heard of here, and more there all the same', sync({ onHand: 4 }, { listing: listing({ unaccounted: 1 }) }), product(6), same(6, 'more')],
    ['another marker: an older state, better read again', sync({ onHand: 4 }, { listing: listing({ unaccounted: 1 }) }), product(4, OTHER), { plan: 'stale', otherwise: same(4, 'fewer') }],
    ['its own marker: done', sync({ onHand: 3 }), product(3, OURS), { plan: 'done' }],
  ])('%s', (_, of, there, then) => expect(plan(of, there)).toEqual(then));
  test('there is no product: gone', () => expect(plan(sync({}), null)).toEqual({ plan: 'gone' }));
});

describe('how many copies an operation moves there', () => {
  test.each<[what: string, of: Work, copies: number]>([
    ['a sale, all of which is listed', work({ stock: stock() }), 2],
    ['a sale, of which one copy is here only: that one goes first', work({ stock: stock({ onHand: 6 }) }), 1],
    ['a sale of less than is here only', work({ stock: stock({ onHand: 9 }) }), 0],
    ['a sale of what is not listed', work({ listed: false }), 0],
    ['a sale of what is not kept in step', work(), 2],
    ['a sale that was sent: what it was sent for, whatever came since', work({ state: 'UNKNOWN', intent: intent({ target: 4 }), stock: stock({ onHand: 9 }) }), 1],
    ['a sale that is to be sent again: from the start', work({ intent: intent({ target: 4 }), stock: stock() }), 2],
    ['a sale that was claimed and has not read yet', work({ state: 'SENT' }), 2],
    ['a return: what its sale took there', work({ kind: 'RETURN', taken: 1 }), 1],
    ['a return of an older sale, which did not say', work({ kind: 'RETURN' }), 2],
    ['a correction', work({ kind: 'LOWER', purchaseId: null }), 2],
    ['a look at what is wanted', work({ kind: 'SYNC', purchaseId: null }), 0],
  ])('%s', (_, of, copies) => expect(copiesMoved(of)).toBe(copies));
});
