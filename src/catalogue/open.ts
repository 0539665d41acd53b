import type { Config } from '../config.ts';
import { BrxError } from '../errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import { createMysql, type Mysql } from '../platform/mysql/index.ts';
import { createRedis, type Redis } from '../platform/redis/index.ts';
import { Catalogue } from './catalogue.ts';
import { SharedMappings } from './shared.ts';

export interface OpenCatalogue {
  readonly catalogue: Catalogue;
  readonly mysql: Mysql;
  /** What was handed in, or a connection of its own; undefined without BRX_REDIS_URL. */
  readonly redis: Redis | undefined;
  close(): Promise<void>;
}

export interface OpenOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics?: Metrics;
  /** The process's connection, which stays open; without it the catalogue makes and closes one of its own. */
  readonly redis?: Redis;
}

/** Connects in the background. Throws BRX_CONFIG without BRX_MYSQL_URL. */
export function openCatalogue(config: Pick<Config, 'mysql' | 'redis' | 'catalogue'>, { logger, clock, metrics, redis: given }: OpenOptions): OpenCatalogue {
  const { url } = config.mysql;
  if (url === undefined) throw new BrxError('BRX_CONFIG', 'BRX_MYSQL_URL is not set, so there is no catalogue to look blueprints up in', { remedy: 'set it to the MySQL primary, mysql://user:password@host:port/database; `npm run stack:up` starts a local one' });
  const poolWait = metrics?.poolWaitSeconds.labels({ pool: 'mysql' });
  const mysql = createMysql(
    { ...config.mysql, url },
    {
      logger,
      clock,
      onWait: (ms) => poolWait?.observe(ms / 1_000),
      onQuery: ({ server, outcome }) => metrics?.catalogueQueries.inc({ server, outcome }),
    },
  );
  metrics?.watchPool('mysql', () => mysql.stats());
  const redis = given ?? (config.redis.url === undefined ? undefined : createRedis({ ...config.redis, url: config.redis.url }, { logger, connectionName: 'brx-sync catalogue' }));
  const catalogue = new Catalogue({
    mysql,
    shared: redis === undefined ? undefined : new SharedMappings(redis, config.catalogue, clock),
    config: config.catalogue,
    clock,
    logger,
    ...(metrics === undefined
      ? {}
      : {
          observer: {
            answered: (source, result, count) => metrics.catalogueLookups.inc({ source, result }, count),
            redisFailed: (operation) => metrics.catalogueRedisErrors.inc({ operation }),
          },
        }),
  });
  return {
    catalogue,
    mysql,
    redis,
    async close() {
      await catalogue.settled();
      if (given === undefined) await redis?.close();
      await mysql.close();
    },
  };
}
