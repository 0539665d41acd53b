import { z } from 'zod';
import { isObject } from './error-body.ts';

/** Values CardTrader sends in more than one form, each read into one (cardtrader.md section 4). Pure. */

const digits = z.string().regex(/^-?\d{1,15}$/).transform(Number);
export const integer = z.union([z.int(), digits]);
/** Ids come as numbers and as strings. */
export const id = integer.refine((value) => value > 0, { error: 'is no id' });
export const count = integer.refine((value) => value >= 0, { error: 'is negative' });
/** Of a card: as many as our records and columns can say. */
export const copies = count.refine((value) => value <= 2_147_483_647, { error: 'is no number of copies' });

/** Whatever is not essential must not make the rest unreadable: a value of another form counts as not given. */
export const optionalId = id.nullable().catch(null);
export const optionalInteger = integer.nullable().catch(null);
export const optionalText = z.string().nullable().catch(null);
export const optionalFlag = z
  .union([z.boolean(), z.literal([0, '0', 'false']).transform(() => false), z.literal([1, '1', 'true']).transform(() => true)])
  .nullable()
  .catch(null);
/** ISO-8601 as milliseconds since 1970. */
export const optionalTime = z
  .string()
  .transform((value) => Date.parse(value))
  .refine(Number.isFinite)
  .nullable()
  .catch(null);
export const optionalMoney = z
  .object({ cents: integer, currency: optionalText })
  .nullable()
  .catch(null);

/** Names to plain values; what nests deeper is left out. */
export const properties = z
  .record(z.string(), z.unknown())
  .transform((given) => Object.fromEntries(Object.entries(given).filter((entry): entry is [string, PropertyValue] => isPropertyValue(entry[1]))))
  .catch({});

export type PropertyValue = string | number | boolean | null;
const isPropertyValue = (value: unknown): value is PropertyValue => value === null || ['string', 'number', 'boolean'].includes(typeof value);

/**
 * Our join key and marker live here, so it is never guessed: undefined says that the answer does not tell, null that the field is
 * empty, and a form that cannot be text is an error.
 */
export const userDataField = z
  .union([z.string().transform((text) => (text === '' ? null : text)), z.number().transform(String)])
  .nullish();

/** A value read, or what is wrong with it in words that repeat none of it. */
export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

export function read<T>(schema: z.ZodType<T>, value: unknown): Read<T> {
  const result = schema.safeParse(value);
  if (result.success) return { ok: true, value: result.data };
  const problems = result.error.issues.slice(0, 5).map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`));
  return { ok: false, problem: problems.join('; ').slice(0, 300) };
}

/** An entry of a list that could not be read. */
export interface Unread {
  /** Its place in the answer, from 0. */
  readonly index: number;
  /** Its id, where that much could be read. */
  readonly id: number | null;
  readonly problem: string;
}

export interface List<T> {
  readonly items: readonly T[];
  /** What could not be read; it is part of the answer and must not be taken for absent. */
  readonly unread: readonly Unread[];
}

/** `[...]`, or the same as the one value of `{array: [...]}` or of an object with the list's name. Each entry is read by itself. */
export function readList<T>(schema: z.ZodType<T>, value: unknown, name: string): Read<List<T>> {
  const entries = bare(value, name);
  if (entries === undefined) return { ok: false, problem: `is neither a list nor {"array": [...]}` };
  return { ok: true, value: readEntries(schema, entries) };
}

/** Entries of a list, the first of which has this place in it. */
export function readEntries<T>(schema: z.ZodType<T>, entries: readonly unknown[], first = 0): List<T> {
  const items: T[] = [];
  const unread: Unread[] = [];
  for (const [index, entry] of entries.entries()) {
    const one = read(schema, entry);
    if (one.ok) items.push(one.value);
    else unread.push({ index: first + index, id: idOf(entry), problem: one.problem });
  }
  return { items, unread };
}

function bare(value: unknown, name: string): readonly unknown[] | undefined {
  const wrapped = isObject(value) ? [value['array'], value[name]] : [];
  return [value, ...wrapped].find((candidate): candidate is readonly unknown[] => Array.isArray(candidate));
}

function idOf(entry: unknown): number | null {
  const result = z.object({ id }).safeParse(entry);
  return result.success ? result.data.id : null;
}
