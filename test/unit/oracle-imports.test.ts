import { expect, test } from 'vitest';
import { createTopicLog, NO_EVIDENCE, settle, type TopicLog, type Verdict } from '../../src/operations/verify/index.ts';
import { change, line, purchase, uuid } from '../support/events.ts';

/** Protects: an import counts where the ledger has it: before, between or without events of its item; and one that stands nowhere is told. */
const NOW = Date.now();
const [USER, ITEM] = [uuid(1), uuid(2)];
const IMPORT = uuid(900);
const said = { kind: 'SET', quantity: 7, price_cents: 150, currency: 'EUR', blueprint_id: 12, properties: '{"condition":"Played"}', version: null, source: 'import' } as const;

type Sent = { quantity?: number; kind?: 'SET' | 'ADJUST'; price_cents?: number; partition?: number } | 'purchase';

/** Events at the offsets 0, 1, ...; `places`: of each of them, and of the import, which is last, the index of what it stands behind in the ledger (-1: nothing, -2: what is not there). */
function run(sent: readonly Sent[], places: readonly number[], { isWhole = true, chain }: { isWhole?: boolean; chain?: readonly number[] } = {}) {
  const log: TopicLog = createTopicLog();
  const rows = sent.map((given, index) => {
    const partition = given === 'purchase' ? 0 : (given.partition ?? 0);
    const common = { partition, offset: index, timestamp: NOW };
    if (given === 'purchase') {
      const event = purchase({ user_id: USER, lines: [line(ITEM, 2)] });
      log.add({ ...common, content: { request: event } });
      return log.events.find(event.event_id);
    }
    const { partition: _, ...more } = given;
    const event = change({ user_id: USER, item_id: ITEM, ...more });
    log.add({ ...common, content: { event } });
    return log.events.find(event.event_id);
  });
  const item = log.items.add(USER, ITEM);
  const row = log.events.add(IMPORT);
  const all = [...rows, row];
  const verdict = settle(
    log,
    { horizonMs: 86_400_000, now: NOW },
    {
      ...NO_EVIDENCE,
      imports: [{ row, item, change: isWhole ? said : { ...said, price_cents: null, currency: null, blueprint_id: null, properties: null }, isWhole }],
      row: (of) => ({ outcome: 'a', previous: places[all.indexOf(of)] === -2 ? 9_999 : (all[places[all.indexOf(of)] ?? -1] ?? -1) }),
      chain: () => chain?.map((index) => all[index] ?? -1),
    },
  );
  return { verdict, row, previous: (index: number) => previousOf(verdict, all[index] ?? -1, all), item: verdict.item(item) };
}

const previousOf = (verdict: Verdict, row: number, all: readonly number[]): number | null => {
  const previous = (verdict.row(row) ?? verdict.saleRows.get(row) ?? verdict.imports.get(row))?.previous ?? null;
  return previous === null ? null : all.indexOf(previous);
};

test('of an item nobody has spoken of: it makes the item, with all it says', () => {
  const { verdict, row, item } = run([], [-1]);
  expect(verdict.imports.get(row)).toMatchObject({ quantity: 7, delta: 7, on_hand: 7, previous: null, adrift: false });
  expect(item).toMatchObject({ on_hand: 7, price_cents: 150, currency: 'EUR', blueprint_id: 12, properties: said.properties, last: row });
});

test('before the first event, between two, and last: what follows follows from it', () => {
  const sent: Sent[] = [{ quantity: 4 }, { kind: 'ADJUST', quantity: 1 }];
  expect([run(sent, [2, 0, -1]).item?.on_hand, run(sent, [-1, 2, 0]).item?.on_hand, run(sent, [-1, 0, 1]).item?.on_hand]).toEqual([5, 8, 7]);
  expect([0, 1, 2].map((index) => run(sent, [-1, 2, 0]).previous(index))).toEqual([null, 2, 0]);
});

test('of an item that is known its properties stay: its producer has other names for them', () => {
  expect(run([{ quantity: 4 }], [-1, 0]).item).toMatchObject({ properties: null, price_cents: 150 });
});

test('a purchase of what did not exist yet stands before it, one that came later behind it', () => {
  const before = run(['purchase'], [-1, -1]);
  expect([...before.verdict.sales.values()]).toMatchObject([{ decision: 'unknown_item' }]);
  expect(before.previous(1)).toBe(null);
  const after = run(['purchase'], [1, -1]);
  expect([...after.verdict.sales.values()]).toMatchObject([{ decision: 'reserved' }]);
  expect(after.previous(0)).toBe(1);
});

test('one that stands behind what is not there is adrift', () => {
  const { verdict, row } = run([{ quantity: 4 }], [-1, -2]);
  expect(verdict.imports.get(row)).toMatchObject({ adrift: true });
});

test('what it said beside the quantity may be unknown, until it is said anew', () => {
  expect([...(run([{ quantity: 4 }], [-1, 0], { isWhole: false }).item?.unknown ?? [])]).toEqual(['price_cents', 'currency', 'blueprint_id', 'properties']);
  const later = run([{ quantity: 4, price_cents: 9 }], [1, -1], { isWhole: false });
  expect([...(later.item?.unknown ?? [])]).toEqual(['currency', 'blueprint_id', 'properties']);
  expect(later.item).toMatchObject({ on_hand: 4, price_cents: 9 });
});

test('of a user in two partitions: the database’s order is taken, imports stand where it has them', () => {
  const sent: Sent[] = [{ quantity: 4, partition: 0 }, { quantity: 5, partition: 1 }];
  const { item, verdict } = run(sent, [2, -1, 1], { chain: [1, 2, 0] });
  expect([item?.on_hand, verdict.disordered.size]).toEqual([4, 0]);
});
