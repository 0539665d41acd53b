import type { ApiDeps, SelfDeps } from '../../src/http/index.ts';
import { systemClock } from '../../src/platform/clock.ts';

/** A process that reads nothing from Kafka and has no pools. */
export const SELF: SelfDeps = { clock: systemClock, roles: ['http'], consumers: [], pools: new Map(), isWritable: true };

/** Nobody was called. */
export const IDLE: ApiDeps['limits'] = {
  limiter: {
    busiest: () => Promise.resolve({ source: 'shared', silentMs: 0, sellers: [], active: 0 }),
    inspect: () => {
      const view = { full: 200, limit: 200, used: 0, pausedMs: 0, silentMs: 0 };
      return Promise.resolve({ source: 'shared', buckets: { all: view, search: view, jobs: view } });
    },
    waiting: { sellers: 0, requests: 0 },
  },
  calls: false,
  isShared: true,
  windowMs: 10_000,
};

/** Whoever gets as far as this got in. */
const reached = new Proxy({}, { get: () => { throw Object.assign(new Error('reached'), { code: 'REACHED' }); } });

/** What the API has beside databases, where a test is not about it: it changes nothing and asks nobody. */
export const REST: Omit<ApiDeps, 'readers' | 'postgres'> = {
  self: SELF,
  operate: () => Promise.reject(new Error('nothing operates sales here')),
  limits: IDLE,
  redrive: { postgres: reached, codec: reached, registry: reached, clock: systemClock, topicPrefix: '', horizonMs: 0 } as ApiDeps['redrive'],
  parking: { postgres: reached } as ApiDeps['parking'],
  replays: (['ingest', 'saga'] as const).map((role) => ({ postgres: reached, kafka: reached, codec: reached, clock: systemClock, group: { role, id: `the group ${role}`, topic: role } }) as unknown as ApiDeps['replays'][number]),
  onEnqueued: () => undefined,
};
