import { createColumn } from './columns.ts';
import { ruleOn, UNSEEN, type ItemState, type Outcome } from './rules.ts';
import type { EnvelopeReason, Position, TopicLog } from './topic-log.ts';

/**
 * The independent oracle: what the database must hold after this log, worked out another way than the ingest role does it. Not
 * chunk by chunk with all users mixed, but: first decide for every event id which of its records counts, then sort by item,
 * then replay one item at a time with the rule table of `rules.ts`.
 *
 * Two things a log cannot tell, and for these the oracle takes the database's word, within limits:
 * - *When* a record was processed, which decides `too_old`. It was between the record's own timestamp and now; where both
 *   answers are possible (TOLERANCE_MS for clocks that differ), the one the database recorded is accepted.
 * - In which order events of one user were taken that stand in several partitions (a producer with another partitioner). The
 *   database's order is accepted if it keeps the order inside each partition and every outcome follows from it.
 */
export interface Evidence {
  /** The ledger has a row of this event. */
  inLedger(event: number): boolean;
  /** That row says the same as this occurrence: item, kind, quantity, version, time. */
  ledgerMatches(event: number, occurrence: number): boolean;
  /** Reason of the dead letter at this position. */
  deadLetterAt(position: Position): string | undefined;
  /** Events of a parked user that wait. */
  isParked(event: number): boolean;
  /** Records of this partition from this offset on may not have been processed yet. */
  frontier(partition: number): number;
  /** The item's events in the database's order, oldest first. */
  chain(item: number): readonly number[] | undefined;
}

/** Nobody asked a database: everything was processed, a moment ago. */
export const NO_EVIDENCE: Evidence = {
  inLedger: () => false,
  ledgerMatches: () => false,
  deadLetterAt: () => undefined,
  isParked: () => false,
  frontier: () => Number.POSITIVE_INFINITY,
  chain: () => undefined,
};

export type DeadLetterReason = EnvelopeReason | 'too_old' | 'would_go_negative' | 'out_of_range' | 'discarded';
export type EventOutcome = Outcome | 'discarded';

export interface ExpectedRow {
  outcome: EventOutcome;
  delta: number;
  on_hand: number;
  /** The item's event before this one. */
  previous: number | null;
  /** The record that counts for this event. */
  occurrence: number;
}

export interface ExpectedItem extends ItemState {
  last: number;
}

export interface Verdict {
  /** What the ledger must say of an event; nothing when it must have no row. */
  row(event: number): ExpectedRow | undefined;
  /** What an item must be; nothing when it must not exist. */
  item(item: number): ExpectedItem | undefined;
  /** Items of scattered users whose history in the database goes against the order of a partition; all else is worked out in that order. */
  disordered: ReadonlySet<number>;
  deadLetters: readonly (Position & { reason: DeadLetterReason; occurrence: number | null })[];
  counts: Counts;
  /** Users with events in several partitions. */
  scatteredUsers: number;
}

export interface Counts {
  records: number;
  applied: number;
  stale: number;
  /** Same event id again. */
  duplicate: number;
  /** Events of parked users, waiting for `brx-sync parked retry`. */
  parked: number;
  /** Not processed yet. */
  pending: number;
  dead_letters: Record<DeadLetterReason, number>;
}

export interface OracleOptions {
  /** Deduplication horizon, milliseconds. */
  horizonMs: number;
  /** Latest time at which anything of the log can have been processed. */
  now: number;
}

export const TOLERANCE_MS = 60_000;
const OUTCOMES = ['', 'applied', 'stale', 'would_go_negative', 'out_of_range', 'discarded'] as const;

