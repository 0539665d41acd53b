import { describe, expect, test } from 'vitest';
import { LANES, laneOf, partitionOf, TOPICS } from '../../src/contract/index.ts';
import { bornAt, decide } from '../../src/ingest/chunk.ts';
import { change, deadEntry, entry, folds, randomUuid, uuid, uuid7 } from '../support/events.ts';

/** Protects: in which order a record is judged, so that the same record always meets the same end. */
const NOW = Date.UTC(2026, 5, 1);
const HORIZON = NOW - 30 * 86_400_000;
const OLD = HORIZON - 1;
const rules = { tooOldBefore: HORIZON };
const nothingKnown = { inLedger: new Set<string>(), parkedEvents: new Set<string>(), parkedUsers: new Set<string>(), buried: new Set<string>() };

describe('the order of the checks', () => {
  const event = change({ event_id: uuid(1), occurred_at: NOW });
  const old = change({ event_id: uuid(2), occurred_at: OLD });

  test('a record that could not be decoded is a dead letter, and no event', () => {
    const fold = folds();
    const decision = decide([deadEntry()], fold, rules, nothingKnown);
    expect(decision).toMatchObject({ outcomes: ['dead'], dead: [{ reason: 'undecodable' }], parked: [] });
    expect(fold.stock.ledger).toEqual([]);
  });

  test('known comes before too old: a duplicate is a duplicate however old it is', () => {
    expect(decide([entry(old)], folds(), rules, { ...nothingKnown, inLedger: new Set([old.event_id]) })).toEqual({ outcomes: ['duplicate'], dead: [], parked: [], levels: [] });
  });

  test('known comes before parked: an event that took effect before its user was parked does not wait', () => {
    const known = { ...nothingKnown, inLedger: new Set([event.event_id]), parkedUsers: new Set([event.user_id]) };
    expect(decide([entry(event)], folds(), rules, known)).toEqual({ outcomes: ['duplicate'], dead: [], parked: [], levels: [] });
  });

  test('an event that waits already is a duplicate when it is delivered again', () => {
    const known = { ...nothingKnown, parkedEvents: new Set([event.event_id]), parkedUsers: new Set([event.user_id]) };
    expect(decide([entry(event)], folds(), rules, known)).toEqual({ outcomes: ['duplicate'], dead: [], parked: [], levels: [] });
  });

  test('too old comes before parked, and leaves no ledger row', () => {
    const fold = folds();
    const decision = decide([entry(old)], fold, rules, { ...nothingKnown, parkedUsers: new Set([old.user_id]) });
    expect(decision).toMatchObject({ outcomes: ['dead'], dead: [{ reason: 'too_old', userId: old.user_id, eventId: old.event_id }], parked: [] });
    expect(decision.dead[0]?.detail).toContain('2026-05-0');
    expect(fold.stock.ledger).toEqual([]);
  });

  test('on the horizon itself is in time', () => {
    expect(decide([entry(change({ event_id: uuid(3), occurred_at: HORIZON }))], folds(), rules, nothingKnown).outcomes).toEqual(['ok']);
  });

  test('events of a parked user wait, in order; everyone else’s are applied', () => {
    const parked = [change({ user_id: uuid(7), occurred_at: NOW }), change({ user_id: uuid(7), occurred_at: NOW })].map((each) => entry(each));
    const other = entry(change({ occurred_at: NOW }));
    const fold = folds();
    const decision = decide([parked[0]!, other, parked[1]!], fold, rules, { ...nothingKnown, parkedUsers: new Set([uuid(7)]) });
    expect(decision).toEqual({ outcomes: ['parked', 'ok', 'parked'], dead: [], parked, levels: [] });
    expect(fold.stock.ledger).toHaveLength(1);
  });

  test('of two copies in one chunk the first one counts, also when it waits', () => {
    const twice = [entry(event), entry({ ...event, quantity: 99 })];
    expect(decide(twice, folds(), rules, nothingKnown).outcomes).toEqual(['ok', 'duplicate']);
    expect(decide(twice, folds(), rules, { ...nothingKnown, parkedUsers: new Set([event.user_id]) }).outcomes).toEqual(['parked', 'duplicate']);
  });

  test('what the fold refuses is stale or a dead letter that says why', () => {
    const item = { user_id: uuid(7), item_id: uuid(8), occurred_at: NOW };
    const given = [
      change({ ...item, quantity: 2, version: 5 }),
      change({ ...item, quantity: 3, version: 5 }),
      change({ ...item, kind: 'ADJUST', quantity: -3 }),
      change({ ...item, kind: 'ADJUST', quantity: 2_147_483_647 }),
    ].map((each) => entry({ ...each, event_id: randomUuid() }));
    const decision = decide(given, folds(), rules, nothingKnown);
    expect(decision.outcomes).toEqual(['ok', 'stale', 'dead', 'dead']);
    expect(decision.dead).toMatchObject([
      { reason: 'would_go_negative', detail: `ADJUST by -3 of item ${uuid(8)}, which has 2`, source: given[2]?.source },
      { reason: 'out_of_range', detail: `ADJUST by 2147483647 of item ${uuid(8)}, which has 2` },
    ]);
  });

  test('a copy of an event the fold refused is a duplicate, not a second dead letter', () => {
    const refused = entry(change({ event_id: uuid(9), kind: 'ADJUST', quantity: -1, occurred_at: NOW }));
    const decision = decide([refused, refused], folds(), rules, nothingKnown);
    expect(decision.outcomes).toEqual(['dead', 'duplicate']);
    expect(decision.dead).toHaveLength(1);
  });
});

describe('when an event was born', () => {
  const born = Date.UTC(2026, 2, 3, 4, 5, 6, 789);

  test('a uuid v7 that is older than the event claims counts: a producer may stamp it anew when it sends it again', () => {
    expect(bornAt(uuid7(born), NOW)).toBe(born);
    expect(decide([entry(change({ event_id: uuid7(OLD), occurred_at: NOW }))], folds(), rules, nothingKnown).dead).toMatchObject([{ reason: 'too_old' }]);
  });

  test('a uuid v7 made after the event occurred does not make it younger', () => {
    expect(bornAt(uuid7(NOW), born)).toBe(born);
  });

  test('other ids tell no time', () => {
    for (const version of ['1', '4', '6', '8']) {
      const id = uuid7(born);
      expect(bornAt(`${id.slice(0, 14)}${version}${id.slice(15)}`, NOW)).toBe(NOW);
    }
  });

  test('every 48-bit time is read exactly', () => {
    for (const ms of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1]) expect(bornAt(uuid7(ms), Number.MAX_SAFE_INTEGER)).toBe(ms);
  });
});

describe('lanes', () => {
  test('every partition holds exactly eight of them, and a lane lies in one partition', () => {
    const { partitions } = TOPICS.marketplaceEvents;
    const lanesOf = Array.from({ length: partitions }, () => new Set<number>());
    for (let n = 0; n < 20_000; n += 1) lanesOf[partitionOf(uuid(n), partitions)]?.add(laneOf(uuid(n)));
    expect(lanesOf.map((lanes) => lanes.size)).toEqual(Array.from({ length: partitions }, () => LANES / partitions));
    expect(new Set(lanesOf.flatMap((lanes) => [...lanes])).size).toBe(LANES);
  });

  test('so a user’s partition follows from the lane alone', () => {
    for (let n = 0; n < 2_000; n += 1) expect(laneOf(uuid(n)) % 12).toBe(partitionOf(uuid(n), 12));
  });
});
