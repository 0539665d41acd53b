import { messageOf } from '../errors.ts';
import type { Clock } from '../platform/clock.ts';
import { faultPoint } from '../platform/fault-points.ts';
import { DatabaseFailure, inTransaction, lockUsers, toBrxError, type Postgres, type Transaction } from '../platform/postgres/index.ts';
import { NO_TRACER, type Tracer } from '../platform/tracing/index.ts';
import type { Stimulus } from './decide.ts';
import type { HistoryRow } from './fold.ts';
import { openFolds, readPurchases, writePurchases, type PurchaseContext } from './store.ts';
import { traceSteps } from './trace.ts';

export interface AdvanceDeps {
  readonly postgres: Postgres;
  readonly clock: Clock;
  readonly purchase: PurchaseContext;
  readonly onRetry: (failure: DatabaseFailure) => void;
  /** A transaction was given up, and its sagas are tried in halves. */
  readonly onHalved?: () => void;
  /** Of the spans of steps; none by default. */
  readonly tracer?: Tracer;
}

/** A saga somebody looks at, and why. */
export interface Call {
  readonly userId: string;
  readonly purchaseId: string;
  readonly stimulus: Stimulus;
}

export interface Advanced {
  /** Steps that were taken, in order. */
  readonly steps: readonly HistoryRow[];
  /** Operations on CardTrader that were asked for. */
  readonly operations: number;
  /** Calls for purchases nobody knows. */
  readonly unknown: readonly Call[];
}

/** More to do in the transaction of the sagas. */
export interface Around {
  /** Under the lanes, before anything is read. */
  readonly before?: (tx: Transaction) => Promise<void>;
  /** Before the commit; `unknown` are the calls that found no saga. */
  readonly after?: (tx: Transaction, unknown: readonly Call[], steps: readonly HistoryRow[]) => Promise<void>;
}

/**
 * Lets sagas do what there is to do, all in one transaction: lock lanes → read → decide, pure → write. Several calls for one saga
 * are several looks, in order. Throws DatabaseFailure and BrxError like `inTransaction`; then nothing has happened.
 */
export async function advance(deps: AdvanceDeps, calls: readonly Call[], { before, after }: Around = {}): Promise<Advanced> {
  const { postgres, clock, purchase, onRetry, tracer = NO_TRACER } = deps;
  const at = clock.now();
  const advanced = await inTransaction(
    postgres,
    async (tx) => {
      const now = clock.now();
      const folds = openFolds(purchase, now);
      faultPoint('saga.after-begin');
      await lockUsers(tx, calls.map(({ userId }) => userId));
      await before?.(tx);
      const entries = calls.map(({ userId, purchaseId }) => folds.purchases.touch(userId, purchaseId));
      await readPurchases(tx, folds, []);
      faultPoint('saga.after-read');
      const unknown = calls.filter((_, index) => entries[index]?.saga === undefined);
      calls.forEach(({ stimulus }, index) => {
        const entry = entries[index];
        if (entry?.saga !== undefined) folds.purchases.stimulate(entry, stimulus);
      });
      await writePurchases(tx, folds, purchase, now);
      await after?.(tx, unknown, folds.purchases.history);
      faultPoint('saga.after-write');
      return { steps: folds.purchases.history, operations: folds.purchases.newOperations.length, unknown };
    },
    { onRetry },
  );
  traceSteps(tracer, at, advanced.steps);
  return advanced;
}

/**
 * As `advance`, and sees to it that one saga the database refuses stops no other: the calls are halved, first half first, until it
 * stands alone; that saga goes to an operator, with what the database said, in a transaction of its own.
 */
export async function advanceOrStick(deps: AdvanceDeps, calls: readonly Call[], around?: Around): Promise<Advanced> {
  try {
    return await advance(deps, calls, around);
  } catch (error) {
    if (!(error instanceof DatabaseFailure)) throw error;
    if (error.kind !== 'data' && error.kind !== 'duplicate' && !(error.kind === 'timeout' && calls.length > 1)) throw toBrxError(error);
    const [only] = calls;
    if (only === undefined) throw toBrxError(error);
    if (calls.length === 1) return stick(deps, only, error, around);
    deps.onHalved?.();
    const middle = calls.length >> 1;
    const first = await advanceOrStick(deps, calls.slice(0, middle), around);
    const second = await advanceOrStick(deps, calls.slice(middle), around);
    return { steps: [...first.steps, ...second.steps], operations: first.operations + second.operations, unknown: [...first.unknown, ...second.unknown] };
  }
}

async function stick(deps: AdvanceDeps, call: Call, failure: DatabaseFailure, around: Around | undefined): Promise<Advanced> {
  try {
    return await advance(deps, [{ ...call, stimulus: { kind: 'stick', why: `the database refuses its next step: ${failure.message}` } }], around);
  } catch (error) {
    // Not even that: a fault of ours, and to go on would be to skip it.
    throw error instanceof DatabaseFailure ? toBrxError(new DatabaseFailure({ kind: error.kind, state: error.state, message: `saga ${call.purchaseId} of user ${call.userId}: ${messageOf(error)} (after: ${failure.message})`, cause: error })) : error;
  }
}
