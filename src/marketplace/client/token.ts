/** CardTrader's tokens: what people paste, and what a token says about itself. Pure. Nothing here repeats a token in an error. */

/**
 * A pasted token as it was meant: without invisible characters, quotes, a `Bearer` before it and the line breaks of a narrow window. CardTrader
 * answers 401 to all of these.
 */
export function cleanToken(pasted: string): string {
  const visible = pasted.replaceAll(/[\p{Cf}\p{Cc}\p{Z}]/gu, (character) => (/\s/u.test(character) && character !== '\uFEFF' ? ' ' : ''));
  return unquoted(unquoted(visible).replace(/^(?:authorization\s*:\s*)?(?:bearer(?:\s*:\s*|\s+|(?=eyJ)|$))?/i, '')).replaceAll(/\s+/g, '');
}

function unquoted(text: string): string {
  return text.replaceAll(/^[\s"'`´‘’“”„«»<>]+|[\s"'`´‘’“”„«»<>,;]+$/g, '');
}

/** Whether it can stand in a header at all. */
export function isSendable(token: string): boolean {
  return /^[\x21-\x7e]{1,8192}$/.test(token);
}

export const TOKEN_PROBLEMS = { empty: 'is empty', characters: 'has characters a token does not have', parts: 'does not have three parts separated by dots', unreadable: 'is not a JSON web token' } as const;
export type TokenProblem = keyof typeof TOKEN_PROBLEMS;

/** For display only: nobody has checked the signature. */
export interface TokenClaims {
  readonly sub: string | null;
  readonly name: string | null;
  /** When it was made, milliseconds since 1970. */
  readonly issuedAt: number | null;
}

/** What a (cleaned) token looks like; only `GET /info` can tell whether it is good. */
export function inspectToken(token: string): { ok: true; claims: TokenClaims } | { ok: false; problem: TokenProblem } {
  if (token === '') return { ok: false, problem: 'empty' };
  if (!isSendable(token) || !/^[\w.-]+$/.test(token)) return { ok: false, problem: 'characters' };
  const [head, payload, signature, ...more] = token.split('.');
  if (head === undefined || payload === undefined || signature === undefined || signature === '' || more.length > 0) return { ok: false, problem: 'parts' };
  const claims = decoded(payload);
  if (decoded(head) === undefined || claims === undefined) return { ok: false, problem: 'unreadable' };
  const text = (value: unknown): string | null => (typeof value === 'string' || typeof value === 'number' ? String(value) : null);
  const { sub, name, iat } = claims;
  return { ok: true, claims: { sub: text(sub), name: text(name), issuedAt: typeof iat === 'number' && Number.isFinite(iat) ? iat * 1_000 : null } };
}

function decoded(part: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // not a part of a JWT
  }
}

/** Enough to tell two tokens apart: the last four characters, which are of the signature. */
export function maskToken(token: string): string {
  return token.length >= 32 ? `…${token.slice(-4)}` : '…';
}
