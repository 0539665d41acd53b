import { describe, expect, test } from 'vitest';
import type { InventoryChanged } from '../../../src/contract/index.ts';
import type { Evidence } from '../../../src/operations/redrive/evidence.sql.ts';
import { judge, question, type Verdict } from '../../../src/operations/redrive/judge.ts';
import type { Entry } from '../../../src/records/index.ts';
import { cancellation, change, deadEntry, entry, purchase, source, uuid, uuid7 } from '../../support/events.ts';

/** Protects: whether a dead letter may go out again, from what is known of its event and of its item. Given, when, then. */
const NOON = Date.UTC(2026, 10, 25, 12);
const HORIZON = NOON - 30 * 86_400_000;

const nothing: Evidence = { outcome: null, recordedAt: null, parked: false, itemVersion: null, itemOccurredAt: null };
const changed = (given: Partial<InventoryChanged> = {}): InventoryChanged => change({ event_id: uuid(9), occurred_at: NOON, ...given });
const verdict = (of: Entry, known: Partial<Evidence> = {}, tooOldBefore = HORIZON): Verdict => judge(of, { ...nothing, ...known }, tooOldBefore).verdict;

describe('what is known of the event itself', () => {
  test('nothing: sent', () => {
    for (const known of [nothing, undefined]) expect(judge(entry(changed()), known, HORIZON)).toEqual({ verdict: 'send', detail: '' });
  });
  test.each([['a', 'it was applied'], ['s', 'it was stale'], ['r', 'its purchase was rejected'], ['d', 'the ledger has refused it']] as const)('its row in the ledger (%s): a duplicate, and why', (outcome, said) => {
    const judged = judge(entry(changed()), { ...nothing, outcome, recordedAt: new Date(NOON) }, HORIZON);
    expect(judged.verdict).toBe('duplicate');
    expect(judged.detail).toContain(said);
    expect(judged.detail).toContain('2026-11-25T12:00:00.000Z');
  });
  test('it waits with its parked user: sent too it would be there twice', () => expect(verdict(entry(changed()), { parked: true })).toBe('duplicate'));
  test('it cannot be read: unfit, whatever else is known', () => {
    const judged = judge(deadEntry({}, { reason: 'invalid', detail: 'quantity: must be 0 or more' }), { ...nothing, outcome: 'a' }, HORIZON);
    expect(judged).toEqual({ verdict: 'unfit', detail: 'invalid: quantity: must be 0 or more' });
  });
});

describe('the horizon', () => {
  test.each<[what: string, event: Partial<InventoryChanged>, then: Verdict]>([
    ['a moment before it', { occurred_at: HORIZON - 1 }, 'too_old'],
    ['at it', { occurred_at: HORIZON }, 'send'],
    ['an id made before it, stamped anew', { event_id: uuid7(HORIZON - 1) }, 'too_old'],
  ])('%s: %s', (_, event, then) => expect(verdict(entry(changed(event)))).toBe(then));
  test('what the ledger knows is a duplicate, however old', () => expect(verdict(entry(changed({ occurred_at: HORIZON - 1 })), { outcome: 'a' })).toBe('duplicate'));
  test('a topic that knows none lets everything out', () => expect(verdict(entry(changed({ occurred_at: HORIZON - 1 })), {}, 0)).toBe('send'));
});

describe('what has become of the item since', () => {
  const later = new Date(NOON + 1);
  test.each<[what: string, event: Partial<InventoryChanged>, known: Partial<Evidence>, then: Verdict]>([
    ['nothing newer', {}, { itemOccurredAt: new Date(NOON - 1) }, 'send'],
    ['something of the same moment', {}, { itemOccurredAt: new Date(NOON) }, 'send'],
    ['something newer', {}, { itemOccurredAt: later }, 'superseded'],
    ['something newer than a REMOVE', { kind: 'REMOVE', quantity: 0 }, { itemOccurredAt: later }, 'superseded'],
    ['something newer than an ADJUST, which adds to whatever is there', { kind: 'ADJUST' }, { itemOccurredAt: later, itemVersion: 9 }, 'send'],
    ['a newer version', { version: 3 }, { itemVersion: 4 }, 'superseded'],
    ['the same version, which ingest would find stale', { version: 4 }, { itemVersion: 4 }, 'superseded'],
    ['an older version: it counts, not the time', { version: 5 }, { itemVersion: 4, itemOccurredAt: later }, 'send'],
    ['a version, and the event has none: the time counts', {}, { itemVersion: 4, itemOccurredAt: later }, 'superseded'],
    ['a version, and the event has none, but nothing is newer', {}, { itemVersion: 4, itemOccurredAt: new Date(NOON - 1) }, 'send'],
    ['no version, and the event has one: the time counts', { version: 5 }, { itemOccurredAt: later }, 'superseded'],
  ])('%s: %s', (_, event, known, then) => expect(verdict(entry(changed(event)), known)).toBe(then));
});

describe('what is asked for', () => {
  test('a SET or REMOVE: its item too; an ADJUST or a purchase: the event alone', () => {
    const [set, adjust, bought, cancelled] = [changed(), changed({ kind: 'ADJUST' }), purchase(), cancellation(purchase())];
    const asked = (of: Entry): string | null | undefined => question(of)?.itemId;
    expect(asked(entry(set))).toBe(set.item_id);
    expect(asked(entry({ ...set, kind: 'REMOVE', quantity: 0 }))).toBe(set.item_id);
    expect(asked(entry(adjust))).toBeNull();
    expect(asked({ kind: 'event', type: 'PurchaseRequested', event: bought, source: source() })).toBeNull();
    expect(question({ kind: 'event', type: 'PurchaseCancelled', event: cancelled, source: source() })).toEqual({ eventId: cancelled.event_id, userId: cancelled.user_id, itemId: null });
  });
  test('of what cannot be read there is nothing to ask', () => expect(question(deadEntry())).toBeUndefined());
});
