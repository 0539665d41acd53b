import type { BrxError } from '../errors.ts';
import { fatalError, isPassing } from '../platform/claim-loop.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import { inTransaction, type Postgres } from '../platform/postgres/index.ts';
import type { Service } from '../platform/service.ts';
import { pruneLedger } from './retention.sql.ts';

export interface RetentionDeps {
  readonly postgres: Postgres;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Deduplication horizon, ms. Rows are kept a day longer. */
  readonly horizonMs: number;
  /** Forgets other old rows, at most some thousand a call, and answers how many; called after each walk until it answers 0. */
  readonly pruneMore: (keepSince: number) => Promise<number>;
  readonly onFatal: (error: BrxError) => void;
}

const DAY_MS = 86_400_000;
/** Rows looked at in one transaction; 5,000 deletes take some 20 ms, so no lane ever waits for it (it takes none). */
const STEP_ROWS = 5_000;
const PAUSE_MS = 1_000;
const REST_MS = 600_000;

/**
 * Forgets what the ledger no longer has to know: rows recorded, and said to have occurred, longer ago than the horizon plus a
 * day. Without an index and without a scan: it walks the primary key, in which uuid v7 ids stand in the order of their time,
 * so what can go stands at the front; ids of other versions are spread behind it and are passed in the same small steps.
 *
 *   walking ──(end of the key, or nothing old left)──► resting ──(10 minutes)──► walking, from the front
 *
 * Any number of instances may run it: who holds the advisory lock walks, the others rest.
 */
export function createRetention(deps: RetentionDeps): Service {
  const stop = new AbortController();
  let loop: Promise<void> | undefined;
  return {
    name: 'ledger retention',
    start() {
      loop = run(deps, stop.signal);
      return Promise.resolve();
    },
    async stop() {
      stop.abort(new Error('stopping'));
      await loop;
    },
  };
}

async function run(deps: RetentionDeps, signal: AbortSignal): Promise<void> {
  const { clock, logger } = deps;
  let after: string | null = null;
  let pruned = 0;
  while (!signal.aborted) {
    let wait = PAUSE_MS;
    try {
      const step = await pruneStep(deps, after);
      pruned += step.deleted;
      after = step.next;
      if (after === null) {
        const more = await deps.pruneMore(clock.now() - deps.horizonMs - DAY_MS);
        if (pruned > 0) logger.info({ rows: pruned }, 'old ledger rows forgotten');
        pruned = 0;
        if (more === 0) wait = REST_MS;
      }
    } catch (error) {
      if (!isPassing(error, (waiting) => logger.warn({ error: waiting }, 'ledger retention waits for PostgreSQL'))) {
        deps.onFatal(fatalError(error, 'ledger retention'));
        return;
      }
      wait = REST_MS / 10;
    }
    await clock.sleep(wait, signal).catch(() => undefined); // stopping
  }
}

/** One step of the walk, from behind `after` (null: the front). `next` is where to go on, null at the end. */
export async function pruneStep(deps: Pick<RetentionDeps, 'postgres' | 'clock' | 'horizonMs'>, after: string | null, rows = STEP_ROWS): Promise<{ deleted: number; next: string | null }> {
  const now = deps.clock.now();
  const keepSince = now - deps.horizonMs - DAY_MS;
  return inTransaction(deps.postgres, async (tx) => {
    const step = await pruneLedger(tx, { after: after ?? NIL, keepSince, rows });
    if (step.last === null) return { deleted: step.deleted, next: null };
    return { deleted: step.deleted, next: leap(step.last, keepSince, now) };
  });
}

const NIL = '00000000-0000-0000-0000-000000000000';

/** From an id made within the horizon straight to behind the newest possible one: what lies between is v7 and all to be kept. */
export function leap(last: string, keepSince: number, now: number): string {
  const [from, to] = [firstOf(keepSince), firstOf(now + DAY_MS)];
  return last >= from && last < to ? to : last;
}

/** The smallest uuid whose first 48 bits are this time. */
function firstOf(ms: number): string {
  const hex = Math.max(0, Math.floor(ms)).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
