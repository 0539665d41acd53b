import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { BrxError } from './errors.ts';
import { FAULT_POINTS, type Fault } from './platform/fault-points.ts';
import { parseSecretKeys } from './platform/secrets/index.ts';
import { parseOtlpEndpoint, parseOtlpHeaders, type Parsed } from './platform/tracing/index.ts';

/**
 * The environment, read once, as one frozen object with a section a feature. The only file that touches `process.env`.
 * Every problem is reported at once, each with the variable, what is wrong and an example; values of secrets never are.
 */

interface Variable {
  section: 'kafka' | 'registry' | 'postgres' | 'replicas' | 'redis' | 'mysql' | 'catalogue' | 'secrets' | 'ingest' | 'purchase' | 'saga' | 'outbox' | 'marketplace' | 'dispatcher' | 'orders' | 'bulkSync' | 'limiter' | 'http' | 'log' | 'tracing' | 'process';
  schema: z.ZodType;
  example: string;
  description: string;
  /** Never printed; may also be given as a file, `<NAME>_FILE`. */
  secret?: true;
}

const integer = (min: number, max: number, fallback: number) => z.coerce.number().int().min(min).max(max).default(fallback);
const flag = z.enum(['true', 'false']).default('false').transform((value) => value === 'true');
const url = (protocols: readonly string[]) =>
  z.string().refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), { error: `must be a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}` });
const hostPorts = z
  .string()
  .transform((value) => value.split(',').map((part) => part.trim()).filter((part) => part !== ''))
  .refine((brokers) => brokers.length > 0 && brokers.every((broker) => /^[^\s:/]+:\d{1,5}$/.test(broker)), { error: 'must be host:port, several separated by commas' });
