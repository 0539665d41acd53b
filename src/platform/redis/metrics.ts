import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Redis } from './redis.ts';

/**
 * Redis as a pool, read at each scrape. ioredis has none: the connection's budget of commands in flight takes its place (`stats`), and a
 * command beyond it waits. Beside it what the server has for everybody.
 */
export function watchRedis(metrics: Metrics, redis: Pick<Redis, 'state' | 'stats' | 'serverConnections'>, logger: Logger): void {
  metrics.watchPool('redis', () => redis.stats());
  metrics.watchServer('redis', async () => (redis.state === 'ready' ? redis.serverConnections() : { used: Number.NaN, max: Number.NaN }), { logger, what: 'connections of Redis not counted' });
}
