import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLogger } from '../../../src/platform/log.ts';
import { byteaArray, createPostgres, intArray, textArray, timestampArray, uuidArray, type Postgres } from '../../../src/platform/postgres/index.ts';
import { createEmptyDatabase, type TestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';

/** PostgreSQL reads back exactly what went into an array literal, whatever it is. fast-check prints the seed of a failure. */
let database: TestDatabase;
let postgres: Postgres;

beforeAll(async () => {
  database = await createEmptyDatabase();
  postgres = createPostgres(databaseConfig(database.url), { logger: silentLogger, applicationName: 'arrays', keyLookupsOnly: false });
});
afterAll(async () => {
  await postgres.close();
  await database.drop();
});

async function readBack(type: string, literal: string | Buffer, expression = 'value'): Promise<unknown[]> {
  const rows = await postgres.prisma.$queryRawUnsafe<{ value: unknown }[]>(`SELECT ${expression} AS value FROM unnest($1::${type}[]) WITH ORDINALITY AS t (value, n) ORDER BY n`, literal);
  return rows.map((row) => row.value);
}

async function holds<T>(type: string, values: fc.Arbitrary<T>, build: (values: readonly (T | null)[]) => string | Buffer, seen: (value: T) => unknown, expression?: string): Promise<void> {
  const lists = fc.array(fc.option(values), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(lists, async (list) => {
      expect(await readBack(type, build(list), expression)).toEqual(list.map((value) => (value === null ? null : seen(value))));
    }),
    { numRuns: 150 },
  );
}

const same = <T>(value: T): T => value;

test('text: any character but U+0000', async () => {
  const hard = fc.string({ unit: fc.constantFrom('"', '\\', ',', '{', '}', ' ', '\n', '\t', "'", '$', 'N', 'é', '\u{1F0CF}', '\u0001', '\u00A0') });
  await holds('text', fc.oneof(hard, fc.constantFrom('', 'NULL', 'null', '\\x00'), fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'))), textArray, same);
});

test('uuid', async () => {
  await holds('uuid', fc.uuid(), uuidArray, same);
});

test('integers of each width', async () => {
  await holds('int', fc.integer(), intArray, same);
  await holds('smallint', fc.integer({ min: -32_768, max: 32_767 }), intArray, same);
  await holds('bigint', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), intArray, same);
  await holds('bigint', fc.maxSafeInteger(), intArray, BigInt);
});

test('doubles', async () => {
  await holds('float8', fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0), intArray, same);
});

test('bytes', async () => {
  await holds('bytea', fc.uint8Array({ maxLength: 40 }), byteaArray, same);
});

test('times to the millisecond, from the year 1 to the end of JavaScript’s', async () => {
  // As milliseconds: adapter-pg gives years beyond 9999 back as an invalid Date.
  await holds('timestamptz', fc.integer({ min: -62_135_596_800_000, max: 8.64e15 }), timestampArray, BigInt, '(extract(epoch FROM value) * 1000)::bigint');
});

test('text with U+0000 is refused as data, not as an outage', async () => {
  await expect(readBack('text', textArray(['\0']))).rejects.toMatchObject({ meta: { driverAdapterError: { cause: { originalCode: '22021' } } } });
});
