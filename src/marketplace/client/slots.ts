import { ENDED } from '../../platform/abort.ts';
import type { Clock } from '../../platform/clock.ts';

/** A counted number of places, given in the order they were asked for. */
export interface Slots {
  /** True once a place is taken, false when none came free within `waitMs`. */
  take(waitMs: number): Promise<boolean>;
  give(): void;
  readonly used: number;
  readonly waiting: number;
}

export function createSlots(size: number, clock: Clock): Slots {
  let used = 0;
  const waiting = new Set<() => void>();
  return {
    get used() {
      return used;
    },
    get waiting() {
      return waiting.size;
    },
    async take(waitMs) {
      if (used < size) {
        used += 1;
        return true;
      }
      const served = new AbortController();
      const serve = (): void => served.abort(ENDED);
      waiting.add(serve);
      return clock.sleep(waitMs, served.signal).then(
        // In the same turn as the timeout a place may have been given: then the signal says so, though the sleep ended by itself.
        () => served.signal.aborted || !waiting.delete(serve),
        () => true,
      );
    },
    give() {
      const [next] = waiting;
      if (next === undefined) {
        used -= 1;
        return;
      }
      waiting.delete(next); // the place goes from hand to hand
      next();
    },
  };
}
