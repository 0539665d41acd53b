import type { ErrorShape } from './faults.ts';

/** What goes over the wire: JSON, or a page. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type: 'application/json; charset=utf-8' | 'text/html; charset=utf-8';
  readonly headers?: Readonly<Record<string, string>>;
}

export function json(status: number, value: unknown, headers?: Readonly<Record<string, string>>): Answer {
  return { status, body: JSON.stringify(value), type: 'application/json; charset=utf-8', ...(headers !== undefined && { headers }) };
}

/** The documented error envelope. `errors` is `[]` or field → messages. */
export function failure(status: number, code: string, message: string, requestId: string, errors: unknown = []): Answer {
  return json(status, { error_code: code, errors, extra: { message }, request_id: requestId });
}

export const unauthorized = (requestId: string): Answer => failure(401, 'unauthorized', 'Unauthorized: the token is missing or not valid', requestId);
export const notFound = (what: string, requestId: string): Answer => failure(404, 'not_found', `${what} not found`, requestId);
export const missingParameter = (name: string, requestId: string): Answer => failure(422, 'missing_parameter', `Missing parameter: ${name}`, requestId);

/** The 429 has a shape of its own: no code, no request id. */
export const throttled = (text: string, retryAfterSeconds?: number): Answer => json(429, { error: text }, retryAfterSeconds === undefined ? undefined : { 'retry-after': String(retryAfterSeconds) });

/** An error in any of the five shapes that were seen. */
export function errorIn(shape: ErrorShape, status: number, requestId: string): Answer {
  const message = 'Something went wrong';
  switch (shape) {
    case 'envelope':
      return failure(status, 'internal_error', message, requestId);
    case 'error':
      return json(status, { error: message });
    case 'errors_text':
      return json(status, { errors: [message] });
    case 'errors_object':
      return json(status, { errors: [{ scheduler: message }] });
    case 'html':
      return page(status, message);
  }
}

/** What stands in front of the application answers in HTML; the message sits in a `<p>`. */
export function page(status: number, message: string): Answer {
  return { status, type: 'text/html; charset=utf-8', body: `<!DOCTYPE html>\n<html><head><title>${message} (${status})</title></head>\n<body><h1>${status}</h1><p>${message}</p></body></html>\n` };
}
