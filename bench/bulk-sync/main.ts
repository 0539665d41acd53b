import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { requestSync, type Mode } from '../../src/bulk-sync/index.ts';
import { createTables } from '../../src/catalogue/seed.sql.ts';
import { readConfig } from '../../src/config.ts';
import { addSeller, openAccess } from '../../src/marketplace/index.ts';
import { migrate } from '../../src/operations/migrate/index.ts';
import { applySchemas, checkSchemas } from '../../src/operations/schemas/index.ts';
import { applyTopics } from '../../src/operations/topics/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createKafka, createRegistry, openTopicAdmin } from '../../src/platform/kafka/index.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { createMysql } from '../../src/platform/mysql/index.ts';
import { createPostgres } from '../../src/platform/postgres/index.ts';
import { createRedis } from '../../src/platform/redis/index.ts';
import { startSimulator } from '../../src/simulator/index.ts';
import { resolveStack, startPrivateRedis } from '../../stack/index.ts';
import { cpuSeconds, peakMemory } from '../ingest/measure.ts';
import { keepResult, machine } from '../results.ts';
import { ceiling } from './ceiling.ts';
import { earlier, type Row } from './earlier.ts';
import { report, type Run, type Result } from './report.ts';

/**
 * `npm run bench:bulk-sync`: many sellers import their stock at once, then have it reported on, through one process as it is shipped. The stock here is compared with the
 * stand-in's, seller by seller and product by product; connections are what the servers count.
 */
const { values: flags } = parseArgs({ options: { sellers: { type: 'string', default: '100' }, products: { type: 'string', default: '15000' }, name: { type: 'string', default: 'bulk-sync' }, port: { type: 'string', default: '18899' }, profile: { type: 'string' } } });
const [sellers, products] = [Number(flags.sellers), Number(flags.products)];
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const BY = { who: 'bench', reason: 'bench' };
const CLIENT = 'brx-bench';
const SAMPLE_MS = 250;
const HEAP_MB = 256;
const PATIENCE_MS = 1_800_000;

const stack = await resolveStack({ report: say });
const name = `bench_bulk_sync_${Date.now().toString(36)}`;
const server = new pg.Client({ connectionString: stack.databaseUrl });
await server.connect();
await server.query(`CREATE DATABASE ${name}`);
const databaseUrl = withDatabase(stack.databaseUrl, name);
await migrate(databaseUrl, { logger: silentLogger });

const mysqlAdmin = createMysql({ url: stack.mysqlUrl, replicaUrls: [], poolMax: 2, acquireTimeoutMs: 5_000, queryTimeoutMs: 60_000 }, { logger: silentLogger, clock: systemClock });
await mysqlAdmin.query(`CREATE DATABASE ${name}`);
const mysqlUrl = withDatabase(stack.mysqlUrl, name);

const redisServer = await startPrivateRedis(); // mappings another run has left would be found
const simulator = await startSimulator({ stock: { sellers: 0, products: 0 } });
const environment = {
  BRX_KAFKA_BROKERS: stack.kafkaBrokers,
  BRX_KAFKA_CLIENT_ID: CLIENT,
  BRX_SCHEMA_REGISTRY_URL: stack.registryUrl,
  BRX_DATABASE_URL: databaseUrl,
  BRX_MYSQL_URL: mysqlUrl,
  BRX_REDIS_URL: redisServer.url,
  BRX_MARKETPLACE_URL: simulator.apiUrl,
  BRX_SECRET_KEYS: `bench:${Buffer.alloc(32, 7).toString('base64')}`,
  BRX_TOPIC_PREFIX: `${name}.`,
  BRX_INGEST_GROUP_ID: `${name}-ingest`,
  BRX_SAGA_GROUP_ID: `${name}-saga`,
  BRX_RECONCILE_WINDOW: 'off',
  BRX_BULK_SYNC_CHUNK_RETRIES: '0', // a parked chunk is a result, not something to wait for
  BRX_ORDERS_SETTLE_MS: '0',
  BRX_HTTP_PORT: flags.port,
};
const config = readConfig(environment);
const registry = createRegistry(config.registry);
await applySchemas(registry, await checkSchemas(), { dryRun: false });
const kafka = createKafka(config.kafka, silentLogger);
const topics = await openTopicAdmin(kafka);
await applyTopics(topics, { prefix: config.kafka.topicPrefix, dryRun: false });
await topics.close();

