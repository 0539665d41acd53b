import type { Finding, Say } from './finding.ts';

/** A server's wall clock, asked between two looks at ours; all in ms since 1970. */
export interface ClockReading {
  readonly before: number;
  readonly server: number;
  readonly after: number;
}

const WARNING_MS = 2_000;
const FAILURE_MS = 60_000;

/** By how much the server is ahead of us (negative: behind), as far as the time the question took allows to say: 0 while its answer lies in between. */
export function skewMs({ before, server, after }: ClockReading): number {
  if (server < before) return server - before;
  return server > after ? server - after : 0;
}

/**
 * Deadlines of sales are the database's time, `occurred_at` and the deduplication horizon the producers' and ours: a minute between them
 * ends sales too early and makes fresh events `too_old` or future.
 */
export function judgeClock(say: Say, reading: ClockReading): Finding {
  const skew = skewMs(reading);
  const seconds = `${(Math.abs(skew) / 1_000).toFixed(1)} s ${skew > 0 ? 'ahead of' : 'behind'} this machine`;
  const remedy = 'let NTP set the clocks of both machines (timedatectl, chronyc tracking)';
  if (Math.abs(skew) >= FAILURE_MS) return say.failure('clock', `its clock is ${seconds}`, remedy);
  if (Math.abs(skew) >= WARNING_MS) return say.warning('clock', `its clock is ${seconds}`, remedy);
  return say.ok('clock', 'agrees with this machine’s');
}
