import { describe, expect, test } from 'vitest';
import { shrunkFrom } from '../../src/bulk-sync/believe.ts';
import { Cut, snapshotProduct } from '../../src/bulk-sync/cut.ts';
import { decide, type Rules, type State } from '../../src/bulk-sync/decide.ts';
import { fixOf } from '../../src/bulk-sync/fix.ts';
import { pausesOf } from '../../src/bulk-sync/retries.ts';
import { windowAt } from '../../src/bulk-sync/schedule.ts';
import { InventorySnapshotChunkSchema } from '../../src/contract/index.ts';
import type { RemoteProduct } from '../../src/marketplace/index.ts';
import { progressOf } from '../../src/cli/sync.ts';
import type { JobRow } from '../../src/bulk-sync/index.ts';

/** Protects: each decision of bulk sync, by itself. */
const product = (id: number, more: Partial<RemoteProduct> = {}): RemoteProduct => ({
  id,
  blueprintId: 7,
  quantity: 2,
  priceCents: 100,
  currency: 'EUR',
  userDataField: null,
  properties: {},
  name: null,
  description: null,
  graded: null,
  tag: null,
  bundleSize: 1,
  expansionId: null,
  gameId: null,
  categoryId: null,
  sellerId: null,
  ...more,
});
const named = ({ userDataField }: RemoteProduct): string | null => userDataField ?? null;
const list = (items: readonly RemoteProduct[]) => ({ items, unread: [] });

