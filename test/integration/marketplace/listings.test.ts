import { createServer } from 'node:http';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { MISMATCH_KINDS } from '../../../src/cli/listings.ts';
import { MISMATCHES, type Linked } from '../../../src/marketplace/index.ts';
import { cancellation, change, line, purchase, randomUuid } from '../../support/events.ts';
import { commandLine, type Ran, type RunOptions } from '../../support/cli.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../../support/marketplace-world.ts';
import { until } from '../../support/wait.ts';

/** Protects: which items are listed is read from CardTrader's export as it comes, believed only where it can be, and told whole; nothing is changed there. */
let world: MarketplaceWorld;
let brx: (argv: readonly string[], options?: RunOptions) => Promise<Ran>;

beforeAll(async () => {
  world = await createMarketplaceWorld({ env: { BRX_DISPATCHER_QUARANTINE_MS: '5000' } }); // long enough to look at a call whose answer was lost
  ({ brx } = commandLine(world.environment));
  await world.startAll();
});
afterAll(() => world.close());

interface Shop {
  user: string;
  sellerId: number;
  items: string[];
}

/** A seller with an account, and items in stock here; nothing is tied. */
async function shop(...copies: number[]): Promise<Shop> {
  const { id: sellerId, token } = world.simulator.control.addSeller();
  const user = randomUuid();
  const items = copies.map(() => randomUuid());
  await world.send(...items.map((itemId, index) => change({ user_id: user, item_id: itemId, quantity: copies[index] ?? 0 })));
  await until('the items are here', async () => (await world.rows('SELECT FROM inventory_items WHERE user_id = $1', user)).length === copies.length);
  await brx(['users', 'add', user], { stdin: token });
  return { user, sellerId, items };
}

const list = ({ sellerId }: Shop, userData: string | null, quantity = 1): number => world.simulator.control.addProduct(sellerId, { quantity, userData }).id;
const link = async ({ user }: Shop, ...flags: string[]): Promise<Ran & { json: Linked }> => (await brx(['listings', 'link', user, '--json', ...flags])) as Ran & { json: Linked };
const rows = ({ user }: Shop) => world.rows<{ item_id: string; product_id: string; quantity: number; gone: boolean; kind: string | null }>("SELECT item_id, product_id, quantity, gone, mismatch ->> 'kind' AS kind FROM marketplace_listings WHERE user_id = $1 ORDER BY product_id", user);
const writes = ({ sellerId }: Shop) => world.simulator.control.ledger({ sellerId }).filter(({ source }) => source !== 'control');

test.concurrent('link: ties what names an item, counts the rest, repeats to the same; nothing is written on CardTrader', async () => {
  const seller = await shop(3, 2, 1);
  const [first, second, third] = seller.items as [string, string, string];
  const products = [list(seller, first, 3), list(seller, `shelf 7 / ${second.toUpperCase()}`, 2)];
  const [plain, other] = [list(seller, null), list(seller, 'my own note, A-12')];
  const dry = await link(seller, '--dry-run');
  const expected = {
    products: 4,
    unread: 0,
    linked: 2,
    fresh: 2,
    unnamed: { count: 2, products: expect.arrayContaining([expect.objectContaining({ productId: plain, quantity: 1 }), expect.objectContaining({ productId: other })]) as unknown },
    ambiguous: [],
    unknown: [],
    busy: [],
    gone: [],
    different: [],
    unlisted: { count: 1, itemIds: [third] },
  };
  expect(dry).toMatchObject({ exit: 0, json: { dryRun: true, ...expected } });
  expect(await rows(seller)).toEqual([]);
  expect(await world.rows("SELECT FROM operator_actions WHERE target = $1 AND action = 'listings.link'", seller.user)).toEqual([]);
  expect(await link(seller)).toMatchObject({ exit: 0, json: { dryRun: false, ...expected } });
  expect(await rows(seller)).toMatchObject([{ item_id: first, product_id: String(products[0]), quantity: 3 }, { item_id: second, product_id: String(products[1]), quantity: 2 }]);
  expect((await link(seller)).json).toMatchObject({ ...expected, fresh: 0 });
  expect(writes(seller)).toEqual([]);

  const words = await brx(['listings', 'link', seller.user]);
  expect(words.stdout).toMatch(/^4 products on CardTrader\n2 tied to their items, 0 of them new\n\n2 products name no item in their user_data_field: they are left alone\n {2}product \d+, 1 copy, .*\n {2}product \d+, 1 copy, .*\n\n1 items have stock here and no listing: their sales need no step on CardTrader\n {2}item .*\n$/);
  expect(words.stderr).toContain('reads the export of CardTrader');
});

