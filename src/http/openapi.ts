import { z } from 'zod';
import { packageVersion } from '../platform/version.ts';
import { problemBody, PROBLEMS, type ProblemCode } from './problems.ts';
import type { Route } from './route.ts';

type Json = Readonly<Record<string, unknown>>;

const PROBLEM = 'Problem';
/** What any request may meet with, whatever it asks. */
const COMMON: readonly ProblemCode[] = ['misdirected', 'too_many_requests', 'internal', 'unavailable'];

/** The routes as OpenAPI 3.1, whose schemas are JSON Schema as zod says it. */
export function describeApi(routes: readonly Route[]): Json {
  const models = new Map(routes.flatMap(({ answer }) => (answer === undefined ? [] : [[answer.name, answer.schema] as const])));
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method.toLowerCase()] = operationOf(route);
  return {
    openapi: '3.1.0',
    info: { title: 'BRX Sync', version: packageVersion(), description: 'What is in stock, and how it stands with CardTrader. Times are UTC; ids are UUIDs.' },
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'BRX_HTTP_TOKEN' } },
      responses: PROBLEM_RESPONSES,
      schemas: Object.fromEntries([...models, [PROBLEM, problemBody] as const].map(([name, schema]) => [name, schemaOf(schema, 'output')])),
    },
  };
}

function operationOf({ method, path, access, isLimited, summary, description, params, query, body, answer, problems }: Route): Json {
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[^a-zA-Z]+(\w)/g, (_, letter: string) => letter.toUpperCase()).replaceAll(/\W/g, '')}`,
    summary,
    ...(description !== undefined && { description }),
    // On loopback without a configured token reading needs none.
    ...(access === 'open' || access === 'signed' ? { security: [] } : { security: access === 'read' ? [{ token: [] }, {}] : [{ token: [] }] }),
    ...parametersOf(params, query),
    ...(body !== undefined && { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body, 'input') } } } }),
    responses: {
      '200': { description: 'OK', ...(answer !== undefined && { content: { 'application/json': { schema: { $ref: `#/components/schemas/${answer.name}` } } } }) },
      ...responsesOf([...problems, ...COMMON.filter((code) => isLimited || code !== 'too_many_requests')]),
    },
  };
}

function parametersOf(params: z.ZodType | undefined, query: z.ZodType | undefined): Json {
  const of = (place: 'path' | 'query', schema: z.ZodType | undefined): Json[] => {
    if (schema === undefined) return [];
    const { properties = {}, required = [] } = schemaOf(schema, 'input') as { properties?: Record<string, Json>; required?: string[] };
    return Object.entries(properties).map(([name, { description, ...of }]) => ({ name, in: place, required: place === 'path' || required.includes(name), ...(description !== undefined && { description }), schema: of }));
  };
  const parameters = [...of('path', params), ...of('query', query)];
  return parameters.length === 0 ? {} : { parameters };
}

const PROBLEM_RESPONSES = Object.fromEntries(
  Object.entries(PROBLEMS).map(([code, { title }]) => [code, { description: title, content: { 'application/problem+json': { schema: { $ref: `#/components/schemas/${PROBLEM}` } } } }]),
);

/** One a status: no route has two problems of the same. */
function responsesOf(codes: readonly ProblemCode[]): Json {
  return Object.fromEntries(codes.map((code) => [String(PROBLEMS[code].status), { $ref: `#/components/responses/${code}` }]));
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, target: 'draft-2020-12' });
  return rest;
}
