import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { BrxError } from '../src/errors.ts';
import { initialisedData } from './data.ts';
import { PORT_VARIABLES } from './model.ts';
import type { Owner } from './owner.ts';
import { run } from './run.ts';
import { postgresFolders } from './tools.ts';
import type { NativeService } from './instance.ts';

export interface PostgresPlace {
  /** Folder of postgres and initdb. */
  bin: string;
  port: number;
  owner: Owner | undefined;
  sharedBuffers?: string;
  /** shared_preload_libraries. */
  preload?: string;
  /** Port of the primary whose streaming replica it is. */
  standbyOf?: number;
}

/** PostgreSQL on loopback over TCP only; as durable as in production (fsync and synchronous_commit stay on). */
export function postgresService({ bin, port, owner, sharedBuffers = '256MB', preload = '', standbyOf }: PostgresPlace): NativeService {
  return {
    name: 'postgres',
    title: 'PostgreSQL',
    address: `127.0.0.1:${port}`,
    ports: [{ port, variable: PORT_VARIABLES.postgres, title: 'PostgreSQL' }],
    owner,
    stopSignal: 'SIGINT', // "fast": open transactions are rolled back
    stopGraceMs: 30_000,
    prepare: async (home) => {
      // --no-sync: a machine that dies in this very second only costs another reset.
      const initdb = (folder: string) => ['-D', folder, '-U', 'brx', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'];
      // -R: with standby.signal and where its primary is.
      const copy = (folder: string) => ['-D', folder, '-h', '127.0.0.1', '-p', String(standbyOf), '-U', 'brx', '-R', '-X', 'stream', '-c', 'fast', '--no-sync'];
      const data = await initialisedData(home, owner, async (folder) => {
        const [program, args] = standbyOf === undefined ? ['initdb', initdb(folder)] : ['pg_basebackup', copy(folder)];
        await run(join(bin, program), args, { cwd: home, owner, environment: { LANG: 'C.UTF-8', TZ: 'UTC' } });
      });
      writeFileSync(join(data, 'postgresql.conf'), configuration(port, sharedBuffers, preload));
      writeFileSync(join(data, 'pg_hba.conf'), '# type database user address method\nhost all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n');
      return { program: join(binariesFor(data, bin), 'postgres'), args: ['-D', data], cwd: home, owner, environment: { LANG: 'C.UTF-8' } };
    },
    probe: () => probePostgres(port),
  };
}

/** The server must be of the major version that made the data. */
function binariesFor(data: string, bin: string): string {
  const version = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
  if (bin.split('/').at(-2) === version || postgresFolders().length === 0) return bin;
  const fitting = postgresFolders().find((folder) => folder.split('/').at(-2) === version);
  if (fitting !== undefined) return fitting;
  throw new BrxError('BRX_STACK', `${data} was made by PostgreSQL ${version}, which is no longer installed`, { remedy: `install postgresql-${version} again, or npm run stack:reset, which deletes the stack's data` });
}

/** Resolves when it answers a query in database `brx`, which it creates if that is missing. */
async function probePostgres(port: number): Promise<void> {
  const server = `postgresql://brx@127.0.0.1:${port}`;
  try {
    await probePostgresUrl(`${server}/brx`);
  } catch (error) {
    if ((error as { code?: unknown }).code !== '3D000') throw error; // invalid_catalog_name
    await ask(`${server}/postgres`, 'CREATE DATABASE brx');
    await probePostgresUrl(`${server}/brx`);
  }
}

/** Resolves when it answers a query. */
export async function probePostgresUrl(url: string): Promise<void> {
  await ask(url, 'SELECT 1');
}

async function ask(connectionString: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 3_000, query_timeout: 5_000 });
  client.on('error', () => undefined); // a connection lost between two calls; the call that needs it says so
  try {
    await client.connect();
    await client.query(sql);
  } finally {
    await client.end();
  }
}

function configuration(port: number, sharedBuffers: string, preload: string): string {
  return `# Written by the local stack at each start.
listen_addresses = '127.0.0.1'
port = ${port}
unix_socket_directories = ''
max_connections = 200
shared_buffers = ${sharedBuffers}
shared_preload_libraries = '${preload}'
dynamic_shared_memory_type = posix
fsync = on
synchronous_commit = on
wal_level = replica
wal_retrieve_retry_interval = 200ms
max_wal_size = 2GB
min_wal_size = 256MB
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%d '
`;
}
