import { spawn } from 'node:child_process';
import { BrxError } from '../src/errors.ts';
import type { Owner } from './owner.ts';
import type { Environment } from './settings.ts';

export interface RunOptions {
  cwd?: string;
  environment?: Environment;
  owner?: Owner | undefined;
  /** Called with pieces of output as they come (a piece ends at a line feed or carriage return). */
  onLine?: (line: string) => void;
}

/** Runs a program to its end; its output, or BRX_STACK with the end of the output if it failed. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.owner === undefined ? {} : { uid: options.owner.uid, gid: options.owner.gid }),
  });
  let output = '';
  let open = '';
  const take = (piece: Buffer): void => {
    const text = piece.toString();
    output += text;
    const lines = (open + text).split(/[\r\n]+/);
    open = lines.pop() ?? '';
    for (const line of lines) if (line !== '') options.onLine?.(line);
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const end = await new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', (cause) => reject(new BrxError('BRX_STACK', `${program} could not be run: ${cause.message}`, { cause })));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  if (end.code === 0) return output;
  const tail = output.trimEnd().split('\n').slice(-20).map((line) => `  | ${line}`).join('\n');
  throw new BrxError('BRX_STACK', `${program} ${args[0] ?? ''} ended with ${end.signal ?? `code ${end.code}`}:\n${tail}`);
}
