import { describe, expect, test } from 'vitest';
import { counted, createOutput, formatCount, formatSeconds, renderTable, type Output } from '../../src/cli/output.ts';

/** What a terminal and a pipe see: data on stdout, chatter on stderr, and no escape codes where nobody can read them. */
function speak(options: { json?: boolean; terminal?: boolean; colours?: boolean; columns?: number }, use: (out: Output, tick: (ms: number) => void) => void): { stdout: string; stderr: string } {
  const said = { stdout: '', stderr: '' };
  let now = 1_000;
  const stream = (name: 'stdout' | 'stderr') => ({ write: (text: string) => (said[name] += text), isTTY: options.terminal === true, columns: options.columns, hasColors: () => options.colours === true });
  const out = createOutput({ stdout: stream('stdout'), stderr: stream('stderr'), json: options.json === true, clock: { monotonic: () => now } });
  use(out, (ms) => (now += ms));
  return said;
}

describe('with and without --json', () => {
  const command = (out: Output): void => {
    out.json([{ user: 'a', lag: 5n }]);
    out.line('one user');
    out.table([{ user: 'a', lag: 5n }]);
    out.note('a remark');
  };

  test('people get text and tables', () => {
    expect(speak({}, command)).toEqual({ stdout: 'one user\nuser  lag\na       5\n', stderr: 'a remark\n' });
  });

  test('scripts get JSON and nothing else on stdout, one document a line', () => {
    expect(speak({ json: true }, command)).toEqual({ stdout: '[{"user":"a","lag":5}]\n', stderr: 'a remark\n' });
  });

  test('on a terminal JSON is indented', () => {
    expect(speak({ json: true, terminal: true }, (out) => out.json({ a: 1 })).stdout).toBe('{\n  "a": 1\n}\n');
  });

  test('big integers stay exact: a number while it can be one, else a string; dates are ISO', () => {
    const { stdout } = speak({ json: true }, (out) => out.json({ small: 7n, large: 9_007_199_254_740_993n, negative: -9_007_199_254_740_993n, at: new Date(0) }));
    expect(stdout).toBe('{"small":7,"large":"9007199254740993","negative":"-9007199254740993","at":"1970-01-01T00:00:00.000Z"}\n');
  });
});

describe('tables', () => {
  test('numbers stand right, text left, what is missing is a dash, no blanks at line ends', () => {
    const rows = [{ name: 'x', count: 1, at: new Date(0), note: null }, { name: 'longer', count: 1_000, at: undefined, note: 'n' }];
    expect(renderTable(rows)).toEqual([
      'name    count  at                        note',
      'x           1  1970-01-01T00:00:00.000Z  -',
      'longer   1000  -                         n',
    ]);
  });

  test('columns choose, name and align; colour does not count as width', () => {
    const green = '\u001B[32mok\u001B[0m';
    expect(renderTable([{ a: '1', b: green, c: 'x' }, { a: '22', b: 'failed', c: 'y' }], [{ key: 'b', title: 'state' }, { key: 'a', align: 'right' }, { key: 'c' }])).toEqual([
      'state    a  c',
      `${green}       1  x`,
      'failed  22  y',
    ]);
  });

  test('no rows, no heading', () => {
    expect(renderTable([])).toEqual([]);
  });
});

describe('terminals', () => {
  test('colour only where the terminal says so (NO_COLOR, TERM=dumb)', () => {
    const painted = (out: Output): void => out.line(out.paint('red', 'no'));
    expect(speak({ terminal: true, colours: true }, painted).stdout).toBe('\u001B[31mno\u001B[0m\n');
    expect(speak({ terminal: true, colours: false }, painted).stdout).toBe('no\n');
    expect(speak({ terminal: false, colours: true }, painted).stdout).toBe('no\n');
  });

  test('progress is one line rewritten, cut to the width, and gone before anything else is said', () => {
    const { stderr, stdout } = speak({ terminal: true, columns: 8 }, (out) => {
      out.progress('1 of 3');
      out.progress('2 of 3 and more');
      out.line('done');
      out.progress('again');
      out.close();
      out.close();
    });
    expect(stderr).toBe('\r\u001B[2K1 of 3\r\u001B[2K2 of 3…\r\u001B[2K\r\u001B[2Kagain\r\u001B[2K');
    expect(stdout).toBe('done\n');
  });

  test('elsewhere progress is a plain line each 5 s, the first at once', () => {
    const { stderr } = speak({}, (out, tick) => {
      for (let second = 0; second <= 11; second += 1) {
        out.progress(`${second} s`);
        tick(1_000);
      }
    });
    expect(stderr).toBe('0 s\n5 s\n10 s\n');
  });

  test('the screen is cleared on a terminal only, and never in JSON', () => {
    expect(speak({ terminal: true }, (out) => out.clear()).stdout).toBe('\u001B[H\u001B[2J');
    expect(speak({}, (out) => out.clear()).stdout).toBe('');
    expect(speak({ terminal: true, json: true }, (out) => out.clear()).stdout).toBe('');
  });
});

test('counts and durations as people write them', () => {
  expect([formatCount(0), formatCount(1_234_567), formatCount(12_345n)]).toEqual(['0', '1,234,567', '12,345']);
  expect([counted(1, 'item'), counted(0, 'item'), counted(1_000, 'entry', 'entries')]).toEqual(['1 item', '0 items', '1,000 entries']);
  expect([0, 0.04, 0.449, 9.99, 10.4, 59.6, 185, 3_599, 7_800, 90_061].map(formatSeconds)).toEqual(['0 s', '0 s', '0.4 s', '10 s', '10 s', '1 min 0 s', '3 min 5 s', '59 min 59 s', '2 h 10 min', '1 d 1 h']);
});
