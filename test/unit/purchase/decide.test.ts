import { describe, expect, test } from 'vitest';
import { decide, type Stimulus, type View } from '../../../src/purchase/decide.ts';
import { evolve } from '../../../src/purchase/evolve.ts';
import type { Operation } from '../../../src/marketplace/index.ts';
import { STATES, type Fact, type Saga, type State } from '../../../src/purchase/saga.ts';
import { uuid } from '../../support/events.ts';

/** Protects: what a sale does next, given where it stands and what is known of its operations. Given, when, then. */
const [A, B] = [uuid(0xa), uuid(0xb)];
const NOW = Date.UTC(2026, 10, 25);
const DEADLINE = NOW + 60_000;

const saga = (state: State, given: Partial<Saga> = {}): Saga => ({
  userId: uuid(1),
  purchaseId: uuid(2),
  eventId: uuid(3),
  startedAt: NOW - 1_000,
  currency: 'EUR',
  buyerId: null,
  traceparent: null,
  lines: [
    { itemId: A, quantity: 2, unitPriceCents: 100 },
    { itemId: B, quantity: 1, unitPriceCents: 50 },
  ],
  deadlineAt: DEADLINE,
  version: 3,
  state,
  reason: state === 'COMPENSATING' || state === 'COMPENSATED' || state === 'REJECTED' ? 'expired' : null,
  cancelled: false,
  sold: state === 'CONFIRMED',
  ...given,
});

const take = (itemId: string, state: Operation['state'], given: Partial<Operation> = {}): Operation => ({ id: `take-${itemId}`, itemId, kind: 'TAKE', quantity: 1, state, returns: null, reason: null, ...given });
const giveBack = (itemId: string, state: Operation['state'], given: Partial<Operation> = {}): Operation => ({ ...take(itemId, state), id: `return-${itemId}`, kind: 'RETURN', returns: `take-${itemId}`, ...given });

const LISTED = [{ itemId: A, productId: 1 }, { itemId: B, productId: 2 }];
const view = (given: Partial<View> = {}): View => ({ operations: [], listings: [], covered: true, now: NOW, ...given });
const look: Stimulus = { kind: 'look' };

describe('reserved', () => {
  test.each<[when: string, given: Partial<View>, then: Fact]>([
    ['nothing of it is listed on CardTrader: sold, there is no remote step', {}, { fact: 'confirmed' }],
    ['all of it is listed: every item is called for', { listings: LISTED }, { fact: 'called', take: [{ itemId: A, quantity: 2 }, { itemId: B, quantity: 1 }] }],
    ['some of it is listed: only that is called for', { listings: LISTED.slice(1) }, { fact: 'called', take: [{ itemId: B, quantity: 1 }] }],
    ['a SET has lowered the stock below what it holds: undone', { covered: false, listings: LISTED }, { fact: 'compensated', reason: 'insufficient_stock' }],
    ['it is late: undone, nothing is called any more', { now: DEADLINE, listings: LISTED }, { fact: 'compensated', reason: 'expired' }],
  ])('%s', (_, given, then) => {
    expect(decide(saga('RESERVED'), view(given), look)).toEqual(then);
  });

  test('lines of one item are one operation', () => {
    const twice = saga('RESERVED', { lines: [{ itemId: A, quantity: 2, unitPriceCents: 1 }, { itemId: B, quantity: 1, unitPriceCents: 1 }, { itemId: A, quantity: 3, unitPriceCents: 9 }] });
    expect(decide(twice, view({ listings: LISTED }), look)).toEqual({ fact: 'called', take: [{ itemId: A, quantity: 5 }, { itemId: B, quantity: 1 }] });
  });
});

