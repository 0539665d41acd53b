import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { partitionOf, TOPICS } from '../../../src/contract/index.ts';
import { line, purchase } from '../../support/events.ts';
import { bytesOf } from '../../support/ingest.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { startOtlpReceiver } from '../../support/otlp-receiver.ts';
import { sampledTrace } from '../../support/recording-tracer.ts';
import { until } from '../../support/wait.ts';
import { Worker, type Environment } from '../../support/worker.ts';

/** Protects: the built program loads nothing of OpenTelemetry unless it is told where spans go, and no receiver, however it behaves, slows or ends it. */
/** Run in the process before the program: at its end it says which packages it has loaded. */
const TELLS_LOADED = `data:text/javascript,${encodeURIComponent(`import { createRequire } from 'node:module';
process.on('exit', () => {
  const files = Object.keys(createRequire(${JSON.stringify(import.meta.url)}).cache);
  const packages = new Set(files.map((file) => file.split('/node_modules/').at(-1).split('/').slice(0, 2).join('/')).filter((name) => name.startsWith('@opentelemetry/')));
  process.stderr.write(['loaded ' + files.length + ' modules, of OpenTelemetry: ' + [...packages].sort().join(' '), ''].join(String.fromCharCode(10)));
});`)}`;
let world: MarketplaceWorld;
const workers: Worker[] = [];

beforeAll(async () => {
  world = await createMarketplaceWorld();
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.kill()));
});
afterAll(() => world.close());

function start(env: Environment = {}): Worker {
  const worker = new Worker(['start', '--port', '0'], { ...world.environment, BRX_LOG_FORMAT: 'json', NODE_OPTIONS: `--import ${TELLS_LOADED}`, ...env });
  workers.push(worker);
  return worker;
}

/** A sale of a sampled trace, from its event to its outcome, by whoever is running. */
async function sell(): Promise<{ traceId: string }> {
  const seller = await world.seller(3);
  const { trace, traceparent } = sampledTrace(Date.now());
  const sale = purchase({ user_id: seller.user, lines: [line(seller.items[0]!.itemId, 1)] });
  const { topics } = world;
  await topics.producer.sendBatch([{ topic: topics.events, key: sale.user_id, value: bytesOf(topics.encoder, sale), partition: partitionOf(sale.user_id, TOPICS.marketplaceEvents.partitions), headers: { traceparent } }]);
  await world.reached(['CONFIRMED'], sale);
  await world.published();
  return { traceId: trace.traceId };
}

async function metricsOf(worker: Worker): Promise<string> {
  const { url } = JSON.parse(await worker.said('health and metrics are served')) as { url: string };
  return (await fetch(`${url}/metrics`)).text();
}

async function stop(worker: Worker): Promise<string> {
  worker.signal('SIGTERM');
  expect(await worker.ended()).toEqual({ code: 0, signal: null });
  return worker.text;
}

const packagesIn = (text: string): string[] => (/of OpenTelemetry: (.*)/.exec(text)?.[1] ?? 'nothing was said').split(' ').filter((name) => name !== '');

test('without a receiver: the sale goes through, nothing of OpenTelemetry is loaded, no series of spans', async () => {
  const worker = start();
  await worker.joined();
  await sell();
  expect(await metricsOf(worker)).not.toMatch(/^brx_trace_spans_total\{/m);
  // The interface alone comes with prom-client, which looks whether somebody else has a tracer.
  expect(packagesIn(await stop(worker))).toEqual(['@opentelemetry/api']);
});

test('with one: its spans are there when it has stopped, counted, and its secret header is in no line it wrote', async () => {
  const receiver = await startOtlpReceiver();
  try {
    const worker = start({ BRX_OTLP_ENDPOINT: receiver.endpoint, BRX_OTLP_HEADERS: 'authorization=Bearer%20hush-hush-0815', BRX_LOG_LEVEL: 'trace' });
    await worker.joined();
    const { traceId } = await sell();
    await until('spans are exported while it runs', async () => /^brx_trace_spans_total\{outcome="exported"\} [1-9]/m.test(await metricsOf(worker)));
    const second = await sell();
    const said = await stop(worker);
    expect(packagesIn(said)).toEqual(expect.arrayContaining(['@opentelemetry/sdk-trace', '@opentelemetry/exporter-trace-otlp-http']));
    for (const trace of [traceId, second.traceId]) expect(receiver.spans.filter((span) => span.traceId === trace).map((span) => span.name)).toEqual(expect.arrayContaining(['apply PurchaseRequested', 'sale confirmed', 'operation TAKE']));
    expect(receiver.requests.every(({ headers }) => headers.authorization === 'Bearer hush-hush-0815')).toBe(true);
    expect(said).not.toContain('hush-hush');
  } finally {
    await receiver.close();
  }
});

test('with one that is away: sales go through as ever, losses are counted and said once, it stops with 0', async () => {
  const worker = start({ BRX_OTLP_ENDPOINT: await nobody() });
  await worker.joined();
  await sell();
  await until('losses are counted', async () => /^brx_trace_spans_total\{outcome="not_taken"\} [1-9]/m.test(await metricsOf(worker)));
  await sell();
  const said = await stop(worker);
  expect(worker.logged('spans are not taken, and dropped; nothing else waits for them')).toHaveLength(1);
  expect(said).not.toContain('"level":"error"');
});

test('with one that never answers: neither a sale nor the stop waits for it', async () => {
  const receiver = await startOtlpReceiver();
  receiver.behave('hang');
  try {
    const worker = start({ BRX_OTLP_ENDPOINT: receiver.endpoint, BRX_SHUTDOWN_TIMEOUT_MS: '2000' });
    await worker.joined();
    await sell();
    await until('it was asked', () => receiver.requests.length > 0);
    await sell();
    await stop(worker); // 0, though the last spans are not out within the time of the stop
  } finally {
    await receiver.close();
  }
});

/** An address at which nobody listens. */
async function nobody(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => void server.close(resolve));
  return `http://127.0.0.1:${port}`;
}
