import type { Postgres } from '../platform/postgres/index.ts';
import type { CliContext } from './context.ts';

/** Hands `use` a PostgreSQL connection that answers, and closes it whatever happens. Throws BRX_DATABASE_UNAVAILABLE at once. */
export async function withPostgres<Result>(context: CliContext, use: (postgres: Postgres) => Promise<Result>): Promise<Result> {
  const config = context.config();
  const { createPostgres } = await import('../platform/postgres/index.ts');
  const postgres = createPostgres(config.postgres, { logger: context.logger, applicationName: 'brx-sync command', keyLookupsOnly: false });
  try {
    await postgres.ping();
    return await use(postgres);
  } finally {
    await postgres.close();
  }
}
