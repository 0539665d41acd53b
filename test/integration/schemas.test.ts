import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { LATEST, RECORD_NAMES, RECORDS } from '../../src/contract/index.ts';
import { applySchemas, checkSchemas, inspectSubjects } from '../../src/operations/schemas/index.ts';
import { createCodec, createRegistry, encode, SUBJECT_COMPATIBILITY, type Registry, type SubjectVersion } from '../../src/platform/kafka/index.ts';
import { stackUrls } from '../support/stack.ts';
import { registryConfig } from './contract/config.ts';

/** Protects: registration on a real registry, any number of times, and each refusal. */
const registry = createRegistry(registryConfig(stackUrls()));

test('every record is registered under its full name, and registering again changes nothing', async () => {
  const check = await checkSchemas();
  const first = await applySchemas(registry, check, { dryRun: false });
  expect(first.map(({ record }) => record)).toEqual(RECORD_NAMES);
  for (const { subject, id } of first) {
    expect(await registry.latestId(subject)).toBe(id);
    expect(await registry.compatibilityOf(subject)).toBe(SUBJECT_COMPATIBILITY);
  }
  const second = await applySchemas(registry, check, { dryRun: false });
  expect(second.map(({ id, added, verdict }) => ({ id, added, verdict }))).toEqual(first.map(({ id }) => ({ id, added: false, verdict: 'registered' })));
});

test('what is written with a registered schema is read through its id', async () => {
  await applySchemas(registry, await checkSchemas(), { dryRun: false });
  const id = await registry.latestId(RECORDS.PurchaseCancelled.fullName);
  const value = RECORDS.PurchaseCancelled.schema.parse({ event_id: randomUUID(), purchase_id: randomUUID(), user_id: randomUUID(), reason: 'changed mind', occurred_at: Date.UTC(2026, 0, 1) });
  const codec = createCodec(registry);
  await codec.prepare(id!);
  const reader = codec.reader(id!);
  expect(reader?.recordName).toBe('brx.marketplace.PurchaseCancelled');
  expect({ ...(reader?.read(encode('PurchaseCancelled', id!, value)) as object) }).toEqual(value);
});

test('an id nobody has is unknown', async () => {
  expect(await registry.schemaOf(2_147_483_000)).toBeUndefined();
});

test('the registry itself refuses a version that cannot read an older one', async () => {
  const name = `T${randomUUID().replaceAll('-', '')}`;
  const of = (fields: object[]): object => ({ type: 'record', name, namespace: 'brx.test', fields });
  const first = await registry.register(`brx.test.${name}`, of([{ name: 'a', type: 'int' }]));
  expect(await registry.register(`brx.test.${name}`, of([{ name: 'a', type: 'int' }]))).toBe(first);
  await expect(registry.register(`brx.test.${name}`, of([{ name: 'a', type: 'int' }, { name: 'b', type: 'string' }]))).rejects.toMatchObject({ code: 'BRX_REFUSED' });
});

test.each<[string, Partial<Pick<Registry, 'versions' | 'compatibilityOf'>>, RegExp]>([
  ['another compatibility level', { compatibilityOf: () => Promise.resolve('NONE') }, /has compatibility NONE in the registry, BACKWARD_TRANSITIVE is needed/],
  ['a version that never was committed and cannot be read', { versions: (subject) => foreignVersion(subject) }, /v1 cannot read version 9 \(id 99\) of the registry: event_id: .*/],
])('a subject with %s is refused with the reason, and nothing is registered', async (_what, change, message) => {
  const registered: string[] = [];
  const changed: Registry = { ...registry, ...change, register: (subject) => (registered.push(subject), Promise.resolve(1)) };
  await expect(applySchemas(changed, await checkSchemas(), { dryRun: false })).rejects.toMatchObject({ code: 'BRX_REFUSED', message: expect.stringMatching(message) as string });
  expect(registered).toEqual([]);
});

test('a registry that a newer build has been at is left alone', async () => {
  const { histories } = await checkSchemas();
  const newer = (subject: string): Promise<SubjectVersion[]> => {
    const record = RECORD_NAMES.find((name) => RECORDS[name].fullName === subject)!;
    const { avro } = LATEST[record];
    return Promise.resolve([{ version: 1, id: 1, schema: avro }, { version: 2, id: 2, schema: { ...avro, doc: 'newer' } }]);
  };
  const findings = await inspectSubjects({ versions: newer, compatibilityOf: () => Promise.resolve(undefined) }, histories);
  expect(new Set(findings.map(({ verdict }) => verdict))).toEqual(new Set(['outrun']));
});

function foreignVersion(subject: string): Promise<SubjectVersion[]> {
  const [name, namespace] = [subject.split('.').at(-1), subject.split('.').slice(0, -1).join('.')];
  return Promise.resolve([{ version: 9, id: 99, schema: { type: 'record', name, namespace, fields: [{ name: 'event_id', type: 'int' }] } }]);
}

test('deployments that register the first version of a subject at once all succeed, with one id', async () => {
  for (let round = 0; round < 4; round += 1) {
    const name = `Race${randomUUID().replaceAll('-', '')}`;
    const schema = { type: 'record', name, namespace: 'brx.test', fields: [{ name: 'event_id', type: 'string' }] };
    const ids = await Promise.all(Array.from({ length: 6 }, () => createRegistry(registryConfig(stackUrls())).register(`brx.test.${name}`, schema)));
    expect(new Set(ids).size).toBe(1);
    expect(await registry.compatibilityOf(`brx.test.${name}`)).toBe(SUBJECT_COMPATIBILITY);
  }
});
