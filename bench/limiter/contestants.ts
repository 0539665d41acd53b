import type { Redis } from '../../src/platform/redis/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { RateLimiter, type LimiterConfig } from '../../src/marketplace/limiter/index.ts';

/** Resolves when a request of this seller may go out. */
export type Take = (userId: string) => Promise<void>;
export const CONTESTANTS = ['brx-sync', 'counter', 'bucket', 'nothing'] as const;
export type Contestant = (typeof CONTESTANTS)[number];

/** Ours; two that are written often, which are told the same limit and ask again when they were told to; and none, for what the benchmark costs itself. */
export function contestant(name: Contestant, redis: Redis, config: LimiterConfig): Take {
  switch (name) {
    case 'brx-sync': {
      const limiter = new RateLimiter({ redis, config, clock: systemClock, logger: silentLogger });
      return (userId) => limiter.take(userId);
    }
    case 'nothing':
      return () => Promise.resolve();
    case 'counter': // INCR of a key that expires a window after it was made
      return asking(redis.script(`local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end if n <= tonumber(ARGV[1]) then return 0 end return redis.call('PTTL', KEYS[1]) + 1`), 'counter', [config.requests, config.windowMs]);
    case 'bucket': // as many tokens as the limit, refilled evenly over the window
      return asking(
        redis.script(`local t = redis.call('TIME') local now = t[1] * 1000 + t[2] / 1000 local b = redis.call('HMGET', KEYS[1], 'tokens', 'at') local size, rate = tonumber(ARGV[1]), ARGV[1] / ARGV[2]
          local tokens = math.min(size, (tonumber(b[1]) or size) + (now - (tonumber(b[2]) or now)) * rate) local wait = 0
          if tokens >= 1 then tokens = tokens - 1 else wait = math.ceil((1 - tokens) / rate) end redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.3f', now)) redis.call('PEXPIRE', KEYS[1], 2 * ARGV[2]) return wait`),
        'bucket',
        [config.requests, config.windowMs],
      );
  }
}

function asking(script: ReturnType<Redis['script']>, prefix: string, args: readonly number[]): Take {
  return async (userId) => {
    for (;;) {
      const wait = Number(await script([`${prefix}:{${userId}}`], args));
      if (wait === 0) return;
      await systemClock.sleep(wait);
    }
  };
}
