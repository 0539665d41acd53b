import { createHash, randomUUID } from 'node:crypto';
import pg from 'pg';
import { readConfig } from '../../src/config.ts';
import { deadLetterTopic, RECORD_NAMES, TOPICS, topicName, type InventoryChanged, type PurchaseRequested, type PurchaseSettled } from '../../src/contract/index.ts';
import { addSeller, linkListings, openAccess } from '../../src/marketplace/index.ts';
import { migrate } from '../../src/operations/migrate/index.ts';
import { applySchemas, checkSchemas } from '../../src/operations/schemas/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createCodec, createEncoder, createKafka, createProducer, createRegistry, type OutgoingMessage } from '../../src/platform/kafka/index.ts';
import { createLogger, silentLogger } from '../../src/platform/log.ts';
import { createPostgres } from '../../src/platform/postgres/index.ts';
import { Together } from '../../src/platform/together.ts';
import { createTopics } from '../topics.ts';
import { startChild, type Child } from '../ingest/child.ts';
import { equal, Oracle, type Contestant, type Stages } from './contestants.ts';
import { runLoad } from './load.ts';
import type { World } from './world.ts';

/** At once while sellers are set up. */
const HANDS = 16;
const PATIENCE_MS = 60_000;

/**
 * As shipped: `brx-sync start` with all that a sale passes through, fed and read as its users do: PurchaseRequested to Kafka,
 * PurchaseSettled from Kafka. Each sale makes three requests to CardTrader: it reads the product, writes it, and looks at the orders.
 */
