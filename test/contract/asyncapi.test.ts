import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Ajv, type AnySchemaObject } from 'ajv';
import formats from 'ajv-formats';
import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { TOPICS } from '../../src/contract/index.ts';
import { asyncapi } from './asyncapi.ts';

/** Protects: asyncapi.yaml is the contract as the code has it, and a document the specification allows. Remake: `npx vitest run --project contract -u`. */
const root = new URL('../../', import.meta.url);
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { version: string };

test('asyncapi.yaml is current', async () => {
  const text = stringify(asyncapi(version), { lineWidth: 160, aliasDuplicateObjects: false });
  await expect(`# Made from schemas/ and src/contract/ by test/contract/asyncapi.test.ts; do not edit. Remake: npx vitest run --project contract -u\n${text}`).toMatchFileSnapshot('../../asyncapi.yaml');
});

/** The specification's own schema, in which formats of references are no standard ones. */
function validator(): (document: unknown) => string[] {
  const specification = createRequire(import.meta.url)('@asyncapi/specs/schemas/3.0.0.json') as AnySchemaObject;
  const ajv = new Ajv({ strict: false, allErrors: true, meta: false /* it brings its own */, validateSchema: false, logger: false });
  (formats as unknown as (instance: Ajv) => void)(ajv);
  const validate = ajv.compile(specification);
  return (document) => (validate(document) ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`));
}

test('it is a document AsyncAPI 3.0 allows, and the check can tell', () => {
  const document = parse(readFileSync(new URL('asyncapi.yaml', root), 'utf8')) as { operations: Record<string, { action: string }> };
  const problems = validator();
  expect(problems(document)).toEqual([]);
  document.operations['applyMarketplaceEvents']!.action = 'take';
  expect(problems(document)).not.toEqual([]);
});

test('every reference leads somewhere', () => {
  const document: unknown = asyncapi(version);
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path]) => path!);
  expect(references.length).toBeGreaterThan(TOPICS.marketplaceEvents.records.length);
  for (const path of references) {
    const target = path.split('/').reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], document);
    expect(target, path).toBeDefined();
  }
});
