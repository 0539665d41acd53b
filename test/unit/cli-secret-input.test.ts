import { PassThrough, Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { Interrupted } from '../../src/cli/context.ts';
import { promptHidden, readPiped } from '../../src/cli/secret-input.ts';
import { refuseTokens } from '../../src/cli/seller-token.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { until } from '../support/wait.ts';
import { commandLine } from '../support/cli.ts';

/** Protects: a token gets in without being shown, whole, from whatever a terminal sends; and never through an argument. */
const TOKEN = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.${Buffer.from('{"sub":"app:4711"}').toString('base64url')}.${Buffer.from('a signature that nobody checks').toString('base64url')}`;
const USER = '0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f';

/** A terminal at which somebody sits: what is typed, what was shown, and whether it echoes. */
function terminal() {
  const stdin = new PassThrough() as unknown as PassThrough & { isTTY: boolean; setRawMode(on: boolean): void };
  const modes: boolean[] = [];
  stdin.isTTY = true;
  stdin.setRawMode = (on) => void modes.push(on);
  const clock = fakeClock();
  let shown = '';
  let echoes = true;
  const write = (text: string): void => {
    if (text.startsWith('token: ')) echoes = modes.at(-1) !== true;
    shown += text;
  };
  const asked = promptHidden('token: ', { stdin, stderr: { write }, clock });
  asked.catch(() => undefined);
  return {
    asked,
    modes,
    /** Whether the terminal still showed what is typed when it was asked. */
    echoed: () => echoes,
    shown: () => shown,
    type: (text: string | Buffer) => void stdin.write(text),
    /** Nothing more comes for long enough. */
    quiet: async (): Promise<void> => {
      await until('somebody waits for more', () => clock.sleeping > 0);
      await clock.advance(200);
    },
  };
}

describe('the prompt', () => {
  test('reads up to Enter, shows nothing of it but how much it was, and puts the terminal back', async () => {
    const { asked, modes, echoed, shown, type, quiet } = terminal();
    type('sec');
    type('ret\r');
    await quiet();
    expect(await asked).toBe('secret');
    expect(modes).toEqual([true, false]);
    expect(echoed()).toBe(false);
    expect(shown()).not.toContain('secret');
    expect(shown()).toContain('6 characters read');
  });

  test('line ends of a paste are part of it, also where the terminal does not mark pastes and cuts them anywhere', async () => {
    const { asked, type, quiet } = terminal();
    type('one\r');
    type('two\r');
    type('three\r');
    await quiet();
    expect(await asked).toBe('one\rtwo\rthree');
  });

  test('line ends of a marked paste never end it, however long the rest takes', async () => {
    const { asked, type, quiet } = terminal();
    type('\u001B[200~one\r');
    type('two\r\u001B[201~');
    type('\r');
    await quiet();
    expect(await asked).toBe('one\rtwo');
  });

  test('a character cut in two between pieces is one', async () => {
    const { asked, type, quiet } = terminal();
    const bytes = Buffer.from('a\u00adb');
    type(bytes.subarray(0, 2));
    type(bytes.subarray(2));
    type('\r');
    await quiet();
    expect(await asked).toBe('a\u00adb');
  });

  test('backspace takes back, arrows are nothing, Ctrl-D ends it', async () => {
    const { asked, type } = terminal();
    type('ab\u007Fc\u001B[D\u0004');
    expect(await asked).toBe('ac');
  });

  test('Ctrl-C gives up, and the terminal is put back', async () => {
    const { asked, modes, type } = terminal();
    type('ab\u0003');
    await expect(asked).rejects.toBeInstanceOf(Interrupted);
    expect(modes).toEqual([true, false]);
  });

  test('what never ends is refused', async () => {
    const { asked, modes, type } = terminal();
    type('x'.repeat(70_000));
    await expect(asked).rejects.toThrow(/it is no token/);
    expect(modes).toEqual([true, false]);
  });
});

test('a pipe is read to its end, and no further than a token can go', async () => {
  expect(await readPiped(Readable.from([Buffer.from('one\n'), Buffer.from('two')]))).toBe('one\ntwo');
  await expect(readPiped(Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(1_000, 'x'))))).rejects.toThrow(/it is no token/);
});

describe('a token as an argument', () => {
  const { brx, said } = commandLine({});
  test.each([
    ['in place of the user', ['users', 'add', TOKEN]],
    ['after the user', ['users', 'add', USER, TOKEN]],
    ['as the option one would guess', ['users', 'add', USER, '--token', TOKEN]],
    ['with an equals sign', ['users', 'add', USER, `--token=${TOKEN}`]],
    ['as the file', ['users', 'add', USER, '--token-file', TOKEN]],
    ['with Bearer', ['users', 'check', `Bearer ${TOKEN}`]],
    ['grown together with Bearer', ['users', 'check', `Bearer${TOKEN}`]],
    ['with soft hyphens in it', ['users', 'add', USER, TOKEN.replace('eyJ', 'e\u00adyJ')]],
    ['as a command', [TOKEN]],
    ['as a reason', ['users', 'pause', USER, '--reason', `rejected: ${TOKEN}`]],
    ['to another command', ['listings', 'link', TOKEN]],
  ])('%s is refused, with the ways there are, and not repeated', async (_where, argv) => {
    const { exit, stdout, stderr } = await brx(argv);
    expect([exit, stdout]).toEqual([2, '']);
    expect(stderr).toContain('--token-file FILE, BRX_SELLER_TOKEN');
    for (const part of TOKEN.split('.')) expect(stderr).not.toContain(part.slice(4));
  });

  test('what looks like no token either is not repeated where a user should be', async () => {
    const { exit, stderr } = await brx(['users', 'add', 'opaque-secret-1234']);
    expect(exit).toBe(2);
    expect(stderr).toContain('the user must be a UUID');
    expect((await brx(['users', 'add', USER, '--token', 'opaque-secret-1234'])).exit).toBe(2);
    expect((await brx(['users', 'add', USER, '--token'])).exit).toBe(2);
    expect((await brx(['users', 'add', USER, 'opaque-secret-1234'])).exit).toBe(2);
    expect((await brx(['users', 'add', USER, '--token-file', '/nowhere/opaque-secret-1234'], { env: { BRX_KAFKA_BROKERS: 'x:1', BRX_SCHEMA_REGISTRY_URL: 'http://x', BRX_DATABASE_URL: 'postgres://127.0.0.1:1/x', BRX_SECRET_KEYS: `a:${Buffer.alloc(32).toString('base64')}` } })).exit).toBe(65);
    expect(said()).not.toContain('opaque-secret');
  });

  test('words that are none go through', () => {
    for (const word of ['keyJourney-of-cards.ndjson', '0197a3c2-5b1e-7c3d-9f00-3a5b6c7d8e9f', 'bearer of bad news', 'my-long-directory-name.another-long-name.more-names.json', '--state=confirmed']) expect(() => refuseTokens([word]), word).not.toThrow();
  });
});
