/** The most of `times` (ms, in any order) within a window of `windowMs`, wherever it begins: what a sliding limit counts at its worst. */
export function densest(times: readonly number[], windowMs: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  let [from, most] = [0, 0];
  for (const [to, time] of sorted.entries()) {
    while (time - (sorted[from] ?? 0) >= windowMs) from += 1;
    most = Math.max(most, to - from + 1);
  }
  return most;
}
