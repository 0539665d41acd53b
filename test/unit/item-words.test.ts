import { describe, expect, test } from 'vitest';
import { flagNames, historyWords, parkedLines, stateLines, timeText, type HistoryRow, type ItemRow } from '../../src/operations/item/index.ts';
import { uuid } from '../support/events.ts';

const TIME = new Date('2026-11-23T21:04:05.678Z');
const row = (given: Partial<HistoryRow>): HistoryRow => ({ event_id: uuid(1), previous_event_id: null, occurred_at: TIME, recorded_at: TIME, version: null, quantity: 7, delta: 4, on_hand: 7, kind: 'SET', outcome: 'applied', cause: 'shop', ...given });
const item = (given: Partial<ItemRow>): ItemRow => ({ blueprint_id: null, on_hand: 5, held: 0, price_cents: null, currency: null, properties: null, version: null, flags: 0, updated_at: TIME, ...given });

test.each<[Partial<HistoryRow>, string]>([
  [{}, 'SET to 7 by shop (+4), now 7'],
  [{ delta: 0 }, 'SET to 7 by shop (no change), now 7'],
  [{ kind: 'ADJUST', quantity: -3, delta: -3, on_hand: 2, cause: 'pos' }, 'ADJUST -3 by pos, now 2'],
  [{ kind: 'ADJUST', quantity: 3, delta: 3, on_hand: 5 }, 'ADJUST +3 by shop, now 5'],
  [{ kind: 'REMOVE', quantity: 0, delta: -2, on_hand: 0 }, 'REMOVE by shop (-2), now 0'],
  [{ kind: 'ADJUST', quantity: -3, delta: 0, on_hand: 2, outcome: 'dead-lettered', cause: 'would_go_negative' }, 'ADJUST -3 refused: would go below zero (had 2)'],
  [{ kind: 'ADJUST', quantity: 3, delta: 0, on_hand: 2_147_483_647, outcome: 'dead-lettered', cause: 'out_of_range' }, 'ADJUST +3 refused: more than a stock can count (had 2147483647)'],
  [{ quantity: 5, version: 3, delta: 0, on_hand: 2, outcome: 'stale', cause: 'stale' }, 'SET to 5 ignored: version 3 is not newer than what was known; still 2'],
  [{ delta: 0, on_hand: 2, outcome: 'dead-lettered', cause: 'discarded' }, 'SET to 7 discarded by an operator while the user was parked (had 2)'],
])('history: %j', (given, words) => expect(historyWords(row(given))).toBe(words));

describe('state', () => {
  test('everything known', () => {
    expect(stateLines(item({ held: 2, price_cents: 1_205, currency: 'EUR', blueprint_id: 77, properties: { condition: 'Mint', foil: 'true' }, version: 4 }))).toEqual([
      'available   3 (5 on hand, 2 held)',
      'price       12.05 EUR',
      'blueprint   77',
      'properties  condition Mint, foil true',
      'version     4',
      'changed     2026-11-23 21:04:05 UTC',
    ]);
  });

  test('nothing known, every flag', () => {
    const lines = stateLines(item({ on_hand: 1, held: 3, flags: 7 }));
    expect(lines).toContain('available   -2 (1 on hand, 3 held)');
    expect(lines).toContain('blueprint   unknown: it cannot be listed remotely yet');
    expect(lines.filter((line) => /removed|drifted|oversold/.test(line)).length).toBe(3);
    expect(flagNames(6)).toEqual(['drifted', 'oversold']);
  });
});

test('a parked user: since when, why, how many wait, and the way out', () => {
  const lines = parkedLines(uuid(9), { reason: 'data', error: 'value out of range', parked_at: TIME, attempts: 2, waiting: 1 });
  expect(lines.join('\n')).toContain(`since ${timeText(TIME)} UTC: 1 event waits`);
  expect(lines.join('\n')).toContain('data: value out of range');
  expect(lines.join('\n')).toContain(`brx-sync parked retry ${uuid(9)} (tried 2 times)`);
});