const access = openAccess(config, { clock: systemClock, logger: silentLogger, connectionName: 'bench' });
const postgres = createPostgres(config.postgres, { logger: silentLogger, applicationName: 'bench', keyLookupsOnly: false });
const redis = createRedis({ ...config.redis, url: redisServer.url }, { logger: silentLogger, connectionName: 'bench' });
const mysql = createMysql({ ...config.mysql, url: mysqlUrl, poolMax: 2, queryTimeoutMs: 60_000 }, { logger: silentLogger, clock: systemClock });
const worker = { pid: 0, problems: 0, timeouts: 0, exit: undefined as number | null | undefined };

try {
  await mysql.session(60_000, async (run) => {
    await createTables(run);
    const ids = simulator.control.blueprints().map(({ id }) => id);
    for (let at = 0; at < ids.length; at += 1_000) await run(`INSERT INTO cards_prints (id, cardtrader_id) VALUES ${ids.slice(at, at + 1_000).map((id) => `(${id}, ${id})`).join(', ')}`);
  });
  say(`${sellers} sellers with ${products.toLocaleString('en-US')} products each`);
  const users: { userId: string; sellerId: number }[] = [];
  for (let n = 0; n < sellers; n += 1) {
    const account = simulator.control.addSeller();
    for (let p = 0; p < products; p += 1) simulator.control.addProduct(account.id, { quantity: 1 + ((n + p) % 9), priceCents: 100 + (p % 900) });
    const userId = randomUUID();
    await addSeller({ postgres, keyring: access.keyring, client: access.client }, userId, account.token, { ...BY, otherAccount: false });
    users.push({ userId, sellerId: account.id });
  }
  const others = await redisConnections();
  // The heap ops/k8s gives a dispatcher: Node on a large machine takes what there is before it collects.
  const child = spawn(process.execPath, [`--max-old-space-size=${HEAP_MB}`, ...(flags.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${flags.profile}`]), fileURLToPath(new URL('../../src/cli/main.js', import.meta.url)), 'start', '--roles', 'ingest,relay,dispatcher,http'], { env: { PATH: '/usr/bin:/bin', BRX_ENV_FILE: 'none', BRX_LOG_FORMAT: 'json', BRX_LOG_LEVEL: 'warn', ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  worker.pid = child.pid ?? 0;
  child.once('exit', (code) => (worker.exit = code));
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      worker.problems += text.split('\n').filter((line) => /"level":(?:40|50|60|"warn"|"error"|"fatal")/.test(line)).length;
      if (/timeout exceeded when trying to connect|no connection within/.test(text)) worker.timeouts += 1;
      if (process.env['BENCH_VERBOSE'] !== undefined) process.stderr.write(text);
    });
  }
  try {
    const first = await run('adopt-remote', users, others);
    await compare(users);
    const second = await run('report', users, others);
    const most = await ceiling(databaseUrl, withDatabase(stack.databaseUrl, 'postgres'), say);
    const stocks = new Map(users.map(({ userId, sellerId }) => [userId, simulator.control.products(sellerId).map(({ id, quantity, priceCents, blueprint }): Row => [id, quantity, priceCents, blueprint.id])]));
    const before = await earlier(withDatabase(stack.databaseUrl, 'postgres'), mysqlUrl, stocks, say);
    const result: Result = {
      at: new Date().toISOString(),
      machine: { ...machine(), load: loadavg()[0] ?? 0 },
      sellers,
      products,
      runs: [first, second],
      ceiling: most,
      earlier: before,
      peakMemoryBytes: peakMemory(worker.pid),
      poolTimeouts: worker.timeouts,
      warnings: worker.problems,
    };
    keepResult(flags.name, result, report(result));
  } finally {
    child.kill('SIGTERM');
    while (worker.exit === undefined) await delay(100);
  }
} finally {
  await access.close();
  await postgres.close();
  await redis.close();
  await redisServer.remove();
  await mysql.close();
  await simulator.close();
  await server.query(`DROP DATABASE ${name} WITH (FORCE)`);
  await server.end();
  await mysqlAdmin.query(`DROP DATABASE ${name}`);
  await mysqlAdmin.close();
  const admin = kafka.admin();
  await admin.connect();
  await admin.deleteTopics({ topics: (await admin.listTopics()).filter((topic) => topic.startsWith(`${name}.`)) });
  await admin.disconnect();
}

/** Everybody asks at the same time; resolves once all jobs are over. */
async function run(mode: Mode, users: readonly { userId: string }[], others: number): Promise<Run> {
  const [mapped, cpu] = [await lookups(), cpuSeconds(worker.pid)];
  const begun = performance.now();
  const jobs: string[] = [];
  for (const { userId } of users) jobs.push(await requestSync(postgres, userId, { mode, dryRun: false, confirmShrink: false, ...BY }));
  const most = { postgres: 0, mysql: 0, redis: 0 };
  for (let told = 0; ; await delay(SAMPLE_MS)) {
    if (worker.exit !== undefined) throw new Error(`the worker has ended with ${worker.exit}`);
    const { rows } = await server.query<{ n: number }>("SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1 AND application_name LIKE $2 || '%'", [name, CLIENT]);
    most.postgres = Math.max(most.postgres, rows[0]?.n ?? 0);
    const [row] = await mysqlAdmin.query('SELECT count(*) AS n FROM information_schema.processlist WHERE db = ?', [name]);
    most.mysql = Math.max(most.mysql, Number(row?.['n'] ?? 0) - mysql.stats().used - mysql.stats().idle);
    most.redis = Math.max(most.redis, (await redisConnections()) - others);
    const { rows: states } = await postgres.pool.query<{ state: string; n: number; problem: string | null }>('SELECT state, problem, count(*)::int AS n FROM bulk_sync_jobs WHERE job_id = ANY ($1::uuid[]) GROUP BY state, problem', [jobs]);
    const over = states.filter(({ state }) => ['DONE', 'FAILED', 'CANCELLED'].includes(state));
    const count = over.reduce((sum, { n }) => sum + n, 0);
    if (count === jobs.length) {
      if (over.some(({ state }) => state !== 'DONE')) throw new Error(`not all jobs are done: ${JSON.stringify(states)}`);
      break;
    }
    if (performance.now() - begun > PATIENCE_MS) throw new Error(`after ${PATIENCE_MS / 60_000} min: ${JSON.stringify(states)}`);
    if (performance.now() - told > 10_000) {
      told = performance.now();
      say(`${mode}: ${count} of ${jobs.length} sellers, ${((told - begun) / 1_000).toFixed(0)} s`);
    }
  }
  const seconds = (performance.now() - begun) / 1_000;
  const { rows: parked } = await postgres.pool.query<{ n: number }>("SELECT count(*)::int AS n FROM bulk_sync_chunks WHERE job_id = ANY ($1::uuid[]) AND state = 'PARKED'", [jobs]);
  const after = await lookups();
  const asked = after.all - mapped.all;
  return { mode, seconds, productsPerSecond: (sellers * products) / seconds, cpuSeconds: cpuSeconds(worker.pid) - cpu, connections: most, parkedChunks: parked[0]?.n ?? 0, lookups: asked, cached: asked === 0 ? 1 : 1 - (after.mysql - mapped.mysql) / asked, mysqlQueriesPerThousand: asked === 0 ? 0 : ((after.queries - mapped.queries) / asked) * 1_000 };
}

/** What the worker's catalogue has been asked so far. */
async function lookups(): Promise<{ all: number; mysql: number; queries: number }> {
  for (let tries = 0; ; tries += 1) {
    try {
      const text = await (await fetch(`http://127.0.0.1:${flags.port}/metrics`)).text();
      const sum = (pattern: RegExp): number => [...text.matchAll(pattern)].reduce((total, [, value]) => total + Number(value), 0);
      return { all: sum(/^brx_catalogue_lookups_total\{[^}]*\} (\d+)/gm), mysql: sum(/^brx_catalogue_lookups_total\{[^}]*source="mysql"[^}]*\} (\d+)/gm), queries: sum(/^brx_catalogue_mysql_queries_total\{[^}]*\} (\d+)/gm) };
    } catch (error) {
      if (tries > 100 || worker.exit !== undefined) throw error;
      await delay(200);
    }
  }
}

