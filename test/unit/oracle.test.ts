import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { InventoryChanged } from '../../src/contract/index.ts';
import { createTopicLog, NO_EVIDENCE, settle, TOLERANCE_MS, type Evidence, type EnvelopeReason, type Verdict } from '../../src/operations/verify/index.ts';

import { uuid } from '../support/events.ts';
import { scan } from '../support/source-scan.ts';

const NOW = Date.UTC(2026, 10, 23, 12);
const DAY = 86_400_000;
const HORIZON = 30 * DAY;
const USER = uuid(1);
const ITEM = uuid(2);

/** A record at offset 0, 1, 2, ... of its partition: an event, or refused. */
interface Sent {
  event?: Partial<InventoryChanged>;
  refused?: EnvelopeReason;
  partition?: number;
  timestamp?: number;
}

let nextId = 1_000;
const set = (quantity: number, more: Partial<InventoryChanged> = {}): Partial<InventoryChanged> => ({ kind: 'SET', quantity, ...more });
const adjust = (quantity: number, more: Partial<InventoryChanged> = {}): Partial<InventoryChanged> => ({ kind: 'ADJUST', quantity, ...more });
const remove = (more: Partial<InventoryChanged> = {}): Partial<InventoryChanged> => ({ kind: 'REMOVE', quantity: 0, ...more });

function event(given: Partial<InventoryChanged>): InventoryChanged {
  return { event_id: uuid(nextId++), user_id: USER, item_id: ITEM, kind: 'SET', quantity: 0, price_cents: null, currency: null, blueprint_id: null, properties: null, version: null, source: 'shop', occurred_at: NOW - 1_000, ...given };
}

function run(sent: readonly Sent[], evidence: Partial<Evidence> = {}, now = NOW) {
  const log = createTopicLog();
  const offsets = new Map<number, number>();
  const events: (InventoryChanged | undefined)[] = [];
  for (const { event: given, refused, partition = 0, timestamp = NOW - 500 } of sent) {
    const offset = offsets.get(partition) ?? 0;
    offsets.set(partition, offset + 1);
    const made = given === undefined ? undefined : event(given);
    events.push(made);
    log.add({ partition, offset, timestamp, content: made === undefined ? { refused: refused ?? 'undecodable' } : { event: made } });
  }
  const verdict = settle(log, { horizonMs: HORIZON, now }, { ...NO_EVIDENCE, ...evidence });
  const rowOf = (index: number): ReturnType<Verdict['row']> => verdict.row(log.events.find(events[index]?.event_id ?? ''));
  const itemOf = (item = ITEM, user = USER): ReturnType<Verdict['item']> => verdict.item(log.items.find(user, item));
  return { log, verdict, events, rowOf, itemOf, reasons: verdict.deadLetters.map(({ partition, offset, reason }) => `${partition}/${offset} ${reason}`) };
}

