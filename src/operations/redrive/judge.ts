import { bornAt } from '../../ingest/index.ts';
import type { Entry } from '../../records/index.ts';
import type { Evidence, Question } from './evidence.sql.ts';

/**
 * Whether a dead letter would take effect if it were sent again, told before it is. Pure.
 *
 *   send        nothing speaks against it
 *   duplicate   its id is known: applied, refused for what it says, or waiting with its parked user; sent again it does nothing
 *   too_old     it dates from before the deduplication horizon: nobody can tell whether it was applied, so it is refused
 *   superseded  it sets an item that something newer has changed since
 *   unfit       this version refuses it as it did before
 */
export type Verdict = 'send' | 'duplicate' | 'too_old' | 'superseded' | 'unfit';

export interface Judged {
  readonly verdict: Verdict;
  /** Why, for a reader; empty for what is sent. */
  readonly detail: string;
}

/** Sent all the same when the operator insists: the records' own readers have the last word. Of the others nothing could come. */
export const INSISTED: ReadonlySet<Verdict> = new Set(['superseded', 'unfit']);

/** What must be known of it; undefined: nothing, it is of no event of the marketplace. */
export function question(entry: Entry): Question | undefined {
  if (entry.kind === 'dead') return undefined;
  const { event_id: eventId, user_id: userId } = entry.event;
  return { eventId, userId, itemId: entry.type === 'InventoryChanged' && entry.event.kind !== 'ADJUST' ? entry.event.item_id : null };
}

const KNOWN = { a: 'it was applied', s: 'it was stale', r: 'its purchase was rejected', d: 'the ledger has refused it for what it says; correct it with --set or --edit' } as const;

/** `tooOldBefore`: the horizon (ms); of topics that know no horizon, 0. */
export function judge(entry: Entry, evidence: Evidence | undefined, tooOldBefore: number): Judged {
  if (entry.kind === 'dead') return { verdict: 'unfit', detail: `${entry.reason}: ${entry.detail}` };
  const { event } = entry;
  const outcome = evidence?.outcome ?? null;
  if (outcome !== null) return { verdict: 'duplicate', detail: `${KNOWN[outcome]} (${evidence?.recordedAt?.toISOString() ?? ''})` };
  if (evidence?.parked === true) return { verdict: 'duplicate', detail: 'it waits with its parked user' };
  const born = 'occurred_at' in event ? bornAt(event.event_id, event.occurred_at) : Number.POSITIVE_INFINITY;
  if (born < tooOldBefore) return { verdict: 'too_old', detail: `from ${new Date(born).toISOString()}, before the horizon ${new Date(tooOldBefore).toISOString()}; have the producer send the present state as a SET` };
  if (entry.type === 'InventoryChanged' && entry.event.kind !== 'ADJUST' && evidence !== undefined) {
    const newer = newerThan(entry.event, evidence);
    if (newer !== undefined) return { verdict: 'superseded', detail: newer };
  }
  return { verdict: 'send', detail: '' };
}

/** A SET or REMOVE says what was true when it occurred. By version where both have one, as ingest does; else by time. */
function newerThan({ version, occurred_at: occurredAt }: { version: number | null; occurred_at: number }, { itemVersion, itemOccurredAt }: Evidence): string | undefined {
  if (version !== null && itemVersion !== null) return version <= itemVersion ? `the item has version ${itemVersion}, this is ${version}` : undefined;
  if (itemOccurredAt === null || itemOccurredAt.getTime() <= occurredAt) return undefined;
  return `the item has changed since: its newest event is from ${itemOccurredAt.toISOString()}, this one from ${new Date(occurredAt).toISOString()}`;
}
