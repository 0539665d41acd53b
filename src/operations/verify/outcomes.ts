import { RECORDS, recordNamed, type PurchaseSettled } from '../../contract/index.ts';
import type { Codec } from '../../platform/kafka/index.ts';
import { schemaId, type RawRecord } from './decode.ts';
import type { Difference, Differences } from './differences.ts';
import type { FoundSales } from './found-sales.ts';
import { outcomeOf } from './sale-rules.ts';
import type { Position, TopicLog } from './topic-log.ts';

/** What the topic of outcomes says, by event id: a few hundred bytes for each end of a sale. */
export interface OutcomeLog {
  readonly size: number;
  add(record: RawRecord, codec: Pick<Codec, 'reader'>): void;
  /** The first record with this id; copies are what at-least-once delivery makes. */
  get(eventId: string): ToldOutcome | undefined;
  all(): Iterable<[eventId: string, told: ToldOutcome]>;
  /** Records that are no outcome, or under another key than their seller. */
  readonly strange: readonly Position[];
}

export interface ToldOutcome extends Position {
  user_id: string;
  purchase_id: string;
  outcome: string;
  reason: string | null;
  lines: PurchaseSettled['lines'];
}

export function createOutcomeLog(): OutcomeLog {
  const told = new Map<string, ToldOutcome>();
  const strange: Position[] = [];
  return {
    get size() {
      return told.size;
    },
    strange,
    get: (eventId) => told.get(eventId),
    all: () => told.entries(),
    add({ partition, offset, key, value }, codec) {
      const settled = decoded(value, codec);
      if (settled === undefined || key?.toString('latin1') !== settled.user_id) strange.push({ partition, offset });
      else if (!told.has(settled.event_id)) {
        const { user_id, purchase_id, outcome, reason, lines } = settled;
        told.set(settled.event_id, { partition, offset, user_id, purchase_id, outcome, reason, lines });
      }
    },
  };
}

function decoded(value: Buffer | null, codec: Pick<Codec, 'reader'>): PurchaseSettled | undefined {
  const id = schemaId(value);
  const reader = id === undefined ? undefined : codec.reader(id);
  if (value === null || reader === undefined || recordNamed(reader.recordName) !== 'PurchaseSettled') return undefined;
  try {
    return RECORDS.PurchaseSettled.schema.safeParse(reader.read(value)).data;
  } catch {
    return undefined; // how a reader says that the bytes do not fit
  }
}

export interface OutcomeOptions {
  /** Ids that wait in the outbox: at the time of the snapshot Kafka did not have them for certain. */
  unpublished: ReadonlySet<string>;
  /** Where the topic ended before the snapshot was taken: what is told from there on the snapshot need not know. */
  endsBefore: ReadonlyMap<number, number>;
  /** Nothing may wait any more. */
  settled: boolean;
}

export interface OutcomeCounts {
  /** Ends of sales that were told. */
  told: number;
  /** In the outbox still. */
  waiting: number;
}

/** Every end of a sale is told once (copies carry the same id), says what happened, and in the order in which it happened; nothing else is told. */
export function compareOutcomes(log: TopicLog, sales: FoundSales, outcomes: OutcomeLog, options: OutcomeOptions, differences: Differences): OutcomeCounts {
  const counts: OutcomeCounts = { told: 0, waiting: 0 };
  const explained = new Set<string>();
  for (const [sale, { steps, lines }] of sales.sagas) {
    const whose = { what: 'outcome' as const, user_id: log.sales.text(sale, 0), purchase_id: log.sales.text(sale, 1) };
    let sold = false;
    let before: Position | undefined;
    for (const { fact, reason, eventId } of steps) {
      const due = outcomeOf(fact, reason, sold);
      sold = fact === 'confirmed' || (sold && fact !== 'compensated');
      if (due === undefined) continue;
      explained.add(eventId);
      const wanted = { ...due, lines: lines.map(({ item_id, quantity, unit_price_cents }) => ({ item_id, quantity, unit_price_cents })) };
      const say = (difference: Pick<Difference, 'problem' | 'found'> & { position?: Position }): void => differences.add({ ...whose, event_id: eventId, expected: wanted, ...difference });
      const told = outcomes.get(eventId);
      if (told === undefined) {
        const waits = options.unpublished.has(eventId);
        if (waits) counts.waiting += 1;
        if (!waits) say({ problem: 'how a sale ended was never told', found: null });
        else if (options.settled) say({ problem: 'how a sale ended is not published yet', found: 'in the outbox' });
        continue;
      }
      counts.told += 1;
      const { user_id, purchase_id, outcome, reason: why, lines: said, partition, offset } = told;
      const same = user_id === whose.user_id && purchase_id === whose.purchase_id && outcome === due.outcome && why === due.reason && JSON.stringify(said) === JSON.stringify(wanted.lines);
      if (!same) say({ problem: 'an outcome says something else', found: { user_id, purchase_id, outcome, reason: why, lines: said }, position: told });
      else if (before !== undefined && (before.partition !== partition || before.offset > offset)) say({ problem: 'outcomes of a sale stand in another order than they happened', found: { partition, offset }, position: told });
      before = told;
    }
  }
  const certain = ({ partition, offset }: Position): boolean => offset < (options.endsBefore.get(partition) ?? 0);
  for (const [eventId, { user_id, purchase_id, outcome, ...position }] of outcomes.all()) {
    if (!explained.has(eventId) && certain(position)) differences.add({ what: 'outcome', problem: 'an outcome that no sale explains', user_id, purchase_id, event_id: eventId, position, expected: null, found: outcome });
  }
  for (const position of outcomes.strange) if (certain(position)) differences.add({ what: 'outcome', problem: 'a record among the outcomes that is none', position, expected: 'PurchaseSettled under its seller’s key', found: 'something else' });
  return counts;
}
