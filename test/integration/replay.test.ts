import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { partitionOf } from '../../src/contract/index.ts';
import { publishWorkload } from '../../src/operations/generate/index.ts';
import { applyReplay, planReplay, type Picture, type Plan, type ReplayDeps, type ReplayRow } from '../../src/operations/replay/index.ts';
import { businessHash } from '../../src/operations/verify/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createCodec, createRegistry } from '../../src/platform/kafka/index.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { commandLine, type Ran } from '../support/cli.ts';
import { change, randomUuid } from '../support/events.ts';
import { createIngestWorld, type IngestWorld, type RunningIngest } from '../support/ingest.ts';
import { runKafkaTool, stackUrls } from '../support/stack.ts';
import { workload } from '../support/system.ts';
import { until } from '../support/wait.ts';

/** Protects: an operator can have records read again, sees before what comes of it, and can take it back; and nothing is lost or done twice by it. */
const EVENTS = 3_000;
let world: IngestWorld;
let brx: (...argv: string[]) => Promise<Ran>;
let command: (argv: string[]) => Promise<Ran>;
let worker: RunningIngest;

beforeAll(async () => {
  world = await createIngestWorld();
  const { brx: run } = commandLine({
    BRX_KAFKA_BROKERS: stackUrls().kafkaBrokers,
    BRX_SCHEMA_REGISTRY_URL: stackUrls().registryUrl,
    BRX_DATABASE_URL: world.database.url,
    BRX_TOPIC_PREFIX: world.topics.prefix,
    BRX_INGEST_GROUP_ID: world.topics.groupId,
    BRX_SAGA_GROUP_ID: world.topics.sagaGroupId,
  });
  command = run;
  brx = (...argv) => run(['replay', ...argv, '--json']);
  worker = await world.start();
  const { events, kafka: _kafka, producer, schemaIds } = world.topics;
  await publishWorkload(workload({ events: EVENTS, seed: 23 }), { producer, topic: events, schemaIds, clock: systemClock });
  await caughtUp();
  await stopped();
}, 120_000);
afterAll(() => world?.close());

const ends = async (): Promise<Map<number, number>> => new Map((await world.topics.admin.fetchTopicOffsets(world.topics.events)).map(({ partition, high }) => [partition, Number(high)]));

/** The group stands at the end of every partition. */
const caughtUp = (): Promise<unknown> =>
  until('the group has read everything', async () => {
    const [committed, high] = await Promise.all([world.topics.committed(), ends()]);
    return [...high].every(([partition, end]) => (committed.get(partition) ?? 0) === end);
  });

async function stopped(): Promise<void> {
  await worker.stop();
  await until('the group is empty', async () => (await world.topics.members()).length === 0);
}

const rows = <Row extends object>(sql: string, ...values: unknown[]): Promise<Row[]> => world.rows<Row & Record<string, unknown>>(sql, ...values);
const newest = async (): Promise<ReplayRow> => ((await brx('list', '--limit', '1')).json as ReplayRow[])[0]!;

