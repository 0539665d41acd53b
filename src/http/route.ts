import type { z } from 'zod';
import type { Access } from './access.ts';
import { Problem, type ProblemCode } from './problems.ts';

export interface Answer {
  readonly status?: number;
  /** JSON, or a text with its `type`. */
  readonly body: unknown;
  readonly type?: string;
  /** An answer with an `etag` the client has already is 304. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a route is asked. */
export interface Asked {
  readonly params: unknown;
  readonly query: unknown;
  /** Read as JSON, or of a route with `bytes` as it came; null: longer than anybody takes. */
  readonly body: unknown;
  /** Whether details may be told. */
  readonly isTrusted: boolean;
  readonly signature: string | undefined;
}

/** What a list of users, say, looks like; named so in the description of the API. */
export interface Model {
  readonly name: string;
  readonly schema: z.ZodType;
}

export interface RouteAbout {
  readonly method: 'GET' | 'POST';
  /** `/users/{id}`. */
  readonly path: string;
  readonly access: Access;
  /** Of what people and Prometheus ask in a hurry, and CardTrader in storms, nobody is refused for asking often. */
  readonly isLimited: boolean;
  readonly summary: string;
  readonly description?: string;
  /** What it answers when all is well; undefined: no JSON, or nothing to rely on. */
  readonly answer?: Model;
  readonly problems: readonly ProblemCode[];
  /** The body is taken as bytes, at most so many. */
  readonly bytes?: number;
  /** What a path is that does not fit: an invalid request, if nothing is said. */
  readonly badParams?: ProblemCode;
}

export interface Route extends RouteAbout {
  readonly params: z.ZodType | undefined;
  readonly query: z.ZodType | undefined;
  readonly body: z.ZodType | undefined;
  handle(asked: Asked): Promise<Answer>;
}

interface Definition<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType> extends RouteAbout {
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  readonly handle: (asked: Omit<Asked, 'params' | 'query' | 'body'> & { readonly params: z.output<Params>; readonly query: z.output<Query>; readonly body: z.output<Body> }) => Promise<Answer> | Answer;
}

/** A route whose handler is given what its schemas have made of the request; what does not fit them never reaches it. */
export function route<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType>({ params, query, body, handle, ...about }: Definition<Params, Query, Body>): Route {
  return {
    ...about,
    params,
    query,
    body,
    async handle(asked) {
      const read = {
        ...asked,
        params: fitting('path', params, asked.params, about.badParams) as z.output<Params>,
        query: fitting('query', query, asked.query) as z.output<Query>,
        body: fitting('body', body, asked.body) as z.output<Body>,
      };
      return handle(read);
    },
  };
}

function fitting(where: string, schema: z.ZodType | undefined, given: unknown, code: ProblemCode = 'invalid_request'): unknown {
  if (schema === undefined) return given;
  const read = schema.safeParse(given);
  if (read.success) return read.data;
  if (code !== 'invalid_request') throw new Problem(code, 'there is nothing at this path');
  const errors = read.error.issues.map(({ path, message }) => ({ at: [where, ...path.map(String)].join('.'), problem: message }));
  throw new Problem('invalid_request', errors.map(({ at, problem }) => `${at}: ${problem}`).join('; '), { errors, remedy: 'GET /openapi.json says what each route takes' });
}
