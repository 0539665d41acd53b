import { randomBytes } from 'node:crypto';
import type { KafkaMessage } from 'kafkajs';
import type pg from 'pg';
import type { TestContext } from 'vitest';
import { enqueue, Relay, RELAY_SESSION, shardOf, type OutboxMessage, type RelayObserver } from '../../src/outbox/index.ts';
import { systemClock, type Clock } from '../../src/platform/clock.ts';
import { createKafka, createProducer, leadersLead, type Kafka, type Producer } from '../../src/platform/kafka/index.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { createPostgres, inTransaction, lockUsers, openSession, type Postgres, type Transaction } from '../../src/platform/postgres/index.ts';
import { createTestDatabase, openPool } from './database.ts';
import { databaseConfig } from './database-config.ts';
import { randomUuid } from './events.ts';
import { stackUrls } from './stack.ts';
import { readAll } from './topic.ts';
import { until } from './wait.ts';

/** What a relay under test told its observer. */
export interface RelaySignals {
  published: number;
  readonly blocked: { topic: string; userId: string | null; error: string }[];
  owns: readonly number[];
  readonly waiting: string[];
  readonly below: string[];
  readonly fatal: Error[];
}

export interface RunningRelay extends RelaySignals {
  wake(): void;
  stop(): Promise<void>;
}

export interface RelayOptions {
  /** Shown in pg_stat_activity, by which a test ends its session. */
  name?: string;
  producer?: Producer;
  clock?: Clock;
  session?: Partial<typeof RELAY_SESSION>;
}

/** How a message of a test may differ from the next one of its user on the first topic. */
export interface Given extends Partial<Pick<OutboxMessage, 'topic' | 'availableAt' | 'partition' | 'headers'>> {
  /** Bytes of the value beside its number. */
  bytes?: number;
}

/** A database, a few topics, and relays on them; all of it goes when the test is over. */
export interface OutboxWorld {
  readonly databaseUrl: string;
  readonly kafka: Kafka;
  readonly admin: ReturnType<Kafka['admin']>;
  /** For looking and meddling. */
  readonly pool: pg.Pool;
  readonly postgres: Postgres;
  /** Full name of a topic of this test. */
  topic(name: string): string;
  /**
   * One message for each of `users`, in this order, in a transaction that holds their lanes, and then `meanwhile` in it. Each says
   * which of its user's it is. What rolls back was never promised.
   */
  write(users: readonly string[], given?: Given, meanwhile?: (tx: Transaction) => Promise<unknown>): Promise<void>;
  /** `rows` small messages of `users` users on the first topic, at once. */
  backlog(rows: number, users: number): Promise<void>;
  startRelay(options?: RelayOptions): Promise<RunningRelay>;
  rows(): Promise<number>;
  /** Resolves when the outbox is empty, or holds no more than `left` rows; throws at once when a relay wanted to end the process. */
  drained(left?: number, timeoutMs?: number): Promise<void>;
  /**
   * Everything committed so far is on its topic, each user's in the order of the lane, counting first occurrences. `missing`: what
   * is not expected to be there. Answers how many records are copies.
   */
  checkTopics(missing?: (userId: string, number: number) => boolean): Promise<number>;
}

