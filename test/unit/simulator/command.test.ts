import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';
import { FAULT_KINDS, GUESSES } from '../../../src/simulator/index.ts';
import { until } from '../../support/wait.ts';

/** Protects: `brx-sync simulator` says where it is and who may talk to it, runs until it is told to stop, and refuses what it does not know. */
interface Running {
  said: { stdout: string; stderr: string };
  interrupt: () => void;
  ended: Promise<number>;
}

function run(...argv: string[]): Running {
  const said = { stdout: '', stderr: '' };
  const host = Object.assign(new EventEmitter(), { exit: () => undefined });
  const ended = runCli(['simulator', '--port', '0', ...argv], { stdout: { write: (text) => (said.stdout += text) }, stderr: { write: (text) => (said.stderr += text) }, host, environment: {} });
  return { said, interrupt: () => void host.emit('SIGINT'), ended };
}

interface Started {
  apiUrl: string;
  control: string;
  sellers: { id: number; name: string; token: string; products: number }[];
}
const started = async ({ said }: Running): Promise<Started> => JSON.parse(await until('it is up', () => said.stdout.includes('\n') && said.stdout)) as Started;
const get = async (url: string, token: string): Promise<{ status: number; body: unknown }> => {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, body: await response.json() };
};

function file(text: string): string {
  const folder = mkdtempSync(`${tmpdir()}/brx-simulator-`);
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(`${folder}/stock.json`, text);
  return `${folder}/stock.json`;
}

test('with --json: address, control, sellers and their tokens; Ctrl-C ends it with 0', async () => {
  const running = run('--json', '--sellers', '2', '--products', '7', '--rate-window', 'none', '--guess', 'gamesShape=bare', '--guess', 'infoUserId=false', '--faults', 'edge_403=0, slow_answer=0');
  const { apiUrl, control, sellers } = await started(running);
  expect(sellers).toMatchObject([{ name: 'seller-1', products: 7 }, { name: 'seller-2', products: 7 }]);
  expect((await get(`${apiUrl}/products/export`, sellers[1]!.token)).body).toHaveLength(7);
  expect(Array.isArray((await get(`${apiUrl}/games`, sellers[0]!.token)).body)).toBe(true);
  expect((await get(control, '')).body).toMatchObject({ sellers: 2, products: 14 });
  expect((await get(`${control}/guesses`, '')).body).toMatchObject({ rateWindow: 'none', infoUserId: false });
  running.interrupt();
  expect(await running.ended).toBe(0);
  await expect(fetch(apiUrl)).rejects.toThrow();
});

test('in words: the address, where tokens are, and a line now and then while requests come', async () => {
  const running = run('--sellers', '5');
  const text = await until('it is up', () => running.said.stdout.includes('more\n') && running.said.stdout);
  expect(text).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/api\/v2 {3}stands in for https:\/\/api\.cardtrader\.com\/api\/v2\n5 sellers, 250 products; control and tokens: http/);
  expect(text).toMatch(/\nseller-1 \(user 1001, 50 products\)\n {2}\S+\.\S+\.\S+\n/);
  expect(text).toMatch(/\nand 2 more\n$/);
  const apiUrl = text.split(' ')[0]!;
  await get(`${apiUrl}/info`, 'nonsense');
  await until('it tells', () => /1 request \(\d+ a second\), 0 refused with 429, 0 faults\n/.test(running.said.stderr));
  running.interrupt();
  expect(await running.ended).toBe(0);
});

test('stock from a file', async () => {
  const running = run('--json', '--stock', file('{"sellers":[{"id":9,"token":"token-of-nine","products":[{"id":4,"blueprint_id":10001,"quantity":3,"price_cents":250}]}]}'));
  const { apiUrl } = await started(running);
  expect((await get(`${apiUrl}/products/export`, 'token-of-nine')).body).toMatchObject([{ id: 4, quantity: 3, price_cents: 250 }]);
  running.interrupt();
  expect(await running.ended).toBe(0);
});

test('--list: every fault and every switch, without starting anything', async () => {
  const words = run('--list');
  expect(await words.ended).toBe(0);
  for (const name of [...FAULT_KINDS, ...Object.keys(GUESSES)]) expect(words.said.stdout).toMatch(new RegExp(`^${name} `, 'm'));
  const json = run('--list', '--json');
  expect(await json.ended).toBe(0);
  expect(JSON.parse(json.said.stdout)).toMatchObject({ faults: { length: FAULT_KINDS.length }, guesses: { length: Object.keys(GUESSES).length } });
});

describe('what it does not know ends it with what to do', () => {
  test.each([
    [['--faults', 'nonsense=0.1'], 2, /there is no fault nonsense\nwhat to do: faults are all, response_lost/],
    [['--faults', 'all=2'], 2, /the chance of all cannot be 2/],
    [['--faults', 'all'], 2, /--faults cannot be all/],
    [['--guess', 'nonsense=1'], 2, /there is no guess nonsense\nwhat to do: guesses are rateWindow/],
    [['--guess', 'soldOut=maybe'], 2, /soldOut cannot be maybe\nwhat to do: it is one of vanish, keep/],
    [['--rate-window', 'wide'], 2, /Allowed choices are both, fixed, sliding, none/],
    [['--stock', '/there/is/none.json'], 65, /none\.json cannot be read/],
  ])('%j', async (argv, exit, message) => {
    const running = run(...argv);
    expect(await running.ended).toBe(exit);
    expect(running.said.stderr).toMatch(message);
  });
});
