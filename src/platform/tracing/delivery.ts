import type { ReadableSpan, Span, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Context } from '@opentelemetry/api';
import type { SpanOutcome } from './tracer.ts';

type Result = Parameters<Parameters<SpanExporter['export']>[1]>[0];

/** Told when exporting begins to fail, and when it works again: once each way. */
export interface DeliveryNews {
  failing(error: string): void;
  recovered(): void;
}

/**
 * Spans on their way: at most `limit` that are neither taken nor given up, those under way included; what comes beyond is dropped at once. The
 * library's own queue drops, too, but counts for itself alone, and what is being sent does not count against its limit.
 */
export class BoundedQueue implements SpanProcessor {
  readonly #inner: SpanProcessor;
  readonly #limit: number;
  readonly #news: DeliveryNews;
  #waiting = 0;
  #failing = false;
  #closed = false;
  #observer: (outcome: SpanOutcome, spans: number) => void = () => undefined;

  constructor(exporter: SpanExporter, processor: (exporter: SpanExporter) => SpanProcessor, limit: number, news: DeliveryNews) {
    this.#inner = processor({
      export: (spans, done) =>
        exporter.export(spans, (result) => {
          this.#settled(spans.length, result);
          done(result);
        }),
      shutdown: () => exporter.shutdown(),
      ...(exporter.forceFlush !== undefined && { forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve() }),
    });
    this.#limit = limit;
    this.#news = news;
  }

  observe(observer: (outcome: SpanOutcome, spans: number) => void): void {
    this.#observer = observer;
  }

  onStart(span: Span, context: Context): void {
    this.#inner.onStart(span, context);
  }

  onEnd(span: ReadableSpan): void {
    if (this.#closed) return this.#observer('stopped', 1);
    if (this.#waiting >= this.#limit) return this.#observer('queue_full', 1);
    this.#waiting += 1;
    this.#inner.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#inner.forceFlush();
  }

  shutdown(): Promise<void> {
    this.#closed = true;
    return this.#inner.shutdown();
  }

  /** What is not taken by now counts as lost; answers how many. */
  giveUp(): number {
    const left = this.#waiting;
    this.#waiting = 0;
    if (left > 0) this.#observer('stopped', left);
    return left;
  }

  #settled(spans: number, { code, error }: Result): void {
    if (this.#waiting === 0) return; // given up before
    this.#waiting -= spans;
    const taken = code === TAKEN;
    this.#observer(taken ? 'exported' : 'not_taken', spans);
    if (taken === !this.#failing) return;
    this.#failing = !taken;
    if (taken) this.#news.recovered();
    else this.#news.failing(describe(error));
  }
}

/** `ExportResultCode.SUCCESS` of @opentelemetry/core, which is a package of the library's own. */
const TAKEN: number = 0;

/** What went wrong in a word: the message of an answer may hold anything. */
function describe(error: Error | undefined): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (typeof code === 'string') return code;
  if (typeof code === 'number') return `HTTP ${code}`;
  return error === undefined ? 'no answer in time' : 'failed';
}
