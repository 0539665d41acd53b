import { describe, expect, test } from 'vitest';
import { copiesWanted, detailsToSend, fingerprintOf, mayMergeWith, needOf, spareCopies, typedProperties, type Details, type Problem, type Stock } from '../../../src/marketplace/listing-sync/index.ts';
import type { Listing, MismatchKind } from '../../../src/marketplace/listings/index.ts';
import { BLUEPRINT, listing, product } from '../../support/operations.ts';

/** Protects: what CardTrader should show of an item, and what is sent of it: nothing that is right already, was refused, or would put up a copy that is not there. */
const stock = (given: Partial<Stock> = {}): Stock => ({ onHand: 5, buffer: 0, blueprintId: BLUEPRINT, priceCents: 250, currency: 'EUR', properties: null, eventId: 'e', ...given });
const refused = (of: Stock): Problem => ({ kind: 'refused', said: 'no', wanted: fingerprintOf(of) });
const there = (properties: Listing['product']['properties']): Listing['product'] => ({ ...listing().product, properties });

describe('copies', () => {
  test.each<[what: string, of: Partial<Stock>, unaccounted: number, wanted: number]>([
    ['all there are', {}, 0, 5],
    ['less what the seller keeps', { buffer: 2 }, 0, 3],
    ['never below none', { onHand: 1, buffer: 2 }, 0, 0],
    ['less what was sold there and is on hand here still', {}, -2, 3],
    ['with what has left here for a sale that CardTrader has counted already', { onHand: 3 }, 2, 5],
  ])('wanted there: %s', (_, of, unaccounted, wanted) => expect(copiesWanted(stock(of), unaccounted)).toBe(wanted));

  test.each<[what: string, of: Partial<Stock>, shown: Partial<Listing>, spare: number]>([
    ['all are there', {}, {}, 0],
    ['some are here only', { onHand: 7 }, {}, 2],
    ['some are here only, of which one was sold there meanwhile', { onHand: 7 }, { unaccounted: -1 }, 1],
    ['more are there than here', { onHand: 3 }, {}, 0],
  ])('to spare here: %s', (_, of, shown, spare) => expect(spareCopies(stock(of), listing(shown))).toBe(spare));
});

describe('what was wanted', () => {
  test('is known again, in whatever order properties come, and whatever the number of copies', () => {
    expect(fingerprintOf(stock({ properties: { a: '1', b: '2' } }))).toBe(fingerprintOf(stock({ properties: { b: '2', a: '1' }, onHand: 1, buffer: 1, eventId: 'f' })));
  });
  test('is another with another card, price, currency or property', () => {
    const all = [stock(), stock({ blueprintId: 1 }), stock({ priceCents: 1 }), stock({ currency: 'USD' }), stock({ properties: { a: '1' } }), stock({ properties: { a: '2' } })];
    expect(new Set(all.map(fingerprintOf)).size).toBe(all.length);
  });
});

describe('price', () => {
  test.each<[what: string, of: Partial<Stock>, shown: Partial<Listing>, then: Details]>([
    ['the same', {}, {}, {}],
    ['another', { priceCents: 300 }, {}, { priceCents: 300 }],
    ['nobody has said one', { priceCents: null }, {}, {}],
    ['another, in another currency: cents of one are not cents of the other', { priceCents: 300, currency: 'USD' }, {}, {}],
    ['another, and nobody has said the currency', { priceCents: 300, currency: null }, {}, { priceCents: 300 }],
    ['another, and CardTrader does not say its currency', { priceCents: 300 }, { currency: null }, { priceCents: 300 }],
  ])('%s', (_, of, shown, then) => expect(detailsToSend(stock(of), listing(shown), null)).toEqual(then));

  test('refused once it is not sent again, until something else is wanted', () => {
    const wanted = stock({ priceCents: 300, properties: { condition: 'Poor' } });
    const shown = listing({ product: there({ condition: 'Near Mint' }) });
    expect(detailsToSend(wanted, shown, refused(wanted))).toEqual({});
    expect(detailsToSend(wanted, shown, refused(stock({ priceCents: 301 })))).toEqual({ priceCents: 300, properties: { condition: 'Poor' } });
  });
});

