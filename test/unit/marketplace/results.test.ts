import { describe, expect, test } from 'vitest';
import { calledOffMessage, messageOf } from '../../../src/marketplace/dispatcher/messages.ts';
import { again, applied, needsOperator, notAsked, ofAnother, patienceMs, refused, refusedProblem, stalled, unknown, withoutProduct } from '../../../src/marketplace/dispatcher/results.ts';
import type { Result, Work } from '../../../src/marketplace/dispatcher/work.ts';
import { THROTTLED_REASONS, UNKNOWN_REASONS } from '../../../src/marketplace/client/index.ts';
import { fingerprintOf, type Stock } from '../../../src/marketplace/listing-sync/index.ts';
import { BLUEPRINT, intent, ITEM, listing, NOON, OURS, PRODUCT, refusal, throttling, uncertainty, USER, work } from '../../support/operations.ts';
import { uuid } from '../../support/events.ts';

/** Protects: what an operation becomes after a read that came to nothing, and what its sale is told of it. */
const BACKOFF = 4_000;
const open = work({ state: 'UNKNOWN', intent: intent(), attempts: 1 });

describe('a read that came to nothing: the operation stays what it was', () => {
  test.each(THROTTLED_REASONS)('turned away (%s): soon again, and the circuit is not told', (reason) => {
    expect(stalled(work(), throttling(reason), BACKOFF)).toMatchObject({ to: 'PENDING', againMs: patienceMs(throttling(reason)), answered: null });
    expect(stalled(open, throttling(reason), BACKOFF)).toMatchObject({ to: 'UNKNOWN', againMs: patienceMs(throttling(reason)), answered: null });
  });
  test.each(UNKNOWN_REASONS)('no usable answer (%s): later again, and it counts', (reason) => {
    expect(stalled(work(), uncertainty(reason), BACKOFF)).toMatchObject({ to: 'PENDING', againMs: BACKOFF, answered: false });
    expect(stalled(open, uncertainty(reason), BACKOFF)).toMatchObject({ to: 'UNKNOWN', againMs: BACKOFF, answered: false });
    expect(stalled({ ...open, state: 'SENT' }, uncertainty(reason), BACKOFF)).toMatchObject({ to: 'UNKNOWN' });
  });
  test('the token is rejected: it waits for another, whatever it was', () => {
    expect(stalled(work(), refusal('token_rejected'), BACKOFF)).toMatchObject({ to: 'PENDING', tokenRejected: true, answered: true });
    expect(stalled(open, refusal('token_rejected'), BACKOFF)).toMatchObject({ to: 'UNKNOWN', tokenRejected: true, answered: true });
  });
  test.each([['forbidden', 'forbidden'], ['validation', 'refused'], ['not_found', 'refused'], ['other', 'refused']] as const)('refused (%s): ends what was never sent, and nothing that may have been', (reason, told) => {
    expect(stalled(work(), refusal(reason), BACKOFF)).toMatchObject({ to: 'REFUSED', reason: told, againMs: null });
    expect(stalled(open, refusal(reason), BACKOFF)).toMatchObject({ to: 'UNKNOWN', reason: null, againMs: 30_000 });
    for (const kind of ['LOWER', 'SYNC'] as const) expect(stalled(work({ kind, purchaseId: null }), refusal(reason), BACKOFF), 'nobody asks for it again').toMatchObject({ to: 'PENDING', againMs: 30_000 });
  });
});

test('whoever is settled is not looked at again; whoever is not, is', () => {
  for (const { againMs } of [applied({}), refused('refused'), needsOperator()]) expect(againMs).toBeNull();
  for (const { againMs } of [again(7), unknown(7)]) expect(againMs).toBe(7);
});

test('a result says no more than it was told: no copies to lower, none of ours, no rejected token; the circuit hears of every answer', () => {
  const nothing = { reason: null, listing: null, lower: 0, own: 0, tokenRejected: false };
  expect(applied({})).toEqual({ ...nothing, to: 'APPLIED', againMs: null, answered: true });
  expect(notAsked()).toEqual({ ...nothing, to: 'APPLIED', againMs: null, answered: null });
  expect(refused('forbidden')).toEqual({ ...nothing, to: 'REFUSED', reason: 'forbidden', againMs: null, answered: true });
  expect(needsOperator()).toEqual({ ...nothing, to: 'NEEDS_OPERATOR', reason: 'unexplained', againMs: null, answered: true });
  expect(again(7)).toEqual({ ...nothing, to: 'PENDING', againMs: 7, answered: true });
  expect(unknown(7)).toEqual({ ...nothing, to: 'UNKNOWN', againMs: 7, answered: false });
  expect(refused('refused', { listing: listing(), own: -2 })).toMatchObject({ listing: listing(), own: -2 });
});

test('what was refused is not asked for again at once, nor more often than what finds no answer', () => {
  expect(stalled(open, refusal('other'), 60_000)).toMatchObject({ to: 'UNKNOWN', againMs: 60_000 });
  expect(stalled(work(), refusal('token_rejected'), BACKOFF).againMs).toBe(0);
});

