import type { Message } from 'kafkajs';
import type pg from 'pg';
import { partitionOf, TOPICS, type InventoryChanged, type PurchaseCancelled, type PurchaseRequested } from '../../src/contract/index.ts';
import type { IngestConfig, PostgresConfig } from '../../src/config.ts';
import { BrxError } from '../../src/errors.ts';
import { createIngest, MARKETPLACE_RECORDS, type IngestObserver, type IngestResult, type ParkingDeps } from '../../src/ingest/index.ts';
import type { CommittedChunk, ConsumerRole } from '../../src/platform/consumer/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createCodec, createProducer, createRegistry, type Encoder } from '../../src/platform/kafka/index.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { createOutboxLimit, Relay, RELAY_SESSION } from '../../src/outbox/index.ts';
import { createPostgres, openSession, type Postgres } from '../../src/platform/postgres/index.ts';
import { createPurchaseContext } from '../../src/purchase/index.ts';
import { Decoder } from '../../src/records/index.ts';
import { createGroupMemory } from '../../src/operations/replay/index.ts';
import { startAll, stopAll, type Service } from '../../src/platform/service.ts';
import { createTestDatabase, openPool, type TestDatabase } from './database.ts';
import { databaseConfig } from './database-config.ts';
import { stackUrls } from './stack.ts';
import { createTestTopics, type TestTopics } from './topic.ts';
import { until } from './wait.ts';

const HOLD_MS = 900_000;

/** Any event of the topic. */
export type MarketplaceEvent = InventoryChanged | PurchaseRequested | PurchaseCancelled;

export function bytesOf(encoder: Encoder, event: MarketplaceEvent): Buffer {
  if ('kind' in event) return encoder.encode('InventoryChanged', event);
  return 'lines' in event ? encoder.encode('PurchaseRequested', event) : encoder.encode('PurchaseCancelled', event);
}

/** A record to be sent; `partition` by hand, else murmur2 of the key. */
export type Outgoing = Partial<Pick<Message, 'key' | 'value' | 'headers' | 'partition' | 'timestamp'>>;

export interface Sent {
  partition: number;
  offset: number;
}

/** What the ingest role told its observer: the signals tests wait for. */
export interface Signals {
  readonly chunks: (CommittedChunk & IngestResult)[];
  readonly retried: string[];
  readonly held: string[];
  resumed: number;
  assigned: number;
  readonly crashes: Error[];
  /** Outbox rows Kafka has acknowledged. */
  published: number;
  readonly blocked: { topic: string; userId: string | null; error: string }[];
  readonly fatal: BrxError[];
}

/** The ingest role in this process, as flow.ts builds it. */
export interface RunningIngest {
  readonly ingest: ConsumerRole;
  /** Of ingest and relay. */
  readonly services: readonly Service[];
  readonly signals: Signals;
  readonly postgres: Postgres;
  stop(): Promise<void>;
}

export interface StartOptions {
  config?: Partial<IngestConfig>;
  postgres?: Partial<PostgresConfig>;
  registryUrl?: string;
  outboxMaxRows?: number;
}

/** Topics, group and database of one test file alone, and the ingest role on top of them as often as it is started. */
export interface IngestWorld {
  readonly topics: TestTopics;
  readonly database: TestDatabase;
  /** For looking and meddling. */
  readonly pool: pg.Pool;
  readonly parking: ParkingDeps;
  start(options?: StartOptions): Promise<RunningIngest>;
  /** An event as its producer sends it. */
  record(event: MarketplaceEvent, more?: Outgoing): Outgoing;
  /** All of it in one request: the records of one partition arrive together. Where each one is, in the same order. */
  send(...records: readonly Outgoing[]): Promise<Sent[]>;
  sendEvents(...events: readonly MarketplaceEvent[]): Promise<Sent[]>;
  /** Resolves when the offset of everything sent is committed; throws at once when a worker wanted to end the process. */
  processed(): Promise<void>;
  /** As an operator replays: the group's offsets to the beginning. No worker may run. */
  rewind(): Promise<void>;
  /** Rows of a query. */
  rows<T extends pg.QueryResultRow>(sql: string, ...values: unknown[]): Promise<T[]>;
  close(): Promise<void>;
}

