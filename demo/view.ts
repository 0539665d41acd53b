import { stripVTControlCharacters, styleText } from 'node:util';

/** What people see: lines that stay, and below them one block that is redrawn on a terminal (elsewhere a plain line now and then). */
export interface View {
  readonly redraws: boolean;
  /** A line that stays. */
  readonly line: (text?: string) => void;
  /** `lines` on a terminal; else `plain`, at most every two seconds. */
  readonly block: (lines: readonly string[], plain: string) => void;
  /** Takes the block away. */
  readonly clear: () => void;
  readonly paint: (style: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', text: string) => string;
  /** Runs `work`, with what it reports shown while it lasts, and then one line with the time it took. */
  readonly step: <T>(title: string, work: (report: (line: string) => void) => Promise<T>) => Promise<T>;
}

const PLAIN_INTERVAL_MS = 2_000;
const QUIET_LINES_MS = 1_000;

export function createView(stdout: NodeJS.WriteStream): View {
  const redraws = stdout.isTTY;
  const coloured = stdout.isTTY && stdout.hasColors();
  let standing = 0;
  let lastPlain = Number.NEGATIVE_INFINITY;

  const clear = (): void => {
    if (standing > 0) stdout.write(`\u001B[${standing}A\u001B[J`);
    standing = 0;
  };
  const line = (text = ''): void => {
    clear();
    stdout.write(`${text}\n`);
  };
  const fit = (text: string): string => {
    const plain = stripVTControlCharacters(text);
    return plain.length < stdout.columns ? text : `${plain.slice(0, stdout.columns - 2)}…`;
  };
  const block = (lines: readonly string[], plain: string): void => {
    if (redraws) {
      clear();
      stdout.write(lines.map((text) => `${fit(text)}\n`).join(''));
      standing = lines.length;
    } else if (performance.now() - lastPlain >= PLAIN_INTERVAL_MS) {
      lastPlain = performance.now();
      stdout.write(`${plain}\n`);
    }
  };
  const paint: View['paint'] = (style, text) => (coloured ? styleText(style, text, { validateStream: false }) : text);

  return {
    redraws,
    line,
    block,
    clear,
    paint,
    async step(title, work) {
      const begun = performance.now();
      if (redraws) block([paint('dim', `  ${title}`)], '');
      const result = await work((text) => {
        // What is over at once needs no commentary.
        if (performance.now() - begun > QUIET_LINES_MS || redraws) block([paint('dim', `  ${title}: ${text}`)], `  ${title}: ${text}`);
      });
      line(`${paint('green', '✓')} ${title.padEnd(52)} ${paint('dim', `${((performance.now() - begun) / 1_000).toFixed(1)} s`)}`);
      return result;
    },
  };
}

export function bar(part: number, whole: number, width = 28): string {
  const filled = whole === 0 ? width : Math.min(width, Math.floor((part / whole) * width));
  return '█'.repeat(filled) + '░'.repeat(width - filled);
}

export const count = (value: number): string => Math.round(value).toLocaleString('en-US');
export const megabytes = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MB`;
