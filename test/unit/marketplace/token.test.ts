import { describe, expect, test } from 'vitest';
import { cleanToken, inspectToken, isSendable, maskToken, type TokenProblem } from '../../../src/marketplace/client/token.ts';
import { TOKEN } from '../../support/marketplace.ts';

/** Protects: a token pasted badly is the token that was meant, and none of it appears where it is shown. */
const at = (n: number, inserted: string): string => `${TOKEN.slice(0, n)}${inserted}${TOKEN.slice(n)}`;

describe('cleaning', () => {
  test.each<[string, string]>([
    ['as it is', TOKEN],
    ['spaces and line ends around', `  \t${TOKEN}\r\n`],
    ['soft hyphens', at(20, '\u00ad')],
    ['zero-width spaces and joiners', `\u200b${at(30, '\u200d')}\u200e`],
    ['a word joiner and a byte order mark', `\ufeff${at(40, '\u2060')}`],
    ['no-break spaces', `\u00a0${TOKEN}\u202f`],
    ['Bearer before it', `Bearer ${TOKEN}`],
    ['bearer in small letters, with more room', `bearer   ${TOKEN}`],
    ['Bearer with a colon', `Bearer: ${TOKEN}`],
    ['Bearer with a no-break space', `Bearer\u00a0${TOKEN}`],
    ['Bearer grown together by an invisible space', `Bearer\u200b${TOKEN}`],
    ['the whole header', `Authorization: Bearer ${TOKEN}`],
    ['lines of a narrow window', TOKEN.replaceAll(/.{20}/g, '$&\r\n')],
    ['lines, indented', TOKEN.replaceAll(/.{20}/g, '$&\n    ')],
    ['a line separator', at(10, '\u2028')],
    ['quotes', `"${TOKEN}"`],
    ['typographic quotes', `“${TOKEN}”`],
    ['quotes around the header', `'Bearer ${TOKEN}'`],
    ['quotes inside the header', `Bearer "${TOKEN}"`],
    ['from JSON', `"${TOKEN}",`],
    ['in angle brackets', `<${TOKEN}>`],
  ])('%s', (_what, pasted) => {
    expect(cleanToken(pasted)).toBe(TOKEN);
  });

  test.each(['', '  ', 'Bearer ', '""', '\u200b'])('nothing stays nothing: %j', (pasted) => {
    expect(inspectToken(cleanToken(pasted))).toEqual({ ok: false, problem: 'empty' });
  });

  test('leaves what is not meant to go', () => {
    expect(cleanToken('bearertoken.x.y')).toBe('bearertoken.x.y');
    expect(cleanToken(cleanToken(`Bearer ${TOKEN}`))).toBe(TOKEN);
  });
});

describe('inspecting', () => {
  test('tells the claims, for display', () => {
    expect(inspectToken(TOKEN)).toEqual({ ok: true, claims: { sub: 'app-4711', name: 'Stall of Cards', issuedAt: 1_770_000_000_000 } });
  });

  test('claims may lack, or be numbers', () => {
    const token = [{ alg: 'RS256' }, { sub: 5, iat: 'x' }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    expect(inspectToken(`${token}.abc`)).toEqual({ ok: true, claims: { sub: '5', name: null, issuedAt: null } });
  });

  test.each<[string, string, TokenProblem]>([
    ['one part', 'abcdef', 'parts'],
    ['two parts', TOKEN.split('.').slice(0, 2).join('.'), 'parts'],
    ['no signature', `${TOKEN.split('.').slice(0, 2).join('.')}.`, 'parts'],
    ['four parts', `${TOKEN}.x`, 'parts'],
    ['a URL', 'https://www.cardtrader.com/full_api_app', 'characters'],
    ['letters of another alphabet', at(9, 'ß'), 'characters'],
    ['three words', 'one.two.three', 'unreadable'],
    ['JSON that is no object', `${Buffer.from('{}').toString('base64url')}.${Buffer.from('[1]').toString('base64url')}.x`, 'unreadable'],
  ])('%s', (_what, token, problem) => {
    expect(inspectToken(token)).toEqual({ ok: false, problem });
  });

  test('what cannot stand in a header is not sendable', () => {
    expect([TOKEN, 'x'].every(isSendable)).toBe(true);
    expect(['', 'a b', 'a\nb', 'ü', '\u200b', 'x'.repeat(8_193)].some(isSendable)).toBe(false);
  });
});

test('masked, it shows no more than four characters of the signature', () => {
  expect(maskToken(TOKEN)).toBe(`…${TOKEN.slice(-4)}`);
  for (const short of ['', 'secret', 'x'.repeat(31)]) expect(maskToken(short)).toBe('…');
});
