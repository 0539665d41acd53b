import { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { createContext, type CliContext } from '../../src/cli/context.ts';
import { REASONS } from '../../src/cli/dlq.ts';
import { createOutput } from '../../src/cli/output.ts';
import { COMMANDS, runCli, runProgram } from '../../src/cli/program.ts';
import { BrxError, ERROR_CODES } from '../../src/errors.ts';
import { DEAD_LETTER_REASONS } from '../../src/records/index.ts';
import { silentLogger } from '../../src/platform/log.ts';

/** The frame every command stands in: help, usage errors, one form for all errors, exit codes, signals. Needs no services. */
interface Ended {
  exit: number;
  stdout: string;
  stderr: string;
}

function streams(): { said: { stdout: string; stderr: string }; io: Parameters<typeof runCli>[1] } {
  const said = { stdout: '', stderr: '' };
  const host = Object.assign(new EventEmitter(), { exit: () => undefined });
  return { said, io: { stdout: { write: (text) => (said.stdout += text) }, stderr: { write: (text) => (said.stderr += text) }, host, environment: {} } };
}

async function brx(...argv: string[]): Promise<Ended> {
  const { said, io } = streams();
  const exit = await runCli(argv, io);
  return { exit, ...said };
}

/** A program with one command, `do`, that does `action`. */
async function brxDo(action: (context: CliContext) => unknown, ...flags: string[]): Promise<Ended> {
  const { said, io } = streams();
  const exit = await runProgram(['do', ...flags], io, [{ heading: 'Test:', register: [(program: Command, context: CliContext) => void program.command('do').action(async () => void (await action(context)))] }]);
  return { exit, ...said };
}

describe('help', () => {
  test('lists every command under a heading, examples and exit codes, and needs no settings', async () => {
    const { exit, stdout, stderr } = await brx('--help');
    expect([exit, stderr]).toEqual([0, '']);
    for (const name of ['start', 'migrate', 'topics', 'schemas', 'lag', 'item', 'verify', 'parked', 'dlq', 'produce', 'generate', 'simulator']) expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    expect(stdout).toContain('Examples:');
    for (const exitCode of new Set(Object.values(ERROR_CODES).map((code) => code.exit))) expect(stdout).toMatch(new RegExp(`^ +${exitCode}  \\S`, 'm'));
  });

  const program = new Command();
  const out = createOutput({ stdout: { write: () => true }, stderr: { write: () => true }, json: false, clock: { monotonic: () => 0 } });
  const context = createContext({ out, stdin: () => Readable.from([]), stderr: { write: () => true }, host: { on: () => undefined, exit: () => undefined }, readConfig: () => { throw new Error('help reads no settings'); }, createLogger: () => silentLogger });
  for (const { register } of COMMANDS) for (const registerCommand of register) registerCommand(program, context);

  test.each(program.commands.map((command) => command.name()))('%s has a description, help for each argument and option, and examples that start with its name', async (name) => {
    const command = program.commands.find((one) => one.name() === name)!;
    const everything = [command, ...command.commands];
    for (const one of everything) {
      expect(one.description(), one.name()).toMatch(/\S.{10}/);
      for (const part of [...one.options, ...one.registeredArguments]) expect(part.description, `${one.name()} ${part.name()}`).toMatch(/\S{2}/);
    }
    const pages = [await brx(name, '--help'), ...(await Promise.all(command.commands.map((one) => brx(name, one.name(), '--help'))))];
    for (const { exit, stderr } of pages) expect([exit, stderr]).toEqual([0, '']);
    const given = pages.flatMap(({ stdout }) => stdout.slice(stdout.indexOf('Examples:')).split('\n').filter((line) => /^ {2}brx-sync/.test(line)));
    expect(given.length).toBeGreaterThan(0);
    for (const line of given) expect(line).toMatch(new RegExp(`^  brx-sync ${name}\\b`));
  });

  test('no command at all prints help on stderr and is a usage error', async () => {
    const { exit, stdout, stderr } = await brx();
    expect([exit, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Usage: brx-sync');
  });

  test('--version names the version and the Node.js it runs on', async () => {
    expect(await brx('--version')).toEqual({ exit: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+ \(node v\d+\.\d+\.\d+\)\n$/) as string, stderr: '' });
  });
});

describe('usage errors', () => {
  test.each<[string, string[], RegExp]>([
    ['an unknown command', ['lga'], /^error: unknown command 'lga'; Did you mean lag\?\n/],
    ['an unknown option', ['lag', '--wach'], /^error: unknown option '--wach'; Did you mean --watch\?\n/],
    ['a missing argument', ['item'], /^error: missing required argument/],
    ['a bad number', ['start', '--port', '99999'], /'99999' is invalid\. It must be a whole number from 0 to 65535\./],
    ['an unknown role', ['start', '--roles', 'ingest,kitchen'], /It must be some of ingest, [a-z, ]+, separated by commas\./],
    ['no roles', ['start', '--roles', ''], /It must be some of/],
    ['a user that is no UUID', ['parked', 'retry', '12'], /It must be a UUID/],
    ['neither a user nor --all', ['parked', 'retry'], /retry takes either one user or --all/],
    ['a filter beside the one user who is meant', ['parked', 'retry', '0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f', '--cause', 'data'], /--cause, --older-than and --rate go with --all/],
    ['reasons said twice', ['dlq', 'list', '--reason', 'invalid', '--cause', 'too_old'], /list takes one of them/],
    ['a record of nothing that is corrected', ['dlq', 'redrive', '1', '--record', 'InventoryChanged', '--reason', 'x'], /--record says of which record a correction is/],
    ['stock that is both brought and made up', ['simulator', '--stock', 'stock.json', '--sellers', '9'], /it is one or the other/],
    ['an unknown reason', ['dlq', 'list', '--reason', 'bad'], /Allowed choices are undecodable, unknown_type/],
  ])('%s exits with 2 and says what to do', async (_what, argv, message) => {
    const { exit, stdout, stderr } = await brx(...argv);
    expect([exit, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
    expect(stderr).toContain('what to do: ');
  });

  test('the reasons of dlq list are those of ingest', () => {
    expect([...REASONS]).toEqual(Object.keys(DEAD_LETTER_REASONS));
  });
});

describe('errors', () => {
  const broken = (): never => {
    throw new BrxError('BRX_KAFKA_UNAVAILABLE', 'Kafka does not answer', { remedy: 'start it', cause: new Error('ECONNREFUSED', { cause: new Error('deeper') }) });
  };

  test('of ours: code, message, causes, remedy, and the exit code of the code', async () => {
    expect(await brxDo(broken)).toEqual({ exit: 69, stdout: '', stderr: 'error BRX_KAFKA_UNAVAILABLE: Kafka does not answer\n  because: ECONNREFUSED\n  because: deeper\nwhat to do: start it\n' });
  });

  test('with --json: one line of JSON on stderr, stdout stays empty', async () => {
    const { exit, stdout, stderr } = await brxDo(broken, '--json');
    expect([exit, stdout]).toEqual([69, '']);
    expect(JSON.parse(stderr)).toEqual({ error: { code: 'BRX_KAFKA_UNAVAILABLE', message: 'Kafka does not answer', remedy: 'start it' } });
    expect(JSON.parse((await brx('lga', '--json')).stderr)).toMatchObject({ error: { code: 'BRX_USAGE' } });
  });

  test('of nobody’s: BRX_INTERNAL with the stack, exit code 70', async () => {
    const { exit, stderr } = await brxDo(() => Promise.reject(new TypeError('x is not a function')));
    expect(exit).toBe(70);
    expect(stderr).toMatch(/^error BRX_INTERNAL: TypeError: x is not a function\n {4}at .*cli\.test\.ts/);
    expect(stderr).toContain('please report it');
  });

  test('of the configuration: every problem, exit code 78', async () => {
    const { exit, stderr } = await brx('lag');
    expect(exit).toBe(78);
    expect(stderr).toContain('3 problems in the configuration');
  });

  test('a command may end without an error and still not with 0', async () => {
    expect(await brxDo((context) => context.setExitCode(1))).toEqual({ exit: 1, stdout: '', stderr: '' });
  });
});

describe('signals', () => {
  const interrupted = async (signal: 'SIGINT' | 'SIGTERM', times: number, action: (context: CliContext) => Promise<unknown>): Promise<Ended & { endedAtOnce: number[] }> => {
    const { said, io } = streams();
    const host = new EventEmitter();
    const endedAtOnce: number[] = [];
    const running = runProgram(['do'], { ...io, host: Object.assign(host, { exit: (code: number) => void endedAtOnce.push(code) }) }, [
      {
        heading: 'Test:',
        register: [(program: Command, context: CliContext) => void program.command('do').action(async () => {
          const doing = action(context);
          for (let n = 0; n < times; n += 1) host.emit(signal);
          await doing;
        })],
      },
    ]);
    return { exit: await running, ...said, endedAtOnce };
  };
  const untilAborted = ({ signal }: CliContext): Promise<never> => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s lets the command stop in order and ends with %i', async (signal, exit) => {
    expect(await interrupted(signal, 1, untilAborted)).toEqual({ exit, stdout: '', stderr: 'stopping; once more ends it at once\n', endedAtOnce: [] });
  });

  test('the second one ends at once', async () => {
    expect((await interrupted('SIGINT', 2, untilAborted)).endedAtOnce).toEqual([130]);
  });

  test('a failure while stopping is still a failure', async () => {
    const { exit, stderr } = await interrupted('SIGINT', 1, ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new BrxError('BRX_STOP_TIMEOUT', 'too slow')))));
    expect(exit).toBe(1);
    expect(stderr).toContain('BRX_STOP_TIMEOUT');
  });

  test('a command that asks for no signal is not kept from ending at the first', async () => {
    const host = new EventEmitter();
    const { io } = streams();
    await runProgram(['do'], { ...io, host: Object.assign(host, { exit: () => undefined }) }, [{ heading: 'Test:', register: [(program: Command) => void program.command('do').action(() => undefined)] }]);
    expect(host.listenerCount('SIGINT')).toBe(0);
  });
});
