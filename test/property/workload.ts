import fc from 'fast-check';
import type { InventoryChanged } from '../../src/contract/index.ts';
import { change, uuid } from '../support/events.ts';

/** Few users, items, versions and amounts, so that everything that can meet does: stale versions, stock below zero, above an integer, the same id again. */
const quantity = fc.oneof(
  fc.record({ kind: fc.constant<'SET'>('SET'), quantity: fc.oneof(fc.nat(5), fc.constantFrom(2_147_483_646, 2_147_483_647)) }),
  fc.record({ kind: fc.constant<'ADJUST'>('ADJUST'), quantity: fc.oneof(fc.integer({ min: -4, max: 4 }), fc.constantFrom(-2_147_483_648, 2_147_483_647)) }),
  fc.record({ kind: fc.constant<'REMOVE'>('REMOVE'), quantity: fc.constant(0) }),
);

const event = fc
  .record({
    user: fc.nat(2),
    item: fc.nat(2),
    what: quantity,
    version: fc.option(fc.integer({ min: -3, max: 8 }), { nil: null, freq: 3 }),
    source: fc.constantFrom('shop', 'shop', 'cardtrader'),
    price_cents: fc.option(fc.nat(3), { nil: null }),
    currency: fc.option(fc.constantFrom('EUR', 'USD'), { nil: null }),
    blueprint_id: fc.option(fc.integer({ min: 1, max: 3 }), { nil: null }),
    properties: fc.option(fc.dictionary(fc.constantFrom('foil', 'language'), fc.constantFrom('yes', 'it'), { noNullPrototype: true }), { nil: null }),
  })
  .map(({ user, item, what, ...said }) => change({ ...said, ...what, user_id: uuid(user + 1), item_id: uuid(item + 100), occurred_at: 1_700_000_000_000 }));

/** Events with ids of their own, in order. */
export const events = fc.array(event, { maxLength: 60 }).map((list) => list.map((each, index) => ({ ...each, event_id: uuid(1_000 + index) })));

/** The same with copies put in: each the same id again, some of them saying something else. */
export const withCopies = events.chain((list) =>
  fc.array(fc.record({ of: fc.nat(), behind: fc.nat(), changed: fc.boolean() }), { maxLength: 20 }).map((copies) => ({ once: list, repeated: insertCopies(list, copies) })),
);

function insertCopies(list: readonly InventoryChanged[], copies: readonly { of: number; behind: number; changed: boolean }[]): InventoryChanged[] {
  const result = [...list];
  for (const { of, behind, changed } of copies) {
    const original = list[of % (list.length || 1)];
    if (original === undefined) continue;
    const first = result.indexOf(original);
    const copy = changed ? { ...original, kind: 'ADJUST' as const, quantity: 1, version: null, occurred_at: original.occurred_at + 1 } : original;
    result.splice(first + 1 + (behind % (result.length - first)), 0, { ...copy });
  }
  return result;
}

/** Where to cut a run into chunks. */
export const cuts = fc.array(fc.integer({ min: 1, max: 10 }), { maxLength: 60 });

export function cut<T>(list: readonly T[], sizes: readonly number[]): T[][] {
  const chunks: T[][] = [];
  let from = 0;
  for (const size of [...sizes, list.length]) {
    if (from >= list.length) break;
    chunks.push(list.slice(from, from + size));
    from += size;
  }
  return chunks;
}
