import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { restoreHeaders, storeHeaders } from '../../../src/platform/kafka/index.ts';
import { seed } from '../../support/seed.ts';

/** Protects: headers a table keeps come back byte for byte, whatever a stranger calls them. */
const bytes = (text: string): Buffer => Buffer.from(text);

describe('headers', () => {
  test('are a list of names and base64 values; a repeated name stands once a value, one without a value is null', () => {
    const stored = storeHeaders({ a: 'x', twice: [bytes('1'), null], none: null, left: undefined });
    expect(stored).toEqual([['a', 'eA=='], ['twice', 'MQ=='], ['twice', null], ['none', null]]);
    expect(restoreHeaders(stored)).toEqual({ a: bytes('x'), twice: [bytes('1'), null], none: null });
  });

  test('a name with U+0000, which jsonb refuses, stands in base64', () => {
    const stored = storeHeaders({ 'a\u0000b': 'x' });
    expect(JSON.stringify(stored)).not.toContain(String.raw`\u0000`);
    expect(restoreHeaders(stored)).toEqual({ 'a\u0000b': bytes('x') });
  });

  test('what kafkajs finds under a name that every object has is not a header', () => {
    expect(storeHeaders({ constructor: [Object as unknown as Buffer, bytes('x')] })).toEqual([['constructor', 'eA==']]);
  });

  test(`come back as they were, __proto__ and all (seed ${seed})`, () => {
    const value = fc.oneof(fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array)), fc.constant(null));
    const name = fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('', '__proto__', 'toString', 'constructor', 'a\u0000', '\u0000'));
    const entries = fc.uniqueArray(fc.tuple(name, fc.array(value, { minLength: 1, maxLength: 3 })), { selector: ([key]) => key, maxLength: 8 });
    fc.assert(
      fc.property(entries, (given) => {
        const headers = Object.fromEntries(given.map(([key, values]) => [key, values.length === 1 ? values[0]! : values]));
        const stored = JSON.parse(JSON.stringify(storeHeaders(headers))) as ReturnType<typeof storeHeaders>;
        expect(restoreHeaders(stored)).toEqual(headers);
      }),
      { seed },
    );
  });
});
