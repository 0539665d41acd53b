import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { MysqlConfig } from '../../../src/config.ts';
import type { Mysql } from '../../../src/platform/mysql/index.ts';
import { fakeClock } from '../../support/fake-clock.ts';
import { createCatalogueDatabase, mysqlOf, type TestCatalogueDatabase } from '../../support/mysql.ts';
import { keepingLogger, rejection } from '../../support/redis.ts';
import { stackUrls } from '../../support/stack.ts';
import { startTcpGate, type TcpGate } from '../../support/tcp-gate.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects: reads go to the replicas in turn; one that is gone, frozen or slow costs one wait and is left alone, the primary serves meanwhile, and it
 * comes back by itself; no wait for a connection is endless, and there are never more connections than said. Three gates before one server.
 */
let database: TestCatalogueDatabase;
let gates: TcpGate[] = [];
let mysql: Mysql;
let lines: ReturnType<typeof keepingLogger>['lines'];
const asked: string[] = [];

beforeAll(async () => {
  database = await createCatalogueDatabase(stackUrls().mysqlUrl, { tables: false });
});
afterAll(() => database.drop());
beforeEach(async () => {
  gates = [];
  for (let n = 0; n < 3; n += 1) gates.push(await startTcpGate({ host: '127.0.0.1', port: Number(new URL(stackUrls().mysqlUrl).port) }));
  asked.length = 0;
});
afterEach(async () => {
  for (const gate of gates) await gate.close();
  await mysql.close();
});

const [PRIMARY, FIRST, SECOND] = [0, 1, 2];
const gate = (n: number): TcpGate => gates[n]!;
function open(config: Partial<MysqlConfig> = {}, { restoreReplicaMs = 100, replicas = 2 } = {}): Mysql {
  const kept = keepingLogger();
  lines = kept.lines;
  const urls = gates.map(({ port }) => database.through(port));
  mysql = mysqlOf(
    { replicaUrls: urls.slice(1, 1 + replicas), acquireTimeoutMs: 400, queryTimeoutMs: 400, ...config, url: urls[0]! },
    { logger: kept.logger, restoreReplicaMs, onQuery: ({ server, outcome }) => asked.push(`${server} ${outcome}`) },
  );
  return mysql;
}
const ask = async (): Promise<number> => Number((await mysql.query('SELECT ? AS n', [7]))[0]?.['n']);
const messages = (): string[] => lines.map(({ msg }) => msg);
const OUT = 'MySQL replica failed; reads go to the other servers';
const BACK = 'MySQL replica is back in rotation';

describe('reads', () => {
  test('go to the replicas in turn, and to the primary only when there are none', async () => {
    open();
    for (let n = 0; n < 2; n += 1) expect(await ask()).toBe(7);
    expect(gates.map(({ taken }) => taken)).toEqual([0, 1, 1]);
    for (let n = 0; n < 4; n += 1) expect(await ask()).toBe(7);
    expect(asked).toEqual(Array.from({ length: 6 }, () => 'replica ok'));
    expect(gate(PRIMARY).taken).toBe(0);
    await mysql.close();
    open({}, { replicas: 0 });
    expect(await ask()).toBe(7);
    expect(gate(PRIMARY).taken).toBe(1);
  });

  test('of one replica that is dead go to the other, and it comes back by itself', async () => {
    open();
    await ask();
    await ask();
    await gate(FIRST).shut();
    for (let n = 0; n < 4; n += 1) expect(await ask()).toBe(7);
    expect(asked.filter((one) => one.endsWith('failed'))).toHaveLength(1); // the others were not sent there
    expect(messages()).toEqual([OUT]);
    await gate(FIRST).reopen();
    const before = gate(FIRST).taken;
    await until('it is asked again', async () => (await ask()) === 7 && gate(FIRST).taken > before && messages().includes(BACK));
    asked.length = 0;
    for (let n = 0; n < 4; n += 1) await ask();
    expect(asked).not.toContain('replica failed');
  });

  test('of a replica that is frozen wait once, then go elsewhere; connections to it do not pile up', async () => {
    open();
    await ask();
    await ask();
    gate(FIRST).freeze();
    const begun = performance.now();
    for (let n = 0; n < 10; n += 1) expect(await ask()).toBe(7);
    expect(asked.filter((one) => one === 'replica failed').length).toBeGreaterThanOrEqual(1);
    expect(performance.now() - begun).toBeLessThan(10 * 400);
    for (let n = 0; n < 3; n += 1) {
      const failures = asked.filter((one) => one === 'replica failed').length;
      await until('it was tried again, in vain', async () => (await ask()) === 7 && asked.filter((one) => one === 'replica failed').length > failures);
    }
    expect(gate(FIRST).open).toBeLessThanOrEqual(4);
    gate(FIRST).thaw();
    await until('it is back', async () => (await ask()) === 7 && messages().includes(BACK));
  });

  test('of a replica that is too slow go elsewhere, most of them without waiting for it, until it is quick again', async () => {
    open({}, { restoreReplicaMs: 60_000 });
    await ask();
    await ask();
    gate(FIRST).slow(1_000);
    const begun = performance.now();
    for (let n = 0; n < 20; n += 1) expect(await ask()).toBe(7);
    expect(asked.filter((one) => one === 'replica failed')).toHaveLength(1);
    expect(performance.now() - begun).toBeLessThan(3 * 400);
    await mysql.close();
    asked.length = 0;
    open();
    await until('it was tried, in vain', async () => (await ask()) === 7 && asked.includes('replica failed'));
    gate(FIRST).slow(0);
    await until('it is back', async () => (await ask()) === 7 && messages().includes(BACK));
  });

  test('go to the primary when every replica is dead; when that is dead too they say so, and work again after', async () => {
    open();
    for (const n of [FIRST, SECOND]) await gate(n).shut();
    expect(await ask()).toBe(7);
    expect(asked.at(-1)).toBe('primary ok');
    await gate(PRIMARY).shut();
    expect((await rejection(ask())).error).toMatchObject({ code: 'BRX_MYSQL_UNAVAILABLE', retryable: true, message: expect.stringContaining('MySQL primary') as string });
    for (const one of gates) await one.reopen();
    expect(await ask()).toBe(7); // the primary needs no rest
  });

  test('a replica that refuses what the primary does not is left alone too', async () => {
    open({ replicaUrls: [database.through(gate(FIRST).port).replace('/brx_test_', '/no_brx_test_')] });
    expect(await ask()).toBe(7);
    expect(asked).toEqual(['replica failed', 'primary ok']);
  });
});

