export { RateLimiter, type Inspection, type LimiterDeps, type LimiterObserver } from './limiter.ts';
export type { LimiterConfig } from './rules.ts';
export type { View } from './source.ts';
