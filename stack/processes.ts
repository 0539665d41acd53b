import { spawn } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BrxError } from '../src/errors.ts';
import type { Owner } from './owner.ts';

/**
 * Processes that outlive the command that started them. A pid alone proves nothing, since the system hands it out again:
 * a record also holds the moment that process started, and only the process that still has both is ever signalled.
 */
export interface ProcessRecord {
  pid: number;
  /** When that process started, in the system's own terms (Linux: boot id and clock ticks). */
  mark: string;
  program: string;
  ports: number[];
}

export interface Launch {
  program: string;
  args: readonly string[];
  cwd: string;
  environment: Record<string, string>;
  /** Run as this user instead of our own (only root can). */
  owner?: Owner | undefined;
}

export const LOG_NAME = 'log';
const RECORD_NAME = 'process.json';

/** Start mark of a living process; undefined if there is none with this pid (a zombie is none). */
export function markOf(pid: number): string | undefined {
  if (!existsSync('/proc/self/stat')) return markByPs(pid);
  try {
    return markFromStat(readFileSync(`/proc/${pid}/stat`, 'utf8'), readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  } catch {
    return undefined; // no such process, or it ended while we read
  }
}

/** `stat` is the line of proc(5): the command is in parentheses and may itself hold spaces and parentheses. */
export function markFromStat(stat: string, bootId: string): string | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const startTicks = fields[19];
  if (state === undefined || startTicks === undefined || state === 'Z' || state === 'X') return undefined;
  return `${bootId}/${startTicks}`;
}

function markByPs(pid: number): string | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return line === '' || line.startsWith('Z') ? undefined : line.split(/\s+/).slice(1).join(' ');
  } catch {
    return undefined;
  }
}

export function isAlive(record: ProcessRecord, mark: (pid: number) => string | undefined = markOf): boolean {
  return mark(record.pid) === record.mark;
}

/** The living process recorded in `home`; a record of a dead one is left over and removed. */
export function recordedProcess(home: string): ProcessRecord | undefined {
  const record = readRecord(home);
  if (record !== undefined && isAlive(record)) return record;
  rmSync(join(home, RECORD_NAME), { force: true });
  return undefined;
}

function readRecord(home: string): ProcessRecord | undefined {
  try {
    const value = JSON.parse(readFileSync(join(home, RECORD_NAME), 'utf8')) as Partial<ProcessRecord>;
    if (typeof value.pid !== 'number' || typeof value.mark !== 'string') return undefined;
    return { pid: value.pid, mark: value.mark, program: value.program ?? '', ports: value.ports ?? [] };
  } catch {
    return undefined; // none, or cut off by a crash
  }
}

/** Starts a process of its own session whose output goes to `home`/log (the previous one becomes log.1), and records it. */
export async function launchDetached(home: string, launch: Launch, ports: readonly number[]): Promise<ProcessRecord> {
  const log = join(home, LOG_NAME);
  if (existsSync(log)) renameSync(log, `${log}.1`);
  const output = openSync(log, 'a');
  try {
    const child = spawn(launch.program, launch.args, {
      cwd: launch.cwd,
      env: launch.environment,
      detached: true,
      stdio: ['ignore', output, output],
      ...(launch.owner === undefined ? {} : { uid: launch.owner.uid, gid: launch.owner.gid }),
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) => reject(new BrxError('BRX_STACK', `${launch.program} could not be started: ${cause.message}`, { cause })));
    });
    child.unref();
    const pid = child.pid;
    const mark = pid === undefined ? undefined : markOf(pid);
    if (pid === undefined || mark === undefined) throw new BrxError('BRX_STACK', `${launch.program} ended at once\n${tailOf(home)}`);
    const record: ProcessRecord = { pid, mark, program: launch.program, ports: [...ports] };
    writeFileSync(join(home, `${RECORD_NAME}.new`), JSON.stringify(record));
    renameSync(join(home, `${RECORD_NAME}.new`), join(home, RECORD_NAME));
    return record;
  } finally {
    closeSync(output);
  }
}

/** Signals the process if it is still the recorded one, and waits until it is gone; SIGKILL after `graceMs`. */
export async function stopRecorded(home: string, signal: NodeJS.Signals, graceMs: number): Promise<'stopped' | 'killed' | 'not running'> {
  const record = recordedProcess(home);
  if (record === undefined) return 'not running';
  signalProcess(record, signal);
  let outcome: 'stopped' | 'killed' = 'stopped';
  if (!(await gone(record, graceMs))) {
    outcome = 'killed';
    signalProcess(record, 'SIGKILL');
    if (!(await gone(record, 10_000))) throw new BrxError('BRX_STACK', `process ${record.pid} (${record.program}) does not end, not even by SIGKILL`);
  }
  rmSync(join(home, RECORD_NAME), { force: true });
  return outcome;
}

function signalProcess(record: ProcessRecord, signal: NodeJS.Signals): void {
  try {
    if (isAlive(record)) process.kill(record.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function gone(record: ProcessRecord, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (isAlive(record)) {
    if (performance.now() > deadline) return false;
    await delay(25);
  }
  return true;
}

/** The last lines of a service's log, indented, for an error message. */
export function tailOf(home: string, lines = 15): string {
  try {
    const text = readFileSync(join(home, LOG_NAME), 'utf8').trimEnd();
    return text === '' ? '  (its log is empty)' : text.split('\n').slice(-lines).map((line) => `  | ${line}`).join('\n');
  } catch {
    return '  (it has no log yet)';
  }
}
