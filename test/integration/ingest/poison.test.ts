import kafkajs from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DRIFTED } from '../../../src/inventory/index.ts';
import { change, history, line, randomUuid, uuid7 } from '../../support/events.ts';
import { chainOf, createIngestWorld, itemOf, type IngestWorld, type Outgoing, type RunningIngest } from '../../support/ingest.ts';
import { until } from '../../support/wait.ts';

/** Protects P4: a record that can never be applied is a dead letter with its reason and its bytes, and stops nobody. */
const PARTITION = 3;
const DAY = 86_400_000;
let world: IngestWorld;
let worker: RunningIngest;

beforeAll(async () => {
  world = await createIngestWorld();
  worker = await world.start();
});
afterAll(() => world.close());

interface Letter {
  reason: string;
  detail: string;
  user_id: string | null;
  event_id: string | null;
  record_key: Buffer | null;
  record_value: Buffer | null;
  record_headers: [string, string][];
  consumer_group: string;
}

async function letterAt({ partition, offset }: { partition: number; offset: number }): Promise<Letter | undefined> {
  const rows = await world.rows<Letter>('SELECT * FROM dead_letters WHERE partition = $1 AND "offset" = $2', partition, offset);
  return rows[0];
}

const good = (): Outgoing => world.record(change(), { partition: PARTITION });
const bytesOf = (record: Outgoing): Buffer => record.value as Buffer;
/** Ours to write, so nothing a producer may send. */
const settled = (): Buffer =>
  world.topics.encoder.encode('PurchaseSettled', { event_id: randomUuid(), purchase_id: randomUuid(), user_id: randomUuid(), outcome: 'CONFIRMED', reason: null, lines: [line(randomUuid(), 1)], occurred_at: Date.now() });

const POISON: [what: string, reason: string, record: () => Outgoing][] = [
  ['a tombstone', 'undecodable', () => ({ key: randomUuid(), value: null })],
  ['another magic byte', 'undecodable', () => ({ key: randomUuid(), value: Buffer.from([7, 0, 0, 0, 1, 2, 3]) })],
  ['no bytes', 'undecodable', () => ({ key: randomUuid(), value: Buffer.alloc(0) })],
  ['truncated Avro', 'undecodable', () => ({ ...good(), value: bytesOf(good()).subarray(0, -3) })],
  ['a schema id nobody has', 'unknown_type', () => ({ ...good(), value: Buffer.concat([Buffer.from([0, 0x7f, 0xff, 0xff, 0xf0]), bytesOf(good()).subarray(5)]) })],
  ['a record no producer writes', 'unknown_type', () => ({ key: randomUuid(), value: settled() })],
  ['a broken rule', 'invalid', () => world.record(change({ quantity: -1 }))],
  ['a text with NUL', 'invalid', () => world.record(change({ source: 'a\u0000b' }))],
  ['a property with NUL', 'invalid', () => world.record(change({ properties: { note: 'a\u0000b' } }))],
  ['another user’s key', 'key_mismatch', () => world.record(change(), { key: randomUuid(), value: bytesOf(good()) })],
  ['a key that is no uuid', 'key_mismatch', () => world.record(change(), { key: Buffer.from([0xff, 0, 0x27]), value: bytesOf(good()) })],
  ['no key', 'key_mismatch', () => ({ ...good(), key: null })],
  ['an event from before the horizon', 'too_old', () => world.record(change({ event_id: randomUuid(), occurred_at: Date.now() - 31 * DAY }))],
  ['an event id from before the horizon', 'too_old', () => world.record(change({ event_id: uuid7(Date.now() - 31 * DAY) }))],
  ['stock below zero', 'would_go_negative', () => world.record(change({ kind: 'ADJUST', quantity: -1 }))],
];

