import { z } from 'zod';
import { copies, id, optionalFlag, optionalId, optionalMoney, optionalText, optionalTime, userDataField } from './lenient.ts';

/** States there are, as far as known (cardtrader.md section 8). A new one is not an error: `state` is text. */
export const ORDER_STATES = ['paid', 'sent', 'arrived', 'done', 'hub_pending', 'request_for_cancel', 'canceled', 'lost', 'closed'] as const;

/** An order, without the buyer: name, address, e-mail and phone never enter the program. */
export interface RemoteOrder {
  readonly id: number;
  readonly code: string | null;
  readonly state: string;
  readonly viaCardtraderZero: boolean | null;
  /** `seller`, or `buyer` for what the seller bought. */
  readonly orderAs: string | null;
  readonly presale: boolean | null;
  readonly presaleEndedAt: number | null;
  readonly paidAt: number | null;
  readonly sentAt: number | null;
  readonly cancelledAt: number | null;
  readonly lines: readonly OrderLine[];
}

export interface OrderLine {
  readonly id: number;
  /** null for a product that is gone; then `userDataField` is what ties the line to an item. */
  readonly productId: number | null;
  readonly blueprintId: number | null;
  readonly quantity: number;
  readonly userDataField: string | null | undefined;
  readonly name: string | null;
  /** Of the order in `hub_pending` that first sold the line. */
  readonly hubPendingOrderId: number | null;
  /** null also where the list of orders leaves it out. */
  readonly priceCents: number | null;
  readonly currency: string | null;
  readonly createdAt: number | null;
  readonly deletedAt: number | null;
  /** Something of it was called off: it has a `cancelled_price`. */
  readonly priceCancelled: boolean;
}

const LineSchema = z
  .object({
    id,
    product_id: id.nullish(),
    blueprint_id: optionalId,
    quantity: copies,
    user_data_field: userDataField,
    name: optionalText,
    hub_pending_order_id: optionalId,
    seller_price: optionalMoney,
    created_at: optionalTime,
    deleted_at: optionalTime,
    cancelled_price: z.array(z.unknown()).catch([]),
  })
  .transform((wire): OrderLine => ({
    id: wire.id,
    productId: wire.product_id ?? null,
    blueprintId: wire.blueprint_id,
    quantity: wire.quantity,
    userDataField: wire.user_data_field,
    name: wire.name,
    hubPendingOrderId: wire.hub_pending_order_id,
    priceCents: wire.seller_price?.cents ?? null,
    currency: wire.seller_price?.currency ?? null,
    createdAt: wire.created_at,
    deletedAt: wire.deleted_at,
    priceCancelled: wire.cancelled_price.length > 0,
  }));

export const OrderSchema = z
  .object({
    id,
    code: optionalText,
    state: z.string().min(1),
    via_cardtrader_zero: optionalFlag,
    order_as: optionalText,
    presale: optionalFlag,
    presale_ended_at: optionalTime,
    paid_at: optionalTime,
    sent_at: optionalTime,
    cancelled_at: optionalTime,
    order_items: z.array(LineSchema),
  })
  .transform((wire): RemoteOrder => ({
    id: wire.id,
    code: wire.code,
    state: wire.state === 'cancelled' ? 'canceled' : wire.state,
    viaCardtraderZero: wire.via_cardtrader_zero,
    orderAs: wire.order_as,
    presale: wire.presale,
    presaleEndedAt: wire.presale_ended_at,
    paidAt: wire.paid_at,
    sentAt: wire.sent_at,
    cancelledAt: wire.cancelled_at,
    lines: wire.order_items,
  }));

/** What to list. Dates as YYYY-MM-DD; `fromId` exclusive, `toId` inclusive. */
export interface OrderQuery {
  readonly page?: number;
  readonly limit?: number;
  readonly from?: string;
  readonly to?: string;
  readonly fromId?: number;
  readonly toId?: number;
  readonly state?: string;
  readonly sort?: 'id.asc' | 'id.desc' | 'date.asc' | 'date.desc';
}

/** Sales only, unless told otherwise: purchases of the same account are in the same list. */
export function queryOf({ page, limit, from, to, fromId, toId, state, sort }: OrderQuery): Record<string, string | number | undefined> {
  return { order_as: 'seller', page, limit, from, to, from_id: fromId, to_id: toId, state, sort };
}
