import type { Evidence } from './evidence.ts';
import type { TopicLog } from './topic-log.ts';
import type { OracleOptions } from './verdict.ts';

/** Clocks of producers, broker and consumers may differ by so much. */
export const TOLERANCE_MS = 60_000;

export interface Choice {
  /** The record that counts; -1 for none. */
  counting: number;
  tooOld: readonly number[];
  /** Cancellations of purchases that were unknown when they came. */
  unknown: readonly number[];
  repeats: number;
}

/**
 * Of the records with one event id: those that were too old when they came are dead letters, as are cancellations of what was not
 * known yet (both leave no trace, so that the id may come again); the first that was neither counts; the others are duplicates.
 */
export function choose(log: TopicLog, event: number, options: OracleOptions, evidence: Evidence, isUnknown: (occurrence: number) => boolean): Choice {
  const first = log.first(event);
  const scattered = log.next(first) !== -1 && spansPartitions(log, first);
  const candidates: number[] = [];
  const tooOld: number[] = [];
  const unknown: number[] = [];
  const partitionsDone = new Set<number>();
  let repeats = 0;
  for (let at = first; at !== -1; at = log.next(at)) {
    const { partition } = log.position(at);
    // In one partition: once an id counts, what comes later is a duplicate however old it is.
    if (partitionsDone.has(partition)) repeats += 1;
    else if (isTooOld(log, at, options, evidence)) tooOld.push(at);
    else if (isUnknown(at)) unknown.push(at);
    else {
      candidates.push(at);
      partitionsDone.add(partition);
    }
  }
  if (!scattered || candidates.length < 2) return { counting: candidates[0] ?? -1, tooOld, unknown, repeats };
  const counting = candidates.find((at) => evidence.ledgerMatches(event, at)) ?? candidates[0] ?? -1;
  return { counting, tooOld, unknown, repeats: repeats + candidates.length - 1 };
}

export function spansPartitions(log: TopicLog, first: number): boolean {
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
