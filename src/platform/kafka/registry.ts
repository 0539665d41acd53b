import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry';
import type { RegistryConfig } from '../../config.ts';
import { BrxError, messageOf } from '../../errors.ts';
import { systemClock } from '../clock.ts';

/**
 * The schema registry. Reading is done with plain requests, because answers must be told apart that the client library reports
 * alike: "no such schema" (Confluent's error code 40403: a property of the record), a 404 of a wrong base URL, and no connection
 * (both properties of the installation, to be waited out; the library gives the latter the status 400). Writing is the library's.
 */
export const SUBJECT_COMPATIBILITY = COMPATIBILITY.BACKWARD_TRANSITIVE;

/** A schema records were written with. `foreign`: not Avro, or Avro that is no named record. */
export type WriterSchema = { kind: 'avro'; fullName: string; schema: unknown } | { kind: 'foreign'; description: string };

export interface SubjectVersion {
  version: number;
  id: number;
  schema: unknown;
}

export interface Registry {
  /** The schema of an id, cached for good; undefined when the registry says that there is none. Concurrent calls ask once. */
  schemaOf(id: number): Promise<WriterSchema | undefined>;
  /** Every version of a subject, oldest first; empty when there is no such subject. */
  versions(subject: string): Promise<SubjectVersion[]>;
  latestId(subject: string): Promise<number | undefined>;
  /** The subject's own compatibility level; undefined when it has none. */
  compatibilityOf(subject: string): Promise<string | undefined>;
  /** Registers a schema (the same one again is no change) and resolves to its id. Throws BRX_REFUSED when the registry finds it incompatible. */
  register(subject: string, schema: unknown): Promise<number>;
}

const TIMEOUT_MS = 5_000;
const REGISTER_ATTEMPTS = 5;
const REGISTER_PAUSE_MS = 100;
const NOT_FOUND_CODES = new Set([40401, 40402, 40403, 40408]);

