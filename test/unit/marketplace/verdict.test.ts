import { describe, expect, test } from 'vitest';
import type { RemoteProduct } from '../../../src/marketplace/client/index.ts';
import type { CardLine, SoldLine } from '../../../src/marketplace/dispatcher/remote-sales.ts';
import { judge, judgeCreate, type Verdict } from '../../../src/marketplace/dispatcher/verdict.ts';
import type { Listing } from '../../../src/marketplace/listings/index.ts';
import type { Intent } from '../../../src/marketplace/dispatcher/work.ts';
import { intent, ITEM, LAST, listing, NOON, OTHER, OURS, product, sold, work } from '../../support/operations.ts';

/**
 * Protects: what a lost answer is taken for. Told from what CardTrader shows after the quarantine, never guessed: where both can have
 * happened the verdict is `unclear`, and an operator looks (P7). 5 copies were read, 3 (or, coming back, 7) were to be written.
 */
const READ = intent().readAt;
const LATER = READ + 30_000; // certainly after the read
const SAME = READ + 400; // in the second of the read: before it or after it
const NOW = READ + 45_000; // CardTrader is asked what became of it
const LONG_AGO = READ - 5_000; // certainly before the read, so in what was read

/** What was confirmed last explains nothing of what was read: somebody changes quantities by hand. */
const UNRELATED = 99;

type Row = [what: string, verdict: Verdict, product: RemoteProduct | null, lines: readonly SoldLine[], given?: Partial<Intent>, confirmed?: Partial<Listing>];

const rows = (...table: Row[]): void => {
  test.each(table)('%s: %s', (_, verdict, shown, lines, given, confirmed) => expect(judge(OURS, intent(given), listing({ quantity: UNRELATED, ...confirmed }), { product: shown, at: NOW }, lines)).toBe(verdict));
};

describe('its marker is there: applied, whatever the quantity and whatever was sold', () => {
  rows(
    ['as it was written', 'applied', product(3, OURS), []],
    ['sold from since', 'applied', product(1, OURS), [sold(2, LATER)]],
    ['the quantity of before', 'applied', product(5, OURS), []],
    ['not sent along, and there all the same', 'applied', product(3, OURS), [], { marked: false }],
  );
});

describe('the marker was sent and is not there', () => {
  rows(
    ['the quantity of before', 'not_applied', product(5), []],
    ['no marker at all', 'not_applied', product(5, null), []],
    ['less, by what was sold since', 'not_applied', product(4), [sold(1, LATER)]],
    ['less, by some of what was sold in that second', 'not_applied', product(4), [sold(2, SAME)]],
    ['the quantity of before; the sale was in it already', 'not_applied', product(5), [sold(1, SAME)]],
    ['what it was to become, and sales explain it: the marker decides', 'not_applied', product(3), [sold(2, LATER)]],
    ['a sale of which CardTrader does not say when', 'not_applied', product(4), [sold(1, null)]],
    ['the quantity of before, though one was sold for certain: the marker decides', 'not_applied', product(5), [sold(1, LATER)]],
    ['what it was to become, and nothing was sold: the quantity allows of nothing else', 'applied', product(3), []],
    ['the same under a stranger’s marker', 'applied', product(3, OTHER), []],
    ['less than that, by what was sold', 'applied', product(2), [sold(1, LATER)]],
    ['a sale from before the read explains nothing', 'unclear', product(4), [sold(1, LONG_AGO)]],
    ['fewer, and nothing was sold', 'unclear', product(4), []],
    ['more than before: somebody put some up', 'unclear', product(8), []],
    ['fewer than both and than what was sold explains', 'unclear', product(0), [sold(1, LATER)]],
    ['coming back: the quantity of before', 'not_applied', product(5), [], { target: 7 }],
    ['coming back: what it was to become', 'applied', product(7), [], { target: 7 }],
  );
});

