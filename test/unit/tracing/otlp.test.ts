import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pino } from 'pino';
import { systemClock } from '../../../src/platform/clock.ts';
import { silentLogger, type Logger } from '../../../src/platform/log.ts';
import { MAX_LINKS, NO_TRACING, openTracing, record, within, type SpanOutcome, type TraceContext, type Tracing } from '../../../src/platform/tracing/index.ts';
import { uuid } from '../../support/events.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../../support/otlp-receiver.ts';
import { until } from '../../support/wait.ts';

/** Protects: spans reach a real receiver as they were meant, only what is to be recorded, and a receiver that is away hurts nobody. */
const PARENT: TraceContext = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', sampled: true };
const OTHER: TraceContext = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), sampled: true };
const UNSAMPLED = { ...OTHER, sampled: false };

let receiver: OtlpReceiver;
const open: Tracing[] = [];

beforeEach(async () => {
  receiver = await startOtlpReceiver();
});
afterEach(async () => {
  receiver.behave('ok');
  await Promise.all(open.splice(0).map((tracing) => tracing.close()));
  await receiver.close();
});

async function tracing({ endpoint = receiver.endpoint, headers = {}, ratio = 0, logger = silentLogger }: { endpoint?: string; headers?: Record<string, string>; ratio?: number; logger?: Logger } = {}) {
  const opened = await openTracing({ endpoint, headers, ratio }, { clock: systemClock, logger });
  open.push(opened);
  const counts = new Map<SpanOutcome, number>();
  opened.observe((outcome, spans) => counts.set(outcome, (counts.get(outcome) ?? 0) + spans));
  return { ...opened, counts };
}

/** A logger and the lines it was given. */
function listening(): { logger: Logger; lines: () => Record<string, unknown>[] } {
  const lines: string[] = [];
  return { logger: pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) }), lines: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('without a receiver', () => {
  test('there is nothing: no span, no parent for others, no cost', async () => {
    const off = await openTracing({ endpoint: undefined, headers: {}, ratio: 1 }, { clock: systemClock, logger: silentLogger });
    expect(off).toBe(NO_TRACING);
    expect(off.tracer.enabled).toBe(false);
    const span = off.tracer.start({ name: 'x', parent: PARENT });
    expect(span.context).toBeUndefined();
    span.end({ a: 1 }, 'b');
    await off.close();
    expect(receiver.requests).toEqual([]);
  });
});

describe('what arrives', () => {
  test('a child of a trace from elsewhere, and a child of that; with kind, attributes, times', async () => {
    const { tracer, close, counts } = await tracing();
    const before = Date.now();
    const span = tracer.start({ name: 'operation TAKE', parent: PARENT, attributes: { 'brx.user_id': uuid(1), absent: undefined } });
    tracer.start({ name: 'CardTrader product_update', kind: 'client', parent: span.context }).end({ 'http.response.status_code': 200, 'brx.throttled': false });
    span.end({ 'brx.outcome': 'applied' });
    record(tracer, { name: 'sale called', parent: PARENT, at: before - 5_000 });
    await close();
    const after = Date.now();
    expect(receiver.spans.map(({ name, kind, traceId, parentSpanId }) => ({ name, kind, traceId, parentSpanId }))).toEqual([
      { name: 'CardTrader product_update', kind: 3, traceId: PARENT.traceId, parentSpanId: span.context?.spanId },
      { name: 'operation TAKE', kind: 1, traceId: PARENT.traceId, parentSpanId: PARENT.spanId },
      { name: 'sale called', kind: 1, traceId: PARENT.traceId, parentSpanId: PARENT.spanId },
    ]);
    const [call, operation, step] = receiver.spans;
    expect(operation?.attributes).toEqual({ 'brx.user_id': uuid(1), 'brx.outcome': 'applied' });
    expect(call?.attributes).toEqual({ 'http.response.status_code': 200, 'brx.throttled': false });
    for (const { start, end } of [call!, operation!]) {
      expect(start).toBeGreaterThanOrEqual(before);
      expect(end).toBeGreaterThanOrEqual(start);
      expect(end).toBeLessThanOrEqual(after + 1);
    }
    expect(step?.start).toBeCloseTo(before - 5_000, 0);
    expect(step?.end).toBeGreaterThanOrEqual(before - 1);
    expect(receiver.resource()).toMatchObject({ 'service.name': 'brx-sync', 'service.version': expect.any(String) as string, 'service.instance.id': expect.any(String) as string });
    expect([...counts]).toEqual([['exported', 3]]);
  });

  test('a batch is a trace of its own with links', async () => {
    const { tracer, close } = await tracing();
    tracer.start({ name: 'process', kind: 'consumer', links: [PARENT, OTHER] }).end();
    await close();
    expect(receiver.spans).toMatchObject([{ name: 'process', kind: 5, parentSpanId: undefined, links: [PARENT, OTHER].map(({ traceId, spanId }) => ({ traceId, spanId })) }]);
    expect(receiver.spans[0]?.traceId).not.toBe(PARENT.traceId);
  });

  test('all links there may be', async () => {
    const { tracer, close } = await tracing();
    tracer.start({ name: 'process', links: Array.from({ length: MAX_LINKS }, (_, index) => ({ ...OTHER, spanId: index.toString(16).padStart(16, '1') })) }).end();
    await close();
    expect(receiver.spans[0]?.links).toHaveLength(MAX_LINKS);
  });

  test('a failure says so, and is still thrown', async () => {
    const { tracer, close } = await tracing();
    await expect(within(tracer.start({ name: 'x', parent: PARENT }), () => Promise.reject(new Error('the database is away')), () => ({}))).rejects.toThrow('the database is away');
    await close();
    expect(receiver.spans).toMatchObject([{ problem: 'the database is away' }]);
  });
});

