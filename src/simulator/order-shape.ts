import type { Guesses } from './guesses.ts';
import type { Expansion, Order, OrderLine, Seller } from './model.ts';
import { formatted, money, timestamp } from './serialize.ts';

export interface OrderShapeContext {
  readonly seller: Seller;
  readonly guesses: Guesses;
  readonly expansions: ReadonlyMap<number, Expansion>;
  readonly inList: boolean;
}

/** `GET /orders` and `GET /orders/:id`. Documented as one shape; some saw the list without `seller_price`, which is a switch. */
export function orderShape(order: Order, context: OrderShapeContext): object {
  const { currency } = context.seller;
  const cents = order.lines.filter((line) => line.deletedAt === null).reduce((sum, line) => sum + line.quantity * line.product.priceCents, 0);
  const fee = Math.round(cents * 0.05);
  const total = money(cents, currency);
  const other = order.as === 'seller' ? { buyer: BUYER } : { seller: { id: 77, username: 'somebody' } };
  const address = order.state === 'hub_pending' ? null : ADDRESS;
  return {
    id: order.id,
    code: order.code,
    transaction_code: `TX${order.id}`,
    via_cardtrader_zero: order.viaZero,
    ...other,
    order_as: order.as,
    state: order.state,
    size: order.lines.reduce((sum, line) => sum + line.quantity, 0),
    paid_at: order.state === 'hub_pending' ? null : timestamp(order.createdAt),
    credit_added_to_seller_at: order.state === 'done' ? timestamp(order.changedAt) : null,
    sent_at: timestamp(order.sentAt),
    cancelled_at: timestamp(order.cancelledAt),
    cancel_requester: order.cancelRequester,
    buyer_total: total,
    seller_total: money(cents - fee, currency),
    presale_ended_at: timestamp(order.presaleEndedAt),
    fee_percentage: '5.0',
    fee_amount: money(fee, currency),
    seller_fee_amount: money(fee, currency),
    seller_subtotal: total,
    buyer_subtotal: total,
    subtotal: total,
    packing_number: null,
    order_shipping_address: address,
    order_billing_address: address,
    order_shipping_method: order.state === 'hub_pending' ? null : shippingMethod(order, currency),
    formatted_subtotal: formatted(cents, currency),
    formatted_total: formatted(cents, currency),
    presale: order.presale ? true : null,
    created_at: timestamp(order.createdAt),
    order_items: order.lines.map((line) => lineShape(line, context)),
  };
}

function lineShape(line: OrderLine, { seller: { currency }, guesses, expansions, inList }: OrderShapeContext): object {
  const { product, quantity } = line;
  const { blueprint } = product;
  const price = money(product.priceCents, currency);
  return {
    id: line.id,
    product_id: guesses.orderLineProductId === 'id' ? product.id : null,
    blueprint_id: blueprint.id,
    category_id: blueprint.category_id,
    game_id: blueprint.game_id,
    name: blueprint.name,
    expansion: expansions.get(blueprint.expansion_id ?? 0)?.name ?? null,
    properties: { ...blueprint.fixed_properties, ...product.properties },
    quantity,
    bundle_size: 1,
    description: product.description,
    buyer_price: price,
    ...((!inList || guesses.orderListSellerPrice) && { seller_price: price }),
    cancelled_price: line.deletedAt === null ? [] : [money(-product.priceCents * quantity, currency)],
    repurchase_price: [],
    tag: product.tag,
    graded: product.graded,
    formatted_price: formatted(product.priceCents, currency),
    // Both documented as text, both seen as numbers: one of each, since clients must take either.
    mkm_id: blueprint.card_market_ids[0] ?? null,
    tcg_player_id: blueprint.tcg_player_id === null ? null : String(blueprint.tcg_player_id),
    scryfall_id: blueprint.scryfall_id,
    user_data_field: product.userData,
    hub_pending_order_id: guesses.hubPendingOrderId === 'set' ? line.hubPendingOrderId : null,
    deleted_at: timestamp(line.deletedAt),
    created_at: timestamp(line.createdAt),
  };
}

const shippingMethod = (order: Order, currency: string): object => ({
  id: 12,
  name: 'Registered letter',
  tracked: true,
  tracking_code: order.trackingCode,
  max_estimate_shipping_days: 7,
  seller_price: money(450, currency),
  buyer_price: money(450, currency),
  price: money(450, currency),
  formatted_price: formatted(450, currency),
});

/** Personal data, made up, so that clients can be seen not to log it. */
const BUYER = { id: 4_711, username: 'buyer-4711', email: 'buyer-4711@example.invalid', phone: '+39 000 0000000' };
const ADDRESS = { id: 9, name: 'Bianca Buyer', street: 'Via Esempio 1', zip: '00100', city: 'Roma', state_or_province: 'RM', country_code: 'IT', country: 'Italy', note: null, phone: '+39 000 0000000' };