describe('calls are out', () => {
  const undo = (reason: Fact & { fact: 'compensating' } extends { reason: infer R } ? R : never, more: { withdraw?: string[]; giveBack?: string[] } = {}): Fact => ({ fact: 'compensating', reason, withdraw: [], giveBack: [], ...more });

  test.each<[when: string, state: 'CALLING' | 'RECONCILING', operations: Operation[], then: Fact | undefined]>([
    ['none has an answer: wait', 'CALLING', [take(A, 'PENDING'), take(B, 'SENT')], undefined],
    ['one is applied, one is out: wait', 'CALLING', [take(A, 'APPLIED'), take(B, 'SENT')], undefined],
    ['all are applied: sold', 'CALLING', [take(A, 'APPLIED'), take(B, 'APPLIED')], { fact: 'confirmed' }],
    ['one is unknown: found out by reading', 'CALLING', [take(A, 'UNKNOWN'), take(B, 'APPLIED')], { fact: 'unknown', operations: [`take-${A}`] }],
    ['it is known to be unknown: wait', 'RECONCILING', [take(A, 'UNKNOWN'), take(B, 'APPLIED')], undefined],
    ['what was unknown was not applied and is asked for again', 'RECONCILING', [take(A, 'PENDING'), take(B, 'APPLIED')], { fact: 'found' }],
    ['what was unknown was applied: sold', 'RECONCILING', [take(A, 'APPLIED'), take(B, 'APPLIED')], { fact: 'confirmed' }],
    ['one is refused: the others are withdrawn and given back', 'CALLING', [take(A, 'REFUSED', { reason: 'remote_insufficient_stock' }), take(B, 'APPLIED')], undo('remote_insufficient_stock', { giveBack: [`take-${B}`] })],
    ['one is refused, one was never sent: withdrawn', 'CALLING', [take(A, 'REFUSED', { reason: 'remote_product_gone' }), take(B, 'PENDING')], undo('remote_product_gone', { withdraw: [`take-${B}`] })],
    ['one is refused, one is out: nothing can be done about that one yet', 'CALLING', [take(A, 'REFUSED', { reason: 'forbidden' }), take(B, 'SENT')], undo('remote_refused')],
    ['one is refused, one is unknown: likewise', 'RECONCILING', [take(A, 'REFUSED', { reason: 'refused' }), take(B, 'UNKNOWN')], undo('remote_refused')],
    ['an operator has said that one was not carried out: undone, with that for its reason', 'CALLING', [take(A, 'REFUSED', { reason: 'operator' }), take(B, 'APPLIED')], undo('operator', { giveBack: [`take-${B}`] })],
    ['one was withdrawn, and comes no more: undone, not waited for', 'CALLING', [take(A, 'WITHDRAWN'), take(B, 'APPLIED')], undo('remote_refused', { giveBack: [`take-${B}`] })],
    ['its operations are not there: an operator, never a guess', 'CALLING', [], { fact: 'stuck', why: 'its operations are not there' }],
    ['one needs an operator: so does the sale', 'RECONCILING', [take(A, 'NEEDS_OPERATOR', { reason: 'unexplained' }), take(B, 'APPLIED')], { fact: 'stuck', why: 'unexplained' }],
    ['one needs an operator, one is refused: the operator first, because it may have to be given back', 'CALLING', [take(A, 'NEEDS_OPERATOR'), take(B, 'REFUSED')], { fact: 'stuck', why: 'unexplained' }],
  ])('%s', (_, state, operations, then) => {
    expect(decide(saga(state), view({ operations }), look)).toEqual(then);
  });

  test.each<[when: string, operations: Operation[], then: Fact]>([
    ['late, and one was never sent: withdrawn, the other given back', [take(A, 'PENDING'), take(B, 'APPLIED')], { fact: 'compensating', reason: 'expired', withdraw: [`take-${A}`], giveBack: [`take-${B}`] }],
    ['late, and one is out: it is waited for, on the way back', [take(A, 'SENT'), take(B, 'APPLIED')], { fact: 'compensating', reason: 'expired', withdraw: [], giveBack: [`take-${B}`] }],
    ['late, but all are applied: the sale stands', [take(A, 'APPLIED'), take(B, 'APPLIED')], { fact: 'confirmed' }],
  ])('%s', (_, operations, then) => {
    expect(decide(saga('CALLING'), view({ operations, now: DEADLINE }), look)).toEqual(then);
  });
});

