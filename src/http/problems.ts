import { z } from 'zod';
import { BrxError, ERROR_CODES } from '../errors.ts';
import { recognise, toBrxError } from '../platform/postgres/index.ts';

/** Every way in which a request can fail, told as RFC 9457 says. */
export const PROBLEMS = {
  invalid_request: { status: 400, title: 'the request is not what this route takes' },
  unauthorized: { status: 401, title: 'a token is needed' },
  forbidden: { status: 403, title: 'this needs a token to be configured' },
  unknown_route: { status: 404, title: 'there is no such route' },
  unknown_user: { status: 404, title: 'nobody here knows this user' },
  unknown_item: { status: 404, title: 'the user has no such item' },
  unknown_purchase: { status: 404, title: 'there is no such purchase' },
  unknown_dead_letter: { status: 404, title: 'there is no such dead letter' },
  not_parked: { status: 404, title: 'nothing of this user waits' },
  unknown_replay: { status: 404, title: 'there is no such replay' },
  unknown_sync: { status: 404, title: 'there is no such bulk sync' },
  method_not_allowed: { status: 405, title: 'the route is not asked this way' },
  conflict: { status: 409, title: 'it was not done' },
  too_large: { status: 413, title: 'the request is too large' },
  unsupported_media_type: { status: 415, title: 'the body must be JSON' },
  misdirected: { status: 421, title: 'the request is for another host' },
  too_many_requests: { status: 429, title: 'too many requests' },
  internal: { status: 500, title: 'it could not be answered' },
  unavailable: { status: 503, title: 'what is needed to answer does not answer' },
} as const;
export type ProblemCode = keyof typeof PROBLEMS;

export const problemBody = z
  .object({
    type: z.string().meta({ description: '`urn:brx-sync:problem:` and the code' }),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]),
    detail: z.string(),
    remedy: z.string().optional().meta({ description: 'what to do about it' }),
    errors: z.array(z.object({ at: z.string(), problem: z.string() })).optional().meta({ description: 'of `invalid_request`: each thing that is wrong, and where' }),
  })
  .meta({ description: 'What went wrong (RFC 9457)' });

interface ProblemParts {
  readonly remedy?: string | undefined;
  readonly errors?: readonly { readonly at: string; readonly problem: string }[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** An answer that is no success. What it says goes out: nothing in it may name hosts, users of databases, or places in the program. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly headers: Readonly<Record<string, string>>;
  readonly #parts: ProblemParts;

  constructor(code: ProblemCode, detail: string, parts: ProblemParts = {}) {
    super(detail, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.code = code;
    this.headers = parts.headers ?? {};
    this.#parts = parts;
  }

  get status(): number {
    return PROBLEMS[this.code].status;
  }

  body(): z.infer<typeof problemBody> {
    const { remedy, errors } = this.#parts;
    return { type: `urn:brx-sync:problem:${this.code}`, title: PROBLEMS[this.code].title, status: this.status, code: this.code, detail: this.message, ...(remedy !== undefined && { remedy }), ...(errors !== undefined && { errors: [...errors] }) };
  }
}

const RETRY_AFTER_SECONDS = 1;
const BY_STATUS: Readonly<Record<number, ProblemCode>> = { 404: 'unknown_route', 405: 'method_not_allowed', 413: 'too_large', 415: 'unsupported_media_type' };

/** Whatever was thrown, as an answer. Sentences of databases and of the program stay in the log; those of refusals are ours, and meant to be read. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const known = recognise(error) === undefined ? error : toBrxError(error);
  if (known instanceof BrxError) {
    if (known.code === 'BRX_REFUSED' || known.code === 'BRX_DIFFERENT') return new Problem('conflict', known.message, { remedy: known.remedy, cause: error });
    if (known.code === 'BRX_USAGE' || known.code === 'BRX_CONTRACT') return new Problem('invalid_request', known.message, { remedy: known.remedy, cause: error });
    if (known.retryable) return new Problem('unavailable', ERROR_CODES[known.code].meaning, { remedy: 'try again in a moment', headers: { 'retry-after': String(RETRY_AFTER_SECONDS) }, cause: error });
  } else if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500) {
    const code = BY_STATUS[error.statusCode] ?? 'invalid_request';
    return new Problem(code, code === 'invalid_request' ? 'the request could not be read' : PROBLEMS[code].title, { cause: error });
  }
  return new Problem('internal', 'the log says why', { cause: error });
}
