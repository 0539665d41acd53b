import { describe, expect, test } from 'vitest';
import { boundedType } from '../../../src/platform/kafka/bounded-avro.ts';

/** Protects: a record of a few bytes that announces endless entries is refused at once, whether its field is read or skipped. */
const SCHEMA = {
  type: 'record',
  name: 'R',
  fields: [
    { name: 'map', type: { type: 'map', values: 'string' } },
    { name: 'list', type: { type: 'array', items: { type: 'record', name: 'Line', fields: [{ name: 'text', type: 'string' }] } } },
    { name: 'nothing', type: { type: 'array', items: 'null' } },
  ],
};
const type = boundedType(SCHEMA);
const long = (value: number): Buffer => boundedType('long').toBuffer(value);
const END = Buffer.from([0]);
const HUGE = 2 ** 50;
const record = (...parts: Buffer[]): Buffer => Buffer.concat(parts);

const hostile: [string, Buffer][] = [
  ['a map of 2^50 entries', record(long(HUGE), Buffer.alloc(10))],
  ['a list of 2^50 entries', record(END, long(HUGE), Buffer.alloc(10))],
  ['a list of 2^50 nothings', record(END, END, long(HUGE), Buffer.alloc(10))],
  ['a block with a negative count', record(long(-HUGE), long(5), Buffer.alloc(10))],
  ['a key that goes backwards', record(long(1), long(-3), Buffer.alloc(10))],
  ['a block that points backwards', record(long(-1), long(-9), Buffer.alloc(1))],
  ['an entry that is cut short', record(long(2), long(1), Buffer.from('a'), long(1), Buffer.from('b'), long(9))],
];

describe.each(hostile)('%s', (_name, bytes) => {
  test('is refused when read', () => {
    expect(() => {
      if (type.decode(bytes).offset < 0) throw new RangeError('cut short');
    }).toThrow();
  });

  test('is refused when skipped', () => {
    const without = boundedType({ type: 'record', name: 'R', fields: [{ name: 'extra', type: 'int', default: 1 }] });
    const resolver = without.createResolver(type);
    expect(() => {
      if (without.decode(bytes, 0, resolver).offset < 0) throw new RangeError('cut short');
    }).toThrow();
  });
});

test('what is sound is read and skipped as before, in one block or several, with sizes or without', () => {
  const value = { map: { a: 'b', c: 'd' }, list: [{ text: 'x' }, { text: '' }], nothing: [] };
  expect({ ...(type.decode(type.toBuffer(value)).value as object) }).toEqual(value);
  const entry = (key: string, text: string): Buffer => record(long(key.length), Buffer.from(key), long(text.length), Buffer.from(text));
  const blocks = record(long(1), entry('a', 'b'), long(-1), long(4), entry('c', 'd'), END, long(2), long(1), Buffer.from('x'), long(0), END, END);
  expect({ ...(type.decode(blocks).value as object) }).toEqual(value);
  const reader = boundedType({ type: 'record', name: 'R', fields: [{ name: 'nothing', type: { type: 'array', items: 'null' } }] });
  expect({ ...(reader.decode(blocks, 0, reader.createResolver(type)).value as object) }).toEqual({ nothing: [] });
});

test('a key __proto__ is refused rather than lost', () => {
  const bytes = record(long(1), long(9), Buffer.from('__proto__'), long(1), Buffer.from('x'), END, END, END);
  expect(() => type.decode(bytes)).toThrow(/__proto__/);
});
