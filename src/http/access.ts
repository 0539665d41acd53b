import { createHash, timingSafeEqual } from 'node:crypto';
import type { HttpConfig } from '../config.ts';
import { Problem } from './problems.ts';

/**
 * Who may use a route. Each must say; there is no default.
 *
 * - `open`: everybody, because it tells a word and nothing more; details only to who is trusted.
 * - `signed`: everybody; what they send proves itself.
 * - `read`: who has the token; without one configured, which is possible on loopback only, everybody of this machine.
 * - `write`: who has the token, and nobody where none is configured: a page in this machine's browser could send it.
 */
export const ACCESS = ['open', 'signed', 'read', 'write'] as const;
export type Access = (typeof ACCESS)[number];

export interface Caller {
  readonly authorization: string | undefined;
  readonly host: string | undefined;
}

/** Throws the problem of whoever may not use a route; answers whether they are trusted with details. */
export type Gate = (access: Access, caller: Caller) => boolean;

export function createGate({ token }: Pick<HttpConfig, 'token'>): Gate {
  const hasToken = tokenCheck(token);
  return (access, { authorization, host }) => {
    if (access === 'signed') return false;
    // Without a token nothing but the address protects, and a page may have a name of its own resolve to this machine (DNS rebinding): it then sends that name.
    if (token === undefined && !isLoopbackName(host)) throw new Problem('misdirected', 'without BRX_HTTP_TOKEN this answers to names of this machine only', { remedy: 'ask 127.0.0.1 or localhost, or set BRX_HTTP_TOKEN' });
    const isTrusted = hasToken(authorization);
    if (access === 'write' && token === undefined) throw new Problem('forbidden', 'without BRX_HTTP_TOKEN nothing can be changed here', { remedy: 'set BRX_HTTP_TOKEN, or use the command line' });
    if (access !== 'open' && !isTrusted) throw new Problem('unauthorized', 'needs the header Authorization: Bearer with BRX_HTTP_TOKEN', { headers: { 'www-authenticate': 'Bearer' } });
    return isTrusted;
  };
}

/** Compared in constant time; without a token (loopback only) everyone is trusted. */
function tokenCheck(token: string | undefined): (authorization: string | undefined) => boolean {
  if (token === undefined) return () => true;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return (authorization) => timingSafeEqual(digest(authorization ?? ''), expected);
}

/** Docker's name for the machine its containers run on belongs to nobody else either. */
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]|host\.docker\.internal)(?::\d{1,5})?$/i;
const isLoopbackName = (host: string | undefined): boolean => host !== undefined && LOOPBACK.test(host);