export function settle(log: TopicLog, options: OracleOptions, evidence: Evidence = NO_EVIDENCE): Verdict {
  const deadLetters: (Position & { reason: DeadLetterReason; occurrence: number | null })[] = [];
  const counts: Counts = {
    records: log.records,
    applied: 0,
    stale: 0,
    duplicate: 0,
    parked: 0,
    pending: 0,
    dead_letters: { undecodable: 0, unknown_type: 0, invalid: 0, key_mismatch: 0, too_old: 0, would_go_negative: 0, out_of_range: 0, discarded: 0 },
  };
  const bury = (position: Position, reason: DeadLetterReason, occurrence: number | null): void => {
    if (position.offset >= evidence.frontier(position.partition) && evidence.deadLetterAt(position) === undefined) {
      counts.pending += 1;
      return;
    }
    deadLetters.push({ ...position, reason, occurrence });
    counts.dead_letters[reason] += 1;
  };
  for (const { reason, ...position } of log.refused) bury(position, reason, null);

  // First: of each event id, the record that counts.
  const acting = createColumn('int32', -1);
  const discarded = new Set<number>();
  for (let event = 0; event < log.events.size; event += 1) {
    const { counting, tooOld, repeats } = choose(log, event, options, evidence);
    for (const occurrence of tooOld) bury(log.position(occurrence), 'too_old', occurrence);
    counts.duplicate += repeats;
    if (counting === -1) continue;
    const position = log.position(counting);
    if (evidence.deadLetterAt(position) === 'discarded') {
      bury(position, 'discarded', counting);
      discarded.add(event);
    } else if (!evidence.inLedger(event)) {
      if (evidence.isParked(event)) {
        counts.parked += 1;
        continue;
      }
      if (position.offset >= evidence.frontier(position.partition)) {
        counts.pending += 1;
        continue;
      }
    }
    acting.set(event, counting);
  }

  // Then: one item after the other, in the order of the topic.
  const [outcome, delta, onHand, previous] = [createColumn('uint8'), createColumn('int32'), createColumn('int32'), createColumn('int32', -1)];
  const items: (ExpectedItem | undefined)[] = [];
  const disordered = new Set<number>();
  forEachItem(log, acting.get, evidence, (item, { events, allowed }) => {
    if (!allowed) disordered.add(item);
    let state: ItemState = UNSEEN;
    let last = -1;
    let exists = false;
    for (const event of events) {
      const occurrence = acting.get(event);
      // An operator's discarding says nothing of the item; it stands in the item's chain only if there is an item.
      const result = discarded.has(event) ? { outcome: 'discarded' as const, after: state } : ruleOn(state, log.change(occurrence));
      outcome.set(event, OUTCOMES.indexOf(result.outcome));
      delta.set(event, result.after.on_hand - state.on_hand);
      onHand.set(event, result.after.on_hand);
      previous.set(event, last);
      state = result.after;
      exists ||= result.outcome === 'applied' || result.outcome === 'would_go_negative';
      if (exists) last = event;
      if (result.outcome === 'applied' || result.outcome === 'stale') counts[result.outcome] += 1;
      else if (result.outcome !== 'discarded') bury(log.position(occurrence), result.outcome, occurrence);
    }
    if (exists) items[item] = { ...state, last };
  });

  let scatteredUsers = 0;
  for (let user = 0; user < log.users.size; user += 1) if (log.partitionsOf(user).size > 1) scatteredUsers += 1;
  return {
    row(event) {
      const name = OUTCOMES[outcome.get(event)];
      if (name === undefined || name === '') return undefined;
      const before = previous.get(event);
      return { outcome: name, delta: delta.get(event), on_hand: onHand.get(event), previous: before === -1 ? null : before, occurrence: acting.get(event) };
    },
    item: (item) => items[item],
    disordered,
    deadLetters,
    counts,
    scatteredUsers,
  };
}

/**
 * Of the records with one event id: those that were too old when they came are dead letters (and leave no trace, so that the id may
 * come again); the first that was not counts; the others are duplicates.
 */
