import type { Clock } from '../platform/clock.ts';
import { createRandom, type Random } from '../platform/random.ts';
import { Background } from './background.ts';
import { Faults, type FaultPlan } from './faults.ts';
import type { Guesses } from './guesses.ts';
import { Ledger } from './ledger.ts';
import { documentedLimits, Limiter, type Limits } from './limits.ts';
import { Jobs } from './jobs.ts';
import { Orders, type OrderObserver } from './orders.ts';
import { RequestLog } from './requests.ts';
import { Store, type Catalogue } from './store.ts';
import { Webhooks } from './webhooks.ts';

/** Everything that exists at one moment of a simulation. `reset` makes a new one. */
export interface World {
  readonly clock: Clock;
  readonly guesses: Guesses;
  readonly store: Store;
  readonly ledger: Ledger;
  readonly limiter: Limiter;
  readonly faults: Faults;
  readonly requests: RequestLog;
  readonly orders: Orders;
  readonly jobs: Jobs;
  readonly webhooks: Webhooks;
  readonly background: Background;
  /** Names of things: request ids, tokens, jobs. */
  readonly random: Random;
}

export interface WorldOptions {
  readonly seed: number;
  readonly clock: Clock;
  readonly guesses: Guesses;
  readonly catalogue: Catalogue;
  readonly plan: FaultPlan;
  readonly limits: Partial<Limits>;
  readonly orderObservers: Set<OrderObserver>;
  readonly onFailure: (error: unknown) => void;
}

export function createWorld({ seed, clock, guesses, catalogue, plan, limits, orderObservers, onFailure }: WorldOptions): World {
  const store = new Store(catalogue);
  const background = new Background(onFailure);
  const webhooks = new Webhooks({ clock, guesses, background, random: createRandom(seed + 2), seller: (id) => store.seller(id), expansions: store.expansions });
  return {
    clock,
    guesses,
    store,
    ledger: new Ledger(),
    limiter: new Limiter(guesses, { ...documentedLimits(guesses), ...limits }),
    // A stream of its own: which faults happen depends on the seed and the requests, not on how many ids were drawn.
    faults: new Faults(createRandom(seed + 1), plan),
    requests: new RequestLog(),
    orders: new Orders(orderObservers, webhooks.notify),
    jobs: new Jobs(),
    webhooks,
    background,
    random: createRandom(seed),
  };
}