describe('on the way back', () => {
  test.each<[when: string, operations: Operation[], then: Fact | undefined]>([
    ['nothing was ever applied: done', [take(A, 'WITHDRAWN'), take(B, 'REFUSED')], { fact: 'compensated', reason: 'expired' }],
    ['there never was an operation: done', [], { fact: 'compensated', reason: 'expired' }],
    ['something may still be applied: wait', [take(A, 'SENT'), take(B, 'REFUSED')], undefined],
    ['something is unknown: wait, and release nothing', [take(A, 'UNKNOWN'), take(B, 'REFUSED')], undefined],
    ['what was out was applied: given back', [take(A, 'APPLIED'), take(B, 'REFUSED')], { fact: 'giving_back', giveBack: [`take-${A}`] }],
    ['what was out was not carried out, and is not sent again: called off', [take(A, 'PENDING'), take(B, 'APPLIED')], { fact: 'compensating', reason: 'expired', withdraw: [`take-${A}`], giveBack: [`take-${B}`] }],
    ['it is being given back: wait', [take(A, 'APPLIED'), giveBack(A, 'PENDING'), take(B, 'REFUSED')], undefined],
    ['giving back is unknown: wait', [take(A, 'APPLIED'), giveBack(A, 'UNKNOWN'), take(B, 'REFUSED')], undefined],
    ['all is given back: done', [take(A, 'APPLIED'), giveBack(A, 'APPLIED'), take(B, 'APPLIED'), giveBack(B, 'APPLIED')], { fact: 'compensated', reason: 'expired' }],
    ['what is not taken back yet comes first', [take(A, 'APPLIED'), giveBack(A, 'APPLIED'), take(B, 'APPLIED')], { fact: 'giving_back', giveBack: [`take-${B}`] }],
    ['giving back is refused: an operator', [take(A, 'APPLIED'), giveBack(A, 'REFUSED', { reason: 'refused' })], { fact: 'stuck', why: 'refused' }],
    ['a take needs an operator: so does the sale', [take(A, 'NEEDS_OPERATOR'), take(B, 'WITHDRAWN')], { fact: 'stuck', why: 'unexplained' }],
  ])('%s', (_, operations, then) => {
    expect(decide(saga('COMPENSATING'), view({ operations }), look)).toEqual(then);
  });
});

