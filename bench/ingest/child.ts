import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A contestant in a process of its own, so that its CPU and memory are its own. `script`: path below dist/. */
export interface Child {
  readonly pid: number;
  /** The next line on stdout that starts with `word`. Rejects when the child ends before. */
  line(word: string): Promise<string>;
  /** Writes a line to its stdin. */
  say(text: string): void;
  /** Rejects when it ends before it is told to. */
  readonly died: Promise<never>;
  /** SIGTERM; resolves to the exit code. */
  stop(): Promise<number | null>;
}

export function startChild(script: string, args: readonly string[], environment: Record<string, string>, nodeOptions: readonly string[] = []): Child {
  const file = fileURLToPath(new URL(`../../${script}`, import.meta.url));
  const child = spawn(process.execPath, [...nodeOptions, file, ...args], { env: { PATH: '/usr/bin:/bin', ...environment }, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = new Map<string, string>();
  const waiting = new Map<string, (line: string) => void>();
  let rest = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) {
      const word = line.split(' ')[0] ?? '';
      const wanted = waiting.get(word);
      waiting.delete(word);
      if (wanted === undefined) lines.set(word, line);
      else wanted(line);
    }
  });
  const ended = exit(child);
  let stopping = false;
  const died = ended.then((code) => (stopping ? new Promise<never>(() => undefined) : Promise.reject(new Error(`${script} ended with ${code}`))));
  died.catch(() => undefined); // for those who wait for it
  return {
    pid: child.pid ?? 0,
    died,
    async line(word) {
      const known = lines.get(word);
      lines.delete(word);
      if (known !== undefined) return known;
      const next = new Promise<string>((resolve) => waiting.set(word, resolve));
      return Promise.race([next, ended.then((code) => Promise.reject(new Error(`${script} ended with ${code} before it said "${word}"`)))]);
    },
    say: (text) => void child.stdin.write(`${text}\n`),
    async stop() {
      stopping = true;
      if (child.exitCode === null) child.kill('SIGTERM');
      return ended;
    },
  };
}

function exit(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}