describe('there was no room for a marker: the quantity must tell, and both may fit', () => {
  const unmarked = { marked: false };
  rows(
    ['the quantity of before', 'not_applied', product(5), [], unmarked],
    ['what it was to become', 'applied', product(3), [], unmarked],
    ['before, less a sale', 'not_applied', product(4), [sold(1, LATER)], unmarked],
    ['after, less a sale', 'applied', product(2), [sold(1, LATER)], unmarked],
    ['after; the sale came between read and write, and was overwritten', 'applied', product(3), [sold(1, LATER)], unmarked],
    ['as many sold as we wanted, before our write or instead of it', 'unclear', product(3), [sold(2, LATER)], unmarked],
    ['as many sold as we wanted in the second of the read, which may have seen it', 'unclear', product(3), [sold(2, SAME)], unmarked],
    ['the quantity of before, though one was sold for certain', 'unclear', product(5), [sold(1, LATER)], unmarked],
    ['the quantity of before; the sale in that second was in it', 'not_applied', product(5), [sold(1, SAME)], unmarked],
    ['nothing fits', 'unclear', product(4), [], unmarked],
    ['sold just when we looked: the look need not show it', 'unclear', product(5), [sold(2, NOW + 100)], { ...unmarked, target: 7 }],
    ['coming back: the quantity of before', 'not_applied', product(5), [], { ...unmarked, target: 7 }],
    ['coming back: the quantity of before, though as many were sold for certain', 'applied', product(5), [sold(2, LATER)], { ...unmarked, target: 7 }],
    ['coming back: the same, and the read may have seen that sale', 'unclear', product(5), [sold(2, SAME)], { ...unmarked, target: 7 }],
  );
});

describe('the product is not there', () => {
  rows(
    ['sold out without us', 'not_applied', null, [sold(5, LATER)]],
    ['sold out after us', 'applied', null, [sold(3, LATER)]],
    ['none was to be left', 'applied', null, [], { target: 0 }],
    ['none was to be left, and some were sold', 'applied', null, [sold(2, LATER)], { target: 0 }],
    ['none was to be left, and all were sold first', 'not_applied', null, [sold(5, LATER)], { target: 0 }],
    ['the last copy was sold without us', 'not_applied', null, [sold(1, LATER)], { before: 1, target: 0 }],
    ['one was to be left, and nothing was sold', 'gone', null, [], { target: 1 }],
    ['nothing was sold', 'gone', null, []],
    ['too little was sold', 'gone', null, [sold(2, LATER)]],
    ['sales from before the read explain nothing', 'gone', null, [sold(5, LONG_AGO)]],
    ['coming back: as many were sold as were there before', 'not_applied', null, [sold(5, LATER)], { target: 7 }],
    ['coming back: more were sold than were there before, so some of ours were', 'applied', null, [sold(7, LATER)], { target: 7 }],
    ['coming back: the same, but the read may have seen some of it', 'unclear', null, [sold(5, LATER), sold(2, SAME, 2)], { target: 7 }],
    ['coming back to none: nothing was sold', 'gone', null, [], { before: 0, target: 2 }],
    ['coming back to none: they were sold', 'applied', null, [sold(2, LATER)], { before: 0, target: 2 }],
  );
});

describe('what was confirmed last tells whether a sale in the second of the read was in what was read', () => {
  rows(
    ['5 confirmed, 5 read, 2 sold in that second: after it, so the quantity of before is ours', 'applied', product(5), [sold(2, SAME)], { target: 7, marked: false }, { quantity: 5 }],
    ['7 confirmed, 5 read: the 2 were in it', 'not_applied', product(5), [sold(2, SAME)], { target: 7, marked: false }, { quantity: 7 }],
    ['7 confirmed, 5 read, 3 left, 2 sold: it was in it, so the 3 are ours', 'applied', product(3), [sold(2, SAME)], { marked: false }, { quantity: 7 }],
    ['an older sale takes nothing from that', 'applied', product(5), [sold(2, SAME), sold(1, NOON - 60_000, 2)], { target: 7, marked: false }, { quantity: 5 }],
    ['5 confirmed, 5 read, and nobody says when the 2 were sold', 'unclear', product(5), [sold(2, null)], { target: 7, marked: false }, { quantity: 5 }],
    ['5 confirmed a second before the sale: it may be in that number', 'unclear', product(5), [sold(2, SAME)], { target: 7, marked: false }, { quantity: 5, confirmedAt: SAME - 1_000 }],
    ['sold a second before we looked: the look need not show it', 'unclear', product(5), [sold(2, NOW - 1_000)], { target: 7, marked: false }, { quantity: 5 }],
    ['5 confirmed, 1 sold, 5 read: somebody changed it by hand, so what was confirmed tells nothing', 'not_applied', product(4), [sold(1, LONG_AGO), sold(2, SAME, 2)], { target: 7, marked: false }, { quantity: 5 }],
    ['coming back, sold out: 5 confirmed, so 7 were sold after the read', 'applied', null, [sold(5, LATER), sold(2, SAME, 2)], { target: 7 }, { quantity: 5 }],
    ['coming back, sold out: 7 confirmed, so the 5 of before were sold', 'not_applied', null, [sold(5, LATER), sold(2, SAME, 2)], { target: 7 }, { quantity: 7 }],
  );
});

