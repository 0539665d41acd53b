export { watchRedis } from './metrics.ts';
export { createRedis, type Redis, type RedisOptions, type RedisServer, type RedisState } from './redis.ts';
