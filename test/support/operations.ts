import type { OrderLine, Refused, RefusedReason, RemoteOrder, RemoteProduct, Throttled, ThrottledReason, Unknown, UnknownReason } from '../../src/marketplace/client/index.ts';
import type { SoldLine } from '../../src/marketplace/dispatcher/remote-sales.ts';
import type { Intent, Work } from '../../src/marketplace/dispatcher/work.ts';
import type { Listing } from '../../src/marketplace/listings/index.ts';
import { uuid } from './events.ts';

/** Operations on CardTrader and what it shows, in values that can be read: item 1 of user 1 is product 101, of which 5 copies were confirmed at NOON. */
export const NOON = Date.UTC(2026, 10, 25, 12);
export const USER = uuid(1);
export const ITEM = uuid(0x10);
export const PRODUCT = 101;
export const BLUEPRINT = 900;
/** Of the operation at hand; of the one that wrote last; of a stranger. */
export const [OURS, LAST, OTHER] = [uuid(0xa), uuid(0xb), uuid(0xc)];

export const listing = (given: Partial<Listing> = {}): Listing => ({
  userId: USER,
  itemId: ITEM,
  productId: PRODUCT,
  blueprintId: BLUEPRINT,
  quantity: 5,
  priceCents: 250,
  currency: 'EUR',
  confirmedAt: NOON,
  operationId: LAST,
  gone: false,
  product: { name: 'Forest', description: null, userDataField: ITEM, graded: null, properties: {} },
  soldLines: [],
  mismatch: null,
  unaccounted: 0,
  ...given,
});

/** A TAKE of 2 copies for a sale, never sent. */
export const work = (given: Partial<Work> = {}): Work => ({ id: OURS, userId: USER, purchaseId: uuid(2), kind: 'TAKE', quantity: 2, state: 'PENDING', createdAt: NOON + 10_000, attempts: 0, intent: null, listing: listing(), listed: true, stock: null, problem: null, taken: null, jobId: null, sentAt: null, traceparent: null, ...given });

/** 5 copies were read ten seconds after NOON, 3 are to be left. */
export const intent = (given: Partial<Intent> = {}): Intent => ({ productId: PRODUCT, readAt: NOON + 10_000, before: 5, target: 3, marked: true, siblings: null, ...given });

/** `marker`: of which operation; null: the item's id alone. */
export const product = (quantity: number, marker: string | null = LAST, given: Partial<RemoteProduct> = {}): RemoteProduct => ({
  id: PRODUCT,
  blueprintId: BLUEPRINT,
  quantity,
  priceCents: 250,
  currency: 'EUR',
  userDataField: marker === null ? ITEM : `${ITEM} brx:${marker}`,
  properties: {},
  name: 'Forest',
  description: null,
  graded: null,
  tag: null,
  bundleSize: null,
  expansionId: null,
  gameId: null,
  categoryId: null,
  sellerId: null,
  ...given,
});

export const sold = (quantity: number, at: number | null, id = 1): SoldLine => ({ id, quantity, at });

export const orderLine = (given: Partial<OrderLine> = {}): OrderLine => ({ id: 1, productId: PRODUCT, blueprintId: BLUEPRINT, quantity: 1, userDataField: ITEM, name: 'Forest', hubPendingOrderId: null, priceCents: 250, currency: 'EUR', createdAt: NOON + 5_000, deletedAt: null, priceCancelled: false, ...given });

/** A direct sale that is paid. */
export const order = (given: Partial<RemoteOrder> = {}): RemoteOrder => ({ id: 50, code: null, state: 'paid', viaCardtraderZero: false, orderAs: 'seller', presale: null, presaleEndedAt: null, paidAt: NOON + 5_000, sentAt: null, cancelledAt: null, lines: [orderLine()], ...given });

const facts = (status: number | null) => ({ status, requestId: null, serverDate: null, durationMs: 1 });
export const refusal = (reason: RefusedReason): Refused => ({ outcome: 'refused', reason, ...facts(422), message: reason, code: null, fields: [] });
export const throttling = (reason: ThrottledReason): Throttled => ({ outcome: 'throttled', reason, ...facts(null), scope: null, retryAfterMs: null, message: reason });
export const uncertainty = (reason: UnknownReason): Unknown => ({ outcome: 'unknown', reason, ...facts(null), message: reason });
