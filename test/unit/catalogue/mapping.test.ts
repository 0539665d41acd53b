import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FIRST_BLUEPRINT, madeUpPrints } from '../../../src/catalogue/made-up.ts';
import { isBlueprintId, mappingOf, mappingText, PRINT_TABLES, readMapping, type Print } from '../../../src/catalogue/mapping.ts';
import { createRandom } from '../../../src/platform/random.ts';
import { seed } from '../../support/seed.ts';

/** What the prints of a blueprint mean, and what Redis is told of it. */
const print = fc.record({ table: fc.constantFrom(...PRINT_TABLES), id: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }) });

describe('a mapping', () => {
  test('one print is it, none is unknown, two are never decided', () => {
    const [card, other, sealed]: Print[] = [{ table: 'cards_prints', id: 7 }, { table: 'cards_prints', id: 3 }, { table: 'sealed_products', id: 1 }] as const;
    expect(mappingOf([card])).toEqual({ kind: 'print', print: card });
    expect(mappingOf([])).toEqual({ kind: 'unknown' });
    expect(mappingOf([sealed, card, other])).toEqual({ kind: 'ambiguous', prints: [other, card, sealed] });
  });

  test(`its text is read as what it was (seed ${seed})`, () => {
    fc.assert(
      fc.property(fc.array(print, { maxLength: 5 }), (prints) => {
        const mapping = mappingOf(prints);
        expect(readMapping(mappingText(mapping))).toEqual(mapping);
      }),
      { seed },
    );
  });

  test.each(['', 'null', '17', 'cards_prints', 'cards_prints:', 'cards_prints:0', 'cards_prints:1.5', 'other:1', 'cards_prints:1  op_prints:2', 'cards_prints:1 ', 'unknown ', '{"id":1}', 'cards_prints:9999999999999999'])('%j is none of ours', (text) => {
    expect(readMapping(text)).toBeUndefined();
  });

  test('ids of blueprints are whole numbers above 0', () => {
    expect([1, Number.MAX_SAFE_INTEGER].map(isBlueprintId)).toEqual([true, true]);
    expect([0, -1, 1.5, Number.NaN, 2 ** 53].map(isBlueprintId)).toEqual([false, false, false, false, false]);
  });
});

describe('made-up prints', () => {
  const rows = (number: number) => [...madeUpPrints(createRandom(number), 20_000)];

  test('are the same for the same seed, and others for another', () => {
    expect(rows(1)).toEqual(rows(1));
    expect(rows(2)).not.toEqual(rows(1));
  });

  test('fill every table, begin where the simulator’s blueprints begin, and have gaps and a few claimed twice', () => {
    const prints = rows(1);
    expect(new Set(prints.map(({ table }) => table)).size).toBe(4);
    const named = prints.flatMap(({ cardtraderId }) => (cardtraderId === null ? [] : [cardtraderId]));
    expect(Math.min(...named)).toBeLessThan(FIRST_BLUEPRINT + 10);
    expect(named.length).toBeLessThan(20_000 * 0.985);
    expect(named.length - new Set(named).size).toBeGreaterThan(0);
    expect(named.length - new Set(named).size).toBeLessThan(40);
    for (const table of PRINT_TABLES) {
      const ids = prints.filter((one) => one.table === table).map(({ id }) => id);
      expect(ids).toEqual(ids.map((_, index) => index + 1));
    }
  });
});
