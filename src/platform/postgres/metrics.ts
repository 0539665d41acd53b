import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type pg from 'pg';
import { poolStats } from './pool.ts';
import type { Readers, ReadersOptions } from './replicas.ts';
import { readServerConnections } from './server.sql.ts';
import type { PrismaClient } from './generated/client.ts';

/** The pool of this process, and what the server has for everybody; read at each scrape. */
export function watchPostgres(metrics: Metrics, { pool, prisma }: { readonly pool: pg.Pool; readonly prisma: Pick<PrismaClient, '$queryRawUnsafe'> }, logger: Logger): void {
  metrics.watchPool('postgres', () => poolStats(pool));
  metrics.watchServer('postgres', () => readServerConnections(prisma), { logger, what: 'connections of PostgreSQL not counted' });
}

/** What inventory queries count; for `createReaders`. */
export function readerMetrics(metrics: Metrics): Required<Pick<ReadersOptions, 'onRead' | 'onFallback' | 'onPoolWait'>> {
  return {
    onRead: (server) => metrics.reads.inc({ server }),
    onFallback: (reason) => metrics.readFallbacks.inc({ reason }),
    onPoolWait: (pool, ms) => metrics.poolWaitSeconds.labels({ pool: `postgres-${pool}` }).observe(ms / 1_000),
  };
}

/** The pools inventory queries have for themselves, and how far the replicas are behind. */
export function watchReaders(metrics: Metrics, primary: pg.Pool, readers: Readers, logger: Logger): void {
  metrics.watchPool('postgres-reads', () => poolStats(primary));
  for (const pool of readers.pools) metrics.watchPool(`postgres-${pool.name}`, () => pool.stats());
  if (readers.pools.length === 0) return;
  metrics.countBeforeScrape({
    logger,
    what: 'lag of replicas not read',
    read: async () => (await readers.lags()).forEach((seconds, replica) => metrics.replicaLag.set({ replica }, seconds)),
    unknown: () => readers.pools.forEach(({ name }) => metrics.replicaLag.set({ replica: name }, Number.NaN)),
  });
}
