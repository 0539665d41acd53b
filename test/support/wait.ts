import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 25;

/** Resolves to the first value of `condition` that is neither undefined nor false; throws, naming `what`, when none comes in time. */
export async function until<T>(what: string, condition: () => T | undefined | false | Promise<T | undefined | false>, { timeoutMs = 60_000, state = (): string => '' } = {}): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs / 1_000} s in vain: ${what}${state() === '' ? '' : `\n${state()}`}`);
    await delay(POLL_MS);
  }
}

/** The kernel's letter for what a process does: T is stopped (SIGSTOP), undefined is gone. */
export function processState(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2)[0];
  } catch {
    return undefined;
  }
}