function choose(log: TopicLog, event: number, options: OracleOptions, evidence: Evidence): { counting: number; tooOld: readonly number[]; repeats: number } {
  const first = log.first(event);
  const scattered = log.next(first) !== -1 && spansPartitions(log, first);
  const candidates: number[] = [];
  const tooOld: number[] = [];
  const partitionsDone = new Set<number>();
  let repeats = 0;
  for (let at = first; at !== -1; at = log.next(at)) {
    const { partition } = log.position(at);
    // In one partition: once an id counts, what comes later is a duplicate however old it is.
    if (partitionsDone.has(partition)) repeats += 1;
    else if (isTooOld(log, at, options, evidence)) tooOld.push(at);
    else {
      candidates.push(at);
      partitionsDone.add(partition);
    }
  }
  if (!scattered || candidates.length < 2) return { counting: candidates[0] ?? -1, tooOld, repeats };
  const counting = candidates.find((at) => evidence.ledgerMatches(event, at)) ?? candidates[0] ?? -1;
  return { counting, tooOld, repeats: repeats + candidates.length - 1 };
}

function spansPartitions(log: TopicLog, first: number): boolean {
  const { partition } = log.position(first);
  for (let at = log.next(first); at !== -1; at = log.next(at)) if (log.position(at).partition !== partition) return true;
  return false;
}

function isTooOld(log: TopicLog, occurrence: number, { horizonMs, now }: OracleOptions, evidence: Evidence): boolean {
  const age = log.age(occurrence);
  if (age >= now - horizonMs + TOLERANCE_MS) return false;
  if (age < Math.min(log.timestamp(occurrence), now) - horizonMs - TOLERANCE_MS) return true;
  const event = log.eventOf(occurrence);
  if (evidence.deadLetterAt(log.position(occurrence)) === 'too_old') return true;
  if (evidence.inLedger(event) || evidence.isParked(event)) return false;
  return age < now - horizonMs;
}

/** Calls `visit` with the events of each item, in the order in which they took effect. */
function forEachItem(log: TopicLog, acting: (event: number) => number, evidence: Evidence, visit: (item: number, order: TakenOrder) => void): void {
  // A counting sort of acting occurrences by item: stable, so the topic's order stays.
  const isActing = (occurrence: number): boolean => acting(log.eventOf(occurrence)) === occurrence;
  const starts = new Int32Array(log.items.size + 1);
  for (let at = 0; at < log.occurrences; at += 1) if (isActing(at)) starts[log.itemOf(at) + 1] = (starts[log.itemOf(at) + 1] ?? 0) + 1;
  for (let item = 0; item < log.items.size; item += 1) starts[item + 1] = (starts[item + 1] ?? 0) + (starts[item] ?? 0);
  const fill = starts.slice();
  const sorted = new Int32Array(starts[log.items.size] ?? 0);
  for (let at = 0; at < log.occurrences; at += 1) {
    if (!isActing(at)) continue;
    const slot = fill[log.itemOf(at)] ?? 0;
    sorted[slot] = at;
    fill[log.itemOf(at)] = slot + 1;
  }
  for (let item = 0; item < log.items.size; item += 1) {
    const own = [...sorted.subarray(starts[item], starts[item + 1])];
    const first = own[0];
    if (first === undefined) continue;
    const events = own.map((at) => log.eventOf(at));
    visit(item, log.partitionsOf(log.userOf(first)).size > 1 ? databaseOrder(log, own, events, evidence.chain(item)) : { events, allowed: true });
  }
}

interface TakenOrder {
  events: readonly number[];
  /** Whether it keeps the order inside each partition. */
  allowed: boolean;
}

/** The chain of the database if it has the same events; else the events as they were read. */
function databaseOrder(log: TopicLog, occurrences: readonly number[], events: readonly number[], chain: readonly number[] | undefined): TakenOrder {
  const occurrenceOf = new Map(events.map((event, index) => [event, occurrences[index] ?? -1]));
  if (chain === undefined || chain.length !== events.length || !chain.every((event) => occurrenceOf.has(event))) return { events, allowed: true };
  const reached = new Map<number, number>();
  let allowed = true;
  for (const event of chain) {
    if (spansPartitions(log, log.first(event))) continue; // it may have come through either partition
    const { partition, offset } = log.position(occurrenceOf.get(event) ?? -1);
    allowed &&= offset > (reached.get(partition) ?? -1);
    reached.set(partition, offset);
  }
  return { events: chain, allowed };
}
