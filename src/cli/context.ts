import type { Config } from '../config.ts';
import type { Logger } from '../platform/log.ts';
import type { Output, TextStream } from './output.ts';
import type { TextInput } from './secret-input.ts';

/**
 * What a command gets. Every command file exports `registerXxx(program: Command, context: CliContext): void`, is thin, and
 * imports what is heavy (kafkajs, Prisma) inside its action: `const { x } = await import('../x/index.ts')`, so that
 * `--help` and small commands start fast.
 *
 * An action returns when it is done; it throws a BrxError to end with a message, a remedy and that code's exit code.
 */
export interface CliContext {
  /** The configuration, read at the first call: `--help` and `schemas check` need no environment. Throws BRX_CONFIG. */
  config(): Config;
  /** Silent, or everything on stderr with `--verbose`: what matters reaches the user as an error. `start` makes its own. */
  readonly logger: Logger;
  readonly out: Output;
  /** What is typed or piped in, for a command that asks. */
  terminal(): { readonly stdin: TextInput; readonly stderr: TextStream };
  /**
   * Aborted by the first SIGINT or SIGTERM; the second ends the process at once. Signals are caught only once someone has
   * asked for this: a command that does not look at it ends at the first Ctrl-C like any program.
   */
  readonly signal: AbortSignal;
  /** Exit code of a command that ended without an error but has something to say by it. */
  setExitCode(code: number): void;
}

/** The "Examples" part of a command's help: `command.addHelpText('after', examples([['brx-sync lag', 'lag now'], ...]))`. */
export function examples(lines: readonly (readonly [command: string, meaning: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  return `\nExamples:\n${lines.map(([command, meaning]) => `  ${command.padEnd(width)}  # ${meaning}`).join('\n')}`;
}

/** The reason `signal` is aborted with. */
export class Interrupted extends Error {
  override readonly name = 'AbortError';
  readonly signalName: 'SIGINT' | 'SIGTERM';

  constructor(signalName: 'SIGINT' | 'SIGTERM') {
    super(`interrupted by ${signalName}`);
    this.signalName = signalName;
  }

  get exitCode(): number {
    return this.signalName === 'SIGINT' ? 130 : 143;
  }
}

export interface ContextParts {
  readConfig: () => Config;
  createLogger: () => Logger;
  out: Output;
  /** Asked only by who reads it: opening a standard input may have effects. */
  stdin: () => TextInput;
  stderr: TextStream;
  /** Where signals come from and how to end at once; `process` outside of tests. */
  host: { on(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown; exit(code: number): void };
}

/** The context plus what only the frame needs: how it ended. */
export interface OwnedContext extends CliContext {
  readonly exitCode: number;
  readonly interruption: Interrupted | undefined;
}

export function createContext(parts: ContextParts): OwnedContext {
  let config: Config | undefined;
  let logger: Logger | undefined;
  let controller: AbortController | undefined;
  let interruption: Interrupted | undefined;
  let exitCode = 0;

  const listen = (): AbortController => {
    const created = new AbortController();
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      parts.host.on(name, () => {
        const reason = new Interrupted(name);
        if (interruption !== undefined) return parts.host.exit(reason.exitCode);
        interruption = reason;
        parts.out.note('stopping; once more ends it at once');
        created.abort(reason);
      });
    }
    return created;
  };

  return {
    out: parts.out,
    terminal: () => ({ stdin: parts.stdin(), stderr: parts.stderr }),
    config: () => (config ??= parts.readConfig()),
    get logger() {
      return (logger ??= parts.createLogger());
    },
    get signal() {
      return (controller ??= listen()).signal;
    },
    setExitCode(code) {
      exitCode = code;
    },
    get exitCode() {
      return exitCode;
    },
    get interruption() {
      return interruption;
    },
  };
}