test.concurrent.each(['array', 'products'])('link: an export that comes wrapped as {"%s": [...]}', async (name) => {
  const seller = await shop(3);
  const product = list(seller, seller.items[0]!, 3);
  const wrapping = createServer((request, response) => {
    void (async () => {
      const answer = await fetch(`${world.simulator.url}${request.url ?? ''}`, { headers: { authorization: request.headers.authorization ?? '' } });
      const body: unknown = await answer.json();
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(Array.isArray(body) ? { [name]: body } : body));
    })();
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void wrapping.close());
  await until('it listens', () => wrapping.listening);
  const { port } = wrapping.address() as { port: number };
  expect(await brx(['listings', 'link', seller.user, '--json'], { env: { BRX_MARKETPLACE_URL: `http://127.0.0.1:${port}/api/v2` } })).toMatchObject({ exit: 0, json: { products: 1, linked: 1 } });
  expect(await rows(seller)).toMatchObject([{ product_id: String(product) }]);
});

test.concurrent('link: several products for one item are not tied, items nobody knows neither; both are named', async () => {
  const [seller, other] = [await shop(3, 2), await shop(1)];
  const [doubled, good] = seller.items as [string, string];
  const stranger = randomUuid();
  const twins = [list(seller, doubled, 3), list(seller, `again ${doubled}`, 3)];
  list(seller, good, 2);
  const [unknown, foreign] = [list(seller, stranger), list(seller, other.items[0]!)];
  const linked = await link(seller);
  expect(linked).toMatchObject({ exit: 1, json: { linked: 1, ambiguous: [{ itemId: doubled, productIds: twins }], unlisted: { count: 1, itemIds: [doubled] } } });
  expect(linked.json.unknown).toEqual(expect.arrayContaining([{ itemId: stranger, productId: unknown }, { itemId: other.items[0], productId: foreign }]));
  expect(await rows(seller)).toMatchObject([{ item_id: good }]);
  expect(await rows(other)).toEqual([]); // another seller's item is not theirs to tie
  const words = (await brx(['listings', 'link', seller.user])).stdout;
  expect(words).toContain(`1 items are named by several products`);
  expect(words).toContain(`  item ${doubled}: products ${twins.join(', ')}`);
  expect(words).toContain('2 products name items that are not known here');
});

test.concurrent('link: another number of copies than can be sold here is said, here and in list and show', async () => {
  const seller = await shop(3, 2);
  const [off, fine] = seller.items as [string, string];
  const product = list(seller, off, 5);
  list(seller, fine, 2);
  expect(await link(seller, '--dry-run')).toMatchObject({ exit: 1, json: { different: [{ itemId: off, productId: product, remote: 5, available: 3 }] } });
  expect(await link(seller)).toMatchObject({ exit: 1, json: { linked: 2, different: [{ itemId: off, remote: 5, available: 3 }] } });
  expect((await brx(['listings', 'link', seller.user])).stdout).toContain(`  item ${off} (product ${product}): 5 on CardTrader, 3 here`);
  expect((await brx(['listings', 'list', seller.user, '--different', '--json'])).json).toMatchObject([{ itemId: off, quantity: 5, available: 3, onHand: 3, held: 0, mismatch: null, outstanding: 0 }]);
  expect((await brx(['listings', 'show', seller.user, off])).stdout).toMatch(/\nCardTrader {2}5 copies, confirmed .* UTC by its clock\nhere {8}3 can be sold \(3 on hand, 0 held\); they differ\n/);
  expect((await brx(['listings', 'show', seller.user, fine])).stdout).toContain('both sides agree');
  const table = (await brx(['listings', 'list', seller.user])).stdout.split('\n');
  expect(table[0]).toMatch(/^item +product +name +CardTrader +here +price +confirmed +open operations +mismatch$/);
  expect(table.slice(1, 3).map((row) => row.slice(0, 36)).toSorted()).toEqual([off, fine].toSorted());
});