describe('an export cut into chunks', () => {
  test('at most so many products a chunk, every product once, in order', () => {
    const cut = new Cut(3);
    const full = [...cut.take(list([1, 2, 3, 4].map((id) => product(id))), named), ...cut.take(list([4, 5, 6, 7].map((id) => product(id))), named), ...cut.rest()];
    expect(full.map((chunk) => chunk.map(({ id }) => id))).toEqual([[1, 2, 3], [4, 5, 6], [7]]);
    expect(cut.products).toBe(7);
  });

  test('large products make small chunks: a record stays below what a broker takes', () => {
    const cut = new Cut();
    const full = [...cut.take(list(Array.from({ length: 500 }, (_, id) => product(id + 1, { description: 'é'.repeat(4_000) }))), named), ...cut.rest()];
    expect(Math.max(...full.map((chunk) => Buffer.byteLength(JSON.stringify(chunk.map(snapshotProduct)))))).toBeLessThan(600_000);
    expect(full.flat()).toHaveLength(500);
    expect(full.length, 'each as large as it may be').toBeLessThan(15);
  });

  test('a product that is larger than a chunk by itself goes alone, and no chunk is empty', () => {
    const cut = new Cut();
    const full = [...cut.take(list([product(1, { description: 'x'.repeat(500_000) }), product(2)]), named), ...cut.rest(), ...cut.rest()];
    expect(full.map((chunk) => chunk.map(({ id }) => id))).toEqual([[1], [2]]);
  });

  test('the digest says which products there are, not in what order', () => {
    const digest = (...ids: number[]): string => {
      const cut = new Cut();
      cut.take(list(ids.map((id) => product(id))), named);
      return cut.digest;
    };
    expect(digest(1, 2, 3)).toBe(digest(3, 1, 2));
    expect(new Set([digest(1, 2, 3), digest(1, 2), digest(1, 2, 4), digest(6), digest()]).size).toBe(5);
  });

  test('items several products name are told, also over chunks; entries that cannot be used are counted', () => {
    const cut = new Cut(1);
    cut.take({ items: [product(1, { userDataField: 'a' }), product(2, { userDataField: 'b' }), product(3, { userDataField: 'a' }), product(4, { currency: null })], unread: [{ index: 4, id: null, problem: 'p' }] }, named);
    expect([cut.ambiguous, cut.products, cut.unreadCount, cut.unread.map(({ productId }) => productId)]).toEqual([['a'], 3, 2, [4, null]]);
  });

  test('products that name no item make none ambiguous', () => {
    const cut = new Cut();
    cut.take(list([product(1), product(2), product(3)]), named);
    expect(cut.ambiguous).toEqual([]);
  });

  test('what is kept of an export has an end, whatever a seller has in it', () => {
    const cut = new Cut();
    cut.take(list(Array.from({ length: 20_004 }, (_, n) => product(n + 1, { userDataField: `item ${n >> 1}` }))), named);
    cut.take(list(Array.from({ length: 502 }, (_, n) => product(30_000 + n, { currency: null }))), named);
    expect([cut.ambiguous.length, cut.unread.length, cut.unreadCount]).toEqual([10_000, 500, 502]);
  });

  test.each<[what: string, given: Partial<RemoteProduct>]>([
    ['no currency', { currency: null }],
    ['a currency that is none', { currency: 'eur' }],
    ['more copies than an integer holds', { quantity: 2 ** 31 }],
    ['a price that no long is exact for', { priceCents: 2 ** 52 }],
    ['an id likewise', { id: 2 ** 52 }],
    ['a card likewise', { blueprintId: 2 ** 52 }],
  ])('a product that breaks a rule that matters to stock (%s) is told as unread, and spoils no chunk', (_, given) => {
    const cut = new Cut();
    const full = [...cut.take(list([product(1), product(2, given)]), named), ...cut.rest()];
    expect(full.flat().map(({ id }) => id)).toEqual([1]);
    expect(cut.unread).toMatchObject([{ kind: 'unread', productId: given.id ?? 2 }]);
  });

  test('no property, no number of them and no bundle makes a product one that the contract refuses', () => {
    const properties = JSON.parse(`{"__proto__": "x", "": "x", "${'k'.repeat(201)}": "x", "long": "${'v'.repeat(201)}", "half": "\\ud800"}`) as Record<string, string>;
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`p${n}`, 'v'.repeat(200)]));
    expect(snapshotProduct(product(1, { properties }))?.properties).toEqual({});
    expect(Object.keys(snapshotProduct(product(1, { properties: { ...many, ...properties } }))?.properties ?? {})).toEqual(Array.from({ length: 50 }, (_, n) => `p${n}`));
    for (const [bundleSize, told] of [[null, 1], [0, 1], [2, 2], [2 ** 31, 1]] as const) expect(snapshotProduct(product(1, { bundleSize }))?.bundle_size).toBe(told);
  });

  test('the largest that the contract takes is taken', () => {
    const most = { id: 2 ** 52 - 1, blueprintId: 2 ** 52 - 1, priceCents: 2 ** 52 - 1, quantity: 2 ** 31 - 1, bundleSize: 2 ** 31 - 1, description: 'x'.repeat(5_000), userDataField: 'x'.repeat(1_000) };
    expect(snapshotProduct(product(1, most))).toMatchObject({ id: most.id, quantity: most.quantity, price_cents: most.priceCents, bundle_size: most.bundleSize, description: most.description, user_data_field: most.userDataField });
  });

  test('what the contract does not take of a product is left out, never the product', () => {
    const odd = snapshotProduct(product(1, { bundleSize: 0, description: 'x'.repeat(6_000), userDataField: '\0', properties: { ['__proto__x']: 'y', long: 'z'.repeat(300), condition: 'Near Mint', foil: true, none: null } }));
    expect(odd).toMatchObject({ bundle_size: 1, description: null, user_data_field: null, properties: { condition: 'Near Mint', foil: 'true', none: '' } });
    const id = '0190a000-0000-7000-8000-000000000001';
    expect(InventorySnapshotChunkSchema.safeParse({ event_id: id, job_id: id, user_id: id, chunk: 0, chunks: 1, products: [odd], exported_at: Date.now() }).success).toBe(true);
  });
});

describe('whether an export is believed', () => {
  test.each([
    [100, 91, [], undefined],
    [100, 90, [], 100],
    [100, 0, [], 100],
    [3, 2, [], undefined], // one product
    [1, 0, [], 1],
    [0, 0, [], undefined],
    [100, 200, [], undefined],
    [100, 50, ['d'], 100],
    [100, 50, ['d', 'd'], undefined],
    [100, 50, ['d', 'other', 'd'], 100],
    [100, 50, ['d', 'd', 'other'], undefined], // what came before those that agree
    [2, 1, [], undefined],
  ])('%d before, %d now, refused before that: %j', (listed, products, shrunk, answer) => {
    expect(shrunkFrom({ products, digest: 'd' }, { listed, lastProducts: null, shrunk })).toBe(answer);
  });

  test('the last export counts where more was in it than is listed', () => {
    expect(shrunkFrom({ products: 50, digest: 'd' }, { listed: 0, lastProducts: 100, shrunk: [] })).toBe(100);
  });
});

