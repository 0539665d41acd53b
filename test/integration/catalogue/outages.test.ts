import type { Redis as Client } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Mysql } from '../../../src/platform/mysql/index.ts';
import type { Redis } from '../../../src/platform/redis/index.ts';
import { createCatalogueDatabase, mysqlOf, watched, type TestCatalogueDatabase } from '../../support/mysql.ts';
import { connected, keepingLogger, observer, rejection } from '../../support/redis.ts';
import { startPrivateMariadb, startPrivateRedis, type PrivateService } from '../../support/stack.ts';
import { startTcpGate, type TcpGate } from '../../support/tcp-gate.ts';
import { until } from '../../support/wait.ts';

/** Protects: MySQL away, slow or full is an error to wait for and never "unknown"; Redis away, frozen or flushed costs nothing but queries. */
let mariadb: PrivateService;
let redisServer: PrivateService;
let database: TestCatalogueDatabase;
let behind: Client;
let mysql: Mysql;
let redis: Redis;
let gates: TcpGate[] = [];

beforeAll(async () => {
  [mariadb, redisServer] = [await startPrivateMariadb(), await startPrivateRedis()];
  behind = observer(redisServer.url);
  database = await createCatalogueDatabase(mariadb.url);
  for (let n = 1; n <= 20; n += 1) await database.put('cards_prints', n, 100 + n);
}, 120_000);
afterAll(async () => {
  behind.disconnect();
  await database.drop();
  await redisServer.remove();
  await mariadb.remove();
});
beforeEach(async () => {
  gates = [];
  await behind.flushall();
  mysql = mysqlOf({ url: database.url, acquireTimeoutMs: 500, queryTimeoutMs: 500 });
  redis = await connected(redisServer.url, { commandTimeoutMs: 300 });
});
afterEach(async () => {
  await redis.close();
  await mysql.close();
  for (const gate of gates) await gate.close();
});

const known = { kind: 'print', print: { table: 'cards_prints', id: 1 } };
const retryable = expect.objectContaining({ retryable: true, code: expect.stringMatching(/^BRX_MYSQL_(UNAVAILABLE|TIMEOUT)$/) as string }) as unknown;
const gateTo = async (url: string): Promise<TcpGate> => {
  const gate = await startTcpGate({ host: '127.0.0.1', port: Number(new URL(url).port) });
  gates.push(gate);
  return gate;
};

describe('MySQL', () => {
  test('stopped: what memory and Redis have is answered, the rest is an error to wait for, and all is well when it is back', async () => {
    const one = watched({ mysql, redis });
    await one.catalogue.lookup([101, 102]);
    await one.catalogue.settled();
    await mariadb.stop();
    try {
      const other = watched({ mysql, redis });
      expect((await other.catalogue.lookup([101])).get(101)).toEqual(known); // Redis
      expect((await one.catalogue.lookup([101, 102])).get(101)).toEqual(known); // memory
      for (const ids of [[103], [101, 103], [9_999]]) expect((await rejection(one.catalogue.lookup(ids))).error).toEqual(retryable);
      expect(await behind.exists('blueprint_mapping:103', 'blueprint_mapping:9999')).toBe(0);
      await mariadb.start();
      expect((await one.catalogue.lookup([103, 9_999])).get(9_999)).toEqual({ kind: 'unknown' });
    } finally {
      await mariadb.start();
    }
  });

  test('killed in the middle of queries: each of them is an error to wait for, none says unknown', async () => {
    const one = watched({ mysql: { query: (sql, values) => mysql.query(`${sql} UNION ALL SELECT SLEEP(0.3), 0, 0`, values) }, redis });
    const asked = Array.from({ length: 8 }, (_, n) => rejection(one.catalogue.lookup([101 + n])));
    await until('a query is at work', () => mysql.stats().used > 0 && one.queries.length > 0);
    await mariadb.kill();
    try {
      for (const { error } of await Promise.all(asked)) expect(error).toEqual(retryable);
    } finally {
      await mariadb.start();
    }
    expect((await watched({ mysql, redis }).catalogue.lookup([101])).get(101)).toEqual(known);
  });

  test('frozen: the look-up ends in time with an error to wait for, the next one after works', async () => {
    const gate = await gateTo(mariadb.url);
    const through = mysqlOf({ url: database.through(gate.port), poolMax: 2, acquireTimeoutMs: 300, queryTimeoutMs: 300 });
    try {
      const one = watched({ mysql: through, redis });
      await one.catalogue.lookup([101]);
      gate.freeze();
      for (let n = 0; n < 3; n += 1) {
        const { error, ms } = await rejection(one.catalogue.lookup([104, 105 + n]));
        expect(error).toEqual(retryable);
        expect(ms).toBeLessThan(1_500);
      }
      gate.thaw();
      await until('it works again', () => one.catalogue.lookup([104]).then((found) => found.get(104)?.kind === 'print', () => false));
    } finally {
      await through.close();
    }
  });

  test('slow: a query that takes too long is an error to wait for', async () => {
    const one = watched({ mysql: { query: (sql, values) => mysql.query(`${sql} UNION ALL SELECT SLEEP(5), 0, 0`, values) }, redis });
    const { error, ms } = await rejection(one.catalogue.lookup([101]));
    expect(error).toMatchObject({ code: 'BRX_MYSQL_TIMEOUT', retryable: true });
    expect(ms).toBeLessThan(2_000);
  });

  test('without the tables: an error that says so, and no reason to wait', async () => {
    const empty = await createCatalogueDatabase(mariadb.url, { tables: false });
    const without = mysqlOf({ url: empty.url });
    expect((await rejection(watched({ mysql: without }).catalogue.lookup([101]))).error).toMatchObject({ code: 'BRX_MYSQL_REFUSED', retryable: false, message: expect.stringContaining("cards_prints' doesn't exist") as string });
    await without.close();
    await empty.drop();
  });

  test('a replica dead and back: look-ups never fail', async () => {
    const gate = await gateTo(mariadb.url);
    const both = mysqlOf({ url: database.url, replicaUrls: [database.through(gate.port)], acquireTimeoutMs: 500, queryTimeoutMs: 500 }, { restoreReplicaMs: 50 });
    try {
      const one = watched({ mysql: both, config: { memoryEntries: 1 } });
      expect((await one.catalogue.lookup([101])).get(101)).toEqual(known);
      await gate.shut();
      for (let n = 0; n < 10; n += 1) expect((await one.catalogue.lookup([101 + n])).get(101 + n)?.kind).toBe('print');
      await gate.reopen();
      const before = gate.taken;
      await until('the replica is asked again', async () => {
        for (const id of [111, 112]) expect((await one.catalogue.lookup([id])).get(id)?.kind).toBe('print');
        return gate.taken > before;
      });
    } finally {
      await both.close();
    }
  });
});

