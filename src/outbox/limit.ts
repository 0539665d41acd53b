import { BrxError } from '../errors.ts';
import type { Clock } from '../platform/clock.ts';
import { toBrxError, type Postgres } from '../platform/postgres/index.ts';
import { holdsAtLeast } from './limit.sql.ts';

/** Keeps whoever could wait from adding to an outbox that is full because nobody publishes it. */
export interface OutboxLimit {
  /** Returns while there is room. Throws BRX_OUTBOX_FULL, which waiting cures, and what the database throws. */
  check(): Promise<void>;
}

export interface OutboxLimitDeps {
  readonly postgres: Pick<Postgres, 'prisma'>;
  readonly clock: Clock;
  readonly maxRows: number;
}

/** What is enqueued between two looks comes on top of the limit. */
const LOOK_MS = 2_000;
/** Full until there is room for a while, so that work does not stop and go at the limit. */
const ROOM_AGAIN = 0.9;

export function createOutboxLimit({ postgres, clock, maxRows }: OutboxLimitDeps): OutboxLimit {
  let nextLook = 0;
  let full = false;
  let looking: Promise<void> | undefined;

  async function look(): Promise<void> {
    try {
      full = await holdsAtLeast(postgres.prisma, full ? Math.ceil(ROOM_AGAIN * maxRows) : maxRows);
      nextLook = clock.monotonic() + LOOK_MS;
    } catch (error) {
      throw toBrxError(error);
    }
  }

  return {
    async check() {
      if (clock.monotonic() >= nextLook) {
        looking ??= look().finally(() => {
          looking = undefined;
        });
        await looking;
      }
      if (!full) return;
      throw new BrxError('BRX_OUTBOX_FULL', `the outbox holds ${maxRows} unpublished rows or more`, {
        remedy: 'see whether Kafka answers and a relay runs (`brx-sync outbox list` shows what waits), or raise BRX_OUTBOX_MAX_ROWS',
      });
    },
  };
}
