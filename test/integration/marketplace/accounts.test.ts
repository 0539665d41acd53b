import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Seller } from '../../../src/marketplace/index.ts';
import { line, purchase, randomUuid } from '../../support/events.ts';
import { commandLine, type Ran, type RunOptions } from '../../support/cli.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { Worker } from '../../support/worker.ts';

/** Protects: accounts are taken on, checked, paused and shown as the manual says; nothing is stored that CardTrader did not accept, and no token or key is ever said. */
let world: MarketplaceWorld;
let brx: (argv: readonly string[], options?: RunOptions) => Promise<Ran>;
let said: () => string;

const KEY = (fill: number): string => Buffer.alloc(32, fill).toString('base64');
const KEYS = `first:${KEY(1)}`;

beforeAll(async () => {
  world = await createMarketplaceWorld({ env: { BRX_SECRET_KEYS: KEYS } });
  ({ brx, said } = commandLine(world.environment));
});
afterAll(() => world.close());

/** Every token there ever was, and every key: none of it may have been said, not in part either. */
const tokens = new Set<string>();
afterEach(() => {
  for (const { token } of world.simulator.control.sellers()) if (token !== null) tokens.add(token);
  for (const token of tokens) for (const secret of [token, ...token.split('.').slice(1).map((part) => part.slice(0, 24)), token.slice(-12)]) expect(said()).not.toContain(secret);
  for (const fill of [1, 2, 9]) expect(said()).not.toContain(KEY(fill));
});

function account(name?: string): { user: string; sellerId: number; token: string } {
  const { id, token } = world.simulator.control.addSeller(name === undefined ? {} : { name });
  tokens.add(token);
  return { user: randomUuid(), sellerId: id, token };
}
const stored = (user: string) => world.rows<{ status: string; token_key_id: string; seller_id: string }>('SELECT status, token_key_id, seller_id FROM marketplace_sellers WHERE user_id = $1', user);
const actions = (user: string) => world.rows<{ action: string; reason: string }>('SELECT action, reason FROM operator_actions WHERE target = $1 ORDER BY id', user);
const problem = ({ json }: Ran): { code: string; message: string; remedy: string | null } => (json as { error: { code: string; message: string; remedy: string | null } }).error;

function file(text: string): string {
  const folder = mkdtempSync(`${tmpdir()}/brx-token-`);
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(`${folder}/token`, text);
  return `${folder}/token`;
}

test.each<[string, (token: string) => { argv?: string[]; options?: RunOptions }]>([
  ['a pipe', (token) => ({ options: { stdin: `${token}\n` } })],
  ['a pipe, pasted with Bearer, in lines, quoted, with soft hyphens', (token) => ({ options: { stdin: `"Bearer ${token.replaceAll(/.{30}/g, '$&\r\n').replace('.', '\u00ad.')}"\n` } })],
  ['a file', (token) => ({ argv: ['--token-file', file(`${token}\n`)] })],
  ['the environment', (token) => ({ options: { env: { BRX_SELLER_TOKEN: token } } })],
  ['a file named in the environment', (token) => ({ options: { env: { BRX_SELLER_TOKEN_FILE: file(`Bearer ${token}\n`) } } })],
])('add: from %s', async (_way, how) => {
  const { user, sellerId, token } = account();
  const { argv = [], options = {} } = how(token);
  const added = await brx(['users', 'add', user, ...argv, '--reason', 'a new seller', '--json'], options);
  expect(added).toMatchObject({ exit: 0, json: { userId: user, status: 'active', sellerId, appName: `seller-${sellerId} app`, tokenHint: `…${token.slice(-4)}`, replacedToken: null, warnings: [], listings: 0, outstanding: 0, mismatches: 0 } });
  expect((await brx(['users', 'check', user, '--json'])).json).toMatchObject({ works: true });
  expect(await actions(user)).toEqual([{ action: 'users.add', reason: 'a new seller' }]);
});

