import pg from 'pg';
import { BrxError, messageOf } from '../../errors.ts';
import type { Logger } from '../../platform/log.ts';
import { recognise, refuseUrlSettings, toBrxError } from '../../platform/postgres/index.ts';
import { firstLine, readMigrations, type Migration } from './files.ts';
import { APPLIED, CREATE_TABLE, LOCK, MIGRATION_LOCK, RECORD, TABLE_EXISTS, TRY_LOCK, UNLOCK } from './migrate.sql.ts';
import { lineAt, type SqlStatement } from './split.ts';
import { pendingMigrations, type AppliedMigration } from './state.ts';

export interface MigrateOptions {
  logger: Logger;
  /** Aborting ends the wait for another migrator and stops before the next migration; one that runs is finished. */
  signal?: AbortSignal;
  /** Say what would be applied, apply nothing. */
  dryRun?: boolean;
  /** Told when another migrator has to be waited for. */
  onWaiting?: () => void;
  /** Where the migrations are; the package's own by default. */
  directory?: string;
  /** Into this schema, which is there, instead of the role's own. */
  schema?: string;
}

export interface MigrateReport {
  /** Applied by this call, or with `dryRun` those that would be, oldest first. */
  applied: string[];
  /** Applied before. */
  already: string[];
}

export interface MigrationStatus {
  name: string;
  state: 'applied' | 'pending';
  finishedAt: Date | null;
}

type Queryable = Pick<pg.ClientBase, 'query'>;

/**
 * Brings the database to what this version needs. Idempotent; two at once queue on an advisory lock, and the second finds
 * nothing to do. Throws BRX_MIGRATION (which migration, line, statement and SQLSTATE; the database is as the migrations before
 * it left it) or BRX_DATABASE_UNAVAILABLE.
 */
export async function migrate(url: string, options: MigrateOptions): Promise<MigrateReport> {
  const files = readMigrations(options.directory);
  return connected(url, options, async (client) => {
    if (options.dryRun === true) return report(files, await appliedMigrations(client));
    await lock(client, options);
    try {
      const applied = await appliedMigrations(client);
      const result = report(files, applied);
      for (const migration of pendingMigrations(files, applied)) {
        options.signal?.throwIfAborted();
        await apply(client, migration);
        options.logger.info({ migration: migration.name }, 'migration applied');
      }
      return result;
    } finally {
      await client.query(UNLOCK, [MIGRATION_LOCK]).catch(() => undefined); // closing the connection unlocks too
    }
  });
}

/** Each migration and whether it is applied; throws like `migrate` when files and database do not belong together. */
export async function migrationStatus(url: string, options: Pick<MigrateOptions, 'logger' | 'directory'>): Promise<MigrationStatus[]> {
  const files = readMigrations(options.directory);
  return connected(url, options, async (client) => {
    const applied = await appliedMigrations(client);
    pendingMigrations(files, applied);
    const finished = new Map(applied.map((row) => [row.name, row.finishedAt]));
    return files.map(({ name }): MigrationStatus => ({ name, state: finished.has(name) ? 'applied' : 'pending', finishedAt: finished.get(name) ?? null }));
  });
}

/** For `start`: throws BRX_DATABASE_SCHEMA unless every migration of this version, and no other, is applied. */
export async function assertMigrated(pool: Queryable, directory?: string): Promise<void> {
  let pending: Migration[];
  try {
    pending = pendingMigrations(readMigrations(directory), await appliedMigrations(pool));
  } catch (error) {
    if (!(error instanceof BrxError)) throw toBrxError(error);
    throw new BrxError('BRX_DATABASE_SCHEMA', error.message, { cause: error, ...(error.remedy === undefined ? {} : { remedy: error.remedy }) });
  }
  const first = pending[0];
  if (first === undefined) return;
  throw new BrxError('BRX_DATABASE_SCHEMA', `the database is not migrated: ${first.name}${pending.length > 1 ? ` and ${pending.length - 1} more` : ''} not applied`, { remedy: 'run brx-sync migrate' });
}

