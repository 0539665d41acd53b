import type { Notice } from './error-body.ts';

/** Text that came from outside or from an error, made fit for people: one line, short, and without the token. Pure. */
export function plain(text: string, token: string, max = 300): string {
  const line = scrub(text, token)
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim();
  return line.length > max ? `${line.slice(0, max - 1)}…` : line;
}

export const plainNotices = (notices: readonly Notice[], token: string): Notice[] => notices.map(({ field, message }) => ({ field: plain(field, token, 100), message: plain(message, token) }));

/**
 * The token, each long part of it (a server may echo the signature alone) and whatever looks like one are taken out, before anything
 * is cut: half a token would no longer be recognised.
 */
function scrub(text: string, token: string): string {
  let clean = text;
  for (const part of [token, ...token.split('.')]) if (part.length >= 8) clean = clean.replaceAll(part, '[token]');
  return clean.replaceAll(/\bBearer\s+[^\s"'<>,;]+/gi, 'Bearer [token]').replaceAll(/\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}/g, '[token]');
}
