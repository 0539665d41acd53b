import type { Postgres } from '../platform/postgres/index.ts';
import type { CliContext } from './context.ts';

/**
 * Hands `use` a PostgreSQL that answers and is migrated, and closes it whatever happens. Throws BRX_DATABASE_UNAVAILABLE and
 * BRX_DATABASE_SCHEMA at once; what a statement throws later becomes the code that fits.
 */
export async function withPostgres<Result>(context: CliContext, use: (postgres: Postgres) => Promise<Result>): Promise<Result> {
  const config = context.config();
  const [{ createPostgres, recognise, toBrxError }, { assertMigrated }] = [await import('../platform/postgres/index.ts'), await import('../operations/migrate/index.ts')];
  const postgres = createPostgres(config.postgres, { logger: context.logger, applicationName: 'brx-sync command', keyLookupsOnly: false });
  try {
    await postgres.ping();
    await assertMigrated(postgres.pool);
    return await use(postgres);
  } catch (error) {
    throw recognise(error) === undefined ? error : toBrxError(error);
  } finally {
    await postgres.close();
  }
}
