import { readFile } from 'node:fs/promises';
import { InvalidArgumentError, Option } from 'commander';
import { BrxError } from '../errors.ts';
import { systemClock } from '../platform/clock.ts';
import { uuidArgument } from './arguments.ts';
import type { CliContext } from './context.ts';
import { promptHidden, readPiped } from './secret-input.ts';

/**
 * How a seller's token gets in: a file, the environment, the terminal, a pipe. Never as an argument, which every process of the machine
 * and the shell's history can read. Nothing here repeats what was given.
 */
const WAYS = '--token-file FILE, BRX_SELLER_TOKEN or BRX_SELLER_TOKEN_FILE in the environment, at the prompt of a terminal, or piped in (`brx-sync users add USER < FILE`)';

/** The head of a JSON web token, wherever it stands, or what is sent before one. */
const TOKEN = /(?<![A-Za-z0-9])(?:[Bb]earer)?eyJ[\w-]{8,}|^\W*(?:[Aa]uthorization\s*:|[Bb]earer\s+\S{12,})/;

/** Throws BRX_USAGE, without the words, when a command line has a token in it: before anything can print it. */
export function refuseTokens(argv: readonly string[]): void {
  if (argv.some((word) => TOKEN.test(word.replaceAll(/[\p{Cf}\p{Cc}]/gu, '')))) throw neverAsArgument();
}

/** `--token` exists to be refused: an unknown option would be repeated in the error. */
export function tokenOption(): Option {
  return new Option('--token [token]', 'refused: a token is never an argument').hideHelp().preset('').argParser(() => {
    throw neverAsArgument();
  });
}

/** A user's id; whatever else stands there is not repeated, because it may be what was pasted. */
export function sellerArgument(text: string): string {
  try {
    return uuidArgument(text);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new BrxError('BRX_USAGE', 'the user must be a UUID, for example 0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f; what was given is not repeated here, in case it is a token', { remedy: `a token is given by ${WAYS}` });
  }
}

/** The token as it was pasted, from the first of: file, environment, terminal, pipe. Throws BRX_USAGE and BRX_BAD_FILE. */
export async function readSellerToken(context: CliContext, userId: string, tokenFile: string | undefined): Promise<string> {
  const given = await (async (): Promise<string> => {
    if (tokenFile !== undefined) return readTokenFile(tokenFile);
    const { sellerToken } = context.config().secrets;
    if (sellerToken !== undefined) {
      context.out.note('the token is taken from BRX_SELLER_TOKEN');
      return sellerToken;
    }
    const { stdin, stderr } = context.terminal();
    if (stdin.isTTY === true) return promptHidden(`CardTrader token of user ${userId} (not shown), then Enter: `, { stdin, stderr, clock: systemClock });
    return readPiped(stdin);
  })();
  if (given.trim() === '') throw new BrxError('BRX_USAGE', 'there is no token: what was given is empty', { remedy: `give it by ${WAYS}` });
  return given;
}

async function readTokenFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new BrxError('BRX_BAD_FILE', `the file of --token-file cannot be read (${code})`, { remedy: '--token-file names a file that has the token in it, and nothing else' });
  }
}

const neverAsArgument = (): BrxError =>
  new BrxError('BRX_USAGE', 'a token was given as an argument, where other users of this machine and the shell’s history can read it; it was not used, and is not repeated here', {
    remedy: `give it by ${WAYS}; the one on the command line should be replaced on CardTrader, and taken out of the history`,
  });