export async function createIngestWorld(options: { serverUrl?: string; database?: TestDatabase; brokers?: string } = {}): Promise<IngestWorld> {
  const database = options.database ?? (await createTestDatabase(options.serverUrl));
  const topics = await createTestTopics(options.brokers);
  const pool = openPool(database, 4);
  const { kafka, events: topic, groupId } = topics;
  const producer = kafka.producer({ allowAutoTopicCreation: false });
  await producer.connect();
  const lookingAt = createPostgres(databaseConfig(database.url), { logger: silentLogger, applicationName: 'test', keyLookupsOnly: false });
  const registry = createRegistry({ url: stackUrls().registryUrl, username: undefined, password: undefined });
  const decoder = new Decoder(createCodec(registry), MARKETPLACE_RECORDS);
  const running = new Set<RunningIngest>();
  const ends = new Map<number, number>();
  const done = new Map<number, number>();

  const world: IngestWorld = {
    topics,
    database,
    pool,
    parking: { postgres: lookingAt, decoder, consumerGroup: groupId, clock: systemClock, purchase: createPurchaseContext(registry, { topicPrefix: topics.prefix, holdMs: HOLD_MS }) },
    async start(given = {}) {
      const worker = buildIngest(world, given, (chunk) => done.set(chunk.partition, Math.max(done.get(chunk.partition) ?? 0, Number(chunk.offset) + 1)));
      const stop = worker.stop;
      worker.stop = async () => {
        running.delete(worker);
        await stop();
      };
      running.add(worker);
      await startAll(worker.services);
      await until('the worker joins its group', () => worker.signals.assigned > 0 && worker.ingest.health.live()[0]?.ok === true);
      return worker;
    },
    record: (event, more) => ({ key: event.user_id, value: bytesOf(topics.encoder, event), ...more }),
    async send(...records) {
      const placed = records.map((record, index) => ({ ...record, partition: record.partition ?? (record.key === null || record.key === undefined ? index % 12 : partitionOf(record.key.toString(), TOPICS.marketplaceEvents.partitions)) }));
      const answers = await producer.send({ topic, messages: placed as Message[] });
      const next = new Map(answers.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]));
      const sent = placed.map(({ partition }) => {
        const offset = next.get(partition) ?? 0;
        next.set(partition, offset + 1);
        return { partition, offset };
      });
      for (const [partition, end] of next) ends.set(partition, end);
      return sent;
    },
    sendEvents: (...events) => world.send(...events.map((event) => world.record(event))),
    async processed() {
      const behind = (): string => [...ends].filter(([partition, end]) => (done.get(partition) ?? 0) < end).map(([partition, end]) => `partition ${partition} at ${done.get(partition) ?? 0} of ${end}`).join(', ');
      await until(
        'everything sent is committed',
        () => {
          for (const { signals } of running) if (signals.fatal[0] !== undefined) throw signals.fatal[0];
          return behind() === '';
        },
        { state: behind },
      );
    },
    async rewind() {
      await until('the group is empty', async () => (await topics.members()).length === 0);
      await topics.admin.setOffsets({ groupId, topic, partitions: Array.from({ length: TOPICS.marketplaceEvents.partitions }, (_, partition) => ({ partition, offset: '0' })) });
      done.clear();
    },
    rows: async <T extends pg.QueryResultRow>(sql: string, ...values: unknown[]) => (await pool.query<T>(sql, values)).rows,
    async close() {
      await Promise.all([...running].map((worker) => worker.stop()));
      await producer.disconnect();
      await lookingAt.close();
      await pool.end();
      await topics.remove();
      await database.drop();
    },
  };
  return world;
}

