import { z } from 'zod';
import { SELLER_STATUSES, type SellerStatus } from '../marketplace/index.ts';
import type { ActionRow } from '../platform/postgres/index.ts';
import type { Model } from './route.ts';

/** What goes in and out, by name: the description of the API is made from these. */

export const id = z.guid().toLowerCase();
const time = z.iso.datetime().meta({ description: 'UTC' });
const count = z.int().min(0);
const cents = z.int().min(0).nullable();

export const position = z
  .string()
  .regex(/^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/, { error: 'must be a position as an answer told it, for example 16/B374D848' })
  .meta({ description: 'A position in the log of PostgreSQL, as the answer to a change tells it: what was changed by then is in this answer.' });
export const after = position.optional();

/** What an operator did. */
export const action = z.object({ at: time, who: z.string(), action: z.string(), reason: z.string() });
export const actionOf = ({ at, who, action: what, reason }: ActionRow): z.input<typeof action> => ({ at: at.toISOString(), who, action: what, reason });

/** A number in a query. */
export const limit = (most: number, otherwise: number) => z.coerce.number().int().min(1).max(most).default(otherwise);

const STATUSES = Object.keys(SELLER_STATUSES) as [SellerStatus, ...SellerStatus[]];
export const status = z.enum(STATUSES);

const account = z
  .object({
    status,
    status_reason: z.string().nullable(),
    status_at: time,
    seller_id: z.int().nullable().meta({ description: 'CardTrader’s id of them' }),
    app_name: z.string().nullable(),
    added_at: time,
    token_checked_at: time.nullable().meta({ description: 'when the token was last seen to work' }),
    listing_sync: z.boolean().meta({ description: 'whether changes of stock, price and properties go to CardTrader' }),
    buffer: count.meta({ description: 'copies of each item that are kept from CardTrader' }),
    circuit_open_until: time.nullable().meta({ description: 'CardTrader gave no usable answers: it is not called before' }),
    orders_read_at: time.nullable().meta({ description: 'when the orders there were last read to their end' }),
  })
  .meta({ description: 'On CardTrader' });

const parked = z.object({ since: time, reason: z.string(), events: count.meta({ description: 'that wait' }) });

const user = z.object({
  user_id: z.uuid(),
  account: account.nullable().meta({ description: 'null: none on CardTrader' }),
  paused: z.boolean().meta({ description: 'nothing is called on CardTrader, because an operator said so' }),
  parked: parked.nullable().meta({ description: 'events that failed wait for an operator: the numbers here are not the newest' }),
  drifted_items: count,
  oversold_items: count,
  mismatched_listings: count,
  open_operations: count.meta({ description: 'changes on CardTrader that are not settled' }),
});
const userDetail = user.extend({ items: count, listings: count, position: position.optional().meta({ description: 'after a change: hand it on as `after`, and what is read has it' }) });

const item = z.object({
  item_id: z.uuid(),
  name: z.string().nullable().meta({ description: 'of the card, as CardTrader has it' }),
  blueprint_id: z.int().nullable(),
  on_hand: count,
  held: count.meta({ description: 'by sales under way' }),
  available: z.int().meta({ description: 'on_hand less held; below 0 while it is oversold' }),
  price_cents: cents,
  currency: z.string().nullable(),
  properties: z.record(z.string(), z.string()),
  version: z.int().nullable().meta({ description: 'the producer’s' }),
  flags: z.array(z.enum(['removed', 'drifted', 'oversold'])),
  changed_at: time,
  listing: z
    .object({ product_id: z.int(), quantity: count, price_cents: cents, confirmed_at: time, gone: z.boolean(), mismatch: z.string().nullable() })
    .nullable()
    .meta({ description: 'its product on CardTrader, as confirmed last' }),
});
const itemDetail = item.omit({ name: true, listing: true }).extend({
  user_id: z.uuid(),
  holds: z.array(z.object({ purchase_id: z.uuid(), quantity: count, since: time, state: z.string(), deadline_at: time })).meta({ description: 'sales under way that keep some of it, oldest first' }),
  listing: z
    .object({ product_id: z.int(), name: z.string().nullable(), quantity: count, price_cents: cents, currency: z.string().nullable(), confirmed_at: time, gone: z.boolean(), mismatch: z.object({ kind: z.string(), at: time, expected: z.int().nullable(), found: z.int().nullable() }).nullable() })
    .nullable(),
  operations: z.array(z.object({ operation_id: z.uuid(), purchase_id: z.uuid().nullable(), kind: z.string(), quantity: count, state: z.string(), reason: z.string().nullable(), attempts: count, created_at: time, due_at: time.nullable() })),
  parked: parked.nullable(),
});
const historyEntry = z.object({
  event_id: z.uuid(),
  occurred_at: time,
  recorded_at: time,
  kind: z.enum(['SET', 'ADJUST', 'REMOVE', 'PURCHASE', 'CANCEL', 'TAKEN', 'GIVEN_BACK']),
  outcome: z.enum(['applied', 'stale', 'dead-lettered', 'rejected']),
  quantity: z.int().meta({ description: 'as sent' }),
  delta: z.int().meta({ description: 'what on_hand changed by' }),
  held_delta: z.int().nullable(),
  on_hand: count.meta({ description: 'after it' }),
  version: z.int().nullable(),
  cause: z.string(),
  purchase_id: z.uuid().nullable(),
  words: z.string().meta({ description: 'the same for people' }),
});

const next = z.string().nullable().meta({ description: 'hand it on as `cursor` for what follows; null: there is no more' });

export const userPage = { name: 'UserPage', schema: z.object({ users: z.array(user), next_cursor: next }) } satisfies Model;
export const userModel = { name: 'User', schema: userDetail } satisfies Model;
export const itemPage = { name: 'ItemPage', schema: z.object({ items: z.array(item), next_cursor: next }) } satisfies Model;
export const itemModel = { name: 'Item', schema: itemDetail } satisfies Model;
export const historyModel = {
  name: 'ItemHistory',
  schema: z.object({ history: z.array(historyEntry).meta({ description: 'newest first' }), end: z.enum(['all', 'more', 'gone']).meta({ description: 'what comes before: nothing, more, or what the ledger keeps no more' }), next_cursor: next }),
} satisfies Model;

export type UserAnswer = z.input<typeof user>;
export type ItemAnswer = z.input<typeof item>;
