import { describe, expect, test } from 'vitest';
import { plan } from '../../../src/marketplace/dispatcher/plan.ts';
import { LAST, listing, OTHER, OURS, product, work } from '../../support/operations.ts';

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
