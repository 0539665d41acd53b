import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BrxError } from '../src/errors.ts';
import { systemClock } from '../src/platform/clock.ts';
import { addBuckets, bucketsOf, parseExposition, total, type Buckets } from './exposition.ts';
import type { Run } from './run.ts';

const PROGRAM = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const STOP_MS = 30_000;

export type WorkerState = 'starting' | 'running' | 'killed' | 'stopping' | 'stopped' | 'died';

/** `brx-sync start` as a process of its own, and what its /metrics said; one that is started again goes on counting. */
export class Worker {
  readonly name: string;
  readonly clientId: string;
  readonly port: number;
  readonly log: string;
  state: WorkerState = 'stopped';
  starts = 0;
  /** Highest resident memory seen, bytes. */
  memoryPeak = 0;
  memory = 0;
  readonly #run: Run;
  #child: ChildProcess | undefined;
  /** Of each process that has run under this name, the last seen is last. */
  readonly #seen: { events: number; latency: Buckets }[] = [];

  constructor(run: Run, name: string, port: number) {
    this.#run = run;
    this.name = name;
    this.clientId = `brx-demo-${name}`;
    this.port = port;
    this.log = join(run.folder, `worker-${name}.log`);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get metricsUrl(): string {
    return `http://127.0.0.1:${this.port}/metrics`;
  }

  /** Events it has worked on; up to half a second behind, and of a killed process without its last half second. */
  get events(): number {
    return this.#seen.reduce((sum, { events }) => sum + events, 0);
  }

  get latency(): Buckets {
    return addBuckets(this.#seen.map(({ latency }) => latency));
  }

  start(): void {
    const output = openSync(this.log, 'a');
    // A session of its own: Ctrl-C in the terminal reaches the demo alone, which then stops its workers in order.
    const child = spawn(process.execPath, [PROGRAM, 'start', '--port', String(this.port)], {
      env: { ...this.#run.environment, BRX_KAFKA_CLIENT_ID: this.clientId },
      stdio: ['ignore', output, output],
      detached: true,
    });
    closeSync(output);
    child.once('error', () => this.#ended(child));
    child.once('exit', () => this.#ended(child));
    this.#child = child;
    this.#seen.push({ events: 0, latency: new Map() });
    this.starts += 1;
    this.state = 'starting';
  }

  /** SIGKILL: no goodbye to Kafka, no rollback, no last commit. Resolves when the process is gone. */
  async kill(): Promise<void> {
    this.state = 'killed';
    await this.#signal('SIGKILL');
  }

  /** SIGTERM, and its exit code; BRX_STOP_TIMEOUT when it does not end in time. */
  async stop(): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    this.state = 'stopping';
    const late = new AbortController();
    const outOfTime = systemClock.sleep(STOP_MS, late.signal).then(
      () => child.kill('SIGKILL'),
      () => false, // it ended in time
    );
    await this.#signal('SIGTERM');
    late.abort(new Error('ended'));
    if (await outOfTime) throw new BrxError('BRX_STOP_TIMEOUT', `worker ${this.name} did not stop within ${STOP_MS / 1_000} s and was killed`, { remedy: `its log says why: ${this.log}` });
    return child.exitCode;
  }

  /** For the way out when something is badly wrong. */
  killNow(): void {
    this.#child?.kill('SIGKILL');
  }

  /** Reads /metrics; says nothing when there is no answer, which the state tells better. */
  async observe(): Promise<void> {
    const current = this.#seen.at(-1);
    if (current === undefined || (this.state !== 'starting' && this.state !== 'running')) return;
    let samples;
    try {
      samples = parseExposition(await (await fetch(this.metricsUrl, { signal: AbortSignal.timeout(2_000) })).text());
    } catch {
      return; // starting, busy or gone
    }
    if (this.state === 'starting') this.state = 'running';
    current.events = total(samples, 'brx_events_total');
    current.latency = bucketsOf(samples, 'brx_event_end_to_end_seconds');
    this.memory = total(samples, 'process_resident_memory_bytes');
    this.memoryPeak = Math.max(this.memoryPeak, this.memory);
  }

  /** What to say when it ended by itself. */
  deathNotice(): BrxError {
    const tail = readFileSync(this.log, 'utf8').trimEnd().split('\n').slice(-8).map((line) => `  | ${line}`);
    const how = this.#child?.signalCode ?? `exit code ${this.#child?.exitCode ?? 'unknown'}`;
    return new BrxError('BRX_DIFFERENT', `worker ${this.name} ended by itself with ${how}; the end of its log:\n${tail.join('\n')}`, { remedy: `the whole log is ${relative(process.cwd(), this.log)}` });
  }

  #ended(child: ChildProcess): void {
    if (child !== this.#child) return;
    this.memory = 0;
    if (this.state === 'stopping') this.state = 'stopped';
    else if (this.state !== 'killed') this.state = 'died';
  }

  async #signal(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
}

/** Ports nobody listens on; taken all at once, so they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
