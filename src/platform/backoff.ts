import type { Clock } from './clock.ts';

const FIRST_MS = 100;
const LAST_MS = 5_000;

/** How long a loop waits after so many failures in a row, ms: twice as long each time, up to 5 s, and not all at the same moment. */
export const retryMs = (failures: number, clock: Pick<Clock, 'random'>): number => Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(failures, 10)) * (0.5 + clock.random() / 2);
