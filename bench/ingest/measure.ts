import { readdirSync, readFileSync } from 'node:fs';
import type pg from 'pg';

/** Clock ticks of /proc: 100 a second on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU seconds (user + system) a process and its threads have used. */
export function cpuSeconds(pid: number): number {
  const fields = stat(pid);
  return fields === undefined ? 0 : (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The same from the scheduler's own books, in nanoseconds instead of ticks: for processes that wake often and work little. */
export function exactCpuSeconds(pid: number): number {
  const tasks = list(`/proc/${pid}/task`);
  return tasks.reduce((sum, task) => sum + Number((read(`/proc/${pid}/task/${task}/schedstat`) ?? '0').split(' ')[0]), 0) / 1e9;
}

/** Highest resident memory of a process so far, bytes. */
export function peakMemory(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`) ?? '')?.[1] ?? 0) * 1_024;
}

/** CPU seconds of the whole PostgreSQL server: the postmaster, its living children, and those it has buried. */
export async function postgresCpuSeconds(client: pg.Client): Promise<number> {
  const backend = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid ?? 0;
  const postmaster = Number(stat(backend)?.[1]);
  const own = stat(postmaster);
  if (own === undefined) return Number.NaN; // a server in a container or elsewhere: not ours to see
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(stat(Number(name))?.[1]) === postmaster)
    .reduce((sum, name) => sum + cpuSeconds(Number(name)), 0);
  return children + cpuSeconds(postmaster) + (Number(own[13]) + Number(own[14])) / TICKS_PER_SECOND;
}

export async function walPosition(client: pg.Client): Promise<bigint> {
  const { rows } = await client.query<{ bytes: string }>(`SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::text AS bytes`);
  return BigInt(rows[0]?.bytes ?? 0);
}

export interface Costs {
  wallSeconds: number;
  processCpuSeconds: number;
  postgresCpuSeconds: number;
  walBytes: number;
}

/** Starts to count; the answer counts until it is called. `pid`: the contestant's process. */
export async function startCounting(client: pg.Client, pid: number): Promise<() => Promise<Costs>> {
  const before = { time: performance.now(), cpu: cpuSeconds(pid), postgres: await postgresCpuSeconds(client), wal: await walPosition(client) };
  return async () => ({
    wallSeconds: (performance.now() - before.time) / 1_000,
    processCpuSeconds: cpuSeconds(pid) - before.cpu,
    postgresCpuSeconds: (await postgresCpuSeconds(client)) - before.postgres,
    walBytes: Number((await walPosition(client)) - before.wal),
  });
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** Fields of /proc/PID/stat from the third on; [1] is the parent, [11] to [14] are utime, stime, cutime, cstime. */
function stat(pid: number): string[] | undefined {
  const text = read(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // the process has ended
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // the process has ended
  }
}
