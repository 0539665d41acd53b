import type { Redis as Client } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openCatalogue } from '../../../src/catalogue/index.ts';
import { MOST_IDS } from '../../../src/catalogue/prints.sql.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { createMetrics } from '../../../src/platform/metrics.ts';
import type { Mysql } from '../../../src/platform/mysql/index.ts';
import type { Redis } from '../../../src/platform/redis/index.ts';
import { fakeClock } from '../../support/fake-clock.ts';
import { CATALOGUE, createCatalogueDatabase, mysqlOf, watched, type TestCatalogueDatabase } from '../../support/mysql.ts';
import { connected, keepingLogger, observer, rejection } from '../../support/redis.ts';
import { stackUrls, startPrivateRedis, type PrivateService } from '../../support/stack.ts';
import { until } from '../../support/wait.ts';

/** Protects: where a mapping comes from, how long it is believed, how often MySQL is asked, and that nothing is ever guessed. */
let database: TestCatalogueDatabase;
let server: PrivateService;
let behind: Client;
let redis: Redis;
let mysql: Mysql;

beforeAll(async () => {
  [database, server] = [await createCatalogueDatabase(stackUrls().mysqlUrl), await startPrivateRedis()];
  behind = observer(server.url);
  for (const [table, id, blueprint] of [['cards_prints', 1, 100], ['op_prints', 1, 101], ['pk_prints', 1, 102], ['sealed_products', 1, 103], ['cards_prints', 2, 200], ['op_prints', 2, 200], ['pk_prints', 3, 201], ['pk_prints', 2, 201]] as const) await database.put(table, id, blueprint);
  await database.put('cards_prints', 9, null);
});
afterAll(async () => {
  behind.disconnect();
  await server.remove();
  await database.drop();
});
beforeEach(async () => {
  await behind.flushall();
  redis = await connected(server.url);
  mysql = mysqlOf({ url: database.url });
});
afterEach(async () => {
  await redis.close();
  await mysql.close();
});

const print = (table: string, id: number) => ({ kind: 'print', print: { table, id } });

describe('an answer', () => {
  test('comes from each of the four tables, in one query', async () => {
    const { catalogue, queries } = watched({ mysql, redis });
    expect(await catalogue.lookup([100, 101, 102, 103])).toEqual(new Map([[100, print('cards_prints', 1)], [101, print('op_prints', 1)], [102, print('pk_prints', 1)], [103, print('sealed_products', 1)]].map(([id, mapping]) => [id, mapping] as never)));
    expect(queries).toEqual([4]);
  });

  test('is unknown or ambiguous, never a guess: in two tables, or twice in one', async () => {
    const { catalogue } = watched({ mysql, redis });
    const found = await catalogue.lookup([999, 200, 201]);
    expect(found.get(999)).toEqual({ kind: 'unknown' });
    expect(found.get(200)).toEqual({ kind: 'ambiguous', prints: [{ table: 'cards_prints', id: 2 }, { table: 'op_prints', id: 2 }] });
    expect(found.get(201)).toEqual({ kind: 'ambiguous', prints: [{ table: 'pk_prints', id: 2 }, { table: 'pk_prints', id: 3 }] });
    await catalogue.settled();
    const other = watched({ mysql, redis });
    expect(await other.catalogue.lookup([999, 200, 201])).toEqual(found); // and the same out of Redis
    expect(other.queries).toEqual([]);
  });

  test('is taken from memory, else Redis, else MySQL, and counted by that', async () => {
    const one = watched({ mysql, redis });
    await one.catalogue.lookup([100, 999]);
    await one.catalogue.lookup([100, 999, 200]);
    await one.catalogue.settled();
    expect(Object.fromEntries(one.answered)).toEqual({ 'mysql print': 1, 'mysql unknown': 1, 'memory print': 1, 'memory unknown': 1, 'mysql ambiguous': 1 });
    const two = watched({ mysql, redis });
    await two.catalogue.lookup([100, 999, 200, 101, 100]);
    expect(Object.fromEntries(two.answered)).toEqual({ 'redis print': 2, 'redis unknown': 1, 'redis ambiguous': 1, 'mysql print': 1 });
    expect([one.queries, two.queries]).toEqual([[2, 1], [1]]);
  });

  test('of nonsense in Redis is read anew and put right', async () => {
    await behind.set('blueprint_mapping:100', '{"print_id": 5}');
    const { catalogue, queries } = watched({ mysql, redis });
    expect((await catalogue.lookup([100])).get(100)).toEqual(print('cards_prints', 1));
    expect(queries).toEqual([1]);
    await catalogue.settled();
    expect(await behind.get('blueprint_mapping:100')).toBe('cards_prints:1');
  });

  test('to what is no blueprint id is an error, and says so even among good ones', async () => {
    const { catalogue } = watched({ mysql, redis });
    for (const id of [0, -1, 1.5, Number.NaN]) expect((await rejection(catalogue.lookup([100, id]))).error).toMatchObject({ code: 'BRX_INTERNAL', message: `${id} is no blueprint id: they are whole numbers above 0` });
  });
});

