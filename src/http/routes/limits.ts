import { z } from 'zod';
import type { Bucket, RateLimiter } from '../../marketplace/index.ts';
import { id, limit } from '../models.ts';
import { LEVELS, limitStanding } from '../overview.ts';
import { route, type Model, type Route } from '../route.ts';
import type { ApiDeps } from './users.ts';

/** The count of requests to CardTrader as this process sees it. */
export interface LimitDeps {
  readonly limiter: Pick<RateLimiter, 'busiest' | 'inspect' | 'waiting'>;
  /** Whether this process calls CardTrader; else it only looks. */
  readonly calls: boolean;
  /** Whether processes share a count: a Redis is configured. */
  readonly isShared: boolean;
  /** CardTrader's window. */
  readonly windowMs: number;
}

const MOST = 200;
const MEANINGS: Readonly<Record<Bucket, string>> = { all: 'every request', search: 'searches of the marketplace', jobs: 'how bulk jobs stand' };

const count = z.int().min(0);
const seconds = z.number().min(0);
const view = {
  used: count.meta({ description: 'in the window now' }),
  limit: count.meta({ description: 'that may be used in it; lower than `full` after a 429' }),
  full: count,
  paused_seconds: seconds.meta({ description: 'until it is called again after a 429' }),
};
const where = {
  counted: z.enum(['shared', 'local']).meta({ description: 'by all processes together, or by this one alone at a share of the limit' }),
  silent_seconds: seconds.meta({ description: 'so long nothing is sent for anybody, because what was used before is not known' }),
};
const seller = z.object({ user_id: z.uuid(), ...view });
const limitsModel = {
  name: 'Limits',
  schema: z.object({
    ...where,
    level: z.enum(LEVELS),
    says: z.string(),
    remedy: z.string().nullable(),
    window_seconds: seconds,
    calls: z.boolean().meta({ description: 'whether this process calls CardTrader' }),
    waiting: z.object({ sellers: count, requests: count }).meta({ description: 'for their turn, in this process' }),
    active: count.meta({ description: 'sellers that were called lately; at most the last 500 of them are looked at' }),
    sellers: z.array(seller).meta({ description: 'in a pause first, then the busiest' }),
  }),
} satisfies Model;
const userLimitModel = { name: 'UserLimit', schema: z.object({ ...where, known: z.boolean().meta({ description: 'false: this process calls nobody and has no Redis to look into' }), buckets: z.array(z.object({ bucket: z.string(), means: z.string(), ...view })) }) } satisfies Model;

/** How much of CardTrader's limit each seller uses now. */
export function limitRoutes({ limits }: Pick<ApiDeps, 'limits'>): Route[] {
  const { limiter, calls, isShared, windowMs } = limits;
  return [
    route({
      method: 'GET',
      path: '/limits',
      access: 'read',
      isLimited: true,
      summary: 'How much of CardTrader’s limit sellers use now, and who waits because of a 429',
      query: z.strictObject({ limit: limit(MOST, 50) }),
      answer: limitsModel,
      problems: ['invalid_request', 'unauthorized'],
      async handle({ query: { limit: most } }) {
        const found = await limiter.busiest(most);
        const { level, says, remedy } = limitStanding(found, limits);
        const { source, silentMs, active, sellers } = found;
        const { sellers: waitingSellers, requests } = limiter.waiting;
        return { body: { counted: source, silent_seconds: silentMs / 1_000, level, says, remedy, window_seconds: windowMs / 1_000, calls, waiting: { sellers: waitingSellers, requests }, active, sellers: sellers.map(({ userId, ...of }) => ({ user_id: userId, ...viewOf(of) })) } };
      },
    }),
    route({
      method: 'GET',
      path: '/users/{id}/limits',
      access: 'read',
      isLimited: true,
      summary: 'How much of CardTrader’s limits a seller uses now',
      params: z.strictObject({ id }),
      answer: userLimitModel,
      problems: ['invalid_request', 'unauthorized'],
      async handle({ params: { id: userId } }) {
        const { source, buckets } = await limiter.inspect(userId);
        return { body: { counted: source, known: calls || isShared, silent_seconds: buckets.all.silentMs / 1_000, buckets: (Object.keys(MEANINGS) as Bucket[]).map((bucket) => ({ bucket, means: MEANINGS[bucket], ...viewOf(buckets[bucket]) })) } };
      },
    }),
  ];
}

const viewOf = ({ used, limit: now, full, pausedMs }: { used: number; limit: number; full: number; pausedMs: number }): { used: number; limit: number; full: number; paused_seconds: number } => ({ used, limit: now, full, paused_seconds: pausedMs / 1_000 });
