import { expect, test } from 'vitest';
import { apiRoutes } from '../../src/http/index.ts';
import { describeApi } from '../../src/http/openapi.ts';
import type { Postgres, Readers } from '../../src/platform/postgres/index.ts';
import { REST } from '../support/http.ts';

/**
 * The description of the API is made from the routes' schemas, committed, and must not drift from them. After a change of a route run
 * `npx vitest run --project contract -u`, look at what it wrote, and commit it.
 */
const document = describeApi(apiRoutes({ readers: {} as Readers, postgres: {} as Postgres, ...REST })) as {
  paths: Record<string, Record<string, { operationId: string; parameters?: { name: string; in: string; required: boolean }[]; responses: Record<string, unknown> }>>;
  components: { schemas: Record<string, unknown>; responses: Record<string, unknown> };
};

test('docs/openapi.json is current', async () => {
  await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot('../../docs/openapi.json');
});

test('everything it refers to is there, and nothing that nobody refers to', () => {
  const refs = new Set([...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/(\w+\/\w+)"/g)].map(([, name]) => name));
  const there = Object.entries({ schemas: document.components.schemas, responses: document.components.responses }).flatMap(([kind, all]) => Object.keys(all).map((name) => `${kind}/${name}`));
  expect([...refs].filter((ref) => !there.includes(ref!))).toEqual([]);
  expect(there.filter((name) => !refs.has(name))).toEqual(['responses/unknown_route', 'responses/method_not_allowed']); // of no route
});

test('each part of a path is a parameter that must be given, and ids of operations are their own', () => {
  const ids: string[] = [];
  for (const [path, operations] of Object.entries(document.paths)) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    for (const { operationId, parameters = [], responses } of Object.values(operations)) {
      ids.push(operationId);
      expect(Object.keys(responses).length).toBeGreaterThan(1);
      expect(parameters.filter((one) => one.in === 'path').map(({ name, required }) => [name, required])).toEqual(named.map((name) => [name, true]));
    }
  }
  expect(new Set(ids).size).toBe(ids.length);
  for (const one of ids) expect(one).toMatch(/^(?:get|post)[A-Z][A-Za-z]+$/);
});