describe.each(POISON)('%s', (_, reason, poison) => {
  test.each(['first', 'in the middle', 'last'])(`is dead-lettered as ${reason} and the others are applied, ${'%s'} in its chunk`, async (place) => {
    const others = Array.from({ length: 6 }, () => change());
    const records = others.map((event) => world.record(event, { partition: PARTITION }));
    const at = place === 'first' ? 0 : place === 'last' ? records.length : 3;
    records.splice(at, 0, { ...poison(), partition: PARTITION });
    const before = worker.signals.chunks.length;
    const sent = await world.send(...records);
    await world.processed();
    const [chunk, ...more] = worker.signals.chunks.slice(before);
    expect(more).toEqual([]);
    expect(chunk?.outcomes).toEqual(records.map((_record, index) => (index === at ? 'dead' : 'ok')));
    expect(chunk?.deadLetters).toEqual([reason]);
    const letter = await letterAt(sent[at]!);
    const { key, value } = records[at]!;
    expect(letter).toMatchObject({ reason, consumer_group: world.topics.groupId });
    expect(letter?.record_value?.toString('hex')).toBe((value as Buffer | null)?.toString('hex'));
    expect(letter?.record_key?.toString('hex')).toBe(key === null || key === undefined ? undefined : Buffer.from(key as string).toString('hex'));
    const [there] = await world.rows<{ n: number }>('SELECT count(*)::int AS n FROM inventory_items WHERE user_id = ANY($1)', others.map((event) => event.user_id));
    expect(there?.n).toBe(others.length);
  });
});

describe('what the fold refuses', () => {
  test('below zero: the item is drifted, later events flow, and a SET ends it', async () => {
    const [user, item] = [randomUuid(), randomUuid()];
    const events = history(user, item, ['SET', 2], ['ADJUST', -3, { price_cents: 9 }], ['ADJUST', 4]);
    await world.sendEvents(...events);
    await world.processed();
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 6, flags: DRIFTED, price_cents: null });
    expect(await chainOf(world.pool, user, item)).toEqual(events.map((event) => event.event_id));
    await world.sendEvents(...history(user, item, ['SET', 5]));
    await world.processed();
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 5, flags: 0 });
  });

  test('above an integer: nothing changes', async () => {
    const [user, item] = [randomUuid(), randomUuid()];
    const sent = await world.sendEvents(...history(user, item, ['SET', 2_147_483_647], ['ADJUST', 1], ['ADJUST', -7]));
    await world.processed();
    expect(await letterAt(sent[1]!)).toMatchObject({ reason: 'out_of_range', user_id: user });
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 2_147_483_640, flags: 0 });
  });

  test('refused once is known: sent again it is a duplicate, though it would succeed by now', async () => {
    const [user, item] = [randomUuid(), randomUuid()];
    const [refused, set] = history(user, item, ['ADJUST', -3], ['SET', 9]);
    await world.sendEvents(refused!, set!);
    const again = await world.sendEvents(refused!);
    await world.processed();
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 9 });
    expect(await letterAt(again[0]!)).toBeUndefined();
  });
});

test('a producer that corrects a record may keep its event id: what could not be read leaves no trace in the ledger', async () => {
  const event = change({ quantity: 4 });
  await world.send(world.record({ ...event, currency: 'euro' }), world.record(event, { key: randomUuid() }), world.record({ ...event, occurred_at: Date.now() - 40 * DAY, event_id: event.event_id }), world.record(event));
  await world.processed();
  expect(await itemOf(world.pool, event.user_id, event.item_id)).toMatchObject({ on_hand: 4 });
});

