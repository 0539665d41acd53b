import type pg from 'pg';
import type { Differences } from './differences.ts';
import { saysTheSame, type Found, type FoundRow } from './found.ts';
import { about, describeRow as spell } from './describe.ts';
import type { Described, ExpectedItem, ExpectedRow, Verdict } from './verdict.ts';
import { sortedJson, type TopicLog } from './topic-log.ts';
import { itemRows, type ItemRow } from './verify.sql.ts';

const FLAG = { removed: 1, drifted: 2, oversold: 4 } as const;
const OUTCOME_LETTERS = { applied: 'a', stale: 's', would_go_negative: 'd', out_of_range: 'd', discarded: 'd' } as const;

/**
 * Every expected ledger row of a stock change against the one that is there, and the other way round. Of an item only the first
 * difference is told (`told` collects them): whatever follows in the item's history follows from it.
 */
export function compareLedger(log: TopicLog, verdict: Verdict, found: Found, differences: Differences, told: Set<number>): number {
  let compared = 0;
  for (const item of verdict.disordered) {
    told.add(item);
    differences.add({ what: 'order', problem: 'an item’s history goes against the order of a partition', user_id: log.items.text(item, 0), item_id: log.items.text(item, 1), expected: 'events of one partition in their order', found: 'another order' });
  }
  for (let event = 0; event < log.events.size; event += 1) {
    if (log.first(event) === -1 || verdict.saleRows.has(event)) continue;
    const expected = verdict.row(event);
    const row = found.ledger(event);
    if (row !== undefined && row.sale !== null && expected === undefined) continue; // told with the sales
    if (expected !== undefined) compared += 1;
    if (expected === undefined && row === undefined) continue;
    const occurrence = expected?.occurrence ?? log.first(event);
    const item = log.itemOf(occurrence);
    const verdictOnRow = judgeRow(log, found, event, expected, row);
    if (verdictOnRow === undefined || told.has(item)) continue;
    told.add(item);
    differences.add({ ...verdictOnRow, ...about(log, occurrence) });
  }
  return compared;
}

function judgeRow(log: TopicLog, found: Found, event: number, expected: ExpectedRow | undefined, row: FoundRow | undefined) {
  if (expected === undefined) {
    const problem = found.parkedEvents.has(event) ? 'a parked event has a ledger row' : 'an event that had to be refused before the ledger has a row there';
    return { what: 'ledger' as const, problem, expected: null, found: spell(log, row) };
  }
  const wanted = {
    kind: log.change(expected.occurrence).kind,
    quantity: log.change(expected.occurrence).quantity,
    outcome: expected.outcome === 'applied' || expected.outcome === 'stale' ? expected.outcome : `dead-lettered (${expected.outcome})`,
    delta: expected.delta,
    on_hand: expected.on_hand,
    after: expected.previous === null ? null : log.events.text(expected.previous),
  };
  if (row === undefined) return { what: 'ledger' as const, problem: 'an event has no ledger row', expected: wanted, found: null };
  const cause = expected.outcome === 'applied' ? log.sourceOf(expected.occurrence) : expected.outcome;
  if (!saysTheSame(log, expected.occurrence, row)) return { what: 'ledger' as const, problem: 'a ledger row is not the event of the topic', expected: { ...wanted, occurred_at: log.occurredAt(expected.occurrence) }, found: spell(log, row) };
  if (row.outcome !== OUTCOME_LETTERS[expected.outcome] || row.cause !== cause || row.delta !== expected.delta || row.onHand !== expected.on_hand) {
    return { what: 'ledger' as const, problem: 'a ledger row says something else', expected: { ...wanted, cause }, found: spell(log, row) };
  }
  if (row.previous !== (expected.previous ?? -1)) return { what: 'order' as const, problem: 'an event stands at another place in its item’s history', expected: wanted, found: spell(log, row) };
  return undefined;
}

