import { describe, expect, test } from 'vitest';
import { flagNames, historyWords, holdLines, listingLines, operationLines, parkedLines, stateLines, timeText, type HistoryRow, type HoldRow, type ItemRow, type ListingRow, type OperationRow } from '../../src/operations/item/index.ts';
import { uuid } from '../support/events.ts';

const TIME = new Date('2026-11-23T21:04:05.678Z');
const row = (given: Partial<HistoryRow>): HistoryRow => ({ event_id: uuid(1), previous_event_id: null, occurred_at: TIME, recorded_at: TIME, version: null, quantity: 7, delta: 4, on_hand: 7, kind: 'SET', outcome: 'applied', cause: 'shop', purchase_id: null, held_delta: null, ...given });
const item = (given: Partial<ItemRow>): ItemRow => ({ blueprint_id: null, on_hand: 5, held: 0, price_cents: null, currency: null, properties: null, version: null, flags: 0, updated_at: TIME, ...given });

const SALE: Partial<HistoryRow> = { quantity: 2, delta: 0, held_delta: 0, on_hand: 5, purchase_id: uuid(7) };

test.each<[Partial<HistoryRow>, string]>([
  [{}, 'SET to 7 by shop (+4), now 7'],
  [{ delta: 0 }, 'SET to 7 by shop (no change), now 7'],
  [{ kind: 'ADJUST', quantity: -3, delta: -3, on_hand: 2, cause: 'pos' }, 'ADJUST -3 by pos, now 2'],
  [{ kind: 'ADJUST', quantity: 3, delta: 3, on_hand: 5 }, 'ADJUST +3 by shop, now 5'],
  [{ kind: 'ADJUST', quantity: -3, delta: -2, on_hand: 0, cause: 'cardtrader' }, '3 sold on CardTrader, only 2 of which were here (-2), now 0'],
  [{ kind: 'ADJUST', quantity: -1, delta: 0, on_hand: 0, cause: 'cardtrader' }, '1 sold on CardTrader, none of which were here (0), now 0'],
  [{ kind: 'REMOVE', quantity: 0, delta: -2, on_hand: 0 }, 'REMOVE by shop (-2), now 0'],
  [{ kind: 'ADJUST', quantity: -3, delta: 0, on_hand: 2, outcome: 'dead-lettered', cause: 'would_go_negative' }, 'ADJUST -3 refused: would go below zero (had 2)'],
  [{ kind: 'ADJUST', quantity: 3, delta: 0, on_hand: 2_147_483_647, outcome: 'dead-lettered', cause: 'out_of_range' }, 'ADJUST +3 refused: more than a stock can count (had 2147483647)'],
  [{ quantity: 5, version: 3, delta: 0, on_hand: 2, outcome: 'stale', cause: 'stale' }, 'SET to 5 ignored: version 3 is not newer than what was known; still 2'],
  [{ delta: 0, on_hand: 2, outcome: 'dead-lettered', cause: 'discarded' }, 'SET to 7 discarded by an operator while the user was parked (had 2)'],
  [{ kind: 'ADJUST', quantity: -2, delta: -2, on_hand: 3, cause: 'cardtrader' }, '2 sold on CardTrader (-2), now 3'],
  [{ kind: 'ADJUST', quantity: 2, delta: 2, on_hand: 5, cause: 'cardtrader' }, '2 of a sale on CardTrader came back (+2), now 5'],
  [{ ...SALE, kind: 'PURCHASE', held_delta: 2, cause: 'reserved' }, `2 held for purchase ${uuid(7)}; still 5 on hand`],
  [{ ...SALE, kind: 'PURCHASE', outcome: 'rejected', cause: 'insufficient_stock' }, `purchase ${uuid(7)} wanted 2: rejected, fewer copies are available here than the purchase wants; still 5`],
  [{ ...SALE, kind: 'PURCHASE', outcome: 'dead-lettered', cause: 'discarded' }, `purchase ${uuid(7)} was discarded by an operator while the user was parked (had 5)`],
  [{ ...SALE, kind: 'CANCEL', cause: 'cancelled' }, `purchase ${uuid(7)} called off (2 of this item)`],
  [{ ...SALE, kind: 'CANCEL', outcome: 'stale', cause: 'cancelled' }, `purchase ${uuid(7)} called off: it had not come about, or was undone already; still 5`],
  [{ ...SALE, kind: 'TAKEN', delta: -2, held_delta: -2, on_hand: 3, cause: 'sold' }, `2 sold to purchase ${uuid(7)} (-2), now 3`],
  [{ ...SALE, kind: 'TAKEN', delta: -1, held_delta: -2, on_hand: 0, cause: 'sold' }, `2 sold to purchase ${uuid(7)} (-1: fewer were left, for a SET had lowered it below what was held), now 0`],
  [{ ...SALE, kind: 'GIVEN_BACK', delta: 2, on_hand: 7, cause: 'cancelled' }, `2 of purchase ${uuid(7)} given back: a PurchaseCancelled called it off (+2), now 7`],
  [{ ...SALE, kind: 'GIVEN_BACK', held_delta: -2, cause: 'expired' }, `2 not held for purchase ${uuid(7)} any longer: the stock could not be taken on both sides before the deadline; still 5 on hand`],
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

describe('sales and CardTrader', () => {
  const hold = (given: Partial<HoldRow>): HoldRow => ({ purchase_id: uuid(7), quantity: 2, since: TIME, state: 'RESERVED', deadline_at: new Date(TIME.getTime() + 900_000), buyer_id: null, ...given });
  const listing = (given: Partial<ListingRow>): ListingRow => ({ product_id: 77, name: 'Black Lotus', quantity: 3, price_cents: 1_205, currency: 'EUR', confirmed_at: TIME, gone: false, mismatch: null, seller_status: 'active', status_reason: null, ...given });
  const operation = (given: Partial<OperationRow>): OperationRow => ({ operation_id: uuid(8), purchase_id: uuid(7), kind: 'TAKE', quantity: 2, state: 'PENDING', reason: null, attempts: 0, created_at: TIME, due_at: TIME, ...given });

  test.each<[Partial<HoldRow>, string]>([
    [{}, `2 for purchase ${uuid(7)} since 2026-11-23 21:04:05: RESERVED, given up at 2026-11-23 21:19:05 unless it goes through`],
    [{ state: 'RECONCILING', buyer_id: 'jo' }, `2 for purchase ${uuid(7)} of jo since 2026-11-23 21:04:05: RECONCILING, until it is known what CardTrader did`],
    [{ state: 'NEEDS_OPERATOR' }, `2 for purchase ${uuid(7)} since 2026-11-23 21:04:05: NEEDS_OPERATOR, until an operator decides: brx-sync saga show ${uuid(7)}`],
  ])('a hold: %j', (given, words) => expect(holdLines([hold(given)])).toEqual([words]));

  test.each<[Partial<ListingRow>, string[]]>([
    [{}, ['product 77 (Black Lotus): 3 at 12.05 EUR, confirmed 2026-11-23 21:04:05 UTC']],
    [{ gone: true, name: null, mismatch: { kind: 'gone', at: TIME.getTime(), expected: 3, found: null } }, ['product 77: not there any more, confirmed 2026-11-23 21:04:05 UTC', 'mismatch since 2026-11-23 21:04:05: the product is gone, and no order explains it (expected 3, found none)']],
    [{ seller_status: 'token_rejected', status_reason: '401' }, ['product 77 (Black Lotus): 3 at 12.05 EUR, confirmed 2026-11-23 21:04:05 UTC', 'the account is token rejected (401): nothing is sent to CardTrader']],
  ])('a listing: %j', (given, words) => expect(listingLines(listing(given))).toEqual(words));

  test.each<[Partial<OperationRow>, string]>([
    [{}, `take 2 off for purchase ${uuid(7)}: waits to be sent, wanted since 2026-11-23 21:04:05`],
    [{ kind: 'RETURN', state: 'UNKNOWN', attempts: 1 }, `put 2 up again for purchase ${uuid(7)}: its answer was lost: it is looked into, wanted since 2026-11-23 21:04:05, sent 1 time`],
    [{ kind: 'LOWER', purchase_id: null, state: 'NEEDS_OPERATOR', reason: 'refused' }, 'take 2 off that were sold there: needs an operator (CardTrader refused the change), wanted since 2026-11-23 21:04:05'],
  ])('an operation: %j', (given, words) => expect(operationLines([operation(given)])).toEqual([words]));
});
