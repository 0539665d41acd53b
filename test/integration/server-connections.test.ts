import { afterAll, beforeAll, expect, test } from 'vitest';
import { selectServer } from '../../src/operations/doctor/doctor.sql.ts';
import { createMetrics } from '../../src/platform/metrics.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { createPostgres, watchPostgres, type Postgres } from '../../src/platform/postgres/index.ts';
import { readServerConnections } from '../../src/platform/postgres/server.sql.ts';
import { watchRedis } from '../../src/platform/redis/index.ts';
import { databaseConfig } from '../support/database-config.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { connected, observer } from '../support/redis.ts';
import { stackUrls } from '../support/stack.ts';

/** Protects: beside each pool of ours its server is seen with everybody's connections, and a server that is away shows as unknown, not as an old number. */
let database: TestDatabase;
let postgres: Postgres;

beforeAll(async () => {
  database = await createTestDatabase();
  postgres = createPostgres(databaseConfig(database.url), { logger: silentLogger, applicationName: 'connections', keyLookupsOnly: true });
});
afterAll(async () => {
  await postgres.close();
  await database.drop();
});

async function values(metrics: ReturnType<typeof createMetrics>): Promise<Record<string, number>> {
  const lines = (await metrics.render()).split('\n').filter((line) => /^brx_(server|pool)_/.test(line));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1).replace('Nan', 'NaN'))]));
}

test('PostgreSQL: as many as pg_stat_activity has, against what is left for programs', async () => {
  const metrics = createMetrics({ process: false });
  watchPostgres(metrics, postgres, silentLogger);
  const seen = await values(metrics);
  const { rows } = await postgres.pool.query<{ max: number; reserved: number }>("SELECT current_setting('max_connections')::int AS max, current_setting('superuser_reserved_connections')::int AS reserved");
  expect(seen['brx_server_max_connections{server="postgres"}']).toBe((rows[0]?.max ?? 0) - (rows[0]?.reserved ?? 0));
  expect(seen['brx_server_connections{server="postgres"}']).toBeGreaterThanOrEqual(postgres.pool.totalCount);
  expect(seen['brx_pool_max_connections{pool="postgres"}']).toBe(postgres.config.poolMax);
});

test('PostgreSQL: connections of other roles count, also where ours may not see what they do', async () => {
  const role = `${database.name}_plain`;
  await postgres.pool.query(`CREATE ROLE ${role} LOGIN`);
  const url = new URL(database.url);
  url.username = role;
  const plain = createPostgres(databaseConfig(url.toString()), { logger: silentLogger, applicationName: 'plain', keyLookupsOnly: false });
  const others = await Promise.all(Array.from({ length: 3 }, () => postgres.pool.connect()));
  try {
    const { rows } = await plain.pool.query<{ hidden: number }>("SELECT count(*)::int AS hidden FROM pg_stat_activity WHERE application_name = 'connections' AND backend_type IS NULL");
    expect(rows[0]?.hidden).toBeGreaterThanOrEqual(3);
    expect((await readServerConnections(plain.prisma)).used).toBeGreaterThanOrEqual(4);
    expect((await selectServer(plain.pool, 'plain')).connections).toBeGreaterThanOrEqual(4);
  } finally {
    for (const other of others) other.release();
    await plain.close();
    await postgres.pool.query(`DROP ROLE ${role}`);
  }
});

test('Redis: as many as are connected, against maxclients; the budget of commands stands in for a pool', async () => {
  const url = stackUrls().redisUrl;
  const redis = await connected(url);
  const behind = observer(url);
  await behind.ping();
  try {
    const metrics = createMetrics({ process: false });
    watchRedis(metrics, redis, silentLogger);
    const seen = await values(metrics);
    const [, max] = (await behind.config('GET', 'maxclients')) as [string, string];
    expect(seen['brx_server_max_connections{server="redis"}']).toBe(Number(max));
    expect(seen['brx_server_connections{server="redis"}']).toBeGreaterThanOrEqual(2);
    expect(seen['brx_pool_max_connections{pool="redis"}']).toBeGreaterThan(0);
    expect(seen['brx_pool_pending_requests{pool="redis"}']).toBe(0);
  } finally {
    behind.disconnect();
    await redis.close();
  }
});

test('a server that is away is unknown', async () => {
  const away = createPostgres(databaseConfig('postgresql://brx:brx@127.0.0.1:1/brx'), { logger: silentLogger, applicationName: 'away', keyLookupsOnly: false });
  try {
    const metrics = createMetrics({ process: false });
    metrics.serverConnections.set({ server: 'postgres' }, 7);
    watchPostgres(metrics, away, silentLogger);
    watchRedis(metrics, { state: 'ready', stats: () => ({ used: 0, idle: 1, max: 1, waiting: 0 }), serverConnections: () => Promise.reject(new Error('gone')) }, silentLogger);
    const seen = await values(metrics);
    for (const server of ['postgres', 'redis']) expect(seen[`brx_server_connections{server="${server}"}`], server).toBeNaN();
  } finally {
    await away.close();
  }
});
