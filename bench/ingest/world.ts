import type { Admin, Kafka } from 'kafkajs';
import pg from 'pg';
import { readConfig, type Config } from '../../src/config.ts';
import { TOPICS, topicName } from '../../src/contract/index.ts';
import { generateEvents, publishWorkload, schemaIds, type GeneratedRecord } from '../../src/operations/generate/index.ts';
import { migrate } from '../../src/operations/migrate/index.ts';
import { applySchemas, checkSchemas } from '../../src/operations/schemas/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createKafka, createProducer, createRegistry } from '../../src/platform/kafka/index.ts';
import { createLogger, silentLogger, type Logger } from '../../src/platform/log.ts';
import { resolveStack, type StackUrls } from '../../stack/index.ts';
import { createTopics } from '../topics.ts';

export interface Sizes {
  /** Events applied before anything is measured: they fill the tables. */
  warmup: number;
  /** Events each contestant drains. */
  events: number;
  users: number;
  itemsPerUser: number;
  seed: number;
}

/** What all contestants share: one topic with the warm-up and the measured events, and a database that has seen the warm-up. */
export interface World {
  readonly sizes: Sizes;
  readonly topic: string;
  readonly kafka: Kafka;
  readonly admin: Admin;
  readonly server: pg.Client;
  readonly logger: Logger;
  /** Environment of a worker on this database and in this group. */
  environment(databaseUrl: string, groupId: string): Record<string, string>;
  config(databaseUrl: string, groupId: string): Config;
  /** A new database: empty but migrated, or as it was after the warm-up. */
  createDatabase(from: 'empty' | 'warm'): Promise<string>;
  /** Publishes the next `count` events of the one workload. */
  publish(count: number, rate?: number): Promise<void>;
  /** Where the partitions end now. */
  ends(): Promise<Map<number, bigint>>;
  /** Puts a new group at these offsets, so that it starts there. */
  startGroupAt(groupId: string, offsets: ReadonlyMap<number, bigint>): Promise<void>;
  close(): Promise<void>;
}

export async function createWorld(sizes: Sizes, say: (line: string) => void): Promise<World> {
  const stack = await resolveStack({ report: say });
  const run = `bench_${Date.now().toString(36)}`;
  const environmentOf = (databaseUrl: string, groupId: string): Record<string, string> => ({
    BRX_KAFKA_BROKERS: stack.kafkaBrokers,
    BRX_SCHEMA_REGISTRY_URL: stack.registryUrl,
    BRX_DATABASE_URL: databaseUrl,
    BRX_TOPIC_PREFIX: `${run}.`,
    BRX_INGEST_GROUP_ID: groupId,
    BRX_LOG_LEVEL: 'warn',
    BRX_ENV_FILE: 'none',
  });
  const config = readConfig(environmentOf(stack.databaseUrl, 'bench'));
  const kafka = createKafka(config.kafka, createLogger({ level: 'error', format: 'auto' }));
  const admin = kafka.admin();
  await admin.connect();
  const registry = createRegistry(config.registry);
  await applySchemas(registry, await checkSchemas(), { dryRun: false });
  const ids = await schemaIds(registry);
  const topic = topicName(config.kafka.topicPrefix, TOPICS.marketplaceEvents);
  const snapshots = topicName(config.kafka.topicPrefix, TOPICS.inventorySnapshots); // the role reads it too
  await createTopics(admin, [topic, `${topic}.dlq`, snapshots], TOPICS.marketplaceEvents.partitions);

  const server = new pg.Client({ connectionString: stack.databaseUrl });
  await server.connect();
  const databases: string[] = [];
  const producer = createProducer(kafka);
  const workload = generateEvents({ ...cleanMix(sizes), at: Date.now() });

  return {
    sizes,
    topic,
    kafka,
    admin,
    server,
    logger: silentLogger,
    environment: environmentOf,
    config: (databaseUrl, groupId) => readConfig(environmentOf(databaseUrl, groupId)),
    async createDatabase(from) {
      const name = `${run}_${databases.length}`;
      await server.query(from === 'warm' ? `CREATE DATABASE ${name} TEMPLATE ${databases[0] ?? ''} STRATEGY FILE_COPY` : `CREATE DATABASE ${name}`);
      databases.push(name);
      const url = databaseUrl(stack, name);
      if (from === 'empty') await migrate(url, { logger: silentLogger });
      return url;
    },
    publish: async (count, rate) => void (await publishWorkload(take(workload, count), { producer, topic, schemaIds: ids, clock: systemClock, ...(rate === undefined ? {} : { rate }) })),
    ends: async () => new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, BigInt(high)])),
    startGroupAt: async (groupId, offsets) => admin.setOffsets({ groupId, topic, partitions: [...offsets].map(([partition, offset]) => ({ partition, offset: offset.toString() })) }),
    async close() {
      await producer.disconnect();
      await admin.deleteTopics({ topics: [topic, `${topic}.dlq`, snapshots] });
      await admin.disconnect();
      for (const name of databases) await server.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await server.end();
    },
  };
}

/**
 * The default mix without what only BRX Sync handles (copies, stale versions, poison, refusals): the naive contestants would get a
 * wrong result, and a wrong result has no number. BRX Sync still looks every event up, guards it and keeps its ledger row.
 */
function cleanMix(sizes: Sizes) {
  return { events: sizes.warmup + 4 * sizes.events, users: sizes.users, itemsPerUser: sizes.itemsPerUser, seed: sizes.seed, duplicates: 0, stale: 0, poison: 0, negative: 0 };
}

function* take(records: Iterator<GeneratedRecord, void>, count: number): Generator<GeneratedRecord> {
  for (let taken = 0; taken < count; taken += 1) {
    const next = records.next();
    if (next.done === true) return;
    yield next.value;
  }
}

function databaseUrl(stack: StackUrls, name: string): string {
  const url = new URL(stack.databaseUrl);
  url.pathname = `/${name}`;
  return url.toString();
}
