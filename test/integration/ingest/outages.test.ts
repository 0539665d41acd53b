import { afterEach, describe, expect, test } from 'vitest';
import { LATEST, partitionOf, RECORDS, TOPICS } from '../../../src/contract/index.ts';
import { createRegistry, encode } from '../../../src/platform/kafka/index.ts';
import { businessHash } from '../../../src/operations/verify/index.ts';
import { createTestDatabase, TEST_PREFIX, withDatabase } from '../../support/database.ts';
import { change, history, randomUuid } from '../../support/events.ts';
import { createIngestWorld, itemOf, type IngestWorld } from '../../support/ingest.ts';
import { stackUrls, startPrivatePostgres, startPrivateRegistry, type PrivateService } from '../../support/stack.ts';
import { startTcpGate } from '../../support/tcp-gate.ts';
import { until } from '../../support/wait.ts';

/** Protects P3 and P4: what is away is waited for. Nothing is dead-lettered or skipped for it, and the group is kept. */
const started: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of started.splice(0).reverse()) await one.close();
});

async function privately<T extends PrivateService>(starting: Promise<T>): Promise<T> {
  const service = await starting;
  started.push({ close: () => service.remove() });
  return service;
}

async function newWorld(...options: Parameters<typeof createIngestWorld>): Promise<IngestWorld> {
  const world = await createIngestWorld(...options);
  started.push(world);
  return world;
}

describe('the schema registry', () => {
  test('away when the role starts, and again later: held, never dead-lettered, resumed', async () => {
    const registry = await privately(startPrivateRegistry());
    const client = createRegistry({ url: registry.url, username: undefined, password: undefined });
    const first = await client.register(RECORDS.InventoryChanged.fullName, LATEST.InventoryChanged.avro);
    // A second id for the same record, which nothing has asked for yet when the registry goes away again.
    const later = await client.register('another-subject', { ...LATEST.InventoryChanged.avro, doc: 'the same, with other words' });
    expect(later).not.toBe(first);
    await registry.stop();

    const world = await newWorld();
    const { signals, ingest } = await world.start({ registryUrl: registry.url });
    const [user, item] = [randomUuid(), randomUuid()];
    const events = history(user, item, ['SET', 1], ['ADJUST', 1], ['ADJUST', 1], ['ADJUST', 1]);
    const record = (index: number, schemaId: number) => world.record(events[index]!, { value: encode('InventoryChanged', schemaId, events[index]!) });
    await world.send(record(0, first), { ...record(1, first), value: Buffer.from('poison among them') });
    await until('it is held more than once', () => signals.held.length >= 2);
    const joins = signals.assigned; // a broker that has just learnt of the topic may make it join twice at the start
    expect(ingest.health.ready().filter(({ ok }) => !ok)).toMatchObject([{ name: 'ingest waits for nothing' }]);
    expect(ingest.health.live()).toMatchObject([{ ok: true }]);
    expect(await world.rows('SELECT FROM dead_letters')).toEqual([]);
    await registry.start();
    await world.processed();
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 1 });
    expect(await world.rows('SELECT reason FROM dead_letters')).toEqual([{ reason: 'undecodable' }]);

    // A schema that is known needs no registry; one that is not, waits.
    await registry.stop();
    await world.send(record(1, first));
    await world.processed();
    const before = signals.held.length;
    await world.send(record(2, later), record(3, first));
    await until('it is held again', () => signals.held.length > before);
    await registry.start();
    await world.processed();
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 4 });
    expect(new Set(signals.held)).toEqual(new Set(['BRX_REGISTRY_UNAVAILABLE']));
    expect(await world.rows('SELECT reason FROM dead_letters')).toHaveLength(1);
    expect(signals).toMatchObject({ assigned: joins, crashes: [], fatal: [] });
  });
});

