import { z } from 'zod';
import { cursorOf, ITEM_STATUSES, pageOf, selectItemPage, selectUser, type ListedItemRow } from '../../operations/browse/index.ts';
import { explainItem, flagNames, historyWords, itemHistory, type ItemReport } from '../../operations/item/index.ts';
import { after, historyModel, id, itemModel, itemPage, limit, type ItemAnswer } from '../models.ts';
import { Problem } from '../problems.ts';
import { route, type Route } from '../route.ts';
import { toText } from '../times.ts';
import { placeOf, unknownUser, type ApiDeps } from './users.ts';

const MOST_ITEMS = 1_000;
const MOST_HISTORY = 1_000;
const params = z.strictObject({ id, item: id });

const itemsQuery = z.strictObject({
  cursor: z.string().optional(),
  limit: limit(MOST_ITEMS, 100),
  status: z.enum(ITEM_STATUSES).optional(),
  blueprint: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional().meta({ description: 'CardTrader’s id of the card' }),
  q: z.string().trim().min(1).max(100).refine((text) => !text.includes('\0')).optional().meta({ description: 'part of the card’s name, as CardTrader has it' }),
  changed_since: z.iso.datetime({ offset: true }).refine((text) => !(new Date(text).getUTCFullYear() < 1), { error: 'must be a time since the year 1' }).optional(),
  after,
});

/** What a user has, item by item, and how it came to be so. */
export function itemRoutes({ readers }: Pick<ApiDeps, 'readers'>): Route[] {
  return [
    route({
      method: 'GET',
      path: '/users/{id}/items',
      access: 'read',
      isLimited: true,
      summary: 'Items of a user, in the order of their ids',
      description: 'Pages stay whole while items change: one goes on where the one before ended, whatever came or went meanwhile.',
      params: z.strictObject({ id }),
      query: itemsQuery,
      answer: itemPage,
      problems: ['invalid_request', 'unauthorized', 'unknown_user'],
      async handle({ params: { id: userId }, query: { cursor, limit: most, changed_since: since, after: position, ...filter } }) {
        const from = placeOf(cursor);
        const changedSince = since === undefined ? undefined : new Date(since);
        const rows = await readers.readFrom(async ({ prisma }) => {
          const found = await selectItemPage(prisma, userId, { ...filter, changedSince }, { after: from, most: most + 1 });
          if (found.length === 0 && (await selectUser(prisma, userId)) === undefined) throw unknownUser(userId);
          return found;
        }, { after: position });
        const { rows: shown, next } = pageOf(rows, most, (row) => cursorOf(row.item_id));
        return { body: { items: shown.map(itemOf), next_cursor: next } };
      },
    }),
    route({
      method: 'GET',
      path: '/users/{id}/items/{item}',
      access: 'read',
      isLimited: true,
      summary: 'An item: its stock, the sales that hold some of it, its product on CardTrader, what is under way there',
      params,
      query: z.strictObject({ after }),
      answer: itemModel,
      problems: ['invalid_request', 'unauthorized', 'unknown_item'],
      async handle({ params: { id: userId, item }, query: { after: position } }) {
        const report = await readers.readFrom(({ pool }) => explainItem(pool, userId, item, 1), { after: position });
        return { body: detailOf(report) };
      },
    }),
    route({
      method: 'GET',
      path: '/users/{id}/items/{item}/history',
      access: 'read',
      isLimited: true,
      summary: 'What happened to an item, newest first, in words too',
      params,
      query: z.strictObject({ cursor: z.string().optional(), limit: limit(MOST_HISTORY, 50), after }),
      answer: historyModel,
      problems: ['invalid_request', 'unauthorized', 'unknown_item'],
      async handle({ params: { id: userId, item }, query: { cursor, limit: most, after: position } }) {
        const from = placeOf(cursor) ?? null;
        const found = await readers.readFrom(({ pool }) => itemHistory(pool, userId, item, { limit: most, from }), { after: position });
        if (found === undefined) throw unknownItem(userId, item);
        const history = found.history.map(({ previous_event_id: _before, ...row }) => ({ ...row, occurred_at: row.occurred_at.toISOString(), recorded_at: row.recorded_at.toISOString(), words: historyWords({ ...row, previous_event_id: null }) }));
        return { body: { history, end: found.end, next_cursor: found.next === null ? null : cursorOf(found.next) } };
      },
    }),
  ];
}

const unknownItem = (userId: string, itemId: string): Problem => new Problem('unknown_item', `${userId} has no item ${itemId}: no event for it has taken effect`, { remedy: 'GET /users/{id}/items lists what there is' });

type Flag = ItemAnswer['flags'][number];
const flagsOf = (flags: number): Flag[] => flagNames(flags) as Flag[];

function itemOf(row: ListedItemRow): ItemAnswer {
  return {
    item_id: row.item_id,
    name: row.name,
    blueprint_id: row.blueprint_id,
    on_hand: row.on_hand,
    held: row.held,
    available: row.on_hand - row.held,
    price_cents: row.price_cents,
    currency: row.currency,
    properties: row.properties ?? {},
    version: row.version,
    flags: flagsOf(row.flags),
    changed_at: row.updated_at.toISOString(),
    listing: row.product_id === null || row.confirmed_at === null ? null : { product_id: row.product_id, quantity: row.listed ?? 0, price_cents: row.listed_price_cents, confirmed_at: row.confirmed_at.toISOString(), gone: row.gone ?? false, mismatch: row.mismatch },
  };
}

function detailOf({ user_id, item_id, item, holds, listing, operations, parked }: ItemReport): z.input<typeof itemModel.schema> {
  if (item === null) throw unknownItem(user_id, item_id);
  const { updated_at, flags, properties, ...stock } = item;
  return {
    user_id,
    item_id,
    ...stock,
    available: stock.on_hand - stock.held,
    properties: properties ?? {},
    flags: flagsOf(flags),
    changed_at: updated_at.toISOString(),
    // Who buys is not told: whoever needs to know has the sale.
    holds: holds.map(({ purchase_id, quantity, since, state, deadline_at }) => ({ purchase_id, quantity, since: since.toISOString(), state, deadline_at: deadline_at.toISOString() })),
    listing: listing === null ? null : listingOf(listing),
    operations: operations.map(({ created_at, due_at, ...operation }) => ({ ...operation, created_at: created_at.toISOString(), due_at: toText(due_at) })),
    parked: parked === null ? null : { since: parked.parked_at.toISOString(), reason: parked.reason, events: parked.waiting },
  };
}

function listingOf({ product_id, name, quantity, price_cents, currency, confirmed_at, gone, mismatch }: NonNullable<ItemReport['listing']>): NonNullable<z.input<typeof itemModel.schema>['listing']> {
  return { product_id, name, quantity, price_cents, currency, confirmed_at: confirmed_at.toISOString(), gone, mismatch: mismatch === null ? null : { ...mismatch, at: new Date(mismatch.at).toISOString() } };
}