test.concurrent('link: a listing that vanished is marked, told, listed as a mismatch, and cleared once somebody has looked', async () => {
  const seller = await shop(3, 2, 4);
  const products = seller.items.map((item, index) => list(seller, item, [3, 2, 4][index]));
  await link(seller);
  world.simulator.control.removeProduct(products[1]!);
  const [, vanished] = seller.items as [string, string];
  expect(await link(seller, '--dry-run')).toMatchObject({ exit: 1, json: { linked: 2, gone: [{ itemId: vanished, productId: products[1] }], unlisted: { count: 1, itemIds: [vanished] } } });
  expect(await rows(seller)).toMatchObject([{ gone: false }, { gone: false }, { gone: false }]);
  expect(await link(seller)).toMatchObject({ exit: 1, json: { gone: [{ itemId: vanished }], unlisted: { count: 1, itemIds: [vanished] } } });
  expect(await rows(seller)).toMatchObject([{ gone: false, kind: null }, { gone: true, quantity: 0, kind: 'gone' }, { gone: false }]);
  expect(await link(seller)).toMatchObject({ exit: 0, json: { gone: [] } }); // told once

  expect((await brx(['users', 'show', seller.user])).stdout).toContain('1 with a mismatch');
  expect((await brx(['users', 'list', '--json'])).json).toContainEqual(expect.objectContaining({ userId: seller.user, mismatches: 1, listings: 3 }));
  const listed = await brx(['listings', 'list', seller.user, '--mismatched']);
  expect(listed.stdout).toMatch(new RegExp(`^${vanished} .* gone .* gone$`, 'm'));
  expect(listed.stderr).toContain(`gone: ${MISMATCHES.gone}`);
  const shown = await brx(['listings', 'show', seller.user, vanished]);
  expect(shown.stdout).toContain(`mismatch: gone, seen `);
  expect(shown.stdout).toContain(MISMATCHES.gone);
  expect(await brx(['listings', 'clear-mismatch', seller.user, vanished, '--reason', 'taken down by hand', '--json'])).toMatchObject({ exit: 0, json: { cleared: [vanished] } });
  expect((await brx(['listings', 'list', seller.user, '--mismatched'])).stdout).toBe('there is none\n');
  expect((await brx(['listings', 'show', seller.user, vanished, '--json'])).json).toMatchObject({ gone: true, mismatch: null, mismatchMeans: null, actions: [{ action: 'listings.clear_mismatch', reason: 'taken down by hand' }] });
  expect(await brx(['listings', 'clear-mismatch', seller.user, vanished, '--reason', 'again', '--json'])).toMatchObject({ exit: 4 });

  expect(await brx(['listings', 'unlink', seller.user, vanished, '--reason', 'not sold there', '--json'])).toMatchObject({ exit: 0, json: { unlinked: true } });
  expect(await brx(['listings', 'show', seller.user, vanished, '--json'])).toMatchObject({ exit: 4, json: { error: { message: expect.stringContaining('is not listed') as string } } });
  expect(await brx(['listings', 'unlink', seller.user, vanished, '--reason', 'twice', '--json'])).toMatchObject({ exit: 4 });
  expect(writes(seller)).toEqual([]);
});

test.concurrent('link: an export that is empty, cut, or partly unreadable is not believed unless that is said', async () => {
  const seller = await shop(1, 1, 1, 1);
  for (const item of seller.items) list(seller, item);
  await link(seller);
  const before = await rows(seller);
  for (const keep of [0, 0.5]) {
    world.simulator.control.inject({ kind: 'truncated_export', keep, when: { sellerId: seller.sellerId } });
    const refused = await brx(['listings', 'link', seller.user, '--json']);
    expect(refused).toMatchObject({ exit: 4, json: { error: { code: 'BRX_REFUSED', message: expect.stringMatching(/not believed: [24] of 4 products/) as string, remedy: expect.stringContaining('--force') as string } } });
  }
  expect(await rows(seller)).toEqual(before);
  world.simulator.control.inject({ kind: 'truncated_export', keep: 0.5, when: { sellerId: seller.sellerId } });
  expect(await link(seller, '--force', '--reason', 'half was sold')).toMatchObject({ exit: 1, json: { linked: 2, gone: { length: 2 } } });
  expect(await world.rows("SELECT reason, detail ->> 'force' AS force FROM operator_actions WHERE target = $1 AND action = 'listings.link' ORDER BY id DESC LIMIT 1", seller.user)).toEqual([{ reason: 'half was sold', force: 'true' }]);
  expect(await link(seller)).toMatchObject({ exit: 0, json: { linked: 4 } }); // back again
});

