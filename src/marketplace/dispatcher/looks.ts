import type { Clock } from '../../platform/clock.ts';
import type { CardTraderClient, Caller, Job, Outcome } from '../client/index.ts';

/** CardTrader allows one look at a job in so long, ms. */
const BETWEEN_MS = 1_000;

/**
 * Looks at the jobs of one seller, one after the other. The next is sent a second after the answer to the one before, and the first a second after the
 * seller was taken on: a request cannot arrive later than it is answered, so no two arrive within a second, however slow the network is.
 * A margin for that, as the rate limit has it elsewhere, would cost a fifth of what CardTrader allows.
 */
export function looksOf(client: Pick<CardTraderClient, 'job'>, clock: Clock, caller: () => Caller): (job: string) => Promise<Outcome<Job>> {
  let last: Promise<unknown> = Promise.resolve();
  let freeAt = clock.monotonic() + BETWEEN_MS;
  const look = async (job: string): Promise<Outcome<Job>> => {
    const waitMs = freeAt - clock.monotonic();
    if (waitMs > 0) await clock.sleep(waitMs);
    try {
      return await client.job(caller(), job);
    } finally {
      freeAt = clock.monotonic() + BETWEEN_MS;
    }
  };
  return (job) => {
    const next = last.then(() => look(job));
    last = next.catch(() => undefined); // whoever asked is told
    return next;
  };
}
