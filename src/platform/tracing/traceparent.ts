/**
 * W3C Trace Context, level 1: the one header `traceparent`, which says to which trace a piece of work belongs. Pure. Read strictly: what
 * does not fit is no trace, never an error, so that nobody's event is refused for a broken header.
 *
 *   00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
 *   version, trace, span of whoever sent it, flags (bit 0: somebody records this trace)
 */
export interface TraceContext {
  /** 32 hex digits, not all 0. */
  readonly traceId: string;
  /** 16 hex digits, not all 0. */
  readonly spanId: string;
  /** Whether somebody records this trace. */
  readonly sampled: boolean;
}

export const TRACEPARENT = 'traceparent';

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/s;
const VERSION = '00';
const INVALID_VERSION = 'ff';
const SAMPLED = 1;

/** Later versions are read as this one, and may say more behind it; this one may not. */
export function parseTraceparent(text: string): TraceContext | undefined {
  const [, version, traceId = '', spanId = '', flags = '', more] = FORM.exec(text) ?? [];
  if (version === undefined || version === INVALID_VERSION || (version === VERSION && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED };
}

/** Of the flags level 1 knows one; it wants the others to be 0. */
export const formatTraceparent = ({ traceId, spanId, sampled }: TraceContext): string => `${VERSION}-${traceId}-${spanId}-${sampled ? '01' : '00'}`;

/** Headers of a record, as far as they matter here. */
export type TracedHeaders = Readonly<Record<string, unknown>>;

/** The trace a record's headers name. A header that is there several times names none: nobody can tell which is meant. */
export function traceOf(headers: TracedHeaders): TraceContext | undefined {
  const value = headers[TRACEPARENT];
  if (value === undefined) return undefined; // as a rule
  if (typeof value === 'string') return parseTraceparent(value);
  return Buffer.isBuffer(value) && value.length <= MOST_BYTES ? parseTraceparent(value.toString('latin1')) : undefined;
}

/** The same as it is kept and sent on: in one form, whatever version it came in. */
export function traceparentOf(headers: TracedHeaders): string | null {
  const trace = traceOf(headers);
  return trace === undefined ? null : formatTraceparent(trace);
}

/** A later version may be longer; a header of a megabyte is no trace. */
const MOST_BYTES = 512;

/** What was kept, read again. */
export const storedTrace = (traceparent: string | null | undefined): TraceContext | undefined => (traceparent === null || traceparent === undefined ? undefined : parseTraceparent(traceparent));

/** For a log line that concerns one sale or event; nothing where there is no trace. */
export function traceFields(traceparent: string | null | undefined): { trace_id?: string } {
  const trace = storedTrace(traceparent);
  return trace === undefined ? {} : { trace_id: trace.traceId };
}
