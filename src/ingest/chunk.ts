import { laneOf } from '../contract/index.ts';
import { lockLanes, readStock, StockFold, writeStock } from '../inventory/index.ts';
import { faultPoint } from '../platform/fault-points.ts';
import type { Transaction } from '../platform/postgres/index.ts';
import { insertDeadLetters } from './dead-letters.sql.ts';
import { appendParkedEvents, readParked } from './parking.sql.ts';
import type { DeadEntry, DeadLetterReason, Entry, EventEntry, Outcome } from './record.ts';

/** What one committed chunk has done; `outcomes[i]` belongs to `entries[i]`. */
export interface ChunkResult {
  readonly outcomes: readonly Outcome[];
  readonly deadLetters: readonly DeadLetterReason[];
}

export interface ChunkRules {
  readonly consumerGroup: string;
  /** Events that occurred before this instant (ms) are refused as too old. */
  readonly tooOldBefore: number;
  /** Whether events of parked users are appended behind their parked ones; false when those are being retried themselves. */
  readonly respectParking: boolean;
}

/**
 * Applies a run of records inside `tx`: everything a chunk does to the database, in the order it must be done.
 *
 *   lock lanes → read what is known → fold, pure → write stock, parked events and dead letters
 *
 * Once the lanes are held nobody else can change these users, so what is read stays true until the commit. A record seen before
 * is a duplicate; a zombie that applies this very chunk a moment earlier only makes all of it duplicates.
 */
export async function applyChunk(tx: Transaction, entries: readonly Entry[], rules: ChunkRules): Promise<ChunkResult> {
  const events = entries.filter((entry): entry is EventEntry => entry.kind === 'event');
  faultPoint('ingest.after-begin');
  const fold = new StockFold();
  for (const { event } of events) fold.touch(event.user_id, event.item_id);
  await lockLanes(tx, fold.userIds.map(laneOf));
  faultPoint('ingest.after-lock');

  const eventIds = events.map(({ event }) => event.event_id);
  const known = events.length === 0 ? new Set<number>() : await readStock(tx, fold, eventIds);
  const parked = rules.respectParking && events.length > 0 ? await readParked(tx, events) : NOBODY_PARKED;
  faultPoint('ingest.after-read');

  const decided = decide(entries, fold, rules, {
    inLedger: new Set([...known].map((index) => eventIds[index] ?? '')),
    parkedEvents: parked.eventIds,
    parkedUsers: parked.userIds,
  });

  await writeStock(tx, fold);
  if (decided.parked.length > 0) await appendParkedEvents(tx, decided.parked);
  if (decided.dead.length > 0) await insertDeadLetters(tx, decided.dead, rules.consumerGroup);
  faultPoint('ingest.after-write');
  return { outcomes: decided.outcomes, deadLetters: decided.dead.map((entry) => entry.reason) };
}

const NOBODY_PARKED = { userIds: new Set<string>(), eventIds: new Set<string>() };

interface Known {
  readonly inLedger: ReadonlySet<string>;
  readonly parkedEvents: ReadonlySet<string>;
  readonly parkedUsers: ReadonlySet<string>;
}

interface Decision {
  readonly outcomes: Outcome[];
  readonly dead: DeadEntry[];
  readonly parked: EventEntry[];
}

/** Decides each record in order; the order of the checks is the contract's (a duplicate is a duplicate however old it is). */
export function decide(entries: readonly Entry[], fold: StockFold, rules: Pick<ChunkRules, 'tooOldBefore'>, known: Known): Decision {
  const decision: Decision = { outcomes: [], dead: [], parked: [] };
  const seen = new Set<string>();
  for (const entry of entries) decision.outcomes.push(decideOne(entry, fold, rules, known, seen, decision));
  return decision;
}

function decideOne(entry: Entry, fold: StockFold, rules: Pick<ChunkRules, 'tooOldBefore'>, known: Known, seen: Set<string>, decision: Decision): Outcome {
  if (entry.kind === 'dead') {
    decision.dead.push(entry);
    return 'dead';
  }
  const { event } = entry;
  const id = event.event_id;
  if (known.inLedger.has(id) || known.parkedEvents.has(id) || seen.has(id)) return 'duplicate';
  const born = bornAt(event.event_id, event.occurred_at);
  if (born < rules.tooOldBefore) {
    decision.dead.push(refused(entry, 'too_old', `from ${new Date(born).toISOString()}, which is before the horizon ${new Date(rules.tooOldBefore).toISOString()}`));
    return 'dead';
  }
  seen.add(id);
  if (known.parkedUsers.has(event.user_id)) {
    decision.parked.push(entry);
    return 'parked';
  }
  const refusal = fold.apply(event);
  if (refusal === undefined) return 'ok';
  if (refusal === 'stale') return 'stale';
  decision.dead.push(refused(entry, refusal, `ADJUST by ${event.quantity} of item ${event.item_id}, which has ${fold.touch(event.user_id, event.item_id).onHand}`));
  return 'dead';
}

export function refused(entry: EventEntry, reason: DeadLetterReason, detail: string): DeadEntry {
  return { kind: 'dead', source: entry.source, reason, detail, userId: entry.event.user_id, eventId: entry.event.event_id };
}

/**
 * The instant an event dates from: when it occurred, or, for a uuid v7, when its id was made, if that is earlier. The ledger is
 * pruned along its primary key, which for v7 ids is their time, so an id from before the horizon may have been forgotten however
 * recently the event claims to have occurred.
 */
export function bornAt(eventId: string, occurredAt: number): number {
  if (eventId[14] !== '7') return occurredAt;
  return Math.min(occurredAt, Number.parseInt(eventId.slice(0, 8) + eventId.slice(9, 13), 16));
}
