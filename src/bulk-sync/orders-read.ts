import { pollNow, selectPoll } from '../orders/index.ts';
import type { Clock } from '../platform/clock.ts';
import { inTransaction, type Postgres } from '../platform/postgres/index.ts';

const LOOK_MS = 100;

/** Has a seller's orders read, and waits for it; false: nobody has read them to their end since that time (milliseconds, the database's clock). */
export async function haveOrdersRead({ postgres, clock }: { readonly postgres: Postgres; readonly clock: Clock }, userId: string, { since, patienceMs, signal }: { readonly since: number; readonly patienceMs: number; readonly signal?: AbortSignal }): Promise<boolean> {
  const isRead = async (): Promise<boolean> => ((await selectPoll(postgres.prisma, userId))?.polledAt?.getTime() ?? -Infinity) > since;
  if (await isRead()) return true;
  await inTransaction(postgres, (tx) => pollNow(tx, userId));
  for (const until = clock.monotonic() + patienceMs; clock.monotonic() < until; ) {
    await clock.sleep(LOOK_MS, signal);
    if (await isRead()) return true;
  }
  return false;
}
