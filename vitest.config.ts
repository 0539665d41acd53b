import { defineConfig } from 'vitest/config';

/**
 * Five projects, by what they need: unit, property and contract need nothing but Node (they are `npm run check`);
 * integration and crash need the local stack (`npm test` brings it up through test/support/global-setup.ts).
 * Files of the last two run one after the other: the machine they are meant for has two cores.
 */
/** Of tests that only compute: some look at 100,000 cases. All deadlines are for a machine that is busy with something else; a test that passes does not wait for them. */
const PATIENCE_MS = 30_000;

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
          fileParallelism: false,
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
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