export async function createOutboxWorld({ onTestFinished }: TestContext, options: { serverUrl?: string; brokers?: string; topics?: Readonly<Record<string, Readonly<Record<string, string>>>> } = {}): Promise<OutboxWorld> {
  const closing: (() => Promise<unknown>)[] = [];
  onTestFinished(async () => {
    for (const close of closing.reverse()) await close();
  });
  const prefix = `test-${randomBytes(6).toString('hex')}.`;
  const kafka = createKafka({ brokers: (options.brokers ?? stackUrls().kafkaBrokers).split(','), clientId: 'test', ssl: false, sasl: undefined, topicPrefix: prefix }, silentLogger, { retries: 2 });
  const admin = kafka.admin();
  const topics = Object.entries(options.topics ?? { one: {} });
  await admin.connect();
  closing.push(() => admin.disconnect().catch(() => undefined)); // its broker may be gone by now
  const names = topics.map(([name]) => `${prefix}${name}`);
  await admin.createTopics({ topics: topics.map(([name, config]) => ({ topic: `${prefix}${name}`, numPartitions: 12, replicationFactor: 1, configEntries: Object.entries(config).map(([key, value]) => ({ name: key, value })) })), waitForLeaders: false });
  closing.push(() => admin.deleteTopics({ topics: names }).catch(() => undefined));
  await leadersLead(admin, names);

  const database = await createTestDatabase(options.serverUrl);
  if (options.serverUrl === undefined) closing.push(() => database.drop());
  const pool = openPool(database, 4);
  closing.push(() => pool.end());
  const postgres = createPostgres(databaseConfig(database.url, { poolMax: 24 }), { logger: silentLogger, applicationName: 'writer under test', keyLookupsOnly: true });
  closing.push(() => postgres.close());

  /** What was committed, by user and topic: numbers in the order of the lane. */
  const promised = new Map<string, Map<string, number[]>>();
  const drawn = new Map<string, number>();
  const relays: RunningRelay[] = [];
  closing.push(() => Promise.all(relays.map((relay) => relay.stop())));

  const world: OutboxWorld = {
    databaseUrl: database.url,
    kafka,
    admin,
    pool,
    postgres,
    topic: (name) => `${prefix}${name}`,
    async write(users, { topic = names[0] ?? '', bytes = 0, ...given } = {}, meanwhile = () => Promise.resolve()) {
      const numbered = await inTransaction(postgres, async (tx) => {
        await lockUsers(tx, users);
        const messages = users.map((userId) => {
          const number = (drawn.get(userId) ?? 0) + 1;
          drawn.set(userId, number); // under the lane: what rolls back leaves a hole
          return { userId, number };
        });
        await enqueue(
          tx,
          messages.map(({ userId, number }) => ({ topic, shard: shardOf(userId), userId, eventId: randomUuid(), key: Buffer.from(userId), value: Buffer.concat([Buffer.from(`${number} `), randomBytes(bytes)]), ...given })),
        );
        await meanwhile(tx);
        return messages;
      });
      for (const { userId, number } of numbered) {
        const byTopic = promised.get(topic) ?? new Map<string, number[]>();
        promised.set(topic, byTopic.set(userId, [...(byTopic.get(userId) ?? []), number].sort((a, b) => a - b)));
      }
    },
    async backlog(count, users) {
      const ids = Array.from({ length: users }, randomUuid);
      await pool.query(
        `INSERT INTO outbox (topic, shard, user_id, event_id, record_key, record_value)
         SELECT $1, u.shard, u.id, gen_random_uuid(), convert_to(u.id::text, 'UTF8'), convert_to(n.number || ' ', 'UTF8')
           FROM generate_series(1, $2::int / $3::int) AS n (number) CROSS JOIN unnest($4::uuid[], $5::int[]) AS u (id, shard) ORDER BY n.number`,
        [names[0], count, users, ids, ids.map(shardOf)],
      );
      const numbers = Array.from({ length: Math.floor(count / users) }, (_, index) => index + 1);
      promised.set(names[0] ?? '', new Map([...(promised.get(names[0] ?? '') ?? []), ...ids.map((id) => [id, numbers] as const)]));
    },
    async startRelay({ name = 'relay under test', clock = systemClock, producer = createProducer(createKafka({ brokers: (options.brokers ?? stackUrls().kafkaBrokers).split(','), clientId: 'relay under test', ssl: false, sasl: undefined, topicPrefix: '' }, silentLogger, { retries: 4 })), session } = {}) {
      const signals: RelaySignals = { published: 0, blocked: [], owns: [], waiting: [], below: [], fatal: [] };
      const observer: RelayObserver = {
        published: (_topic, rows) => (signals.published += rows),
        blocked: (topic, userId, error) => signals.blocked.push({ topic, userId, error }),
        owns: (shards) => (signals.owns = shards),
        waiting: (error) => signals.waiting.push(error),
        belowFloor: (shard, id) => signals.below.push(`${shard}/${id}`),
      };
      const relay = new Relay({
        openSession: () => openSession(databaseConfig(database.url), { ...RELAY_SESSION, ...session, logger: silentLogger, applicationName: name }),
        producer,
        clock,
        observer,
        onFatal: (error) => signals.fatal.push(error),
      });
      const running = Object.assign(signals, { wake: () => relay.wake(), stop: () => relay.stop() });
      relays.push(running);
      await relay.start();
      return running;
    },
    async rows() {
      const { rows } = await pool.query<{ n: number }>('SELECT count(*)::int AS n FROM outbox');
      return rows[0]?.n ?? 0;
    },
    async drained(left = 0, timeoutMs = 30_000) {
      let now = 0;
      await until(
        'an empty outbox',
        async () => {
          for (const { fatal, below } of relays) {
            if (fatal[0] !== undefined) throw fatal[0];
            if (below.length > 0) throw new Error(`rows below the floor: ${below.join(', ')}`);
          }
          now = await world.rows();
          return now <= left;
        },
        { timeoutMs, state: () => `${now} rows left; ${relays.flatMap(({ waiting }) => waiting.slice(-1)).join(', ')}` },
      );
    },
    async checkTopics(missing = () => false) {
      let copies = 0;
      for (const [topic, users] of promised) {
        const { firsts, records } = firstOccurrences(await readAll(kafka, admin, topic, `${prefix}reader-${randomBytes(4).toString('hex')}`));
        for (const [userId, numbers] of users) {
          const expected = numbers.filter((number) => !missing(userId, number)).join();
          const found = (firsts.get(userId) ?? []).join();
          if (found !== expected) throw new Error(`${topic} has for ${userId}: ${found}\ncommitted were: ${expected}`);
        }
        for (const userId of firsts.keys()) if (!users.has(userId)) throw new Error(`${topic} holds records of ${userId}, who has none`);
        copies += records - [...firsts.values()].reduce((sum, numbers) => sum + numbers.length, 0);
      }
      return copies;
    },
  };
  return world;
}

/** What each user's records say, in the order in which they came first. */
function firstOccurrences(records: readonly KafkaMessage[]): { firsts: Map<string, number[]>; records: number } {
  const firsts = new Map<string, number[]>();
  for (const { key, value } of records) {
    const userId = String(key);
    const number = Number.parseInt(value?.subarray(0, 12).toString('latin1') ?? '', 10);
    const seen = firsts.get(userId);
    if (seen === undefined) firsts.set(userId, [number]);
    else if (!seen.includes(number)) seen.push(number);
  }
  return { firsts, records: records.length };
}
