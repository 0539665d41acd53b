import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { BrxError } from './errors.ts';
import { FAULT_POINTS, type Fault } from './platform/fault-points.ts';

/**
 * The environment, read once, as one frozen object with a section a feature. The only file that touches `process.env`.
 * Every problem is reported at once, each with the variable, what is wrong and an example; values of secrets never are.
 */

interface Variable {
  section: 'kafka' | 'registry' | 'postgres' | 'ingest' | 'http' | 'log' | 'process';
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

const ROLES = ['ingest', 'http'] as const;
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
  BRX_DATABASE_POOL_MAX: { section: 'postgres', schema: integer(2, 100, 8), example: '8', description: 'most connections of this process' },
  BRX_DATABASE_ACQUIRE_TIMEOUT_MS: { section: 'postgres', schema: integer(100, 60_000, 3_000), example: '3000', description: 'longest wait for a pooled connection, connecting included' },
  BRX_DATABASE_TRANSACTION_TIMEOUT_MS: { section: 'postgres', schema: integer(1_000, 600_000, 30_000), example: '30000', description: 'longest life of a transaction' },
  BRX_DATABASE_MAX_WAIT_MS: { section: 'postgres', schema: integer(100, 60_000, 5_000), example: '5000', description: 'longest wait of a transaction for its connection' },
  BRX_DATABASE_STATEMENT_TIMEOUT_MS: { section: 'postgres', schema: integer(500, 600_000, 20_000), example: '20000', description: 'longest statement; below the transaction timeout, which cannot cancel one' },
  BRX_DATABASE_LOCK_TIMEOUT_MS: { section: 'postgres', schema: integer(100, 600_000, 5_000), example: '5000', description: 'longest wait for a lock (a lane held by a stalled instance)' },
  BRX_DATABASE_IDLE_TRANSACTION_TIMEOUT_MS: { section: 'postgres', schema: integer(1_000, 600_000, 15_000), example: '15000', description: 'the server ends a transaction that says nothing for so long (a frozen instance)' },
  BRX_INGEST_GROUP_ID: { section: 'ingest', schema: z.string().min(1).max(200).default('brx-sync-ingest'), example: 'brx-sync-ingest', description: 'consumer group' },
  BRX_INGEST_CHUNK_EVENTS: { section: 'ingest', schema: integer(1, 5_000, 1_000), example: '1000', description: 'most events of one transaction' },
  BRX_INGEST_CONCURRENCY: { section: 'ingest', schema: integer(1, 32, 4), example: '4', description: 'partitions worked on at once, a connection each' },
  BRX_INGEST_HORIZON_DAYS: { section: 'ingest', schema: integer(1, 3_650, 30), example: '30', description: 'deduplication horizon: older events are refused, the ledger keeps at least so long; longer than topic retention' },
  BRX_INGEST_SESSION_TIMEOUT_MS: { section: 'ingest', schema: integer(3_000, 300_000, 30_000), example: '30000', description: 'a silent member is expelled after this' },
  BRX_INGEST_REBALANCE_TIMEOUT_MS: { section: 'ingest', schema: integer(3_000, 600_000, 90_000), example: '90000', description: 'longest time members may take to rejoin: at least twice the transaction timeout' },
  BRX_INGEST_MAX_PARKED_USERS: { section: 'ingest', schema: integer(1, 1_000_000, 1_000), example: '1000', description: 'with more users parked than this the fault is ours: stop rather than park everyone' },
  BRX_HTTP_HOST: { section: 'http', schema: z.string().min(1).default('127.0.0.1'), example: '127.0.0.1', description: 'address of health and metrics' },
  BRX_HTTP_PORT: { section: 'http', schema: integer(0, 65_535, 8_080), example: '8080', description: 'port of health and metrics; 0 picks a free one' },
  BRX_HTTP_TOKEN: { section: 'http', schema: z.string().min(16, { error: 'must have at least 16 characters' }).optional(), example: '(a secret)', description: 'bearer token for metrics and details of health; needed when BRX_HTTP_HOST is not loopback', secret: true },
  BRX_LOG_LEVEL: { section: 'log', schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'), example: 'info', description: 'least severe level written' },
  BRX_LOG_FORMAT: { section: 'log', schema: z.enum(['auto', 'json', 'pretty']).default('auto'), example: 'json', description: 'auto is pretty on a terminal, JSON elsewhere' },
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
export type HttpConfig = Config['http'];

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
    ingest: {
      groupId: v.BRX_INGEST_GROUP_ID,
      chunkEvents: v.BRX_INGEST_CHUNK_EVENTS,
      concurrency: v.BRX_INGEST_CONCURRENCY,
      horizonMs: v.BRX_INGEST_HORIZON_DAYS * 86_400_000,
      sessionTimeoutMs: v.BRX_INGEST_SESSION_TIMEOUT_MS,
      rebalanceTimeoutMs: v.BRX_INGEST_REBALANCE_TIMEOUT_MS,
      maxParkedUsers: v.BRX_INGEST_MAX_PARKED_USERS,
    },
    http: { host: v.BRX_HTTP_HOST, port: v.BRX_HTTP_PORT, token: v.BRX_HTTP_TOKEN },
    log: { level: v.BRX_LOG_LEVEL, format: v.BRX_LOG_FORMAT },
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
    const result = variable.schema.safeParse(rawValue(environment, name, variable, problems));
    if (result.success) values[name] = result.data;
    else problems.push({ variable: name, problem: describe(environment[name], result.error), example: variable.example });
  }
  problems.push(...unknownVariables(environment));
  if (problems.length === 0) problems.push(...crossChecks(values as Values));
  if (problems.length > 0) throw configError(problems);
  return deepFreeze(shape(values as Values));
}

