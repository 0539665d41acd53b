import type { Clock } from '../platform/clock.ts';
import { BrxError } from '../errors.ts';
import { Interrupted } from './context.ts';
import type { TextStream } from './output.ts';

/** What is needed of standard input; `process.stdin` has it, and so has a test's stream. */
export interface TextInput extends AsyncIterable<unknown> {
  readonly isTTY?: boolean | undefined;
  setRawMode?(on: boolean): unknown;
}

const MOST_CHARACTERS = 65_536;
/** Text that is pasted arrives in several pieces; a line end after which nothing follows for so long is the Enter key. */
const QUIET_MS = 150;

/** Terminals that know it mark what is pasted, line ends in it too, so that the Enter key is known for certain. */
const [PASTE_ON, PASTE_OFF, PASTE_BEGIN, PASTE_END] = ['\u001B[?2004h', '\u001B[?2004l', '\u001B[200~', '\u001B[201~'];

/** Everything that is piped in. Throws BRX_USAGE when that is more than any secret has. */
export async function readPiped(stdin: TextInput): Promise<string> {
  const decode = decoder();
  let text = '';
  for await (const piece of stdin) {
    text += decode(piece);
    if (text.length > MOST_CHARACTERS) throw tooLong();
  }
  return text;
}

/**
 * Asks at the terminal, without an echo. Line ends within what is pasted are part of it. Ctrl-C throws Interrupted, Ctrl-D ends the
 * input, backspace takes a character back. The terminal is put back whatever happens.
 */
export async function promptHidden(prompt: string, { stdin, stderr, clock }: { stdin: TextInput; stderr: TextStream; clock: Clock }): Promise<string> {
  stdin.setRawMode?.(true); // before it is asked: whoever is quick would see the beginning
  try {
    stderr.write(`${prompt}${PASTE_ON}`);
    const text = await typed(stdin, clock);
    stderr.write(`\n${text.length} characters read\n`);
    return text;
  } catch (error) {
    stderr.write('\n');
    throw error;
  } finally {
    stdin.setRawMode?.(false);
    stderr.write(PASTE_OFF);
  }
}

async function typed(stdin: TextInput, clock: Clock): Promise<string> {
  const pieces = stdin[Symbol.asyncIterator]();
  const decode = decoder();
  let text = '';
  let next = pieces.next();
  try {
    for (;;) {
      const piece = /[\r\n]$/.test(text) && !isPasting(text) ? await Promise.race([next, clock.sleep(QUIET_MS).then(() => undefined)]) : await next;
      if (piece === undefined || piece.done === true) return withoutMarks(text);
      for (const character of decode(piece.value)) {
        if (character === '\u0003') throw new Interrupted('SIGINT');
        if (character === '\u0004') return withoutMarks(text);
        text = character === '\u007F' || character === '\b' ? text.slice(0, -1) : text + character;
      }
      if (text.length > MOST_CHARACTERS) throw tooLong();
      next = pieces.next();
    }
  } finally {
    next.catch(() => undefined); // nobody waits for it any more
  }
}

const isPasting = (text: string): boolean => text.lastIndexOf(PASTE_BEGIN) > text.lastIndexOf(PASTE_END);
/** Without what a terminal sends for a paste, and for arrows and other keys. */
// oxlint-disable-next-line no-control-regex -- the escape character is what is looked for
const withoutMarks = (text: string): string => text.replaceAll(/\u001B\[[\d;]*[A-Za-z~]/g, '').trim();
/** Pieces of bytes, which may end in the middle of a character, as text. */
function decoder(): (piece: unknown) => string {
  const utf8 = new TextDecoder('utf-8');
  return (piece) => (piece instanceof Uint8Array ? utf8.decode(piece, { stream: true }) : String(piece));
}
const tooLong = (): BrxError => new BrxError('BRX_USAGE', `that is more than ${MOST_CHARACTERS} characters: it is no token`);
