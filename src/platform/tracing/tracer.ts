import type { TraceContext } from './traceparent.ts';

/** What features know of spans. Nothing of OpenTelemetry: without an exporter there is `NO_TRACER`, which costs a comparison. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpanStart {
  readonly name: string;
  readonly kind?: 'internal' | 'consumer' | 'producer' | 'client';
  /** Undefined: a trace of its own. */
  readonly parent?: TraceContext | undefined;
  /** Other traces that have part in it: of a batch those of its records. */
  readonly links?: readonly TraceContext[];
  /** When it began, milliseconds since 1970, if not now. */
  readonly at?: number;
  readonly attributes?: Attributes;
}

export interface Span {
  /** To be the parent of others; undefined: nobody records it. */
  readonly context: TraceContext | undefined;
  /** Once. `problem`: what it failed of. */
  end(attributes?: Attributes, problem?: string): void;
}

export interface Tracer {
  /** False: whatever is started is recorded nowhere, and need not be prepared. */
  readonly enabled: boolean;
  start(span: SpanStart): Span;
}

/** What became of spans that were to be exported. */
export const SPAN_OUTCOMES = ['exported', 'queue_full', 'not_taken', 'stopped'] as const;
export type SpanOutcome = (typeof SPAN_OUTCOMES)[number];

/** Where the spans of a process go. */
export interface Tracing {
  readonly tracer: Tracer;
  /** From now on `observer` hears what becomes of spans. */
  readonly observe: (observer: (outcome: SpanOutcome, spans: number) => void) => void;
  /** Exports what is there, or gives it up after a while; never rejects. */
  readonly close: () => Promise<void>;
}

export const NO_SPAN: Span = { context: undefined, end: () => undefined };
export const NO_TRACER: Tracer = { enabled: false, start: () => NO_SPAN };
export const NO_TRACING: Tracing = { tracer: NO_TRACER, observe: () => undefined, close: () => Promise.resolve() };

/** Most traces one span is linked to; a batch of a thousand records names the first of them. */
export const MAX_LINKS = 64;

/** Distinct traces among these that somebody records, the first of them. */
export function linksTo(traces: Iterable<TraceContext | undefined>): TraceContext[] {
  const found = new Map<string, TraceContext>();
  for (const trace of traces) {
    if (trace?.sampled !== true) continue;
    found.set(`${trace.traceId}${trace.spanId}`, trace);
    if (found.size === MAX_LINKS) break;
  }
  return [...found.values()];
}

/** A span of something that is over already. */
export function record(tracer: Tracer, span: SpanStart & { readonly at: number }): void {
  tracer.start(span).end();
}

/** `work` within a span; `told` says what came of it. */
export async function within<T>(span: Span, work: () => Promise<T>, told: (result: T) => Attributes): Promise<T> {
  try {
    const result = await work();
    span.end(told(result));
    return result;
  } catch (error) {
    span.end({}, error instanceof Error ? error.message : String(error));
    throw error;
  }
}
