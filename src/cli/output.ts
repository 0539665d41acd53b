import type { Clock } from '../platform/clock.ts';

export { counted, formatCount } from '../platform/words.ts';

/**
 * How commands speak. Data goes to stdout, chatter to stderr, so that `brx-sync lag --json | jq` always works.
 *
 * `json` speaks only with `--json`, `line` and `table` only without it: a command calls both and needs no condition.
 * Colour and the rewritten progress line appear only on a terminal, and colour never with NO_COLOR or TERM=dumb
 * (Node's `hasColors` knows those rules).
 */
export interface Output {
  readonly isJson: boolean;
  /** One JSON document on stdout: one line each when piped (NDJSON if called repeatedly), indented on a terminal. */
  json(value: unknown): void;
  /** One line of text on stdout. */
  line(text?: string): void;
  /** Rows under headings on stdout. Without `columns`: the keys of the first row, in their order. */
  table(rows: readonly Row[], columns?: readonly Column[]): void;
  /** Chatter on stderr. */
  note(text: string): void;
  /** Where a long task is: one rewritten line on a terminal, else a plain line at most each 5 s; on stderr. */
  progress(text: string): void;
  /** `text` in a style, if stdout shows colour. */
  paint(style: Style, text: string): string;
  /** Empties the terminal before a new picture; nothing where stdout is none. */
  clear(): void;
  /** Ends a progress line that is still standing. */
  close(): void;
}

export type Cell = string | number | bigint | boolean | Date | null | undefined;
export type Row = Readonly<Record<string, Cell>>;
export interface Column {
  key: string;
  /** Heading; the key when left out. */
  title?: string;
  /** Numbers stand right by themselves. */
  align?: 'left' | 'right';
}

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Style = keyof typeof STYLES;

/** What is needed of a stream; `process.stdout` has it, and so has a test's array of strings. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  hasColors?(): boolean;
}

const PLAIN_PROGRESS_INTERVAL_MS = 5_000;
const CLEAR_LINE = '\r\u001B[2K';

export function createOutput(options: { stdout: TextStream; stderr: TextStream; json: boolean; clock: Pick<Clock, 'monotonic'> }): Output {
  const { stdout, stderr, json: isJson, clock } = options;
  const coloured = stdout.isTTY === true && stdout.hasColors?.() === true;
  const rewrites = stderr.isTTY === true;
  let standing = false;
  let lastPlain = Number.NEGATIVE_INFINITY;

  const close = (): void => {
    if (standing) stderr.write(CLEAR_LINE);
    standing = false;
  };
  const paint = (style: Style, text: string): string => (coloured ? `\u001B[${STYLES[style]}m${text}\u001B[0m` : text);
  const line = (text = ''): void => {
    if (isJson) return;
    close();
    stdout.write(`${text}\n`);
  };

  return {
    isJson,
    paint,
    line,
    close,
    json(value) {
      if (!isJson) return;
      close();
      stdout.write(`${JSON.stringify(value, jsonValue, stdout.isTTY === true ? 2 : undefined)}\n`);
    },
    table(rows, columns) {
      for (const [index, text] of renderTable(rows, columns).entries()) line(index === 0 ? paint('bold', text) : text);
    },
    clear() {
      if (!isJson && stdout.isTTY === true) stdout.write('\u001B[H\u001B[2J');
    },
    note(text) {
      close();
      stderr.write(`${text}\n`);
    },
    progress(text) {
      if (rewrites) {
        const width = stderr.columns ?? 80;
        stderr.write(`${CLEAR_LINE}${text.length < width ? text : `${text.slice(0, width - 2)}…`}`);
        standing = true;
        return;
      }
      if (clock.monotonic() - lastPlain < PLAIN_PROGRESS_INTERVAL_MS) return;
      lastPlain = clock.monotonic();
      stderr.write(`${text}\n`);
    },
  };
}

/** The table as lines, heading first; nothing for no rows. */
export function renderTable(rows: readonly Row[], columns?: readonly Column[]): string[] {
  const first = rows[0];
  if (first === undefined) return [];
  const shown = columns ?? Object.keys(first).map((key): Column => ({ key }));
  const cells = rows.map((row) => shown.map((column) => text(row[column.key])));
  const right = shown.map((column) => column.align === 'right' || (column.align === undefined && isNumeric(first[column.key])));
  const headings = shown.map((column) => column.title ?? column.key);
  const widths = shown.map((_, index) => Math.max(headings[index]?.length ?? 0, ...cells.map((row) => visibleLength(row[index] ?? ''))));
  const render = (row: readonly string[]): string =>
    row
      .map((cell, index) => {
        const gap = ' '.repeat((widths[index] ?? 0) - visibleLength(cell));
        return right[index] === true ? gap + cell : cell + gap;
      })
      .join('  ')
      .trimEnd();
  return [render(headings), ...cells.map(render)];
}

/** Text of somebody else’s, without what could move a terminal’s cursor or change its colours. */
export const printable = (given: string): string => given.replaceAll(/\p{Cc}+/gu, ' ');



/** 2026-11-23 21:04:05, UTC. */
export const formatTime = (time: Date): string => time.toISOString().slice(0, 19).replace('T', ' ');

/** Seconds as people say them: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min, 4 d 3 h. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3_600)} h`;
}

const isNumeric = (cell: Cell): boolean => typeof cell === 'number' || typeof cell === 'bigint';
// oxlint-disable-next-line no-control-regex -- the escape character is what is looked for
const visibleLength = (cell: string): number => cell.replaceAll(/\u001B\[\d+m/g, '').length;

function text(cell: Cell): string {
  if (cell === null || cell === undefined) return '-';
  return cell instanceof Date ? cell.toISOString() : String(cell);
}

/** Big integers as numbers while that is exact, else as strings. */
function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString();
}
