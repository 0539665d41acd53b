import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createKeyring } from '../../src/platform/secrets/index.ts';
import { seed } from '../support/seed.ts';

/** Protects: what was sealed opens to the same text, and with a single bit changed anywhere it does not open at all. */
const keyring = createKeyring([{ id: 'k', key: Buffer.alloc(32, 7).toString('base64') }]);
const text = fc.string({ unit: 'grapheme', maxLength: 200 });

test(`any text under any context comes back (seed ${seed})`, () => {
  fc.assert(
    fc.property(text, text, (plain, context) => {
      expect(keyring.open(keyring.seal(plain, context), context)).toBe(plain);
    }),
    { seed, numRuns: 500 },
  );
});

test(`a changed bit, a lost or added byte, another context: nothing opens (seed ${seed})`, () => {
  fc.assert(
    fc.property(text, text, text, fc.nat(), fc.nat(7), (plain, context, other, at, bit) => {
      const sealed = keyring.seal(plain, context);
      const flipped = Uint8Array.from(sealed.bytes);
      const index = at % flipped.length;
      flipped[index] = (flipped[index] ?? 0) ^ (1 << bit);
      for (const bytes of [flipped, sealed.bytes.subarray(0, -1), sealed.bytes.subarray(1), Buffer.concat([sealed.bytes, Buffer.of(0)])]) {
        expect(() => keyring.open({ keyId: 'k', bytes }, context)).toThrow(expect.objectContaining({ code: 'BRX_SECRET' }) as Error);
      }
      if (other !== context) expect(() => keyring.open(sealed, other)).toThrow(expect.objectContaining({ code: 'BRX_SECRET' }) as Error);
    }),
    { seed, numRuns: 300 },
  );
});