export async function brxSync(world: World, more: Record<string, string>, profile: string | undefined): Promise<Contestant> {
  const { stack, sizes, server } = world;
  const prefix = `bench-saga-${Date.now().toString(36)}.`;
  const databaseUrl = await world.createDatabase('brx_sync');
  await migrate(databaseUrl, { logger: silentLogger });
  const environment: Record<string, string> = {
    BRX_KAFKA_BROKERS: stack.kafkaBrokers,
    BRX_SCHEMA_REGISTRY_URL: stack.registryUrl,
    BRX_DATABASE_URL: databaseUrl,
    BRX_REDIS_URL: stack.redisUrl,
    BRX_MARKETPLACE_URL: world.apiUrl,
    BRX_SECRET_KEYS: `bench:${createHash('sha256').update('bench').digest('base64')}`,
    BRX_TOPIC_PREFIX: prefix,
    BRX_RECONCILE_WINDOW: 'off',
    BRX_LOG_LEVEL: 'warn',
    BRX_ENV_FILE: 'none',
    ...more,
  };
  const config = readConfig(environment);
  const kafka = createKafka(config.kafka, createLogger({ level: 'error', format: 'auto' }));
  const registry = createRegistry(config.registry);
  await applySchemas(registry, await checkSchemas(), { dryRun: false });
  const admin = kafka.admin();
  await admin.connect();
  const [events, outcomes] = [TOPICS.marketplaceEvents, TOPICS.purchaseOutcomes].map((topic) => topicName(prefix, topic)) as [string, string];
  const topics = [TOPICS.marketplaceEvents, deadLetterTopic(TOPICS.marketplaceEvents), TOPICS.sagaEvents, deadLetterTopic(TOPICS.sagaEvents), TOPICS.purchaseOutcomes, TOPICS.inventorySnapshots].map((topic) => topicName(prefix, topic));
  await createTopics(admin, topics, TOPICS.marketplaceEvents.partitions);
  const producer = createProducer(kafka);
  const encoder = createEncoder(registry, RECORD_NAMES);
  await encoder.prepare();
  const sends = new Together<OutgoingMessage, void>(async (messages) => {
    await producer.sendBatch(messages);
    return messages.map(() => undefined);
  });
  const start = (): Child => startChild('src/cli/main.js', ['start', '--roles', 'ingest,saga,relay,dispatcher'], environment, profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]);

  const shops = world.takeShops();
  const items = shops.flatMap(({ userId, items: own }) => own.map(({ itemId, productId, blueprintId }) => ({ userId, itemId, productId, blueprintId })));
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on('error', () => undefined); // the next query says so
  await client.connect();
  const first = start();
  for (const { userId, itemId, blueprintId } of items) {
    const event: InventoryChanged = { event_id: randomUUID(), user_id: userId, item_id: itemId, kind: 'SET', quantity: sizes.copies, price_cents: 100, currency: 'EUR', blueprint_id: blueprintId, properties: null, version: null, source: 'bench', occurred_at: Date.now() };
    void sends.do({ topic: events, key: userId, value: encoder.encode('InventoryChanged', event) });
  }
  await Promise.race([first.died, reached('the stock is here', async () => (await client.query('SELECT FROM inventory_items')).rowCount === items.length)]);
  const access = openAccess(config, { clock: systemClock, logger: silentLogger, connectionName: 'bench' });
  const postgres = createPostgres(config.postgres, { logger: silentLogger, applicationName: 'bench', keyLookupsOnly: false });
  const left = [...shops];
  const accounts = { postgres, keyring: access.keyring, client: access.client };
  await Promise.all(
    Array.from({ length: HANDS }, async () => {
      for (let shop = left.pop(); shop !== undefined; shop = left.pop()) {
        await addSeller(accounts, shop.userId, shop.token, { otherAccount: false, who: 'bench', reason: 'bench' });
        await linkListings({ postgres, clock: systemClock, client: access.client }, { userId: shop.userId, token: shop.token }, { who: 'bench', force: false });
      }
    }),
  );
  await access.close();
  await postgres.close();
  await first.stop();
  await client.query('ANALYZE');
  await server.query('CHECKPOINT');

  const oracle = new Oracle();
  const waiting = new Map<string, () => void>();
  const told = new Map<string, string>();
  let copies = 0;
  const codec = createCodec(registry);
  const consumer = kafka.consumer({ groupId: `${prefix}asker`, maxWaitTimeInMs: 250 });
  await consumer.connect();
  await consumer.subscribe({ topics: [outcomes], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    partitionsConsumedConcurrently: TOPICS.purchaseOutcomes.partitions,
    eachBatch: async (payload) => {
      for (const { value } of payload.batch.messages) {
        if (value === null) throw new Error('an outcome without a value');
        const id = value.readInt32BE(1);
        await codec.prepare(id);
        const settled = codec.reader(id)?.read(value) as PurchaseSettled;
        if (settled.outcome !== 'CONFIRMED') throw new Error(`sale ${settled.purchase_id} became ${settled.outcome}: ${settled.reason}`);
        const before = told.get(settled.purchase_id);
        if (before === settled.event_id) copies += 1;
        else if (before !== undefined) throw new Error(`sale ${settled.purchase_id} ended twice`);
        told.set(settled.purchase_id, settled.event_id);
        waiting.get(settled.purchase_id)?.();
        waiting.delete(settled.purchase_id);
      }
      await payload.heartbeat();
    },
  });

  const sell = async (): Promise<void> => {
    const { userId, itemId } = items[Math.floor(Math.random() * items.length)] ?? { userId: '', itemId: '' };
    const sale: PurchaseRequested = { event_id: randomUUID(), purchase_id: randomUUID(), user_id: userId, buyer_id: null, lines: [{ item_id: itemId, quantity: 1, unit_price_cents: 100 }], currency: 'EUR', expires_at: null, occurred_at: Date.now() };
    const settled = new Promise<void>((resolve) => waiting.set(sale.purchase_id, resolve));
    oracle.sell(itemId);
    await sends.do({ topic: events, key: userId, value: encoder.encode('PurchaseRequested', sale) });
    await settled;
  };

  return {
    name: 'brx-sync',
    calls: 3,
    async run(load, times) {
      await server.query('CHECKPOINT');
      const child = start();
      try {
        await Promise.race([child.died, sell()]); // then it has joined its groups
        let from = new Date();
        let stop: Awaited<ReturnType<World['startCounting']>> | undefined;
        let costs: Awaited<ReturnType<NonNullable<typeof stop>>> | undefined;
        const running = runLoad(load, {
          ...times,
          sell,
          begin: async () => {
            from = new Date();
            stop = await world.startCounting(child.pid);
          },
          end: async () => void (costs = await stop?.()),
        });
        const loaded = await Promise.race([child.died, running]);
        if (costs === undefined) throw new Error('nothing was counted');
        return { ...loaded, costs, stages: await stagesSince(client, from) };
      } finally {
        await child.stop();
      }
    },
    async check() {
      const { rows: states } = await client.query<{ state: string; n: number }>('SELECT state, count(*)::int AS n FROM purchase_sagas GROUP BY state');
      equal('sagas', states, [{ state: 'CONFIRMED', n: oracle.sales }]);
      const { rows: operations } = await client.query<{ state: string; kind: string; n: number }>('SELECT state, kind, count(*)::int AS n FROM marketplace_operations GROUP BY state, kind');
      equal('operations', operations, [{ state: 'APPLIED', kind: 'TAKE', n: oracle.sales }]);
      equal('outcomes', told.size, oracle.sales);
      const { rows: stock } = await client.query<{ item_id: string; on_hand: number; held: number }>('SELECT item_id, on_hand, held FROM inventory_items');
      const { quantities, repeated, throttled } = await world.simulator();
      const there = new Map(quantities);
      const here = new Map(stock.map((row) => [row.item_id, row]));
      for (const { itemId, productId } of items) {
        const expected = sizes.copies - oracle.sold(itemId);
        equal(`item ${itemId}`, [here.get(itemId)?.on_hand, here.get(itemId)?.held, there.get(productId)], [expected, 0, expected]);
      }
      equal('operations that took effect twice, requests above the limit', [repeated, throttled], [0, 0]);
      return `${oracle.sales} sales confirmed, each once, ${copies} outcomes twice`;
    },
    async close() {
      await consumer.disconnect();
      await producer.disconnect();
      await client.end();
      await admin.deleteTopics({ topics });
      await admin.disconnect();
    },
  };
}