describe('plan', () => {
  test('says where from, where to, how many, how long, and what deduplication makes of it', async () => {
    const high = await ends();
    const all = [...high.values()].reduce((sum, end) => sum + end, 0);
    const plan = (await brx('plan', '--to-earliest')).json as Plan;
    expect(plan).toMatchObject({ state: 'Empty', members: [], blocked: [], how: 'to the earliest record', rate: { measured: false }, totals: { records: all, skipped: 0, pending: 0, seconds: all / 10_000 } });
    expect(plan.partitions).toEqual([...high].map(([partition, end]) => ({ partition, from: String(end), to: '0', records: end, skipped: 0, pending: 0, gone: 0 })).sort((a, b) => a.partition - b.partition));

    // Everything was applied or buried: nothing would be new.
    const [ledger] = await rows<{ n: number }>('SELECT count(*)::int AS n FROM dead_letters d WHERE NOT EXISTS (SELECT FROM stock_ledger l WHERE l.event_id = d.event_id)');
    expect(plan.effect).toEqual({ records: all, duplicates: all - (ledger?.n ?? 0), buried: ledger?.n ?? 0, tooOld: 0, fresh: 0, unusable: 0 });
  });

  test('finds the hole a replay would fill, and what is too old to be known', async () => {
    const { rows: taken } = await world.pool.query<{ event_id: string; user_id: string }>("SELECT event_id, user_id FROM stock_ledger WHERE outcome = 'a' ORDER BY event_id LIMIT 2");
    await world.pool.query('CREATE TABLE kept AS SELECT * FROM stock_ledger WHERE event_id = ANY ($1)', [taken.map((row) => row.event_id)]);
    await world.pool.query('DELETE FROM stock_ledger WHERE event_id = ANY ($1)', [taken.map((row) => row.event_id)]);
    try {
      expect((await brx('plan', '--to-earliest')).json).toMatchObject({ effect: { fresh: 2, tooOld: 0 } });
    } finally {
      await world.pool.query('INSERT INTO stock_ledger SELECT * FROM kept');
      await world.pool.query('DROP TABLE kept');
    }
  });

  test('of a user is that user’s partition only; of a time what was published since', async () => {
    const [user] = await rows<{ user_id: string }>('SELECT user_id FROM stock_ledger LIMIT 1');
    const plan = (await brx('plan', '--user', user!.user_id)).json as Plan;
    expect(plan.partitions.map(({ partition }) => partition)).toEqual([partitionOf(user!.user_id, 12)]);
    expect((await brx('plan', '--since', '0s')).json).toMatchObject({ totals: { records: 0 }, blocked: [{ why: expect.stringContaining('nothing to read again') as string }] });
    expect(((await brx('plan', '--to-time', '2020-01-01T00:00:00Z')).json as Plan).totals.records).toBe([...(await ends()).values()].reduce((sum, end) => sum + end, 0));
  });

  test.each([
    [['plan'], 'where to is not said'],
    [['plan', '--to-earliest', '--shift', '-1'], 'one target'],
    [['plan', '--to-time', '2026-01-01T00:00:00'], 'no time with its zone'],
    [['plan', '--to-earliest', '--partitions', '99'], 'partitions 0 to 11'],
    [['plan', '--from-file', '/nowhere'], 'cannot be read'],
  ])('%j is refused', async (argv, message) => {
    expect(await brx(...argv)).toMatchObject({ exit: 2, json: { error: { code: 'BRX_USAGE', message: expect.stringContaining(message) as string } } });
  });

  test('says who is in the way, with members alive; apply and undo refuse, and nothing moves', async () => {
    worker = await world.start();
    const before = await world.topics.committed();
    const plan = (await brx('plan', '--shift', '-5')).json as Plan;
    expect(plan.members).toMatchObject([{ clientId: 'test', partitions: { length: 12 } }]);
    expect(plan.blocked).toMatchObject([{ why: expect.stringMatching(/has 1 member: test on .* \(partitions 0, 1/) as string, remedy: expect.stringContaining('stop every instance') as string }]);
    const applied = await brx('apply', '--shift', '-5', '--reason', 'r', '--yes');
    expect(applied).toMatchObject({ exit: 4, json: { error: { code: 'BRX_REFUSED', message: expect.stringContaining('1 member') as string } } });
    expect(await world.topics.committed()).toEqual(before);
    expect(await rows('SELECT FROM replays')).toHaveLength(0);
    await stopped();
  });
});

describe('apply, watch and undo', () => {
  test('a replay of everything changes no row, is audited, and is watched to its end', async () => {
    const [hash, before, high] = [await businessHash(world.pool), await world.topics.committed(), await ends()];
    const asked = await brx('apply', '--to-earliest', '--reason', 'a drill');
    expect(asked).toMatchObject({ exit: 4, json: { error: { message: expect.stringContaining('nothing was changed') as string } } });
    expect((await brx('apply', '--to-earliest', '--reason', 'a drill', '--dry-run')).exit).toBe(0);
    expect(await world.topics.committed()).toEqual(before);

    const applied = (await brx('apply', '--to-earliest', '--reason', 'a drill', '--yes')).json as ReplayRow;
    expect(applied).toMatchObject({ how: 'to the earliest record', reason: 'a drill', who: expect.any(String) as string, detected: false, setAt: expect.any(String) as string, caughtUpAt: null });
    expect(applied.offsets).toEqual(Object.fromEntries([...before].filter(([, offset]) => offset > 0).map(([partition, offset]) => [partition, [String(offset), '0']])));
    expect(new Set((await world.topics.committed()).values())).toEqual(new Set([0]));
    expect(await rows("SELECT who, reason, detail ->> 'how' AS how FROM operator_actions WHERE action = 'replay.apply' AND target = $1", String(applied.id))).toEqual([{ who: applied.who, reason: 'a drill', how: 'to the earliest record' }]);
    expect(await brx('watch', '--once')).toMatchObject({ exit: 1, json: { over: false, members: 0, progress: { done: 0 } } });
    expect((await command(['lag'])).stderr).toContain(`replay ${applied.id} of ${world.topics.groupId} is under way (to the earliest record)`);

    worker = await world.start();
    const watched = await brx('watch', String(applied.id), '--every', '1');
    const all = [...high.values()].reduce((sum, end) => sum + end, 0);
    expect(watched).toMatchObject({ exit: 0, json: { over: true, behind: 0, progress: { done: all, of: all } } });
    expect((watched.stdout.trim().split('\n').map((line) => JSON.parse(line) as Picture)).every((picture) => picture.replay.id === applied.id)).toBe(true);
    expect(await newest()).toMatchObject({ id: applied.id, caughtUpAt: expect.any(String) as string });
    await stopped();
    expect(await businessHash(world.pool)).toBe(hash);
    expect(await brx('watch')).toMatchObject({ exit: 0, json: null });
    expect(await brx('undo', '--reason', 'r', '--yes')).toMatchObject({ exit: 4, json: { error: { message: expect.stringContaining('nothing to undo') as string } } });
  });

  test('undo restores the old offsets exactly, once', async () => {
    const before = await world.topics.committed();
    const applied = (await brx('apply', '--shift', '-7', '--reason', 'wrong', '--yes')).json as ReplayRow;
    expect(await world.topics.committed()).not.toEqual(before);
    expect((await brx('undo', '--reason', 'it was wrong', '--dry-run')).json).toMatchObject({ id: applied.id, undone: false });
    expect(await brx('undo', '--reason', 'it was wrong')).toMatchObject({ exit: 4 });
    expect((await brx('undo', '--reason', 'it was wrong', '--yes')).json).toMatchObject({ id: applied.id, undone: true });
    expect(await world.topics.committed()).toEqual(before);
    expect(await newest()).toMatchObject({ id: applied.id, undoneAt: expect.any(String) as string, caughtUpAt: null });
    expect(await rows("SELECT reason FROM operator_actions WHERE action = 'replay.undo' AND target = $1", String(applied.id))).toEqual([{ reason: 'it was wrong' }]);
    expect(await brx('undo', String(applied.id), '--reason', 'again', '--yes')).toMatchObject({ exit: 4, json: { error: { message: expect.stringContaining('undone already') as string } } });
  });

  test('records that were never read are skipped only if that is said, and undo has them read after all', async () => {
    const event = change({ user_id: randomUuid() });
    const [{ partition, offset } = { partition: 0, offset: 0 }] = await world.sendEvents(event);
    expect(await brx('apply', '--shift', '1', '--partitions', String(partition), '--reason', 'r', '--yes')).toMatchObject({ exit: 4, json: { error: { message: expect.stringContaining('1 record that was never read') as string } } });
    await brx('apply', '--shift', '1', '--partitions', String(partition), '--reason', 'poison', '--yes', '--allow-skip');
    expect((await world.topics.committed()).get(partition)).toBe(offset + 1);
    const { id } = await newest();
    expect((await brx('undo', String(id), '--reason', 'no poison', '--yes')).json).toMatchObject({ offsets: [{ partition, to: String(offset) }] });
    worker = await world.start();
    await caughtUp();
    expect(await rows('SELECT on_hand FROM inventory_items WHERE user_id = $1', event.user_id)).toHaveLength(1);
    await stopped();
  });

  test('an instance that comes between plan and apply is in the way, and no replay is written down', async () => {
    const consumer = world.topics.kafka.consumer({ groupId: world.topics.groupId, maxWaitTimeInMs: 100 });
    const plan = (await brx('plan', '--shift', '-1')).json as Plan;
    expect(plan.blocked).toEqual([]);
    await consumer.connect();
    await consumer.subscribe({ topic: world.topics.events });
    await consumer.run({ autoCommit: false, eachMessage: () => Promise.resolve() });
    await until('a member', async () => (await world.topics.members()).length === 1);
    const [count] = await rows<{ n: number }>('SELECT count(*)::int AS n FROM replays');
    expect((await brx('apply', '--shift', '-1', '--reason', 'r', '--yes')).exit).toBe(4);
    await consumer.disconnect();
    expect(await rows('SELECT count(*)::int AS n FROM replays')).toEqual([count]);
  });
});

test('the saga’s group likewise: its topic, its offsets, the ingest role’s stay', async () => {
  const { sagaEvents, sagaGroupId, admin, producer } = world.topics;
  await producer.sendBatch([1, 2, 3].map((n) => ({ topic: sagaEvents, key: 'k', value: Buffer.from([n]), partition: 4 })));
  await admin.setOffsets({ groupId: sagaGroupId, topic: sagaEvents, partitions: [{ partition: 4, offset: '3' }] });
  const [before, saga] = [await world.topics.committed(), async () => (await admin.fetchOffsets({ groupId: sagaGroupId, topics: [sagaEvents] }))[0]?.partitions.find(({ partition }) => partition === 4)?.offset];
  expect((await brx('plan', '--group', 'saga', '--to-earliest')).json).toMatchObject({ group: sagaGroupId, topic: sagaEvents, effect: null, totals: { records: 3 } });
  expect((await brx('apply', '--group', 'saga', '--to-earliest', '--reason', 'r', '--yes')).exit).toBe(0);
  expect(await saga()).toBe('0');
  expect(await brx('undo', '--reason', 'r', '--yes')).toMatchObject({ exit: 4 }); // of the ingest role there is none
  expect((await brx('undo', '--group', 'saga', '--reason', 'r', '--yes')).exit).toBe(0);
  expect(await saga()).toBe('3');
  expect(await world.topics.committed()).toEqual(before);
});

describe('what fails on the way', () => {
  type Set = Parameters<typeof world.topics.admin.setOffsets>[0];

  /** Kafka as it is, but for what it does when offsets are set. */
  function deps(setOffsets: (real: (set: Set) => Promise<void>, set: Set) => Promise<void>): ReplayDeps {
    const { kafka, groupId, events } = world.topics;
    const admin = (): ReturnType<typeof kafka.admin> => {
      const real = kafka.admin();
      return { ...real, setOffsets: (set) => setOffsets((offsets) => real.setOffsets(offsets), set) };
    };
    const codec = createCodec(createRegistry({ url: stackUrls().registryUrl, username: undefined, password: undefined }));
    return { kafka: Object.assign(Object.create(kafka) as typeof kafka, { admin }), codec, clock: systemClock, postgres: world.parking.postgres, logger: silentLogger, group: { role: 'ingest', id: groupId, topic: events }, horizonMs: 30 * 86_400_000 };
  }
  const one = async (): Promise<number> => [...(await world.topics.committed())].find(([, offset]) => offset > 5)?.[0] ?? 0;
  const by = { who: 'w', reason: 'r' };

  test('Kafka takes nothing: the replay never was one', async () => {
    const [before, partition] = [await world.topics.committed(), await one()];
    const broken = deps(() => Promise.reject(new Error('the broker is away')));
    const plan = await planReplay(broken, { target: { to: 'shift', by: -2n }, partitions: [partition], allowSkip: false });
    await expect(applyReplay(broken, plan, by)).rejects.toMatchObject({ code: 'BRX_KAFKA_UNAVAILABLE' });
    expect(await world.topics.committed()).toEqual(before);
    expect(await newest()).toMatchObject({ setAt: null, undoneAt: expect.any(String) as string });
    expect(await brx('watch')).toMatchObject({ json: null });
  });

  test('somebody else’s offset stands there afterwards: refused, and the old one is not lost', { timeout: 120_000 }, async () => {
    const [before, partition] = [await world.topics.committed(), await one()];
    const meddled = deps((real, set) => real({ ...set, partitions: set.partitions.map((each) => ({ ...each, offset: '1' })) }));
    const plan = await planReplay(meddled, { target: { to: 'shift', by: -2n }, partitions: [partition], allowSkip: false });
    await expect(applyReplay(meddled, plan, by)).rejects.toMatchObject({ code: 'BRX_REFUSED', message: expect.stringContaining(`partition ${partition} at 1 instead of`) as string });
    const { id, offsets } = await newest();
    expect(await newest()).toMatchObject({ setAt: null, undoneAt: null });
    expect(offsets).toEqual({ [partition]: [String(before.get(partition)), String((before.get(partition) ?? 0) - 2)] });
    expect((await brx('undo', String(id), '--reason', 'half set', '--yes')).exit).toBe(0);
    expect(await world.topics.committed()).toEqual(before);
  });

  test('the group has moved since the plan was made: refused', async () => {
    const [before, partition] = [await world.topics.committed(), await one()];
    const plain = deps((real, set) => real(set));
    const plan = await planReplay(plain, { target: { to: 'shift', by: -2n }, partitions: [partition], allowSkip: false });
    await world.topics.admin.setOffsets({ groupId: world.topics.groupId, topic: world.topics.events, partitions: [{ partition, offset: '3' }] });
    await expect(applyReplay(plain, plan, by)).rejects.toMatchObject({ code: 'BRX_REFUSED', message: expect.stringContaining('has moved') as string });
    await world.topics.admin.setOffsets({ groupId: world.topics.groupId, topic: world.topics.events, partitions: [{ partition, offset: String(before.get(partition)) }] });
    expect(await world.topics.committed()).toEqual(before);
  });
});

test('retention has eaten the start: the plan says how much, and begins with what is left', async () => {
  const high = await ends();
  const [partition, end] = [...high].find(([, to]) => to > 20)!;
  await world.topics.admin.deleteTopicRecords({ topic: world.topics.events, partitions: [{ partition, offset: '10' }] });
  const only = ['--partitions', String(partition)];
  expect((await brx('plan', '--to-offset', '4', ...only)).json).toMatchObject({ partitions: [{ partition, from: String(end), to: '10', records: end - 10, gone: 6 }] });
  expect((await brx('plan', '--to-earliest', ...only)).json).toMatchObject({ partitions: [{ to: '10', gone: null }] });
  const hash = await businessHash(world.pool);
  const applied = await brx('apply', '--to-offset', '0', ...only, '--reason', 'as much as there is', '--yes');
  expect(applied).toMatchObject({ exit: 0, json: { offsets: { [partition]: [String(end), '10'] } } });
  worker = await world.start();
  const { id } = applied.json as { id: string }; // by name: it may be over before it is looked for
  expect(await brx('watch', String(id), '--every', '1')).toMatchObject({ exit: 0, json: { over: true, progress: { of: end - 10 } } });
  await stopped();
  expect(await businessHash(world.pool)).toBe(hash);
});

describe('a reset with Kafka’s own tool', () => {
  const group = (...args: string[]): Promise<string> => runKafkaTool('kafka-consumer-groups', ['--bootstrap-server', stackUrls().kafkaBrokers, '--group', world.topics.groupId, '--topic', world.topics.events, ...args]);

  test('is a replay from outside: seen by the next command, watched, undone', { timeout: 120_000 }, async () => {
    const before = await world.topics.committed();
    await group('--reset-offsets', '--shift-by', '-3', '--execute');
    expect(await brx('watch', '--once')).toMatchObject({ exit: 1, json: { over: false, replay: { detected: true, who: null, how: 'by another tool than brx-sync' }, progress: { done: 0 } } });
    expect((await brx('undo', '--reason', 'who was that', '--yes')).exit).toBe(0);
    expect(await world.topics.committed()).toEqual(before);
  });

  test('is seen by an instance that starts, is no rewind, and is over by itself', { timeout: 120_000 }, async () => {
    const hash = await businessHash(world.pool);
    await group('--reset-offsets', '--to-earliest', '--execute');
    worker = await world.start();
    const { id } = await until('the replay is noticed', async () => {
      const replay = await newest();
      return replay.detected && replay.undoneAt === null ? replay : undefined;
    });
    await caughtUp();
    await until('it is over', async () => (await newest()).caughtUpAt !== null);
    expect(await newest()).toMatchObject({ id });
    expect(new Set(worker.ingest.reading().partitions.map(({ status }) => status))).not.toContain('rewind');
    await stopped();
    expect(await businessHash(world.pool)).toBe(hash);
  });

  test('its exported file is a target, and so is what we are told of ours', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'brx-replay-')), 'offsets.csv');
    await writeFile(file, await group('--reset-offsets', '--shift-by', '-2', '--dry-run', '--export'));
    const lines = (await readFile(file, 'utf8')).trim().split('\n').map((line) => line.split(',').map((field) => field.replaceAll('"', '')));
    const plan = (await brx('plan', '--from-file', file)).json as Plan;
    expect(plan.partitions.map(({ partition, to }) => [partition, to])).toEqual(lines.map((fields) => [Number(fields.at(-2)), fields.at(-1)]).sort((a, b) => Number(a[0]) - Number(b[0])));
    expect(plan.totals.records).toBeGreaterThan(0);
  });
});