describe('a cancellation', () => {
  const cancel: Stimulus = { kind: 'cancel' };
  test.each<[when: string, given: Saga, operations: Operation[], then: Fact | undefined]>([
    ['before anything was called: undone at once', saga('RESERVED'), [], { fact: 'compensated', reason: 'cancelled' }],
    ['while calls wait: withdrawn', saga('CALLING'), [take(A, 'PENDING'), take(B, 'PENDING')], { fact: 'compensating', reason: 'cancelled', withdraw: [`take-${A}`, `take-${B}`], giveBack: [] }],
    ['while a call is out: waited for, on the way back', saga('CALLING'), [take(A, 'SENT')], { fact: 'compensating', reason: 'cancelled', withdraw: [], giveBack: [] }],
    ['while an outcome is unknown: likewise', saga('RECONCILING'), [take(A, 'UNKNOWN'), take(B, 'APPLIED')], { fact: 'compensating', reason: 'cancelled', withdraw: [], giveBack: [`take-${B}`] }],
    ['after the sale: given back on both sides', saga('CONFIRMED'), [take(A, 'APPLIED'), take(B, 'APPLIED')], { fact: 'compensating', reason: 'cancelled', withdraw: [], giveBack: [`take-${A}`, `take-${B}`] }],
    ...(['SENT', 'UNKNOWN', 'NEEDS_OPERATOR'] as const).map((state): [string, Saga, Operation[], Fact] => [`while a call is ${state}, whatever the sale says of itself: no stock is released before it is known`, saga('CONFIRMED'), [take(A, state)], { fact: 'compensating', reason: 'cancelled', withdraw: [], giveBack: [] }]),
    ['after a sale of nothing that is listed: given back here', saga('CONFIRMED'), [], { fact: 'compensated', reason: 'cancelled' }],
    ['while an operator is needed: kept in mind', saga('NEEDS_OPERATOR'), [take(A, 'NEEDS_OPERATOR')], { fact: 'cancel_noted' }],
    ['a second time while an operator is needed: nothing', saga('NEEDS_OPERATOR', { cancelled: true }), [take(A, 'NEEDS_OPERATOR')], undefined],
    ['while it is undone for another reason: nothing', saga('COMPENSATING'), [take(A, 'SENT')], undefined],
    ['of what was rejected: nothing', saga('REJECTED'), [], undefined],
    ['of what is undone: nothing', saga('COMPENSATED'), [], undefined],
  ])('%s', (_, given, operations, then) => {
    expect(decide(given, view({ operations }), cancel)).toEqual(then);
  });

  test('that was kept in mind is carried out once the operator has spoken', () => {
    const resumed = evolve(saga('NEEDS_OPERATOR', { cancelled: true }), { fact: 'resumed', verb: 'resolve' });
    expect(decide(resumed, view({ operations: [take(A, 'APPLIED')] }), look)).toEqual({ fact: 'compensating', reason: 'cancelled', withdraw: [], giveBack: [`take-${A}`] });
  });
});

describe('an operator', () => {
  test.each<[State, Saga, Fact | undefined]>([
    ['NEEDS_OPERATOR', saga('NEEDS_OPERATOR'), { fact: 'resumed', verb: 'retry' }],
    ['CALLING', saga('CALLING'), undefined],
    ['CONFIRMED', saga('CONFIRMED'), undefined],
  ])('lets a sale go on only where it is stuck: %s', (_, given, then) => {
    expect(decide(given, view({ operations: [take(A, 'PENDING')] }), { kind: 'resume', verb: 'retry' })).toEqual(then);
  });

  test.each<[when: string, given: Saga, operations: Operation[], then: Fact | undefined]>([
    ['what was called for is done', saga('CALLING'), [take(A, 'APPLIED')], { fact: 'confirmed' }],
    ['it needed an operator, who has said that all is done', saga('NEEDS_OPERATOR'), [take(A, 'APPLIED'), take(B, 'APPLIED')], { fact: 'confirmed' }],
    ['what was unknown is found to be done', saga('RECONCILING'), [take(A, 'APPLIED')], { fact: 'confirmed' }],
    ['something is open', saga('NEEDS_OPERATOR'), [take(A, 'APPLIED'), take(B, 'UNKNOWN')], undefined],
    ['something was given back', saga('NEEDS_OPERATOR'), [take(A, 'APPLIED'), giveBack(A, 'APPLIED')], undefined],
    ['it was called off', saga('NEEDS_OPERATOR', { cancelled: true }), [take(A, 'APPLIED')], undefined],
    ['it is on its way back', saga('COMPENSATING', { reason: 'expired' }), [take(A, 'APPLIED')], undefined],
    ['it has called for nothing yet', saga('RESERVED'), [], undefined],
    ['it has ended', saga('COMPENSATED', { reason: 'expired' }), [], undefined],
  ])('lets a sale stand, or cannot: %s', (_, given, operations, then) => {
    expect(decide(given, view({ operations }), { kind: 'confirm' })).toEqual(then);
  });

  test('a sale that was on its way back goes on back, one that was not goes on calling', () => {
    expect(evolve(saga('NEEDS_OPERATOR', { reason: 'cancelled' }), { fact: 'resumed', verb: 'retry' }).state).toBe('COMPENSATING');
    expect(evolve(saga('NEEDS_OPERATOR', { reason: null }), { fact: 'resumed', verb: 'retry' }).state).toBe('CALLING');
  });

  test.each<[State, Operation[], Fact | undefined]>([
    ['RESERVED', [], { fact: 'compensated', reason: 'operator' }],
    ['CALLING', [take(A, 'PENDING')], { fact: 'compensating', reason: 'operator', withdraw: [`take-${A}`], giveBack: [] }],
    ['CONFIRMED', [take(A, 'APPLIED')], { fact: 'compensating', reason: 'operator', withdraw: [], giveBack: [`take-${A}`] }],
    ['NEEDS_OPERATOR', [take(A, 'REFUSED'), take(B, 'APPLIED')], { fact: 'compensating', reason: 'operator', withdraw: [], giveBack: [`take-${B}`] }],
    ['COMPENSATING', [], undefined],
    ['REJECTED', [], undefined],
    ['COMPENSATED', [], undefined],
  ])('undoes a sale that is %s', (state, operations, then) => {
    expect(decide(saga(state), view({ operations }), { kind: 'compensate' })).toEqual(then);
  });
});

