import { describe, expect, test } from 'vitest';
import { byteaArray, intArray, jsonText, nameStatement, refuseUrlSettings, textArray, timestampArray, uuidArray } from '../../src/platform/postgres/index.ts';
import { statementName } from '../../src/platform/postgres/statements.ts';

describe('array literals (read back by PostgreSQL in test/integration/postgres/arrays.test.ts)', () => {
  test.each([
    [intArray([1, -2, null, 9_007_199_254_740_993n, '123', 1.5]), '{1,-2,NULL,9007199254740993,123,1.5}'],
    [textArray(['', 'NULL', null, 'a,b', '{}', ' ', 'né\n']), '{"","NULL",NULL,"a,b","{}"," ","né\n"}'],
    [textArray([String.raw`"\"`]), String.raw`{"\"\\\""}`],
    [byteaArray([Buffer.from([0, 255]), new Uint8Array(), null]), String.raw`{"\\x00ff","\\x",NULL}`],
    [timestampArray([0, 1_767_323_045_678, null, 253_402_300_800_000]), '{1970-01-01T00:00:00.000Z,2026-01-02T03:04:05.678Z,NULL,10000-01-01T00:00:00.000Z}'],
  ])('%s', (literal, expected) => {
    expect(literal).toBe(expected);
  });

  test('a uuid that is none is refused rather than sent as other bytes', () => {
    expect(() => uuidArray(['0190a000-0000-7000-8000-00000000000x'])).toThrow('not a uuid');
    expect(() => uuidArray(['0190a000'])).toThrow('not a uuid');
  });

  test('a view into a larger buffer gives its own bytes only', () => {
    expect(byteaArray([new Uint8Array([1, 2, 3, 4]).subarray(1, 3)])).toBe(String.raw`{"\\x0203"}`);
  });

  test('times before the year 1 and no times at all are refused', () => {
    for (const ms of [-62_167_219_200_001, -1e15, Number.NaN, 8.64e15 + 1]) expect(() => timestampArray([ms])).toThrow(RangeError);
  });
});

describe('JSON with other people’s words', () => {
  test.each([
    ['NUL', 'a\0b', 'a\uFFFDb'],
    ['half a pair', 'a\ud83d', 'a\uFFFD'],
    ['the other half, and NUL behind it', '\ude00\0', '\uFFFD\uFFFD'],
    ['a pair', 'a😀', 'a😀'],
    ['what only spells an escape', String.raw`a\u0000`, String.raw`a\u0000`],
    ['the same behind a backslash', String.raw`\\u0000\ud800`, String.raw`\\u0000\ud800`],
    ['a backslash and NUL', '\\\0', '\\\uFFFD'],
  ])('%s', (_, given, kept) => {
    expect(JSON.parse(jsonText([{ [given]: given }]))).toEqual([{ [kept]: kept }]);
  });
});

describe('named statements', () => {
  test('one name, one text', () => {
    expect(nameStatement('SELECT 1 AS unit_one', 'unit_one')).toBe('SELECT 1 AS unit_one');
    expect(nameStatement('SELECT 1 AS unit_one', 'unit_one')).toBe('SELECT 1 AS unit_one');
    expect(() => nameStatement('SELECT 2 AS unit_one', 'unit_one')).toThrow('two statements are named "unit_one"');
    expect(() => nameStatement('SELECT 1 AS unit_one', 'unit_other')).toThrow('one statement is named "unit_one" and "unit_other"');
    expect(() => nameStatement('SELECT 3', 'No name')).toThrow('snake_case');
  });

  test('only registered texts have one', () => {
    nameStatement('SELECT 1 AS unit_two', 'unit_two');
    expect([statementName('SELECT 1 AS unit_two'), statementName('SELECT 1')]).toEqual(['unit_two', '']);
  });
});

test('settings hidden in the database URL are refused together, with what to use instead', () => {
  refuseUrlSettings('postgresql://brx@db/brx?sslmode=verify-full&application_name=x');
  expect(() => refuseUrlSettings('postgresql://brx:secret@db/brx?query_timeout=1&schema=x')).toThrow(
    expect.objectContaining({ code: 'BRX_CONFIG', message: 'BRX_DATABASE_URL must not have the parameters query_timeout, schema', remedy: expect.stringMatching(/instead of query_timeout: use BRX_DATABASE_STATEMENT_TIMEOUT_MS.*; instead of schema: /) as string }) as Error,
  );
});
