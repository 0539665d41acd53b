import { Command, CommanderError } from 'commander';
import { processEnvironment, readConfig } from '../config.ts';
import { BrxError, ERROR_CODES, messageOf } from '../errors.ts';
import { systemClock } from '../platform/clock.ts';
import { createLogger } from '../platform/log.ts';
import { packageVersion } from '../platform/version.ts';
import { registerCatalogue } from './catalogue.ts';
import { createContext, examples, Interrupted, type CliContext, type ContextParts } from './context.ts';
import { registerDlq } from './dlq.ts';
import { registerDoctor } from './doctor.ts';
import { registerDrift } from './drift.ts';
import { registerGenerate } from './generate.ts';
import { registerItem } from './item.ts';
import { registerLag } from './lag.ts';
import { registerListings } from './listings.ts';
import { registerMigrate } from './migrate.ts';
import type { TextInput } from './secret-input.ts';
import { createOutput, type Output, type TextStream } from './output.ts';
import { registerOrders } from './orders.ts';
import { registerOutbox } from './outbox.ts';
import { registerParked } from './parked.ts';
import { registerProduce } from './produce.ts';
import { registerReplay } from './replay.ts';
import { registerSaga } from './saga.ts';
import { registerSchemas } from './schemas.ts';
import { registerSimulator } from './simulator.ts';
import { refuseTokens } from './seller-token.ts';
import { registerStart } from './start.ts';
import { registerSync } from './sync.ts';
import { registerTopics } from './topics.ts';
import { registerUsers } from './users.ts';
import { registerVerify } from './verify.ts';

interface CommandGroup {
  heading: string;
  register: readonly ((program: Command, context: CliContext) => void)[];
}

/** The commands, in the order and under the headings of `--help`. */
export const COMMANDS: readonly CommandGroup[] = [
  { heading: 'Run:', register: [registerStart] },
  { heading: 'Set up:', register: [registerMigrate, registerTopics, registerSchemas, registerCatalogue] },
  { heading: 'Sellers:', register: [registerUsers, registerListings, registerSync, registerOrders] },
  { heading: 'Look:', register: [registerDoctor, registerLag, registerItem, registerDrift, registerVerify] },
  { heading: 'Repair:', register: [registerSaga, registerParked, registerDlq, registerReplay, registerOutbox] },
  { heading: 'Produce:', register: [registerProduce, registerGenerate] },
  { heading: 'Try:', register: [registerSimulator] },
];

export interface Io {
  stdout: TextStream;
  stderr: TextStream;
  /** Where a command reads what is piped or typed in; the process's own when left out. */
  stdin?: TextInput;
  host: ContextParts['host'];
  /** Where settings are read from; the process's environment and .env when left out. */
  environment?: Parameters<typeof readConfig>[0];
}

/** Runs one command line (without `node` and the script) and resolves to its exit code; reports every error itself. */
export function runCli(argv: readonly string[], io: Io): Promise<number> {
  return runProgram(argv, io, COMMANDS);
}

/** `runCli` with other commands: what the frame's own tests use. */
export async function runProgram(argv: readonly string[], io: Io, commands: readonly CommandGroup[]): Promise<number> {
  const flags = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length);
  const verbose = flags.includes('--verbose') || flags.includes('-v');
  const out = createOutput({ stdout: io.stdout, stderr: io.stderr, json: flags.includes('--json'), clock: systemClock });
  const context = createContext({
    out,
    stdin: () => io.stdin ?? process.stdin,
    stderr: io.stderr,
    host: io.host,
    readConfig: () => readConfig(io.environment ?? processEnvironment()),
    createLogger: () => createLogger({ level: verbose ? 'debug' : 'silent', format: 'auto' }),
  });
  try {
    refuseTokens(argv);
    await createProgram(context, io, commands).parseAsync(argv, { from: 'user' });
    out.close();
    return context.exitCode;
  } catch (error) {
    out.close();
    if (error instanceof Interrupted) return error.exitCode;
    if (context.interruption !== undefined && error instanceof Error && error.name === 'AbortError') return context.interruption.exitCode;
    return report(error, out);
  }
}

function createProgram(context: CliContext, io: Io, commands: readonly CommandGroup[]): Command {
  const program = new Command('brx-sync')
    .description('Keeps card sellers’ stock in step: applies marketplace events from Kafka to PostgreSQL, in per-seller order, exactly once in effect.')
    .version(`${packageVersion()} (node ${process.version})`, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .option('--json', 'answer in JSON on stdout, errors in JSON on stderr')
    .option('-v, --verbose', 'also log what the parts do, on stderr')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => undefined, // reported by the boundary below, in one form with all other errors
    });
  for (const { heading, register } of commands) {
    program.commandsGroup(heading);
    for (const registerCommand of register) registerCommand(program, context);
  }
  for (const command of program.commands) command.helpCommand(false); // `help parked` and `parked --help` are enough
  program.commandsGroup('Help:').helpCommand('help [command]', 'print the help of a command').addHelpText(
    'after',
    `${examples([
      ['brx-sync start', 'consume, with health and metrics on 127.0.0.1:8080'],
      ['brx-sync lag --watch', 'how far behind, and is it getting better'],
      ['brx-sync help lag', 'all about one command'],
    ])}\n\nExit codes:\n${exitCodes()}\n\nSettings come from the environment and .env; see the README, section Configuration.`,
  );
  return program;
}

/** One form for every error: what is wrong, what to do; with `--json` as one JSON line. Returns the exit code. */
function report(error: unknown, out: Output): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0; // help or version was asked for
  if (error instanceof CommanderError && error.code === 'commander.help') return ERROR_CODES.BRX_USAGE.exit; // no command was named: help is printed
  const known = asBrxError(error);
  if (out.isJson) {
    out.note(JSON.stringify({ error: { code: known.code, message: known.message, remedy: known.remedy ?? null } }));
    return known.exitCode;
  }
  out.note(`${known.code === 'BRX_USAGE' ? 'error' : `error ${known.code}`}: ${known.message}`);
  for (let cause = known.cause; cause instanceof Error && known.code !== 'BRX_INTERNAL'; cause = cause.cause) {
    if (!known.message.includes(cause.message)) out.note(`  because: ${cause.message}`);
  }
  if (known.remedy !== undefined) out.note(`what to do: ${known.remedy}`);
  return known.exitCode;
}

function asBrxError(error: unknown): BrxError {
  if (error instanceof BrxError) return error;
  if (error instanceof CommanderError) {
    return new BrxError('BRX_USAGE', error.message.replace(/^error: /, '').replace(/\n\((.*)\)$/s, '; $1'), { remedy: 'brx-sync help lists the commands, brx-sync help <command> explains one' });
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  return new BrxError('BRX_INTERNAL', stack, { cause: error, remedy: 'this is a fault of brx-sync: please report it with the lines above' });
}

function exitCodes(): string {
  const byExit = new Map<number, string[]>([[0, ['done']]]);
  for (const { exit, meaning } of Object.values(ERROR_CODES)) byExit.set(exit, [...(byExit.get(exit) ?? []), meaning]);
  byExit.set(130, ['interrupted']);
  return [...byExit]
    .sort(([a], [b]) => a - b)
    .map(([exit, meanings]) => `  ${String(exit).padStart(3)}  ${meanings.join('; ')}`)
    .join('\n');
}