describe('MySQL is asked', () => {
  test('once for an id, however many want it at once', async () => {
    const { catalogue, queries, answered } = watched({ mysql });
    const all = await Promise.all(Array.from({ length: 50 }, () => catalogue.lookup([100, 101, 999])));
    expect(new Set(all.map((found) => JSON.stringify([...found.values()]))).size).toBe(1);
    expect(queries).toEqual([3]);
    expect(answered.get('mysql print')).toBe(100);
  });

  test('for many ids at a time, those of different look-ups together, and never for more than it takes', async () => {
    const { catalogue, queries } = watched({ mysql, redis, config: { memoryEntries: 10_000 } });
    await Promise.all(Array.from({ length: 20 }, (_, n) => catalogue.lookup(Array.from({ length: 100 }, (_each, m) => 1_000 + n * 100 + m))));
    expect(queries.reduce((sum, ids) => sum + ids, 0)).toBe(2_000);
    expect(queries.length).toBe(2_000 / MOST_IDS);
    expect(Math.max(...queries)).toBe(MOST_IDS);
  });

  test('again after a failure: an error is not remembered', async () => {
    let broken = true;
    const { catalogue } = watched({ mysql: { query: (sql, values) => (broken ? Promise.reject(new Error('not now')) : mysql.query(sql, values)) }, redis });
    expect((await rejection(catalogue.lookup([100]))).error).toMatchObject({ message: 'not now' });
    broken = false;
    expect((await catalogue.lookup([100])).get(100)).toEqual(print('cards_prints', 1));
  });
});

test('a process with all of it shows pool, look-ups, queries and trouble as metrics', async () => {
  const metrics = createMetrics({ process: false });
  const options = { clock: systemClock, logger: keepingLogger().logger, metrics };
  const config = { mysql: { url: database.url, replicaUrls: [database.url], poolMax: 10, acquireTimeoutMs: 1_000, queryTimeoutMs: 1_000 }, redis: { url: server.url, commandTimeoutMs: 500 }, catalogue: CATALOGUE };
  const open = openCatalogue(config, options);
  await until('Redis is ready', () => open.redis?.state === 'ready');
  await open.catalogue.lookup([100, 999]);
  await open.catalogue.lookup([100]);
  await open.catalogue.settled();
  await open.redis?.close();
  await open.catalogue.lookup([200]);
  await until('connections are given back', () => open.mysql.stats().used === 0);
  const text = await metrics.render();
  expect(text).toMatch(/^brx_pool_connections\{pool="mysql",state="idle"\} [12]$/m);
  for (const line of [
    'brx_catalogue_lookups_total{source="mysql",result="print"} 1',
    'brx_catalogue_lookups_total{source="mysql",result="unknown"} 1',
    'brx_catalogue_lookups_total{source="memory",result="print"} 1',
    'brx_catalogue_lookups_total{source="mysql",result="ambiguous"} 1',
    'brx_catalogue_mysql_queries_total{server="replica",outcome="ok"} 2',
    'brx_catalogue_redis_errors_total{operation="read"} 1',
    'brx_pool_max_connections{pool="mysql"} 10',
    'brx_pool_connections{pool="mysql",state="used"} 0',
    'brx_pool_pending_requests{pool="mysql"} 0',
    'brx_pool_wait_seconds_count{pool="mysql"} 2',
  ]) expect(text.split('\n')).toContain(line);
  await open.close();
  await open.close(); // twice is fine
  expect(() => openCatalogue({ ...config, mysql: { ...config.mysql, url: undefined } }, options)).toThrow('BRX_MYSQL_URL is not set');
});

describe('a mapping is believed', () => {
  test('in Redis for its time, a tenth more or less, and much shorter when it is unknown or ambiguous', async () => {
    const { catalogue } = watched({ mysql, redis, config: { ttlMs: 1_000_000, unknownTtlMs: 100_000 } });
    await catalogue.lookup([...Array.from({ length: 40 }, (_, n) => 5_000 + n), 100, 101, 102, 103, 200]);
    await catalogue.settled();
    const ttl = (id: number): Promise<number> => behind.pttl(`blueprint_mapping:${id}`);
    for (const id of [100, 101, 102, 103]) expect(await ttl(id)).toBeGreaterThan(890_000);
    for (const id of [100, 101, 102, 103]) expect(await ttl(id)).toBeLessThanOrEqual(1_100_000);
    const short = await Promise.all([200, ...Array.from({ length: 40 }, (_, n) => 5_000 + n)].map(ttl));
    expect(Math.min(...short)).toBeGreaterThan(88_000);
    expect(Math.max(...short)).toBeLessThanOrEqual(110_000);
    expect(Math.max(...short) - Math.min(...short)).toBeGreaterThan(5_000); // not all at once
  });

  test('in memory for its time, and no longer: what is expired is asked for again, and is no answer when that fails', async () => {
    const clock = fakeClock();
    await clock.advance(1); // lru-cache takes time 0 for no time
    let away = false;
    const asking = { query: ((sql, values) => (away ? Promise.reject(new Error('away')) : mysql.query(sql, values))) as Mysql['query'] };
    const { catalogue, queries } = watched({ mysql: asking, clock, config: { memoryTtlMs: 60_000, unknownTtlMs: 10_000 } });
    await catalogue.lookup([100, 999]);
    await clock.advance(9_999);
    away = true;
    await catalogue.lookup([100, 999]);
    await clock.advance(2);
    await catalogue.lookup([100]);
    expect((await rejection(catalogue.lookup([999]))).error).toMatchObject({ message: 'away' });
    await clock.advance(50_000);
    expect((await rejection(catalogue.lookup([100]))).error).toMatchObject({ message: 'away' });
    away = false;
    await catalogue.lookup([100, 999]);
    expect(queries).toEqual([2, 1, 1, 2]);
  });

  test('in memory as long as there is room: the least used go first', async () => {
    const { catalogue, queries } = watched({ mysql, config: { memoryEntries: 3 } });
    await catalogue.lookup([100, 101, 102]);
    await catalogue.lookup([100]);
    await catalogue.lookup([103]); // 101 goes
    await catalogue.lookup([100, 102, 103]);
    expect(queries).toEqual([3, 1]);
    await catalogue.lookup([101]);
    expect(queries).toEqual([3, 1, 1]);
  });
});
