import { createHash } from 'node:crypto';

/**
 * A uuid that follows from what it names: the same time and name, the same id, in every process and at every attempt. So whatever
 * is sent, written or asked for again is known again.
 *
 * Version 8 (RFC 9562, "custom"): 48 bits of time as in version 7, so that neighbours in time are neighbours in an index, and 74
 * bits of SHA-256.
 */
export function derivedUuid(ms: number, name: string): string {
  const bytes = createHash('sha256').update(name).digest().subarray(0, 16);
  bytes.writeUIntBE(Math.max(0, Math.floor(ms)), 0, 6);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A random uuid of version 4, for what has no name: an instance, a lease. */
export const randomUuid = (): string => crypto.randomUUID();