describe('Redis', () => {
  test('away from the start, or not there at all: straight to MySQL, with one line and a count', async () => {
    const { logger, lines } = keepingLogger();
    await redisServer.stop();
    try {
      const one = watched({ mysql, redis, logger, config: { memoryEntries: 1 } });
      await until('it is noticed', () => redis.state === 'away');
      const begun = performance.now();
      for (let n = 0; n < 10; n += 1) expect((await one.catalogue.lookup([101 + n])).get(101 + n)?.kind).toBe('print');
      expect(performance.now() - begun).toBeLessThan(1_000);
      await one.catalogue.settled();
      expect(one.redisFailures.length).toBeGreaterThanOrEqual(10);
      expect(lines.map(({ msg }) => msg)).toEqual(['blueprints are looked up in MySQL directly, without Redis']);
      await redisServer.start();
      await until('Redis is back', () => redis.state === 'ready');
      await one.catalogue.lookup([101]);
      await one.catalogue.settled();
      expect(lines.at(-1)?.msg).toBe('blueprints are looked up in Redis again');
      expect(await until('the observer sees it', () => behind.get('blueprint_mapping:101').then((text) => text ?? undefined, () => undefined))).toBe('cards_prints:1');
    } finally {
      await redisServer.start();
    }
  });

  test('that dies between two look-ups, or says nothing: the answer comes all the same', async () => {
    const gate = await gateTo(redisServer.url);
    const through = await connected(`redis://127.0.0.1:${gate.port}`, { commandTimeoutMs: 200 });
    try {
      const one = watched({ mysql, redis: through, config: { memoryEntries: 1 } });
      await one.catalogue.lookup([101]);
      gate.freeze();
      const begun = performance.now();
      expect((await one.catalogue.lookup([102])).get(102)?.kind).toBe('print');
      expect(performance.now() - begun).toBeLessThan(1_000);
      expect(one.redisFailures).toContain('read');
      await gate.shut();
      expect((await one.catalogue.lookup([103])).get(103)?.kind).toBe('print');
    } finally {
      await through.close();
    }
  });

  test('flushed: asked for again and filled again, answers stay the same', async () => {
    const one = watched({ mysql, redis, config: { memoryEntries: 1 } });
    const before = await one.catalogue.lookup([101, 102, 9_999]);
    await one.catalogue.settled();
    await behind.flushall();
    await one.catalogue.lookup([120]);
    expect(await one.catalogue.lookup([101, 102, 9_999])).toEqual(before);
    await one.catalogue.settled();
    expect(one.queries).toEqual([3, 1, 3]);
    expect(await behind.exists('blueprint_mapping:101', 'blueprint_mapping:102', 'blueprint_mapping:9999')).toBe(3);
  });

  test('and MySQL away together: an error to wait for', async () => {
    const gate = await gateTo(mariadb.url);
    const through = mysqlOf({ url: database.through(gate.port), acquireTimeoutMs: 300 });
    await gate.shut();
    await redis.close();
    expect((await rejection(watched({ mysql: through, redis }).catalogue.lookup([101]))).error).toEqual(retryable);
    await through.close();
  });
});
