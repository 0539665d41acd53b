/**
 * The circuit breaker of one seller, as two numbers that are kept with the seller, so that all processes share it. Pure.
 *
 *   closed ──5 calls in a row without a usable answer──► open ──its time is over──► one operation, which begins with a read
 *     ▲                                                   ▲                              │
 *     └────────────────────── a usable answer ────────────│──────────────────────────────┤
 *                                                         └──────── none: longer ────────┘
 *
 * Only lost answers and 5xx count. A refusal is an answer, and a 429 or a request that was never sent says nothing about whether writes take effect.
 */
export interface Circuit {
  readonly failures: number;
  /** Milliseconds since 1970; null: closed. */
  readonly openUntil: number | null;
}

export const FAILURES_TO_OPEN = 5;
const FIRST_OPEN_MS = 10_000;
const LONGEST_OPEN_MS = 300_000;

export function afterAnswer(circuit: Circuit, answered: boolean | null, now: number): Circuit {
  if (answered === null) return circuit;
  if (answered) return { failures: 0, openUntil: null };
  const failures = circuit.failures + 1;
  return { failures, openUntil: failures < FAILURES_TO_OPEN ? null : now + Math.min(LONGEST_OPEN_MS, FIRST_OPEN_MS * 2 ** Math.min(20, failures - FAILURES_TO_OPEN)) };
}

/** Whether only one operation may be tried. */
export const isProbing = ({ failures }: Pick<Circuit, 'failures'>): boolean => failures >= FAILURES_TO_OPEN;

/** How long an operation waits after a call without a usable answer, ms, before jitter. */
export const backoffMs = ({ failures }: Pick<Circuit, 'failures'>): number => Math.min(60_000, 1_000 * 2 ** Math.min(10, failures));
