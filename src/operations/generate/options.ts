import { z } from 'zod';
import { BrxError } from '../../errors.ts';

/** What a workload looks like. Same options, same bytes. Shares are of all events unless said. */
export interface WorkloadOptions {
  events: number;
  users: number;
  /** Most items a user lists; after that its "new" events go to items it has. */
  itemsPerUser: number;
  /** Zipf exponent of events over users: 0 is uniform, 0.7 what marketplaces show, 0.99 stress. */
  skew: number;
  seed: number;
  /** Time of the last event, milliseconds since 1970; the others lie before it, `intervalMs` apart. */
  at: number;
  /** Milliseconds between events, may be a fraction. */
  intervalMs: number;
  /** What happens to a known item, relative to each other. */
  mix: { set: number; adjust: number; remove: number };
  /** First SETs of items not seen before. */
  newItems: number;
  /** Events sent again: mostly the very same bytes, one in five stamped anew. */
  duplicates: number;
  /** Events whose version is not newer than one already sent. */
  stale: number;
  /** Records that must end as dead letters without reaching an item. */
  poison: number;
  /** ADJUSTs that would go below zero. */
  negative: number;
  /** Share of the users whose producer sends versions. */
  versioned: number;
  /** Purchases of one to three items. */
  purchases: number;
  /** Share of the purchases that are called off, some before they come. */
  cancels: number;
  /** How old is too old, for the poison that is. */
  horizonMs: number;
}

/**
 * The mix of benchmarks of the field: 70 % quantity and price, 15 % new listings, 5 % removals, 5 % duplicates, 2 % stale,
 * 0.1 % poison; what is left over is ordinary changes.
 */
export const WORKLOAD_DEFAULTS: Omit<WorkloadOptions, 'at'> = {
  events: 10_000,
  users: 1_000,
  itemsPerUser: 500,
  skew: 0.7,
  seed: 1,
  intervalMs: 1,
  mix: { set: 48, adjust: 45, remove: 7 },
  newItems: 0.15,
  duplicates: 0.05,
  stale: 0.02,
  poison: 0.001,
  negative: 0.002,
  versioned: 0.5,
  purchases: 0,
  cancels: 0,
  horizonMs: 30 * 86_400_000,
};

const count = (max: number) => z.int().min(1).max(max);
const share = z.number().min(0).max(1);
const weight = z.number().min(0).finite();
const SCHEMA = z
  .strictObject({
    events: z.int().min(0).max(1_000_000_000),
    users: count(10_000_000),
    itemsPerUser: count(1_000_000),
    skew: z.number().min(0).max(5),
    seed: z.int().min(0),
    at: z.int().min(0).max(8_640_000_000_000_000),
    intervalMs: z.number().min(0).max(86_400_000),
    mix: z.strictObject({ set: weight, adjust: weight, remove: weight }).refine((mix) => mix.set + mix.adjust + mix.remove > 0, { error: 'needs at least one share above 0' }),
    newItems: share,
    duplicates: share,
    stale: share,
    poison: share,
    negative: share,
    versioned: share,
    purchases: share,
    cancels: share,
    horizonMs: z.int().min(1),
  })
  .refine((options) => options.newItems + options.duplicates + options.stale + options.poison + options.negative + options.purchases <= 1, {
    error: 'the shares of new items, duplicates, stale, poison and negative events and of purchases add up to more than 1',
  })
  .refine((options) => options.at >= options.events * options.intervalMs, { error: 'the first event would lie before 1970: later `at` or shorter interval' });

/** Fills in defaults and checks; throws BRX_USAGE that names every option that cannot be. `at` has no default: it is the caller's clock. */
export function workloadOptions(given: Partial<WorkloadOptions> & { at: number }): WorkloadOptions {
  const result = SCHEMA.safeParse({ ...WORKLOAD_DEFAULTS, ...given });
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => (issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`));
  throw new BrxError('BRX_USAGE', `this workload cannot be generated: ${problems.join('; ')}`, { remedy: 'brx-sync help generate lists the options with their ranges' });
}
