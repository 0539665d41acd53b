import { describe, expect, test } from 'vitest';
import type { RecordHeaders } from '../../src/platform/consumer/index.ts';
import { sourceColumns, sourceRecord, type SourceColumns } from '../../src/records/source-columns.ts';
import { source } from '../support/events.ts';

/** Protects: whatever Kafka's client hands over as headers or timestamp can be kept, and comes back as it was. A record that cannot be kept would stop everyone. */
const columnsOf = (given: Parameters<typeof source>[0]): string[] => sourceColumns([source(given)]);

/** What PostgreSQL gives back for one record: the JSON of the one element of the array literal. */
function headersBack(headers: RecordHeaders): RecordHeaders {
  const literal = columnsOf({ headers }).at(-1) ?? '';
  const json = literal.slice(2, -2).replaceAll(/\\(.)/g, '$1');
  expect(json).not.toContain(String.raw`\u0000`); // jsonb refuses it
  const row: SourceColumns = { topic: 't', partition: 0, offset: 0n, record_timestamp: 0, record_key: null, record_value: null, record_headers: JSON.parse(json) as SourceColumns['record_headers'] };
  return sourceRecord(row).headers;
}

describe('headers', () => {
  const bytes = Buffer.from([0, 255, 34, 92]);
  test.each<[what: string, headers: RecordHeaders]>([
    ['none', {}],
    ['bytes', { a: bytes, b: Buffer.alloc(0) }],
    ['a name several times', { a: [bytes, Buffer.from('x')] }],
    ['no value, which Kafka allows', { traceparent: null, twice: [null, bytes] }],
    ['no name', { '': bytes }],
    ['names that need care', { 'a"b\\c': bytes, 'ü 🂡': bytes }],
    ['a name with NUL', { 'a\u0000b': bytes, '\u0000': [bytes, bytes] }],
  ])('%s', (_, headers) => {
    expect(headersBack(headers)).toEqual(headers);
  });

  test('a name like a member of every object, in the shape kafkajs gives it', () => {
    const decoded = Object.fromEntries([
      ['constructor', [Object, bytes]],
      ['__proto__', [Object.prototype, bytes, Buffer.from('x')]],
    ]) as unknown as RecordHeaders;
    const back = headersBack(decoded);
    expect(Object.keys(back)).toEqual(['constructor', '__proto__']);
    expect(Object.values(back)).toEqual([bytes, [bytes, Buffer.from('x')]]);
  });
});

test.each([
  ['-62135596800001', '0001-01-01T00:00:00.000Z'],
  ['-9223372036854775808', '0001-01-01T00:00:00.000Z'],
  ['9223372036854775807', '275760-09-13T00:00:00.000Z'],
  ['-1', '1969-12-31T23:59:59.999Z'],
  ['1700000000123', '2023-11-14T22:13:20.123Z'],
])('a timestamp of %s is kept as far as a calendar reaches', (timestamp, column) => {
  expect(columnsOf({ timestamp: Number(timestamp) })[3]).toBe(`{${column}}`);
});
