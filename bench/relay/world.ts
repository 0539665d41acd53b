import { randomUUID } from 'node:crypto';
import type { Admin, Kafka } from 'kafkajs';
import pg from 'pg';
import { migrate } from '../../src/operations/migrate/index.ts';
import { createKafka } from '../../src/platform/kafka/index.ts';
import { createLogger, silentLogger } from '../../src/platform/log.ts';
import { resolveStack, type StackUrls } from '../../stack/index.ts';
import { createTopics } from '../topics.ts';
import { readRecords } from '../ingest/read.ts';
import { PARTITIONS, type Contestant } from './contestants.ts';

export interface Stage {
  readonly topic: string;
  readonly databaseUrl: string;
  readonly users: readonly string[];
  readonly client: pg.Client;
  readonly environment: Record<string, string>;
  /** Records on the topic now. */
  published(): Promise<number>;
  /** Resolves once there are so many; throws after `timeoutMs`. */
  reached(records: number, timeoutMs: number): Promise<void>;
  /** When each row came to the log first, by what it says ("user:number"), and how many records are copies; throws if a user's are not in order, or not so many. */
  arrivals(expected: number): Promise<{ at: Map<string, number>; copies: number }>;
  /** A session that holds a snapshot until the stage is closed. */
  holdSnapshot(): Promise<void>;
  close(): Promise<void>;
}

export interface World {
  readonly server: pg.Client;
  stage(contestant: Contestant): Promise<Stage>;
  close(): Promise<void>;
}

/** A database and a topic for each run. The broker stamps records as they are appended, so that every contestant has the same clock. */
export async function createWorld(users: number, say: (line: string) => void): Promise<World> {
  const stack: StackUrls = await resolveStack({ report: say });
  const run = `bench_relay_${Date.now().toString(36)}`;
  const kafka: Kafka = createKafka({ brokers: stack.kafkaBrokers.split(','), clientId: 'bench', ssl: false, sasl: undefined, topicPrefix: '' }, createLogger({ level: 'error', format: 'auto' }));
  const admin: Admin = kafka.admin();
  await admin.connect();
  const server = await connect(stack.databaseUrl);
  const ids = Array.from({ length: users }, () => randomUUID() as string);
  let stages = 0;

  return {
    server,
    async stage(contestant) {
      const name = `${run}_${(stages += 1)}`;
      const topic = name.replaceAll('_', '-');
      await createTopics(admin, [topic], PARTITIONS, [{ name: 'message.timestamp.type', value: 'LogAppendTime' }]);
      await server.query(`CREATE DATABASE ${name}`);
      const databaseUrl = urlOf(stack.databaseUrl, name);
      await migrate(databaseUrl, { logger: silentLogger });
      const client = await connect(databaseUrl);
      await contestant.setUp(client, ids);
      const holders: pg.Client[] = [];
      const published = async (): Promise<number> => (await admin.fetchTopicOffsets(topic)).reduce((sum, { high }) => sum + Number(high), 0);
      return {
        topic,
        databaseUrl,
        users: ids,
        client,
        environment: { BRX_KAFKA_BROKERS: stack.kafkaBrokers, BRX_SCHEMA_REGISTRY_URL: stack.registryUrl, BRX_DATABASE_URL: databaseUrl, BRX_LOG_LEVEL: 'warn', BRX_ENV_FILE: 'none' },
        published,
        async reached(records, timeoutMs) {
          for (const deadline = performance.now() + timeoutMs; (await published()) < records; ) {
            if (performance.now() > deadline) throw new Error(`${contestant.name} published ${await published()} of ${records} rows in ${timeoutMs / 1_000} s`);
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        },
        async arrivals(expected) {
          const at = new Map<string, number>();
          const last = new Map<string, number>();
          let copies = 0;
          await readRecords(kafka, topic, ({ value, timestamp }) => {
            const [said = ''] = value?.toString().split(' ') ?? [];
            if (at.has(said)) copies += 1;
            else {
              const [user = '', number = ''] = said.split(':');
              const before = last.get(user) ?? 0;
              if (!(Number(number) > before)) throw new Error(`${contestant.name}: of user ${user} came ${number} after ${before}`);
              last.set(user, Number(number));
              at.set(said, timestamp);
            }
            return Promise.resolve();
          });
          if (at.size !== expected) throw new Error(`${contestant.name}: ${at.size} of ${expected} rows are on the topic`);
          return { at, copies };
        },
        async holdSnapshot() {
          const holder = await connect(databaseUrl);
          holders.push(holder);
          await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');
        },
        async close() {
          for (const one of [...holders, client]) await one.end();
          await server.query(`DROP DATABASE ${name} WITH (FORCE)`);
          await admin.deleteTopics({ topics: [topic] });
        },
      };
    },
    async close() {
      await admin.disconnect();
      await server.end();
    },
  };
}

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  return client;
}

function urlOf(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.toString();
}
