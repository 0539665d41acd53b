import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkSchemas, describeCheck, incompatibilities } from '../../src/operations/schemas/index.ts';

/** Protects: no schema is committed that cannot read what is still in the topics (a replay reads events of any age). */
type Field = { name: string; type: unknown; default?: unknown; aliases?: string[] };
const record = (...fields: Field[]) => ({ type: 'record', name: 'R', namespace: 'brx.test', fields });
const a: Field = { name: 'a', type: 'int' };
const line = (...fields: Field[]) => ({ type: 'array', items: { type: 'record', name: 'Line', fields } });

describe('compatible', () => {
  test.each<[string, object, object]>([
    ['the same', record(a), record(a)],
    ['a new field with a default', record(a), record(a, { name: 'b', type: ['null', 'string'], default: null })],
    ['a field taken away', record(a, { name: 'b', type: 'string' }), record(a)],
    ['a field renamed with an alias', record(a), record({ name: 'b', type: 'int', aliases: ['a'] })],
    ['int made long', record(a), record({ name: 'a', type: 'long' })],
    ['a field made nullable', record(a), record({ name: 'a', type: ['null', 'int'] })],
    ['an enum symbol more', record({ name: 'a', type: { type: 'enum', name: 'E', symbols: ['X'] } }), record({ name: 'a', type: { type: 'enum', name: 'E', symbols: ['X', 'Y'] } })],
    ['a nested field with a default', record({ name: 'l', type: line(a) }), record({ name: 'l', type: line(a, { name: 'b', type: 'int', default: 0 }) })],
    ['a nullable uuid, unchanged', record({ name: 'a', type: ['null', { type: 'string', logicalType: 'uuid' }], default: null }), record({ name: 'a', type: ['null', { type: 'string', logicalType: 'uuid' }], default: null })],
  ])('%s', (_what, older, newer) => {
    expect(incompatibilities(older, newer)).toEqual([]);
  });
});

describe('incompatible, with the field named', () => {
  test.each<[string, object, object, RegExp]>([
    ['a new field without a default', record(a), record(a, { name: 'b', type: 'string' }), /^b: is new and has no default/],
    ['a field renamed without an alias', record(a), record({ name: 'b', type: 'int' }), /^b: is new and has no default/],
    ['long made int', record({ name: 'a', type: 'long' }), record(a), /^a: long cannot be read as int/],
    ['a nullable field made mandatory', record({ name: 'a', type: ['null', 'int'] }), record(a), /^a: .*cannot be read as int/],
    ['an enum symbol less', record({ name: 'a', type: { type: 'enum', name: 'E', symbols: ['X', 'Y'] } }), record({ name: 'a', type: { type: 'enum', name: 'E', symbols: ['X'] } }), /^a: Y may stand in older events/],
    ['a union branch less', record({ name: 'a', type: ['null', 'int', 'string'] }), record({ name: 'a', type: ['null', 'int'] }), /^a: string may stand in older events/],
    ['a nested field without a default', record({ name: 'l', type: line(a) }), record({ name: 'l', type: line(a, { name: 'b', type: 'int' }) }), /^l\[\]\.b: is new/],
    ['milliseconds made microseconds', record({ name: 'a', type: { type: 'long', logicalType: 'timestamp-millis' } }), record({ name: 'a', type: { type: 'long', logicalType: 'timestamp-micros' } }), /^a: the logical type timestamp-millis became timestamp-micros/],
    ['a uuid no longer one', record({ name: 'a', type: { type: 'string', logicalType: 'uuid' } }), record({ name: 'a', type: 'string' }), /^a: the logical type uuid became \(none\)/],
    ['the record renamed', record(a), { ...record(a), name: 'S' }, /no alias found for brx\.test\.R/],
    ['a default that does not fit its type', record(a), record(a, { name: 'b', type: 'int', default: 'x' }), /not valid Avro/],
  ])('%s', (_what, older, newer, problem) => {
    expect(incompatibilities(older, newer)[0]).toMatch(problem);
  });
});

describe('the committed folder', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'brx-schemas-'));
    await cp(new URL('../../schemas/', import.meta.url), folder, { recursive: true });
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const NAME = 'brx.marketplace.PurchaseCancelled';
  const version = (number: number, fields: Field[]) => writeFile(join(folder, NAME, `v${number}.avsc`), JSON.stringify({ type: 'record', name: 'PurchaseCancelled', namespace: 'brx.marketplace', doc: '', fields }));
  const uuid = { type: 'string', logicalType: 'uuid' };
  const ids: Field[] = ['event_id', 'purchase_id', 'user_id'].map((name) => ({ name, type: uuid }));
  const occurredAt: Field = { name: 'occurred_at', type: { type: 'long', logicalType: 'timestamp-millis' } };

  test('as it is, it passes', async () => {
    const report = await checkSchemas();
    expect(describeCheck(report)).toEqual([]);
    expect(report.ok).toBe(true);
  });

  test('a new version is held against every older one, not just the last (v3 brings back as mandatory what v2 took away)', async () => {
    await version(2, [...ids, occurredAt]);
    await version(3, [...ids, { name: 'reason', type: 'int', default: 0 }, occurredAt]);
    const report = await checkSchemas(folder);
    expect(report.incompatible).toEqual([{ record: NAME, older: 1, newer: 3, problem: 'reason: string cannot be read as int' }]);
    expect(report.stale).toEqual(['PurchaseCancelled']);
    expect(report.ok).toBe(false);
  });

  test.each<[string, () => Promise<void>, RegExp]>([
    ['a version left out', () => version(3, ids), /PurchaseCancelled\/v2\.avsc is missing/],
    ['a file that is not JSON', () => writeFile(join(folder, NAME, 'v2.avsc'), '{'), /v2\.avsc is not JSON/],
    ['a file of another record', () => cp(join(folder, 'brx.marketplace.InventoryLevel/v1.avsc'), join(folder, NAME, 'v2.avsc')), /v2\.avsc describes brx\.marketplace\.InventoryLevel/],
    ['a file of another name', () => writeFile(join(folder, NAME, 'new.avsc'), '{}'), /new\.avsc is not named v<number>\.avsc/],
    ['a record missing', () => rm(join(folder, NAME), { recursive: true }), /PurchaseCancelled\/ is missing/],
  ])('%s is refused by name', async (_what, spoil, problem) => {
    await spoil();
    await expect(checkSchemas(folder)).rejects.toMatchObject({ code: 'BRX_BAD_FILE', message: expect.stringMatching(problem) as string });
  });
});
