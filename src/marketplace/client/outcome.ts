import type { Bucket } from '../buckets.ts';
import type { Notice } from './error-body.ts';

/**
 * What became of a call, as a value. The question each answers is "may it have taken effect?":
 *
 *   applied    it did, and the answer could be read
 *   refused    certainly not: CardTrader said so, and will say so again
 *   throttled  certainly not: nothing was sent, or it was turned away; later it may work
 *   unknown    perhaps: whoever asked must read before doing anything else
 *
 * A read has no effect; for it `unknown` just means that it failed.
 */
export type Outcome<T> = Applied<T> | Refused | Throttled | Unknown;

export const REFUSED_REASONS = ['token_rejected', 'forbidden', 'not_found', 'validation', 'other'] as const;
export type RefusedReason = (typeof REFUSED_REASONS)[number];

/** `busy`: no connection was free in time; `aborted`: the caller gave up before anything was sent. */
export const THROTTLED_REASONS = ['rate_limited', 'edge', 'unreachable', 'busy', 'aborted'] as const;
export type ThrottledReason = (typeof THROTTLED_REASONS)[number];

/** `unreadable` is a 2xx that says nothing usable; `unexpected` any other answer that is no verdict. */
export const UNKNOWN_REASONS = ['timeout', 'reset', 'server_error', 'unreadable', 'too_large', 'redirected', 'unexpected', 'aborted'] as const;
export type UnknownReason = (typeof UNKNOWN_REASONS)[number];

/** What is known of every call. */
export interface CallFacts {
  /** null where no answer came. */
  readonly status: number | null;
  /** CardTrader's id of the request, for its support; from the header, else from the body. */
  readonly requestId: string | null;
  /** The answer's `Date`, milliseconds since 1970, whole seconds. */
  readonly serverDate: number | null;
  /** From the request's turn to its end, without waiting for the rate limiter. */
  readonly durationMs: number;
}

export interface Applied<T> extends CallFacts {
  readonly outcome: 'applied';
  readonly status: number;
  readonly body: T;
}

export interface Refused extends CallFacts {
  readonly outcome: 'refused';
  readonly reason: RefusedReason;
  /** CardTrader's words, cut, without secrets. */
  readonly message: string;
  /** Its `error_code`. */
  readonly code: string | null;
  readonly fields: readonly Notice[];
}

export interface Throttled extends CallFacts {
  readonly outcome: 'throttled';
  readonly reason: ThrottledReason;
  /** Which limit a 429 spoke of. */
  readonly scope: Bucket | null;
  /** From `Retry-After`, which CardTrader does not promise. */
  readonly retryAfterMs: number | null;
  readonly message: string;
}

export interface Unknown extends CallFacts {
  readonly outcome: 'unknown';
  readonly reason: UnknownReason;
  readonly message: string;
}
