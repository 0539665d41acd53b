import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { RECORDS, RECORD_NAMES } from '../../src/contract/index.ts';

/**
 * What is derived from schemas/*.avsc is committed and must not drift from it. After a change of a schema run
 * `npx vitest run --project contract -u` and commit what it wrote.
 */
const root = new URL('../../', import.meta.url);

function newestSchema(fullName: string): { version: number; text: string } {
  const folder = new URL(`schemas/${fullName}/`, root);
  const versions = readdirSync(folder).map((file) => Number(/^v(\d+)\.avsc$/.exec(file)?.[1]));
  const version = Math.max(...versions);
  return { version, text: readFileSync(new URL(`v${version}.avsc`, folder), 'utf8') };
}

test('src/contract/avro.generated.ts holds the newest version of every record', async () => {
  const entries = RECORD_NAMES.map((name) => {
    const { version, text } = newestSchema(RECORDS[name].fullName);
    return `  ${name}: {\n    version: ${version},\n    avro: ${JSON.stringify(JSON.parse(text))},\n  },\n`;
  });
  const module = `// Made from schemas/*/v*.avsc by test/contract/generated.test.ts; do not edit. Remake: npx vitest run --project contract -u\n\nimport type { AvroRecord } from './avro.ts';\nimport type { RecordName } from './records.ts';\n\n/** The newest schema of every record: what this version writes, and reads every older version as. */\nexport const LATEST: Record<RecordName, { readonly version: number; readonly avro: AvroRecord }> = {\n${entries.join('')}};\n`;
  await expect(module).toMatchFileSnapshot('../../src/contract/avro.generated.ts');
});

test('every folder of schemas/ is a record of the contract, and every record has one', () => {
  const folders = readdirSync(new URL('schemas/', root), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map((folder) => folder.name).toSorted()).toEqual(RECORD_NAMES.map((name): string => RECORDS[name].fullName).toSorted());
});
