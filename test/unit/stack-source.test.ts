import { describe, expect, it } from 'vitest';
import { nativeUrls, DEFAULT_PORTS } from '../../stack/model.ts';
import { withoutPassword } from '../../stack/probes.ts';
import { readSettings } from '../../stack/settings.ts';
import { chooseSource } from '../../stack/source.ts';

const NOTHING = '/nonexistent';
const settings = (environment: Record<string, string> = {}) => readSettings({ BRX_ENV_FILE: 'none', ...environment }, NOTHING);
const around = (engine: boolean, running = false) => ({ engineAnswers: () => Promise.resolve(engine), nativeRuns: () => running });
const FIVE = {
  BRX_KAFKA_BROKERS: 'kafka.example:9092',
  BRX_SCHEMA_REGISTRY_URL: 'http://registry.example',
  BRX_DATABASE_URL: 'postgresql://db.example/brx',
  BRX_MYSQL_URL: 'mysql://db.example/brx',
  BRX_REDIS_URL: 'redis://cache.example',
};

describe('where the services come from', () => {
  it('takes the environment first, then containers, then native', async () => {
    expect(await chooseSource(settings(FIVE), around(true))).toBe('environment');
    expect(await chooseSource(settings(), around(true))).toBe('containers');
    expect(await chooseSource(settings(), around(false))).toBe('native');
  });

  it('stays with a native stack that runs, whose ports containers would need', async () => {
    expect(await chooseSource(settings(), around(true, true))).toBe('native');
  });

  it.each(['environment', 'containers', 'native'] as const)('does as BRX_STACK=%s says', async (source) => {
    expect(await chooseSource(settings({ ...FIVE, BRX_STACK: source }), around(true))).toBe(source);
  });

  it('names what is missing when only some URLs are given', async () => {
    const some = settings({ BRX_KAFKA_BROKERS: 'kafka.example:9092', BRX_DATABASE_URL: 'postgresql://db.example/brx' });
    await expect(chooseSource(some, around(false))).rejects.toThrow(
      'BRX_KAFKA_BROKERS, BRX_DATABASE_URL point at services of yours, but BRX_SCHEMA_REGISTRY_URL, BRX_MYSQL_URL, BRX_REDIS_URL are not set',
    );
  });

  it('does not take its own addresses, as stack:up writes them into .env, for services of the user', async () => {
    const own = nativeUrls(DEFAULT_PORTS);
    const written = settings({ BRX_KAFKA_BROKERS: own.kafkaBrokers, BRX_SCHEMA_REGISTRY_URL: own.registryUrl, BRX_DATABASE_URL: own.databaseUrl });
    expect(await chooseSource(written, around(false))).toBe('native');
  });

  it('says so when containers are demanded and no engine answers', async () => {
    await expect(chooseSource(settings({ BRX_STACK: 'containers' }), around(false))).rejects.toMatchObject({ code: 'BRX_STACK', message: expect.stringContaining('no Docker engine answers') as string });
  });
});

describe('settings of the stack', () => {
  it('reports every problem at once', () => {
    const wrong = () => settings({ BRX_STACK: 'docker', BRX_STACK_KAFKA_PORT: '80', BRX_STACK_REDIS_PORT: 'x', BRX_STACK_MARIADB_PORT: '15432' });
    expect(wrong).toThrow(/BRX_STACK_KAFKA_PORT=80[^]*BRX_STACK_REDIS_PORT=x[^]*BRX_STACK_MARIADB_PORT and BRX_STACK_POSTGRES_PORT are both 15432[^]*BRX_STACK=docker/);
  });

  it('moves ports', () => {
    expect(settings({ BRX_STACK_POSTGRES_PORT: '25432' }).ports).toEqual({ ...DEFAULT_PORTS, postgres: 25_432 });
  });

  it('shows no password of a URL', () => {
    expect(withoutPassword('postgresql://brx:hunter2@db.example/brx')).toBe('postgresql://brx:***@db.example/brx');
    expect(withoutPassword('127.0.0.1:19092')).toBe('127.0.0.1:19092');
  });
});
