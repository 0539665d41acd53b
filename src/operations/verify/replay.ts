import { spansPartitions } from './choose.ts';
import type { Evidence, Import } from './evidence.ts';
import type { PlannedRow, SalePlan } from './sales.ts';
import type { TopicLog } from './topic-log.ts';

/** Calls `visit` with the rows each item must have because of events of the topic, in the order in which they took effect. */
export function forEachItem(log: TopicLog, acting: (event: number) => number, plan: SalePlan, evidence: Evidence, stepsOf: (item: number) => readonly Step[], visit: (item: number, order: TakenOrder) => void): void {
  // A counting sort of acting occurrences by item: stable, so the topic's order stays. Sales are fewer and concern several items each.
  const isActing = (occurrence: number): boolean => acting(log.eventOf(occurrence)) === occurrence && log.typeOf(occurrence) === 'change';
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
    const own: Place[] = Array.from(sorted.subarray(starts[item], starts[item + 1]), (occurrence) => ({ row: log.eventOf(occurrence), occurrence }));
    const sales = plan.events.get(item);
    const places = sales === undefined ? own : [...own, ...sales].sort((a, b) => a.occurrence - b.occurrence);
    const [first] = places;
    if (first === undefined) {
      if (stepsOf(item).length > 0) visit(item, { rows: [], allowed: true }); // imported, and never heard of
      continue;
    }
    const scattered = log.partitionsOf(log.userOf(first.occurrence)).size > 1;
    visit(item, scattered ? databaseOrder(log, places, stepsOf(item), evidence.chain(item)) : { rows: places.map(({ row }) => row), allowed: true });
  }
}

interface Place {
  row: number;
  occurrence: number;
}

export interface TakenOrder {
  rows: readonly number[];
  /** Whether it keeps the order inside each partition. */
  allowed: boolean;
}

/** The chain of the database if it has the same events; else the events as they were read. Steps of sales and imports are left out: they come from no record. */
function databaseOrder(log: TopicLog, places: readonly Place[], steps: readonly Step[], chain: readonly number[] | undefined): TakenOrder {
  const occurrenceOf = new Map(places.map(({ row, occurrence }) => [row, occurrence]));
  const taken = new Set(steps.map(({ row }) => row));
  const order = chain?.filter((row) => !taken.has(row));
  if (order === undefined || order.length !== places.length || !order.every((row) => occurrenceOf.has(row))) return { rows: places.map(({ row }) => row), allowed: true };
  const reached = new Map<number, number>();
  let allowed = true;
  for (const row of order) {
    const occurrence = occurrenceOf.get(row) ?? -1;
    if (spansPartitions(log, log.first(log.eventOf(occurrence)))) continue; // it may have come through either partition
    const { partition, offset } = log.position(occurrence);
    allowed &&= offset > (reached.get(partition) ?? -1);
    reached.set(partition, offset);
  }
  return { rows: order, allowed };
}

/** What an item's history has that came from no record of the topic: a step of a sale, or an import. */
export type Step = PlannedRow | Import;
export const isImport = (step: Step): step is Import => 'isWhole' in step;

/** In the place of a row: what begins an item's history. */
export const BEGINNING = -1;

/**
 * Steps stand in an item's history where the database has them: each behind the row it names. `behind(row)` answers those that
 * follow `row`, in order; what is left over in the end stands nowhere (`left`). An import may begin a history; a step of a sale may not.
 */
export function placeSteps(steps: readonly Step[], evidence: Evidence): { behind(row: number): Step[]; left(): Step[] } {
  const waiting = new Map<number, Step[]>();
  const left = new Set(steps);
  for (const step of steps) {
    const previous = evidence.row(step.row)?.previous;
    if (previous !== undefined && (previous !== BEGINNING || isImport(step))) waiting.set(previous, [...(waiting.get(previous) ?? []), step]);
  }
  return {
    behind(row) {
      const found: Step[] = [];
      const open = [row];
      for (let at = open.pop(); at !== undefined; at = open.pop()) {
        const next = waiting.get(at) ?? [];
        waiting.delete(at);
        for (const step of next) {
          found.push(step);
          left.delete(step);
          open.push(step.row);
        }
      }
      return found;
    },
    left: () => [...left],
  };
}