function rawValue(environment: Environment, name: string, variable: Variable, problems: ConfigProblem[]): string | undefined {
  const value = environment[name];
  const file = environment[`${name}_FILE`];
  if (value !== undefined && value !== '') return value;
  if (variable.secret !== true || file === undefined || file === '') return undefined;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    problems.push({ variable: `${name}_FILE`, problem: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`, example: '/run/secrets/name' });
    return undefined;
  }
}

function describe(given: string | undefined, error: z.ZodError): string {
  if (given === undefined || given === '') return 'is not set';
  return error.issues.map((issue) => issue.message).join('; ');
}

function unknownVariables(environment: Environment): ConfigProblem[] {
  const known = new Set<string>([...Object.keys(VARIABLES), 'BRX_ENV_FILE', 'BRX_STACK']);
  for (const [name, variable] of Object.entries(VARIABLES) as [string, Variable][]) if (variable.secret) known.add(`${name}_FILE`);
  return Object.keys(environment)
    .filter((name) => name.startsWith('BRX_') && !known.has(name) && !name.startsWith('BRX_STACK_') && !name.startsWith('BRX_MYSQL_') && !name.startsWith('BRX_REDIS_'))
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
  demand(v.BRX_DATABASE_POOL_MAX >= v.BRX_INGEST_CONCURRENCY + 2, 'BRX_DATABASE_POOL_MAX', 'must be at least BRX_INGEST_CONCURRENCY + 2');
  demand(isLoopback(v.BRX_HTTP_HOST) || v.BRX_HTTP_TOKEN !== undefined, 'BRX_HTTP_TOKEN', `must be set when BRX_HTTP_HOST is not a loopback address (it is ${v.BRX_HTTP_HOST})`);
  const sasl = [v.BRX_KAFKA_SASL_MECHANISM, v.BRX_KAFKA_SASL_USERNAME, v.BRX_KAFKA_SASL_PASSWORD].filter((value) => value !== undefined).length;
  demand(sasl === 0 || sasl === 3, 'BRX_KAFKA_SASL_MECHANISM', 'needs BRX_KAFKA_SASL_USERNAME and BRX_KAFKA_SASL_PASSWORD beside it, or none of the three');
  return problems;
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);

function configError(problems: readonly ConfigProblem[]): BrxError {
  const lines = problems.map(({ variable, problem, example }) => `  ${variable} ${problem}\n      for example ${variable}=${example}`);
  return new BrxError('BRX_CONFIG', `${problems.length} problem${problems.length === 1 ? '' : 's'} in the configuration:\n${lines.join('\n')}`, {
    remedy: 'set the variables, or put them into .env (see .env.example); `npm run stack:up` starts local services and writes one',
  });
}

/** The process's environment, with `.env` (or the file named by BRX_ENV_FILE; `none` for no file) beneath it. */
export function processEnvironment(): Environment {
  const file = process.env['BRX_ENV_FILE'] ?? '.env';
  if (file !== 'none' && existsSync(file)) process.loadEnvFile(file);
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
