import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonList } from '../../../src/marketplace/client/json-list.ts';

/** Protects: a list read as its bytes come is the list it is when read at once, however the bytes are cut; and what is no whole list never passes for one. */
function readInParts(text: string, cuts: readonly number[]): { entries: unknown[]; problem: string | undefined } {
  const bytes = Buffer.from(text);
  const list = new JsonList(['array', 'products']);
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  const entries = at.slice(1).flatMap((end, index) => list.push(bytes.subarray(at[index], end)));
  return { entries, problem: list.end() };
}

const json = fc.jsonValue({ maxDepth: 3, stringUnit: 'binary' });
const cuts = fc.array(fc.nat(), { maxLength: 20 });

describe('a list in parts', () => {
  test('is what it is at once, wherever it is cut, wrapped or bare, with blanks or without', () => {
    fc.assert(
      fc.property(fc.array(json, { maxLength: 8 }), cuts, fc.constantFrom(undefined, 1, '\t'), fc.constantFrom('bare', 'array', 'products'), (values, where, blanks, form) => {
        const text = JSON.stringify(form === 'bare' ? values : { [form]: values }, null, blanks);
        expect(readInParts(` ${text}\n`, where)).toEqual({ entries: JSON.parse(JSON.stringify(values)) as unknown[], problem: undefined });
      }),
    );
  });

  test('cut off anywhere it is not whole, and all that came out of it was in it', () => {
    fc.assert(
      fc.property(fc.array(json, { minLength: 1, maxLength: 6 }), fc.nat(), cuts, (values, end, where) => {
        const bytes = Buffer.from(JSON.stringify(values));
        const list = new JsonList(['array']);
        const part = bytes.subarray(0, end % bytes.length);
        const entries = [...list.push(part.subarray(0, (where[0] ?? 0) % (part.length + 1))), ...list.push(part.subarray((where[0] ?? 0) % (part.length + 1)))];
        expect(list.end()).toMatch(/is (empty|cut off)/);
        expect(entries).toEqual((JSON.parse(JSON.stringify(values)) as unknown[]).slice(0, entries.length));
      }),
    );
  });

  test.each([
    ['', 'is empty'],
    ['{"error": "no"}', 'is neither a list nor {"array": [...]}'],
    ['{"other": [1]}', 'is neither a list nor {"array": [...]}'],
    ['null', 'is neither a list nor {"array": [...]}'],
    ['<html>[1]', 'is neither a list nor {"array": [...]}'],
    ['{"array": [1]', 'is cut off'],
    ['[1] [2]', 'goes on behind its list'],
    ['[1]]', 'goes on behind its list'],
    ['[1,,2]', 'is no JSON'],
    ['[1,]', 'is no JSON'],
    ['[{"a": tru}]', 'is no JSON'],
    [`["${'x'.repeat(1_100_000)}"]`, 'has an entry of more than 1048576 bytes'],
  ])('%.40s: %s', (text, problem) => {
    expect(readInParts(text, []).problem).toBe(problem);
  });

  test('bytes that are no UTF-8 are no JSON', () => {
    const list = new JsonList([]);
    list.push(Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]));
    expect(list.end()).toBe('is no JSON');
  });
});
