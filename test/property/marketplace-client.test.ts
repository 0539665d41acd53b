import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readErrorBody } from '../../src/marketplace/client/error-body.ts';
import { read, readList } from '../../src/marketplace/client/lenient.ts';
import { markUserDataField, readUserDataField, USER_DATA_FIELD_LENGTH } from '../../src/marketplace/client/marker.ts';
import { OrderSchema } from '../../src/marketplace/client/order.ts';
import { priceOf, ProductSchema } from '../../src/marketplace/client/product.ts';
import { cleanToken } from '../../src/marketplace/client/token.ts';
import { verdict } from '../../src/marketplace/client/verdict.ts';
import { exported, TOKEN } from '../support/marketplace.ts';
import { seed } from '../support/seed.ts';

/** Protects: the pure parts of the client for any input at all: money, the seller's text, tokens, and that nothing a server sends makes us throw. */
const check = <T>(property: fc.IRawProperty<T>, runs = 1_000): void => void fc.assert(property, { seed, numRuns: runs });
const uuid = fc.uuid();
const text = fc.oneof(fc.string({ maxLength: 80 }), fc.string({ unit: 'binary', maxLength: 80 }), uuid, fc.tuple(fc.string({ maxLength: 20 }), uuid, fc.string({ maxLength: 20 })).map((parts) => parts.join(' ')));

test(`cents go out as the decimal they are (seed ${seed})`, () => {
  check(
    fc.property(fc.oneof(fc.nat(), fc.integer({ min: 0, max: 10 ** 13 })), (cents) => {
      const [whole, rest] = [Math.trunc(cents / 100), cents % 100];
      const decimal = `${whole}.${String(rest).padStart(2, '0')}`.replace(/\.?0+$/, (zeros) => (zeros.startsWith('.') ? '' : zeros.replaceAll('0', '')));
      expect(JSON.stringify(priceOf(cents))).toBe(rest === 0 ? String(whole) : decimal);
      expect(Math.round(priceOf(cents) * 100)).toBe(cents);
    }),
    10_000,
  );
});

describe(`the marker (seed ${seed})`, () => {
  test('keeps the seller’s own text to the letter, and is read back', () => {
    check(
      fc.property(text, uuid, uuid, (own, first, second) => {
        fc.pre(readUserDataField(own).operationId === null);
        const marked = markUserDataField(own, first, 500);
        expect(marked).not.toBeNull();
        expect(readUserDataField(marked)).toMatchObject({ ownText: own, operationId: first });
        const again = markUserDataField(marked, second, 500);
        expect(readUserDataField(again)).toMatchObject({ ownText: own, operationId: second });
        expect(again).not.toContain(first);
        expect(readUserDataField(marked).itemId).toBe(readUserDataField(own).itemId);
      }),
    );
  });

  test('is found also where the seller has written behind it', () => {
    check(
      fc.property(uuid, fc.string({ maxLength: 20 }), (id, behind) => {
        expect(readUserDataField(`shelf 4 brx:${id} ${behind}`).operationId).toBe(id);
      }),
    );
  });

  test('never makes the field longer than it may be, and never cuts', () => {
    check(
      fc.property(fc.string({ maxLength: 300 }), uuid, (own, id) => {
        const marked = markUserDataField(own, id);
        if (marked === null) expect(readUserDataField(own).ownText.length + 41).toBeGreaterThan(USER_DATA_FIELD_LENGTH);
        else expect(marked.length).toBeLessThanOrEqual(USER_DATA_FIELD_LENGTH);
      }),
    );
  });

  test('is told from item ids and from what only looks like it', () => {
    const [item, operation] = ['0197A3C2-0000-7000-8000-00000000000A', '0197a3c2-1111-7000-8000-00000000000b'];
    expect(readUserDataField(`${item} x brx:${operation.toUpperCase()}`)).toEqual({ ownText: `${item} x`, itemId: item.toLowerCase(), operationId: operation });
    expect(readUserDataField(`brx:${operation}`)).toEqual({ ownText: '', itemId: null, operationId: operation });
    for (const alike of [`xbrx:${operation}`, `brx: ${operation}`, `brx:${operation}0`, `brx:${operation.slice(1)}`]) expect(readUserDataField(alike).operationId).toBeNull();
    expect(readUserDataField(`0${item}`).itemId).toBeNull();
    for (const nothing of [null, undefined, '']) expect(readUserDataField(nothing)).toEqual({ ownText: '', itemId: null, operationId: null });
    expect(markUserDataField(null, operation)).toBe(`brx:${operation}`);
    expect(markUserDataField('x'.repeat(214), operation)).toHaveLength(255);
    expect(markUserDataField('x'.repeat(215), operation)).toBeNull();
  });
});

test(`a token with anything invisible anywhere is the same token (seed ${seed})`, () => {
  const invisible = fc.constantFrom('\u00ad', '\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', ' ', '\n', '\r\n', '\u00a0', '\t', '\u2028');
  check(
    fc.property(fc.array(fc.tuple(fc.nat(TOKEN.length), invisible), { maxLength: 10 }), fc.constantFrom('', 'Bearer ', 'bearer\u00a0', '"', 'Authorization: Bearer '), (insertions, before) => {
      let pasted = TOKEN;
      for (const [at, what] of insertions.toSorted((a, b) => b[0] - a[0])) pasted = pasted.slice(0, at) + what + pasted.slice(at);
      expect(cleanToken(before + pasted)).toBe(TOKEN);
    }),
  );
});

describe(`whatever comes (seed ${seed})`, () => {
  const anything = fc.oneof(fc.json(), fc.string(), fc.jsonValue().map((value) => JSON.stringify({ error_code: value, errors: value, extra: value, error: value, request_id: value })));
  const facts = { bucket: 'all', token: TOKEN, durationMs: 1, now: 0 } as const;

  test('reading an answer gives a value, and a whole number of verdicts', () => {
    check(
      fc.property(fc.integer({ min: 200, max: 599 }), anything, fc.dictionary(fc.constantFrom('retry-after', 'date', 'x-request-id'), fc.string()), (status, body, headers) => {
        const outcome = verdict({ kind: 'answer', status, headers, body: Buffer.from(body) }, { ...facts, read: (value) => readList(ProductSchema, value, 'products') });
        const certain = status >= 400 && status < 500 && status !== 408;
        if (outcome.outcome === 'refused' || outcome.outcome === 'throttled') expect(certain).toBe(true);
        else expect(certain).toBe(false);
        expect(readErrorBody(body).fields.length).toBeLessThanOrEqual(50);
      }),
    );
  });

  test('a product or an order with odd fields is read or told, and never loses its id, quantity or price to the oddness', () => {
    const odd = fc.dictionary(fc.constantFrom('description', 'graded', 'tag', 'expansion', 'expansion_id', 'properties_hash', 'properties', 'game_id', 'bundle_size', 'name_en', 'price', 'price_currency'), fc.jsonValue());
    check(
      fc.property(odd, fc.jsonValue(), (over, order) => {
        expect(read(ProductSchema, exported(over))).toMatchObject({ ok: true, value: { id: 101, quantity: 3, priceCents: 6_258, userDataField: 'shelf 4' } });
        expect(read(OrderSchema, order)).toHaveProperty('ok');
      }),
    );
  });
});