describe('what was found, or made, is another item’s product', () => {
  const stock: Stock = { onHand: 5, buffer: 0, blueprintId: BLUEPRINT, priceCents: 250, currency: 'EUR', properties: null, eventId: 'e' };
  const made = applied({ listing: listing({ productId: 404, quantity: 7 }), own: 2 });
  test('of a sale: it took effect, nothing is tied to that product, and people see it', () => {
    expect(ofAnother(work({ kind: 'RETURN' }), made, NOON)).toEqual({ ...made, own: 0, listing: { ...listing(), gone: true, mismatch: expect.objectContaining({ kind: 'merged', found: 7 }) as unknown } });
  });
  test('of a SYNC: refused, and not tried again as it is', () => {
    const sync = work({ kind: 'SYNC', purchaseId: null, stock });
    const result = ofAnother(sync, made, NOON);
    expect(result).toMatchObject({ to: 'REFUSED', reason: 'merged', listing: null, own: 0, problem: { kind: 'merged', wanted: fingerprintOf(stock) } });
    expect(result.problem?.said).toContain('404');
    expect(ofAnother({ ...sync, stock: null }, made, NOON).problem).toBeUndefined();
  });
  test('what CardTrader refused of an item is kept with what was wanted', () => {
    expect(refusedProblem({ stock }, 'no')).toEqual({ problem: { kind: 'refused', said: 'no', wanted: fingerprintOf(stock) } });
    expect(refusedProblem({ stock: null }, 'no')).toEqual({});
  });
});

test('a product that is gone has no copies and no marker', () => {
  expect(withoutProduct(listing({ quantity: 3 }))).toMatchObject({ gone: true, quantity: 0, operationId: null, productId: PRODUCT });
});

describe('what the sale is told', () => {
  const derive = (ms: number, name: string): string => `${ms} ${name}`;
  const told = (of: Work, result: Result) => messageOf(of, result, NOON, derive);
  const identity = { purchase_id: uuid(2), user_id: USER, operation_id: OURS, item_id: ITEM, product_id: PRODUCT, occurred_at: NOON };

  test('a TAKE: taken', () => expect(told(work(), applied({}))).toMatchObject({ record: 'RemoteStockTaken', value: { ...identity, quantity: 2 } }));
  test('a RETURN: returned', () => expect(told(work({ kind: 'RETURN' }), applied({}))).toMatchObject({ record: 'RemoteStockReturned', value: { ...identity, quantity: 2 } }));
  test('listed anew: under the product it is now', () => expect(told(work({ kind: 'RETURN' }), applied({ listing: listing({ productId: 404 }) }))?.value.product_id).toBe(404));
  test('refused: why', () => expect(told(work(), refused('remote_product_gone'))).toMatchObject({ record: 'RemoteStockRefused', value: { ...identity, reason: 'remote_product_gone' } }));
  test('an operator is needed', () => expect(told(open, needsOperator())).toMatchObject({ record: 'RemoteStockUnknown', value: { ...identity, reason: 'needs_operator' } }));
  test('the answer is lost: once, not with every look', () => {
    expect(told(work(), unknown(1))).toMatchObject({ record: 'RemoteStockUnknown', value: { ...identity, reason: 'answer_lost' } });
    expect(told(open, unknown(1))).toBeUndefined();
  });
  test('nothing, while nothing is known', () => expect(told(work(), again(1))).toBeUndefined());
  test('called off: refused as withdrawn, under an id of its own', () => {
    const off = calledOffMessage(work({ traceparent: 'trace' }), NOON, derive);
    expect(off).toMatchObject({ traceparent: 'trace', record: 'RemoteStockRefused', value: { ...identity, reason: 'withdrawn' } });
    expect(off?.value.event_id).not.toBe(told(work(), refused('refused'))?.value.event_id);
    expect(calledOffMessage(work({ kind: 'LOWER', purchaseId: null }), NOON, derive)).toBeUndefined();
  });
  test('nothing, where the item was never listed: there is no product to name', () => {
    const never = work({ listing: listing({ productId: 0 }) });
    expect([told(never, refused('refused')), calledOffMessage(never, NOON, derive)]).toEqual([undefined, undefined]);
    expect(told(never, applied({ listing: listing({ productId: 404 }) }))?.value.product_id).toBe(404);
  });
  test('nothing, where no sale waits', () => {
    for (const result of [applied({}), refused('refused'), needsOperator(), unknown(1)]) expect(told(work({ kind: 'LOWER', purchaseId: null }), result)).toBeUndefined();
  });
  test('the same id for the same result, another for another attempt', () => {
    const id = (of: Work, result: Result): string | undefined => told(of, result)?.value.event_id;
    expect(id(work(), applied({}))).toBe(id(work(), applied({ lower: 1 })));
    expect(new Set([id(work(), applied({})), id(work({ attempts: 1 }), applied({})), id(work(), refused('refused')), id(work({ id: uuid(9) }), applied({}))]).size).toBe(4);
  });
});
