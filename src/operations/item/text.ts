/** "2026-11-23 21:04:05", UTC. */
export function timeText(time: Date): string {
  return time.toISOString().slice(0, 19).replace('T', ' ');
}

/** With its sign, unless 0. */
export function signed(number: number): string {
  return number > 0 ? `+${number}` : String(number);
}
