import { describe, expect, test } from 'vitest';
import { createColumn, createNames } from '../../src/operations/verify/columns.ts';
import { decodeRecord } from '../../src/operations/verify/decode.ts';
import { createUuidIndex } from '../../src/operations/verify/uuid-index.ts';
import { createRandom } from '../../src/platform/random.ts';
import { valueBytes } from '../../src/operations/generate/index.ts';
import { readerOf } from '../../src/platform/kafka/index.ts';
import { LATEST, RECORDS } from '../../src/contract/index.ts';
import { change, uuid } from '../support/events.ts';

describe('UUID index', () => {
  test('numbers 50,000 ids densely, finds them again and gives them back', () => {
    const random = createRandom(7);
    const ids = Array.from({ length: 50_000 }, () => random.uuidV4());
    const index = createUuidIndex(1);
    expect(ids.map((id) => index.add(id))).toEqual(ids.map((_, number) => number));
    expect(ids.every((id, number) => index.add(id) === number && index.find(id.toUpperCase()) === number && index.text(number) === id)).toBe(true);
    expect(index.find(random.uuidV4())).toBe(-1);
    expect(index.size).toBe(50_000);
  });

  test('pairs are different when either half is', () => {
    const index = createUuidIndex(2);
    expect([index.add(uuid(1), uuid(2)), index.add(uuid(2), uuid(1)), index.add(uuid(1), uuid(2)), index.find(uuid(1), uuid(1))]).toEqual([0, 1, 0, -1]);
    expect([index.text(1, 0), index.text(1, 1)]).toEqual([uuid(2), uuid(1)]);
  });

  test.each(['', 'x', uuid(1).slice(1), `${uuid(1)}0`, uuid(1).replace('8', 'g')])('refuses %j', (text) => {
    expect(() => createUuidIndex(1).add(text)).toThrow(/not a UUID/);
  });
});

test('columns grow, and what was never set is empty', () => {
  const column = createColumn('int32', -1);
  column.set(5_000, 7);
  expect([column.get(5_000), column.get(4_999), column.get(1_000_000)]).toEqual([7, -1, -1]);
  const names = createNames();
  expect([names.number(null), names.number('a'), names.number('b'), names.number('a'), names.name(2), names.name(0)]).toEqual([0, 1, 2, 1, 'b', null]);
});

const IDS = { InventoryChanged: 1, PurchaseSettled: 2, PurchaseRequested: 3, PurchaseCancelled: 4 };

describe('bytes are judged in the contract’s order', () => {
  const readers = new Map([
    [1, readerOf({ kind: 'avro', fullName: RECORDS.InventoryChanged.fullName, schema: LATEST.InventoryChanged.avro })],
    [2, readerOf({ kind: 'avro', fullName: RECORDS.PurchaseSettled.fullName, schema: LATEST.PurchaseSettled.avro })],
  ]);
  const codec = { reader: (id: number) => readers.get(id) };
  const event = change();
  const bytes = (value = event): Buffer => valueBytes({ record: 'InventoryChanged', value }, IDS) ?? Buffer.alloc(0);
  const judge = (value: Buffer | null, key: string | null = event.user_id) => decodeRecord({ partition: 0, offset: 0, timestamp: 0, key: key === null ? null : Buffer.from(key), value }, codec).content;
  const purchase = valueBytes({ record: 'PurchaseSettled', value: { event_id: uuid(1), purchase_id: uuid(2), user_id: event.user_id, outcome: 'CONFIRMED', reason: null, lines: [{ item_id: event.item_id, quantity: 1, unit_price_cents: 1 }], occurred_at: event.occurred_at } }, IDS);
  const unknownId = bytes();
  unknownId.writeInt32BE(99, 1);
  const noMagic = bytes();
  noMagic[0] = 1;

  test('a good record is its event', () => expect(judge(bytes())).toEqual({ event }));
  test.each([
    ['null', null, 'undecodable'],
    ['nothing', Buffer.alloc(0), 'undecodable'],
    ['four bytes', Buffer.alloc(4), 'undecodable'],
    ['another magic byte', noMagic, 'undecodable'],
    ['bytes cut off', bytes().subarray(0, -3), 'undecodable'],
    ['bytes too many', Buffer.concat([bytes(), Buffer.from([1])]), 'undecodable'],
    ['a schema id nobody knows', unknownId, 'unknown_type'],
    ['a record this version does not handle', purchase, 'unknown_type'],
    ['a broken rule', bytes({ ...event, quantity: -1 }), 'invalid'],
  ])('%s', (_name, value, refused) => expect(judge(value)).toEqual({ refused }));
  test('another key, and none', () => expect([judge(bytes(), uuid(5)), judge(bytes(), null), judge(bytes(), event.user_id.toUpperCase() + ' ')]).toEqual(Array(3).fill({ refused: 'key_mismatch' })));
});