describe('a step that the database refuses', () => {
  const stick: Stimulus = { kind: 'stick', why: 'a constraint' };
  test.each(['RESERVED', 'CALLING', 'RECONCILING', 'COMPENSATING'] as const)('of a sale that is %s: an operator must look', (state) => {
    expect(decide(saga(state), view({ operations: [take(A, 'APPLIED')] }), stick)).toEqual({ fact: 'stuck', why: 'a constraint' });
  });
  test.each(['NEEDS_OPERATOR', 'CONFIRMED', 'REJECTED', 'COMPENSATED'] as const)('of a sale that is %s: it stays what it is', (state) => {
    expect(decide(saga(state), view({ operations: [take(A, 'APPLIED')] }), stick)).toBeUndefined();
  });
});

test.each(STATES.filter((state) => ['NEEDS_OPERATOR', 'CONFIRMED', 'REJECTED', 'COMPENSATED'].includes(state)))('%s: a look does nothing', (state) => {
  expect(decide(saga(state), view({ operations: [take(A, 'APPLIED')], now: DEADLINE + 1 }), look)).toBeUndefined();
});

describe('what a fact makes of the saga', () => {
  test.each<[Fact, State, Partial<Saga>]>([
    [{ fact: 'reserved' }, 'RESERVED', { state: 'RESERVED' }],
    [{ fact: 'rejected', reason: 'unknown_item' }, 'RESERVED', { state: 'REJECTED', reason: 'unknown_item', sold: false }],
    [{ fact: 'called', take: [] }, 'RESERVED', { state: 'CALLING' }],
    [{ fact: 'unknown', operations: [] }, 'CALLING', { state: 'RECONCILING' }],
    [{ fact: 'found' }, 'RECONCILING', { state: 'CALLING' }],
    [{ fact: 'confirmed' }, 'CALLING', { state: 'CONFIRMED', sold: true, reason: null }],
    [{ fact: 'compensating', reason: 'cancelled', withdraw: [], giveBack: [] }, 'CONFIRMED', { state: 'COMPENSATING', reason: 'cancelled', sold: true }],
    [{ fact: 'giving_back', giveBack: [] }, 'COMPENSATING', { state: 'COMPENSATING', reason: 'expired' }],
    [{ fact: 'compensated', reason: 'cancelled' }, 'COMPENSATING', { state: 'COMPENSATED', reason: 'cancelled', sold: false }],
    [{ fact: 'stuck', why: 'x' }, 'COMPENSATING', { state: 'NEEDS_OPERATOR', reason: 'expired' }],
    [{ fact: 'cancel_noted' }, 'NEEDS_OPERATOR', { state: 'NEEDS_OPERATOR', cancelled: true }],
  ])('%o', (fact, from, then) => {
    const before = saga(from);
    expect(evolve(before, fact)).toEqual({ ...before, version: before.version + 1, ...then });
  });
});
