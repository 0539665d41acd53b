import { build } from 'hdr-histogram-js';
import { processEnvironment, readConfig } from '../../src/config.ts';
import { createIngest } from '../../src/ingest/index.ts';
import { createOutboxLimit } from '../../src/outbox/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createCodec, createKafka, createRegistry } from '../../src/platform/kafka/index.ts';
import { createLogger } from '../../src/platform/log.ts';
import { createPostgres } from '../../src/platform/postgres/index.ts';
import { startAll, stopAll } from '../../src/platform/service.ts';
import { createPurchaseContext } from '../../src/purchase/index.ts';

/**
 * The ingest role as shipped, with an observer that records every event's latency exactly: from the time it was *meant* to be sent
 * (open loop; publishWorkload stamps it) to the commit of its effect. Prints `ready`; on SIGTERM stops and prints
 * `latency <JSON of milliseconds>`. Events meant to be sent before `argv[2]` ms after the start are not counted (JIT warm-up).
 */
const skipMs = Number(process.argv[2] ?? 0);
const config = readConfig(processEnvironment());
const logger = createLogger(config.log);
const kafka = createKafka(config.kafka, logger);
const postgres = createPostgres(config.postgres, { logger, applicationName: 'latency', keyLookupsOnly: true });
const histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: 600_000, numberOfSignificantValueDigits: 3 });
let since = Infinity;
const nothing = (): void => undefined;
const registry = createRegistry(config.registry);
const ingest = createIngest({
  config: config.ingest,
  topicPrefix: config.kafka.topicPrefix,
  kafka,
  codec: createCodec(registry),
  purchase: createPurchaseContext(registry, { topicPrefix: config.kafka.topicPrefix, holdMs: config.purchase.holdMs }),
  outboxLimit: createOutboxLimit({ postgres, clock: systemClock, maxRows: config.outbox.maxRows }),
  postgres,
  clock: systemClock,
  logger,
  onEnqueued: nothing,
  onFatal: (error) => {
    throw error;
  },
  observer: {
    chunkCommitted({ timestamps }) {
      const now = Date.now();
      if (since === Infinity) since = (timestamps[0] ?? now) + skipMs;
      for (const timestamp of timestamps) if (timestamp >= since) histogram.recordValue(Math.max(1, now - timestamp));
    },
    transactionRetried: nothing,
    held: nothing,
    resumed: nothing,
    assigned: () => process.stdout.write('ready\n'),
    crashed: nothing,
    heartbeat: nothing,
  },
});
await startAll(ingest.services);
process.on('SIGTERM', () => {
  void stopAll(ingest.services)
    .then(() => postgres.close())
    .then(() => {
      const at = (percentile: number): number => histogram.getValueAtPercentile(percentile);
      process.stdout.write(`latency ${JSON.stringify({ events: histogram.totalCount, p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: histogram.maxValue })}\n`, () => process.exit(0));
    });
});