test.concurrent('link: CardTrader away, a revoked token, nobody there: nothing changes, and what to do is said', async () => {
  const seller = await shop(1);
  list(seller, seller.items[0]!);
  world.simulator.control.inject({ kind: 'reset_mid_body', when: { sellerId: seller.sellerId } });
  expect(await brx(['listings', 'link', seller.user, '--json'])).toMatchObject({ exit: 69, json: { error: { code: 'BRX_MARKETPLACE_UNAVAILABLE' } } });
  world.simulator.control.revokeToken(seller.sellerId);
  expect(await brx(['listings', 'link', seller.user, '--json'])).toMatchObject({ exit: 4, json: { error: { remedy: expect.stringContaining('users check') as string } } });
  expect(await rows(seller)).toEqual([]);
  for (const argv of [['link', randomUuid()], ['list', randomUuid()], ['show', randomUuid(), randomUuid()]]) expect(await brx(['listings', ...argv, '--json'])).toMatchObject({ exit: 4, json: { error: { message: expect.stringContaining('has no CardTrader account here') as string } } });
});

test.concurrent('link: an item whose call has an open end is left as it is; its sale ends first', async () => {
  const seller = await shop(5, 1);
  const [item, other] = seller.items as [string, string];
  const product = list(seller, item, 5);
  list(seller, other, 1);
  await link(seller);
  world.simulator.control.inject({ kind: 'response_lost', when: { sellerId: seller.sellerId, method: 'PUT' } });
  const sale = purchase({ user_id: seller.user, lines: [line(item, 2)] });
  await world.send(sale);
  await world.reached(['RECONCILING'], sale);
  await brx(['users', 'pause', seller.user, '--reason', 'so that nobody looks into it yet']);
  const linked = await link(seller);
  const state = (await world.operations(sale.purchase_id))[0]?.state;
  expect(state).toBe('UNKNOWN');
  expect(linked).toMatchObject({ exit: 1, json: { linked: 1, busy: [{ itemId: item, productId: product }], different: [] } });
  expect(await rows(seller)).toMatchObject([{ item_id: item, quantity: 5 }, { item_id: other }]);
  expect(await brx(['listings', 'unlink', seller.user, item, '--reason', 'x', '--json'])).toMatchObject({ exit: 4, json: { error: { message: expect.stringContaining('not settled') as string } } });
  const shown = (await brx(['listings', 'show', seller.user, item])).stdout;
  expect(shown).toContain('operations are under way');
  expect(shown).toMatch(new RegExp(`take 2 of item ${item} \\(product ${product}\\): UNKNOWN, 5 → 3; sale ${sale.purchase_id}`));
  await brx(['users', 'resume', seller.user]);
  await world.reached(['CONFIRMED'], sale);
  expect(await link(seller)).toMatchObject({ exit: 0, json: { linked: 2, busy: [], different: [] } });
  expect(await rows(seller)).toMatchObject([{ item_id: item, quantity: 3 }, { item_id: other }]);
});

test.concurrent('link: what a sale has confirmed while the export was made is newer than the export', async () => {
  const seller = await shop(5, 1);
  const [item, other] = seller.items as [string, string];
  const product = list(seller, item, 5);
  list(seller, other, 1);
  await link(seller);
  const slow = world.simulator.control.inject({ kind: 'slow_answer', delayMs: 6_000, when: { sellerId: seller.sellerId, path: '/products/export' } });
  const linking = link(seller);
  await until('the export is made', () => slow.spent);
  const sale = purchase({ user_id: seller.user, lines: [line(item, 2)] });
  await world.send(sale);
  await world.reached(['CONFIRMED'], sale);
  expect(await linking).toMatchObject({ exit: 1, json: { linked: 1, busy: [{ itemId: item, productId: product }], different: [] } });
  expect(await rows(seller)).toMatchObject([{ item_id: item, quantity: 3, kind: null }, { item_id: other }]);
});

test.concurrent('link: while an operation waits both sides may differ; that is not told as a difference', async () => {
  const seller = await shop(5);
  list(seller, seller.items[0]!, 5);
  await link(seller);
  await brx(['users', 'pause', seller.user, '--reason', 'so that it waits']);
  const sale = purchase({ user_id: seller.user, lines: [line(seller.items[0]!, 2)] });
  await world.send(sale);
  await world.reached(['CALLING'], sale);
  expect(await link(seller)).toMatchObject({ exit: 0, json: { linked: 1, busy: [], different: [] } });
  expect((await brx(['listings', 'list', seller.user, '--different'])).stdout).toBe('there is none\n');
  expect((await brx(['listings', 'list', seller.user, '--json'])).json).toMatchObject([{ quantity: 5, available: 3, outstanding: 1 }]);
  await brx(['users', 'resume', seller.user]);
  await world.reached(['CONFIRMED'], sale);
});

