import { describe, expect, test } from 'vitest';
import { readConfig } from '../../../src/config.ts';
import { TOPICS } from '../../../src/contract/index.ts';
import { judgeClock, skewMs } from '../../../src/operations/doctor/clock-skew.ts';
import { judgeConfiguration } from '../../../src/operations/doctor/configuration.ts';
import type { ServerFacts } from '../../../src/operations/doctor/doctor.sql.ts';
import { sayOf, type Finding } from '../../../src/operations/doctor/finding.ts';
import { judgeCluster, judgeTopics } from '../../../src/operations/doctor/kafka.ts';
import { judgeServer } from '../../../src/operations/doctor/postgres.ts';
import { judgeRedis } from '../../../src/operations/doctor/redis.ts';
import { judgeSellers } from '../../../src/operations/doctor/sellers.ts';
import type { Cluster } from '../../../src/platform/kafka/index.ts';

/** Protects: each misconfiguration the doctor promises to find is found, with what to do, and nothing is said about a system that is as it must be. */
const minimal = { BRX_KAFKA_BROKERS: '127.0.0.1:1', BRX_SCHEMA_REGISTRY_URL: 'http://127.0.0.1:2', BRX_DATABASE_URL: 'postgresql://brx@127.0.0.1:3/brx' };
const whole = { ...minimal, BRX_REDIS_URL: 'redis://127.0.0.1:4', BRX_MYSQL_URL: 'mysql://brx:brx@127.0.0.1:5/brx', BRX_SECRET_KEYS: `first:${Buffer.alloc(32, 7).toString('base64')}` };
const config = readConfig(whole);

const wrong = (findings: readonly Finding[]): [string, string][] => findings.filter(({ verdict }) => verdict !== 'ok').map(({ check, verdict }) => [verdict, check]);
/** What is said, and that whatever is not ok comes with a remedy. */
function said(findings: readonly Finding[]): string {
  for (const { verdict, remedy } of findings) expect(remedy === null).toBe(verdict === 'ok' || verdict === 'skipped');
  return findings.map(({ found }) => found).join('\n');
}

describe('configuration', () => {
  test('whole: nothing to say', () => expect(wrong(judgeConfiguration(config, '20.19.0'))).toEqual([]));

  test.each<[string, Record<string, string>, string, [string, string]]>([
    ['no keys', { BRX_SECRET_KEYS: '' }, '22.1.0', ['warning', 'secret keys']],
    ['no Redis', { BRX_REDIS_URL: '' }, '24.0.0', ['warning', 'Redis']],
    ['no MySQL', { BRX_MYSQL_URL: '' }, '20.20.0', ['warning', 'catalogue']],
    ['a crash that is asked for', { BRX_FAULT: 'ingest.after-write:kill' }, '20.19.1', ['failure', 'faults']],
    ['an old Node', {}, '20.18.3', ['failure', 'Node']],
  ])('%s', (_, environment, node, expected) => {
    const findings = judgeConfiguration(readConfig({ ...whole, ...environment }), node);
    said(findings);
    expect(wrong(findings)).toEqual([expected]);
  });
});

describe('a server’s clock', () => {
  test.each([
    [{ before: 1_000, server: 1_500, after: 2_000 }, 0],
    [{ before: 1_000, server: 900, after: 2_000 }, -100],
    [{ before: 1_000, server: 2_300, after: 2_000 }, 300],
  ])('%j is %d ms off: what the question took proves nothing', (reading, skew) => expect(skewMs(reading)).toBe(skew));

  test.each([
    [0, 'ok'],
    [1_999, 'ok'],
    [-2_001, 'warning'],
    [59_999, 'warning'],
    [-60_001, 'failure'],
  ])('%d ms: %s', (skew, verdict) => expect(judgeClock(sayOf('postgres'), { before: 0, server: skew, after: 0 }).verdict).toBe(verdict));
});

describe('PostgreSQL', () => {
  const sound: ServerFacts = { version: 150_020, versionText: '15.20', readOnly: false, nowMs: 0, fsync: 'on', fullPageWrites: 'on', synchronousCommit: 'on', maxConnections: 100, reservedConnections: 3, connections: 20, oursConnected: 12, oldestTransactionMs: 30, preparedTransactions: 0, transactionIdAge: 1_000 };

  test('sound: nothing to say', () => expect(wrong(judgeServer(sound, config))).toEqual([]));

  test.each<[string, Partial<ServerFacts>, [string, string]]>([
    ['too old', { version: 130_011, versionText: '13.11' }, ['failure', 'version']],
    ['a standby', { readOnly: true }, ['failure', 'primary']],
    ['without fsync', { fsync: 'off' }, ['failure', 'durability']],
    ['without full pages', { fullPageWrites: 'off' }, ['failure', 'durability']],
    ['commits that may be lost', { synchronousCommit: 'off' }, ['failure', 'durability']],
    ['no room for one process', { maxConnections: 30, connections: 20, oursConnected: 0 }, ['failure', 'connections']],
    ['no room for the inventory queries of one process', { maxConnections: 18, connections: 0, oursConnected: 0 }, ['failure', 'connections']],
    ['room for one process only', { maxConnections: 30, connections: 5, oursConnected: 0 }, ['warning', 'connections']],
    ['a transaction that nobody ends', { oldestTransactionMs: 700_000 }, ['warning', 'long transactions']],
    ['a prepared transaction', { preparedTransactions: 1 }, ['warning', 'prepared transactions']],
    ['vacuum that cannot work', { transactionIdAge: 900_000_000 }, ['warning', 'transaction ids']],
  ])('%s', (_, facts, expected) => {
    const findings = judgeServer({ ...sound, ...facts }, config);
    said(findings);
    expect(wrong(findings)).toEqual([expected]);
  });

  test('ours that are connected already take no room from ours', () => expect(wrong(judgeServer({ ...sound, maxConnections: 35, connections: 32, oursConnected: 32 }, config))).toEqual([]));
});

