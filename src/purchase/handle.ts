import type { RecordName } from '../contract/index.ts';
import type { SourceRecord } from '../platform/consumer/index.ts';
import { buryDeadLetters, type DeadEntry, type DeadLetterReason, type Decoder, type EventEntry } from '../records/index.ts';
import { advanceOrStick, type AdvanceDeps, type Call } from './advance.ts';
import type { HistoryRow } from './fold.ts';

/** What the topic of saga events carries; every one of them is about one purchase. */
export const SAGA_RECORDS = ['PurchaseReserved', 'PurchaseAdvanced', 'RemoteStockTaken', 'RemoteStockRefused', 'RemoteStockReturned', 'RemoteStockUnknown'] as const satisfies readonly RecordName[];
export type SagaRecord = (typeof SAGA_RECORDS)[number];

/** What one committed chunk of the saga role has come to. */
export interface SagaResult {
  readonly steps: readonly HistoryRow[];
  readonly operations: number;
  readonly deadLetters: readonly DeadLetterReason[];
  readonly enqueued: number;
}

export const NOTHING: SagaResult = { steps: [], operations: 0, deadLetters: [], enqueued: 0 };

/**
 * A chunk of saga events: each but a saga's own announcements says "look at this purchase", and each purchase is looked at once, in one transaction. What the
 * record says beside that does not count (decide.ts), so what is delivered again, or replayed, does nothing.
 */
export function sagaHandler(decoder: Decoder<SagaRecord>, deps: AdvanceDeps & { readonly consumerGroup: string }): (records: readonly SourceRecord[]) => Promise<SagaResult> {
  return async (records) => {
    const entries = await decoder.decode(records);
    // A saga's own step tells nobody here anything: whoever took it asked `decide` until there was nothing left to do.
    const events = entries.filter((entry): entry is EventEntry<SagaRecord> => entry.kind === 'event' && entry.type !== 'PurchaseAdvanced');
    const unusable = entries.filter((entry): entry is DeadEntry => entry.kind === 'dead');
    if (events.length + unusable.length === 0) return NOTHING;
    await deps.purchase.encoder.prepare();
    const calls = new Map<string, { call: Call; entry: EventEntry<SagaRecord> }>();
    for (const entry of events) {
      const { user_id: userId, purchase_id: purchaseId } = entry.event;
      calls.set(`${userId}/${purchaseId}`, { call: { userId, purchaseId, stimulus: { kind: 'look' } }, entry });
    }
    const strangers = (unknown: readonly Call[]): DeadEntry[] => unknown.map(({ userId, purchaseId }) => stranger(calls.get(`${userId}/${purchaseId}`)?.entry));

    const { steps, operations, unknown } = await advanceOrStick(deps, [...calls.values()].map(({ call }) => call), {
      // Known by their position, so that it does no harm to name the unusable ones in each half of a chunk that had to be halved.
      after: (tx, found) => buryDeadLetters(tx, [...unusable, ...strangers(found)], deps.consumerGroup),
    });
    const deadLetters = [...unusable, ...strangers(unknown)].map(({ reason }) => reason);
    return { steps, operations, deadLetters, enqueued: steps.length + deadLetters.length };
  };
}

/** Somebody writes to our topic, or the database was exchanged: a saga is started by its request alone. */
function stranger(entry: EventEntry<SagaRecord> | undefined): DeadEntry {
  if (entry === undefined) throw new Error('a call that came from no record');
  const { event, source } = entry;
  return { kind: 'dead', source, reason: 'unknown_purchase', detail: `no purchase ${event.purchase_id} of user ${event.user_id} was ever requested here`, userId: event.user_id, eventId: event.event_id };
}
