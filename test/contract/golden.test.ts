import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LATEST, RECORD_NAMES, RECORDS, type RecordName } from '../../src/contract/index.ts';
import { boundedType } from '../../src/platform/kafka/bounded-avro.ts';
import { createCodec, encode, readerOf, type WriterSchema } from '../../src/platform/kafka/index.ts';

/**
 * Protects: bytes once written stay readable, byte for byte. One file a record and version, never changed once committed; Apache
 * Avro 1.12.0 for Java read the same values from each when it was made.
 */
interface Golden {
  record: RecordName;
  version: number;
  value: Record<string, unknown>;
  /** Wire format with schema id 1, in hexadecimal. */
  bytes: string;
}
const folder = new URL('golden/', import.meta.url);
const goldens = readdirSync(folder).map((file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Golden);
const writer = (record: RecordName, version: number): WriterSchema => ({
  kind: 'avro',
  fullName: RECORDS[record].fullName,
  schema: JSON.parse(readFileSync(new URL(`../../schemas/${RECORDS[record].fullName}/v${version}.avsc`, import.meta.url), 'utf8')) as unknown,
});

test('every version of every record has its golden bytes', () => {
  const wanted = RECORD_NAMES.flatMap((record) => Array.from({ length: LATEST[record].version }, (_, index) => `${record} v${index + 1}`));
  expect(goldens.map(({ record, version }) => `${record} v${version}`).toSorted()).toEqual(wanted.toSorted());
});

describe.each(goldens)('$record v$version', ({ record, version, value, bytes }) => {
  test('is read from its bytes', () => {
    const decoded = readerOf(writer(record, version)).read(Buffer.from(bytes, 'hex'));
    const expected = RECORDS[record].schema.parse(value);
    expect(JSON.parse(JSON.stringify(decoded))).toEqual(expected);
  });

  test('the newest version is written as these bytes', () => {
    if (version !== LATEST[record].version) return;
    expect(encode(record, 1, RECORDS[record].schema.parse(value) as never).toString('hex')).toBe(bytes);
  });
});

describe('reading', () => {
  const golden = goldens.find(({ record }) => record === 'InventoryChanged')!;
  const bytes = Buffer.from(golden.bytes, 'hex');
  const schema = structuredClone(LATEST.InventoryChanged.avro) as unknown as { fields: { name: string; type: unknown; default?: unknown }[] };
  const reader = readerOf(writer('InventoryChanged', 1));

  test('every cut of the bytes is refused, and so is anything behind them', () => {
    for (let length = 5; length < bytes.length; length += 1) expect(() => reader.read(bytes.subarray(0, length)), `${length} bytes`).toThrow();
    expect(() => reader.read(Buffer.concat([bytes, Buffer.alloc(1)]))).toThrow('1 bytes too many');
  });

  test('a producer with an older schema, or one with fields of its own, is read in our shape', () => {
    const fields = schema.fields.filter(({ name }) => name !== 'version');
    const older = { ...schema, fields: [...fields, { name: 'note', type: ['null', 'string'], default: null }] };
    const read = readerOf({ kind: 'avro', fullName: 'brx.marketplace.InventoryChanged', schema: older });
    const { value } = golden;
    const withoutVersion = encodeWith(older, { ...value, note: 'hello' });
    expect(read.read(withoutVersion)).toMatchObject({ event_id: value['event_id'], quantity: value['quantity'], version: null });
    expect(read.read(withoutVersion)).not.toHaveProperty('note');
  });

  test('what cannot be read says why, and is never taken for a record of ours', () => {
    const incompatible = { ...schema, fields: schema.fields.map((field) => (field.name === 'quantity' ? { ...field, type: 'string' } : field)) };
    const names = [
      readerOf({ kind: 'avro', fullName: 'brx.marketplace.InventoryChanged', schema: incompatible }),
      readerOf({ kind: 'avro', fullName: 'brx.marketplace.InventoryChanged', schema: { nonsense: true } }),
      readerOf({ kind: 'avro', fullName: 'brx.marketplace.Unheard', schema: {} }),
      readerOf({ kind: 'foreign', description: 'a JSON schema' }),
    ].map(({ recordName }) => recordName);
    expect(names.some((name) => Object.values(RECORDS).some(({ fullName }) => name === fullName))).toBe(false);
    expect(names[0]).toMatch(/InventoryChanged as written with this schema \(/);
    expect(names.slice(2)).toEqual(['brx.marketplace.Unheard', 'a JSON schema']);
  });
});

describe('the codec', () => {
  const ours: WriterSchema = { kind: 'avro', fullName: 'brx.marketplace.InventoryChanged', schema: LATEST.InventoryChanged.avro };

  test('asks the registry once an id it knows, and again soon for one it did not know', async () => {
    let now = 0;
    let known = false;
    const asked: number[] = [];
    const codec = createCodec({ schemaOf: (id) => (asked.push(id), Promise.resolve(known ? ours : undefined)) }, { monotonic: () => now });
    await codec.prepare(7);
    await codec.prepare(7);
    expect(codec.reader(7)).toBeUndefined();
    expect(asked).toEqual([7]);
    known = true;
    now = 5_001;
    await codec.prepare(7);
    await codec.prepare(7);
    expect(codec.reader(7)?.recordName).toBe('brx.marketplace.InventoryChanged');
    expect(asked).toEqual([7, 7]);
  });

  test('an outage is thrown, not remembered as "unknown"', async () => {
    let away = true;
    const codec = createCodec({ schemaOf: () => (away ? Promise.reject(new Error('away')) : Promise.resolve(ours)) });
    await expect(codec.prepare(7)).rejects.toThrow('away');
    away = false;
    await codec.prepare(7);
    expect(codec.reader(7)).toBeDefined();
  });
});

function encodeWith(schema: unknown, value: unknown): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), boundedType(schema).toBuffer(value)]);
}