describe('Kafka', () => {
  const DAY = 86_400_000;
  const own = new Map([['min.insync.replicas', '2'], ['unclean.leader.election.enable', 'false'], ['retention.ms', String(7 * DAY)]]);
  const topic = { replicas: 3, inSync: 3, leaderless: 0, settings: own };
  const settings = new Map([['auto.create.topics.enable', 'false'], ['offsets.retention.minutes', '50000'], ['group.min.session.timeout.ms', '6000'], ['group.max.session.timeout.ms', '1800000']]);
  const sound: Cluster = { brokers: ['a:1', 'b:1', 'c:1'], settings, topics: new Map([['t', topic]]) };
  const cluster = (change: Partial<Cluster> & { topic?: Partial<typeof topic>; own?: [string, string]; setting?: [string, string] }): Cluster => ({
    ...sound,
    ...change,
    ...(change.setting !== undefined && { settings: new Map([...settings, change.setting]) }),
    ...((change.topic ?? change.own) !== undefined && { topics: new Map([['t', { ...topic, ...change.topic, settings: new Map([...own, ...(change.own === undefined ? [] : [change.own])]) }]]) }),
  });

  test('sound: nothing to say', () => expect(wrong(judgeCluster(sound, config))).toEqual([]));

  test.each<[string, Parameters<typeof cluster>[0], [string, string]]>([
    ['a partition nobody leads', { topic: { leaderless: 2 } }, ['failure', 'partitions']],
    ['a replica that is behind', { topic: { inSync: 2 } }, ['warning', 'partitions']],
    ['one copy, of three brokers', { topic: { replicas: 1, inSync: 1 } }, ['failure', 'replicas']],
    ['acknowledged by one alone', { own: ['min.insync.replicas', '1'] }, ['failure', 'replicas']],
    ['one broker away stops everything', { own: ['min.insync.replicas', '3'] }, ['warning', 'replicas']],
    ['a leader that is behind', { own: ['unclean.leader.election.enable', 'true'] }, ['failure', 'replicas']],
    ['kept longer than is remembered', { own: ['retention.ms', String(31 * DAY)], setting: ['offsets.retention.minutes', '90000'] }, ['failure', 'horizon']],
    ['kept for ever', { own: ['retention.ms', '-1'] }, ['failure', 'horizon']],
    ['topics that make themselves', { setting: ['auto.create.topics.enable', 'true'] }, ['warning', 'broker settings']],
    ['groups that are forgotten', { setting: ['offsets.retention.minutes', '60'] }, ['warning', 'broker settings']],
    ['sessions it does not take', { setting: ['group.max.session.timeout.ms', '10000'] }, ['failure', 'broker settings']],
    ['settings it does not show', { settings: undefined }, ['skipped', 'broker settings']],
  ])('%s', (_, change, expected) => {
    const findings = judgeCluster(cluster(change), config);
    said(findings);
    expect(wrong(findings)).toEqual([expected]);
  });

  test('one broker: what is lost with it, once, not for each topic', () => expect(wrong(judgeCluster(cluster({ brokers: ['a:1'], topic: { replicas: 1, inSync: 1 } }), config))).toEqual([['warning', 'replicas']]));

  test('topics that are missing or not as declared', () => {
    const declared = TOPICS.marketplaceEvents;
    const findings = judgeTopics([
      { name: 'x.a', declared, found: null, verdict: 'missing', remarks: [] },
      { name: 'x.b', declared, found: null, verdict: 'refuse', remarks: ['has 3 partitions'] },
      { name: 'x.c', declared, found: null, verdict: 'differs', remarks: ['keeps 1 day'] },
    ]);
    expect(wrong(findings)).toEqual([['failure', 'topics'], ['failure', 'topics'], ['warning', 'topics']]);
    expect(said(findings)).toContain('x.a');
  });
});

describe('Redis', () => {
  const sound = { version: '7.0.15', role: 'master', evicts: 'noeviction', connections: 5, maxConnections: 10_000 };
  test('sound: nothing to say', () => expect(wrong(judgeRedis(sound))).toEqual([]));
  test.each<[string, Partial<typeof sound>, [string, string]]>([
    ['too old', { version: '4.0.9' }, ['failure', 'version']],
    ['a replica', { role: 'slave' }, ['failure', 'primary']],
    ['counters that may be thrown away', { evicts: 'allkeys-lru' }, ['warning', 'eviction']],
    ['nearly full', { connections: 8_001 }, ['warning', 'connections']],
  ])('%s', (_, facts, expected) => {
    const findings = judgeRedis({ ...sound, ...facts });
    said(findings);
    expect(wrong(findings)).toEqual([expected]);
  });
});

test('sellers: secrets that do not open, tokens CardTrader rejected, and who is paused; many are counted, not listed', () => {
  const sellers = (['active', 'paused', ...Array.from({ length: 7 }, () => 'token_rejected' as const)] as const).map((status, index) => ({ userId: `user-${index}`, status }));
  const findings = judgeSellers(sellers, [{ userId: 'user-0', problem: 'sealed with key "old", which is not here' }]);
  expect(wrong(findings)).toEqual([['failure', 'secrets'], ['failure', 'accounts'], ['warning', 'accounts']]);
  expect(said(findings)).toContain('user-6 and 2 more');
  expect(wrong(judgeSellers([{ userId: 'a', status: 'active' }], []))).toEqual([]);
});

