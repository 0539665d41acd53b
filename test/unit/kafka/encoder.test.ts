import { describe, expect, test } from 'vitest';
import { LATEST, RECORDS } from '../../../src/contract/index.ts';
import { BrxError } from '../../../src/errors.ts';
import { createEncoder, readerOf, type SubjectVersion } from '../../../src/platform/kafka/index.ts';
import { change } from '../../support/events.ts';

/** Protects: what we publish carries the id of the very schema we write, whatever else the registry holds. */
const ours = LATEST.InventoryChanged.avro;
const other = { ...ours, doc: 'of another build' };

/** A registry with these versions of every subject; counts how often it is asked. */
function registry(versions: (subject: string) => Promise<SubjectVersion[]> | SubjectVersion[]) {
  const asked: string[] = [];
  return {
    asked,
    versions: async (subject: string) => {
      asked.push(subject);
      return versions(subject);
    },
  };
}

const idOf = (record: Buffer): number => record.readInt32BE(1);

describe('the encoder', () => {
  test('takes the newest version that is ours, not the newest of all', async () => {
    const there = registry(() => [{ version: 1, id: 4, schema: ours }, { version: 2, id: 5, schema: ours }, { version: 3, id: 9, schema: other }]);
    const encoder = createEncoder(there, ['InventoryChanged']);
    await encoder.prepare();
    const event = change();
    const record = encoder.encode('InventoryChanged', event);
    expect(idOf(record)).toBe(5);
    const fullName = RECORDS.InventoryChanged.fullName;
    expect(readerOf({ kind: 'avro', fullName, schema: ours }).read(record)).toEqual(event);
    await encoder.prepare();
    expect(there.asked).toEqual([fullName]);
  });

  test('a schema that was never registered is said with its remedy, and asked for again', async () => {
    let versions: SubjectVersion[] = [{ version: 1, id: 4, schema: other }];
    const encoder = createEncoder(registry(() => versions), ['InventoryChanged']);
    await expect(encoder.prepare()).rejects.toMatchObject({ code: 'BRX_REFUSED', remedy: 'run `brx-sync schemas apply`' });
    versions = [...versions, { version: 2, id: 6, schema: ours }];
    await encoder.prepare();
    expect(idOf(encoder.encode('InventoryChanged', change()))).toBe(6);
  });

  test('a registry that is away is the caller’s to wait for; what was answered before is not asked again', async () => {
    let away = true;
    const there = registry((subject) => {
      if (away && subject === RECORDS.PurchaseSettled.fullName) throw new BrxError('BRX_REGISTRY_UNAVAILABLE', 'away');
      return [{ version: 1, id: 4, schema: subject === RECORDS.PurchaseSettled.fullName ? LATEST.PurchaseSettled.avro : ours }];
    });
    const encoder = createEncoder(there, ['InventoryChanged', 'PurchaseSettled']);
    await expect(encoder.prepare()).rejects.toMatchObject({ code: 'BRX_REGISTRY_UNAVAILABLE' });
    away = false;
    await Promise.all([encoder.prepare(), encoder.prepare()]); // of two that ask at once only one does
    expect(there.asked).toEqual([RECORDS.InventoryChanged.fullName, RECORDS.PurchaseSettled.fullName, RECORDS.PurchaseSettled.fullName]);
  });

  test('without prepare nothing is written', () => {
    expect(() => createEncoder(registry(() => []), ['InventoryChanged']).encode('InventoryChanged', change())).toThrow('before the registry was asked');
  });
});
