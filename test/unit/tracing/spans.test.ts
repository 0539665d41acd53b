import { afterEach, describe, expect, test } from 'vitest';
import type { PurchaseRequested } from '../../../src/contract/index.ts';
import { tracedChunk } from '../../../src/ingest/trace.ts';
import type { IngestEntry } from '../../../src/ingest/record.ts';
import type { IngestResult, Outcome } from '../../../src/ingest/index.ts';
import { tracedOperation } from '../../../src/marketplace/dispatcher/trace.ts';
import { applied } from '../../../src/marketplace/dispatcher/results.ts';
import { tracedPublish } from '../../../src/outbox/trace.ts';
import type { OutboxRow } from '../../../src/outbox/rows.sql.ts';
import { storeHeaders } from '../../../src/platform/kafka/index.ts';
import { MAX_LINKS, NO_TRACER } from '../../../src/platform/tracing/index.ts';
import { traceSteps } from '../../../src/purchase/trace.ts';
import { change, deadEntry, entry, folds, line, purchase, source, uuid } from '../../support/events.ts';
import { caller, clientOf, writtenAnswer } from '../../support/marketplace.ts';
import { work } from '../../support/operations.ts';
import { recordingTracer, sampledTrace } from '../../support/recording-tracer.ts';
import { httpServer, type TestServer } from '../../support/rude-server.ts';

/** Protects: each feature says of which trace its work is, and what came of it, and no more than that. */
const NOW = Date.UTC(2026, 10, 26);
const now = (): number => NOW;
const [SHOP, OTHER] = [sampledTrace(1), sampledTrace(2)];
const UNSAMPLED = SHOP.traceparent.replace(/01$/, '00');

const bought = (event: PurchaseRequested, headers: Record<string, string>): IngestEntry => ({ kind: 'event', type: 'PurchaseRequested', event, source: source({ partition: 3, offset: '42', headers }) });
const outcomeOf = (entries: readonly IngestEntry[], outcomes: Outcome[]): IngestResult => ({ types: entries.map((each) => (each.kind === 'event' ? each.type : 'unusable')), misrouted: 0, outcomes, deadLetters: [], enqueued: 1, steps: [] });

describe('a chunk', () => {
  const run = (tracer: ReturnType<typeof recordingTracer>, entries: IngestEntry[], outcomes: Outcome[]) => tracedChunk(tracer, now, entries.map((each) => each.source), () => Promise.resolve({ entries, result: outcomeOf(entries, outcomes) }));

  test('is linked to the traces in it; a sale has a span in its own trace, a stock change has not', async () => {
    const tracer = recordingTracer();
    const event = purchase({ user_id: uuid(1) });
    const entries = [entry(change(), { headers: { traceparent: OTHER.traceparent } }), bought(event, { traceparent: SHOP.traceparent }), entry(change()), deadEntry({ headers: { traceparent: 'broken' } })];
    const result = await run(tracer, entries, ['ok', 'rejected', 'ok', 'dead']);
    expect(result.outcomes).toEqual(['ok', 'rejected', 'ok', 'dead']);
    const [chunk, sale, ...more] = tracer.spans;
    expect(chunk?.parent).toBeUndefined();
    expect(more).toEqual([]);
    expect(chunk).toMatchObject({ name: 'process brx.marketplace-events', kind: 'consumer', links: [OTHER.trace, SHOP.trace], at: NOW, ended: true, said: { 'messaging.batch.message_count': 4, 'brx.applied': 2 } });
    expect(sale).toMatchObject({ name: 'apply PurchaseRequested', parent: SHOP.trace, links: [chunk?.context], ended: true });
    expect(sale?.said).toEqual({
      'brx.user_id': uuid(1),
      'brx.purchase_id': event.purchase_id,
      'brx.event_id': event.event_id,
      'brx.outcome': 'rejected',
      'messaging.system': 'kafka',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'brx.marketplace-events',
      'messaging.destination.partition.id': '3',
      'messaging.kafka.offset': 42,
    });
  });

  test('of what is known already has no span but its own: a replay adds nothing to a trace', async () => {
    const tracer = recordingTracer();
    await run(tracer, [bought(purchase(), { traceparent: SHOP.traceparent })], ['duplicate']);
    expect(tracer.spans.map(({ name }) => name)).toEqual(['process brx.marketplace-events']);
  });

  test('of sales nobody records has no span but its own', async () => {
    const tracer = recordingTracer();
    await run(tracer, [bought(purchase(), { traceparent: UNSAMPLED }), bought(purchase(), {})], ['ok', 'ok']);
    expect(tracer.spans.map(({ name, links }) => ({ name, links }))).toEqual([{ name: 'process brx.marketplace-events', links: [] }]);
  });

  test('of a thousand sales tells the first of them', async () => {
    const tracer = recordingTracer();
    const entries = Array.from({ length: 1_000 }, (_, index) => bought(purchase(), { traceparent: sampledTrace(index + 1).traceparent }));
    await run(tracer, entries, entries.map(() => 'ok'));
    expect(tracer.spans[0]?.links).toHaveLength(MAX_LINKS);
    expect(tracer.named('apply PurchaseRequested')).toHaveLength(MAX_LINKS);
  });

  test('that fails says why, and the failure goes on', async () => {
    const tracer = recordingTracer();
    await expect(tracedChunk(tracer, now, [source()], () => Promise.reject(new Error('away')))).rejects.toThrow('away');
    expect(tracer.spans).toMatchObject([{ ended: true, problem: 'away' }]);
  });
});