function report(files: readonly Migration[], applied: readonly AppliedMigration[]): MigrateReport {
  return { applied: pendingMigrations(files, applied).map(({ name }) => name), already: applied.map(({ name }) => name) };
}

/**
 * A connection of its own and no limit: a migration may take long, and the pool's limits would end it. keepAlive, for a wait
 * of hours behind another migrator.
 */
async function connected<T>(url: string, { logger, schema }: Pick<MigrateOptions, 'logger' | 'schema'>, work: (client: pg.Client) => Promise<T>): Promise<T> {
  refuseUrlSettings(url);
  const client = new pg.Client({
    connectionString: url,
    application_name: 'brx-sync migrate',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    options: `-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0${schema === undefined ? '' : ` -c search_path=${schema}`}`,
  });
  client.on('error', (error) => logger.warn({ error: error.message }, 'PostgreSQL connection broke')); // the query under way rejects too
  client.on('notice', (notice) => logger.debug({ notice: notice.message }, 'PostgreSQL says'));
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    throw recognise(error) === undefined ? error : toBrxError(error);
  } finally {
    await client.end().catch(() => undefined); // what went wrong is thrown already
  }
}

async function lock(client: pg.Client, options: MigrateOptions): Promise<void> {
  const tried = await client.query<{ locked: boolean }>(TRY_LOCK, [MIGRATION_LOCK]);
  if (tried.rows[0]?.locked === true) return;
  options.logger.info('waiting for another migration to end');
  options.onWaiting?.();
  const waiting = client.query(LOCK, [MIGRATION_LOCK]);
  const { signal } = options;
  if (signal === undefined) {
    await waiting;
    return;
  }
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  waiting.catch(() => undefined); // rejects when the abort closes the connection
  try {
    await Promise.race([waiting, aborted]);
  } catch (error) {
    if (signal.aborted) client.connection.stream.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function appliedMigrations(client: Queryable): Promise<AppliedMigration[]> {
  const { rows } = await client.query<{ exists: boolean }>(TABLE_EXISTS);
  if (rows[0]?.exists !== true) return [];
  return (await client.query<AppliedMigration>(APPLIED)).rows;
}

/** One migration and its row, in one transaction, the table of such rows included when it is the first. */
async function apply(client: pg.Client, migration: Migration): Promise<void> {
  let current: SqlStatement | undefined;
  try {
    await client.query('BEGIN');
    await client.query(CREATE_TABLE);
    for (current of migration.statements) await client.query(current.sql);
    current = undefined; // from here on a failure is the commit's (a deferred constraint)
    await client.query(RECORD, [migration.checksum, migration.name]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined); // a lost connection rolls back by itself
    throw failed(migration, current, error);
  }
}

function failed(migration: Migration, statement: SqlStatement | undefined, error: unknown): BrxError {
  const failure = recognise(error);
  const state = failure?.state === undefined ? '' : ` (SQLSTATE ${failure.state})`;
  const where = statement === undefined ? 'at its end' : `line ${lineOf(statement, error)}, in the statement that starts with\n  ${firstLine(statement.sql)}\n`;
  return new BrxError('BRX_MIGRATION', `migration ${migration.name} failed, ${where}: ${messageOf(error)}${state}`, {
    cause: error,
    remedy: 'nothing of this migration was kept; correct the cause and run `brx-sync migrate` again',
  });
}

/** The line PostgreSQL points at (`position` counts characters of the statement from 1), or where the statement starts. */
function lineOf(statement: SqlStatement, error: unknown): number {
  const position = typeof error === 'object' && error !== null && 'position' in error ? Number(error.position) : Number.NaN;
  return Number.isNaN(position) ? statement.line : statement.line + lineAt(statement.sql, position - 1) - 1;
}
