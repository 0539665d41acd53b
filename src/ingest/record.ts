import type { InventoryChanged } from '../contract/index.ts';

/** Where a record stands in Kafka. Offsets are 64-bit: decimal text as Kafka's client gives them, BigInt to reckon with, never a number. */
export interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
}

/** Headers as the client gives them: a name may come several times, and Kafka allows a header without a value (null). */
export type RecordHeaders = Readonly<Record<string, HeaderValue | readonly HeaderValue[] | undefined>>;
export type HeaderValue = Buffer | string | null;

/** A record as Kafka has it: what a dead letter or a parked event must keep unchanged. */
export interface SourceRecord extends Position {
  /** Milliseconds since 1970, as the broker or the producer stamped it. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
}

/** Why a record is a dead letter. The list is closed: the database checks it, the operator's manual explains it. */
export const DEAD_LETTER_REASONS = {
  undecodable: 'the bytes are not Avro in Confluent’s wire format, or do not fit the schema they name',
  unknown_type: 'the schema is not in the registry, or this version does not handle the record; redrive it after an upgrade',
  invalid: 'the record decodes but breaks a rule of the contract',
  key_mismatch: 'the record’s key is not the user_id in its value, so its order is not kept by Kafka',
  too_old: 'it is older than the deduplication horizon, so nobody can tell whether it was applied before',
  would_go_negative: 'the adjustment would take the stock below zero; the item is marked drifted until the next SET',
  out_of_range: 'the adjustment would take the stock above what an integer holds',
  discarded: 'an operator discarded it while its user was parked',
} as const;

export type DeadLetterReason = keyof typeof DEAD_LETTER_REASONS;

/** A record that decoded into an event of ours. */
export interface EventEntry {
  readonly kind: 'event';
  readonly source: SourceRecord;
  readonly event: InventoryChanged;
}

/** A record that cannot take effect, whatever the database says. */
export interface DeadEntry {
  readonly kind: 'dead';
  readonly source: SourceRecord;
  readonly reason: DeadLetterReason;
  readonly detail: string;
  readonly userId: string | null;
  readonly eventId: string | null;
}

export type Entry = EventEntry | DeadEntry;

/** What became of a record: the value a bad message is, never an exception. */
export type Outcome = 'ok' | 'duplicate' | 'stale' | 'dead' | 'parked';