describe('DESIGN section 4, row by row, on one item', () => {
  // What is sent → outcome, delta and on_hand of each event; the item in the end.
  const cases: [string, Partial<InventoryChanged>[], string[], Record<string, unknown> | null][] = [
    ['SET of an item never seen creates it', [set(4)], ['applied +4 =4'], { on_hand: 4, removed: false, drifted: false, blueprint_id: null }],
    ['ADJUST of an item never seen creates it', [adjust(3)], ['applied +3 =3'], { on_hand: 3 }],
    ['REMOVE of an item never seen creates it, removed', [remove()], ['applied +0 =0'], { on_hand: 0, removed: true }],
    ['SET is absolute, ADJUST is added', [set(4), adjust(-1), adjust(5), set(2)], ['applied +4 =4', 'applied -1 =3', 'applied +5 =8', 'applied -6 =2'], { on_hand: 2 }],
    ['ADJUST to exactly 0 is fine', [set(4), adjust(-4)], ['applied +4 =4', 'applied -4 =0'], { on_hand: 0, drifted: false }],
    ['ADJUST below 0 is refused, marks the item, and later events flow', [set(2), adjust(-3, { price_cents: 9 }), adjust(-1)], ['applied +2 =2', 'would_go_negative +0 =2', 'applied -1 =1'], { on_hand: 1, drifted: true, price_cents: null }],
    ['ADJUST below 0 of an item never seen creates it, empty and drifted', [adjust(-1, { version: 7, currency: 'EUR' })], ['would_go_negative +0 =0'], { on_hand: 0, drifted: true, version: null, currency: null }],
    ['the next SET settles the drift', [set(2), adjust(-3), set(5)], ['applied +2 =2', 'would_go_negative +0 =2', 'applied +3 =5'], { on_hand: 5, drifted: false }],
    ['REMOVE does not settle the drift', [set(2), adjust(-3), remove()], ['applied +2 =2', 'would_go_negative +0 =2', 'applied -2 =0'], { on_hand: 0, drifted: true, removed: true }],
    ['ADJUST beyond an integer is refused and changes nothing', [set(2_147_483_647), adjust(1, { price_cents: 9 })], ['applied +2147483647 =2147483647', 'out_of_range +0 =2147483647'], { on_hand: 2_147_483_647, drifted: false, price_cents: null }],
    ['REMOVE empties; ADJUST applies but only SET brings back', [set(3), remove(), adjust(2)], ['applied +3 =3', 'applied -3 =0', 'applied +2 =2'], { on_hand: 2, removed: true }],
    ['a later SET brings a removed item back', [set(3), remove(), set(1)], ['applied +3 =3', 'applied -3 =0', 'applied +1 =1'], { on_hand: 1, removed: false }],
    ['an older version is stale', [set(3, { version: 5 }), set(9, { version: 4, price_cents: 1 })], ['applied +3 =3', 'stale +0 =3'], { on_hand: 3, version: 5, price_cents: null }],
    ['an equal version is stale, whatever the kind', [set(3, { version: 5 }), adjust(-9, { version: 5 }), remove({ version: 5 })], ['applied +3 =3', 'stale +0 =3', 'stale +0 =3'], { on_hand: 3, drifted: false, removed: false }],
    ['no version is no guard, and keeps the version', [set(3, { version: 5 }), set(4), set(6, { version: 5 })], ['applied +3 =3', 'applied +1 =4', 'stale +0 =4'], { on_hand: 4, version: 5 }],
    ['a refused event does not move the version', [set(1, { version: 5 }), adjust(-2, { version: 9 }), set(4, { version: 6 })], ['applied +1 =1', 'would_go_negative +0 =1', 'applied +3 =4'], { on_hand: 4, version: 6, drifted: false }],
    ['null says nothing: the item keeps what it had', [set(1, { price_cents: 5, currency: 'EUR', blueprint_id: 7, properties: { b: '2', a: '1' } }), adjust(1)], ['applied +1 =1', 'applied +1 =2'], { price_cents: 5, currency: 'EUR', blueprint_id: 7, properties: '{"a":"1","b":"2"}' }],
    ['what is said replaces, properties as a whole', [set(1, { price_cents: 5, properties: { a: '1' } }), remove({ price_cents: 0, properties: { b: '2' } })], ['applied +1 =1', 'applied -1 =0'], { price_cents: 0, properties: '{"b":"2"}' }],
  ];

  test.each(cases)('%s', (_name, sent, outcomes, item) => {
    const { rowOf, itemOf, events } = run(sent.map((given) => ({ event: given })));
    expect(events.map((_, index) => spell(rowOf(index)))).toEqual(outcomes);
    expect(itemOf()).toMatchObject(item ?? {});
  });

  const spell = (row: ReturnType<Verdict['row']>): string => (row === undefined ? 'none' : `${row.outcome} ${row.delta < 0 ? '' : '+'}${row.delta} =${row.on_hand}`);

  test('dead letters stand at the position of their record', () => {
    expect(run([{ event: set(1) }, { event: adjust(-5) }, { refused: 'invalid' }, { refused: 'key_mismatch', partition: 3 }]).reasons).toEqual(['0/2 invalid', '3/0 key_mismatch', '0/1 would_go_negative']);
  });

  test('each event of an item follows the one before it, other items or not', () => {
    const other = uuid(3);
    const { log, verdict, events, itemOf } = run([{ event: set(1) }, { event: set(1, { item_id: other }) }, { event: adjust(-5) }, { event: adjust(1) }]);
    const id = (index: number): number => log.events.find(events[index]?.event_id ?? '');
    expect([0, 1, 2, 3].map((index) => verdict.row(id(index))?.previous)).toEqual([null, null, id(0), id(2)]);
    expect(itemOf()?.last).toBe(id(3));
    expect(itemOf(other)?.last).toBe(id(1));
  });

  test('the same item id of two users is two items', () => {
    const { itemOf } = run([{ event: set(1) }, { event: set(9, { user_id: uuid(9) }) }]);
    expect([itemOf()?.on_hand, itemOf(ITEM, uuid(9))?.on_hand]).toEqual([1, 9]);
  });
});

describe('the same event id again', () => {
  const id = uuid(77);

  test('has no effect, also stamped anew and with other content', () => {
    const { verdict, itemOf } = run([{ event: adjust(2, { event_id: id }) }, { event: adjust(2, { event_id: id }) }, { event: adjust(5, { event_id: id, occurred_at: NOW }) }]);
    expect(itemOf()?.on_hand).toBe(2);
    expect(verdict.counts).toMatchObject({ applied: 1, duplicate: 2 });
  });

  test('of a refused one is a duplicate of it', () => {
    const { verdict } = run([{ event: adjust(-2, { event_id: id }) }, { event: adjust(-2, { event_id: id }) }]);
    expect(verdict.counts).toMatchObject({ duplicate: 1, dead_letters: { would_go_negative: 1 } });
  });

  test('is a duplicate however old it says it is', () => {
    const { verdict, reasons } = run([{ event: adjust(2, { event_id: id }) }, { event: adjust(2, { event_id: id, occurred_at: NOW - HORIZON - DAY }) }]);
    expect([verdict.counts.duplicate, reasons]).toEqual([1, []]);
  });

  test('after a copy that was too old counts', () => {
    const { itemOf, reasons } = run([{ event: adjust(2, { event_id: id, occurred_at: NOW - HORIZON - DAY }) }, { event: adjust(3, { event_id: id }) }]);
    expect([itemOf()?.on_hand, reasons]).toEqual([3, ['0/0 too_old']]);
  });
});

