import { describe, expect, test } from 'vitest';
import { EXACT_LONG_MAX, LATEST, type InventoryChanged } from '../../src/contract/index.ts';
import { BrxError } from '../../src/errors.ts';
import { MARKETPLACE_RECORDS } from '../../src/ingest/record.ts';
import { Decoder } from '../../src/records/decode.ts';
import type { SourceRecord } from '../../src/platform/consumer/index.ts';
import { createCodec, encode, type WriterSchema } from '../../src/platform/kafka/index.ts';
import { change, source, uuid } from '../support/events.ts';
import { fakeClock } from '../support/fake-clock.ts';

/** Protects: each way a record can be bad has its reason, and a registry that does not answer is never the record's fault. */
const INVENTORY_CHANGED = 1;
const PURCHASE_SETTLED = 2;
const JSON_SCHEMA = 3;
const NOBODYS = 99;

function registry() {
  const schemas = new Map<number, WriterSchema>([
    [INVENTORY_CHANGED, { kind: 'avro', fullName: 'brx.marketplace.InventoryChanged', schema: LATEST.InventoryChanged.avro }],
    [PURCHASE_SETTLED, { kind: 'avro', fullName: 'brx.marketplace.PurchaseSettled', schema: LATEST.PurchaseSettled.avro }],
    [JSON_SCHEMA, { kind: 'foreign', description: 'a JSON schema' }],
  ]);
  const asked: number[] = [];
  let away = false;
  return {
    asked,
    schemas,
    away: (is: boolean) => {
      away = is;
    },
    schemaOf(id: number): Promise<WriterSchema | undefined> {
      asked.push(id);
      return away ? Promise.reject(new BrxError('BRX_REGISTRY_UNAVAILABLE', 'away')) : Promise.resolve(schemas.get(id));
    },
  };
}

const bytes = (event: InventoryChanged, schemaId = INVENTORY_CHANGED): Buffer => encode('InventoryChanged', schemaId, event);
const record = (event: InventoryChanged, given: Partial<SourceRecord> = {}): SourceRecord => source({ key: Buffer.from(event.user_id), value: bytes(event), ...given });

describe('decoding', () => {
  test('gives the event as it was sent, with null for what was not said', async () => {
    const event = change({ properties: { condition: 'Near Mint' }, price_cents: EXACT_LONG_MAX, quantity: 2_147_483_647, source: 'Ω≈ç√ 🂡' });
    const from = record(event);
    expect(await new Decoder(createCodec(registry()), MARKETPLACE_RECORDS).decode([from])).toEqual([{ kind: 'event', type: 'InventoryChanged', source: from, event }]);
  });

  test('asks once a schema id, whatever the number of records', async () => {
    const asked = registry();
    const decoder = new Decoder(createCodec(asked), MARKETPLACE_RECORDS);
    await decoder.decode(Array.from({ length: 50 }, () => record(change())));
    await decoder.decode([record(change())]);
    expect(asked.asked).toEqual([INVENTORY_CHANGED]);
  });

  test('keeps the order of the records, good and bad', async () => {
    const good = change();
    const entries = await new Decoder(createCodec(registry()), MARKETPLACE_RECORDS).decode([source({ value: null }), record(good), source({ value: Buffer.from('x') })]);
    expect(entries.map((entry) => (entry.kind === 'event' ? entry.event.event_id : entry.reason))).toEqual(['undecodable', good.event_id, 'undecodable']);
  });
});

