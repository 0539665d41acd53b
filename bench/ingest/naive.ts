import { createPostgres } from '../../src/platform/postgres/index.ts';
import { processEnvironment, readConfig } from '../../src/config.ts';
import { InventoryChangedSchema, TOPICS, topicName } from '../../src/contract/index.ts';
import { createCodec, createKafka, createRegistry } from '../../src/platform/kafka/index.ts';
import { createLogger } from '../../src/platform/log.ts';

/**
 * What a hand-written consumer looks like: kafkajs `eachMessage`, one Prisma upsert an event, no deduplication, no ledger. It even
 * has our connection pool, decoder and cached schemas. Ends after `argv[2]` events; prints `first`, then `done <events>`.
 */
const limit = Number(process.argv[2]);
const config = readConfig(processEnvironment());
const logger = createLogger(config.log);
const kafka = createKafka(config.kafka, logger);
const codec = createCodec(createRegistry(config.registry));
const postgres = createPostgres(config.postgres, { logger, applicationName: 'naive', keyLookupsOnly: false });
const consumer = kafka.consumer({ groupId: config.ingest.groupId, maxWaitTimeInMs: 250 });
await consumer.connect();
await consumer.subscribe({ topics: [topicName(config.kafka.topicPrefix, TOPICS.marketplaceEvents)], fromBeginning: true });

let applied = 0;
await consumer.run({
  partitionsConsumedConcurrently: config.ingest.concurrency,
  eachMessage: async ({ message }) => {
    if (applied >= limit || message.value === null) return;
    const id = message.value.readInt32BE(1);
    await codec.prepare(id);
    const event = InventoryChangedSchema.parse(codec.reader(id)?.read(message.value));
    const said = {
      ...(event.price_cents === null ? {} : { priceCents: BigInt(event.price_cents) }),
      ...(event.currency === null ? {} : { currency: event.currency }),
      ...(event.blueprint_id === null ? {} : { blueprintId: BigInt(event.blueprint_id) }),
      ...(event.properties === null ? {} : { properties: event.properties }),
      ...(event.version === null ? {} : { version: BigInt(event.version) }),
      lastEventId: event.event_id,
    };
    await postgres.prisma.inventoryItem.upsert({
      where: { userId_itemId: { userId: event.user_id, itemId: event.item_id } },
      // The row proposed for insertion must satisfy the CHECK even when the conflict turns it into an increment.
      create: { userId: event.user_id, itemId: event.item_id, onHand: Math.max(0, event.quantity), ...said },
      update: { onHand: event.kind === 'ADJUST' ? { increment: event.quantity } : event.quantity, ...said },
    });
    applied += 1;
    if (applied === 1) process.stdout.write('first\n');
    if (applied === limit) process.stdout.write(`done ${applied}\n`);
  },
});
