import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { LATEST, LIMITS, PURCHASE_REASONS, RECORD_NAMES, RECORDS, RULES, TOPICS, type AvroField, type AvroType, type RecordName, type Topic } from '../../src/contract/index.ts';

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

test('the tables and the example of docs/producers.md are current', async () => {
  const parts: Record<string, string> = {
    topics: table(['topic', 'records', 'partitions', 'kept', 'written by'], Object.values(TOPICS).map((topic: Topic) => [`\`${topic.name}\``, topic.records.join(', '), topic.partitions, `${topic.retentionMs / 86_400_000} days`, topic.writtenBy])),
    written: TOPICS.marketplaceEvents.records.map(describeRecord).join('\n\n'),
    read: [...TOPICS.purchaseOutcomes.records, ...TOPICS.inventoryLevels.records].map(describeRecord).join('\n\n'),
    rules: `${table(['rule', 'meaning'], Object.entries(RULES).map(([name, meaning]) => [name, meaning]))}\n\n${table(['limit', 'most'], Object.entries(LIMITS).map(([name, most]) => [LIMIT_NAMES[name as keyof typeof LIMITS], most]))}`,
    example: `\`\`\`ts\n${readFileSync(new URL('test/integration/contract/producer-example.ts', root), 'utf8')}\`\`\``,
  };
  let document = readFileSync(new URL('docs/producers.md', root), 'utf8');
  for (const [name, text] of Object.entries(parts)) {
    const [start, end] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`];
    expect(document, `docs/producers.md has the markers of ${name}`).toContain(start);
    document = `${document.slice(0, document.indexOf(start) + start.length)}${text}\n${document.slice(document.indexOf(end))}`;
  }
  await expect(document).toMatchFileSnapshot('../../docs/producers.md');
});

test('docs/producers.md explains every reason an outcome may have', () => {
  const document = readFileSync(new URL('docs/producers.md', root), 'utf8');
  for (const reason of Object.keys(PURCHASE_REASONS)) expect(document).toMatch(new RegExp(`(REJECTED|CANCELLED) [^|]*\`${reason}\``));
});

const LIMIT_NAMES: Record<keyof typeof LIMITS, string> = {
  source: 'characters of `source`',
  reason: 'characters of a cancellation’s `reason`',
  buyerId: 'characters of `buyer_id`',
  description: 'characters of `description`',
  userDataField: 'characters of `user_data_field`',
  properties: 'entries of `properties`',
  propertyKey: 'characters of a property’s name (at least 1)',
  propertyValue: 'characters of a property’s value',
  purchaseLines: 'lines of a purchase (at least 1)',
  snapshotProducts: 'products of a snapshot chunk',
};

function describeRecord(name: RecordName): string {
  const { version, avro } = LATEST[name];
  const rows = fieldsOf(avro.fields, '');
  return `### ${name}\n\n${avro.doc} Version ${version}: [\`${RECORDS[name].fullName}\`](../schemas/${RECORDS[name].fullName}/v${version}.avsc).\n\n${table(['field', 'type', 'default', 'meaning'], rows)}`;
}

function fieldsOf(fields: readonly AvroField[], path: string): (string | number)[][] {
  return fields.flatMap((field) => {
    const own = [`\`${path}${field.name}\``, typeName(field.type), 'default' in field ? `\`${JSON.stringify(field.default)}\`` : '', field.doc];
    const { type } = field;
    const items = typeof type === 'object' && 'items' in type ? type.items : undefined;
    return [own, ...(typeof items === 'object' && 'fields' in items ? fieldsOf(items.fields, `${path}${field.name}[].`) : [])];
  });
}

function typeName(type: AvroType): string {
  if (typeof type === 'string') return type;
  if (Array.isArray(type)) return (type as readonly AvroType[]).map(typeName).join(' or ');
  if ('logicalType' in type) return type.logicalType === 'uuid' ? 'uuid (string)' : 'timestamp-millis (long)';
  if ('symbols' in type) return type.symbols.join(', ');
  if ('items' in type) return `array of ${typeName(type.items)}`;
  if ('type' in type && type.type === 'map') return `map of ${typeName(type.values)}`;
  return 'name' in type ? type.name : 'record';
}

function table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  return [headings, headings.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
