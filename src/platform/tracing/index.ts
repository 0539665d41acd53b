/** Traces: whose work this is, across processes and topics; and spans, for those who want them. */
export { openTracing, type TracingDeps } from './open.ts';
export { parseOtlpEndpoint, parseOtlpHeaders, type Parsed } from './settings.ts';
export { linksTo, MAX_LINKS, NO_SPAN, NO_TRACER, NO_TRACING, record, SPAN_OUTCOMES, within, type Attributes, type Span, type SpanOutcome, type SpanStart, type Tracer, type Tracing } from './tracer.ts';
export { formatTraceparent, parseTraceparent, storedTrace, traceFields, traceOf, TRACEPARENT, traceparentOf, type TraceContext } from './traceparent.ts';