describe('a bad record is a value with its reason', () => {
  const event = change({ user_id: uuid(1) });
  const good = bytes(event);
  const withKind = (kind: number): Buffer => {
    const copy = Buffer.from(good);
    copy[5 + 3 * 37] = kind; // behind the header and three uuids of 36 bytes and their length
    return copy;
  };
  test.each<[what: string, record: SourceRecord, reason: string, detail: RegExp]>([
    ['a tombstone', source({ value: null }), 'undecodable', /no value/],
    ['no bytes at all', source({ value: Buffer.alloc(0) }), 'undecodable', /0 bytes/],
    ['a header cut short', source({ value: good.subarray(0, 4) }), 'undecodable', /4 bytes/],
    ['another magic byte', source({ value: Buffer.concat([Buffer.from([1]), good.subarray(1)]) }), 'undecodable', /starting with 0x01/],
    ['JSON', source({ value: Buffer.from(JSON.stringify(event)) }), 'undecodable', /starting with 0x7b22/],
    ['Avro cut short', source({ value: good.subarray(0, -1) }), 'undecodable', /does not fit schema 1/],
    ['Avro with bytes behind it', source({ value: Buffer.concat([good, Buffer.from([0])]) }), 'undecodable', /1 bytes too many/],
    ['an enum’s symbol that does not exist', source({ value: withKind(8) }), 'undecodable', /does not fit/],
    ['a header and nothing', source({ value: good.subarray(0, 5) }), 'undecodable', /does not fit/],
    ['a schema nobody registered', source({ value: bytes(event, NOBODYS) }), 'unknown_type', /schema 99 is not in the registry/],
    ['a negative schema id', source({ value: bytes(event, -7) }), 'unknown_type', /schema -7/],
    ['a record this version does not handle', source({ value: bytes(event, PURCHASE_SETTLED) }), 'unknown_type', /PurchaseSettled/],
    ['a schema that is not Avro', source({ value: bytes(event, JSON_SCHEMA) }), 'unknown_type', /a JSON schema/],
    ['a rule broken', record({ ...event, quantity: -1 }), 'invalid', /quantity: SET needs 0 or more/],
    ['several rules broken', record({ ...event, currency: 'eur', occurred_at: 5 }), 'invalid', /currency.*; occurred_at/],
    ['a price avsc would read as a positive one', record({ ...event, price_cents: -(2 ** 52) - 1 }), 'invalid', /price_cents/],
    ['a version avsc would read as a positive one', record({ ...event, version: -(2 ** 53) + 2 }), 'invalid', /version/],
    ['a user id in upper case', record({ ...event, user_id: uuid(0xabc).toUpperCase() }), 'invalid', /user_id/],
    ['no key', record(event, { key: null }), 'key_mismatch', /\(none\)/],
    ['another user’s key', record(event, { key: Buffer.from(uuid(2)) }), 'key_mismatch', new RegExp(uuid(2))],
    ['the right key in upper case', record({ ...event, user_id: uuid(0xabc) }, { key: Buffer.from(uuid(0xabc).toUpperCase()) }), 'key_mismatch', /ABC/],
    ['a key that is no uuid', record(event, { key: Buffer.from([0, 0xff, 27, 0x41]) }), 'key_mismatch', /"\?.\?A"/],
  ])('%s', async (_, from, reason, detail) => {
    const [entry] = await new Decoder(createCodec(registry()), MARKETPLACE_RECORDS).decode([from]);
    expect(entry).toMatchObject({ kind: 'dead', reason, detail: expect.stringMatching(detail) as string, source: from });
  });

  test('only a record that is whole says whose it is', async () => {
    const entries = await new Decoder(createCodec(registry()), MARKETPLACE_RECORDS).decode([record(event, { key: null }), record({ ...event, quantity: -1 })]);
    expect(entries).toMatchObject([{ userId: event.user_id, eventId: event.event_id }, { userId: null, eventId: null }]);
  });

  test('a detail never grows with the key', async () => {
    const [entry] = await new Decoder(createCodec(registry()), MARKETPLACE_RECORDS).decode([record(event, { key: Buffer.alloc(100_000, 'k') })]);
    expect(entry).toMatchObject({ reason: 'key_mismatch', detail: expect.stringMatching(/^.{1,200}$/) as string });
  });
});

describe('a registry that is away', () => {
  test('is an error to wait for, also when other records of the run are decodable', async () => {
    const away = registry();
    const decoder = new Decoder(createCodec(away), MARKETPLACE_RECORDS);
    const event = change();
    await decoder.decode([record(event)]);
    away.away(true);
    await expect(decoder.decode([record(event), source({ value: bytes(event, NOBODYS) })])).rejects.toMatchObject({ code: 'BRX_REGISTRY_UNAVAILABLE', retryable: true });
    expect(await decoder.decode([record(event)])).toMatchObject([{ kind: 'event' }]);
  });

  test('a schema registered a moment after its first record is found soon', async () => {
    const late = registry();
    const clock = fakeClock();
    const decoder = new Decoder(createCodec(late, clock), MARKETPLACE_RECORDS);
    const event = change();
    const early = [record(event, { value: bytes(event, NOBODYS) })];
    expect(await decoder.decode(early)).toMatchObject([{ reason: 'unknown_type' }]);
    late.schemas.set(NOBODYS, { kind: 'avro', fullName: 'brx.marketplace.InventoryChanged', schema: LATEST.InventoryChanged.avro });
    await clock.advance(5_000);
    expect(await decoder.decode(early)).toMatchObject([{ kind: 'event', event }]);
  });
});
