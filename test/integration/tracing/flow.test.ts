import { afterAll, beforeAll, expect, test } from 'vitest';
import { partitionOf, TOPICS, type PurchaseRequested } from '../../../src/contract/index.ts';
import { commandLine } from '../../support/cli.ts';
import { cancellation, change, line, purchase } from '../../support/events.ts';
import { bytesOf, type MarketplaceEvent } from '../../support/ingest.ts';
import { createMarketplaceWorld, type ListedSeller, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { startOtlpReceiver, type OtlpReceiver, type ReceivedSpan } from '../../support/otlp-receiver.ts';
import { sampledTrace } from '../../support/recording-tracer.ts';
import { until } from '../../support/wait.ts';

/** Protects: a sale is one trace from its producer to CardTrader and back, over Kafka, PostgreSQL and every role; and a broken header harms nothing. */
let world: MarketplaceWorld;
let receiver: OtlpReceiver;

beforeAll(async () => {
  receiver = await startOtlpReceiver();
  world = await createMarketplaceWorld({ env: { BRX_OTLP_ENDPOINT: receiver.endpoint } });
  await world.startAll();
});
afterAll(async () => {
  await world.close();
  await receiver.close();
});

let traces = 0;
/** Another trace for each test. */
const aTrace = () => sampledTrace(Date.now() * 1_000 + (traces += 1));

async function send(event: MarketplaceEvent, headers: Record<string, string>): Promise<void> {
  const { topics } = world;
  await topics.producer.sendBatch([{ topic: topics.events, key: event.user_id, value: bytesOf(topics.encoder, event), partition: partitionOf(event.user_id, TOPICS.marketplaceEvents.partitions), headers: { 'brx-event-id': event.event_id, ...headers } }]);
}

const wants = ({ user, items }: ListedSeller, quantity: number): PurchaseRequested => purchase({ user_id: user, lines: [line(items[0]!.itemId, quantity)] });

/** Spans of a trace, once those of these names have arrived, a name given twice twice: each role ends its spans in its own time. */
async function spansOf(traceId: string, ...names: string[]): Promise<ReceivedSpan[]> {
  const own = (): ReceivedSpan[] => receiver.spans.filter((span) => span.traceId === traceId);
  const count = (all: readonly string[], name: string): number => all.filter((each) => each === name).length;
  await until(names.join(', '), () => names.every((name) => count(own().map((span) => span.name), name) >= count(names, name)), { state: () => own().map((span) => span.name).join(', ') });
  return own();
}

/** `traceparent` of the records of a topic that are about this user, in order; null: without one. */
async function headersOn(topic: string, userId: string): Promise<(string | null)[]> {
  const records = await world.topics.readAll(topic);
  return records.filter(({ key }) => key?.toString() === userId).map(({ headers }) => headers?.['traceparent']?.toString() ?? null);
}

test('one trace: applied, called, taken on CardTrader, confirmed, told', async () => {
  const { trace, traceparent } = aTrace();
  const seller = await world.seller(5);
  const sale = wants(seller, 2);
  await send(sale, { traceparent });
  await world.reached(['CONFIRMED'], sale);
  await world.published();

  const [topics, events] = [world.topics, world.topics.events];
  const spans = await spansOf(trace.traceId, 'sale confirmed', 'operation TAKE', ...Array.from({ length: 3 }, () => `send ${topics.sagaEvents}`), `send ${topics.outcomes}`);
  const named = (name: string): ReceivedSpan[] => spans.filter((span) => span.name === name);

  // Whatever role it is of, it stands below the producer's span; only calls stand below their operation.
  const [operation] = named('operation TAKE');
  const calls = spans.filter((span) => span.name.startsWith('CardTrader '));
  for (const span of spans) expect(span.parentSpanId, span.name).toBe(calls.includes(span) ? operation?.spanId : trace.spanId);
  expect(named('apply PurchaseRequested')).toMatchObject([{ kind: 5, attributes: { 'brx.user_id': sale.user_id, 'brx.purchase_id': sale.purchase_id, 'brx.event_id': sale.event_id, 'brx.outcome': 'ok' } }]);
  expect(spans.filter((span) => span.name.startsWith('sale ')).map((span) => [span.name, span.attributes['brx.sale.state']])).toEqual([['sale reserved', 'reserved'], ['sale called', 'calling'], ['sale confirmed', 'confirmed']]);
  const [stored] = await world.operations(sale.purchase_id);
  expect(operation).toMatchObject({ attributes: { 'brx.user_id': sale.user_id, 'brx.purchase_id': sale.purchase_id, 'brx.operation_id': stored?.operation_id, 'brx.outcome': 'applied' }, problem: undefined });
  expect(calls.map((call) => [call.name, call.attributes['brx.outcome'], call.attributes['http.response.status_code']])).toEqual([['CardTrader export_filtered', 'applied', 200], ['CardTrader product_update', 'applied', 200]]);
  for (const call of calls) {
    expect(call.start).toBeGreaterThanOrEqual(operation!.start);
    expect(call.end).toBeLessThanOrEqual(operation!.end + 1);
  }
  expect(named(`send ${topics.sagaEvents}`)).toHaveLength(3); // PurchaseReserved, PurchaseAdvanced, RemoteStockTaken

  // Batches are traces of their own, linked both ways.
  const chunk = receiver.spans.find((span) => span.name === `process ${events}` && span.links.some((link) => link.traceId === trace.traceId));
  expect(chunk).toMatchObject({ parentSpanId: undefined, links: [{ traceId: trace.traceId, spanId: trace.spanId }] });
  expect(chunk?.traceId).not.toBe(trace.traceId);
  expect(named('apply PurchaseRequested')[0]?.links).toEqual([{ traceId: chunk?.traceId, spanId: chunk?.spanId }]);
  expect(receiver.spans.some((span) => span.name === 'publish outbox' && span.links.some((link) => link.traceId === trace.traceId))).toBe(true);

  // The producer gets its own trace back, and so does everybody who reads the topics.
  expect(await headersOn(topics.outcomes, sale.user_id)).toEqual([traceparent]);
  expect(await headersOn(topics.sagaEvents, sale.user_id)).toEqual([traceparent, traceparent, traceparent]);
  const { stdout } = await commandLine(world.environment).brx(['saga', 'show', sale.purchase_id]);
  expect(stdout).toContain(`trace ${trace.traceId}\n`);

  // Nothing secret has left the house.
  const token = world.simulator.control.token(seller.sellerId);
  expect(token).toBeDefined();
  expect(JSON.stringify(receiver.requests)).not.toContain(token);
});

test('an answer that is lost is two tries of one operation; a cancellation gives back in the same trace', async () => {
  const { trace, traceparent } = aTrace();
  const seller = await world.seller(3);
  world.simulator.control.inject({ kind: 'response_lost', when: { sellerId: seller.sellerId, method: 'PUT' } });
  const sale = wants(seller, 1);
  await send(sale, { traceparent });
  await world.reached(['CONFIRMED'], sale);
  await send(cancellation(sale), {});
  await world.reached(['COMPENSATED'], sale);
  await world.published();

  const spans = await spansOf(trace.traceId, `send ${world.topics.outcomes}`, `send ${world.topics.outcomes}`, 'operation RETURN', 'sale compensated');
  const operations = spans.filter((span) => span.name.startsWith('operation '));
  expect(operations.map((span) => [span.name, span.attributes['brx.operation.from'], span.attributes['brx.outcome']])).toEqual([
    ['operation TAKE', 'pending', 'unknown'],
    ['operation TAKE', 'unknown', 'applied'],
    ['operation RETURN', 'pending', 'applied'],
  ]);
  expect(new Set(operations.slice(0, 2).map((span) => span.attributes['brx.operation_id'])).size).toBe(1);
  expect(spans.find((span) => span.name === 'CardTrader product_update' && span.parentSpanId === operations[0]?.spanId)?.attributes).toMatchObject({ 'brx.outcome': 'unknown' });
  expect(spans.map((span) => span.name)).toEqual(expect.arrayContaining(['sale unknown', 'sale confirmed', 'sale compensating', 'sale compensated']));
  expect(new Set(await headersOn(world.topics.outcomes, sale.user_id))).toEqual(new Set([traceparent]));
});

test('a purchase that is rejected is told in its trace', async () => {
  const { trace, traceparent } = aTrace();
  const sale = purchase();
  await send(sale, { traceparent });
  await world.reached(['REJECTED'], sale);
  await world.published();
  const spans = await spansOf(trace.traceId, 'apply PurchaseRequested', `send ${world.topics.outcomes}`);
  expect(spans.find((span) => span.name === 'apply PurchaseRequested')?.attributes['brx.outcome']).toBe('rejected');
  expect(await headersOn(world.topics.outcomes, sale.user_id)).toEqual([traceparent]);
});

test.each([
  ['malformed', '00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01'],
  ['of zeros', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`],
  ['empty', ''],
])('a header that is %s: applied all the same, and no trace', async (_what, traceparent) => {
  const seller = await world.seller(2);
  const sale = wants(seller, 1);
  await send(sale, { traceparent });
  await world.reached(['CONFIRMED'], sale);
  await world.published();
  expect(await world.rows('SELECT traceparent FROM purchase_sagas WHERE purchase_id = $1', sale.purchase_id)).toEqual([{ traceparent: null }]);
  expect(await headersOn(world.topics.outcomes, sale.user_id)).toEqual([null]);
  expect(JSON.stringify(receiver.spans)).not.toContain(sale.purchase_id);
});

test('a trace its producer does not record goes on, and is recorded by nobody here either', async () => {
  const { trace, traceparent } = aTrace();
  const unsampled = traceparent.replace(/01$/, '00');
  const seller = await world.seller(2);
  const sale = wants(seller, 1);
  await send(sale, { traceparent: unsampled });
  await world.reached(['CONFIRMED'], sale);
  await world.published();
  expect(await headersOn(world.topics.outcomes, sale.user_id)).toEqual([unsampled]);
  // What comes behind it is recorded, so that it would have been here by now.
  const next = aTrace();
  const another = wants(seller, 1);
  await send(another, { traceparent: next.traceparent });
  await spansOf(next.trace.traceId, `send ${world.topics.outcomes}`);
  expect(receiver.spans.some((span) => span.traceId === trace.traceId || span.links.some((link) => link.traceId === trace.traceId))).toBe(false);
});

test('a change of stock that the upstream is told of is told with the trace it came with', async () => {
  const { traceparent } = aTrace();
  const seller = await world.seller(4);
  await send(change({ user_id: seller.user, item_id: seller.items[0]!.itemId, kind: 'ADJUST', quantity: -1, source: 'cardtrader' }), { traceparent });
  await until('the level is told', async () => (await headersOn(world.topics.levels, seller.user)).length === 1);
  expect(await headersOn(world.topics.levels, seller.user)).toEqual([traceparent]);
});

test('sent again, or read again, it adds no span to its trace', async () => {
  const { trace, traceparent } = aTrace();
  const seller = await world.seller(2);
  const sale = wants(seller, 1);
  await send(sale, { traceparent });
  await world.reached(['CONFIRMED'], sale);
  await world.published();
  await spansOf(trace.traceId, 'apply PurchaseRequested', 'sale confirmed', `send ${world.topics.outcomes}`);
  await send(sale, { traceparent }); // the same event again
  const next = aTrace();
  const another = wants(seller, 1);
  await send(another, { traceparent: next.traceparent });
  await spansOf(next.trace.traceId, `send ${world.topics.outcomes}`);
  const again = receiver.spans.filter((span) => span.traceId === trace.traceId).map((span) => span.name);
  for (const once of ['apply PurchaseRequested', 'sale reserved', 'sale called', 'sale confirmed', `send ${world.topics.outcomes}`]) expect(again.filter((name) => name === once), once).toHaveLength(1);
});