/** While an event of a parked user waits, nothing that came after it may have taken effect. */
export function compareParking(log: TopicLog, found: Found, differences: Differences): void {
  const waitsFrom = new Map<string, number>();
  const place = (occurrence: number): string => `${log.userOf(occurrence)}/${log.position(occurrence).partition}`;
  for (const event of found.parkedEvents) {
    const at = log.first(event);
    if (found.ledger(event) !== undefined) differences.add({ what: 'parked', problem: 'an event waits, parked, and has a ledger row', ...about(log, at), expected: 'one of both', found: 'both' });
    waitsFrom.set(place(at), Math.min(waitsFrom.get(place(at)) ?? at, at));
  }
  if (waitsFrom.size === 0) return;
  for (let event = 0; event < log.events.size; event += 1) {
    const at = log.first(event);
    if (at === -1) continue;
    const from = waitsFrom.get(place(at));
    if (from === undefined || at <= from || found.ledger(event) === undefined) continue;
    waitsFrom.delete(place(at)); // one is enough to tell of a user
    differences.add({
      what: 'order',
      problem: 'an event took effect although an earlier one of its user waits, parked',
      ...about(log, at),
      expected: `waiting behind ${log.events.text(log.eventOf(from))}`,
      found: 'in the ledger',
    });
  }
}

/** Each expected dead letter exactly once at its position (a key sees to "once"), with its reason; and no other. */
export function compareDeadLetters(log: TopicLog, verdict: Verdict, found: Found, differences: Differences): number {
  const expected = new Map<number, Set<number>>();
  for (const letter of verdict.deadLetters) {
    const offsets = expected.get(letter.partition) ?? new Set<number>();
    expected.set(letter.partition, offsets.add(letter.offset));
    const row = found.deadLetters.get(letter.partition)?.get(letter.offset);
    if (row?.reason === letter.reason) continue;
    const whose = letter.occurrence === null ? {} : about(log, letter.occurrence);
    const problem = row === undefined ? 'a record that had to be refused is not among the dead letters' : 'a dead letter has another reason';
    differences.add({ what: 'dead_letter', problem, ...whose, position: letter, expected: letter.reason, found: row?.reason ?? null });
  }
  for (const [partition, rows] of found.deadLetters) {
    for (const [offset, row] of rows) {
      if (expected.get(partition)?.has(offset) === true) continue;
      differences.add({
        what: 'dead_letter',
        problem: 'a dead letter of a record that is good',
        ...(row.user_id !== null && { user_id: row.user_id }),
        ...(row.event_id !== null && { event_id: row.event_id }),
        position: { partition, offset },
        expected: null,
        found: row.reason,
      });
    }
  }
  return verdict.deadLetters.length;
}

/** Every column of every item but updated_at, and no item more or less. */
export async function compareItems(client: pg.PoolClient, log: TopicLog, verdict: Verdict, differences: Differences): Promise<number> {
  const seen = new Set<number>();
  for await (const rows of itemRows(client)) {
    for (const row of rows) {
      const item = log.items.find(row.user_id, row.item_id);
      const expected = item === -1 ? undefined : verdict.item(item);
      const about = { what: 'item' as const, user_id: row.user_id, item_id: row.item_id };
      if (expected === undefined) {
        differences.add({ ...about, problem: 'an item that should not exist', expected: null, found: row });
        continue;
      }
      seen.add(item);
      const wanted = asRow(log, expected);
      const wrong = Object.entries(wanted).filter(([column, value]) => !expected.unknown.has(column as Described) && value !== columnOf(row, column as keyof Wanted));
      if (wrong.length === 0) continue;
      differences.add({
        ...about,
        problem: `an item’s ${wrong.map(([column]) => column).join(', ')} ${wrong.length === 1 ? 'is' : 'are'} wrong`,
        expected: Object.fromEntries(wrong),
        found: Object.fromEntries(wrong.map(([column]) => [column, columnOf(row, column as keyof Wanted)])),
      });
    }
  }
  for (let item = 0; item < log.items.size; item += 1) {
    const expected = verdict.item(item);
    if (expected === undefined || seen.has(item)) continue;
    differences.add({ what: 'item', user_id: log.items.text(item, 0), item_id: log.items.text(item, 1), problem: 'an item is missing', expected: asRow(log, expected), found: null });
  }
  return seen.size;
}

type Wanted = ReturnType<typeof asRow>;

function asRow(log: TopicLog, item: ExpectedItem) {
  return {
    on_hand: item.on_hand,
    held: item.held,
    flags: (item.removed ? FLAG.removed : 0) | (item.drifted ? FLAG.drifted : 0) | (item.on_hand < item.held ? FLAG.oversold : 0),
    version: item.version,
    price_cents: item.price_cents,
    currency: item.currency,
    blueprint_id: item.blueprint_id,
    properties: item.properties,
    last_event_id: log.events.text(item.last),
  };
}

function columnOf(row: ItemRow, column: keyof Wanted): unknown {
  if (column === 'properties') return row.properties === null ? null : sortedJson(row.properties);
  return row[column];
}