describe('PostgreSQL', () => {
  test('away when the role starts, and killed while it works: held, resumed, each event once', async () => {
    const server = await privately(startPrivatePostgres());
    const database = await createTestDatabase(server.url);
    expect(database.url).toBe(withDatabase(server.url, database.name));
    expect(database.name.startsWith(TEST_PREFIX)).toBe(true);
    const world = await newWorld({ database: { ...database, drop: () => Promise.resolve() } }); // goes with its server
    await server.stop('fast');

    const { signals, ingest } = await world.start({ config: { chunkEvents: 20 } });
    const users = Array.from({ length: 20 }, () => ({ user: randomUuid(), item: randomUuid() }));
    const round = () => users.flatMap(({ user, item }) => history(user, item, ['ADJUST', 1], ['ADJUST', 2]));
    await world.sendEvents(...round());
    await until('it is held', () => signals.held.length > 0);
    expect(ingest.health.ready().some(({ ok }) => !ok)).toBe(true);
    expect(ingest.health.live()).toMatchObject([{ ok: true }]);
    await server.start();
    await world.processed();

    for (let n = 0; n < 15; n += 1) await world.sendEvents(...round());
    await until('some of it is done', () => signals.chunks.length > 20);
    await server.restart('immediate');
    await world.processed();
    for (const { user, item } of users) expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 16 * 3 });
    expect(await world.rows('SELECT FROM stock_ledger')).toHaveLength(16 * 2 * users.length);
    expect(await world.rows('SELECT FROM parked_users')).toEqual([]);
    expect(await world.rows('SELECT FROM dead_letters')).toEqual([]);
    expect(await businessHash(world.pool)).toMatch(/^[0-9a-f]{32}$/);
    expect(signals).toMatchObject({ assigned: 1, crashes: [], fatal: [] });
    await until('it is ready again', () => ingest.health.ready().every(({ ok }) => ok));
  });
});

test('while the registry is away a record it must be asked about keeps no other partition waiting', async () => {
  const { hostname, port, pathname } = new URL(stackUrls().registryUrl);
  const registry = await startTcpGate({ host: hostname, port: Number(port) });
  started.push(registry);
  const world = await newWorld();
  const { signals } = await world.start({ registryUrl: `http://127.0.0.1:${registry.port}${pathname}` });
  await world.sendEvents(change()); // its schema is known from now on
  await world.processed();
  await registry.shut();
  const event = change();
  const partition = partitionOf(event.user_id, TOPICS.marketplaceEvents.partitions);
  await world.send({ key: event.user_id, value: Buffer.from([0, 0x7f, 0xff, 0xff, 0xf0, 1]), partition: (partition + 1) % TOPICS.marketplaceEvents.partitions }, world.record(event));
  await until('the event of the other partition is applied', async () => (await itemOf(world.pool, event.user_id, event.item_id)) !== undefined);
  expect(await world.rows('SELECT FROM dead_letters')).toEqual([]);
  await registry.reopen();
  await world.processed();
  expect(await world.rows('SELECT reason FROM dead_letters')).toEqual([{ reason: 'unknown_type' }]);
  expect(signals.fatal).toEqual([]);
});

test('a stop while something is away is no longer than its deadline, and loses nothing', async () => {
  const { hostname, port, pathname } = new URL(stackUrls().registryUrl);
  const registry = await startTcpGate({ host: hostname, port: Number(port) });
  started.push(registry);
  await registry.shut();
  const registryUrl = `http://127.0.0.1:${registry.port}${pathname}`;
  const world = await newWorld();
  const first = await world.start({ registryUrl });
  const event = change();
  await world.sendEvents(event);
  await until('it is held', () => first.signals.held.length > 0);
  const begun = performance.now();
  await first.stop();
  expect(performance.now() - begun).toBeLessThan(10_000);
  await registry.reopen();
  await world.start({ registryUrl });
  await world.processed();
  expect(await itemOf(world.pool, event.user_id, event.item_id)).toMatchObject({ on_hand: 1 });
});
