import type { SourceRecord } from '../platform/consumer/index.ts';
import { restoreHeaders, storeHeaders, type StoredHeader } from '../platform/kafka/index.ts';
import { intArray, textArray, timestampArray } from '../platform/postgres/index.ts';

/**
 * A Kafka record as seven columns: topic, partition, offset, record_timestamp, record_key, record_value, record_headers. Parked
 * events and dead letters keep it byte for byte, so that it can be applied, redriven or examined as if Kafka had just sent it.
 * As parameters: seven array literals in this order.
 */
export function sourceColumns(records: readonly SourceRecord[]): string[] {
  return [
    textArray(records.map((record) => record.topic)),
    intArray(records.map((record) => record.partition)),
    intArray(records.map((record) => BigInt(record.offset))),
    timestampArray(records.map((record) => Math.min(Math.max(record.timestamp, EARLIEST_MS), LATEST_MS))),
    byteaArray(records.map((record) => record.key)),
    byteaArray(records.map((record) => record.value)),
    textArray(records.map((record) => JSON.stringify(storeHeaders(record.headers)))),
  ];
}

/** The same columns as a row comes back; `record_timestamp` as milliseconds, bytes as Prisma gives them. */
export interface SourceColumns {
  topic: string;
  partition: number;
  offset: bigint;
  record_timestamp: number;
  record_key: Uint8Array | null;
  record_value: Uint8Array | null;
  record_headers: StoredHeader[];
}

export function sourceRecord(row: SourceColumns): SourceRecord {
  return {
    topic: row.topic,
    partition: row.partition,
    offset: row.offset.toString(),
    timestamp: Number(row.record_timestamp),
    key: row.record_key === null ? null : Buffer.from(row.record_key),
    value: row.record_value === null ? null : Buffer.from(row.record_value),
    headers: restoreHeaders(row.record_headers),
  };
}

/** Bytes in PostgreSQL's hex form; as an array literal that is a text array. */
function byteaArray(values: readonly (Buffer | null)[]): string {
  return textArray(values.map((value) => (value === null ? null : String.raw`\x${value.toString('hex')}`)));
}

/** The years 1 to 275760, which JavaScript and PostgreSQL share. Kafka takes any 64-bit number from a producer. */
const EARLIEST_MS = -62_135_596_800_000;
const LATEST_MS = 8_640_000_000_000_000;