/** Instants are those at which a transaction was begun; `to the outcome` is from there to who asked, what is left of the whole. */
async function stagesSince(client: pg.Client, from: Date): Promise<Stages> {
  const { rows } = await client.query<Stages>(
    `WITH sales AS (
       SELECT s.started_at, l.occurred_at, (SELECT at FROM purchase_history AS h WHERE h.purchase_id = s.purchase_id AND h.user_id = s.user_id AND h.fact = 'called') AS called_at,
              (SELECT at FROM purchase_history AS h WHERE h.purchase_id = s.purchase_id AND h.user_id = s.user_id AND h.fact = 'confirmed') AS confirmed_at,
              o.sent_at, o.settled_at, (SELECT sum((e ->> 'ms')::int) FROM jsonb_array_elements(o.evidence) AS e) AS asking,
              (SELECT (e ->> 'at')::float8 - (e ->> 'ms')::int FROM jsonb_array_elements(o.evidence) AS e LIMIT 1) AS begun
         FROM purchase_sagas AS s JOIN stock_ledger AS l ON l.event_id = s.event_id AND l.user_id = s.user_id JOIN marketplace_operations AS o ON o.purchase_id = s.purchase_id AND o.user_id = s.user_id
        WHERE s.started_at >= $1),
     stages AS (
       SELECT (started_at - occurred_at) AS "request to ingest", called_at - started_at AS "to the saga", to_timestamp(begun / 1000) - called_at AS "to the dispatcher",
              sent_at - to_timestamp(begun / 1000) AS "read and intent", settled_at - sent_at AS "write, orders, result", confirmed_at - settled_at AS "to the saga again" FROM sales)
     SELECT ${['request to ingest', 'to the saga', 'to the dispatcher', 'read and intent', 'write, orders, result', 'to the saga again'].map((name) => `(percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM "${name}")) * 1000)::float8 AS "${name}"`).join(', ')} FROM stages`,
    [from],
  );
  return rows[0] ?? {};
}

async function reached(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + PATIENCE_MS; !(await holds()); ) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${PATIENCE_MS / 1_000} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
