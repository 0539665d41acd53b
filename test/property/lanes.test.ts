import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LANES, laneOf, partitionOf, TOPICS } from '../../src/contract/index.ts';
import { seed } from '../support/seed.ts';

/** Protects: partitions work in parallel because no two of them share a lane. */
test(`a user’s partition follows from the lane, for every number of partitions that divides the lanes (seed ${seed})`, () => {
  const divisors = Array.from({ length: LANES }, (_, index) => index + 1).filter((n) => LANES % n === 0);
  expect(divisors).toContain(TOPICS.marketplaceEvents.partitions);
  fc.assert(
    fc.property(fc.uuid(), fc.constantFrom(...divisors), (userId, partitions) => {
      expect(laneOf(userId) % partitions).toBe(partitionOf(userId, partitions));
    }),
    { seed, numRuns: 5_000 },
  );
});
