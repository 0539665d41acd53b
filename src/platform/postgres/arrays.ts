import { charCode } from '../../contract/index.ts';

/**
 * Columns of parameters as array literals, `{…}`, one string a column. Half the CPU of handing over JavaScript arrays, whose
 * every element pg quotes and Prisma maps (write-path.md 3.4: 12.2 against 6.1 µs an event). Null is NULL in all of them.
 */

/**
 * UUIDs in their canonical lower-case form. For `$n::uuid[]`. Not a literal but PostgreSQL's binary form of the array, which pg
 * sends as it is: parsing 36 characters is what costs the server most in a chunk (half the time of a whole round trip: 1.1
 * instead of 2.1 µs a uuid, Node 20, PostgreSQL 15), and it is 20 bytes instead of 37.
 */
export function uuidArray(values: readonly (string | null)[]): Buffer {
  const nulls = values.reduce((count, value) => (value === null ? count + 1 : count), 0);
  if (values.length === 0) return arrayHeader(0, 0);
  const bytes = Buffer.allocUnsafe(ARRAY_HEADER_BYTES + values.length * 20 - nulls * 16);
  let at = arrayHeader(values.length, nulls).copy(bytes);
  for (const value of values) {
    at = bytes.writeInt32BE(value === null ? -1 : 16, at);
    if (value !== null) at = writeUuid(bytes, at, value);
  }
  return bytes;
}

const UUID_OID = 2_950;
const ARRAY_HEADER_BYTES = 20;

/** Dimensions, whether there are NULLs, the element type; with elements also their number and the first index. */
function arrayHeader(length: number, nulls: number): Buffer {
  const header = length === 0 ? [0, 0, UUID_OID] : [1, nulls > 0 ? 1 : 0, UUID_OID, length, 1];
  const bytes = Buffer.alloc(header.length * 4);
  header.forEach((value, index) => bytes.writeInt32BE(value, index * 4));
  return bytes;
}

/** Value of each hexadecimal digit by its character code; NaN for what is none. */
const DIGITS = Float64Array.from({ length: 128 }, (_, code) => Number.parseInt(String.fromCharCode(code), 16));

function writeUuid(bytes: Buffer, start: number, uuid: string): number {
  let at = start;
  for (let index = 0; index < 36; index += 2) {
    if (index === 8 || index === 13 || index === 18 || index === 23) index += 1;
    const byte = (DIGITS[charCode(uuid, index)] ?? Number.NaN) * 16 + (DIGITS[charCode(uuid, index + 1)] ?? Number.NaN);
    if (!(byte >= 0)) throw new TypeError(`not a uuid: ${uuid}`);
    bytes[at] = byte;
    at += 1;
  }
  return at;
}

/** Numbers as JavaScript writes them, and decimal strings (Kafka's offsets). For `$n::int[]`, `::bigint[]`, `::smallint[]`, `::float8[]`. */
export function intArray(values: readonly (number | bigint | string | null)[]): string {
  return unquoted(values);
}

/** Text of somebody else's as PostgreSQL takes it, which knows no NUL; at most so long. */
export const storable = (text: string, most: number): string => text.replaceAll('\0', '').slice(0, most);

/**
 * JSON with texts of somebody else's in it, as jsonb takes it, which knows neither NUL nor half a surrogate pair (which a text that was cut may end with): they become U+FFFD. A text that only spells
 * such an escape, a backslash and u0000, stays what it is.
 */
export const jsonText = (value: unknown): string => JSON.stringify(value).replaceAll(UNSTORABLE_ESCAPE, '$1\uFFFD');
/** JSON.stringify writes NUL and lone surrogates as escapes, in small letters; a backslash of the text itself is doubled. */
const UNSTORABLE_ESCAPE = /(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})/g;

/** Codes of capitals and small letters only (a currency, a kind): nothing in them needs a quote. Null is NULL. For `$n::text[]`. */
export function codeArray(values: readonly (string | null)[]): string {
  return unquoted(values);
}

/**
 * Any text but U+0000, which PostgreSQL cannot store (it answers 22021, kind `data`); the text NULL stays a text. For
 * `$n::text[]`, and for `$n::jsonb[]` with JSON texts.
 */
export function textArray(values: readonly (string | null)[]): string {
  let out = '{';
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (index > 0) out += ',';
    if (value === null || value === undefined) out += 'NULL';
    else out += NEEDS_ESCAPE.test(value) ? `"${value.replaceAll(ESCAPED, String.raw`\$&`)}"` : `"${value}"`;
  }
  return `${out}}`;
}

/** Bytes, as PostgreSQL's hex form. For `$n::bytea[]`. */
export function byteaArray(values: readonly (Uint8Array | null)[]): string {
  let out = '{';
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (index > 0) out += ',';
    // The backslash of \x is itself escaped inside the array literal.
    out += value === null || value === undefined ? 'NULL' : String.raw`"\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}"`;
  }
  return `${out}}`;
}

/** Milliseconds since 1970, exactly; years 1 to 275760, else a RangeError. For `$n::timestamptz[]`. */
export function timestampArray(values: readonly (number | null)[]): string {
  return unquoted(values.map((value) => (value === null ? null : timestamp(value))));
}

/** PostgreSQL reads ISO 8601 but for its six-digit years: those go without the sign and the leading zero. */
function timestamp(ms: number): string {
  const iso = new Date(ms).toISOString();
  if (iso.startsWith('-') || iso.startsWith('0000')) throw new RangeError(`${ms} ms is before the year 1`);
  return iso.replace(/^\+0?/, '');
}

const NEEDS_ESCAPE = /["\\]/;
const ESCAPED = /["\\]/g;

function unquoted(values: readonly (string | number | bigint | null)[]): string {
  let out = '{';
  for (let index = 0; index < values.length; index += 1) {
    if (index > 0) out += ',';
    out += values[index] ?? 'NULL';
  }
  return `${out}}`;
}