describe('what becomes of a product', () => {
  const theirs = { productId: 1, quantity: 5, priceCents: 100, currency: 'EUR' };
  const tied: State = { itemId: 'i', exists: true, onHand: 5, held: 0, removed: false, priceCents: 100, currency: 'EUR', listing: { productId: 1, gone: false }, busy: false, changed: false };
  const rules: Rules = { mode: 'adopt-remote', buffer: 0, listingSync: true, ordersRead: true, ambiguous: new Set() };
  const of = (state: Partial<State>, more: Partial<Rules> = {}, shown: Partial<typeof theirs> = {}): string => {
    const { kind, cause } = decide({ ...theirs, ...shown }, { ...tied, ...state }, { ...rules, ...more });
    return `${kind} ${cause}`;
  };
  const stranger = { itemId: null, exists: false, onHand: 0, listing: null };

  test.each<[string, Partial<State>, Partial<Rules>, string]>([
    ['both agree', {}, {}, 'same quantity'],
    ['with a buffer', { onHand: 7 }, { buffer: 2 }, 'same quantity'],
    ['unknown', stranger, {}, 'created new'],
    ['unknown, report', stranger, { mode: 'report' }, 'drifted not_here'],
    ['unknown, push', stranger, { mode: 'push-local' }, 'drifted not_here'],
    ['unknown, sold there since', { ...stranger, changed: true }, {}, 'left changed_since'],
    ['not linked', { listing: null }, {}, 'linked not_linked'],
    ['not linked, report', { listing: null }, { mode: 'report' }, 'drifted not_linked'],
    ['was gone', { listing: { productId: 1, gone: true } }, {}, 'linked not_linked'],
    ['item has another product', { listing: { productId: 2, gone: false } }, {}, 'left ambiguous'],
    ['item had another product that is gone', { listing: { productId: 2, gone: true } }, {}, 'linked not_linked'],
    ['named twice', {}, { ambiguous: new Set(['i']) }, 'left ambiguous'],
    ['more there', { onHand: 3 }, {}, 'adopted quantity'],
    ['more there, report', { onHand: 3 }, { mode: 'report' }, 'drifted more_there'],
    ['more there, push', { onHand: 3 }, { mode: 'push-local' }, 'pushed more_there'],
    ['fewer there', { onHand: 9 }, {}, 'adopted quantity'],
    ['fewer there, orders not read', { onHand: 9 }, { ordersRead: false }, 'left orders_not_read'],
    ['fewer there, orders not read, push', { onHand: 9 }, { ordersRead: false, mode: 'push-local' }, 'left orders_not_read'],
    ['changed since', { onHand: 9, changed: true }, {}, 'left changed_since'],
    ['under way there', { onHand: 9, busy: true }, {}, 'left busy'],
    ['a sale under way', { onHand: 9, held: 1 }, {}, 'left held'],
    ['taken off here', { onHand: 0, removed: true }, {}, 'left removed_here'],
    ['taken off here, push', { onHand: 0, removed: true }, { mode: 'push-local' }, 'pushed more_there'],
    ['another price', { priceCents: 99 }, {}, 'adopted price'],
    ['another price, orders not read', { priceCents: 99 }, { ordersRead: false }, 'adopted price'],
    ['another price, without listing sync', { priceCents: 99 }, { listingSync: false }, 'same quantity'],
    ['another currency', { priceCents: 99, currency: 'USD' }, {}, 'same quantity'],
    ['another price, in a currency nobody has said', { priceCents: 99, currency: null }, {}, 'adopted price'],
    ['nobody has said a price', { priceCents: null }, {}, 'same quantity'],
  ])('%s', (_name, state, more, answer) => {
    expect(of(state, more)).toBe(answer);
  });

  test('none there', () => {
    const none = { quantity: 0 };
    expect(of({ onHand: 1 }, { buffer: 2 }, none), 'all are kept here').toBe('same quantity');
    expect(of({ onHand: 0, removed: true, priceCents: 99 }, {}, none), 'taken off on both sides').toBe('adopted price');
  });

  test('what CardTrader should show is told, less what is kept; of what is not here nothing', () => {
    const ours = (state: Partial<State>, buffer = 0): number | null => decide(theirs, { ...tied, ...state }, { ...rules, buffer }).ours;
    expect([ours({}), ours({}, 2), ours({ onHand: 1 }, 2), ours(stranger)]).toEqual([5, 3, 0, null]);
  });
});

