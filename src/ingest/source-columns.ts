import { intArray, textArray, timestampArray } from '../platform/postgres/index.ts';
import type { RecordHeaders, SourceRecord } from './record.ts';

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
    timestampArray(records.map((record) => record.timestamp)),
    byteaArray(records.map((record) => record.key)),
    byteaArray(records.map((record) => record.value)),
    textArray(records.map((record) => JSON.stringify(headerList(record.headers)))),
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
  record_headers: [string, string][];
}

export function sourceRecord(row: SourceColumns): SourceRecord {
  return {
    topic: row.topic,
    partition: row.partition,
    offset: row.offset.toString(),
    timestamp: Number(row.record_timestamp),
    key: row.record_key === null ? null : Buffer.from(row.record_key),
    value: row.record_value === null ? null : Buffer.from(row.record_value),
    headers: headersOf(row.record_headers),
  };
}

/** Bytes in PostgreSQL's hex form; as an array literal that is a text array. */
function byteaArray(values: readonly (Buffer | null)[]): string {
  return textArray(values.map((value) => (value === null ? null : String.raw`\x${value.toString('hex')}`)));
}

/** Headers as they are stored: pairs of name and base64, a repeated name once a value. */
function headerList(headers: RecordHeaders): [string, string][] {
  const list: [string, string][] = [];
  for (const [name, values] of Object.entries(headers)) {
    if (values === undefined) continue;
    const each = typeof values === 'string' || Buffer.isBuffer(values) ? [values] : values;
    for (const value of each) list.push([name, Buffer.from(value).toString('base64')]);
  }
  return list;
}

function headersOf(list: readonly [string, string][]): RecordHeaders {
  const headers: Record<string, Buffer[]> = {};
  for (const [name, value] of list) (headers[name] ??= []).push(Buffer.from(value, 'base64'));
  return Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, values.length === 1 && values[0] !== undefined ? values[0] : values]));
}
