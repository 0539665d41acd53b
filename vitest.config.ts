import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/**
 * Five projects, by what they need: unit, property and contract need nothing but Node (they are `npm run check`);
 * integration and crash need the local stack (`npm test` brings it up through test/support/global-setup.ts).
 * Files of the last two run two at a time: each has topics, databases and groups of its own, and waits (for leases, for polls, for answers that never come) for more than half
 * of its time. Three at once pass as well, and leave less room where a machine is slow.
 */
const AT_ONCE = 2;

/** Of tests that only compute: some look at 100,000 cases. All deadlines are for a machine that is busy with something else; a test that passes does not wait for them. */
const PATIENCE_MS = 30_000;

/** They have every core, where vitest would leave one free, which of two is half; and threads of one process, which start sooner than processes. */
const COMPUTES = { maxWorkers: availableParallelism(), pool: 'threads', testTimeout: PATIENCE_MS } as const;

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], setupFiles: ['test/support/secrets-kept.ts'], ...COMPUTES } },
      { test: { name: 'property', include: ['test/property/**/*.test.ts'], ...COMPUTES } },
      { test: { name: 'contract', include: ['test/contract/**/*.test.ts'], ...COMPUTES } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          setupFiles: ['test/support/secrets-kept.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          maxWorkers: AT_ONCE,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'crash',
          include: ['test/crash/**/*.test.ts'],
          setupFiles: ['test/support/secrets-kept.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          maxWorkers: AT_ONCE,
          sequence: { groupOrder: 2 },
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