test.concurrent('link: a product that names another item now goes over to it, but not from under an operation', async () => {
  const seller = await shop(5, 5);
  const [old, now] = seller.items as [string, string];
  const product = list(seller, old, 5);
  await link(seller);
  await brx(['users', 'pause', seller.user, '--reason', 'so that it waits']);
  const sale = purchase({ user_id: seller.user, lines: [line(old, 2)] });
  await world.send(sale);
  await world.reached(['CALLING'], sale);
  world.simulator.control.removeProduct(product);
  world.simulator.control.addProduct(seller.sellerId, { id: product, quantity: 5, userData: now });
  for (const flags of [['--dry-run'], []]) expect(await link(seller, ...flags)).toMatchObject({ exit: 1, json: { linked: 0, busy: [{ itemId: now, productId: product }] } });
  expect(await rows(seller)).toMatchObject([{ item_id: old, product_id: String(product) }]);
  await world.send(cancellation(sale)); // nothing was sent: the sale ends, and its operation with it
  await world.reached(['COMPENSATED'], sale);
  expect(await link(seller)).toMatchObject({ exit: 0, json: { linked: 1, fresh: 1, busy: [], unlisted: { count: 1, itemIds: [old] } } });
  expect(await rows(seller)).toMatchObject([{ item_id: now, product_id: String(product) }]);
});

test.concurrent('clear-mismatch: all of a seller, of one kind; takes either an item or --all', async () => {
  const seller = await shop(1, 1, 1);
  for (const item of seller.items) list(seller, item);
  await link(seller);
  const [a, b, c] = seller.items as [string, string, string];
  for (const [item, kind] of [[a, 'fewer'], [b, 'more'], [c, 'more']]) await world.rows('UPDATE marketplace_listings SET mismatch = $3::jsonb WHERE user_id = $1 AND item_id = $2', seller.user, item, JSON.stringify({ kind, at: 1, expected: 1, found: 2, operationId: null }));
  const clear = (...flags: string[]): Promise<Ran> => brx(['listings', 'clear-mismatch', seller.user, '--reason', 'seen', '--json', ...flags]);
  expect(await clear()).toMatchObject({ exit: 2 });
  expect(await clear(a, '--all')).toMatchObject({ exit: 2 });
  expect(await clear(a, '--kind', 'more')).toMatchObject({ exit: 2 });
  const { json } = await clear('--all', '--kind', 'more');
  expect((json as { cleared: string[] }).cleared.toSorted()).toEqual([b, c].toSorted());
  expect((await brx(['listings', 'list', seller.user, '--mismatched', '--json'])).json).toMatchObject([{ itemId: a, mismatch: { kind: 'fewer', expected: 1, found: 2 } }]);
  expect(await clear('--all')).toMatchObject({ exit: 0, json: { cleared: [a] } });
  expect(await clear('--all')).toMatchObject({ exit: 0, json: { cleared: [] } });
  expect(await world.rows("SELECT detail ->> 'kind' AS kind FROM operator_actions WHERE target = $1", `${seller.user}/${b}`)).toEqual([{ kind: 'more' }]);
});

test.concurrent('link: more than one transaction’s worth, with progress', async () => {
  const seller = await shop();
  await world.rows('INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand) SELECT $1, gen_random_uuid(), gen_random_uuid(), 1 FROM generate_series(1, 1203)', seller.user);
  for (const { item_id: item } of await world.rows<{ item_id: string }>('SELECT item_id FROM inventory_items WHERE user_id = $1', seller.user)) list(seller, item);
  expect(await link(seller)).toMatchObject({ exit: 0, json: { products: 1_203, linked: 1_203, fresh: 1_203, unlisted: { count: 0, itemIds: [] } } });
  expect((await brx(['listings', 'list', seller.user, '--limit', '2'])).stderr).toContain('perhaps more: --limit 20');
});

test('the kinds of clear-mismatch are those there are', () => {
  expect([...MISMATCH_KINDS]).toEqual(Object.keys(MISMATCHES));
});
