import type { BrxError } from '../errors.ts';
import { fatalError, isPassing } from '../platform/claim-loop.ts';
import { inTransaction } from '../platform/postgres/index.ts';
import type { Service } from '../platform/service.ts';
import { advanceOrStick, type Advanced, type AdvanceDeps } from './advance.ts';
import { claimDueSagas } from './sagas.sql.ts';

export interface SweeperDeps extends AdvanceDeps {
  readonly onSwept: (result: Advanced & { readonly looked: number }) => void;
  readonly onWaiting: (error: string) => void;
  readonly onFatal: (error: BrxError) => void;
}

const EVERY_MS = 1_000;
const SAGAS_A_SWEEP = 200;
/** A saga without anything new is looked at again after 15 s, then 30 s, and so on. */
const AGAIN = { firstSeconds: 15, mostSeconds: 600 };

/**
 * Looks at sagas that are overdue: their deadline has come, or the record that should have moved them was lost. Every instance
 * runs it all the time; nothing depends on a restart, on one instance, or on what an instance remembers.
 *
 * Killed between claim and step, or with the database away: the claim lapses and the saga is due again. What is found to do is
 * decided under the lane, from what is true then.
 */
export function createSweeper(deps: SweeperDeps): Service {
  const stop = new AbortController();
  let loop: Promise<void> | undefined;
  return {
    name: 'saga sweeper',
    start() {
      loop ??= run(deps, stop.signal);
      return Promise.resolve();
    },
    async stop() {
      stop.abort();
      await loop;
    },
  };
}

async function run(deps: SweeperDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    let swept = 0;
    try {
      swept = await sweep(deps);
    } catch (error) {
      if (!isPassing(error, deps.onWaiting)) {
        deps.onFatal(fatalError(error, 'saga sweeper'));
        return;
      }
    }
    if (swept < SAGAS_A_SWEEP) await deps.clock.sleep(EVERY_MS, signal).catch(() => undefined); // stopping
  }
}

/** One sweep; answers how many sagas were due. */
export async function sweep(deps: SweeperDeps): Promise<number> {
  await deps.purchase.encoder.prepare();
  const due = await inTransaction(deps.postgres, (tx) => claimDueSagas(tx, SAGAS_A_SWEEP, AGAIN), { onRetry: deps.onRetry });
  if (due.length === 0) return 0;
  const result = await advanceOrStick(deps, due.map((saga) => ({ ...saga, stimulus: { kind: 'look' as const } })));
  deps.onSwept({ ...result, looked: due.length });
  return due.length;
}