describe('on the dead-letter topic', () => {
  const published = () => until('everything is published', async () => (await world.rows('SELECT FROM outbox LIMIT 1')).length === 0);
  const onTopic = async () => {
    await published();
    const records = await world.topics.readAll(world.topics.deadLetters);
    return (sent: { partition: number; offset: number }) =>
      records.filter(({ headers, partition }) => partition === sent.partition && Buffer.from(headers?.['kafka_dlt-original-offset'] as Buffer).readBigInt64BE() === BigInt(sent.offset));
  };

  test('a record stands once, under its partition, with its bytes and headers, and says where it is from and why', async () => {
    const timestamp = Date.now() - 5_000;
    const value = Buffer.from([9, 8, 7, 0, 255]);
    const key = Buffer.from([1, 255]);
    const headers = { traceparent: '00-abc-def-01', twice: ['a', Buffer.from([0, 255])], empty: '' };
    const [sent] = await world.send({ key, value, partition: 11, headers, timestamp: String(timestamp) });
    await world.processed();
    const [record, ...more] = (await onTopic())(sent!);
    expect(more).toEqual([]);
    expect(record).toMatchObject({ key, value, partition: 11 });
    const bytes = (name: string): Buffer => Buffer.from(record?.headers?.[`kafka_dlt-original-${name}`] as Buffer);
    const text = (name: string): string | undefined => record?.headers?.[name]?.toString();
    expect(record?.headers).toMatchObject({ traceparent: Buffer.from('00-abc-def-01'), twice: [Buffer.from('a'), Buffer.from([0, 255])], empty: Buffer.from('') });
    expect(bytes('partition').readInt32BE()).toBe(11);
    expect(bytes('timestamp').readBigInt64BE()).toBe(BigInt(timestamp));
    expect(text('kafka_dlt-original-topic')).toBe(world.topics.events);
    expect(text('kafka_dlt-original-timestamp-type')).toBe('CreateTime');
    expect(text('kafka_dlt-original-consumer-group')).toBe(world.topics.groupId);
    expect(text('kafka_dlt-exception-fqcn')).toBe('brx.undecodable');
    expect(text('kafka_dlt-exception-message')).toContain('not Confluent wire format');
    expect(text('brx-dead-letter-reason')).toBe('undecodable');
    expect(text('brx-dead-letter-id')).toMatch(/^\d+$/);
  });

  test('a tombstone without a key stays one', async () => {
    const [sent] = await world.send({ key: null, value: null, partition: 0 });
    await world.processed();
    expect((await onTopic())(sent!)).toMatchObject([{ key: null, value: null, partition: 0 }]);
  });

  test('every dead letter of this file stands once', async () => {
    await published();
    const records = await world.topics.readAll(world.topics.deadLetters);
    const ids = records.map(({ headers }) => String(headers?.['brx-dead-letter-id']));
    const letters = await world.rows<{ id: string }>('SELECT id::text FROM dead_letters');
    expect(ids.toSorted((a, b) => Number(a) - Number(b))).toEqual(letters.map(({ id }) => id).toSorted((a, b) => Number(a) - Number(b)));
  });

  test('more of them than one request may hold are published all the same', async () => {
    const sent = await world.send(...Array.from({ length: 30 }, (_, n) => ({ key: 'big', value: Buffer.alloc(30_000, n + 1), partition: 2 })));
    const more = await world.send(...Array.from({ length: 30 }, (_, n) => ({ key: 'big', value: Buffer.alloc(30_000, n + 1), partition: 2 })));
    await world.processed();
    const find = await onTopic();
    for (const position of [...sent, ...more]) expect(find(position)).toHaveLength(1);
  });
});

describe('odd envelopes of poison', () => {
  test.each<[what: string, headers: Outgoing['headers']]>([
    ['a header named like a member of every object', { constructor: 'x', toString: 'y' }],
    ['a header named __proto__', JSON.parse('{"__proto__":"x"}') as Record<string, string>],
    ['a header name with NUL', { 'a\u0000b': 'x' }],
    ['a header without a name', { '': 'x' }],
    ['header bytes that are no text', { bytes: Buffer.from([0, 255, 254]) }],
  ])('%s', async (_, headers) => {
    const [user, item] = [randomUuid(), randomUuid()];
    const sent = await world.send({ key: user, value: Buffer.from('poison'), partition: 6, headers: headers! }, ...history(user, item, ['SET', 3]).map((event) => world.record(event, { partition: 6, headers: headers! })));
    await world.processed();
    expect(await letterAt(sent[0]!)).toMatchObject({ reason: 'undecodable' });
    expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 3 });
    await until('it is published', async () => (await world.rows('SELECT FROM outbox LIMIT 1')).length === 0);
    expect(worker.signals.fatal).toEqual([]);
  });

  test.each([
    ['before the year 1', '-62135596800001'],
    ['none', '-1'],
    ['as far back as a long goes', '-9000000000000000000'],
    ['as far ahead as a long goes', '9223372036854775807'],
  ])('a timestamp %s', async (_, timestamp) => {
    // As brokers before 4.0 are by themselves.
    await world.topics.admin.alterConfigs({ validateOnly: false, resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: world.topics.events, configEntries: [{ name: 'message.timestamp.after.max.ms', value: '9223372036854775807' }] }] });
    const sent = await until('the broker takes it', () => world.send({ key: 'x', value: Buffer.from('poison'), partition: 6, timestamp }).catch(() => undefined)); // it hears of the setting a moment later
    await world.processed();
    expect(await letterAt(sent[0]!)).toMatchObject({ reason: 'undecodable' });
    expect(worker.signals.fatal).toEqual([]);
  });
});
