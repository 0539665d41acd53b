import type { Attributes, SpanStart, TraceContext, Tracer } from '../../src/platform/tracing/index.ts';

/** A span as it was started and ended. */
export interface RecordedSpan extends SpanStart {
  readonly context: TraceContext;
  /** Everything it was given, at either end; undefined ones left out. */
  said: Record<string, unknown>;
  ended: boolean;
  problem: string | undefined;
}

/** A tracer that records every span of a sampled trace, for looking at what features say. */
export function recordingTracer(): Tracer & { readonly spans: readonly RecordedSpan[]; named(name: string): RecordedSpan[] } {
  const spans: RecordedSpan[] = [];
  const given = (attributes: Attributes = {}): Record<string, unknown> => Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
  return {
    enabled: true,
    spans,
    named: (name) => spans.filter((span) => span.name === name),
    start(start) {
      const context = { traceId: start.parent?.traceId ?? 'e'.repeat(32), spanId: (spans.length + 1).toString(16).padStart(16, 'e'), sampled: true };
      const span: RecordedSpan = { ...start, context, said: given(start.attributes), ended: false, problem: undefined };
      spans.push(span);
      return {
        context,
        end(attributes, problem) {
          if (span.ended) throw new Error(`span ${span.name} was ended twice`);
          Object.assign(span.said, given(attributes));
          span.ended = true;
          span.problem = problem;
        },
      };
    },
  };
}

/** A trace that somebody records, and how it is written; a number for each. */
export function sampledTrace(n: number): { trace: TraceContext; traceparent: string } {
  const trace = { traceId: n.toString(16).padStart(32, 'a'), spanId: n.toString(16).padStart(16, 'b'), sampled: true };
  return { trace, traceparent: `00-${trace.traceId}-${trace.spanId}-01` };
}
