import { charCode } from './char-code.ts';
import { z } from 'zod';

/**
 * What the contract asks beyond what Avro can say. Each rule is a zod refinement that carries its name, so that a refusal is
 * either of *shape* (Avro would refuse it too) or of a *rule* from this closed list; test/contract/agreement.test.ts holds
 * both sides to it. The documentation for producers prints this list.
 */
export const RULES = {
  uuid: 'a UUID in lower-case hexadecimal, 8-4-4-4-12, not the nil UUID (any version; 7 preferred for event_id)',
  text: 'text without the NUL character and without half surrogate pairs: PostgreSQL can store neither',
  length: 'text no shorter and no longer than its limit',
  word: 'a word of lower-case letters, digits and underscores that starts with a letter, at most 50 characters',
  currency: 'three upper-case letters (ISO 4217)',
  range: 'a number no lower than its field allows, and a long within 2^52 - 1 either way',
  quantity: 'SET: 0 or more. REMOVE: 0. ADJUST: any int; 0 changes only the other fields',
  time: 'a moment from 2000-01-01 to before 2100-01-01, in milliseconds: seconds or microseconds by mistake are refused',
  key: 'a map key other than __proto__, which many JavaScript programs lose',
  count: 'a list or map within its limits',
  sum: 'numbers of a record that contradict each other',
} as const;

export type Rule = keyof typeof RULES;

/** Lengths in UTF-16 code units, as JavaScript and Java count them. */
export const LIMITS = {
  source: 100,
  reason: 500,
  buyerId: 200,
  description: 5_000,
  userDataField: 1_000,
  properties: 50,
  propertyKey: 200,
  propertyValue: 200,
  purchaseLines: 1_000,
  snapshotProducts: 500,
} as const;

export const EARLIEST_MS = Date.UTC(2000, 0, 1);
export const LATEST_MS = Date.UTC(2100, 0, 1);

/** Options of a refinement that enforces `rule`. */
export function rule(name: Rule, error: string = RULES[name]): { error: string; params: { rule: Rule } } {
  return { error, params: { rule: name } };
}

const NIL = '00000000-0000-0000-0000-000000000000';
const WORD = /^[a-z][a-z0-9_]{0,49}$/;
const CURRENCY = /^[A-Z]{3}$/;
const NOT_STORABLE = 'must not hold the NUL character or half a surrogate pair';
const SUSPECT = /[\0\ud800-\udfff]/;
const UNSTORABLE = /\0|\p{Surrogate}/u;

/** A producer that forgets to set an id sends the nil UUID every time, and all but its first event would count as duplicates. */
export const isUuid = (value: string): boolean => hasUuidForm(value) && value !== NIL;
export const isStorable = (value: string): boolean => !SUSPECT.test(value) || !UNSTORABLE.test(value);
export const isCurrency = (value: string): boolean => CURRENCY.test(value);
export const isTime = (value: number): boolean => value >= EARLIEST_MS && value < LATEST_MS;

const DASH = 0x2d;
const IS_HEX = Uint8Array.from({ length: 128 }, (_, code) => (/[0-9a-f]/.test(String.fromCharCode(code)) ? 1 : 0));

/** A loop over a table, because three UUIDs an event make it hot: half of what a regular expression takes. */
function hasUuidForm(value: string): boolean {
  return (
    value.length === 36 &&
    charCode(value, 8) === DASH &&
    charCode(value, 13) === DASH &&
    charCode(value, 18) === DASH &&
    charCode(value, 23) === DASH &&
    isHex(value, 0, 8) &&
    isHex(value, 9, 13) &&
    isHex(value, 14, 18) &&
    isHex(value, 19, 23) &&
    isHex(value, 24, 36)
  );
}

function isHex(value: string, from: number, to: number): boolean {
  for (let index = from; index < to; index += 1) if (IS_HEX[charCode(value, index)] !== 1) return false;
  return true;
}

/** Avro's types as zod sees them. Avro's long is what avsc reads without loss: two short of the safe integers. */
const LONG_MAX = Number.MAX_SAFE_INTEGER - 1;
export const int = z.int32();
/**
 * What avsc reads exactly. It doubles a negative long before it halves it, in a double: below -2^52 the sign is lost, without a
 * word. Such a value arrives as a positive one from 2^52 on, so those are refused as well.
 */
export const EXACT_LONG_MAX = 2 ** 52 - 1;
export const long = z
  .int()
  .min(-LONG_MAX)
  .max(LONG_MAX)
  .refine((value) => Math.abs(value) <= EXACT_LONG_MAX, rule('range', `must be within ${EXACT_LONG_MAX} (2^52 - 1) either way`));
export const optional = <T extends z.ZodType>(inner: T) => inner.nullable().default(null);

export const uuid = z.string().refine(isUuid, rule('uuid', 'must be a UUID in lower case, and not the nil UUID'));
export const time = long.refine(isTime, rule('time', 'must be milliseconds since 1970, from the year 2000 to 2099'));
export const currency = z.string().refine(isCurrency, rule('currency', 'must be three upper-case letters (ISO 4217)'));
export const word = z.string().refine((value) => WORD.test(value), rule('word', 'must be a word of lower-case letters, digits and underscores'));

export const text = (max: number, min = 1) =>
  z
    .string()
    .refine((value) => value.length >= min && value.length <= max, rule('length', `must have ${min} to ${max} characters`))
    .refine(isStorable, rule('text', NOT_STORABLE));

const from = (min: number) => rule('range', `must be ${min} or more`);
export const intFrom = (min: number) => int.refine((value) => value >= min, from(min));
export const longFrom = (min: number) => long.refine((value) => value >= min, from(min));

export const list = <T extends z.ZodType>(item: T, min: number, max: number) =>
  z.array(item).refine((value) => value.length >= min && value.length <= max, rule('count', `must have ${min} to ${max} entries`));

const plainProperties = z
  .record(z.string(), z.string())
  .refine((value) => Object.keys(value).length <= LIMITS.properties, rule('count', `must have at most ${LIMITS.properties} entries`))
  .refine(
    (value) => Object.entries(value).every(([key, entry]) => key.length >= 1 && key.length <= LIMITS.propertyKey && entry.length <= LIMITS.propertyValue),
    rule('length', `must have keys of 1 to ${LIMITS.propertyKey} and values of at most ${LIMITS.propertyValue} characters`),
  )
  .refine((value) => Object.entries(value).every(([key, entry]) => isStorable(key) && isStorable(entry)), rule('text', NOT_STORABLE));

/** zod drops a key `__proto__` without a word, so it is looked for before. */
export const properties = z.preprocess((value, context) => {
  if (typeof value === 'object' && value !== null && Object.hasOwn(value, '__proto__')) context.addIssue({ code: 'custom', message: RULES.key, params: { rule: 'key' satisfies Rule } });
  return value;
}, plainProperties);

/** The fields of the wrong shape and the rules broken, in words: `event_id: is missing; quantity: must be 0 or more`. */
export function explain(error: z.ZodError, most = 5): string {
  const parts = error.issues.slice(0, most).map((issue) => {
    const said = issue.message.replace('Invalid input: ', '').replace(/^expected .*, received undefined$/, 'is missing').replace(/^Unrecognized key(s?): /, 'unknown field$1 ');
    return issue.path.length === 0 ? said : `${issue.path.join('.')}: ${said}`;
  });
  if (error.issues.length > most) parts.push(`and ${error.issues.length - most} more`);
  return parts.join('; ');
}
