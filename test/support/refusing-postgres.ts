import type { Clock } from '../../src/platform/clock.ts';
import type { TransactionBase } from '../../src/platform/postgres/transaction.ts';

/** Transactions that fail with these SQLSTATEs, one after the other; those after the last one find nothing. */
export function refusingPostgres(clock: Clock, states: readonly string[]): { postgres: TransactionBase; asked: () => number } {
  let asked = 0;
  const nothing = { $queryRawUnsafe: () => Promise.resolve([]), $executeRawUnsafe: () => Promise.resolve(0) };
  const prisma = {
    $transaction(work: (tx: typeof nothing) => Promise<unknown>) {
      asked += 1;
      const state = states[asked - 1];
      return state === undefined ? work(nothing) : Promise.reject(Object.assign(new Error(`refused with ${state}`), { code: state, severity: 'ERROR' }));
    },
  };
  return { postgres: { prisma: prisma as unknown as TransactionBase['prisma'], config: { transactionTimeoutMs: 1_000, maxWaitMs: 1_000 }, clock }, asked: () => asked };
}
