import type { Bucket } from '../buckets.ts';
import { readErrorBody, type ErrorBody } from './error-body.ts';
import type { Read } from './lenient.ts';
import type { CallFacts, Outcome, Throttled, Unknown, UnknownReason } from './outcome.ts';
import { plain, plainNotices } from './text.ts';
import type { Exchange, Headers } from './transport.ts';

/**
 * From what happened on the wire to what it means. Pure.
 *
 *   nothing sent ───────────────► throttled        2xx, readable ──► applied
 *   sent, no whole answer ──────► unknown          2xx, else ──────► unknown
 *   429, 403 of the edge ───────► throttled        other 4xx ──────► refused        5xx, 3xx, 408 ──► unknown
 *
 * A 4xx is a verdict by its status alone; that its body was cut or is no JSON changes the words, not the verdict.
 */
export interface Question<T> {
  /** Which limit the request counts in. */
  readonly bucket: Bucket;
  readonly read: (body: unknown) => Read<T>;
  /** Of an answer that was taken part by part: what came of it, in place of `read`. */
  readonly streamed?: (() => Read<T>) | undefined;
  /** Taken out of every text. */
  readonly token: string;
  readonly durationMs: number;
  /** Wall time, for a `Retry-After` that is a date where the answer has no `Date`. */
  readonly now: number;
}

export function verdict<T>(exchange: Exchange, question: Question<T>): Outcome<T> {
  if (exchange.kind === 'none') return withoutAnswer(exchange, question);
  const { status, headers } = exchange;
  const idOf = (id: string | null): string | null => (id === null ? null : plain(id, question.token, 100));
  const facts: CallFacts = { status, requestId: idOf(headerOf(headers, 'x-request-id')), serverDate: dateOf(headers), durationMs: question.durationMs };
  if (status < 300) return success(exchange, facts, question);

  const error = readErrorBody(Buffer.from(exchange.body).toString('utf8'));
  const known = { ...facts, requestId: facts.requestId ?? idOf(error.requestId) };
  const message = plain(error.message === '' ? `HTTP ${status}` : error.message, question.token);
  if (status < 400) return { outcome: 'unknown', reason: 'redirected', ...known, message: `HTTP ${status}: redirects are not followed` };
  if (status >= 500) return { outcome: 'unknown', reason: 'server_error', ...known, message };
  return turnedAway(status, { headers, error, message }, known, question);
}

function turnedAway<T>(status: number, { headers, error, message }: { headers: Headers; error: ErrorBody; message: string }, facts: CallFacts, { bucket, token, now }: Question<T>): Outcome<T> {
  const refused = (reason: 'token_rejected' | 'forbidden' | 'not_found' | 'validation' | 'other'): Outcome<T> => ({
    outcome: 'refused',
    reason,
    ...facts,
    message,
    code: error.code === null ? null : plain(error.code, token, 60),
    fields: plainNotices(error.fields, token),
  });
  switch (status) {
    case 401:
      return refused('token_rejected');
    case 403: // without an error_code it is the edge that blocks us, and says nothing about the token
      return error.code === null ? { outcome: 'throttled', reason: 'edge', ...facts, scope: null, retryAfterMs: retryAfterOf(headers, facts, now), message } : refused('forbidden');
    case 404: // a page in HTML may be of somebody who does not know the product at all
      return refused(error.kind === 'json' ? 'not_found' : 'other');
    case 408: // whoever says so waited for us; what was behind it may have the request
      return { outcome: 'unknown', reason: 'unexpected', ...facts, message };
    case 429:
      return { outcome: 'throttled', reason: 'rate_limited', ...facts, scope: scopeOf(error.message, bucket), retryAfterMs: retryAfterOf(headers, facts, now), message };
    default:
      return refused(error.kind === 'json' ? 'validation' : 'other');
  }
}

function withoutAnswer<T>({ sent, cause, detail }: Extract<Exchange, { kind: 'none' }>, { token, durationMs }: Question<T>): Throttled | Unknown {
  const facts: CallFacts = { status: null, requestId: null, serverDate: null, durationMs };
  const message = plain(detail, token);
  if (sent) return { outcome: 'unknown', reason: reasonOf(cause), ...facts, message };
  const reason = cause === 'busy' || cause === 'aborted' ? cause : 'unreachable';
  return { outcome: 'throttled', reason, ...facts, scope: null, retryAfterMs: null, message };
}

function success<T>(exchange: Exclude<Exchange, { kind: 'none' }>, facts: CallFacts, { read, streamed, token }: Question<T>): Outcome<T> {
  const { status } = exchange;
  if (exchange.kind === 'partial') return { outcome: 'unknown', reason: reasonOf(exchange.cause), ...facts, message: plain(exchange.detail, token) };
  const unreadable = (why: string): Unknown => ({ outcome: 'unknown', reason: 'unreadable', ...facts, message: plain(`HTTP ${status}: ${why}`, token) });
  const answered = (result: Read<T>): Outcome<T> => (result.ok ? { outcome: 'applied', ...facts, status, body: result.value } : unreadable(`the answer ${result.problem}`));
  if (streamed !== undefined) return answered(streamed());
  if (exchange.body.length === 0) return unreadable('the answer is empty');
  let value: unknown;
  try {
    value = JSON.parse(UTF8.decode(exchange.body)) as unknown;
  } catch {
    return unreadable('the answer is no JSON'); // the parser's words would repeat it
  }
  return answered(read(value));
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

function reasonOf(cause: Extract<Exchange, { kind: 'none' }>['cause']): UnknownReason {
  return cause === 'timeout' || cause === 'aborted' || cause === 'too_large' ? cause : 'reset';
}

/** From the words of a 429: "max 200 requests per 10 seconds" is over everything, "per second" the limit of that call. */
function scopeOf(message: string, bucket: Bucket): Bucket {
  return /per second\b/i.test(message) ? bucket : 'all';
}

const MAX_RETRY_AFTER_MS = 3_600_000;

/** Seconds or a date; a date counts from the server's own clock where it tells it. */
function retryAfterOf(headers: Headers, { serverDate }: CallFacts, now: number): number | null {
  const value = headerOf(headers, 'retry-after');
  if (value === null) return null;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - (serverDate ?? now);
  return Number.isFinite(ms) ? Math.min(MAX_RETRY_AFTER_MS, Math.max(0, ms)) : null;
}

function dateOf(headers: Headers): number | null {
  const value = headerOf(headers, 'date');
  const ms = value === null ? Number.NaN : Date.parse(value);
  return Number.isFinite(ms) ? ms : null;
}

/** Of a repeated header the first; an id is cut to what an id may be. */
function headerOf(headers: Headers, name: string): string | null {
  const value = headers[name];
  const text = (Array.isArray(value) ? value[0] : value)?.trim();
  return text === undefined || text === '' ? null : text.slice(0, 200);
}
