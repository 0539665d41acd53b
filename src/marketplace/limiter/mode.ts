/**
 * Where tokens are counted, and when none are given because what others have used is not known. Pure; times are monotonic milliseconds.
 *
 *   shared ──Redis fails──► local, silent for a window ──► local, a share of the limit
 *     ▲                            │                             │
 *     │◄──── back at once ─────────┤                             │
 *     └──── silent for a window ◄──┴────── Redis answers ────────┘
 *
 * Silence on the way down: other processes may have used the whole limit through Redis until now. Silence on the way up: others may still be counting
 * locally, and Redis knows nothing of it.
 *
 * A short absence needs no silence on the way up. Suppose processes lose Redis together and find it again within half a window of each other. If we
 * heard from it last at t, everyone else went silent after t, until t + window at least; if we are back before t + half a window, all others are before
 * t + window, and nobody has counted locally. "Heard from it last" is a question we asked, not the first that failed: an idle process
 * would notice late, and take a long absence for a short one.
 */
export interface Mode {
  readonly source: 'shared' | 'local';
  /** Nothing is given before this. */
  readonly silentUntil: number;
}

export const SHARED: Mode = { source: 'shared', silentUntil: -Infinity };

export function fallBack(now: number, windowMs: number): Mode {
  return { source: 'local', silentUntil: now + windowMs };
}

/** `heardAt`: when the last question was asked that Redis answered before it went away. */
export function comeBack(heardAt: number, now: number, windowMs: number): Mode {
  return { source: 'shared', silentUntil: now - heardAt < windowMs / 2 ? now : now + windowMs };
}
