import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { readConfig, type Config } from '../src/config.ts';
import { TOPICS, topicName } from '../src/contract/index.ts';
import { migrate } from '../src/operations/migrate/index.ts';
import { applySchemas, checkSchemas } from '../src/operations/schemas/index.ts';
import { applyTopics } from '../src/operations/topics/index.ts';
import { COMMAND_RETRIES, createKafka, createRegistry, openTopicAdmin } from '../src/platform/kafka/index.ts';
import { silentLogger } from '../src/platform/log.ts';
import type { StackSettings, StackUrls } from '../stack/index.ts';
import { createDatabase, DATABASE_PREFIX, dropDatabase, finishedDatabases, onServer } from './demo.sql.ts';
import { MARKET_SETTINGS } from './market.ts';

/** What belongs to one run alone: a database, a topic prefix, a consumer group, and a folder for logs. */
export interface Run {
  readonly id: string;
  readonly folder: string;
  readonly database: string;
  readonly topic: string;
  readonly config: Config;
  /** For worker processes: everything of ours, nothing of BRX_* from outside that could get in between. */
  readonly environment: Readonly<Record<string, string>>;
  /** `brx-sync ...` as one types it to look at this run. */
  readonly command: (of: string) => string;
}

/** The shortest that brokers allow by default: how long a killed worker's partitions wait for a new owner. */
export const SESSION_TIMEOUT_MS = 6_000;
/** What it takes to reach services of the environment; the local stack needs none of it. */
const ACCESS = /^BRX_(KAFKA_(SSL|SASL_\w+)|SCHEMA_REGISTRY_(USERNAME|PASSWORD)(_FILE)?)$/;

/** `marketplaceUrl`: of the run's CardTrader. */
export function planRun(settings: StackSettings, urls: StackUrls, marketplaceUrl: string): Run {
  const id = randomBytes(3).toString('hex');
  const database = `${DATABASE_PREFIX}${id}`;
  const databaseUrl = new URL(urls.databaseUrl);
  databaseUrl.pathname = `/${database}`;
  const own = {
    ...pick(settings.environment, (name) => urls.source === 'environment' && ACCESS.test(name)),
    BRX_KAFKA_BROKERS: urls.kafkaBrokers,
    BRX_SCHEMA_REGISTRY_URL: urls.registryUrl,
    BRX_DATABASE_URL: databaseUrl.toString(),
    BRX_TOPIC_PREFIX: prefixOf(id),
    BRX_INGEST_GROUP_ID: groupOf(id),
    BRX_SAGA_GROUP_ID: sagaGroupOf(id),
    BRX_INGEST_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS),
    BRX_REDIS_URL: urls.redisUrl,
    BRX_SECRET_KEYS: `demo:${randomBytes(32).toString('base64')}`,
    BRX_MARKETPLACE_URL: marketplaceUrl,
    ...MARKET_SETTINGS,
  };
  const config = readConfig(own);
  const folder = join(settings.home, 'demo', id);
  const file = join(folder, 'env');
  mkdirSync(folder, { recursive: true });
  // Quoted so that a shell takes it, too.
  writeFileSync(file, Object.entries(own).map(([name, value]) => `${name}='${value}'\n`).join(''), { mode: 0o600 });
  const shown = relative(process.cwd(), file);
  return {
    id,
    folder,
    database,
    config,
    topic: topicName(config.kafka.topicPrefix, TOPICS.marketplaceEvents),
    environment: { ...pick(settings.environment, (name) => !name.startsWith('BRX_')), ...own, BRX_ENV_FILE: 'none', BRX_LOG_FORMAT: 'json' },
    // Variables of the shell win over those of a file; whoever has some exported needs them replaced.
    command: (of) => (urls.source === 'environment' ? `(set -a; . ./${shown}; npx brx-sync ${of})` : `BRX_ENV_FILE=${shown} npx brx-sync ${of}`),
  };
}

const prefixOf = (id: string): string => `demo-${id}.`;
const groupOf = (id: string): string => `brx-demo-${id}`;
const sagaGroupOf = (id: string): string => `${groupOf(id)}-saga`;

/** Database, migrations, topics and schemas of the run. */
export async function prepareRun(run: Run, urls: StackUrls, keep: boolean): Promise<void> {
  const { config } = run;
  const topics = async (): Promise<void> => {
    const admin = await openTopicAdmin(createKafka(config.kafka, silentLogger, { retries: COMMAND_RETRIES }));
    try {
      await applyTopics(admin, { prefix: config.kafka.topicPrefix, dryRun: false });
    } finally {
      await admin.close();
    }
  };
  const database = async (): Promise<void> => {
    await onServer(urls.databaseUrl, (client) => createDatabase(client, run.database, keep));
    await migrate(config.postgres.url, { logger: silentLogger });
  };
  const schemas = async (): Promise<void> => {
    await applySchemas(createRegistry(config.registry), await checkSchemas(), { dryRun: false });
  };
  await Promise.all([database(), topics(), schemas()]);
}

/** Removes database, topics, group and folder of demos that are over and not to be kept; their ids. */
export async function removeFinishedRuns(run: Run, urls: StackUrls): Promise<string[]> {
  const finished = await onServer(urls.databaseUrl, async (client) => {
    const names = await finishedDatabases(client);
    for (const name of names) await dropDatabase(client, name);
    return names;
  });
  const ids = finished.map((name) => name.slice(DATABASE_PREFIX.length));
  for (const id of ids) rmSync(join(dirname(run.folder), id), { recursive: true, force: true });
  if (ids.length === 0) return ids;
  const admin = createKafka(run.config.kafka, silentLogger, { retries: COMMAND_RETRIES }).admin();
  await admin.connect();
  try {
    const topics = (await admin.listTopics()).filter((topic) => ids.some((id) => topic.startsWith(prefixOf(id))));
    if (topics.length > 0) await admin.deleteTopics({ topics });
    const { groups } = await admin.listGroups();
    const left = groups.map(({ groupId }) => groupId).filter((groupId) => ids.some((id) => groupId === groupOf(id) || groupId === sagaGroupOf(id)));
    // A worker that outlived its demo keeps its group alive; it stops for want of its database.
    if (left.length > 0) await admin.deleteGroups(left).catch(() => undefined);
  } finally {
    await admin.disconnect();
  }
  return ids;
}

function pick(environment: StackSettings['environment'], wanted: (name: string) => boolean): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined && wanted(entry[0])));
}
