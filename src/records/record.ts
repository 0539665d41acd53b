import type { RecordName, RecordOf } from '../contract/index.ts';
import type { SourceRecord } from '../platform/consumer/index.ts';

/** Why a record is a dead letter. The list is closed: the database checks it, the operator's manual explains it. */
export const DEAD_LETTER_REASONS = {
  undecodable: 'the bytes are not Avro in Confluent’s wire format, or do not fit the schema they name',
  unknown_type: 'the schema is not in the registry, or this version does not handle the record; redrive it after an upgrade',
  invalid: 'the record decodes but breaks a rule of the contract',
  key_mismatch: 'the record’s key is not the user_id in its value, so its order is not kept by Kafka',
  too_old: 'it is older than the deduplication horizon, so nobody can tell whether it was applied before',
  would_go_negative: 'the adjustment would take the stock below zero; the item is marked drifted until the next SET',
  out_of_range: 'the adjustment would take the stock above what an integer holds',
  unknown_purchase: 'it cancels a purchase that was never requested here',
  discarded: 'an operator discarded it while its user was parked',
} as const;

export type DeadLetterReason = keyof typeof DEAD_LETTER_REASONS;

/** A record that decoded into one of these records of the contract. */
export type EventEntry<Name extends RecordName = RecordName> = { [One in Name]: { readonly kind: 'event'; readonly type: One; readonly source: SourceRecord; readonly event: RecordOf<One> } }[Name];

/** A record that cannot take effect, whatever the database says. */
export interface DeadEntry {
  readonly kind: 'dead';
  readonly source: SourceRecord;
  readonly reason: DeadLetterReason;
  readonly detail: string;
  readonly userId: string | null;
  readonly eventId: string | null;
}

export type Entry<Name extends RecordName = RecordName> = EventEntry<Name> | DeadEntry;