async function redisConnections(): Promise<number> {
  for (let tries = 0; redis.state !== 'ready' && tries < 100; tries += 1) await delay(50);
  return (await redis.serverConnections()).used;
}

/** Every product of every seller is an item here with as many copies, and there is none beside. */
async function compare(users: readonly { userId: string; sellerId: number }[]): Promise<void> {
  const reader = new pg.Client({ connectionString: databaseUrl });
  await reader.connect();
  await reader.query('ANALYZE inventory_items, marketplace_listings'); // so much is new that the planner does not know how many rows a seller has
  for (const { userId, sellerId } of users) {
    const { rows } = await reader.query<{ product: number; copies: number; listed: number }>('SELECT l.product_id::float8 AS product, i.on_hand AS copies, l.quantity AS listed FROM marketplace_listings AS l JOIN inventory_items AS i USING (user_id, item_id) WHERE l.user_id = $1', [userId]);
    const here = new Map(rows.map((row) => [row.product, row]));
    const wrong = simulator.control.products(sellerId).filter(({ id, quantity }) => here.get(id)?.copies !== quantity || here.get(id)?.listed !== quantity);
    if (wrong.length > 0 || here.size !== products) throw new Error(`seller ${sellerId}: ${wrong.length} products differ, ${here.size} of ${products} are here`);
  }
  await reader.end();
  say('every product of every seller is here as it is there');
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}
