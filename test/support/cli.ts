import { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';
import { runCli } from '../../src/cli/program.ts';
import { keepSaid, keepSecrets } from './said.ts';

/** A command line run in this process: what it said, what it ended with. */
export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Of a command with --json: what it answered, or the error it told. */
  readonly json: unknown;
}

export interface RunOptions {
  /** What is piped in; nothing by default. */
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Ctrl-C as soon as it says this on stderr. */
  readonly interruptAt?: string;
}

/** Runs commands with these settings and nobody's environment beside; remembers everything they ever said. */
export function commandLine(environment: Readonly<Record<string, string>>): { brx: (argv: readonly string[], options?: RunOptions) => Promise<Ran>; said: () => string } {
  const everything: string[] = [];
  return {
    said: () => everything.join('\n'),
    async brx(argv, { stdin = '', env = {}, interruptAt } = {}) {
      const said = { stdout: '', stderr: '' };
      const host = Object.assign(new EventEmitter(), { exit: () => undefined });
      const heard = (text: string): void => {
        said.stderr += text;
        if (interruptAt !== undefined && text.includes(interruptAt)) host.emit('SIGINT');
      };
      const exit = await runCli(argv, { stdout: { write: (text) => (said.stdout += text) }, stderr: { write: heard }, stdin: Readable.from(stdin === '' ? [] : [Buffer.from(stdin)]), host, environment: { ...environment, ...env } });
      everything.push(said.stdout, said.stderr);
      keepSecrets({ ...environment, ...env });
      keepSaid(`brx-sync ${argv.join(' ')}`, said.stdout + said.stderr);
      const last = (said.stdout === '' ? said.stderr : said.stdout).trimEnd().split('\n').at(-1) ?? '';
      return { exit, ...said, json: argv.includes('--json') && last !== '' ? (JSON.parse(last) as unknown) : undefined };
    },
  };
}
