import type { Redis as Client } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { warm, warmAll } from '../../../src/catalogue/index.ts';
import type { Mysql } from '../../../src/platform/mysql/index.ts';
import type { Redis } from '../../../src/platform/redis/index.ts';
import { fakeClock } from '../../support/fake-clock.ts';
import { createCatalogueDatabase, mysqlOf, watched, type TestCatalogueDatabase } from '../../support/mysql.ts';
import { connected, observer } from '../../support/redis.ts';
import { stackUrls, startPrivateRedis, type PrivateService } from '../../support/stack.ts';
import { until } from '../../support/wait.ts';

/** Protects: what was corrected in MySQL and invalidated is seen by every process within ten seconds, and an old answer on its way does not bring it back. */
let database: TestCatalogueDatabase;
let server: PrivateService;
let behind: Client;
let redis: Redis;
let mysql: Mysql;

beforeAll(async () => {
  [database, server] = [await createCatalogueDatabase(stackUrls().mysqlUrl), await startPrivateRedis()];
  behind = observer(server.url);
});
afterAll(async () => {
  behind.disconnect();
  await server.remove();
  await database.drop();
});
beforeEach(async () => {
  await behind.flushall();
  await database.behind.query('TRUNCATE TABLE cards_prints');
  await database.put('cards_prints', 1, 100);
  await database.put('cards_prints', 2, 101);
  redis = await connected(server.url);
  mysql = mysqlOf({ url: database.url });
});
afterEach(async () => {
  await redis.close();
  await mysql.close();
});

const move = async (): Promise<void> => {
  await database.put('cards_prints', 1, null);
  await database.put('cards_prints', 7, 100);
};
const printOf = async ({ catalogue }: ReturnType<typeof watched>): Promise<number | undefined> => {
  const mapping = (await catalogue.lookup([100])).get(100);
  return mapping?.kind === 'print' ? mapping.print.id : undefined;
};

test('here at once, in another process within ten seconds, and nothing else is lost in Redis', async () => {
  const clock = fakeClock();
  const [here, there] = [watched({ mysql, redis, clock }), watched({ mysql, redis, clock })];
  await here.catalogue.lookup([100, 101]);
  await here.catalogue.settled();
  await there.catalogue.lookup([100, 101]);
  await move();
  expect(await here.catalogue.invalidate([100])).toBe(1);
  expect(await printOf(here)).toBe(7);
  await here.catalogue.settled();
  expect(await printOf(there)).toBe(1);
  await clock.advance(10_000);
  expect(await printOf(there)).toBe(7);
  expect(there.queries).toEqual([]); // all of it from Redis
  await there.catalogue.lookup([101]);
  expect(there.answered.get('redis print')).toBe(4);
});

test('all of it: nothing is left in Redis, other keys are', async () => {
  const { catalogue, queries } = watched({ mysql, redis, config: { memoryEntries: 10_000 } });
  await catalogue.lookup(Array.from({ length: 2_500 }, (_, n) => n + 1));
  await catalogue.settled();
  await behind.set('somebody-else', 'x');
  expect(await catalogue.invalidate('all')).toBe(2_500);
  expect(await behind.keys('blueprint_mapping:*')).toEqual([]);
  expect(await behind.get('somebody-else')).toBe('x');
  queries.length = 0;
  await catalogue.lookup([100]);
  expect(queries).toEqual([1]);
});

test.each(['the same process', 'another process'])('an answer that was on its way when %s forgot it stays out of memory and Redis', async (who) => {
  let go: (() => void) | undefined;
  const slow: Pick<Mysql, 'query'> = {
    query: async (sql, values) => {
      const rows = await mysql.query(sql, values);
      await new Promise<void>((resolve) => (go = resolve));
      return rows;
    },
  };
  const late = watched({ mysql: slow, redis });
  const other = watched({ mysql, redis });
  const answer = printOf(late);
  await until('MySQL has answered with the old print', () => go !== undefined);
  await move();
  await (who === 'another process' ? other : late).catalogue.invalidate([100]);
  go?.();
  expect(await answer).toBe(1); // who asked before gets what was true then
  await late.catalogue.settled();
  expect(await behind.get('blueprint_mapping:100')).toBeNull();
  if (who === 'the same process') {
    go = undefined;
    const again = printOf(late);
    await until('it asks again', () => go !== undefined);
    (go as unknown as () => void)();
    expect(await again).toBe(7);
  }
});

test('a look-up after an invalidation does not join one from before it', async () => {
  const gates: (() => void)[] = [];
  const slow: Pick<Mysql, 'query'> = {
    query: async (sql, values) => {
      const rows = await mysql.query(sql, values);
      await new Promise<void>((resolve) => gates.push(resolve));
      return rows;
    },
  };
  const one = watched({ mysql: slow, redis });
  const before = printOf(one);
  await until('it was asked', () => gates.length === 1);
  await move();
  await one.catalogue.invalidate([100]);
  const after = printOf(one);
  await until('it was asked again', () => gates.length === 2);
  for (const open of gates) open();
  expect(await Promise.all([before, after])).toEqual([1, 7]);
});

test('Redis that lost everything empties no memory', async () => {
  const clock = fakeClock();
  const one = watched({ mysql, redis, clock });
  await one.catalogue.invalidate([5]);
  await one.catalogue.lookup([100]);
  await one.catalogue.settled();
  await behind.flushall();
  await clock.advance(20_000);
  await one.catalogue.lookup([100]);
  expect(one.queries).toEqual([1]);
});

test('warm: what it reads is MySQL’s, whatever Redis had; all of it, each id once', async () => {
  const one = watched({ mysql, redis });
  await behind.set('blueprint_mapping:100', 'cards_prints:5');
  await database.behind.query('INSERT INTO op_prints (id, cardtrader_id) VALUES ?', [Array.from({ length: 1_200 }, (_, n) => [n + 1, 101 + n])]);
  const told: [number, number | undefined][] = [];
  expect(await warmAll(one.catalogue, mysql, { onProgress: (done, total) => told.push([done, total]) })).toEqual({ print: 1_200, unknown: 0, ambiguous: 1 });
  expect(await behind.get('blueprint_mapping:100')).toBe('cards_prints:1');
  expect(await behind.get('blueprint_mapping:101')).toBe('cards_prints:2 op_prints:1');
  expect(await behind.dbsize()).toBe(1_201);
  expect(told).toEqual([[500, 1_202], [1_000, 1_202], [1_201, 1_202]]);
  expect(await warm(one.catalogue, [100, 31])).toEqual({ print: 1, unknown: 1, ambiguous: 0 });
  await database.behind.query('TRUNCATE TABLE op_prints');
});
