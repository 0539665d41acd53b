export { RateLimiter, type Busiest, type Inspection, type LimiterDeps, type LimiterObserver } from './limiter.ts';
export type { LimiterConfig } from './rules.ts';
export type { SellerView, View } from './source.ts';
