import type { Postgres, Reader } from '../platform/postgres/index.ts';
import type * as Marketplace from '../marketplace/index.ts';
import { systemClock } from '../platform/clock.ts';
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

/** Hands `use` what answers inventory queries: a replica that has everything that was committed before now, or the primary. It may run twice. */
export async function withReader<Result>(context: CliContext, use: (reader: Reader) => Promise<Result>): Promise<Result> {
  const { createReaders } = await import('../platform/postgres/index.ts');
  const { replicas, postgres } = context.config();
  return withPostgres(context, async (primary) => {
    const readers = createReaders(replicas, postgres, { primary, logger: context.logger, applicationName: 'brx-sync command' });
    try {
      return await readers.readFrom(use, { maxLagMs: 0 });
    } finally {
      await readers.close();
    }
  });
}

/** The same with CardTrader: requests wait for the rate limit that all processes share. */
export async function withMarketplace<Result>(context: CliContext, use: (deps: Marketplace.AccountDeps & { readonly client: Marketplace.Access['client'] }, marketplace: typeof Marketplace) => Promise<Result>): Promise<Result> {
  const marketplace = await import('../marketplace/index.ts');
  const config = context.config();
  const mode = (source: 'shared' | 'local'): void => {
    if (source === 'local' && config.redis.url !== undefined) context.out.note(`Redis does not answer: requests are counted by this process alone, after ${config.limiter.windowMs / 1_000} s of silence`);
  };
  const access = marketplace.openAccess(config, { clock: systemClock, logger: context.logger, connectionName: 'brx-sync command', observeLimiter: { mode } });
  try {
    return await withPostgres(context, (postgres) => use({ postgres, keyring: access.keyring, client: access.client }, marketplace));
  } finally {
    await access.close();
  }
}
