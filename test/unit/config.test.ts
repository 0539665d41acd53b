import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { configurationTable, withTable } from '../../scripts/configuration-table.mjs';
import { processEnvironment, readConfig, VARIABLES } from '../../src/config.ts';
import { BrxError } from '../../src/errors.ts';
import { FAULT_POINTS } from '../../src/platform/fault-points.ts';

/** What somebody meets who sets this program up, above all when something is wrong: all of it at once, and how to put it right. */
const root = (path: string): string => new URL(`../../${path}`, import.meta.url).pathname;
const directory = mkdtempSync(join(tmpdir(), 'brx-config-'));
afterAll(() => rmSync(directory, { recursive: true }));

const minimal = {
  BRX_KAFKA_BROKERS: '127.0.0.1:19092',
  BRX_SCHEMA_REGISTRY_URL: 'http://127.0.0.1:18081/apis/ccompat/v7',
  BRX_DATABASE_URL: 'postgresql://brx@127.0.0.1:15432/brx',
};

function refusal(environment: Record<string, string>): BrxError {
  try {
    readConfig({ ...minimal, ...environment });
  } catch (error) {
    expect(error).toBeInstanceOf(BrxError);
    return error as BrxError;
  }
  throw new Error('was accepted');
}

describe('what is accepted', () => {
  test('three variables are enough; everything else has a default', () => {
    const config = readConfig(minimal);
    expect(config.kafka).toEqual({ brokers: ['127.0.0.1:19092'], clientId: 'brx-sync', ssl: false, sasl: undefined, topicPrefix: '' });
    expect(config.http).toEqual({ host: '127.0.0.1', port: 8080, token: undefined, rateLimit: 300 });
    expect(config.ingest.horizonMs).toBe(30 * 86_400_000);
    expect(config.fault).toBeUndefined();
  });

  test('an empty variable is one that is not set', () => {
    expect(readConfig({ ...minimal, BRX_HTTP_PORT: '', BRX_KAFKA_SASL_PASSWORD: '' }).http.port).toBe(8080);
    expect(refusal({ BRX_DATABASE_URL: '' }).message).toContain('BRX_DATABASE_URL is not set');
  });

  test('values are read as what they are', () => {
    const config = readConfig({
      ...minimal,
      BRX_KAFKA_BROKERS: ' a:1 , b:2,',
      BRX_KAFKA_SSL: 'true',
      BRX_KAFKA_SASL_MECHANISM: 'plain',
      BRX_KAFKA_SASL_USERNAME: 'u',
      BRX_KAFKA_SASL_PASSWORD: 'p',
      BRX_SCHEMA_REGISTRY_URL: 'http://registry/api//',
      BRX_HTTP_PORT: '0',
      BRX_FAULT: 'ingest.after-write:stop:3',
    });
    expect(config.kafka).toMatchObject({ brokers: ['a:1', 'b:2'], ssl: true, sasl: { mechanism: 'plain', username: 'u', password: 'p' } });
    expect(config.registry.url).toBe('http://registry/api');
    expect(config.http.port).toBe(0);
    expect(config.fault).toEqual({ point: 'ingest.after-write', action: 'stop', passage: 3 });
  });

  test('nobody can change it afterwards', () => {
    const config = readConfig(minimal);
    expect(() => Object.assign(config.kafka, { clientId: 'x' })).toThrow(TypeError);
    expect(() => config.kafka.brokers.push('x:1')).toThrow(TypeError);
  });

  test('variables of others are none of our business, those of the local stack neither', () => {
    expect(() => readConfig({ ...minimal, PATH: '/bin', BRX_STACK_KAFKA_PORT: '1', BRX_ENV_FILE: 'none' })).not.toThrow();
  });
});

