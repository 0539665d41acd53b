import { pollNow, selectPoll } from '../orders/index.ts';
import type { Clock } from '../platform/clock.ts';
import { inTransaction, type Postgres } from '../platform/postgres/index.ts';

const LOOK_MS = 100;

export interface Patience {
  readonly clock: Clock;
  readonly patienceMs: number;
  /** Ends the wait, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Whether it is read before the patience is over. */
export async function readInTime(isRead: () => Promise<boolean>, { clock, patienceMs, signal }: Patience): Promise<boolean> {
  for (const until = clock.monotonic() + patienceMs; clock.monotonic() < until; ) {
    if (await isRead()) return true;
    await clock.sleep(LOOK_MS, signal);
  }
  return false;
}

/** Has a seller's orders read, and waits for it; false: nobody has read them to their end since that time (milliseconds, the database's clock). */
export async function haveOrdersRead(postgres: Postgres, userId: string, since: number, patience: Patience): Promise<boolean> {
  const isRead = async (): Promise<boolean> => ((await selectPoll(postgres.prisma, userId))?.polledAt?.getTime() ?? -Infinity) > since;
  if (await isRead()) return true;
  await inTransaction(postgres, (tx) => pollNow(tx, userId));
  return readInTime(isRead, patience);
}
