import { createRequire } from 'node:module';
import { BrxError } from '../../errors.ts';
import { systemClock } from '../clock.ts';

/**
 * kafkajs 2.2.4 re-arms a timer for ever on every idle connection: `scheduleCheckPendingRequests` computes a delay below zero, finds
 * nothing to do and schedules itself again. Measured: 822 timer fires a second and 7 % of a core per connection, and on Node 24 a
 * TimeoutNegativeWarning besides (kafka-consumers.md section 1.8; kafkajs issues 1704 and 1751).
 *
 * The cure is to arm the timer only while something is pending: `push` calls this again whenever it adds something.
 */
const PATCHED_VERSION = '2.2.4';
/** kafkajs's own CHECK_PENDING_REQUESTS_INTERVAL, for requests that wait for one in flight. */
const RECHECK_MS = 10;

interface RequestQueue {
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  pending: readonly unknown[];
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}

function scheduleCheckPendingRequests(this: RequestQueue): void {
  if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return;
  const throttledForMs = this.throttledUntil - systemClock.now();
  this.throttleCheckTimeoutId = setTimeout(
    () => {
      this.throttleCheckTimeoutId = null;
      this.checkPendingRequests();
    },
    throttledForMs > 0 ? throttledForMs : RECHECK_MS,
  );
}

/** Applies the patch to kafkajs's class; any number of times. Throws BRX_INTERNAL when another kafkajs is installed. */
export function patchKafkajsTimerLoop(require: NodeJS.Require = createRequire(import.meta.url)): void {
  const { version } = require('kafkajs/package.json') as { version: string };
  if (version !== PATCHED_VERSION) {
    throw new BrxError('BRX_INTERNAL', `kafkajs ${version} is installed, but the patch of its timer loop was made for ${PATCHED_VERSION}`, {
      remedy: 'install kafkajs 2.2.4, or check RequestQueue.scheduleCheckPendingRequests of the new version and adapt src/platform/kafka/timer-patch.ts',
    });
  }
  const { prototype } = require('kafkajs/src/network/requestQueue/index.js') as { prototype: RequestQueue };
  prototype.scheduleCheckPendingRequests = scheduleCheckPendingRequests;
}