export function createRegistry(config: RegistryConfig, options: { timeoutMs?: number } = {}): Registry {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const { base, authorization, credentials } = access(config);
  const cache = new Map<number, WriterSchema>();
  const underWay = new Map<number, Promise<WriterSchema | undefined>>();

  /** The body of an answer, or undefined for a "not found" in Confluent's terms. */
  async function get(path: string): Promise<unknown> {
    let status: number;
    let body: unknown;
    try {
      const response = await fetch(`${base}${path}`, {
        headers: { accept: 'application/vnd.schemaregistry.v1+json, application/json', ...(authorization === undefined ? {} : { authorization }) },
        signal: AbortSignal.timeout(timeoutMs),
      });
      status = response.status;
      const text = await response.text();
      body = parsed(text);
    } catch (error) {
      throw unavailable(`does not answer: ${reason(error, timeoutMs)}`, error);
    }
    if (status === 200 && body !== undefined) return body;
    if (status === 404 && NOT_FOUND_CODES.has(Number(property(body, 'error_code')))) return undefined;
    throw unavailable(`answered GET ${path} with status ${status}${messageIn(body)}`);
  }

  const unavailable = (what: string, cause?: unknown): BrxError =>
    new BrxError('BRX_REGISTRY_UNAVAILABLE', `the schema registry at ${base} ${what}`, {
      cause,
      remedy: 'see that it runs, that BRX_SCHEMA_REGISTRY_URL is its base path (Apicurio: .../apis/ccompat/v7), and that user name and password are right',
    });

  async function fetchSchema(id: number): Promise<WriterSchema | undefined> {
    const body = await get(`/schemas/ids/${id}`);
    if (body === undefined) return undefined;
    const schema = writerSchema(body);
    cache.set(id, schema);
    return schema;
  }

  async function registerOnce(subject: string, schema: unknown): Promise<number> {
    const client = new SchemaRegistry({ host: base, ...(credentials === undefined ? {} : { auth: credentials }), retry: { retries: 0 } });
    try {
      const { id } = await client.register({ type: SchemaType.AVRO, schema: JSON.stringify(schema) }, { subject, compatibility: SUBJECT_COMPATIBILITY });
      return id;
    } catch (error) {
      const status = property(error, 'status');
      if (status === 409 || status === 422) {
        throw new BrxError('BRX_REFUSED', `the schema registry refuses ${subject}: ${messageOf(error)}`, { cause: error, remedy: 'run `brx-sync schemas check`, and compare with `brx-sync schemas list`' });
      }
      if (status === undefined) throw new BrxError('BRX_REFUSED', `${subject} was not registered: ${messageOf(error)}`, { cause: error });
      throw unavailable(`did not take ${subject}: ${messageOf(error)}`, error);
    }
  }

  return {
    async schemaOf(id) {
      if (!Number.isInteger(id) || id < 0) return undefined; // no registry gives such an id out
      const known = cache.get(id);
      if (known !== undefined) return known;
      let asked = underWay.get(id);
      if (asked === undefined) {
        asked = fetchSchema(id).finally(() => underWay.delete(id));
        underWay.set(id, asked);
      }
      return asked;
    },

    async versions(subject) {
      const numbers = await get(`/subjects/${encodeURIComponent(subject)}/versions`);
      if (!Array.isArray(numbers)) return [];
      const versions: SubjectVersion[] = [];
      for (const number of numbers.map(Number).toSorted((a, b) => a - b)) {
        const body = await get(`/subjects/${encodeURIComponent(subject)}/versions/${number}`);
        if (body !== undefined) versions.push({ version: number, id: Number(property(body, 'id')), schema: parsed(String(property(body, 'schema'))) });
      }
      return versions;
    },

    async latestId(subject) {
      const body = await get(`/subjects/${encodeURIComponent(subject)}/versions/latest`);
      return body === undefined ? undefined : Number(property(body, 'id'));
    },

    async compatibilityOf(subject) {
      const body = await get(`/config/${encodeURIComponent(subject)}`);
      const level = property(body, 'compatibilityLevel');
      return typeof level === 'string' ? level.toUpperCase() : undefined;
    },

    async register(subject, schema) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await registerOnce(subject, schema);
        } catch (error) {
          // Two deployments register the first version of a subject at once: both find no compatibility level, both set it, and
          // the second is told that it exists already, or reads the default while the first is half done. A refusal that is
          // one of the contract is still one after a second.
          if (!(error instanceof BrxError) || error.code !== 'BRX_REFUSED' || attempt === REGISTER_ATTEMPTS) throw error;
          await systemClock.sleep(REGISTER_PAUSE_MS * attempt * (0.5 + systemClock.random()));
        }
      }
    },
  };
}

/** Credentials may stand in the variables or in the URL; they are in neither messages nor request lines. */
function access(config: RegistryConfig): { base: string; authorization: string | undefined; credentials: { username: string; password: string } | undefined } {
  const url = new URL(config.url);
  const username = config.username ?? decodeURIComponent(url.username);
  const password = config.password ?? decodeURIComponent(url.password);
  url.username = '';
  url.password = '';
  const base = url.toString().replace(/\/+$/, '');
  if (username === '') return { base, authorization: undefined, credentials: undefined };
  return { base, authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`, credentials: { username, password } };
}

function writerSchema(body: unknown): WriterSchema {
  const type = property(body, 'schemaType') ?? 'AVRO';
  if (type !== 'AVRO') return { kind: 'foreign', description: typeof type === 'string' ? `a ${type} schema` : 'a schema of no known kind' };
  const schema = parsed(String(property(body, 'schema')));
  const name = property(schema, 'name');
  const namespace = property(schema, 'namespace');
  if (typeof name !== 'string') return { kind: 'foreign', description: 'an Avro schema that is no named record' };
  return { kind: 'avro', fullName: name.includes('.') || typeof namespace !== 'string' ? name : `${namespace}.${name}`, schema };
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // not JSON: a proxy's page, which no caller takes for an answer
  }
}

function messageIn(body: unknown): string {
  const message = property(body, 'message');
  return typeof message === 'string' ? `: ${message.slice(0, 300)}` : '';
}

/** fetch hides why a connection failed in its cause. */
function reason(error: unknown, timeoutMs: number): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${timeoutMs / 1_000} s`;
  return error instanceof Error && error.cause instanceof Error ? messageOf(error.cause) || String(property(error.cause, 'code')) : messageOf(error);
}
