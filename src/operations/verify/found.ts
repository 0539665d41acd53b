import type pg from 'pg';
import { createColumn, createNames, orNaN, orNull } from './columns.ts';
import type { Differences } from './differences.ts';
import type { Evidence, Import } from './evidence.ts';
import type { FoundSales } from './found-sales.ts';
import type { Position, TopicLog } from './topic-log.ts';
import { deadLetterRows, ledgerRows, parkedRows, parkedUsers, type DeadLetterRow, type LedgerRow } from './verify.sql.ts';

/** What the database says, keyed by the log's numbers: the ledger in typed arrays (60 bytes a row), the rest in maps. */
export interface Found {
  readonly ledgerRows: number;
  /** The ledger row of that number. `item` and `previous` are the log's numbers: -1 for none, -2 for one the log does not know. */
  ledger(row: number): FoundRow | undefined;
  /** Rows that set an item and come from no record of the topic, by number. */
  readonly imports: ReadonlyMap<number, FoundImport>;
  readonly deadLetters: ReadonlyMap<number, ReadonlyMap<number, DeadLetterRow>>;
  readonly deadLetterRows: number;
  readonly parkedUsers: ReadonlySet<string>;
  /** Waiting events by the log's number. */
  readonly parkedEvents: ReadonlySet<number>;
  readonly parkedEventRows: number;
  /** For the oracle. `committed`: the group's offset by partition, undefined where nothing was ever committed. */
  evidence(committed: (partition: number) => number | undefined, sales: FoundSales, imports: readonly Import[]): Evidence;
}

export interface FoundImport {
  readonly item: number;
  readonly cause: string;
  readonly quantity: number;
}

export interface FoundRow {
  item: number;
  previous: number;
  occurredAt: number;
  version: number | null;
  quantity: number;
  delta: number;
  onHand: number;
  kind: string;
  outcome: string;
  cause: string;
  /** What held changed by, and the purchase; null for what is no sale. */
  held: number | null;
  sale: number | null;
}

const KIND_LETTERS = { SET: 'S', ADJUST: 'A', REMOVE: 'R' } as const;
/** Rows of sales: only the first of a purchase or cancellation has the id of an event of the topic. */
const OF_SALES = new Set(['P', 'C', 'T', 'B']);
/** Causes of what bulk sync writes without a record: an import, and drift that was mended. */
const OF_IMPORTS = new Set(['import', 'reconcile']);

/** Reads ledger, dead letters and parking; rows that have nothing to do with the topic are differences at once. */
export async function readFound(client: pg.PoolClient, log: TopicLog, topic: string, differences: Differences): Promise<Found> {
  const names = createNames();
  const letters = createColumn('uint8');
  const outcomes = createColumn('uint8');
  const [item, previous, quantity, delta, onHand, cause] = Array.from({ length: 6 }, () => createColumn('int32')) as Six;
  const [held, sale] = [createColumn('int32'), createColumn('int32', -1)];
  const [occurredAt, version] = [createColumn('float64'), createColumn('float64')];
  const imports = new Map<number, FoundImport>();
  let ledgerCount = 0;
  const keep = (row: LedgerRow): void => {
    ledgerCount += 1;
    const ofSale = OF_SALES.has(row.kind);
    const ours = !ofSale && row.kind === 'S' && OF_IMPORTS.has(row.cause) && !isOfTopic(log, row.event_id);
    const event = ofSale || ours ? log.events.add(row.event_id) : log.events.find(row.event_id);
    if (ours) imports.set(event, { item: log.items.add(row.user_id, row.item_id), cause: row.cause, quantity: row.quantity });
    else if (!ofSale && !isOfTopic(log, row.event_id)) {
      differences.add({ what: 'ledger', user_id: row.user_id, item_id: row.item_id, event_id: row.event_id, problem: 'a ledger row of an event that is not in the topic', expected: null, found: row });
      return;
    }
    item.set(event, known(log.items.find(row.user_id, row.item_id)));
    // It may be a row of a sale, or of an import, that is still to come.
    previous.set(event, row.previous_event_id === null ? -1 : log.events.add(row.previous_event_id));
    if (ofSale) {
      held.set(event, row.held_delta ?? 0);
      sale.set(event, log.sales.add(row.user_id, row.purchase_id ?? NOBODY));
    }
    occurredAt.set(event, Math.round(row.occurred_at));
    version.set(event, orNaN(row.version));
    quantity.set(event, row.quantity);
    delta.set(event, row.delta);
    onHand.set(event, row.on_hand);
    letters.set(event, row.kind.charCodeAt(0));
    outcomes.set(event, row.outcome.charCodeAt(0));
    cause.set(event, names.number(row.cause));
  };
  for await (const rows of ledgerRows(client)) for (const row of rows) keep(row);

  const deadLetters = new Map<number, Map<number, DeadLetterRow>>();
  let deadLetterCount = 0;
  for await (const rows of deadLetterRows(client, topic)) {
    for (const row of rows) {
      deadLetterCount += 1;
      const partition = deadLetters.get(row.partition) ?? new Map<number, DeadLetterRow>();
      deadLetters.set(row.partition, partition.set(row.offset, row));
    }
  }

  const users = new Set(await parkedUsers(client));
  const parkedEvents = new Set<number>();
  const parkedUpTo = new Map<number, number>();
  let parkedCount = 0;
  for await (const rows of parkedRows(client)) {
    for (const row of rows) {
      if (row.topic !== topic) continue;
      parkedCount += 1;
      const event = log.events.find(row.event_id);
      parkedUpTo.set(row.partition, Math.max(parkedUpTo.get(row.partition) ?? -1, row.offset));
      if (event !== -1) parkedEvents.add(event);
      else differences.add({ what: 'parked', user_id: row.user_id, event_id: row.event_id, position: row, problem: 'a parked event that is not in the topic', expected: null, found: row.event_id });
    }
  }

  const ledger = (event: number): FoundRow | undefined => {
    const letter = letters.get(event);
    if (letter === 0) return undefined;
    return {
      item: item.get(event),
      previous: previous.get(event),
      occurredAt: occurredAt.get(event),
      version: orNull(version.get(event)),
      quantity: quantity.get(event),
      delta: delta.get(event),
      onHand: onHand.get(event),
      kind: String.fromCharCode(letter),
      outcome: String.fromCharCode(outcomes.get(event)),
      cause: names.name(cause.get(event)) ?? '',
      held: sale.get(event) === -1 ? null : held.get(event),
      sale: sale.get(event) === -1 ? null : sale.get(event),
    };
  };
  const deadLetterAt = ({ partition, offset }: Position): string | undefined => deadLetters.get(partition)?.get(offset)?.reason;

  return {
    ledger,
    ledgerRows: ledgerCount,
    imports,
    deadLetters,
    deadLetterRows: deadLetterCount,
    parkedUsers: users,
    parkedEvents,
    parkedEventRows: parkedCount,
    evidence(committed, sales, imported) {
      const reached = new Map(parkedUpTo);
      const reach = (partition: number, offset: number): void => void reached.set(partition, Math.max(reached.get(partition) ?? -1, offset));
      for (const [partition, rows] of deadLetters) for (const offset of rows.keys()) reach(partition, offset);
      for (let event = 0; event < log.events.size; event += 1) {
        // An event that came twice may have been taken from either record: it proves nothing about how far the group is.
        if (letters.get(event) === 0 || log.first(event) === -1 || log.next(log.first(event)) !== -1) continue;
        const { partition, offset } = log.position(log.first(event));
        reach(partition, offset);
      }
      return {
        inLedger: (event) => letters.get(event) !== 0,
        ledgerMatches: (event, occurrence) => saysTheSame(log, occurrence, ledger(event)),
        deadLetterAt,
        isParked: (event) => parkedEvents.has(event),
        frontier(partition) {
          return Math.max(committed(partition) ?? 0, (reached.get(partition) ?? -1) + 1);
        },
        chain: createChains(log, ledger),
        imports: imported,
        saga: (sale) => sales.sagas.get(sale),
        row: (row) => ledger(row),
      };
    },
  };
}

