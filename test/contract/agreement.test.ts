import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InventoryChangedSchema, isInventoryChanged, RECORD_NAMES, RECORDS, RULES, validateInventoryChanged, type RecordName } from '../../src/contract/index.ts';
import { avroMisfits } from '../../src/platform/kafka/index.ts';
import { validRecord } from './records.ts';

/**
 * Protects: what a producer's Avro library lets through is refused here only for a rule the contract names, and what zod lets
 * through can always be written as Avro.
 */
const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);

type Verdict = { avro: boolean; shape: boolean; broken: string[] };

/** zod's refusals split into shape (its own checks) and rules (refinements that carry a name). */
function judge(record: RecordName, value: unknown): Verdict {
  const result = RECORDS[record].schema.safeParse(value);
  const issues = result.success ? [] : result.error.issues;
  const broken = issues.flatMap((issue) => (issue.code === 'custom' ? [String(issue.params?.['rule'])] : []));
  return { avro: avroMisfits(record, value).length === 0, shape: issues.length === broken.length, broken };
}

/** Values that fit somewhere, nowhere, or just not. */
const stray = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, true, '', 'SET', 'set', 'EUR', 'eur', 'a\0b', '\ud800', '00000000-0000-0000-0000-000000000000', 'x'.repeat(101), 'x'.repeat(6_000)),
  fc.constantFrom<unknown>(0, -0, -1, 1, 0.5, Number.NaN, Infinity, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 53 - 2, 2 ** 53 - 1, 2 ** 53, -(2 ** 53) + 2, -(2 ** 53) + 1, 946_684_799_999, 4_102_444_800_000),
  fc.constantFrom<unknown>({}, [], { a: 1 }, { a: 'b' }, { '': 'x' }, { a: 'b\0' }, { ['k'.repeat(201)]: 'v' }, { a: 'v'.repeat(201) }, JSON.parse('{"__proto__":"x"}'), [1], ['a'], 5n),
  fc.uuid(),
  fc.uuid().map((id) => id.toUpperCase()),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.string({ unit: 'binary' }),
  fc.dictionary(fc.string(), fc.string(), { maxKeys: 60, noNullPrototype: true }),
);

/** A valid record with up to three of its fields (at any depth) replaced, left out or added. */
const nearlyValid = (record: RecordName): fc.Arbitrary<unknown> =>
  fc.tuple(validRecord[record], fc.array(fc.tuple(fc.nat(), fc.constantFrom('replace', 'omit', 'add'), stray), { maxLength: 3 })).map(([value, changes]) => {
    const copy: unknown = structuredClone(value);
    for (const [at, how, what] of changes) {
      const places = objectsIn(copy).flatMap((object) => Object.keys(object).map((key) => ({ object, key })));
      const place = places[at % places.length];
      if (place === undefined) continue;
      if (how === 'replace') place.object[place.key] = structuredClone(what);
      else if (how === 'omit') delete place.object[place.key];
      else place.object['not_a_field'] = structuredClone(what);
    }
    return copy;
  });

/** Records of a value, itself first; not maps, whose keys are free. */
function objectsIn(value: unknown, key = ''): Record<string, unknown>[] {
  if (typeof value !== 'object' || value === null || key === 'properties') return [];
  const own = Array.isArray(value) ? [] : [value as Record<string, unknown>];
  return [...own, ...Object.entries(value).flatMap(([name, inner]) => objectsIn(inner, name))];
}

describe.each(RECORD_NAMES)('%s', (record) => {
  test(`Avro and zod accept the same shapes, and zod refuses more only by named rules (seed ${seed})`, () => {
    fc.assert(
      fc.property(nearlyValid(record), (value) => {
        const { avro, shape, broken } = judge(record, value);
        expect({ shape, broken }).toEqual({ shape: avro, broken: broken.filter((rule) => rule in RULES) });
      }),
      { numRuns: 1_500, seed },
    );
  });

  test(`a valid record is accepted by both (seed ${seed})`, () => {
    fc.assert(
      fc.property(validRecord[record], (value) => {
        expect(judge(record, value)).toEqual({ avro: true, shape: true, broken: [] });
      }),
      { numRuns: 200, seed },
    );
  });
});

const valid = {
  event_id: '0192d3a4-0000-7000-8000-000000000001',
  user_id: '0192d3a4-0000-7000-8000-00000000000a',
  item_id: '0192d3a4-0000-7000-8000-0000000000ff',
  kind: 'ADJUST',
  quantity: -1,
  price_cents: null,
  currency: null,
  blueprint_id: null,
  properties: null,
  version: null,
  source: 'shop',
  occurred_at: Date.UTC(2026, 0, 1),
};