describe('listed anew', () => {
  const sibling = product(4, OTHER, { id: 202 });
  const twin = product(4, null, { id: 303, userDataField: 'another shelf' });
  const stranger = (given: Partial<RemoteProduct> = {}): RemoteProduct => product(2, null, { id: 404, userDataField: null, ...given });
  const were = [{ productId: 202, quantity: 4 }, { productId: 303, quantity: 4 }];
  const line = (productId: number | null, quantity: number, userDataField: string | null = null): CardLine => ({ ...sold(quantity, LATER), productId, userDataField });
  const judged = (products: readonly RemoteProduct[], lines: readonly CardLine[] = [], siblings = were) => judgeCreate(work({ kind: 'RETURN' }), siblings, products, lines);

  test('a new product with the marker: applied', () => expect(judged([sibling, twin, product(2, OURS)])).toEqual({ verdict: 'applied', product: product(2, OURS), merged: false }));
  test('an old one with the marker: applied, merged', () => expect(judged([{ ...product(6, OURS), id: 202 }, twin])).toMatchObject({ verdict: 'applied', merged: true }));
  test('it is not there, but was sold with the marker: applied, and sold out', () => expect(judged([sibling, twin], [line(404, 2, product(2, OURS).userDataField ?? null)])).toEqual({ verdict: 'sold_out', productId: 404 }));
  test('one has grown by as much: applied, merged', () => expect(judged([{ ...sibling, quantity: 6 }, twin])).toEqual({ verdict: 'applied', product: { ...sibling, quantity: 6 }, merged: true }));
  test('one has grown by as much, less what was sold of it: applied, merged', () => expect(judged([{ ...sibling, quantity: 5 }, twin], [line(202, 1)])).toMatchObject({ verdict: 'applied', merged: true }));
  test('one has grown by less, and what was sold of another does not explain it: unclear', () => expect(judged([{ ...sibling, quantity: 5 }, twin], [line(303, 1)])).toEqual({ verdict: 'unclear' }));
  test('two have grown by as much: unclear', () => expect(judged([{ ...sibling, quantity: 6 }, { ...twin, quantity: 6 }])).toEqual({ verdict: 'unclear' }));
  test('one has grown by something else: unclear', () => expect(judged([{ ...sibling, quantity: 5 }, twin])).toEqual({ verdict: 'unclear' }));
  test('as many were sold of one as it would have grown by: unclear', () => expect(judged([sibling, twin], [line(202, 2)])).toEqual({ verdict: 'unclear' }));
  test('sold out of one, as it was or grown: unclear', () => expect(judged([twin], [line(202, 6)])).toEqual({ verdict: 'unclear' }));
  test('a new one of this item without a marker, because there was no room for one: applied', () => expect(judged([sibling, twin, stranger({ userDataField: ITEM })])).toMatchObject({ verdict: 'applied', merged: false }));
  test('two of them: unclear', () => expect(judged([sibling, stranger({ userDataField: ITEM }), product(2, OURS)])).toEqual({ verdict: 'unclear' }));
  test('one of this item that was there before is not it', () => expect(judged([sibling, { ...twin, userDataField: ITEM }])).toEqual({ verdict: 'not_applied' }));
  test('a new one that names no item: unclear', () => expect(judged([sibling, twin, stranger()])).toEqual({ verdict: 'unclear' }));
  test('a new one that another operation wrote is that one’s', () => expect(judged([sibling, twin, product(2, LAST, { id: 404 })])).toEqual({ verdict: 'not_applied' }));
  test('a sale of this item that names no product: unclear', () => expect(judged([sibling, twin], [line(null, 1, ITEM)])).toEqual({ verdict: 'unclear' }));
  test('a sale of what this item was before: not applied', () => expect(judged([sibling, twin], [line(null, 1, `${ITEM} brx:${LAST}`)])).toEqual({ verdict: 'not_applied' }));
  test('a sale of a product nobody knows, without the marker: unclear', () => expect(judged([sibling, twin], [line(404, 1)])).toEqual({ verdict: 'unclear' }));
  test('all as before: not applied', () => expect(judged([sibling, twin])).toEqual({ verdict: 'not_applied' }));
  test('sold from, or gone: not applied', () => expect(judged([{ ...sibling, quantity: 3 }], [line(202, 1)])).toEqual({ verdict: 'not_applied' }));
  test('there were none, and there are none', () => expect(judged([], [], [])).toEqual({ verdict: 'not_applied' }));
});

test('the times of the table are what they are called', () => expect([LONG_AGO < READ - 1_000, SAME - READ < 1_000, LATER > READ + 1_000, LAST === OURS, READ > NOON]).toEqual([true, true, true, false, true]));
