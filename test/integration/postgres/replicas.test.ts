import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startPrivatePostgres, type PrivatePostgres } from '../../../stack/index.ts';
import type { ReplicasConfig } from '../../../src/config.ts';
import { createMetrics } from '../../../src/platform/metrics.ts';
import { createPostgres, createReaders, readerMetrics, watchReaders, type Postgres, type Reader, type Readers, type ReadOptions } from '../../../src/platform/postgres/index.ts';
import { commandLine } from '../../support/cli.ts';
import { createEmptyDatabase, createTestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { randomUuid } from '../../support/events.ts';
import { keepingLogger } from '../../support/redis.ts';
import { stackUrls } from '../../support/stack.ts';
import { startTcpGate, type TcpGate } from '../../support/tcp-gate.ts';
import { until } from '../../support/wait.ts';

/**
 * Protects: inventory queries go to a replica only when it has what it must have; one that is behind, dead, frozen, promoted or somebody else's is found out, and
 * the primary answers. A primary and two streaming replicas of this test's own; replay is paused to make one fall behind.
 */
let server: PrivatePostgres;
const standbys: PrivatePostgres[] = [];
let database: { name: string; url: string };
let admin: pg.Client;
const open: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  server = await startPrivatePostgres();
  database = await createEmptyDatabase(server.url);
  admin = await clientOf(database.url);
  await admin.query('CREATE TABLE told (n integer PRIMARY KEY)');
  for (let n = 0; n < 2; n += 1) standbys.push(await startPrivatePostgres(undefined, { standbyOf: server.port }));
}, 120_000);
afterAll(async () => {
  await admin.end();
  for (const one of [...standbys, server]) await one.remove();
});
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function clientOf(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
const at = (url: string, port: number): string => url.replace(/:\d+\//, `:${port}/`);
const on = async <Row extends pg.QueryResultRow>(standby: PrivatePostgres, sql: string): Promise<Row[]> => {
  const client = await clientOf(at(database.url, standby.port));
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
};
const pause = (standby: PrivatePostgres): Promise<unknown> => on(standby, 'SELECT pg_wal_replay_pause()');
const go = (standby: PrivatePostgres): Promise<unknown> => on(standby, 'SELECT pg_wal_replay_resume()');
const paused = async (standby: PrivatePostgres): Promise<void> => {
  await pause(standby);
  await until('replay stands still', async () => (await on<{ state: string }>(standby, 'SELECT pg_get_wal_replay_pause_state() AS state'))[0]?.state === 'paused');
};
let last = 0;
const write = async (): Promise<number> => {
  last += 1;
  await admin.query('INSERT INTO told VALUES ($1)', [last]);
  return last;
};
const newest = async ({ pool }: Reader): Promise<number> => (await pool.query<{ n: number }>('SELECT coalesce(max(n), 0) AS n FROM told')).rows[0]!.n;
const caughtUp = async (standby: PrivatePostgres): Promise<void> => void (await until('the replica has everything', async () => (await on<{ n: number }>(standby, 'SELECT coalesce(max(n), 0) AS n FROM told'))[0]?.n === last));

interface World {
  readonly readers: Readers;
  readonly primary: Postgres;
  /** Who was asked, and why the primary. */
  readonly log: string[];
  readonly lines: { msg: string }[];
  readonly ask: (options?: ReadOptions) => Promise<number>;
  readonly metrics: () => Promise<string>;
}
function reading(config: Partial<ReplicasConfig> = {}, urls = standbys.map(({ port }) => at(database.url, port))): World {
  const { logger, lines } = keepingLogger();
  const primary = createPostgres(databaseConfig(database.url), { logger, applicationName: 'reads', keyLookupsOnly: false });
  const log: string[] = [];
  const metrics = createMetrics({ process: false });
  const counts = readerMetrics(metrics);
  const readers = createReaders({ urls, poolMax: 2, maxLagMs: 1_000, waitMs: 100, ...config }, primary.config, {
    primary,
    logger,
    applicationName: 'reads',
    ...counts,
    onRead(name) {
      log.push(name);
      counts.onRead(name);
    },
    onFallback(reason) {
      log.push(reason);
      counts.onFallback(reason);
    },
  });
  watchReaders(metrics, primary.pool, readers, logger);
  open.push(async () => {
    await readers.close();
    await primary.close();
  });
  return { readers, primary, log, lines, ask: (options) => readers.readFrom(newest, options), metrics: () => metrics.render() };
}

describe('reads', () => {
  test('go to the replicas in turn, also long after the last write', async () => {
    await write();
    for (const standby of standbys) await caughtUp(standby);
    const { ask, log, metrics } = reading({ maxLagMs: 50 });
    // The last transaction is older than the lag that is allowed, and will get older: nothing lags.
    await until('the last transaction is old', async () => (await on<{ old: boolean }>(standbys[0]!, "SELECT now() - pg_last_xact_replay_timestamp() > '200 ms' AS old"))[0]?.old);
    for (let n = 0; n < 6; n += 1) expect(await ask()).toBe(last);
    expect(log).toEqual(['replica-1', 'replica-2', 'replica-1', 'replica-2', 'replica-1', 'replica-2']);
    const text = await metrics();
    expect(text).toMatch(/^brx_reads_total\{server="replica-2"\} 3$/m);
    for (const name of ['replica-1', 'replica-2']) {
      expect(text).toMatch(new RegExp(`^brx_replica_lag_seconds\\{replica="${name}"\\} 0$`, 'm'));
      expect(text).toMatch(new RegExp(`^brx_pool_max_connections\\{pool="postgres-${name}"\\} 2$`, 'm'));
    }
  });

  test('go to a replica also at the very start of a segment of the log, where nothing is written yet', async () => {
    const { ask, log } = reading({ waitMs: 2_000 });
    await admin.query('SELECT pg_switch_wal()');
    for (let n = 0; n < 4; n += 1) expect(await ask({ maxLagMs: 0 })).toBe(last);
    expect(log).not.toContain('lag');
  });

  test('without replicas are the primary’s, and nothing else is asked', async () => {
    const { ask, log } = reading({}, []);
    expect(await ask({ after: '0/1' })).toBe(last);
    expect(log).toEqual(['primary']);
  });

  test('write nothing on a replica; what the read itself throws is not tried again elsewhere', async () => {
    const { readers, log } = reading();
    const refused = readers.readFrom(async () => Promise.reject(new RangeError('of the caller')));
    await expect(refused).rejects.toThrow('of the caller');
    await expect(readers.readFrom(({ pool }) => pool.query("SELECT 'x'::integer"))).rejects.toThrow('invalid input syntax');
    expect(log).toEqual([]);
  });

  test('a caller finds what it has written, at once and always', async () => {
    const { readers, ask, log } = reading({ waitMs: 2_000 });
    for (let n = 0; n < 40; n += 1) {
      const written = await write();
      expect(await ask({ after: await readers.position() })).toBeGreaterThanOrEqual(written);
    }
    expect(log.filter((one) => one.startsWith('replica')).length).toBeGreaterThan(20); // waited for, rather than asked elsewhere
  });

  test('with a bound of 0 find everything that was committed before', async () => {
    const { ask } = reading({ waitMs: 2_000 });
    for (let n = 0; n < 40; n += 1) {
      const written = await write();
      expect(await ask({ maxLagMs: 0 })).toBeGreaterThanOrEqual(written);
    }
  });
});

describe('a replica that is behind', () => {
  test('answers within the bound, is not asked beyond it, is waited for once and not by everybody, and is back when it has caught up', async () => {
    const standby = standbys[0]!;
    await caughtUp(standby);
    const { ask, readers, log, metrics } = reading({ maxLagMs: 60_000, waitMs: 150 }, [at(database.url, standby.port)]);
    expect(await ask()).toBe(last);
    await paused(standby);
    const before = last;
    const written = await write();
    const position = await readers.position();
    expect([await ask(), log.at(-1)]).toEqual([before, 'replica-1']); // a minute is allowed, and far from over
    const begun = performance.now();
    expect([await ask({ after: position }), log.slice(-2)]).toEqual([written, ['lag', 'primary']]);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(150);
    const again = performance.now();
    for (let n = 0; n < 5; n += 1) expect([await ask({ maxLagMs: 0 }), log.slice(-2)]).toEqual([written, ['lag', 'primary']]);
    expect(performance.now() - again).toBeLessThan(5 * 150);
    await until('its lag is seen', async () => Number(/^brx_replica_lag_seconds\{replica="replica-1"\} (\S+)$/m.exec(await metrics())?.[1]) > 0);
    expect(await metrics()).toMatch(/^brx_read_fallbacks_total\{reason="lag"\} 6$/m);
    await go(standby);
    await until('it answers what is new', async () => (await ask({ after: position })) === written && log.at(-1) === 'replica-1');
  });

  test('while the other one is not: the other one answers', async () => {
    const [first, second] = standbys as [PrivatePostgres, PrivatePostgres];
    const { ask, log } = reading({ waitMs: 2_000 });
    await paused(first);
    const written = await write();
    await caughtUp(second);
    for (let n = 0; n < 6; n += 1) expect(await ask({ maxLagMs: 0 })).toBe(written);
    expect(new Set(log)).toEqual(new Set(['replica-2']));
    await go(first);
  });

  test('a position no log here has ever reached is the primary’s to answer, and nobody waits for it', async () => {
    const { ask, log } = reading({ waitMs: 5_000 });
    const begun = performance.now();
    expect(await ask({ after: 'FFFFFFFF/FFFFFFFF' })).toBe(last);
    expect(performance.now() - begun).toBeLessThan(2_500);
    expect(log).toEqual(['primary']);
  });
});

describe('a replica that fails', () => {
  test('dead: left alone, longer each time, and back by itself', async () => {
    const { ask, log, lines } = reading();
    await ask();
    await standbys[0]!.kill();
    for (let n = 0; n < 20; n += 1) expect(await ask()).toBe(last);
    expect(log).not.toContain('away'); // the other one is there
    expect(lines.map(({ msg }) => msg).filter((msg) => msg.startsWith('PostgreSQL replica'))).toEqual(['PostgreSQL replica failed; reads go to the other servers']);
    await standbys[0]!.start();
    await until('it answers again', async () => (await ask()) === last && lines.some(({ msg }) => msg === 'PostgreSQL replica is back in rotation'));
    log.length = 0;
    for (let n = 0; n < 4; n += 1) await ask();
    expect(log.filter((one) => one === 'replica-1').length).toBeGreaterThan(0);
  });

  test('all of them dead: the primary', async () => {
    const { ask, log, metrics } = reading({}, ['postgresql://brx@127.0.0.1:1/x', 'postgresql://brx@127.0.0.1:2/x']);
    for (let n = 0; n < 5; n += 1) expect(await ask()).toBe(last);
    expect(new Set(log)).toEqual(new Set(['away', 'primary']));
    expect(await metrics()).toMatch(/^brx_replica_lag_seconds\{replica="replica-1"\} NaN$/im);
  });

  describe('frozen', () => {
    let gate: TcpGate;
    beforeAll(async () => void (gate = await startTcpGate({ host: '127.0.0.1', port: standbys[0]!.port })));
    afterAll(() => gate.close());
    test('costs one short wait, then it is left alone; thawed it is back', async () => {
      const { ask, log } = reading({}, [at(database.url, gate.port)]);
      await ask();
      gate.freeze();
      await until('it is left alone', async () => (await ask()) === last && log.includes('away'), { timeoutMs: 15_000 });
      const begun = performance.now();
      for (let n = 0; n < 10; n += 1) expect(await ask()).toBe(last);
      expect(performance.now() - begun).toBeLessThan(4_000);
      gate.thaw();
      await until('it answers again', async () => (await ask()) === last && log.at(-1) === 'replica-1');
    });
  });

  test('of another cluster, of another database, and the primary itself: never asked, and said why', async () => {
    const other = await startPrivatePostgres();
    try {
      const elsewhere = await createEmptyDatabase(other.url);
      for (const url of [elsewhere.url, at(database.url, standbys[0]!.port).replace(/\/[^/]*$/, '/postgres'), database.url]) {
        const { ask, log, lines } = reading({}, [url]);
        expect(await ask()).toBe(last);
        expect(log).toEqual(['away', 'primary']);
        expect(JSON.stringify(lines)).toMatch(/another database than the primary|no standby/);
        expect(JSON.stringify(lines)).not.toContain(url);
      }
    } finally {
      await other.remove();
    }
  });

  test('promoted: out within a second, though it still answers', async () => {
    const standby = await startPrivatePostgres(undefined, { standbyOf: server.port });
    try {
      const { ask, log, lines } = reading({ maxLagMs: 60_000 }, [at(database.url, standby.port)]);
      await ask();
      await on(standby, 'SELECT pg_promote()');
      await until('it is found out', async () => (await ask()) === last && log.includes('away'));
      expect(JSON.stringify(lines)).toContain('no standby');
    } finally {
      await standby.remove();
    }
  });

  test('a query that a conflict with replay cancels is asked of the primary', async () => {
    const { readers, log } = reading();
    let asked = 0;
    const answer = await readers.readFrom(async ({ pool }) => {
      asked += 1;
      if (asked === 1) await pool.query("DO $$ BEGIN RAISE EXCEPTION 'canceling statement due to conflict with recovery' USING ERRCODE = '40001'; END $$");
      return newest({ pool } as Reader);
    });
    expect([answer, asked, log]).toEqual([last, 2, ['failed', 'primary']]);
  });
});

test('the primary away: an error at once that can be tried again, for nobody can tell how far a replica is behind', async () => {
  const away = createPostgres(databaseConfig('postgresql://brx@127.0.0.1:1/x', { acquireTimeoutMs: 300 }), { logger: keepingLogger().logger, applicationName: 'reads', keyLookupsOnly: false });
  const readers = createReaders({ urls: [at(database.url, standbys[0]!.port)], poolMax: 1, maxLagMs: 1_000, waitMs: 100 }, away.config, { primary: away, logger: keepingLogger().logger, applicationName: 'reads' });
  try {
    await expect(readers.readFrom(newest)).rejects.toThrow();
  } finally {
    await readers.close();
    await away.close();
  }
});

test('commands ask a replica, and never tell what was before: neither of somebody else’s change nor of the operator’s own a moment ago', async () => {
  const standby = standbys[0]!;
  const migrated = await createTestDatabase(server.url);
  const gate = await startTcpGate({ host: '127.0.0.1', port: standby.port });
  const client = await clientOf(migrated.url);
  try {
    const { brx } = commandLine({ BRX_KAFKA_BROKERS: stackUrls().kafkaBrokers, BRX_SCHEMA_REGISTRY_URL: stackUrls().registryUrl, BRX_DATABASE_URL: migrated.url, BRX_DATABASE_REPLICA_URLS: at(migrated.url, gate.port) });
    const user = randomUuid();
    await client.query("INSERT INTO marketplace_sellers (user_id, status, token, token_key_id, token_hint) VALUES ($1, 'active', '\\x00', 'k', '…')", [user]);
    expect((await brx(['users', 'list', '--json'])).json).toMatchObject([{ userId: user, status: 'active' }]);
    expect((await brx(['item', user, randomUuid(), '--json'])).json).toMatchObject({ item: null, user_items: 0 });
    expect(gate.taken).toBeGreaterThanOrEqual(2);
    await paused(standby);
    expect(await brx(['users', 'pause', user, '--reason', 'test', '--json'])).toMatchObject({ exit: 0 });
    expect((await brx(['users', 'show', user, '--json'])).json).toMatchObject({ status: 'paused', actions: [{ action: 'users.pause' }] });
    await go(standby);
    await gate.shut();
    expect((await brx(['users', 'show', user, '--json'])).json).toMatchObject({ status: 'paused' });
  } finally {
    await client.end();
    await gate.close();
    await migrated.drop();
  }
});
