import type pg from 'pg';
import type { Role } from '../../src/config.ts';
import { TOPICS, partitionOf, type PurchaseCancelled, type PurchaseRequested, type PurchaseSettled } from '../../src/contract/index.ts';
import type { Clock } from '../../src/platform/clock.ts';
import { createTestDatabase, openPool, type TestDatabase } from './database.ts';
import { startFlow, type RunningFlow } from './flow.ts';
import { bytesOf, type MarketplaceEvent } from './ingest.ts';
import { stackUrls } from './stack.ts';
import { createTestTopics, readDecoded, type TestTopics } from './topic.ts';
import { until } from './wait.ts';

export interface StoredSaga {
  state: string;
  reason: string | null;
  version: number;
  sold: boolean;
  cancelled: boolean;
}

/** Topics, database and roles of one test file about sales. */
export interface SaleWorld {
  readonly topics: TestTopics;
  readonly database: TestDatabase;
  /** For looking and meddling. */
  readonly pool: pg.Pool;
  /** What a process of this world is configured with. */
  readonly environment: Readonly<Record<string, string>>;
  start(roles: readonly Role[], env?: Readonly<Record<string, string>>, clock?: Clock): Promise<RunningFlow>;
  /** Publishes events in this order; those of one user stay in it. */
  send(...events: readonly MarketplaceEvent[]): Promise<void>;
  saga(of: Pick<PurchaseRequested, 'user_id' | 'purchase_id'>): Promise<StoredSaga | undefined>;
  /** Resolves once each of these purchases is in one of these states. */
  reached(states: readonly string[], ...purchases: readonly Pick<PurchaseRequested, 'user_id' | 'purchase_id'>[]): Promise<void>;
  /** Facts of a saga, in order. */
  facts(of: Pick<PurchaseRequested | PurchaseCancelled, 'user_id' | 'purchase_id'>): Promise<string[]>;
  /** What the topic of outcomes says, once the outbox is empty: by purchase, in order, copies left out. */
  outcomes(): Promise<Map<string, PurchaseSettled[]>>;
  /** Resolves once everything enqueued is published. */
  published(): Promise<void>;
  /** Both groups stand at the beginning again; nobody may be at work. */
  rewind(): Promise<void>;
  /** Resolves once both groups have read all there is. */
  caughtUp(): Promise<void>;
  rows<T extends pg.QueryResultRow>(sql: string, ...values: unknown[]): Promise<T[]>;
  close(): Promise<void>;
}

