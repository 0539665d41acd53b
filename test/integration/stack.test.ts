import pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { resolveTestStack } from '../../stack/index.ts';
import { probesOf } from '../../stack/probes.ts';
import { stackUrls, startPrivatePostgres, startPrivateRegistry, type PrivateService } from '../support/stack.ts';

const started: PrivateService[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((service) => service.remove()));
});

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('local stack', () => {
  it('answers at every address it names', async () => {
    const probes = probesOf(stackUrls());
    expect(probes.map(({ name }) => name)).toEqual(['kafka', 'registry', 'postgres', 'mariadb', 'redis']);
    await Promise.all(probes.map(({ probe }) => probe()));
  });

  it('is the same one for callers that come later and at once', async () => {
    if (stackUrls().source === 'containers') return expect(stackUrls().kafkaBrokers).toMatch(/^127\.0\.0\.1:\d+$/); // containers are made anew for each run
    const again = await Promise.all([resolveTestStack(), resolveTestStack()]);
    for (const { urls } of again) expect(urls).toEqual(stackUrls());
  });

  it('keeps fsync and synchronous_commit on: what tests prove about durability must be true', async () => {
    const rows = await query(stackUrls().databaseUrl, "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit, current_setting('listen_addresses') AS listen");
    expect(rows[0]).toMatchObject({ fsync: 'on', commit: 'on' });
  });
});

describe('private PostgreSQL', () => {
  it('keeps committed rows through a clean restart, an immediate one and SIGKILL', async () => {
    const postgres = await startPrivatePostgres();
    started.push(postgres);
    expect(postgres.url).not.toBe(stackUrls().databaseUrl);
    await query(postgres.url, 'CREATE TABLE kept (n int)');
    await query(postgres.url, 'INSERT INTO kept VALUES (1)');
    await postgres.restart('fast');
    await query(postgres.url, 'INSERT INTO kept VALUES (2)');
    await postgres.restart('immediate');
    await query(postgres.url, 'INSERT INTO kept VALUES (3)');
    await postgres.kill();
    await expect(query(postgres.url, 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await postgres.start();
    expect(await query(postgres.url, 'SELECT n FROM kept ORDER BY n')).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });
});

describe('private registry', () => {
  it('keeps its schemas while it is away', async () => {
    const registry = await startPrivateRegistry();
    started.push(registry);
    const schema = JSON.stringify({ schema: JSON.stringify({ type: 'record', name: 'Kept', fields: [] }) });
    const answer = await fetch(`${registry.url}/subjects/Kept/versions`, { method: 'POST', body: schema, headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' } });
    expect(answer.status).toBe(200);
    await registry.stop();
    await expect(fetch(`${registry.url}/subjects`)).rejects.toThrow();
    await registry.start();
    expect(await (await fetch(`${registry.url}/subjects`)).json()).toEqual(['Kept']);
  });
});
