import { describe, expect, test } from 'vitest';
import { BrxError } from '../../src/errors.ts';
import { createKeyring, parseSecretKeys } from '../../src/platform/secrets/index.ts';

/** Protects: a token at rest opens only with its key, in its row, unaltered; keys can be exchanged; and no error tells a secret. */
const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
const [old, current] = [{ id: '2025', key: key(1) }, { id: '2026', key: key(2) }];
const PLAIN = 'eyJ-hush-0815';
const CONTEXT = 'cardtrader-token/0197a3c2-0000-7000-8000-000000000001';

function refusal(run: () => unknown): BrxError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(BrxError);
    const { message, remedy, stack, cause } = error as BrxError;
    expect(`${message}${remedy}${stack}`).not.toContain('hush');
    for (const each of [old, current]) expect(`${message}${remedy}${stack}`).not.toContain(each.key);
    expect(cause).toBeUndefined();
    return error as BrxError;
  }
  throw new Error('was accepted');
}

describe('the keyring', () => {
  test('opens what it sealed, and shows nothing of it', () => {
    const keyring = createKeyring([current]);
    const sealed = keyring.seal(PLAIN, CONTEXT);
    expect(keyring.open(sealed, CONTEXT)).toBe(PLAIN);
    expect(sealed.keyId).toBe('2026');
    expect(Buffer.from(sealed.bytes).toString('latin1')).not.toContain('hush');
    expect(sealed.bytes.length).toBe(12 + PLAIN.length + 16);
  });

  test('the same secret is sealed differently every time', () => {
    const keyring = createKeyring([current]);
    const ivs = new Set(Array.from({ length: 1_000 }, () => Buffer.from(keyring.seal(PLAIN, CONTEXT).bytes.subarray(0, 12)).toString('hex')));
    expect(ivs.size).toBe(1_000);
  });

  test('keys are exchanged: the new one seals, the old one still opens until it is taken away', () => {
    const before = createKeyring([old]).seal(PLAIN, CONTEXT);
    const during = createKeyring([current, old]);
    expect(during.open(before, CONTEXT)).toBe(PLAIN);
    expect(during.needsRotation(before)).toBe(true);
    const again = during.seal(during.open(before, CONTEXT), CONTEXT);
    expect(during.needsRotation(again)).toBe(false);
    const after = createKeyring([current]);
    expect(after.open(again, CONTEXT)).toBe(PLAIN);
    const error = refusal(() => after.open(before, CONTEXT));
    expect(error).toMatchObject({ code: 'BRX_SECRET', retryable: false, exitCode: 78 });
    expect(error.message).toContain('the key "2025", which is not among BRX_SECRET_KEYS (2026)');
    expect(error.remedy).toContain('put that key back');
  });

  test('a ciphertext copied to another row does not open there', () => {
    const keyring = createKeyring([current]);
    const sealed = keyring.seal(PLAIN, CONTEXT);
    expect(refusal(() => keyring.open(sealed, CONTEXT.replace(/1$/, '2')))).toMatchObject({ code: 'BRX_SECRET', message: expect.stringContaining('belongs to another row') as string });
  });

  test('another key under the same name does not open it', () => {
    const sealed = createKeyring([current]).seal(PLAIN, CONTEXT);
    expect(refusal(() => createKeyring([{ ...current, key: key(3) }]).open(sealed, CONTEXT)).code).toBe('BRX_SECRET');
  });

  test.each([0, 1, 11, 12, 27])('%i bytes are too few to be anything', (length) => {
    expect(refusal(() => createKeyring([current]).open({ keyId: '2026', bytes: new Uint8Array(length) }, CONTEXT)).code).toBe('BRX_SECRET');
  });

  test('a key id out of a damaged row is not repeated', () => {
    expect(refusal(() => createKeyring([current]).open({ keyId: 'hush \u0000 hush', bytes: new Uint8Array(40) }, CONTEXT)).message).toContain('a name no key can have');
  });

  test('without keys nothing is sealed, and the error says how to make one', () => {
    const error = refusal(() => createKeyring([]).seal(PLAIN, CONTEXT));
    expect(error).toMatchObject({ code: 'BRX_CONFIG', remedy: expect.stringContaining('openssl rand -base64 32') as string });
    expect(refusal(() => createKeyring([]).open({ keyId: 'a', bytes: new Uint8Array(40) }, CONTEXT)).message).toContain('there are none');
  });
});

describe('BRX_SECRET_KEYS', () => {
  test.each<[string, string, string[]]>([
    ['one', `a:${key(1)}`, ['a']],
    ['several, the first first', `b:${key(1)},a:${key(2)}`, ['b', 'a']],
    ['with room', ` a:${key(1)} , b:${key(2)} `, ['a', 'b']],
    ['without padding', `a:${key(1).replace('=', '')}`, ['a']],
    ['in the alphabet of URLs', `a:${Buffer.alloc(32, 0xfb).toString('base64url')}`, ['a']],
  ])('%s', (_what, text, ids) => {
    const result = parseSecretKeys(text);
    expect(result).toMatchObject({ ok: true });
    if (!result.ok) return;
    expect(result.keys.map(({ id }) => id)).toEqual(ids);
    for (const each of result.keys) expect(Buffer.from(each.key, 'base64')).toHaveLength(32);
  });

  test.each<[string, string, RegExp]>([
    ['nothing', '', /must be name:key.*key 1 is not/],
    ['a key without a name', key(1), /must be name:key/],
    ['a comma at the end', `a:${key(1)},`, /key 2 is not/],
    ['a name with a space', `a b:${key(1)}`, /the name of key 1/],
    ['a long name', `${'a'.repeat(41)}:${key(1)}`, /the name of key 1/],
    ['a name twice', `a:${key(1)},a:${key(2)}`, /two keys have the name of key 2/],
    ['hexadecimal digits', `a:${Buffer.alloc(32, 1).toString('hex')}`, /key 1 has 48 bytes, 32 are needed/],
    ['too short', 'a:aHVzaC1odXNo', /key 1 has 9 bytes/],
    ['no base64', 'a:hush hush', /key 1 is not base64/],
    ['a passphrase', 'a:hush-hush:hush', /must be name:key/],
  ])('%s is refused without being repeated', (_what, text, problem) => {
    const result = parseSecretKeys(text);
    expect(result).toMatchObject({ ok: false, problem: expect.stringMatching(problem) as string });
    expect(JSON.stringify(result)).not.toMatch(/hush|aHVz|AQEB/);
  });
});