export async function createSaleWorld(options: { database?: TestDatabase } = {}): Promise<SaleWorld> {
  const database = options.database ?? (await createTestDatabase());
  const topics = await createTestTopics();
  const pool = openPool(database, 4);
  const running = new Set<RunningFlow>();
  const groups = [[topics.groupId, topics.events], [topics.sagaGroupId, topics.sagaEvents]] as const;
  const rows = async <T extends pg.QueryResultRow>(sql: string, ...values: unknown[]): Promise<T[]> => (await pool.query<T>(sql, values)).rows;

  const world: SaleWorld = {
    topics,
    database,
    pool,
    environment: environmentOf(topics, database.url),
    rows,
    async start(roles, env = {}, clock) {
      const started = await startFlow({ ...world.environment, ...env }, roles, clock === undefined ? {} : { clock });
      const listed: RunningFlow = {
        ...started,
        async stop() {
          running.delete(listed);
          await started.stop();
        },
      };
      running.add(listed);
      return listed;
    },
    async send(...events) {
      await topics.producer.sendBatch(events.map((event) => ({ topic: topics.events, key: event.user_id, value: bytesOf(topics.encoder, event), partition: partitionOf(event.user_id, TOPICS.marketplaceEvents.partitions) })));
    },
    async saga({ user_id, purchase_id }) {
      const [saga] = await rows<StoredSaga>('SELECT state, reason, version, sold, cancelled FROM purchase_sagas WHERE user_id = $1 AND purchase_id = $2', user_id, purchase_id);
      return saga;
    },
    async reached(states, ...purchases) {
      const ids = purchases.map(({ purchase_id }) => purchase_id);
      const left = (): Promise<{ purchase_id: string; state: string | null }[]> =>
        rows('SELECT p.purchase_id, s.state FROM unnest($1::uuid[]) AS p (purchase_id) LEFT JOIN purchase_sagas AS s ON s.purchase_id = p.purchase_id WHERE s.state IS NULL OR s.state <> ALL ($2::text[])', ids, states);
      let still: unknown = ids;
      await until(
        `${purchases.length} sagas that are ${states.join(' or ')}`,
        async () => {
          for (const { fatal } of running) if (fatal[0] !== undefined) throw fatal[0];
          const rest = await left();
          still = rest.slice(0, 5);
          return rest.length === 0;
        },
        { state: () => JSON.stringify(still), timeoutMs: 60_000 },
      );
    },
    facts: async ({ user_id, purchase_id }) => (await rows<{ fact: string }>('SELECT fact FROM purchase_history WHERE user_id = $1 AND purchase_id = $2 ORDER BY version', user_id, purchase_id)).map(({ fact }) => fact),
    async published() {
      await until('an empty outbox', async () => (await rows('SELECT FROM outbox LIMIT 1')).length === 0);
    },
    async outcomes() {
      await world.published();
      const found = new Map<string, PurchaseSettled[]>();
      const seen = new Set<string>();
      for (const { event: settled } of await readDecoded<PurchaseSettled>(topics, topics.outcomes)) {
        if (seen.has(settled.event_id)) continue;
        seen.add(settled.event_id);
        found.set(settled.purchase_id, [...(found.get(settled.purchase_id) ?? []), settled]);
      }
      return found;
    },
    async rewind() {
      for (const [groupId, topic] of groups) {
        await until('an empty group', async () => (await topics.admin.describeGroups([groupId])).groups.every(({ members }) => members.length === 0));
        await topics.admin.setOffsets({ groupId, topic, partitions: Array.from({ length: TOPICS.marketplaceEvents.partitions }, (_, partition) => ({ partition, offset: '0' })) });
      }
    },
    async caughtUp() {
      for (const [groupId, topic] of groups) {
        const ends = new Map((await topics.admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, high]));
        await until(`all of ${topic} read`, async () => {
          const [offsets] = await topics.admin.fetchOffsets({ groupId, topics: [topic] });
          // Others may publish meanwhile, and be read too.
          return offsets?.partitions.every(({ partition, offset }) => Number(offset) >= Number(ends.get(partition)) || ends.get(partition) === '0') === true;
        });
      }
    },
    async close() {
      await Promise.all([...running].map((flow) => flow.stop()));
      await pool.end();
      await topics.remove();
      await database.drop();
    },
  };
  return world;
}

function environmentOf(topics: TestTopics, databaseUrl: string): Record<string, string> {
  return {
    BRX_KAFKA_BROKERS: stackUrls().kafkaBrokers,
    BRX_SCHEMA_REGISTRY_URL: stackUrls().registryUrl,
    BRX_DATABASE_URL: databaseUrl,
    BRX_TOPIC_PREFIX: topics.prefix,
    BRX_INGEST_GROUP_ID: topics.groupId,
    BRX_SAGA_GROUP_ID: topics.sagaGroupId,
    BRX_INGEST_SESSION_TIMEOUT_MS: '10000',
    BRX_HTTP_PORT: '0',
  };
}

export interface StockRow {
  on_hand: number;
  held: number;
  flags: number;
}

export async function stockOf(world: Pick<SaleWorld, 'rows'>, userId: string, itemId: string): Promise<StockRow | undefined> {
  const [row] = await world.rows<StockRow>('SELECT on_hand, held, flags FROM inventory_items WHERE user_id = $1 AND item_id = $2', userId, itemId);
  return row;
}