describe('what is refused', () => {
  test('every problem is in the one message, each with variable, what is wrong and an example', () => {
    const error = refusal({ BRX_KAFKA_BROKERS: 'localhost', BRX_HTTP_PORT: '80x', BRX_LOG_LEVEL: 'loud', BRX_DATABASE_URL: 'mysql://x/y' });
    expect(error.code).toBe('BRX_CONFIG');
    expect(error.exitCode).toBe(78);
    expect(error.message.split('\n')[0]).toBe('4 problems in the configuration:');
    for (const name of ['BRX_KAFKA_BROKERS', 'BRX_HTTP_PORT', 'BRX_LOG_LEVEL', 'BRX_DATABASE_URL'] as const) {
      expect(error.message).toMatch(new RegExp(`^  ${name} \\S.*\\n      for example ${name}=`, 'm'));
      expect(error.message).toContain(`${name}=${VARIABLES[name].example}`);
    }
    expect(error.remedy).toContain('.env');
  });

  test.each<[variable: keyof typeof VARIABLES, value: string, problem: RegExp]>([
    ['BRX_KAFKA_BROKERS', ',', /must be host:port/],
    ['BRX_KAFKA_BROKERS', 'http://a:1', /must be host:port/],
    ['BRX_KAFKA_SSL', 'yes', /"true"\|"false"/],
    ['BRX_TOPIC_PREFIX', 'a b', /letters, digits, dot, underscore and dash only/],
    ['BRX_SCHEMA_REGISTRY_URL', 'ftp://a', /must be a URL that starts with http:\/\/ or https:\/\//],
    ['BRX_SCHEMA_REGISTRY_URL', 'registry', /must be a URL/],
    ['BRX_DATABASE_URL', 'mysql://a/b', /must be a URL that starts with postgres:\/\/ or postgresql:\/\//],
    ['BRX_DATABASE_REPLICA_URLS', 'postgresql://a:b@c/d,mysql://e/f', /must be URLs that start with postgres:\/\/ or postgresql:\/\/, separated by commas/],
    ['BRX_DATABASE_POOL_MAX', '1', />=2/],
    ['BRX_DATABASE_POOL_MAX', '101', /<=100/],
    ['BRX_DATABASE_POOL_MAX', '4.5', /expected int/],
    ['BRX_INGEST_CHUNK_EVENTS', 'many', /expected number/],
    ['BRX_REDIS_URL', 'http://a', /must be a URL that starts with redis:\/\/ or rediss:\/\//],
    ['BRX_MYSQL_URL', 'postgresql://a/b', /must be a URL that starts with mysql:\/\//],
    ['BRX_MYSQL_REPLICA_URLS', 'mysql://a:b@c/d,e', /must be URLs that start with mysql:\/\/, separated by commas/],
    ['BRX_SECRET_KEYS', 'k1', /must be name:key.*openssl rand -base64 32/],
    ['BRX_SECRET_KEYS', 'k1:AAAA', /key 1 has 3 bytes, 32 are needed/],
    ['BRX_RATE_LIMIT_FALLBACK_SHARE', '0', />=0.01/],
    ['BRX_RATE_LIMIT_FALLBACK_SHARE', '1.5', /<=1/],
    ['BRX_HTTP_PORT', '65536', /<=65535/],
    ['BRX_HTTP_TOKEN', 'short', /at least 16 characters/],
    ['BRX_LOG_FORMAT', 'xml', /"auto"\|"json"\|"pretty"/],
    ['BRX_FAULT', 'ingest.nowhere:kill', /point one of ingest\.before-decode/],
    ['BRX_FAULT', 'ingest.after-write:explode', /action kill, stop, throw/],
    ['BRX_FAULT', 'ingest.after-write:kill:0', /must be point:action\[:n\]/],
  ])('%s=%s', (variable, value, problem) => {
    const { message } = refusal({ [variable]: value });
    expect(message).toMatch(/^1 problem in the configuration:/);
    expect(message).toMatch(new RegExp(`^  ${variable} .*${problem.source}`, 'm'));
  });

  test.each<[name: string, near: string]>([
    ['BRX_KAFKA_BROKER', 'BRX_KAFKA_BROKERS'],
    ['BRX_DATABSE_URL', 'BRX_DATABASE_URL'],
    ['BRX_KAFKA_SASL_PASSWORD_FIEL', 'BRX_KAFKA_SASL_PASSWORD_FILE'],
  ])('a misspelt name, %s, is told, with the one that was meant', (name, near) => {
    expect(refusal({ [name]: 'x' }).message).toContain(`${name} is not a setting of this program; did you mean ${near}?`);
  });

  test('a name near nothing is told without a guess', () => {
    expect(refusal({ BRX_COMPLETELY_DIFFERENT_THING: 'x' }).message).toMatch(/BRX_COMPLETELY_DIFFERENT_THING is not a setting of this program\n/);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['a statement that outlives its transaction', { BRX_DATABASE_STATEMENT_TIMEOUT_MS: '30000' }, /BRX_DATABASE_STATEMENT_TIMEOUT_MS must be below BRX_DATABASE_TRANSACTION_TIMEOUT_MS/],
    ['a lock wait that outlives its statement', { BRX_DATABASE_LOCK_TIMEOUT_MS: '20000' }, /BRX_DATABASE_LOCK_TIMEOUT_MS must be below BRX_DATABASE_STATEMENT_TIMEOUT_MS/],
    ['a rebalance shorter than the chunk in flight', { BRX_INGEST_REBALANCE_TIMEOUT_MS: '59999' }, /BRX_INGEST_REBALANCE_TIMEOUT_MS must be at least twice/],
    ['fewer connections than partitions at once', { BRX_DATABASE_POOL_MAX: '10' }, /BRX_DATABASE_POOL_MAX must be at least BRX_INGEST_CONCURRENCY \+ BRX_SAGA_CONCURRENCY \+ 5/],
    ['a quarantine that ends while a write may be on its way', { BRX_DISPATCHER_QUARANTINE_MS: '15000' }, /BRX_DISPATCHER_QUARANTINE_MS must be above BRX_MARKETPLACE_WRITE_TIMEOUT_MS/],
    ['a lease that ends while a dead process’s write may be on its way', { BRX_DISPATCHER_LEASE_MS: '22500' }, /BRX_DISPATCHER_LEASE_MS must be above one and a half times/],
    ['fewer connections to CardTrader than calls at once', { BRX_MARKETPLACE_CONNECTIONS: '127' }, /BRX_MARKETPLACE_CONNECTIONS must be at least/],
    ['half of SASL', { BRX_KAFKA_SASL_USERNAME: 'u' }, /BRX_KAFKA_SASL_MECHANISM needs BRX_KAFKA_SASL_USERNAME and BRX_KAFKA_SASL_PASSWORD/],
    ['tokens in clear over the network', { BRX_MARKETPLACE_URL: 'http://api.cardtrader.com/api/v2' }, /BRX_MARKETPLACE_URL must be https/],
    ['connecting longer than writing', { BRX_MARKETPLACE_CONNECT_TIMEOUT_MS: '15000' }, /BRX_MARKETPLACE_CONNECT_TIMEOUT_MS must be below BRX_MARKETPLACE_WRITE_TIMEOUT_MS/],
    ['an export shorter than a read', { BRX_MARKETPLACE_EXPORT_TIMEOUT_MS: '19999' }, /BRX_MARKETPLACE_EXPORT_TIMEOUT_MS must not be below/],
    ['a margin as long as the window', { BRX_RATE_LIMIT_WINDOW_MS: '1000', BRX_RATE_LIMIT_MARGIN_MS: '1000' }, /BRX_RATE_LIMIT_MARGIN_MS must be below BRX_RATE_LIMIT_WINDOW_MS/],
    ['replicas without a primary', { BRX_MYSQL_REPLICA_URLS: 'mysql://h/d' }, /BRX_MYSQL_URL must be set when BRX_MYSQL_REPLICA_URLS is/],
    ['fewer connections to MySQL than its servers need', { BRX_MYSQL_URL: 'mysql://h/d', BRX_MYSQL_REPLICA_URLS: 'mysql://i/d,mysql://j/d', BRX_MYSQL_POOL_MAX: '5' }, /BRX_MYSQL_POOL_MAX must be at least two for the primary and two for each replica/],
    ['unknown blueprints believed longer than known ones', { BRX_CATALOGUE_TTL_MS: '1000', BRX_CATALOGUE_UNKNOWN_TTL_MS: '1001' }, /BRX_CATALOGUE_UNKNOWN_TTL_MS must not be above BRX_CATALOGUE_TTL_MS/],
    ['secret headers in clear over the network', { BRX_OTLP_ENDPOINT: 'http://otel-collector:4318', BRX_OTLP_HEADERS: 'authorization=x' }, /BRX_OTLP_ENDPOINT must be https where BRX_OTLP_HEADERS are sent along/],
    ['HTTP beyond loopback', { BRX_HTTP_HOST: '0.0.0.0' }, /BRX_HTTP_TOKEN must be set when BRX_HTTP_HOST is not a loopback address/],
    ['HTTP on a name that only begins like loopback', { BRX_HTTP_HOST: '127.0.0.1.example.com' }, /BRX_HTTP_TOKEN must be set/],
  ])('%s', (_what, environment, problem) => {
    expect(refusal(environment).message).toMatch(problem);
  });

  test('the simulator on loopback needs no TLS', () => {
    for (const host of ['127.0.0.1:9', 'localhost:9', '[::1]:9']) expect(readConfig({ ...minimal, BRX_MARKETPLACE_URL: `http://${host}/api/v2` }).marketplace.url).toContain(host);
  });

  test('HTTP beyond loopback is fine with a token, loopback without one', () => {
    expect(() => readConfig({ ...minimal, BRX_HTTP_HOST: '0.0.0.0', BRX_HTTP_TOKEN: 'x'.repeat(16) })).not.toThrow();
    for (const host of ['localhost', '::1', '[::1]', '127.9.9.9']) expect(() => readConfig({ ...minimal, BRX_HTTP_HOST: host })).not.toThrow();
  });
});

describe('the receiver of spans', () => {
  test('none by default; its address has no slash at its end, its headers are decoded, their names lower-case', () => {
    expect(readConfig(minimal).tracing).toEqual({ endpoint: undefined, headers: {}, ratio: 0 });
    expect(readConfig({ ...minimal, BRX_OTLP_ENDPOINT: 'https://collector.example/otlp/', BRX_OTLP_HEADERS: 'Authorization=Basic%20YTpi, x-tenant = a%2Cb', BRX_TRACE_RATIO: '0.25' }).tracing).toEqual({
      endpoint: 'https://collector.example/otlp',
      headers: { authorization: 'Basic YTpi', 'x-tenant': 'a,b' },
      ratio: 0.25,
    });
    expect(readConfig({ ...minimal, BRX_OTLP_ENDPOINT: 'http://otel-collector:4318' }).tracing.endpoint).toBe('http://otel-collector:4318');
  });

  test.each([['ftp://h'], ['h:4318'], ['https://user:hush@h'], ['https://h/?key=hush'], ['https://h/#hush']])('not %s, and what it holds is not repeated', (endpoint) => {
    const { message } = refusal({ BRX_OTLP_ENDPOINT: endpoint });
    expect(message).toContain('BRX_OTLP_ENDPOINT must be');
    expect(message).not.toContain('hush');
  });

  test.each(['hush', 'name=', 'a b=c', 'a=b c', 'a=%zz', 'a=%0d%0aevil:%201', 'a=%C3%A9'])('no headers like %s', (headers) => {
    expect(refusal({ BRX_OTLP_HEADERS: headers }).message).toMatch(/BRX_OTLP_HEADERS must be name=value/);
  });
});

describe('secrets', () => {
  const secrets = Object.entries(VARIABLES).flatMap(([name, variable]) => ('secret' in variable ? [name] : []));

  test('are the variables that hold one', () => {
    expect(secrets).toEqual(['BRX_KAFKA_SASL_PASSWORD', 'BRX_SCHEMA_REGISTRY_PASSWORD', 'BRX_DATABASE_URL', 'BRX_DATABASE_REPLICA_URLS', 'BRX_REDIS_URL', 'BRX_MYSQL_URL', 'BRX_MYSQL_REPLICA_URLS', 'BRX_SECRET_KEYS', 'BRX_SELLER_TOKEN', 'BRX_HTTP_TOKEN', 'BRX_OTLP_HEADERS']);
    for (const name of Object.keys(VARIABLES)) if (/PASSWORD|TOKEN|SECRET|KEY/.test(name)) expect(secrets).toContain(name);
  });

  test('are in no error, whatever is wrong with them or with others', () => {
    const hush = 'hush-hush-0815';
    const every = Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, secrets.includes(name) ? hush : '\u0000wrong']));
    const error = refusal({ ...every, BRX_HTTP_TOKEN: 'hush-hush' });
    expect(error.message).toContain('BRX_DATABASE_URL must be');
    expect(`${error.message}${error.remedy}${error.stack}`).not.toContain('hush');
    expect(refusal({ BRX_DATABASE_URL: `postgresql://brx:${hush}@h/d`, BRX_DATABASE_POOL_MAX: '3' }).message).not.toContain('hush');
  });

  test.each(secrets)('%s may be a file', (name) => {
    const file = join(directory, name);
    const values: Record<string, string> = { BRX_DATABASE_URL: 'postgresql://brx:p@h/d', BRX_DATABASE_REPLICA_URLS: 'postgresql://brx:p@r/d', BRX_REDIS_URL: 'redis://:p@h/0', BRX_MYSQL_URL: 'mysql://brx:p@h/d', BRX_MYSQL_REPLICA_URLS: 'mysql://brx:p@h/d', BRX_SECRET_KEYS: `k:0815${'A'.repeat(39)}=`, BRX_OTLP_HEADERS: 'authorization=out-of-the-file-0815' };
    const value = values[name] ?? 'out-of-the-file-0815';
    writeFileSync(file, `${value}\n`);
    const { [name as 'BRX_DATABASE_URL']: _given, ...rest } = minimal;
    const beside: Record<string, string> = name.startsWith('BRX_KAFKA_SASL') ? { BRX_KAFKA_SASL_MECHANISM: 'plain', BRX_KAFKA_SASL_USERNAME: 'u' } : name === 'BRX_MYSQL_REPLICA_URLS' ? { BRX_MYSQL_URL: 'mysql://brx@h/primary' } : {};
    const shown = value.replace(/^(k:|authorization=)/, '');
    expect(JSON.stringify(readConfig({ ...rest, ...beside, [`${name}_FILE`]: file }))).toContain(shown);
    // The variable itself wins, so that one can be overridden at hand.
    expect(JSON.stringify(readConfig({ ...rest, ...beside, [`${name}_FILE`]: file, [name]: value.replace('p@', 'q@').replace('0815', '4711') }))).not.toContain(shown);
  });

  test('a file that is not there is told, with its variable', () => {
    expect(refusal({ BRX_HTTP_TOKEN_FILE: join(directory, 'none') }).message).toContain('BRX_HTTP_TOKEN_FILE cannot be read (ENOENT)');
    expect(refusal({ BRX_DATABASE_URL: '', BRX_DATABASE_URL_FILE: join(directory, 'none') }).message).toMatch(/^1 problem in the configuration:\n {2}BRX_DATABASE_URL_FILE cannot be read/);
  });

  test('what is wrong with a file’s content is told as with a variable’s, and where it is from', () => {
    const of = (content: string): string => {
      const file = join(directory, 'content');
      writeFileSync(file, content);
      return refusal({ BRX_SECRET_KEYS_FILE: file }).message;
    };
    expect(of('k1:AAAA\n')).toContain('BRX_SECRET_KEYS (from the file that BRX_SECRET_KEYS_FILE names) key 1 has 3 bytes, 32 are needed');
    expect(of('\n')).toContain('BRX_SECRET_KEYS (from the file that BRX_SECRET_KEYS_FILE names) is empty');
  });

  test('only secrets may be files', () => {
    expect(refusal({ BRX_HTTP_PORT_FILE: '/x' }).message).toContain('BRX_HTTP_PORT_FILE is not a setting of this program');
  });
});

describe('the file of settings', () => {
  afterEach(() => void vi.unstubAllEnvs());

  test('one that is named has to be there, and to be a file', () => {
    for (const [file, code] of [[join(directory, 'no.env'), 'ENOENT'], [directory, 'EISDIR']] as const) {
      vi.stubEnv('BRX_ENV_FILE', file);
      expect(() => processEnvironment()).toThrow(expect.objectContaining({ code: 'BRX_CONFIG', message: `the settings of ${file}, which BRX_ENV_FILE names, cannot be read (${code})` }) as Error);
    }
  });

  test('none is read where it is `none`', () => {
    vi.stubEnv('BRX_ENV_FILE', 'none');
    expect(processEnvironment()).toBe(process.env);
  });
});

describe('documentation', () => {
  const readme = (): string => readFileSync(root('README.md'), 'utf8');

  test('every variable has an example that is accepted and a description', () => {
    for (const [name, variable] of Object.entries(VARIABLES)) {
      expect(variable.description.length, name).toBeGreaterThan(5);
      if (variable.example !== '(a secret)') expect(variable.schema.safeParse(variable.example).success, name).toBe(true);
    }
    expect(FAULT_POINTS.some((point) => VARIABLES.BRX_FAULT.example.startsWith(point))).toBe(true);
  });

  test('the README’s table is the list of variables (`npm run docs` writes it)', () => {
    expect(readme()).toBe(withTable(readme(), configurationTable(VARIABLES)));
  });

  test('.env.example has every variable with its description and example; what is required is not commented out', () => {
    const lines = readFileSync(root('.env.example'), 'utf8').split('\n');
    const ours = lines.filter((line) => /^(# )?BRX_/.test(line) && !/^(# )?BRX_STACK/.test(line));
    expect(ours).toEqual(
      Object.entries(VARIABLES).map(([name, { example, schema }]) => `${schema.safeParse(undefined).success ? '# ' : ''}${name}=${example === '(a secret)' ? '' : example}`),
    );
    for (const [name, { description }] of Object.entries(VARIABLES)) expect(lines[lines.findIndex((line) => line.replace('# ', '').startsWith(`${name}=`)) - 1]).toBe(`# ${description}`);
  });
});