describe('steps of a sale', () => {
  const stepsOf = (traceparent: string | null) => {
    const both = folds(undefined, NOW);
    both.stock.apply(change({ user_id: uuid(1), item_id: uuid(2), quantity: 5 }));
    const event = purchase({ user_id: uuid(1), purchase_id: uuid(3), lines: [line(uuid(2), 1)] });
    both.purchases.request(event, traceparent);
    both.purchases.stimulate(both.purchases.touch(uuid(1), uuid(3)), { kind: 'look' });
    return both.purchases.history;
  };

  test('are spans of the trace the purchase came with, all below the producer’s', () => {
    const tracer = recordingTracer();
    traceSteps(tracer, NOW, stepsOf(SHOP.traceparent));
    expect(tracer.spans.map(({ name, parent, at }) => ({ name, parent, at }))).toEqual(['sale reserved', 'sale confirmed'].map((name) => ({ name, parent: SHOP.trace, at: NOW })));
    expect(tracer.spans[1]?.said).toEqual({ 'brx.user_id': uuid(1), 'brx.purchase_id': uuid(3), 'brx.event_id': expect.any(String) as string, 'brx.sale.state': 'confirmed', 'brx.sale.version': 2 });
  });

  test.each([['no trace', null], ['one nobody records', UNSAMPLED], ['one that was edited by hand', 'x']])('of a purchase with %s are none', (_what, traceparent) => {
    const tracer = recordingTracer();
    traceSteps(tracer, NOW, stepsOf(traceparent));
    expect(tracer.spans).toEqual([]);
  });
});