describe('properties', () => {
  test.each<[what: string, wanted: Record<string, string>, shown: Listing['product']['properties'], then: Details['properties']]>([
    ['the same', { condition: 'Near Mint' }, { condition: 'Near Mint' }, undefined],
    ['another: only that', { condition: 'Poor', signed: 'false' }, { condition: 'Near Mint', signed: false }, { condition: 'Poor' }],
    ['a flag goes as a flag', { signed: 'true', altered: 'no' }, { signed: false, altered: true }, { signed: true, altered: false }],
    ['a word that looks like a flag stays a word where CardTrader has words', { condition: 'true' }, { condition: 'Near Mint' }, { condition: 'true' }],
    ['under the name it has there', { language: 'de' }, { mtg_language: 'en', condition: 'Poor' }, { mtg_language: 'de' }],
    ['by its very name, if both are there', { language: 'de' }, { language: 'en', mtg_language: 'en' }, { language: 'de' }],
    ['two it may mean: neither', { language: 'de' }, { mtg_language: 'en', pkm_language: 'en' }, undefined],
    ['one the product does not have', { foil: 'true' }, { condition: 'Poor' }, undefined],
  ])('%s', (_, wanted, shown, then) => expect(detailsToSend(stock({ properties: wanted }), listing({ product: there(shown) }), null).properties).toEqual(then));

  test('of what is to be listed: flags as flags, words as words', () => {
    expect(typedProperties({ signed: 'true', altered: 'false', condition: 'Near Mint' })).toEqual({ signed: true, altered: false, condition: 'Near Mint' });
    expect(typedProperties(null)).toEqual({});
  });
});

describe('what there is to do', () => {
  const need = (of: Partial<Stock> | null, shown: Partial<Listing> = {}, { listed = true, problem = null }: { listed?: boolean; problem?: Problem | null } = {}) => needOf(of === null ? null : stock(of), listing(shown), listed, problem);
  const [create, update] = [{ listed: false }, {}];
  test.each<[what: string, is: ReturnType<typeof need>, then: ReturnType<typeof need>]>([
    ['both agree', need({}), 'nothing'],
    ['nobody has asked for it to be kept in step', need(null), 'nothing'],
    ['more here', need({ onHand: 6 }), 'update'],
    ['fewer here', need({ onHand: 4 }), 'update'],
    ['none here', need({ onHand: 0 }), 'update'],
    ['fewer there, by a sale that is not heard of here: both agree', need({}, { quantity: 3, unaccounted: -2 }), 'nothing'],
    ['another price', need({ priceCents: 300 }, update), 'update'],
    ['another property', need({ properties: { condition: 'Poor' } }, { product: there({ condition: 'Near Mint' }) }), 'update'],
    ['not listed', need({}, {}, create), 'create'],
    ['not listed, and a single copy here', need({ onHand: 1 }, {}, create), 'create'],
    ['listed, and gone from there', need({}, { gone: true, quantity: 0 }), 'create'],
    ['not listed, and none here', need({ onHand: 0 }, {}, create), 'nothing'],
    ['not listed, and all are kept', need({ buffer: 5 }, {}, create), 'nothing'],
    ['not listed, and nobody knows the card', need({ blueprintId: null }, {}, create), 'nothing'],
    ['not listed, and nobody knows the price', need({ priceCents: null }, {}, create), 'nothing'],
    ['not listed, because it was refused as it is', need({}, {}, { ...create, problem: refused(stock()) }), 'nothing'],
    ['refused as it was, and another by now', need({ priceCents: 251 }, {}, { ...create, problem: refused(stock()) }), 'create'],
    ['its price was refused, and its copies differ', need({ priceCents: 300, onHand: 4 }, {}, { problem: refused(stock({ priceCents: 300 })) }), 'update'],
  ])('%s: %s', (_, is, then) => expect(is).toBe(then));

  test.each<[MismatchKind, ReturnType<typeof need>]>([['merged', 'nothing'], ['gone', 'nothing'], ['late_effect', 'nothing'], ['more', 'update'], ['fewer', 'update'], ['echo', 'update']])('a mismatch (%s) that people must look at forbids it, another does not', (kind, then) => {
    expect(need({ onHand: 9 }, { mismatch: { kind } as Listing['mismatch'] })).toBe(then);
  });
});

describe('what is to be listed may be added to a product that is there', () => {
  const wanted = stock({ properties: { condition: 'Near Mint' } });
  const same = product(1, null, { properties: { condition: 'Near Mint' } });
  test.each([
    ['of the same card, price and state', same, true],
    ['that says nothing of its state', { ...same, properties: {} }, true],
    ['that is not graded, and says so', { ...same, graded: false }, true],
    ['that is graded', { ...same, graded: true }, false],
    ['of another card', { ...same, blueprintId: 1 }, false],
    ['of another price', { ...same, priceCents: 1 }, false],
    ['of another state', { ...same, properties: { condition: 'Poor' } }, false],
  ])('%s: %s', (_, shown, then) => expect(mayMergeWith(wanted, shown)).toBe(then));
});