describe('what is recorded', () => {
  test('nothing of a trace its producer does not record; no batch without one that is; whatever the ratio says of others', async () => {
    const { tracer, close } = await tracing();
    for (const span of [tracer.start({ name: 'a', parent: UNSAMPLED }), tracer.start({ name: 'b', links: [UNSAMPLED] }), tracer.start({ name: 'c' })]) {
      expect(span.context).toBeUndefined();
      span.end();
    }
    await close();
    expect(receiver.requests).toEqual([]);
  });

  test('with a ratio of 1 every root, still nothing of an unsampled trace', async () => {
    const { tracer, close } = await tracing({ ratio: 1 });
    tracer.start({ name: 'a', parent: UNSAMPLED }).end();
    tracer.start({ name: 'b', links: [UNSAMPLED] }).end();
    tracer.start({ name: 'c' }).end();
    await close();
    expect(receiver.spans.map(({ name }) => name)).toEqual(['b', 'c']);
  });

  test('with a ratio between, about so many', async () => {
    const { tracer, close } = await tracing({ ratio: 0.25 });
    for (let n = 0; n < 2_000; n += 1) tracer.start({ name: 'root' }).end();
    await close();
    expect(receiver.spans.length).toBeGreaterThan(380); // 500 ± 6 standard deviations
    expect(receiver.spans.length).toBeLessThan(620);
  });
});

describe('a receiver', () => {
  test('gets the configured headers; no log line has them', async () => {
    const { logger, lines } = listening();
    const { tracer, close } = await tracing({ headers: { authorization: 'Bearer hush-hush' }, logger });
    tracer.start({ name: 'a', parent: PARENT }).end();
    await close();
    expect(receiver.requests.map(({ headers, url }) => [headers.authorization, url])).toEqual([['Bearer hush-hush', '/v1/traces']]);
    expect(JSON.stringify(lines())).not.toContain('hush');
  });

  test('that is away: nobody waits, everything is counted as dropped, it is said once', async () => {
    await receiver.close();
    const { logger, lines } = listening();
    const { tracer, close, counts } = await tracing({ logger });
    const begun = performance.now();
    for (let n = 0; n < 100; n += 1) tracer.start({ name: 'a', parent: PARENT }).end();
    expect(performance.now() - begun).toBeLessThan(1_000);
    await close(); // its own deadline: retries of the exporter would go on for longer
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(100);
    expect(counts.get('exported')).toBeUndefined();
    expect(lines()).toHaveLength(1);
  });

  test('that refuses: counted, said once and in our own words, said again when it takes them', async () => {
    receiver.behave('refuse');
    const { logger, lines } = listening();
    const { tracer, counts } = await tracing({ logger });
    const send = (): void => {
      for (let n = 0; n < 512; n += 1) tracer.start({ name: 'a', parent: PARENT }).end(); // as many as go at once
    };
    send();
    await until('the first refusal', () => counts.get('not_taken') === 512);
    send();
    await until('the second refusal', () => counts.get('not_taken') === 1_024);
    receiver.behave('ok');
    send();
    await until('spans that were taken', () => counts.get('exported') === 512);
    expect(lines().map(({ level, error }) => [level, error])).toEqual([[40, 'HTTP 400'], [30, undefined]]);
    expect(JSON.stringify(lines())).not.toContain('hush');
  });

  test('that hangs: so many spans wait and no more, the rest is dropped at once, and the stop does not wait for it', async () => {
    receiver.behave('hang');
    const { tracer, close, counts } = await tracing();
    for (let n = 0; n < 6_000; n += 1) tracer.start({ name: 'a', parent: PARENT }).end();
    expect([...counts]).toEqual([['queue_full', 6_000 - 4_096]]);
    const begun = performance.now();
    await close();
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(counts.get('stopped')).toBe(4_096);
    tracer.start({ name: 'too late', parent: PARENT }).end();
    expect(counts.get('stopped')).toBe(4_097);
  });
});