/** One line a case: what is changed in a valid event, whether Avro's shape holds, and which rule says no. */
test.each<[what: string, change: Record<string, unknown>, avro: boolean, rules: (keyof typeof RULES)[]]>([
  ['nothing', {}, true, []],
  ['ADJUST by nothing', { quantity: 0 }, true, []],
  ['ADJUST by the least int', { quantity: -(2 ** 31) }, true, []],
  ['an int too far', { quantity: 2 ** 31 }, false, []],
  ['half a card', { quantity: 0.5 }, false, []],
  ['SET to 0', { kind: 'SET', quantity: 0 }, true, []],
  ['SET below 0', { kind: 'SET', quantity: -1 }, true, ['quantity']],
  ['REMOVE with a quantity', { kind: 'REMOVE', quantity: 3 }, true, ['quantity']],
  ['an unknown kind', { kind: 'INCREMENT' }, false, []],
  ['an upper-case user id', { user_id: '0192D3A4-0000-7000-8000-00000000000A' }, true, ['uuid']],
  ['an id in braces', { user_id: '{0192d3a4-0000-7000-8000-00000000000a}' }, true, ['uuid']],
  ['the nil UUID', { event_id: '00000000-0000-0000-0000-000000000000' }, true, ['uuid']],
  ['no event id', { event_id: undefined }, false, []],
  ['a price below 0', { price_cents: -1 }, true, ['range']],
  ['a price as text', { price_cents: '5' }, false, []],
  ['a long that loses precision', { version: 2 ** 53 }, false, ['range']],
  ['a long whose sign avsc would lose', { version: -(2 ** 52) - 1 }, true, ['range']],
  ['what such a long arrives as', { price_cents: 2 ** 52 }, true, ['range']],
  ['lower-case currency', { currency: 'eur' }, true, ['currency']],
  ['blueprint 0', { blueprint_id: 0 }, true, ['range']],
  ['a NUL in the source', { source: 'a\0b' }, true, ['text']],
  ['half a surrogate pair in a property', { properties: { a: '\ud83d' } }, true, ['text']],
  ['an emoji in a property', { properties: { note: '🃏' } }, true, []],
  ['51 properties', { properties: Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`p${index}`, 'x'])) }, true, ['count']],
  ['an empty property name', { properties: { '': 'x' } }, true, ['length']],
  ['a property __proto__', { properties: JSON.parse('{"__proto__":"x"}') as unknown }, true, ['key']],
  ['a property that is a number', { properties: { a: 1 } }, false, []],
  ['an empty source', { source: '' }, true, ['length']],
  ['seconds instead of milliseconds', { occurred_at: 1_767_225_600 }, true, ['time']],
  ['microseconds instead of milliseconds', { occurred_at: 1_767_225_600_000_000 }, true, ['time']],
  ['a field nobody knows', { prise_cents: 5 }, false, []],
])('InventoryChanged with %s', (_what, change, avro, rules) => {
  const value = { ...valid, ...change };
  expect(judge('InventoryChanged', value)).toEqual({ avro, shape: avro, broken: rules });
});

test(`the fast acceptor and zod accept and refuse the same decoded values (seed ${seed})`, () => {
  // Fields left out are filled in and unknown ones dropped, as decoding does.
  const decoded = (value: unknown): unknown => Object.fromEntries(Object.keys(valid).map((key) => [key, (value as Record<string, unknown>)[key] ?? null]));
  fc.assert(
    fc.property(nearlyValid('InventoryChanged'), (value) => {
      const candidate = decoded(value);
      expect(isInventoryChanged(candidate)).toBe(InventoryChangedSchema.safeParse(candidate).success);
    }),
    { numRuns: 20_000, seed },
  );
});

test('a refusal says which field and why', () => {
  expect(validateInventoryChanged({ ...valid, currency: 'euro' })).toEqual({ ok: false, detail: 'currency: must be three upper-case letters (ISO 4217)' });
  expect(validateInventoryChanged({ ...valid, kind: 'SET' })).toEqual({ ok: false, detail: 'quantity: SET needs 0 or more, REMOVE needs 0' });
  expect(validateInventoryChanged({ ...valid, item_id: undefined, prise: 1 })).toEqual({ ok: false, detail: 'item_id: is missing; unknown field "prise"' });
  expect(validateInventoryChanged(null)).toMatchObject({ ok: false });
});
