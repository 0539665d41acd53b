import { describe, expect, test } from 'vitest';
import { messageOf } from '../../../src/marketplace/dispatcher/messages.ts';
import { again, applied, needsOperator, patienceMs, refused, stalled, unknown, withoutProduct } from '../../../src/marketplace/dispatcher/results.ts';
import type { Result, Work } from '../../../src/marketplace/dispatcher/work.ts';
import { THROTTLED_REASONS, UNKNOWN_REASONS } from '../../../src/marketplace/client/index.ts';
import { intent, ITEM, listing, NOON, OURS, PRODUCT, refusal, throttling, uncertainty, USER, work } from '../../support/operations.ts';
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
  test('nothing, where no sale waits', () => {
    for (const result of [applied({}), refused('refused'), needsOperator(), unknown(1)]) expect(told(work({ kind: 'LOWER', purchaseId: null }), result)).toBeUndefined();
  });
  test('the same id for the same result, another for another attempt', () => {
    const id = (of: Work, result: Result): string | undefined => told(of, result)?.value.event_id;
    expect(id(work(), applied({}))).toBe(id(work(), applied({ lower: 1 })));
    expect(new Set([id(work(), applied({})), id(work({ attempts: 1 }), applied({})), id(work(), refused('refused')), id(work({ id: uuid(9) }), applied({}))]).size).toBe(4);
  });
});
