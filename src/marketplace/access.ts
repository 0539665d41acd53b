import type { Config } from '../config.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import { createRedis, type Redis } from '../platform/redis/index.ts';
import { createKeyring, type Keyring } from '../platform/secrets/index.ts';
import type { Tracer } from '../platform/tracing/index.ts';
import { createClient, type CardTraderClient, type Observation } from './client/index.ts';
import { RateLimiter, type LimiterObserver } from './limiter/index.ts';

/** What it takes to call CardTrader for anybody: every request waits for the rate limit that all processes share. */
export interface Access {
  readonly client: CardTraderClient;
  readonly limiter: RateLimiter;
  readonly keyring: Keyring;
  /** Undefined: none is configured, and this process counts alone. */
  readonly redis: Redis | undefined;
  close(): Promise<void>;
}

export interface AccessOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly connectionName: string;
  readonly observeLimiter?: LimiterObserver;
  readonly observeCalls?: (observation: Observation) => void;
  readonly tracer?: Tracer;
}

export function openAccess({ marketplace, limiter: limits, redis: redisConfig, secrets }: Pick<Config, 'marketplace' | 'limiter' | 'redis' | 'secrets'>, options: AccessOptions): Access {
  const { clock, logger, connectionName, observeLimiter, observeCalls, tracer } = options;
  const { limiter, redis } = openLimiter({ limiter: limits, redis: redisConfig }, { clock, logger, connectionName, ...(observeLimiter !== undefined && { observeLimiter }) });
  const client = createClient(marketplace, {
    clock,
    gate: ({ userId, bucket, signal }) => limiter.take(userId, { bucket, ...(signal !== undefined && { signal }) }),
    ...(observeCalls !== undefined && { observe: observeCalls }),
    ...(tracer !== undefined && { tracer }),
  });
  return {
    client,
    limiter,
    keyring: createKeyring(secrets.keys),
    redis,
    async close() {
      limiter.close();
      await client.close();
      await redis?.close();
    },
  };
}

/** Only the count of requests, for whoever looks at it and calls nobody; closed by closing what it has. */
export function openLimiter({ limiter: limits, redis: redisConfig }: Pick<Config, 'limiter' | 'redis'>, { clock, logger, connectionName, observeLimiter }: Omit<AccessOptions, 'observeCalls'>): Pick<Access, 'limiter' | 'redis'> {
  const redis = redisConfig.url === undefined ? undefined : createRedis({ ...redisConfig, url: redisConfig.url }, { logger, connectionName });
  return { redis, limiter: new RateLimiter({ redis, config: limits, clock, logger, ...(observeLimiter !== undefined && { observer: observeLimiter }) }) };
}
