/** How a chunk that was parked is tried again by itself. Pure. */

/** Pauses, seconds; the last one again and again. What refuses a chunk passes soon (a lock, a disk), or is mended by people, who take hours. */
const PAUSES = [60, 300, 1_800, 3_600] as const;

/** How long each of so many tries is waited for, seconds. */
export const pausesOf = (retries: number): number[] => Array.from({ length: retries }, (_, n) => PAUSES[Math.min(n, PAUSES.length - 1)] ?? 0);
