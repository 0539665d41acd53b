import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { keepSaid, keepSecrets } from './said.ts';
import { until } from './wait.ts';

/** The built program, as operators run it: `npm test` builds before it comes here. */
const PROGRAM = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export type Environment = Readonly<Record<string, string>>;

/** For one that is to be killed or frozen: what it leaves held, its partitions and what its transaction has locked, is free again before others lose patience with it. */
export const SOON_FREE: Environment = { BRX_LOG_FORMAT: 'json', BRX_INGEST_SESSION_TIMEOUT_MS: '3000', BRX_DATABASE_IDLE_TRANSACTION_TIMEOUT_MS: '3000' };

/** One line of a worker's log. */
export interface LogLine {
  level: string;
  msg: string;
  [field: string]: unknown;
}

/** A `brx-sync` process of a test, with everything it said. Only its own environment counts: no .env, no variables of the test run. */
export class Worker {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly exited: Promise<Exit>;
  #exit: Exit | undefined;

  constructor(args: readonly string[], environment: Environment) {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is not there: run \`npm run build\``);
    this.#child = spawn(process.execPath, [PROGRAM, ...args], {
      env: { PATH: process.env['PATH'] ?? '', BRX_ENV_FILE: 'none', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) this.#collect(stream);
    keepSecrets(environment);
    this.exited = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        keepSaid(`brx-sync ${args.join(' ')}`, this.text);
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the worker was not started');
    return this.#child.pid;
  }

  /** How it ended; undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Everything it wrote, both streams. */
  get text(): string {
    return this.#lines.join('\n');
  }

  /** Log lines with this message, so far. */
  logged(message: string): LogLine[] {
    return this.#lines.flatMap((line) => {
      if (!line.startsWith('{') || !line.includes(`"msg":${JSON.stringify(message)}`)) return [];
      return [JSON.parse(line) as LogLine];
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves once it wrote a line that holds `part`; throws when it ends or the time is over without it. */
  async said(part: string, timeoutMs = 60_000): Promise<string> {
    return until(`a worker that says "${part}"`, () => this.#lines.find((line) => line.includes(part)) ?? this.#failIfGone(part), { timeoutMs, state: () => this.tail() });
  }

  /** Its joins of the groups that read events and steps of sales; the one of snapshots, which nobody waits for, is left out. */
  joins(): LogLine[] {
    return this.logged('joined the group').filter(({ group }) => !String(group).endsWith('-snapshots'));
  }

  /** Resolves once it is a member of the group with partitions; `times` counts its joins. */
  async joined(times = 1, timeoutMs = 60_000): Promise<LogLine> {
    return until(`join number ${times} of a worker`, () => this.joins()[times - 1] ?? this.#failIfGone('joined the group'), { timeoutMs, state: () => this.tail() });
  }

  /** Resolves to how it ended; throws when it does not in time. */
  async ended(timeoutMs = 60_000): Promise<Exit> {
    return until('the end of a worker', () => this.#exit, { timeoutMs, state: () => this.tail() });
  }

  /** SIGKILL, whatever state it is in, and wait until it is gone. */
  async kill(): Promise<void> {
    if (this.#exit === undefined) this.#child.kill('SIGKILL');
    await this.exited;
  }

  tail(lines = 25): string {
    return [`--- worker ${this.#child.pid ?? '?'}${this.#exit === undefined ? '' : `, ended with ${this.#exit.signal ?? this.#exit.code}`}`, ...this.#lines.slice(-lines)].join('\n');
  }

  #failIfGone(part: string): undefined {
    if (this.#exit !== undefined) throw new Error(`a worker ended before it said "${part}"\n${this.tail()}`);
    return undefined;
  }

  #collect(stream: NodeJS.ReadableStream | null): void {
    let rest = '';
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      this.#lines.push(...lines);
    });
    stream?.on('end', () => {
      if (rest !== '') this.#lines.push(rest);
    });
  }
}