describe('an outbox request', () => {
  const row = (id: number, traceparent?: string): OutboxRow => ({ id: BigInt(id), shard: 0, partition: null, userId: uuid(id), eventId: uuid(100 + id), topic: 'brx.purchase-outcomes', key: null, value: null, headers: traceparent === undefined ? null : storeHeaders({ other: 'x', traceparent }) });

  test('is linked to the traces of its rows; each that is published has a span there', async () => {
    const tracer = recordingTracer();
    const rows = [row(1, SHOP.traceparent), row(2), row(3, OTHER.traceparent), row(4, UNSAMPLED), row(5, SHOP.traceparent)];
    const published = { rows: rows.slice(0, 4), refused: [{ row: rows[4]!, error: new Error('too large') }], refusedBytes: Infinity };
    expect(await tracedPublish(tracer, now, rows, () => Promise.resolve(published))).toBe(published);
    const [request, ...sent] = tracer.spans;
    expect(request).toMatchObject({ name: 'publish outbox', kind: 'producer', links: [SHOP.trace, OTHER.trace], said: { 'messaging.batch.message_count': 5, 'brx.published': 4, 'brx.refused': 1 } });
    expect(sent).toMatchObject([
      { name: 'send brx.purchase-outcomes', kind: 'producer', parent: SHOP.trace, links: [request?.context], said: { 'brx.user_id': uuid(1), 'brx.event_id': uuid(101) } },
      { name: 'send brx.purchase-outcomes', kind: 'producer', parent: OTHER.trace },
    ]);
  });

  test('without a receiver reads no header', async () => {
    const unreadable = { ...row(1), get headers(): never { throw new Error('was read'); } } as OutboxRow;
    await expect(tracedPublish(NO_TRACER, now, [unreadable], () => Promise.resolve({ rows: [], refused: [], refusedBytes: Infinity }))).resolves.toMatchObject({ rows: [] });
  });
});

describe('an operation', () => {
  test('is a span of its sale’s trace, and its own context is handed to what it does', async () => {
    const tracer = recordingTracer();
    const given = work({ traceparent: SHOP.traceparent, attempts: 2, state: 'UNKNOWN' });
    let handed: unknown;
    await tracedOperation(tracer, given, (trace) => {
      handed = trace;
      return Promise.resolve({ result: applied({}), evidence: [] });
    });
    const [span] = tracer.spans;
    expect(handed).toEqual(span?.context);
    expect(span).toMatchObject({ name: 'operation TAKE', parent: SHOP.trace, ended: true });
    expect(span?.said).toEqual({ 'brx.user_id': given.userId, 'brx.purchase_id': given.purchaseId, 'brx.operation_id': given.id, 'brx.operation.from': 'unknown', 'brx.operation.attempts': 2, 'brx.outcome': 'applied' });
  });

  test('that is somebody else’s by now is told as abandoned; one of no traced sale is not told', async () => {
    const tracer = recordingTracer();
    await tracedOperation(tracer, work({ traceparent: SHOP.traceparent }), () => Promise.resolve({ result: null, evidence: [] }));
    expect(tracer.spans).toMatchObject([{ said: { 'brx.outcome': 'abandoned' } }]);
    await tracedOperation(tracer, work(), (trace) => {
      expect(trace).toBeUndefined();
      return Promise.resolve({ result: null, evidence: [] });
    });
    expect(tracer.spans).toHaveLength(1);
  });
});

describe('a call of CardTrader', () => {
  let server: TestServer | undefined;
  afterEach(() => server?.close());

  test('is a span below its operation; CardTrader is not told whose trace it is, the span not with what', async () => {
    server = await httpServer((_request, response) => void response.end(JSON.stringify(writtenAnswer())));
    const tracer = recordingTracer();
    const client = clientOf(server.url, {}, { tracer });
    const operationId = uuid(7);
    await client.updateProduct({ ...caller, operationId, trace: SHOP.trace }, 101, { quantity: 2 });
    await client.updateProduct({ ...caller, operationId }, 101, { quantity: 2 }); // of nobody's trace
    await client.close();
    expect(server.seen).toHaveLength(2);
    expect(JSON.stringify(server.seen)).not.toContain(SHOP.trace.traceId);
    expect(tracer.spans).toMatchObject([{ name: 'CardTrader product_update', kind: 'client', parent: SHOP.trace, ended: true }]);
    expect(tracer.spans[0]?.said).toEqual({
      'http.request.method': 'PUT',
      'server.address': '127.0.0.1',
      'brx.endpoint': 'product_update',
      'brx.operation_id': operationId,
      'brx.outcome': 'applied',
      'http.response.status_code': 200,
      'brx.waited_ms': expect.any(Number) as number,
    });
    expect(JSON.stringify(tracer.spans)).not.toContain(caller.token);
  });
});
