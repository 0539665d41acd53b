/** A key of the keyring as configuration holds it. */
export interface SecretKey {
  readonly id: string;
  /** 32 bytes in base64. */
  readonly key: string;
}

const KEY_BYTES = 32;
const MAKE_ONE = 'make one with `openssl rand -base64 32`';

/** `id:base64,id:base64`, or what is wrong with it, in words that repeat nothing of it but ids. */
export function parseSecretKeys(text: string): { ok: true; keys: SecretKey[] } | { ok: false; problem: string } {
  const keys: SecretKey[] = [];
  for (const [index, part] of text.split(',').entries()) {
    const which = `key ${index + 1}`;
    const [id, value, ...more] = part.trim().split(':');
    if (id === undefined || value === undefined || more.length > 0) return { ok: false, problem: `must be name:key, several separated by commas, the first one seals; ${which} is not; ${MAKE_ONE}` };
    if (!/^[\w.-]{1,40}$/.test(id)) return { ok: false, problem: `the name of ${which} must be 1 to 40 letters, digits, dots, dashes or underscores` };
    if (keys.some((other) => other.id === id)) return { ok: false, problem: `two keys have the name of ${which}` };
    if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(value)) return { ok: false, problem: `${which} is not base64; ${MAKE_ONE}` };
    const bytes = Buffer.from(value, 'base64');
    if (bytes.length !== KEY_BYTES) return { ok: false, problem: `${which} has ${bytes.length} bytes, ${KEY_BYTES} are needed; ${MAKE_ONE}` };
    keys.push({ id, key: bytes.toString('base64') });
  }
  return { ok: true, keys };
}
