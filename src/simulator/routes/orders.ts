import { failure, json, missingParameter, notFound, type Answer } from '../answers.ts';
import type { Order } from '../model.ts';
import { orderShape } from '../order-shape.ts';
import type { OrderEvent } from '../order-states.ts';
import { findOrders } from '../orders.ts';
import { isRecord } from '../properties.ts';
import { advance } from '../sales.ts';
import { read, write, type Call, type Route } from './call.ts';

/** Orders, as their seller sees and moves them. */
export const ORDER_ROUTES: Readonly<Record<string, Route>> = {
  'GET orders': read(list),
  'GET orders/:id': read((call) => withOrder(call, (order) => json(200, shape(call, order)))),
  'PUT orders/:id/tracking_code': write((call) => withOrder(call, (order) => track(call, order))),
  'PUT orders/:id/ship': write((call) => withOrder(call, (order) => move(call, order, 'ship'))),
  'PUT orders/:id/request-cancellation': write((call) => withOrder(call, (order) => requestCancellation(call, order))),
  'PUT orders/:id/confirm-cancellation': write((call) => withOrder(call, (order) => move(call, order, 'confirm_cancellation'))),
};

const SHORTEST_EXPLANATION = 50;

function list(call: Call): Answer {
  const { world, seller, query } = call;
  return json(200, findOrders(world.orders.of(seller.id), query, world.guesses).map((order) => shape(call, order, true)));
}

function track(call: Call, order: Order): Answer {
  const code = isRecord(call.body) ? call.body['tracking_code'] : undefined;
  if (typeof code !== 'string' || code === '') return missingParameter('tracking_code', call.requestId);
  const tracked = { ...order, trackingCode: code, changedAt: call.world.clock.now() };
  call.world.orders.save(tracked, true);
  return json(200, shape(call, tracked));
}

function requestCancellation(call: Call, order: Order): Answer {
  const explanation = isRecord(call.body) ? call.body['cancel_explanation'] : undefined;
  if (typeof explanation !== 'string') return missingParameter('cancel_explanation', call.requestId);
  if (explanation.length < SHORTEST_EXPLANATION) {
    return failure(call.world.guesses.validationStatus, 'validation_error', `cancel_explanation is too short (minimum is ${SHORTEST_EXPLANATION} characters)`, call.requestId, {
      cancel_explanation: [`is too short (minimum is ${SHORTEST_EXPLANATION} characters)`],
    });
  }
  return move(call, order, 'request_cancellation');
}

function move(call: Call, order: Order, event: OrderEvent): Answer {
  const asked = isRecord(call.body) ? call.body['relist_if_cancelled'] : undefined;
  const relist = asked === undefined ? undefined : asked === true || asked === 'true' || asked === 1;
  const moved = advance(call.world, order, { event, requester: 'seller', relist }, true);
  if (moved === undefined) return failure(call.world.guesses.validationStatus, 'validation_error', `this cannot be done to an order that is ${order.state}`, call.requestId, { state: [`is ${order.state}`] });
  return json(200, shape(call, moved));
}

function withOrder(call: Call, use: (order: Order) => Answer): Answer {
  const order = call.world.orders.get(call.id);
  return order === undefined || order.sellerId !== call.seller.id ? notFound('Order', call.requestId) : use(order);
}

function shape({ world, seller }: Call, order: Order, inList = false): object {
  return orderShape(order, { seller, guesses: world.guesses, expansions: world.store.expansions, inList });
}