test('what mends a difference: with listing sync ours counts, without it theirs; what is not tied is nobody’s to mend by itself', () => {
  const fixes = (listingSync: boolean): string[] => (['more_there', 'fewer_there', 'gone', 'not_there', 'not_here'] as const).map((cause) => fixOf({ cause, listingSync }));
  expect([fixes(true), fixes(false)]).toEqual([
    ['push', 'push', 'mark_gone', 'push', 'import'],
    ['set_here', 'set_here', 'mark_gone', 'list_there', 'import'],
  ]);
});

describe('the window of a night', () => {
  const at = (time: string): number => Date.parse(`2026-11-26T${time}:00Z`);
  const night = { fromMinute: 60, toMinute: 300 };
  const overMidnight = { fromMinute: 23 * 60, toMinute: 60 };

  test.each([
    [night, '00:59', undefined],
    [night, '01:00', { beganAt: at('01:00'), passed: 0 }],
    [night, '03:00', { beganAt: at('01:00'), passed: 0.5 }],
    [night, '05:00', undefined],
    [overMidnight, '23:30', { beganAt: at('23:00'), passed: 0.25 }],
    [overMidnight, '00:30', { beganAt: at('23:00') - 86_400_000, passed: 0.75 }],
    [overMidnight, '01:00', undefined],
  ])('%j at %s', (window, time, answer) => {
    expect(windowAt(window, at(time))).toEqual(answer);
  });
});

test('progress: sellers, chunks, rate, what is left', () => {
  const job: JobRow = { jobId: 'j', userId: 'u', mode: 'report', state: 'APPLYING', dryRun: false, scheduled: false, askedBy: 'w', askedAt: new Date(0), exportedAt: null, applyingAt: new Date(10_000), endedAt: null, leased: true, problem: null, said: null, products: 2_000, unread: 0, chunks: 4, done: 1, parked: 1, nextTryAt: null, sentAt: null, waiting: [], waitsFor: null, waitsSaid: null, waitsSince: null, ordersRead: true, created: 0, adopted: 0, linked: 0, pushed: 0, drifted: 0, left: 0, same: 1_000, unmapped: 0 };
  expect(progressOf([job], 20_000)).toBe('chunks 2 of 4, 1 parked · 100 products/s · 10 s left');
  expect(progressOf([{ ...job, state: 'REQUESTED', applyingAt: null, chunks: null, done: 0, parked: 0 }], 20_000)).toBe('waiting for a dispatcher');
  expect(progressOf([job, { ...job, state: 'DONE', endedAt: new Date(1) }, { ...job, state: 'EXPORTING', chunks: null, done: 0, parked: 0 }], 20_000)).toContain('1 of 3 sellers · 1 reading');
  // What is left is told once all of them have been exported.
  expect(progressOf([job, { ...job, state: 'REQUESTED', applyingAt: null, chunks: null, done: 0, parked: 0 }], 20_000)).not.toContain('left');
  expect(progressOf([job, { ...job, state: 'FAILED', applyingAt: null, chunks: null, done: 0, parked: 0, endedAt: new Date(1) }], 20_000)).toContain('left');
});

test('a parked chunk is tried again soon at first, then hourly, so often as is said', () => {
  expect(pausesOf(6)).toEqual([60, 300, 1_800, 3_600, 3_600, 3_600]);
  expect(pausesOf(0)).toEqual([]);
});

test('progress of a job that only waits to try parked chunks again', () => {
  const job = { state: 'APPLYING', chunks: 4, done: 3, parked: 1, waiting: [], applyingAt: new Date(10_000), endedAt: null, nextTryAt: new Date(80_000) } as unknown as JobRow;
  expect(progressOf([job], 20_000)).toBe('chunks 4 of 4, 1 parked · parked ones are tried again in 1 min 0 s');
});
