/**
 * Columns of parameters as array literals, `{…}`, one string a column. Half the CPU of handing over JavaScript arrays, whose
 * every element pg quotes and Prisma maps (write-path.md 3.4: 12.2 against 6.1 µs an event). Null is NULL in all of them.
 */

/** UUIDs in their canonical form, in which nothing needs a quote. For `$n::uuid[]`. */
export function uuidArray(values: readonly (string | null)[]): string {
  return unquoted(values);
}

/** Numbers as JavaScript writes them, and decimal strings (Kafka's offsets). For `$n::int[]`, `::bigint[]`, `::smallint[]`, `::float8[]`. */
export function intArray(values: readonly (number | bigint | string | null)[]): string {
  return unquoted(values);
}

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
