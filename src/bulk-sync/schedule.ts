/** When reports are made by themselves: between two times of day (UTC), minutes since midnight; over midnight where the second is the earlier one. Pure. */
export interface NightWindow {
  readonly fromMinute: number;
  readonly toMinute: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** The window `now` is in: when it began, and how much of it has passed (0 to 1); undefined: it is in none. Each seller has a place in it, so that they do not all come at once. */
export function windowAt({ fromMinute, toMinute }: NightWindow, now: number): { beganAt: number; passed: number } | undefined {
  const length = ((toMinute - fromMinute + 1_440) % 1_440 || 1_440) * MINUTE_MS;
  const today = now - (now % DAY_MS) + fromMinute * MINUTE_MS;
  const beganAt = today <= now ? today : today - DAY_MS;
  return now - beganAt < length ? { beganAt, passed: (now - beganAt) / length } : undefined;
}
