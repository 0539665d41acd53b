import type { PostgresConfig } from '../../config.ts';
import { BrxError } from '../../errors.ts';
import type { Clock } from '../clock.ts';
import { withCommitSent } from './commit.ts';
import { DatabaseFailure, recognise } from './errors.ts';
import type { Prisma, PrismaClient } from './generated/client.ts';

/** What a transaction needs of `Postgres` (index.ts). */
export interface TransactionBase {
  readonly prisma: PrismaClient;
  readonly config: Pick<PostgresConfig, 'transactionTimeoutMs' | 'maxWaitMs'>;
  readonly clock: Clock;
}

declare const insideTransaction: unique symbol;

/**
 * A handle that exists only inside `inTransaction`. A function that must be part of a transaction takes one, and so cannot be
 * called with the plain client by mistake.
 *
 * Inside: await one statement after the other, catch nothing, and never Promise.all (calls after a failed one come back
 * fulfilled with undefined; write-path.md 8.4).
 */
export type Transaction = Prisma.TransactionClient & { readonly [insideTransaction]: true };

export interface TransactionOptions {
  /** Looked at before each attempt and while waiting between them; a running transaction is not cut. */
  signal?: AbortSignal;
  /** Each time a conflict is about to be retried; `retry` counts from 1. */
  onRetry?: (failure: DatabaseFailure, retry: number) => void;
  /** Named in errors. */
  name?: string;
  /** For crash tests: COMMIT is on its way, its answer is not read yet. See withCommitSent for what it costs. */
  onCommitSent?: () => void;
}

/** A conflict is tried 1 + 3 times. */
export const CONFLICT_RETRIES = 3;
const FIRST_DELAY_MS = 50;

/**
 * Runs `work` in one transaction (READ COMMITTED, the default, so no SET TRANSACTION goes out) and returns what it returned,
 * after the commit. `work` runs again from the start after a deadlock or a serialization failure: it must have no effect but
 * through its transaction.
 *
 * Throws DatabaseFailure for what the database said, BrxError BRX_DATABASE_CONFLICT when conflicts do not end, the signal's
 * reason when aborted, and everything else `work` throws as it is (having rolled back).
 */
export async function inTransaction<T>(postgres: TransactionBase, work: (tx: Transaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
  for (let retry = 0; ; retry += 1) {
    options.signal?.throwIfAborted();
    const attempt = await once(postgres, work, options);
    if ('value' in attempt) return attempt.value;
    const { failure } = attempt;
    if (failure.kind !== 'conflict') throw failure;
    if (retry === CONFLICT_RETRIES) {
      throw new BrxError('BRX_DATABASE_CONFLICT', `${options.name ?? 'a transaction'} met another one ${retry + 1} times in a row: ${failure.message}`, { cause: failure });
    }
    options.onRetry?.(failure, retry + 1);
    // Full jitter: two transactions that met would meet again after equal waits.
    await postgres.clock.sleep(postgres.clock.random() * FIRST_DELAY_MS * 2 ** retry, options.signal);
  }
}

async function once<T>(postgres: TransactionBase, work: (tx: Transaction) => Promise<T>, options: TransactionOptions): Promise<{ value: T } | { failure: DatabaseFailure }> {
  const { transactionTimeoutMs: timeout, maxWaitMs: maxWait } = postgres.config;
  let workDone = false;
  const run = async (tx: Prisma.TransactionClient): Promise<T> => {
    const value = await work(tx as Transaction);
    workDone = true;
    return value;
  };
  try {
    return { value: await withCommitSent(options.onCommitSent, () => postgres.prisma.$transaction(run, { timeout, maxWait })) };
  } catch (error) {
    const failure = recognise(error);
    if (failure === undefined) throw error;
    return { failure: workDone && failure.kind === 'unavailable' ? unknownOutcome(failure) : failure };
  }
}

/** The work was done, so what broke was COMMIT: the server may have done it before the answer was lost. */
function unknownOutcome(failure: DatabaseFailure): DatabaseFailure {
  const { kind, state, message, constraint, cause } = failure;
  return new DatabaseFailure({ kind, state, constraint, cause, outcomeUnknown: true, message: `${message} (during COMMIT: it may have taken effect)` });
}