const urls = (protocols: readonly string[]) =>
  z
    .string()
    .default('')
    .transform((value) => value.split(',').map((part) => part.trim()).filter((part) => part !== ''))
    .refine((all) => all.every((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol)), { error: `must be URLs that start with ${protocols.map((p) => `${p}//`).join(' or ')}, separated by commas (a comma in a password is %2C)` });
const nightWindow = z
  .string()
  .default('01:00-05:00')
  .transform((value, context) => {
    if (value === 'off') return undefined;
    const [, fromHour, fromMinute, toHour, toMinute] = (/^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(value) ?? []).map(Number);
    if (fromHour !== undefined && fromMinute !== undefined && toHour !== undefined && toMinute !== undefined) return { fromMinute: fromHour * 60 + fromMinute, toMinute: toHour * 60 + toMinute };
    context.addIssue({ code: 'custom', message: 'must be two times of day such as 01:00-05:00, or off' });
    return z.NEVER;
  });
const secretKeys = z.string().transform((value, context) => {
  const result = parseSecretKeys(value);
  if (result.ok) return result.keys;
  context.addIssue({ code: 'custom', message: result.problem });
  return z.NEVER;
});

/** A text that another file knows how to read. */
const parsed = <T>(parse: (text: string) => Parsed<T>) =>
  z.string().transform((text, context) => {
    const result = parse(text);
    if (result.ok) return result.value;
    context.addIssue({ code: 'custom', message: result.problem });
    return z.NEVER;
  });

const ROLES = ['ingest', 'saga', 'relay', 'dispatcher', 'http'] as const;
export type Role = (typeof ROLES)[number];

const FAULT_ACTIONS = ['kill', 'stop', 'throw'] as const;
const fault = z.string().transform((value, context): Fault => {
  const [point, action, passage = '1'] = value.split(':');
  const knownPoint = FAULT_POINTS.find((name) => name === point);
  const knownAction = FAULT_ACTIONS.find((name) => name === action);
  if (knownPoint === undefined || knownAction === undefined || !/^[1-9]\d*$/.test(passage)) {
    context.addIssue({ code: 'custom', message: `must be point:action[:n] with action ${FAULT_ACTIONS.join(', ')} and point one of ${FAULT_POINTS.join(', ')}` });
    return z.NEVER;
  }
  return { point: knownPoint, action: knownAction, passage: Number(passage) };
});

/** Every variable there is. The README's table and `.env.example` are checked against this list. */
export const VARIABLES = {
  BRX_KAFKA_BROKERS: { section: 'kafka', schema: hostPorts, example: '127.0.0.1:19092', description: 'seed brokers, host:port, several separated by commas' },
  BRX_KAFKA_CLIENT_ID: { section: 'kafka', schema: z.string().min(1).default('brx-sync'), example: 'brx-sync', description: 'client id shown by Kafka tools' },
  BRX_KAFKA_SSL: { section: 'kafka', schema: flag, example: 'true', description: 'TLS to the brokers' },
  BRX_KAFKA_SASL_MECHANISM: { section: 'kafka', schema: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(), example: 'scram-sha-512', description: 'SASL mechanism; needs the user name and password too' },
  BRX_KAFKA_SASL_USERNAME: { section: 'kafka', schema: z.string().min(1).optional(), example: 'brx-sync', description: 'SASL user name' },
  BRX_KAFKA_SASL_PASSWORD: { section: 'kafka', schema: z.string().min(1).optional(), example: '(a secret)', description: 'SASL password', secret: true },
  BRX_TOPIC_PREFIX: { section: 'kafka', schema: z.string().regex(/^[a-zA-Z0-9._-]{0,60}$/, { error: 'may hold letters, digits, dot, underscore and dash only' }).default(''), example: 'staging.', description: 'put before every topic name, for several environments on one cluster' },
  BRX_SCHEMA_REGISTRY_URL: { section: 'registry', schema: url(['http:', 'https:']), example: 'http://127.0.0.1:18081/apis/ccompat/v7', description: 'base URL of a registry that speaks Confluent’s API' },
  BRX_SCHEMA_REGISTRY_USERNAME: { section: 'registry', schema: z.string().min(1).optional(), example: 'brx-sync', description: 'basic auth user name' },
  BRX_SCHEMA_REGISTRY_PASSWORD: { section: 'registry', schema: z.string().min(1).optional(), example: '(a secret)', description: 'basic auth password', secret: true },
  BRX_DATABASE_URL: { section: 'postgres', schema: url(['postgres:', 'postgresql:']), example: 'postgresql://brx@127.0.0.1:15432/brx', description: 'PostgreSQL primary', secret: true },
  BRX_DATABASE_POOL_MAX: { section: 'postgres', schema: integer(2, 100, 12), example: '12', description: 'most connections of this process, those for inventory queries not counted (BRX_DATABASE_READ_POOL_MAX)' },
  BRX_DATABASE_ACQUIRE_TIMEOUT_MS: { section: 'postgres', schema: integer(100, 60_000, 3_000), example: '3000', description: 'longest wait for a pooled connection, connecting included' },
  BRX_DATABASE_TRANSACTION_TIMEOUT_MS: { section: 'postgres', schema: integer(1_000, 600_000, 30_000), example: '30000', description: 'longest life of a transaction' },
  BRX_DATABASE_MAX_WAIT_MS: { section: 'postgres', schema: integer(100, 60_000, 5_000), example: '5000', description: 'longest wait of a transaction for its connection' },
  BRX_DATABASE_STATEMENT_TIMEOUT_MS: { section: 'postgres', schema: integer(500, 600_000, 20_000), example: '20000', description: 'longest statement; below the transaction timeout, which cannot cancel one' },
  BRX_DATABASE_LOCK_TIMEOUT_MS: { section: 'postgres', schema: integer(100, 600_000, 5_000), example: '5000', description: 'longest wait for a lock (a lane held by a stalled instance)' },
  BRX_DATABASE_IDLE_TRANSACTION_TIMEOUT_MS: { section: 'postgres', schema: integer(1_000, 600_000, 15_000), example: '15000', description: 'the server ends a transaction that says nothing for so long (a frozen instance)' },
  BRX_DATABASE_REPLICA_URLS: { section: 'replicas', schema: urls(['postgres:', 'postgresql:']), example: 'postgresql://brx@replica-1:5432/brx,postgresql://brx@replica-2:5432/brx', description: 'its streaming replicas, several separated by commas; inventory queries go to them in turn, and to the primary when none is near enough', secret: true },
  BRX_DATABASE_READ_POOL_MAX: { section: 'replicas', schema: integer(1, 50, 3), example: '3', description: 'most connections of this process for inventory queries: so many to each replica, and with the role http so many more to the primary' },
  BRX_DATABASE_REPLICA_MAX_LAG_MS: { section: 'replicas', schema: integer(10, 600_000, 1_000), example: '1000', description: 'how far a replica may be behind to answer an inventory query' },
  BRX_DATABASE_REPLICA_WAIT_MS: { section: 'replicas', schema: integer(0, 10_000, 250), example: '250', description: 'how long is waited for a replica that is further behind, before the primary is asked' },
  BRX_REDIS_URL: { section: 'redis', schema: url(['redis:', 'rediss:']).optional(), example: 'redis://127.0.0.1:16379', description: 'Redis, which counts requests to CardTrader over all processes; without it each process counts alone', secret: true },
  BRX_REDIS_COMMAND_TIMEOUT_MS: { section: 'redis', schema: integer(50, 60_000, 1_000), example: '1000', description: 'longest wait for an answer of Redis' },
  BRX_MYSQL_URL: { section: 'mysql', schema: url(['mysql:']).optional(), example: 'mysql://brx:brx@127.0.0.1:13306/brx', description: 'MySQL primary with the catalogue of prints (?tls=required or ?tls=verify at its end for TLS); without it no blueprint is mapped', secret: true },
  BRX_MYSQL_REPLICA_URLS: { section: 'mysql', schema: urls(['mysql:']), example: 'mysql://brx:brx@replica-1:3306/brx,mysql://brx:brx@replica-2:3306/brx', description: 'its replicas, several separated by commas; look-ups go to them in turn, and to the primary when none answers', secret: true },
  BRX_MYSQL_POOL_MAX: { section: 'mysql', schema: integer(2, 100, 10), example: '10', description: 'most connections of this process to MySQL, all servers together' },
  BRX_MYSQL_ACQUIRE_TIMEOUT_MS: { section: 'mysql', schema: integer(50, 60_000, 2_000), example: '2000', description: 'longest wait for a connection to MySQL, connecting included' },
  BRX_MYSQL_QUERY_TIMEOUT_MS: { section: 'mysql', schema: integer(50, 600_000, 5_000), example: '5000', description: 'longest look-up in MySQL' },
  BRX_CATALOGUE_MEMORY_ENTRIES: { section: 'catalogue', schema: integer(1_000, 10_000_000, 250_000), example: '250000', description: 'most blueprints this process keeps in memory, about 200 bytes each' },
  BRX_CATALOGUE_MEMORY_TTL_MS: { section: 'catalogue', schema: integer(1_000, 86_400_000, 600_000), example: '600000', description: 'a mapping in memory is asked for again after this' },
  BRX_CATALOGUE_TTL_MS: { section: 'catalogue', schema: integer(1_000, 2_592_000_000, 86_400_000), example: '86400000', description: 'a mapping in Redis is asked for again after this, a tenth more or less' },
  BRX_CATALOGUE_UNKNOWN_TTL_MS: { section: 'catalogue', schema: integer(1_000, 86_400_000, 300_000), example: '300000', description: 'the same for blueprints the catalogue does not have, or has twice: somebody may add or correct them' },
  BRX_SECRET_KEYS: { section: 'secrets', schema: secretKeys.optional(), example: '(a secret)', description: 'keys for tokens at rest, name:key, several separated by commas; the first seals, all open; a key is made by `openssl rand -base64 32`', secret: true },
  BRX_SELLER_TOKEN: { section: 'secrets', schema: z.string().min(1).optional(), example: '(a secret)', description: 'the token `brx-sync users add` takes on instead of asking for one', secret: true },
  BRX_INGEST_GROUP_ID: { section: 'ingest', schema: z.string().min(1).max(200).default('brx-sync-ingest'), example: 'brx-sync-ingest', description: 'consumer group' },
  BRX_INGEST_CHUNK_EVENTS: { section: 'ingest', schema: integer(1, 5_000, 1_000), example: '1000', description: 'most events of one transaction' },
  BRX_INGEST_CONCURRENCY: { section: 'ingest', schema: integer(1, 32, 4), example: '4', description: 'chunks worked on at once, a connection each' },
  BRX_INGEST_HORIZON_DAYS: { section: 'ingest', schema: integer(1, 3_650, 30), example: '30', description: 'deduplication horizon: older events are refused, the ledger keeps at least so long; longer than topic retention' },
  BRX_INGEST_SESSION_TIMEOUT_MS: { section: 'ingest', schema: integer(3_000, 300_000, 30_000), example: '30000', description: 'a silent member of either consumer group is expelled after this' },
  BRX_INGEST_REBALANCE_TIMEOUT_MS: { section: 'ingest', schema: integer(3_000, 600_000, 90_000), example: '90000', description: 'longest time members may take to rejoin: at least twice the transaction timeout' },
  BRX_INGEST_MAX_PARKED_USERS: { section: 'ingest', schema: integer(1, 1_000_000, 1_000), example: '1000', description: 'with more users parked than this the fault is ours: stop rather than park everyone' },
  BRX_PURCHASE_HOLD_MS: { section: 'purchase', schema: integer(1_000, 86_400_000, 900_000), example: '900000', description: 'longest a purchase may take: what is not called on CardTrader by then is given back; its own expires_at counts if it is earlier' },
  BRX_SAGA_GROUP_ID: { section: 'saga', schema: z.string().min(1).max(200).default('brx-sync-saga'), example: 'brx-sync-saga', description: 'consumer group of the sagas' },
  BRX_SAGA_CHUNK_EVENTS: { section: 'saga', schema: integer(1, 5_000, 500), example: '500', description: 'most saga events of one transaction' },
  BRX_SAGA_CONCURRENCY: { section: 'saga', schema: integer(1, 32, 2), example: '2', description: 'chunks of saga events worked on at once, a connection each' },
  BRX_OUTBOX_MAX_ROWS: { section: 'outbox', schema: integer(1_000, 1_000_000_000, 1_000_000), example: '1000000', description: 'with more rows unpublished than this, marketplace events wait in Kafka until there is room' },
  BRX_MARKETPLACE_URL: { section: 'marketplace', schema: url(['https:', 'http:']).default('https://api.cardtrader.com/api/v2'), example: 'https://api.cardtrader.com/api/v2', description: 'base URL of CardTrader’s API' },
  BRX_MARKETPLACE_CONNECTIONS: { section: 'marketplace', schema: integer(1, 1_000, 128), example: '128', description: 'most connections of this process to CardTrader' },
  BRX_MARKETPLACE_CONNECT_TIMEOUT_MS: { section: 'marketplace', schema: integer(100, 60_000, 5_000), example: '5000', description: 'longest wait for a connection to CardTrader' },
  BRX_MARKETPLACE_READ_TIMEOUT_MS: { section: 'marketplace', schema: integer(100, 600_000, 20_000), example: '20000', description: 'longest read from CardTrader, from the first byte sent to the last received' },
  BRX_MARKETPLACE_WRITE_TIMEOUT_MS: { section: 'marketplace', schema: integer(100, 600_000, 15_000), example: '15000', description: 'longest write to CardTrader; after it the outcome is unknown' },
  BRX_MARKETPLACE_EXPORT_TIMEOUT_MS: { section: 'marketplace', schema: integer(1_000, 3_600_000, 180_000), example: '180000', description: 'longest export of all products of a seller' },
  BRX_MARKETPLACE_DATA_FIELD_LENGTH: { section: 'marketplace', schema: integer(64, 65_535, 255), example: '255', description: 'most characters CardTrader keeps in user_data_field; its real limit is not documented' },
  BRX_DISPATCHER_SELLERS: { section: 'dispatcher', schema: integer(1, 1_000, 32), example: '32', description: 'sellers for whom this process calls CardTrader at once; others wait their turn' },
  BRX_DISPATCHER_OPERATIONS: { section: 'dispatcher', schema: integer(1, 50, 4), example: '4', description: 'operations of one seller at once, each on a product of its own' },
  BRX_DISPATCHER_LEASE_MS: { section: 'dispatcher', schema: integer(1_000, 600_000, 30_000), example: '30000', description: 'a seller whose process says nothing for so long goes to another one' },
  BRX_DISPATCHER_BULK_ITEMS: { section: 'dispatcher', schema: integer(1, 450, 450), example: '450', description: 'most items of a bulk job of listing sync' },
  BRX_DISPATCHER_JOBS: { section: 'dispatcher', schema: integer(1, 20, 6), example: '6', description: 'bulk jobs of one seller at once, each of other items' },
  BRX_DISPATCHER_JOB_PATIENCE_MS: { section: 'dispatcher', schema: integer(1_000, 3_600_000, 600_000), example: '600000', description: 'a bulk job that is not over by then, or whose id was lost, is taken to be' },
  BRX_DISPATCHER_QUARANTINE_MS: { section: 'dispatcher', schema: integer(200, 600_000, 20_000), example: '20000', description: 'an operation whose answer was lost is not looked into before; longer than a write may take' },
  BRX_ORDERS_POLL_SECONDS: { section: 'orders', schema: integer(1, 86_400, 300), example: '300', description: 'how often the orders of each seller are read, whether webhooks come or not' },
  BRX_ORDERS_SELLERS: { section: 'orders', schema: integer(0, 1_000, 8), example: '8', description: 'sellers whose orders this process reads at once; 0 leaves it to other processes' },
  BRX_ORDERS_SETTLE_MS: { section: 'orders', schema: integer(0, 3_600_000, 60_000), example: '60000', description: 'how far an export of CardTrader may be behind: so long after a cancellation it is counted whether its copies are on sale again' },
  BRX_BULK_SYNC_GROUP_ID: { section: 'bulkSync', schema: z.string().min(1).max(200).optional(), example: 'brx-sync-snapshots', description: 'consumer group of snapshots; BRX_INGEST_GROUP_ID with -snapshots behind it' },
  BRX_BULK_SYNC_JOBS: { section: 'bulkSync', schema: integer(0, 100, 4), example: '4', description: 'bulk syncs this process exports and sends at once; 0 leaves it to other processes' },
  BRX_BULK_SYNC_CHUNK_PRODUCTS: { section: 'bulkSync', schema: integer(1, 500, 500), example: '500', description: 'most products of a chunk of a bulk sync, applied in one transaction' },
  BRX_BULK_SYNC_ORDERS_PATIENCE_MS: { section: 'bulkSync', schema: integer(0, 3_600_000, 60_000), example: '60000', description: 'a bulk sync that changes stock waits so long for the seller’s orders to be read first; without it items that differ are left alone' },
  BRX_BULK_SYNC_CHUNK_RETRIES: { section: 'bulkSync', schema: integer(0, 20, 6), example: '6', description: 'how often a chunk that PostgreSQL has refused is tried again by itself: after 1, 5 and 30 minutes, then hourly; 0: never' },
  BRX_RECONCILE_WINDOW: { section: 'bulkSync', schema: nightWindow, example: '01:00-05:00', description: 'time of day (UTC) in which each seller’s whole stock is compared with CardTrader’s; off: never' },
  BRX_RATE_LIMIT_REQUESTS: { section: 'limiter', schema: integer(1, 1_000, 200), example: '200', description: 'requests CardTrader allows a seller in a window' },
  BRX_RATE_LIMIT_WINDOW_MS: { section: 'limiter', schema: integer(1_000, 3_600_000, 10_000), example: '10000', description: 'CardTrader’s window' },
  BRX_RATE_LIMIT_MARGIN_MS: { section: 'limiter', schema: integer(0, 10_000, 250), example: '250', description: 'our window is longer by so much: what may lie between being counted here and counted there' },
  BRX_RATE_LIMIT_FALLBACK_SHARE: { section: 'limiter', schema: z.coerce.number().min(0.01).max(1).default(0.5), example: '0.5', description: 'share of the limit a process takes by itself while Redis is away' },
  BRX_HTTP_HOST: { section: 'http', schema: z.string().min(1).default('127.0.0.1'), example: '127.0.0.1', description: 'address of health, metrics, webhooks and the API' },
  BRX_HTTP_PORT: { section: 'http', schema: integer(0, 65_535, 8_080), example: '8080', description: 'its port; 0 picks a free one' },
  BRX_HTTP_RATE_LIMIT: { section: 'http', schema: integer(1, 1_000_000, 300), example: '300', description: 'requests to the API one client may make in ten seconds' },
  BRX_HTTP_TOKEN: { section: 'http', schema: z.string().min(16, { error: 'must have at least 16 characters' }).optional(), example: '(a secret)', description: 'bearer token for metrics, details of health and the API; needed when BRX_HTTP_HOST is not loopback, and for whatever changes something', secret: true },
  BRX_LOG_LEVEL: { section: 'log', schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'), example: 'info', description: 'least severe level written' },
  BRX_LOG_FORMAT: { section: 'log', schema: z.enum(['auto', 'json', 'pretty']).default('auto'), example: 'json', description: 'auto is pretty on a terminal, JSON elsewhere' },
  BRX_OTLP_ENDPOINT: { section: 'tracing', schema: parsed(parseOtlpEndpoint).optional(), example: 'http://127.0.0.1:4318', description: 'where spans go, by OTLP over HTTP (/v1/traces is added); without it no OpenTelemetry is loaded, and `traceparent` is passed on all the same' },
  BRX_OTLP_HEADERS: { section: 'tracing', schema: parsed(parseOtlpHeaders).optional(), example: '(a secret)', description: 'headers for the receiver of spans: name=value, several separated by commas, percent-encoded', secret: true },
  BRX_TRACE_RATIO: { section: 'tracing', schema: z.coerce.number().min(0).max(1).default(0), example: '0.01', description: 'share of batches to record that hold nothing of a sampled trace; what belongs to a sampled trace always is' },
  BRX_SHUTDOWN_TIMEOUT_MS: { section: 'process', schema: integer(1_000, 600_000, 25_000), example: '25000', description: 'longest graceful stop; below the orchestrator’s kill time' },
  BRX_FAULT: { section: 'process', schema: fault.optional(), example: 'ingest.after-write:kill', description: 'for crash tests only: stop dead at a named point' },
} as const satisfies Record<string, Variable>;

type VariableName = keyof typeof VARIABLES;
type Values = { [Name in VariableName]: z.output<(typeof VARIABLES)[Name]['schema']> };

export type Config = ReturnType<typeof shape>;
export type KafkaConfig = Config['kafka'];
export type RegistryConfig = Config['registry'];
export type PostgresConfig = Config['postgres'];
export type IngestConfig = Config['ingest'];
export type PurchaseConfig = Config['purchase'];
export type SagaConfig = Config['saga'];
export type ReplicasConfig = Config['replicas'];
export type RedisConfig = Config['redis'];
export type MysqlConfig = Config['mysql'];
export type CatalogueConfig = Config['catalogue'];
export type SecretsConfig = Config['secrets'];
export type MarketplaceConfig = Config['marketplace'];
export type DispatcherConfig = Config['dispatcher'];
export type OrdersConfig = Config['orders'];
export type BulkSyncConfig = Config['bulkSync'];
export type LimiterConfig = Config['limiter'];
export type HttpConfig = Config['http'];
export type TracingConfig = Config['tracing'];

function shape(v: Values) {
  return {
    kafka: {
      brokers: v.BRX_KAFKA_BROKERS,
      clientId: v.BRX_KAFKA_CLIENT_ID,
      ssl: v.BRX_KAFKA_SSL,
      sasl:
        v.BRX_KAFKA_SASL_MECHANISM !== undefined && v.BRX_KAFKA_SASL_USERNAME !== undefined && v.BRX_KAFKA_SASL_PASSWORD !== undefined
          ? { mechanism: v.BRX_KAFKA_SASL_MECHANISM, username: v.BRX_KAFKA_SASL_USERNAME, password: v.BRX_KAFKA_SASL_PASSWORD }
          : undefined,
      topicPrefix: v.BRX_TOPIC_PREFIX,
    },
    registry: { url: v.BRX_SCHEMA_REGISTRY_URL.replace(/\/+$/, ''), username: v.BRX_SCHEMA_REGISTRY_USERNAME, password: v.BRX_SCHEMA_REGISTRY_PASSWORD },
    postgres: {
      url: v.BRX_DATABASE_URL,
      poolMax: v.BRX_DATABASE_POOL_MAX,
      acquireTimeoutMs: v.BRX_DATABASE_ACQUIRE_TIMEOUT_MS,
      transactionTimeoutMs: v.BRX_DATABASE_TRANSACTION_TIMEOUT_MS,
      maxWaitMs: v.BRX_DATABASE_MAX_WAIT_MS,
      statementTimeoutMs: v.BRX_DATABASE_STATEMENT_TIMEOUT_MS,
      lockTimeoutMs: v.BRX_DATABASE_LOCK_TIMEOUT_MS,
      idleTransactionTimeoutMs: v.BRX_DATABASE_IDLE_TRANSACTION_TIMEOUT_MS,
    },
    replicas: { urls: v.BRX_DATABASE_REPLICA_URLS, poolMax: v.BRX_DATABASE_READ_POOL_MAX, maxLagMs: v.BRX_DATABASE_REPLICA_MAX_LAG_MS, waitMs: v.BRX_DATABASE_REPLICA_WAIT_MS },
    redis: { url: v.BRX_REDIS_URL, commandTimeoutMs: v.BRX_REDIS_COMMAND_TIMEOUT_MS },
    mysql: { url: v.BRX_MYSQL_URL, replicaUrls: v.BRX_MYSQL_REPLICA_URLS, poolMax: v.BRX_MYSQL_POOL_MAX, acquireTimeoutMs: v.BRX_MYSQL_ACQUIRE_TIMEOUT_MS, queryTimeoutMs: v.BRX_MYSQL_QUERY_TIMEOUT_MS },
    catalogue: { memoryEntries: v.BRX_CATALOGUE_MEMORY_ENTRIES, memoryTtlMs: v.BRX_CATALOGUE_MEMORY_TTL_MS, ttlMs: v.BRX_CATALOGUE_TTL_MS, unknownTtlMs: v.BRX_CATALOGUE_UNKNOWN_TTL_MS },
    secrets: { keys: v.BRX_SECRET_KEYS ?? [], sellerToken: v.BRX_SELLER_TOKEN },
    ingest: {
      groupId: v.BRX_INGEST_GROUP_ID,
      chunkEvents: v.BRX_INGEST_CHUNK_EVENTS,
      concurrency: v.BRX_INGEST_CONCURRENCY,
      horizonMs: v.BRX_INGEST_HORIZON_DAYS * 86_400_000,
      sessionTimeoutMs: v.BRX_INGEST_SESSION_TIMEOUT_MS,
      rebalanceTimeoutMs: v.BRX_INGEST_REBALANCE_TIMEOUT_MS,
      maxParkedUsers: v.BRX_INGEST_MAX_PARKED_USERS,
    },
    purchase: { holdMs: v.BRX_PURCHASE_HOLD_MS },
    saga: {
      groupId: v.BRX_SAGA_GROUP_ID,
      chunkEvents: v.BRX_SAGA_CHUNK_EVENTS,
      concurrency: v.BRX_SAGA_CONCURRENCY,
      sessionTimeoutMs: v.BRX_INGEST_SESSION_TIMEOUT_MS,
      rebalanceTimeoutMs: v.BRX_INGEST_REBALANCE_TIMEOUT_MS,
    },
    outbox: { maxRows: v.BRX_OUTBOX_MAX_ROWS },
    marketplace: {
      url: v.BRX_MARKETPLACE_URL,
      connections: v.BRX_MARKETPLACE_CONNECTIONS,
      connectTimeoutMs: v.BRX_MARKETPLACE_CONNECT_TIMEOUT_MS,
      readTimeoutMs: v.BRX_MARKETPLACE_READ_TIMEOUT_MS,
      writeTimeoutMs: v.BRX_MARKETPLACE_WRITE_TIMEOUT_MS,
      exportTimeoutMs: v.BRX_MARKETPLACE_EXPORT_TIMEOUT_MS,
      dataFieldLength: v.BRX_MARKETPLACE_DATA_FIELD_LENGTH,
    },
    dispatcher: { sellers: v.BRX_DISPATCHER_SELLERS, operations: v.BRX_DISPATCHER_OPERATIONS, leaseMs: v.BRX_DISPATCHER_LEASE_MS, quarantineMs: v.BRX_DISPATCHER_QUARANTINE_MS, bulkItems: v.BRX_DISPATCHER_BULK_ITEMS, jobs: v.BRX_DISPATCHER_JOBS, jobPatienceMs: v.BRX_DISPATCHER_JOB_PATIENCE_MS },
    orders: { pollMs: v.BRX_ORDERS_POLL_SECONDS * 1_000, sellers: v.BRX_ORDERS_SELLERS, settleMs: v.BRX_ORDERS_SETTLE_MS },
    bulkSync: { groupId: v.BRX_BULK_SYNC_GROUP_ID ?? `${v.BRX_INGEST_GROUP_ID}-snapshots`, jobs: v.BRX_BULK_SYNC_JOBS, chunkProducts: v.BRX_BULK_SYNC_CHUNK_PRODUCTS, ordersPatienceMs: v.BRX_BULK_SYNC_ORDERS_PATIENCE_MS, chunkRetries: v.BRX_BULK_SYNC_CHUNK_RETRIES, reconcile: v.BRX_RECONCILE_WINDOW },
    limiter: { requests: v.BRX_RATE_LIMIT_REQUESTS, windowMs: v.BRX_RATE_LIMIT_WINDOW_MS, marginMs: v.BRX_RATE_LIMIT_MARGIN_MS, fallbackShare: v.BRX_RATE_LIMIT_FALLBACK_SHARE },
    http: { host: v.BRX_HTTP_HOST, port: v.BRX_HTTP_PORT, token: v.BRX_HTTP_TOKEN, rateLimit: v.BRX_HTTP_RATE_LIMIT },
    log: { level: v.BRX_LOG_LEVEL, format: v.BRX_LOG_FORMAT },
    tracing: { endpoint: v.BRX_OTLP_ENDPOINT, headers: v.BRX_OTLP_HEADERS ?? {}, ratio: v.BRX_TRACE_RATIO },
    shutdownTimeoutMs: v.BRX_SHUTDOWN_TIMEOUT_MS,
    fault: v.BRX_FAULT,
  };
}

export interface ConfigProblem {
  variable: string;
  problem: string;
  example: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads `environment` into a config, or throws BRX_CONFIG whose message lists every problem. */
export function readConfig(environment: Environment): Config {
  const problems: ConfigProblem[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, variable] of Object.entries(VARIABLES) as [VariableName, Variable][]) {
    const given = givenValue(environment, name, variable);
    if ('unreadable' in given) {
      problems.push({ variable: `${name}_FILE`, problem: given.unreadable, example: '/run/secrets/name' });
      continue;
    }
    const result = variable.schema.safeParse(given.value);
    if (result.success) values[name] = result.data;
    else problems.push({ variable: name, problem: describe(given, result.error), example: variable.example });
  }
  problems.push(...unknownVariables(environment));
  if (problems.length === 0) problems.push(...crossChecks(values as Values));
  if (problems.length > 0) throw configError(problems);
  return deepFreeze(shape(values as Values));
}

interface Given {
  readonly value: string | undefined;
  /** Variable that names the file it is from. */
  readonly file?: string;
}

function givenValue(environment: Environment, name: string, variable: Variable): Given | { readonly unreadable: string } {
  const value = environment[name];
  const file = environment[`${name}_FILE`];
  if (value !== undefined && value !== '') return { value };
  if (variable.secret !== true || file === undefined || file === '') return { value: undefined };
  try {
    return { value: readFileSync(file, 'utf8').trim(), file: `${name}_FILE` };
  } catch (error) {
    return { unreadable: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})` };
  }
}

function describe({ value, file }: Given, error: z.ZodError): string {
  if (value === undefined) return 'is not set';
  const problem = value === '' ? 'is empty' : error.issues.map((issue) => issue.message).join('; ');
  return file === undefined ? problem : `(from the file that ${file} names) ${problem}`;
}

function unknownVariables(environment: Environment): ConfigProblem[] {
  const known = new Set<string>([...Object.keys(VARIABLES), 'BRX_ENV_FILE', 'BRX_STACK']);
  for (const [name, variable] of Object.entries(VARIABLES) as [string, Variable][]) if (variable.secret) known.add(`${name}_FILE`);
  return Object.keys(environment)
    .filter((name) => name.startsWith('BRX_') && !known.has(name) && !name.startsWith('BRX_STACK_'))
    .map((name) => {
      const near = [...known].sort((a, b) => distance(name, a) - distance(name, b))[0] ?? '';
      return { variable: name, problem: `is not a setting of this program${distance(name, near) <= 4 ? `; did you mean ${near}?` : ''}`, example: near };
    });
}

/** Rules between variables (write-path.md sections 8.3 and 9, kafka-consumers.md section 1). */
function crossChecks(v: Values): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const demand = (holds: boolean, variable: VariableName, problem: string): void => {
    if (!holds) problems.push({ variable, problem, example: VARIABLES[variable].example });
  };
  demand(v.BRX_DATABASE_STATEMENT_TIMEOUT_MS < v.BRX_DATABASE_TRANSACTION_TIMEOUT_MS, 'BRX_DATABASE_STATEMENT_TIMEOUT_MS', 'must be below BRX_DATABASE_TRANSACTION_TIMEOUT_MS: Prisma’s timeout does not cancel a running statement');
  demand(v.BRX_DATABASE_LOCK_TIMEOUT_MS < v.BRX_DATABASE_STATEMENT_TIMEOUT_MS, 'BRX_DATABASE_LOCK_TIMEOUT_MS', 'must be below BRX_DATABASE_STATEMENT_TIMEOUT_MS');
  demand(v.BRX_INGEST_REBALANCE_TIMEOUT_MS >= 2 * v.BRX_DATABASE_TRANSACTION_TIMEOUT_MS, 'BRX_INGEST_REBALANCE_TIMEOUT_MS', 'must be at least twice BRX_DATABASE_TRANSACTION_TIMEOUT_MS: a rebalance waits for the chunk in flight');
  demand(v.BRX_DATABASE_POOL_MAX >= v.BRX_INGEST_CONCURRENCY + v.BRX_SAGA_CONCURRENCY + 5, 'BRX_DATABASE_POOL_MAX', 'must be at least BRX_INGEST_CONCURRENCY + BRX_SAGA_CONCURRENCY + 5 (dispatcher 2; orders, bulk sync, snapshots, webhooks, sweeper, scrapes and retention, each for moments, 3)');
  demand(v.BRX_DATABASE_REPLICA_WAIT_MS <= v.BRX_DATABASE_STATEMENT_TIMEOUT_MS, 'BRX_DATABASE_REPLICA_WAIT_MS', 'must not be above BRX_DATABASE_STATEMENT_TIMEOUT_MS');
  demand(v.BRX_MYSQL_URL !== undefined || v.BRX_MYSQL_REPLICA_URLS.length === 0, 'BRX_MYSQL_URL', 'must be set when BRX_MYSQL_REPLICA_URLS is: reads fall back to the primary');
  demand(v.BRX_MYSQL_POOL_MAX >= 2 * (1 + v.BRX_MYSQL_REPLICA_URLS.length), 'BRX_MYSQL_POOL_MAX', 'must be at least two for the primary and two for each replica');
  demand(v.BRX_CATALOGUE_UNKNOWN_TTL_MS <= v.BRX_CATALOGUE_TTL_MS, 'BRX_CATALOGUE_UNKNOWN_TTL_MS', 'must not be above BRX_CATALOGUE_TTL_MS');
  demand(isLoopback(v.BRX_HTTP_HOST) || v.BRX_HTTP_TOKEN !== undefined, 'BRX_HTTP_TOKEN', `must be set when BRX_HTTP_HOST is not a loopback address (it is ${v.BRX_HTTP_HOST})`);
  demand(isSafeUrl(v.BRX_MARKETPLACE_URL), 'BRX_MARKETPLACE_URL', 'must be https: the sellers’ tokens go there; http is for loopback only');
  demand(v.BRX_MARKETPLACE_CONNECT_TIMEOUT_MS < v.BRX_MARKETPLACE_WRITE_TIMEOUT_MS, 'BRX_MARKETPLACE_CONNECT_TIMEOUT_MS', 'must be below BRX_MARKETPLACE_WRITE_TIMEOUT_MS, of which it is a part');
  demand(v.BRX_MARKETPLACE_EXPORT_TIMEOUT_MS >= v.BRX_MARKETPLACE_READ_TIMEOUT_MS, 'BRX_MARKETPLACE_EXPORT_TIMEOUT_MS', 'must not be below BRX_MARKETPLACE_READ_TIMEOUT_MS');
  demand(v.BRX_DISPATCHER_QUARANTINE_MS > v.BRX_MARKETPLACE_WRITE_TIMEOUT_MS, 'BRX_DISPATCHER_QUARANTINE_MS', 'must be above BRX_MARKETPLACE_WRITE_TIMEOUT_MS: until then a write may still be on its way');
  demand(v.BRX_DISPATCHER_LEASE_MS * (2 / 3) > v.BRX_MARKETPLACE_WRITE_TIMEOUT_MS, 'BRX_DISPATCHER_LEASE_MS', 'must be above one and a half times BRX_MARKETPLACE_WRITE_TIMEOUT_MS: what a process has sent before it died must be over when another takes its sellers');
  demand(v.BRX_MARKETPLACE_CONNECTIONS >= v.BRX_DISPATCHER_SELLERS * v.BRX_DISPATCHER_OPERATIONS, 'BRX_MARKETPLACE_CONNECTIONS', 'must be at least BRX_DISPATCHER_SELLERS × BRX_DISPATCHER_OPERATIONS');
  demand(v.BRX_RATE_LIMIT_MARGIN_MS < v.BRX_RATE_LIMIT_WINDOW_MS, 'BRX_RATE_LIMIT_MARGIN_MS', 'must be below BRX_RATE_LIMIT_WINDOW_MS');
  demand(v.BRX_OTLP_HEADERS === undefined || v.BRX_OTLP_ENDPOINT === undefined || isSafeUrl(v.BRX_OTLP_ENDPOINT), 'BRX_OTLP_ENDPOINT', 'must be https where BRX_OTLP_HEADERS are sent along; http with them is for loopback only');
  const sasl = [v.BRX_KAFKA_SASL_MECHANISM, v.BRX_KAFKA_SASL_USERNAME, v.BRX_KAFKA_SASL_PASSWORD].filter((value) => value !== undefined).length;
  demand(sasl === 0 || sasl === 3, 'BRX_KAFKA_SASL_MECHANISM', 'needs BRX_KAFKA_SASL_USERNAME and BRX_KAFKA_SASL_PASSWORD beside it, or none of the three');
  return problems;
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);

function isSafeUrl(text: string): boolean {
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || isLoopback(hostname);
}

function configError(problems: readonly ConfigProblem[]): BrxError {
  const lines = problems.map(({ variable, problem, example }) => `  ${variable} ${problem}\n      for example ${variable}=${example}`);
  return new BrxError('BRX_CONFIG', `${problems.length} problem${problems.length === 1 ? '' : 's'} in the configuration:\n${lines.join('\n')}`, {
    remedy: 'set the variables, or put them into .env (see .env.example); `npm run stack:up` starts local services and writes one',
  });
}

/** The process's environment, with `.env` (or the file named by BRX_ENV_FILE; `none` for no file) beneath it. Throws BRX_CONFIG where that file is not there or cannot be read. */
export function processEnvironment(): Environment {
  const named = process.env['BRX_ENV_FILE'] ?? '';
  const file = named === '' ? '.env' : named;
  if (file === 'none' || (named === '' && !existsSync(file))) return process.env;
  try {
    readFileSync(file); // says what is wrong, which loadEnvFile does not of a folder
    process.loadEnvFile(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new BrxError('BRX_CONFIG', `the settings of ${file}${named === '' ? '' : ', which BRX_ENV_FILE names,'} cannot be read (${code})`, { remedy: 'name a file of lines NAME=value; BRX_ENV_FILE=none reads none' });
  }
  return process.env;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

/** Levenshtein distance, for "did you mean". */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

export { ROLES };
