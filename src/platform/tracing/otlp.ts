import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags, type Context, type HrTime, type Link, type SpanContext } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, ParentBasedSampler, SamplingDecision, TraceIdRatioBasedSampler, TracerProvider, type Sampler, type SamplingResult } from '@opentelemetry/sdk-trace';
import type { TracingConfig } from '../../config.ts';
import { withDeadline } from '../deadline.ts';
import { randomUuid } from '../ids.ts';
import { packageVersion } from '../version.ts';
import { BoundedQueue } from './delivery.ts';
import type { TracingDeps } from './open.ts';
import type { SpanStart, Tracer, Tracing } from './tracer.ts';
import type { TraceContext } from './traceparent.ts';

/**
 * Spans by OpenTelemetry's own library, over OTLP/HTTP as JSON. The only file that imports it, and imported only by `openTracing`.
 *
 * No global provider, no context manager, no instrumentation: a span is started where somebody says so, and its parent is handed in. What is
 * recorded: a child if its trace is; a batch if one of the traces in it is; every other root by `ratio`.
 */
const QUEUED_SPANS = 4_096;
const REQUEST_SPANS = 512;
const EVERY_MS = 2_000;
/** Of one export, its retries included. */
const EXPORT_MS = 5_000;
/** Nobody's stop waits longer for spans. */
const CLOSE_MS = 3_000;

const KINDS = { internal: SpanKind.INTERNAL, consumer: SpanKind.CONSUMER, producer: SpanKind.PRODUCER, client: SpanKind.CLIENT } as const;

export function openOtlp({ endpoint, headers, ratio }: TracingConfig & { readonly endpoint: string }, { clock, logger }: TracingDeps): Tracing {
  const exporter = new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, headers: { ...headers }, timeoutMillis: EXPORT_MS });
  const queue = new BoundedQueue(exporter, (counted) => new BatchSpanProcessor({ exporter: counted, maxQueueSize: QUEUED_SPANS, maxExportBatchSize: REQUEST_SPANS, scheduledDelayMillis: EVERY_MS, exportTimeoutMillis: 2 * EXPORT_MS }), QUEUED_SPANS, {
    // The endpoint, which is no secret; never what it answered, which may quote what was sent.
    failing: (error) => logger.warn({ endpoint, error }, 'spans are not taken, and dropped; nothing else waits for them'),
    recovered: () => logger.info({ endpoint }, 'spans are taken again'),
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'brx-sync', 'service.version': packageVersion(), 'service.instance.id': randomUuid() }),
    sampler: new ParentBasedSampler({ root: new LinkedOrRatio(ratio) }),
    spanProcessors: [queue],
  });
  const library = provider.getTracer('brx-sync', packageVersion());

  const tracer: Tracer = {
    enabled: true,
    start({ name, kind = 'internal', parent, links = [], at, attributes = {} }: SpanStart) {
      const now = clock.now();
      const startedAt = at ?? now;
      // Durations by the monotonic clock: a second that is set back must not make a span end before it began.
      const begun = clock.monotonic() - (now - startedAt);
      const span = library.startSpan(name, { kind: KINDS[kind], links: links.map(linkTo), startTime: timeOf(startedAt), attributes: { ...attributes } }, parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext(parent)));
      const { traceId, spanId } = span.spanContext();
      return {
        context: span.isRecording() ? { traceId, spanId, sampled: true } : undefined,
        end(more = {}, problem) {
          span.setAttributes({ ...more });
          if (problem !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: problem });
          span.end(timeOf(startedAt + Math.max(0, clock.monotonic() - begun)));
        },
      };
    },
  };

  return {
    tracer,
    observe: (observer) => queue.observe(observer),
    close: async () => {
      const ended = provider.shutdown().catch(() => undefined); // what was not taken is counted below
      await withDeadline(ended, { ms: CLOSE_MS, clock, late: () => undefined });
      const left = queue.giveUp();
      if (left > 0) logger.warn({ endpoint, spans: left }, 'spans were not taken in time before the stop');
    },
  };
}

/** A root is recorded if something in it is; else by chance. */
class LinkedOrRatio implements Sampler {
  readonly #ratio: TraceIdRatioBasedSampler;

  constructor(ratio: number) {
    this.#ratio = new TraceIdRatioBasedSampler(ratio);
  }

  shouldSample(context: Context, traceId: string, _name: string, _kind: SpanKind, _attributes: object, links: Link[]): SamplingResult {
    if (links.some((link) => (link.context.traceFlags & TraceFlags.SAMPLED) === TraceFlags.SAMPLED)) return { decision: SamplingDecision.RECORD_AND_SAMPLED };
    return this.#ratio.shouldSample(context, traceId);
  }

  toString(): string {
    return `LinkedOrRatio{${this.#ratio.toString()}}`;
  }
}

const spanContext = ({ traceId, spanId, sampled }: TraceContext): SpanContext => ({ traceId, spanId, traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE, isRemote: true });
const linkTo = (other: TraceContext): Link => ({ context: spanContext(other) });

/** Seconds and nanoseconds: a number alone would be taken for a reading of the library's own clock. */
const timeOf = (ms: number): HrTime => [Math.floor(ms / 1_000), Math.round((ms % 1_000) * 1e6)];
