import { defineConfig } from 'vitest/config';

/**
 * Five projects, by what they need: unit, property and contract need nothing but Node (they are `npm run check`);
 * integration and crash need the local stack (`npm test` brings it up through test/support/global-setup.ts).
 * Files of the last two run two at a time: each has topics, databases and groups of its own, and waits (for sessions of a group to
 * expire, for leases to end) for more than half of its time.
 */
/** Of tests that only compute: some look at 100,000 cases. All deadlines are for a machine that is busy with something else; a test that passes does not wait for them. */
const PATIENCE_MS = 30_000;

const FILES_AT_ONCE = 2;

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], setupFiles: ['test/support/secrets-kept.ts'], testTimeout: PATIENCE_MS } },
      { test: { name: 'property', include: ['test/property/**/*.test.ts'], testTimeout: PATIENCE_MS } },
      { test: { name: 'contract', include: ['test/contract/**/*.test.ts'], testTimeout: PATIENCE_MS } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          setupFiles: ['test/support/secrets-kept.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          maxWorkers: FILES_AT_ONCE,
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
          maxWorkers: FILES_AT_ONCE,
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
