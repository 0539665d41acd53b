import { PrismaPg } from '@prisma/adapter-pg';
import type pg from 'pg';
import { BrxError } from '../../errors.ts';
import { PrismaClient } from './generated/client.ts';
import { WHO_AM_I } from './postgres.sql.ts';
import { statementName } from './statements.ts';

/** Prisma over our pool. Errors of connections are logged by the pool itself, which sees them all. */
export function createPrisma(pool: pg.Pool, schema?: string): PrismaClient {
  return new PrismaClient({ adapter: new PrismaPg(pool, { statementNameGenerator: ({ sql }) => statementName(sql), ...(schema !== undefined && { schema }) }), errorFormat: 'minimal' });
}

interface Identity {
  database: string;
  port: number | null;
  application: string;
}

/**
 * Throws unless Prisma and the pool reach the same database under the same name. adapter-pg takes a pool only if it is an
 * instance of *its* pg.Pool: with a second copy of pg installed it silently opens a pool of its own, to 127.0.0.1:5432, without
 * any of our limits (write-path.md 9).
 */
export async function assertSamePool(prisma: PrismaClient, pool: pg.Pool): Promise<void> {
  const ours = (await pool.query<Identity>(WHO_AM_I)).rows[0];
  const theirs = (await prisma.$queryRawUnsafe<Identity[]>(WHO_AM_I))[0];
  if (ours === undefined || theirs === undefined || ours.database !== theirs.database || ours.port !== theirs.port || ours.application !== theirs.application) {
    throw new BrxError('BRX_INTERNAL', `Prisma does not use this program's connection pool: it reached ${JSON.stringify(theirs)} instead of ${JSON.stringify(ours)}`, {
      remedy: '`npm ls pg` must show one version of pg; dedupe it and build again',
    });
  }
}