function buildIngest({ topics, database }: IngestWorld, given: StartOptions, onCommitted: (chunk: CommittedChunk) => void): RunningIngest & { stop: () => Promise<void> } {
  const signals: Signals = { chunks: [], retried: [], held: [], resumed: 0, assigned: 0, crashes: [], published: 0, blocked: [], fatal: [] };
  const observer: IngestObserver = {
    chunkCommitted(chunk) {
      signals.chunks.push(chunk);
      onCommitted(chunk);
    },
    transactionRetried: (reason) => signals.retried.push(reason),
    held: (code) => signals.held.push(code),
    resumed: () => (signals.resumed += 1),
    assigned: () => (signals.assigned += 1),
    crashed: (error) => signals.crashes.push(error),
    heartbeat: () => undefined,
  };
  const postgres = createPostgres(databaseConfig(database.url, given.postgres), { logger: silentLogger, applicationName: 'ingest under test', keyLookupsOnly: true });
  const relay = new Relay({
    openSession: () => openSession(databaseConfig(database.url), { ...RELAY_SESSION, logger: silentLogger, applicationName: 'relay under test' }),
    producer: createProducer(topics.kafka),
    clock: systemClock,
    observer: {
      published: (_topic, rows) => (signals.published += rows),
      blocked: (topic, userId, error) => signals.blocked.push({ topic, userId, error }),
      owns: () => undefined,
      waiting: () => undefined,
      belowFloor: (shard, id) => signals.fatal.push(new BrxError('BRX_INTERNAL', `row ${id} below the floor of shard ${shard}`)),
    },
    onFatal: (error) => signals.fatal.push(error),
  });
  const registry = createRegistry({ url: given.registryUrl ?? stackUrls().registryUrl, username: undefined, password: undefined });
  const ingest = createIngest({
    config: { groupId: topics.groupId, chunkEvents: 1_000, concurrency: 4, horizonMs: 30 * 86_400_000, sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 30_000, maxParkedUsers: 1_000, ...given.config },
    topicPrefix: topics.prefix,
    kafka: topics.kafka,
    codec: createCodec(registry),
    purchase: createPurchaseContext(registry, { topicPrefix: topics.prefix, holdMs: HOLD_MS }),
    memory: createGroupMemory({ postgres, logger: silentLogger }),
    outboxLimit: createOutboxLimit({ postgres, clock: systemClock, maxRows: given.outboxMaxRows ?? 1_000_000 }),
    postgres,
    clock: systemClock,
    logger: silentLogger,
    observer,
    onEnqueued: () => relay.wake(),
    onFatal: (error) => signals.fatal.push(error),
  });
  const services = [relay, ...ingest.services];
  return {
    ingest,
    services,
    signals,
    postgres,
    async stop() {
      await stopAll(services);
      await postgres.close();
    },
  };
}

export interface StoredItem {
  on_hand: number;
  flags: number;
  version: string | null;
  price_cents: string | null;
  currency: string | null;
  blueprint_id: string | null;
  properties: Record<string, string> | null;
  last_event_id: string;
}

/** The row of an item, and its history from the newest to the first event, as an operator walks it. */
export async function itemOf(pool: pg.Pool, userId: string, itemId: string): Promise<StoredItem | undefined> {
  const { rows } = await pool.query<StoredItem>('SELECT on_hand, flags, version, price_cents, currency, blueprint_id, properties, last_event_id FROM inventory_items WHERE user_id = $1 AND item_id = $2', [userId, itemId]);
  return rows[0];
}

/** Event ids of an item's history, oldest first, following the chain. */
export async function chainOf(pool: pg.Pool, userId: string, itemId: string): Promise<string[]> {
  const { rows } = await pool.query<{ event_id: string }>(
    `WITH RECURSIVE chain AS (
       SELECT l.event_id, l.previous_event_id, 1 AS n FROM stock_ledger l JOIN inventory_items i ON i.last_event_id = l.event_id WHERE i.user_id = $1 AND i.item_id = $2
       UNION ALL SELECT l.event_id, l.previous_event_id, n + 1 FROM chain JOIN stock_ledger l ON l.event_id = chain.previous_event_id)
     SELECT event_id FROM chain ORDER BY n DESC`,
    [userId, itemId],
  );
  return rows.map((row) => row.event_id);
}
