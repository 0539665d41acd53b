/**
 * Headers of a Kafka record as a JSON list, for tables that keep records byte for byte. A header is its name and base64 value (null
 * for none), a repeated name once a value. A name that jsonb cannot hold (it refuses U+0000) stands behind them in base64 instead.
 */
export type StoredHeader = [name: string, value: string | null] | [name: '', value: string | null, rawName: string];

type HeaderValue = Buffer | string | null;
/** By name; a header without a value is null. */
export type StorableHeaders = Readonly<Record<string, HeaderValue | readonly HeaderValue[] | undefined>>;

export function storeHeaders(headers: StorableHeaders): StoredHeader[] {
  const list: StoredHeader[] = [];
  for (const [name, values] of Object.entries(headers)) {
    for (const value of Array.isArray(values) ? (values as readonly unknown[]) : [values]) {
      // kafkajs collects repeated names in a plain object, so that one named like a member of every object ("constructor")
      // comes with that member in front: what is neither bytes nor null was never in the record.
      if (value !== null && typeof value !== 'string' && !Buffer.isBuffer(value)) continue;
      const stored = value === null ? null : Buffer.from(value).toString('base64');
      list.push(name.includes('\0') ? ['', stored, Buffer.from(name).toString('base64')] : [name, stored]);
    }
  }
  return list;
}

export function restoreHeaders(list: readonly StoredHeader[]): Record<string, HeaderValue | HeaderValue[]> {
  const headers = new Map<string, HeaderValue[]>();
  for (const [plainName, value, rawName] of list) {
    const name = rawName === undefined ? plainName : Buffer.from(rawName, 'base64').toString();
    headers.set(name, [...(headers.get(name) ?? []), value === null ? null : Buffer.from(value, 'base64')]);
  }
  return Object.fromEntries([...headers].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? null) : values]));
}
