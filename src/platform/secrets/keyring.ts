import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { BrxError } from '../../errors.ts';
import type { SecretKey } from './keys.ts';

/** What is stored of a secret. */
export interface Sealed {
  readonly keyId: string;
  /** Initialisation vector (12 bytes), ciphertext, tag (16 bytes). */
  readonly bytes: Uint8Array;
}

/**
 * Secrets at rest: AES-256-GCM. The first key seals, every key opens what it sealed, so a key is exchanged by putting the new one first, sealing
 * anew what `needsRotation`, and then taking the old one away.
 *
 * `context` says what the secret is and whose (`cardtrader-token/<user id>`). It is authenticated, not stored: a ciphertext copied to
 * another row does not open there.
 */
export interface Keyring {
  /** Throws BRX_CONFIG when there is no key. */
  seal(plain: string, context: string): Sealed;
  /** Throws BRX_SECRET when the key is missing, or the bytes or the context are not those that were sealed. */
  open(sealed: Sealed, context: string): string;
  /** The same as a value, with what BRX_SECRET would say. */
  tryOpen(sealed: Sealed, context: string): { readonly plain: string } | { readonly problem: string };
  needsRotation(sealed: Sealed): boolean;
}

const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;

export function createKeyring(keys: readonly SecretKey[]): Keyring {
  const byId = new Map(keys.map(({ id, key }) => [id, Buffer.from(key, 'base64')]));
  const [first] = keys;
  const open: Keyring['open'] = ({ keyId, bytes }, context) => {
    const key = byId.get(keyId);
    if (key === undefined) throw missing(keyId, [...byId.keys()]);
    if (bytes.length < IV_BYTES + TAG_BYTES) throw altered(keyId);
    const tagAt = bytes.length - TAG_BYTES;
    const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(context, 'utf8')).setAuthTag(bytes.subarray(tagAt));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, tagAt)), decipher.final()]).toString('utf8');
    } catch {
      throw altered(keyId); // OpenSSL says no more than that the tag is wrong
    }
  };
  return {
    seal(plain, context) {
      const key = first === undefined ? undefined : byId.get(first.id);
      if (first === undefined || key === undefined) throw noKeys();
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(context, 'utf8'));
      return { keyId: first.id, bytes: Buffer.concat([iv, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]) };
    },
    open,
    tryOpen(sealed, context) {
      try {
        return { plain: open(sealed, context) };
      } catch (error) {
        if (!(error instanceof BrxError && error.code === 'BRX_SECRET')) throw error;
        return { problem: error.message };
      }
    },
    needsRotation: ({ keyId }) => keyId !== first?.id,
  };
}

function noKeys(): BrxError {
  return new BrxError('BRX_CONFIG', 'BRX_SECRET_KEYS is not set, so nothing secret can be stored', { remedy: 'make a key with `openssl rand -base64 32` and set BRX_SECRET_KEYS=<name>:<key>' });
}

function missing(keyId: string, known: readonly string[]): BrxError {
  const shown = /^[\w.-]{1,40}$/.test(keyId) ? `"${keyId}"` : 'a name no key can have';
  return new BrxError('BRX_SECRET', `a secret was sealed with the key ${shown}, which is not among BRX_SECRET_KEYS (${known.length === 0 ? 'there are none' : known.join(', ')})`, {
    remedy: 'put that key back behind the others; if it is lost, the secret must be entered anew (`brx-sync users add`)',
  });
}

function altered(keyId: string): BrxError {
  return new BrxError('BRX_SECRET', `a secret sealed with the key "${keyId}" does not open: it was altered, belongs to another row, or the key of that name is another one`, {
    remedy: 'see that BRX_SECRET_KEYS has the key it had when the secret was stored; otherwise enter the secret anew (`brx-sync users add`)',
  });
}
