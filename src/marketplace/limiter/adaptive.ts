/**
 * What a 429 does to a seller: a pause, and a lower limit that comes back by steps. Pure; the Lua script does the same.
 *
 *   full ──429──► paused ──► lowered (x 0.7, at least a tenth) ──a quiet window──► + a tenth ──...──► full
 *                   ▲                         │
 *                   └───────── 429 ───────────┘   (the pause doubles each time until the limit is full again)
 *
 * 429s that arrive during a pause are answers to what was sent before it, and say nothing new.
 */
export interface Throttle {
  /** Of the last 429; the limit has grown since. */
  readonly lowered: number;
  /** When it began to grow: the end of the pause. */
  readonly since: number;
  readonly pausedUntil: number;
  /** 429s in a row. */
  readonly strikes: number;
}

/** As parts of the window of all requests. */
export const FIRST_PAUSE = 0.5;
export const LONGEST_PAUSE = 6;
/** Also where `Retry-After` asks for less. */
export const SHORTEST_PAUSE = 0.1;
const FACTOR = 0.7;
/** Of the full limit: what a quiet window gives back, and the least that stays. */
const STEP = 0.1;

/** The limit now: `undefined` was never throttled. */
export function limitAt(throttle: Throttle | undefined, full: number, now: number, quietMs: number): number {
  if (throttle === undefined) return full;
  const steps = Math.max(0, Math.floor((now - throttle.since) / quietMs));
  return Math.min(full, throttle.lowered + steps * Math.ceil(full * STEP));
}

/** After a 429. `retryAfterMs` is what the server asked for, null if it asked for nothing. */
export function throttled(throttle: Throttle | undefined, full: number, now: number, quietMs: number, retryAfterMs: number | null): Throttle {
  const asked = retryAfterMs === null ? null : Math.max(retryAfterMs, SHORTEST_PAUSE * quietMs);
  if (throttle !== undefined && throttle.pausedUntil > now) {
    const pausedUntil = asked === null ? throttle.pausedUntil : Math.max(throttle.pausedUntil, now + asked);
    return { ...throttle, pausedUntil, since: pausedUntil };
  }
  const limit = limitAt(throttle, full, now, quietMs);
  const strikes = (throttle === undefined || limit >= full ? 0 : throttle.strikes) + 1;
  const pausedUntil = now + (asked ?? Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(strikes - 1, 10)) * quietMs);
  return { lowered: Math.max(Math.ceil(full * STEP), Math.floor(limit * FACTOR)), since: pausedUntil, pausedUntil, strikes };
}

/** Whether it can be forgotten: full again, and the pause over. */
export function isOver(throttle: Throttle, full: number, now: number, quietMs: number): boolean {
  return throttle.pausedUntil <= now && limitAt(throttle, full, now, quietMs) >= full;
}