describe('a replica after its rest', () => {
  test('is tried by one read, while the others go elsewhere', async () => {
    const clock = fakeClock();
    const first = gate(FIRST);
    mysql = mysqlOf(
      { url: database.through(gate(PRIMARY).port), replicaUrls: [database.through(first.port)] },
      { clock, restoreReplicaMs: 1_000, onQuery: ({ server, outcome }) => asked.push(`${server} ${outcome}`) },
    );
    await first.shut();
    await ask();
    await clock.advance(999);
    await ask();
    expect(asked).toEqual(['replica failed', 'primary ok', 'primary ok']);
    asked.length = 0;
    await clock.advance(1);
    await Promise.all(Array.from({ length: 8 }, ask));
    expect(asked.toSorted()).toEqual([...Array.from({ length: 8 }, () => 'primary ok'), 'replica failed']);
  });
});

describe('connections', () => {
  test('are at most those said, over all servers, however many ask; nobody waits for one longer than said', async () => {
    open({ poolMax: 10 });
    expect(mysql.stats()).toEqual({ used: 0, idle: 0, max: 10, waiting: 0 });
    const slow = Array.from({ length: 40 }, () => mysql.query('SELECT SLEEP(0.02)'));
    let peak = 0;
    const all = Promise.all(slow);
    await until('all are answered', async () => {
      peak = Math.max(peak, gates.reduce((sum, one) => sum + one.open, 0));
      return (await Promise.race([all.then(() => true), new Promise((resolve) => setImmediate(() => resolve(false)))])) as boolean;
    });
    expect(peak).toBeLessThanOrEqual(10);
    expect(mysql.stats()).toMatchObject({ max: 10, waiting: 0 });
    expect(mysql.stats().idle + mysql.stats().used).toBeLessThanOrEqual(10);
  });

  test('all in use: the wait ends with an error that says what to look at, and the pool is whole afterwards', async () => {
    const waits: number[] = [];
    mysql = mysqlOf({ url: database.url, poolMax: 2, acquireTimeoutMs: 100 }, { onWait: (ms) => waits.push(ms) });
    const holding = [1, 2].map(() => mysql.session(5_000, (run) => run('SELECT SLEEP(0.5)')));
    await until('both are taken', () => mysql.stats().used === 2);
    const { error, ms } = await rejection(ask());
    expect(error).toMatchObject({ code: 'BRX_MYSQL_UNAVAILABLE', retryable: true, message: expect.stringContaining('no connection within 100 ms') as string, remedy: expect.stringContaining('BRX_MYSQL_POOL_MAX') as string });
    expect(ms).toBeGreaterThanOrEqual(95);
    expect(ms).toBeLessThan(400);
    await Promise.all(holding);
    expect(waits.some((wait) => wait >= 95)).toBe(true);
    await until('the late one has been given back', () => mysql.stats().used === 0 && mysql.stats().waiting === 0);
    expect(await Promise.all([ask(), ask(), ask()])).toEqual([7, 7, 7]);
  });

  test('one whose query took too long is not used again', async () => {
    mysql = mysqlOf({ url: database.url, poolMax: 2, queryTimeoutMs: 100 });
    expect((await rejection(mysql.query('SELECT SLEEP(2)'))).error).toMatchObject({ code: 'BRX_MYSQL_TIMEOUT', retryable: true });
    expect(mysql.stats()).toMatchObject({ used: 0, idle: 0 });
    expect(await ask()).toBe(7);
  });

  test('a transaction somebody left open is not handed on', async () => {
    mysql = mysqlOf({ url: database.url, poolMax: 2 });
    await mysql.session(1_000, (run) => run('START TRANSACTION'));
    const inside = async (): Promise<unknown> => (await mysql.query('SELECT @@in_transaction AS inside'))[0]?.['inside'];
    await until('it was given back', () => mysql.stats().idle === 1);
    expect(await Promise.all([inside(), inside()])).toEqual([0, 0]);
  });

  test('a password is in no error', async () => {
    const url = new URL(database.url);
    url.password = 'hush-hush';
    mysql = mysqlOf({ url: url.toString() });
    const { error } = await rejection(mysql.ping());
    expect(error).toMatchObject({ code: 'BRX_MYSQL_REFUSED', retryable: false });
    expect(`${(error as Error).message} ${(error as Error).stack} ${JSON.stringify(error)}`).not.toContain('hush');
  });
});
