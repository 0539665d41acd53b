import type { Difference } from './differences.ts';
import type { FoundRow } from './found.ts';
import type { TopicLog } from './topic-log.ts';

/** What an occurrence is about. */
export function about(log: TopicLog, occurrence: number): Pick<Difference, 'user_id' | 'item_id' | 'purchase_id' | 'event_id' | 'position'> {
  const [item, sale] = [log.itemOf(occurrence), log.saleOf(occurrence)];
  return {
    user_id: log.users.text(log.userOf(occurrence)),
    ...(item !== -1 && { item_id: log.items.text(item, 1) }),
    ...(sale !== -1 && { purchase_id: log.sales.text(sale, 1) }),
    event_id: log.events.text(log.eventOf(occurrence)),
    position: log.position(occurrence),
  };
}

/** A ledger row for people. */
export function describeRow(log: TopicLog, row: FoundRow | undefined): Record<string, unknown> | null {
  if (row === undefined) return null;
  const { item, previous, held, sale, ...rest } = row;
  return {
    ...rest,
    ...(sale !== null && { held, purchase_id: log.sales.text(sale, 1) }),
    item_id: item < 0 ? 'one that is not in the topic' : log.items.text(item, 1),
    after: previous === -1 ? null : previous < 0 ? 'an event that is not in the topic' : log.events.text(previous),
  };
}
