import type { HeaderValue, SourceRecord } from '../platform/consumer/index.ts';

/** Names the dead letter a record was sent again for. */
export const REDRIVE_HEADER = 'brx-redrive-of';

/** Which dead letter this record was sent again for. Anybody can write a header: it is a hint for whoever waits for the outcome. */
export function redriveOf({ headers }: Pick<SourceRecord, 'headers'>): bigint | null {
  const given = headers[REDRIVE_HEADER];
  const value = (Array.isArray(given) ? given.at(-1) : given) as HeaderValue | undefined;
  const text = value?.toString() ?? '';
  return /^[1-9]\d{0,17}$/.test(text) ? BigInt(text) : null;
}
