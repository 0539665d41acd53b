import { RateLimiter, type LimiterConfig } from '../../src/marketplace/limiter/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createRedis, type Redis } from '../../src/platform/redis/index.ts';
import { keepingLogger } from './redis.ts';

/** A limiter with a connection of its own, as a process has it, and what it told. */
export interface Instance {
  limiter: RateLimiter;
  redis: Redis;
  /** Changes of mode, in order. */
  told: string[];
  lost: number;
  close(): Promise<void>;
}

export const LIMITS: LimiterConfig = { requests: 40, windowMs: 1_000, marginMs: 150, fallbackShare: 0.5 };

export function instance(url: string, config: Partial<LimiterConfig> = {}, commandTimeoutMs = 500): Instance {
  const { logger } = keepingLogger();
  const redis = createRedis({ url, commandTimeoutMs }, { logger: keepingLogger().logger });
  const told: string[] = [];
  const made: Instance = {
    redis,
    told,
    lost: 0,
    limiter: new RateLimiter({ redis, config: { ...LIMITS, ...config }, clock: systemClock, logger, observer: { mode: (source) => told.push(source), lost: (tokens) => (made.lost += tokens) } }),
    close: async () => {
      made.limiter.close();
      await redis.close();
    },
  };
  return made;
}

/** Asks as fast as it can, `at` a time, until told to stop; keeps when each request might have gone out. */
export function firing(instances: readonly Instance[], users: readonly string[], at = 15): { times: Map<string, number[]>; stop(): Promise<void> } {
  const times = new Map<string, number[]>(users.map((user) => [user, []]));
  const stopping = new AbortController();
  const shooters = instances.flatMap(({ limiter }) =>
    users.flatMap((user) =>
      Array.from({ length: at }, async () => {
        for (;;) {
          await limiter.take(user, { signal: stopping.signal });
          times.get(user)?.push(performance.now());
        }
      }),
    ),
  );
  const ended = Promise.allSettled(shooters);
  return {
    times,
    stop: async () => {
      stopping.abort(new Error('enough'));
      for (const result of await ended) if (result.status === 'rejected' && (result.reason as Error).message !== 'enough') throw result.reason;
    },
  };
}