test.each([
  ['nothing', '', /there is no token/],
  ['only spaces', '  \n', /there is no token/],
  ['only Bearer', 'Bearer \n', /is empty/],
  ['half of it', 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0', /three parts/],
  ['an address', 'https://www.cardtrader.com/full_api_app', /characters a token does not have/],
])('add: %s is refused before anything is asked of CardTrader', async (_what, stdin, message) => {
  const user = randomUuid();
  const asked = world.simulator.control.requests().requests;
  const refused = await brx(['users', 'add', user, '--json'], { stdin });
  expect(refused).toMatchObject({ exit: 2, stdout: '' });
  expect(problem(refused).message).toMatch(message);
  expect(problem(refused).remedy).toMatch(/--token-file FILE|copy the whole token/);
  expect(world.simulator.control.requests().requests).toBe(asked);
  expect(await stored(user)).toEqual([]);
});

test('add: a token that CardTrader rejects, or cannot be asked about, is not stored', async () => {
  const { user, sellerId, token } = account();
  const away = await brx(['users', 'add', user, '--json'], { stdin: token, env: { BRX_MARKETPLACE_URL: 'http://127.0.0.1:1/api/v2' } });
  expect(away).toMatchObject({ exit: 69, json: { error: { code: 'BRX_MARKETPLACE_UNAVAILABLE', remedy: expect.stringContaining('BRX_MARKETPLACE_URL') as string } } });
  world.simulator.control.inject({ kind: 'html_error', when: { sellerId } });
  expect(await brx(['users', 'add', user, '--json'], { stdin: token })).toMatchObject({ exit: 69 });
  world.simulator.control.inject({ kind: 'edge_403', when: { sellerId } });
  expect(await brx(['users', 'add', user, '--json'], { stdin: token })).toMatchObject({ exit: 69 }); // the edge, not a verdict on the token
  world.simulator.control.revokeToken(sellerId);
  const revoked = await brx(['users', 'add', user, '--json'], { stdin: token });
  expect(revoked).toMatchObject({ exit: 4 });
  expect(problem(revoked)).toMatchObject({ message: expect.stringContaining('does not accept the token') as string, remedy: expect.stringContaining('copy the newest') as string });
  expect(await stored(user)).toEqual([]);
  expect(await actions(user)).toEqual([]);
});

test('add: Redis away does not keep a seller out', async () => {
  const { user, token } = account();
  expect(await brx(['users', 'add', user, '--json'], { stdin: token, env: { BRX_REDIS_URL: 'redis://127.0.0.1:1', BRX_REDIS_COMMAND_TIMEOUT_MS: '100', BRX_RATE_LIMIT_WINDOW_MS: '1000' } })).toMatchObject({ exit: 0, json: { status: 'active' }, stderr: expect.stringContaining('Redis does not answer') as string });
});

test('add: without keys nobody is asked for anything; which variable is missing is said', async () => {
  const { user, token } = account();
  const asked = world.simulator.control.requests().requests;
  const refused = await brx(['users', 'add', user, '--json'], { stdin: token, env: { BRX_SECRET_KEYS: '' } });
  expect(refused).toMatchObject({ exit: 78, json: { error: { code: 'BRX_CONFIG', message: expect.stringContaining('BRX_SECRET_KEYS is not set') as string, remedy: expect.stringContaining('openssl rand -base64 32') as string } } });
  expect(world.simulator.control.requests().requests).toBe(asked);
});

test('add: a new token takes the place of the old one; one of another CardTrader account only if that is said', async () => {
  const { user, sellerId, token } = account();
  await brx(['users', 'add', user], { stdin: token });
  const newer = world.simulator.control.regenerateToken(sellerId);
  expect((await brx(['users', 'add', user, '--json'], { stdin: newer })).json).toMatchObject({ tokenHint: `…${newer.slice(-4)}`, replacedToken: `…${token.slice(-4)}` });
  const other = account();
  const refused = await brx(['users', 'add', user, '--json'], { stdin: other.token });
  expect(refused).toMatchObject({ exit: 4 });
  expect(problem(refused)).toMatchObject({ message: expect.stringContaining(`seller ${other.sellerId}, but ${user} has been seller ${sellerId}`) as string, remedy: expect.stringContaining('--other-account') as string });
  expect(await stored(user)).toMatchObject([{ seller_id: String(sellerId) }]);
  expect((await brx(['users', 'add', user, '--other-account', '--json'], { stdin: other.token })).json).toMatchObject({ sellerId: other.sellerId });
  expect((await actions(user)).map(({ action }) => action)).toEqual(['users.add', 'users.replace_token', 'users.replace_token']);
});

test('add: an account that another user has is refused, because two would take twice what CardTrader allows one', async () => {
  const { user, sellerId, token } = account();
  await brx(['users', 'add', user], { stdin: token });
  const second = randomUuid();
  const refused = await brx(['users', 'add', second, '--other-account', '--json'], { stdin: token });
  expect(refused).toMatchObject({ exit: 4 });
  expect(problem(refused).message).toContain(`seller ${sellerId}, app “seller-${sellerId} app”, which is the account of user ${user} already`);
  expect(await stored(second)).toEqual([]);
  await expect(world.rows("INSERT INTO marketplace_sellers (user_id, status, token, token_key_id, token_hint, seller_id) SELECT $1, status, token, token_key_id, token_hint, seller_id FROM marketplace_sellers WHERE user_id = $2", second, user)).rejects.toMatchObject({ constraint: 'marketplace_sellers_seller_id_key' });
});

test('add: a “1-Day Ready” account is warned of', async () => {
  const { user, token } = account('Shop 1-Day Ready');
  const added = await brx(['users', 'add', user], { stdin: token });
  expect(added).toMatchObject({ exit: 0, stderr: expect.stringMatching(/warning: .*1-Day Ready[\s\S]*listings link/) as string });
});

test('check: tells a revoked token, stops its operations, and lets them go on once it works again', async () => {
  const { user, sellerId, token } = account();
  expect(await brx(['users', 'check', user, '--json'])).toMatchObject({ exit: 4, json: { error: { message: `${user} has no CardTrader account here`, remedy: expect.stringContaining('users add') as string } } });
  await brx(['users', 'add', user], { stdin: token });
  world.simulator.control.inject({ kind: 'error_before_apply', when: { sellerId } });
  expect(await brx(['users', 'check', user, '--json'])).toMatchObject({ exit: 69 });
  expect(await stored(user)).toMatchObject([{ status: 'active' }]); // no answer is no verdict
  world.simulator.control.revokeToken(sellerId);
  const rejected = await brx(['users', 'check', user, '--json']);
  expect(rejected).toMatchObject({ exit: 1, json: { works: false, status: 'token_rejected', statusReason: 'CardTrader answered 401 to a check' } });
  expect(await brx(['users', 'resume', user, '--json'])).toMatchObject({ exit: 4, json: { error: { remedy: expect.stringContaining('users add') as string } } });
  expect((await brx(['users', 'list'])).stdout).toMatch(new RegExp(`^${user}  token_rejected .*CardTrader answered 401 to a check$`, 'm'));
  const newer = world.simulator.control.regenerateToken(sellerId);
  expect((await brx(['users', 'check', user])).stdout).toContain('the token does not work');
  expect((await brx(['users', 'add', user, '--json'], { stdin: newer })).json).toMatchObject({ status: 'active', statusReason: null });
  expect((await brx(['users', 'check', user])).stdout).toMatch(/^the token works: CardTrader knows it as seller \d+, app “seller-\d+ app”\n/);
});

test('keys: missing and wrong ones are told, a rotation seals anew and says when a key can go', async () => {
  const { user, token } = account();
  await brx(['users', 'add', user], { stdin: token });
  const lost = { BRX_SECRET_KEYS: `second:${KEY(2)}` };
  expect(await brx(['users', 'check', user, '--json'], { env: lost })).toMatchObject({ exit: 78, json: { error: { code: 'BRX_SECRET', message: expect.stringContaining('sealed with the key "first", which is not among BRX_SECRET_KEYS (second)') as string } } });
  expect(await brx(['users', 'check', user, '--json'], { env: { BRX_SECRET_KEYS: `first:${KEY(9)}` } })).toMatchObject({ exit: 78, json: { error: { code: 'BRX_SECRET', message: expect.stringContaining('does not open') as string } } });
  expect((await brx(['users', 'show', user], { env: lost })).stdout).toContain('key         first, not the first of BRX_SECRET_KEYS: brx-sync users rotate-keys');

  const inVain = await brx(['users', 'rotate-keys', '--json'], { env: lost });
  const all = 2 * (await world.rows('SELECT FROM marketplace_sellers')).length; // a token and a webhook secret each
  expect(inVain).toMatchObject({ exit: 1, json: { key: 'second', sealed: 0, failed: { length: all } } });
  const both = { BRX_SECRET_KEYS: `second:${KEY(2)},${KEYS}` };
  expect(await brx(['users', 'rotate-keys', '--reason', 'yearly', '--json'], { env: both })).toMatchObject({ exit: 0, json: { sealed: all, current: 0, failed: [] } });
  expect(await stored(user)).toMatchObject([{ token_key_id: 'second' }]);
  expect(await brx(['users', 'check', user, '--json'], { env: lost })).toMatchObject({ exit: 0, json: { works: true, tokenKeyId: 'second' } });
  expect(await brx(['users', 'rotate-keys'], { env: both })).toMatchObject({ exit: 0, stdout: expect.stringContaining(`0 secrets sealed anew with the key second, ${all} were already`) as string });
  expect((await actions(user)).at(-1)).toEqual({ action: 'users.rotate', reason: 'yearly' });
  expect(await brx(['users', 'rotate-keys', '--json'], { env: { BRX_SECRET_KEYS: '' } })).toMatchObject({ exit: 78 });
  expect(await brx(['users', 'rotate-keys', '--json'])).toMatchObject({ exit: 1, json: { failed: { length: all } } }); // the others of this file have "first" only:
  expect(await brx(['users', 'rotate-keys', '--json'], { env: { BRX_SECRET_KEYS: `${KEYS},second:${KEY(2)}` } })).toMatchObject({ exit: 0, json: { sealed: all } });
});

test('pause stops operations, resume lets them go; list and show say what waits, and who did what', async () => {
  const running = await world.startAll();
  onTestFinished(() => running.stop());
  const seller = await world.seller(5, 4);
  expect(await brx(['users', 'pause', seller.user])).toMatchObject({ exit: 2, stderr: expect.stringContaining("required option '--reason <text>'") as string });
  expect(await brx(['users', 'pause', seller.user, '--reason', 'on holiday', '--json'])).toMatchObject({ exit: 0, json: { status: 'paused', statusReason: 'on holiday' } });
  const asked = world.simulator.control.requests(seller.sellerId).requests;
  const sale = purchase({ user_id: seller.user, lines: [line(seller.items[0]!.itemId, 2)] });
  await world.send(sale);
  await world.reached(['CALLING'], sale);
  const listed = (await brx(['users', 'list', '--status', 'paused', '--json'])).json as Seller[];
  expect(listed).toMatchObject([{ userId: seller.user, status: 'paused', statusReason: 'on holiday', outstanding: 1, listings: 2, mismatches: 0 }]);
  expect(Object.keys(listed[0]!).toSorted()).toEqual(['addedAt', 'appName', 'buffer', 'checkedAt', 'leased', 'listingSync', 'listings', 'mismatches', 'openUntil', 'outstanding', 'sellerId', 'status', 'statusAt', 'statusReason', 'tokenHint', 'tokenKeyId', 'userId']);
  expect((await brx(['users', 'show', seller.user])).stdout).toMatch(/: paused\n[\s\S]*\noperations {2}1 not settled\n/);
  expect(world.simulator.control.requests(seller.sellerId).requests).toBe(asked);
  expect((await brx(['users', 'resume', seller.user])).stdout).toContain('1 operation goes on');
  await world.reached(['CONFIRMED'], sale);
  const shown = await brx(['users', 'show', seller.user, '--json']);
  expect(shown.json).toMatchObject({ status: 'active', sealedWithFirstKey: true, actions: [{ action: 'users.add' }, { action: 'listings.link' }, { action: 'users.pause', reason: 'on holiday' }, { action: 'users.resume' }] });
  expect((await brx(['users', 'list'])).stdout).toMatch(/^user +status +account +seller +token +last check +listings +open operations +mismatches +note\n/);
});

test('nobody there: said, and how to change that', async () => {
  const user = randomUuid();
  for (const argv of [['show', user], ['pause', user, '--reason', 'x'], ['resume', user]]) expect(await brx(['users', ...argv, '--json'])).toMatchObject({ exit: 4, json: { error: { message: `${user} has no CardTrader account here` } } });
});

test('the built program with --verbose and everything going wrong says no secret either', async () => {
  const { user, sellerId, token } = account();
  const run = async (argv: string[], env: Record<string, string> = {}): Promise<string> => {
    const worker = new Worker([...argv, '--verbose'], { ...world.environment, ...env });
    await worker.ended();
    return worker.text;
  };
  const texts = [await run(['users', 'add', user], { BRX_SELLER_TOKEN: token })];
  expect(texts[0]).toContain('active: operations are carried out');
  for (const [kind, argv] of [['error_before_apply', ['users', 'check']], ['edge_403', ['listings', 'link']], ['html_error', ['users', 'check']], ['reset_before_apply', ['listings', 'link']], ['token_revoked', ['users', 'check']], [null, ['listings', 'link']]] as const) {
    if (kind !== null) world.simulator.control.inject({ kind, when: { sellerId } });
    texts.push(await run([...argv, user]));
  }
  texts.push(await run(['users', 'add', user, '--token-file', file(token)]), await run(['users', 'list', '--json']), await run(['users', 'show', user, '--json']), await run(['users', 'check', user], { BRX_SECRET_KEYS: `x:${KEY(9)}` }), await run(['users', 'add', user, token]), await run(['users', 'add', user])); // the last one: no stdin at all
  expect(texts.at(-1)).toContain('there is no token');
  for (const secret of [token, ...token.split('.').slice(1).map((part) => part.slice(0, 24)), token.slice(-12), KEY(1), KEY(9)]) expect(texts.join('\n')).not.toContain(secret);
});
