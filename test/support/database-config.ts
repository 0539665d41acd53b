import type { PostgresConfig } from '../../src/config.ts';

/** Settings of a test's pool: the shipped order of the limits, each short enough for a test to run into it. */
export function databaseConfig(url: string, changes: Partial<PostgresConfig> = {}): PostgresConfig {
  return {
    url,
    poolMax: 8,
    acquireTimeoutMs: 3_000,
    lockTimeoutMs: 5_000,
    statementTimeoutMs: 8_000,
    idleTransactionTimeoutMs: 9_000,
    transactionTimeoutMs: 10_000,
    maxWaitMs: 5_000,
    ...changes,
  };
}
