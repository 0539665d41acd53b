import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BrxError } from '../src/errors.ts';
import { markOf } from './processes.ts';
import type { Report } from './model.ts';

/**
 * One command at a time changes the stack. The lock is a file that names its holder (pid and start mark); a lock whose holder
 * is gone is taken over.
 */
export async function withLock<T>(file: string, report: Report, action: () => Promise<T>, withinMs = 300_000): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const mine = JSON.stringify({ pid: process.pid, mark: markOf(process.pid) });
  const deadline = performance.now() + withinMs;
  let told = false;
  while (!tryTake(file, mine)) {
    if (performance.now() > deadline) {
      throw new BrxError('BRX_STACK', `another command still holds ${file} after ${withinMs / 1_000} s`, { remedy: `see what process ${holderOf(file)?.pid ?? '(unknown)'} is doing, end it, and try again` });
    }
    if (!told) report(`waiting for process ${holderOf(file)?.pid ?? '(unknown)'}, which is changing the stack`);
    told = true;
    await delay(100);
  }
  try {
    return await action();
  } finally {
    rmSync(file, { force: true });
  }
}

function tryTake(file: string, mine: string): boolean {
  const draft = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  writeFileSync(draft, mine);
  try {
    if (linked(draft, file)) return true;
    const seen = read(file);
    if (seen === undefined) return linked(draft, file); // released in between
    const holder = parse(seen);
    if (holder !== undefined && markOf(holder.pid) === holder.mark) return false;
    // Left over. Move it aside, then make sure that what moved is what we saw and not a successor's fresh lock.
    const aside = `${draft}.stale`;
    try {
      renameSync(file, aside);
    } catch {
      return false; // someone else was quicker
    }
    if (read(aside) !== seen) linked(aside, file);
    rmSync(aside, { force: true });
    return linked(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** link(2) fails when the name exists: the lock appears whole or not at all. */
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function holderOf(file: string): { pid: number; mark: string } | undefined {
  const text = read(file);
  return text === undefined ? undefined : parse(text);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function parse(text: string): { pid: number; mark: string } | undefined {
  try {
    const value = JSON.parse(text) as { pid?: unknown; mark?: unknown };
    return typeof value.pid === 'number' && typeof value.mark === 'string' ? { pid: value.pid, mark: value.mark } : undefined;
  } catch {
    return undefined;
  }
}