/** What the ledger copies from the record itself. */
export function saysTheSame(log: TopicLog, occurrence: number, row: FoundRow | undefined): boolean {
  if (row === undefined) return false;
  if (log.typeOf(occurrence) !== 'change') return row.sale === log.saleOf(occurrence) && row.kind === (log.typeOf(occurrence) === 'request' ? 'P' : 'C') && row.occurredAt === log.occurredAt(occurrence);
  const change = log.change(occurrence);
  return (
    row.item === log.itemOf(occurrence) &&
    row.kind === KIND_LETTERS[change.kind] &&
    row.quantity === change.quantity &&
    row.version === change.version &&
    row.occurredAt === log.occurredAt(occurrence)
  );
}

type Six = [One, One, One, One, One, One];
type One = ReturnType<typeof createColumn>;

const NOBODY = '00000000-0000-0000-0000-000000000000';
const isOfTopic = (log: TopicLog, eventId: string): boolean => {
  const event = log.events.find(eventId);
  return event !== -1 && log.first(event) !== -1;
};
const known = (index: number): number => (index === -1 ? -2 : index);

/**
 * Chains of items by following previous_event_id from the one row that follows no other; built when first asked for. A purchase of an item
 * that did not exist yet follows nothing and is followed by nothing: such rows stand first, in the order in which they were read.
 */
function createChains(log: TopicLog, ledger: (event: number) => FoundRow | undefined): (item: number) => readonly number[] | undefined {
  let follower: Map<number, number> | undefined;
  let starts: Map<number, number[]> | undefined;
  return (item) => {
    if (follower === undefined || starts === undefined) {
      follower = new Map();
      starts = new Map();
      for (let event = 0; event < log.events.size; event += 1) {
        const row = ledger(event);
        // Only users of several partitions are asked about, and they are few.
        if (row === undefined || row.item < 0 || log.partitionsOf(log.users.find(log.items.text(row.item, 0))).size < 2) continue;
        if (row.previous === -1) starts.set(row.item, [...(starts.get(row.item) ?? []), event]);
        else follower.set(row.previous, event);
      }
    }
    const alone = (starts.get(item) ?? []).filter((row) => follower?.get(row) === undefined && OF_SALES.has(ledger(row)?.kind ?? ''));
    const [start, ...more] = (starts.get(item) ?? []).filter((row) => !alone.includes(row));
    if (start === undefined || more.length > 0) return alone.length > 0 && start === undefined ? alone : undefined;
    const chain = [...alone.sort((a, b) => log.first(a) - log.first(b)), start];
    const seen = new Set(chain);
    for (let next = follower.get(start); next !== undefined && !seen.has(next); next = follower.get(next)) {
      chain.push(next);
      seen.add(next);
    }
    return chain;
  };
}