describe('too old', () => {
  const old = NOW - HORIZON - DAY;
  const oldId = `${old.toString(16).padStart(12, '0').replace(/^(.{8})/, '$1-')}-7000-8000-000000000001`;

  test('by its time: a dead letter, and no trace of it in ledger and items', () => {
    const { rowOf, itemOf, reasons } = run([{ event: set(1, { occurred_at: old }) }]);
    expect([rowOf(0), itemOf(), reasons]).toEqual([undefined, undefined, ['0/0 too_old']]);
  });

  test('by the time inside its id, however recent it says it is', () => {
    expect(run([{ event: set(1, { event_id: oldId }) }]).reasons).toEqual(['0/0 too_old']);
  });

  test('not when it was young when it came: what the database recorded is accepted, both ways', () => {
    const sent: Sent[] = [{ event: set(1, { occurred_at: NOW - DAY }), timestamp: NOW - DAY }];
    const later = NOW + HORIZON;
    expect(run(sent, { inLedger: () => true }, later).itemOf()?.on_hand).toBe(1);
    expect(run(sent, { deadLetterAt: () => 'too_old' }, later).reasons).toEqual(['0/0 too_old']);
  });

  test('the database is not believed when only one answer is possible', () => {
    expect(run([{ event: set(1, { occurred_at: old }) }], { inLedger: () => true }).reasons).toEqual(['0/0 too_old']);
    expect(run([{ event: set(1, { occurred_at: NOW - HORIZON + TOLERANCE_MS }) }], { deadLetterAt: () => 'too_old' }).reasons).toEqual([]);
  });
});

describe('what the database alone can know', () => {
  test('events of a parked user wait: the state stops before the first of them', () => {
    const parked = [false, true, true];
    const { verdict, rowOf, itemOf } = run([{ event: set(1) }, { event: set(2) }, { event: set(3) }], { isParked: (index) => parked[index] === true });
    expect([itemOf()?.on_hand, rowOf(1), rowOf(2), verdict.counts.parked]).toEqual([1, undefined, undefined, 2]);
  });

  test('what stands behind the committed offset may be missing; what stands before may not', () => {
    const { verdict, rowOf } = run([{ event: set(1) }, { event: set(2) }, { refused: 'invalid' }], { frontier: () => 1 });
    expect([rowOf(0)?.outcome, rowOf(1), verdict.counts.pending, verdict.deadLetters.length]).toEqual(['applied', undefined, 2, 0]);
  });

  test('a discarded event is in the history and has no effect', () => {
    const { rowOf, itemOf, reasons } = run([{ event: set(1) }, { event: set(2) }, { event: adjust(3) }], { deadLetterAt: ({ offset }) => (offset === 1 ? 'discarded' : undefined) });
    expect([rowOf(1), itemOf()?.on_hand, reasons]).toMatchObject([{ outcome: 'discarded', delta: 0, on_hand: 1, previous: 0 }, 4, ['0/1 discarded']]);
  });

  test('a discarded event of an item that does not exist leads nowhere: the next event is the item’s first', () => {
    const { rowOf, itemOf } = run([{ event: set(1) }, { event: set(2) }], { deadLetterAt: ({ offset }) => (offset === 0 ? 'discarded' : undefined) });
    expect([rowOf(0)?.outcome, rowOf(1)?.previous, itemOf()?.on_hand]).toEqual(['discarded', null, 2]);
  });

  test('a user in two partitions: the database’s order counts, if it keeps the order of each', () => {
    const sent: Sent[] = [{ event: set(1), partition: 0 }, { event: set(2), partition: 0 }, { event: set(3), partition: 1 }];
    expect(run(sent, { chain: () => [2, 0, 1] }).itemOf()?.on_hand).toBe(2);
    expect(run(sent, { chain: () => [0, 2, 1] }).itemOf()?.last).toBe(1);
    expect(run(sent, { chain: () => [0, 2, 1] }).verdict.disordered.size).toBe(0);
    // Against the order of partition 0; and not the same events, which is no order at all.
    expect(run(sent, { chain: () => [1, 0, 2] }).verdict.disordered.size).toBe(1);
    expect(run(sent, { chain: () => [2, 0] }).itemOf()?.last).toBe(2);
  });
});

test('the oracle shares no code with what it judges', () => {
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    for (const { specifier } of scan(readFileSync(file, 'utf8')).imports) if (specifier.startsWith('.')) visit(join(dirname(file), specifier));
  };
  visit('src/operations/verify/index.ts');
  expect(reached.size).toBeGreaterThan(10);
  expect([...reached].filter((file) => /src\/(?:inventory|ingest|purchase|marketplace|outbox|bulk-sync)\//.test(file))).toEqual([]);
});
