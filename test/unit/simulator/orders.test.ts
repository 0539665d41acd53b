import { describe, expect, test } from 'vitest';
import { readGuesses, type Order } from '../../../src/simulator/index.ts';
import type { OrderState } from '../../../src/simulator/model.ts';
import { moveOrder, ORDER_EVENTS, type OrderEvent } from '../../../src/simulator/order-states.ts';
import { anyNumber, anyText, openSimulator, type OpenSimulator } from '../../support/simulator.ts';

/** Protects: orders move through the documented states only, and stock moves exactly when the documentation says (section 8). */
const sell = (simulator: OpenSimulator, more: { productId?: number; quantity?: number; viaZero?: boolean; presale?: boolean; as?: 'buyer' } = {}): Order => {
  const result = simulator.control.sell({ sellerId: simulator.sellerId, productId: simulator.first().id, ...more });
  if (!result.sold) throw new Error(result.reason);
  return result.order;
};
const WHY = 'The card that was ordered was damaged when I took it out of its box.';

describe('the states', () => {
  const allowed: [OrderState, OrderEvent, OrderState][] = [
    ['paid', 'ship', 'sent'],
    ['paid', 'request_cancellation', 'request_for_cancel'],
    ['paid', 'cancel', 'canceled'],
    ['sent', 'arrive', 'arrived'],
    ['sent', 'request_cancellation', 'request_for_cancel'],
    ['sent', 'lose', 'lost'],
    ['arrived', 'review', 'done'],
    ['hub_pending', 'merge', 'closed'],
    ['hub_pending', 'cancel', 'canceled'],
    ['request_for_cancel', 'confirm_cancellation', 'canceled'],
    ['request_for_cancel', 'refuse_cancellation', 'sent'],
  ];
  const states: OrderState[] = ['paid', 'sent', 'arrived', 'done', 'hub_pending', 'closed', 'request_for_cancel', 'canceled', 'lost'];

  test('these moves and no others', async () => {
    const order = sell(await openSimulator());
    const found = states.flatMap((state) =>
      ORDER_EVENTS.flatMap((event) => {
        const moved = moveOrder({ ...order, state, stateBefore: 'sent' }, { event, at: 5 }, readGuesses());
        return moved === undefined ? [] : [[state, event, moved.state]];
      }),
    );
    expect(new Set(found.map(String))).toEqual(new Set(allowed.map(String)));
  });

  test('a direct sale: paid, sent, arrived, done', async () => {
    const simulator = await openSimulator();
    const { id } = sell(simulator);
    const states = (['ship', 'arrive', 'review'] as const).map((event) => simulator.control.moveOrder(id, { event })?.state);
    expect(states).toEqual(['sent', 'arrived', 'done']);
    expect(simulator.control.moveOrder(id, { event: 'ship' })).toBeUndefined();
  });
});

describe('a sale', () => {
  test('lowers the listing at once and is in GET /orders at once; direct in paid, CT Zero in hub_pending', async () => {
    const simulator = await openSimulator();
    const { id, userData } = simulator.control.setQuantity(simulator.first().id, 5);
    sell(simulator, { quantity: 2 });
    await simulator.clock.advance(1);
    const hub = sell(simulator, { viaZero: true });
    expect(simulator.first().quantity).toBe(2);
    expect((await simulator.api('GET', '/orders')).rows).toMatchObject([
      { id: hub.id, state: 'hub_pending', via_cardtrader_zero: true, paid_at: null, order_shipping_method: null, order_items: [{ product_id: id, quantity: 1, hub_pending_order_id: hub.id }] },
      { state: 'paid', via_cardtrader_zero: false, order_as: 'seller', size: 2, order_items: [{ product_id: id, quantity: 2, user_data_field: userData, hub_pending_order_id: null }] },
    ]);
  });

  test('of the last copy takes the listing along; the line keeps its product id and user data', async () => {
    const simulator = await openSimulator();
    const { id, userData } = simulator.control.setQuantity(simulator.first().id, 1);
    sell(simulator);
    expect((await simulator.api('GET', '/products/export')).rows.map((row) => row.id)).not.toContain(id);
    expect((await simulator.api('PUT', `/products/${id}`, { quantity: 1 })).status).toBe(404);
    expect((await simulator.api('GET', '/orders')).rows[0]!.order_items).toMatchObject([{ product_id: id, user_data_field: userData }]);
  });

  test('takes all lines or none; more than there is, nothing, or of nothing is no sale', async () => {
    const { control, sellerId, first } = await openSimulator();
    const [a, b] = control.products(sellerId);
    control.setQuantity(a!.id, 2);
    control.setQuantity(b!.id, 1);
    const tries = [
      [{ productId: a!.id, quantity: 1 }, { productId: b!.id, quantity: 2 }],
      [{ productId: a!.id, quantity: 2 }, { productId: a!.id, quantity: 1 }],
      [{ productId: 1, quantity: 1 }],
      [{ productId: a!.id, quantity: 0 }],
      [],
    ].map((lines) => control.sell({ sellerId, lines }));
    expect(tries).toEqual(['insufficient_stock', 'insufficient_stock', 'unknown_product', 'bad_quantity', 'bad_quantity'].map((reason) => ({ sold: false, reason })));
    expect([first().quantity, control.orders(sellerId)]).toEqual([2, []]);
    expect(control.sell({ sellerId, lines: [{ productId: a!.id, quantity: 2 }, { productId: b!.id, quantity: 1 }] }).sold).toBe(true);
    expect(control.products(sellerId)).toHaveLength(8);
  });

  test('of two buyers for the last copy one gets it', async () => {
    const { control, first, sellerId } = await openSimulator();
    const { id } = control.setQuantity(first().id, 1);
    expect([1, 2].map(() => control.sell({ sellerId, productId: id }).sold)).toEqual([true, false]);
  });

  test('as buyer: in the same account, with a seller and without stock moving', async () => {
    const simulator = await openSimulator();
    const before = simulator.first().quantity;
    sell(simulator, { as: 'buyer' });
    expect(simulator.first().quantity).toBe(before);
    expect((await simulator.api('GET', '/orders?order_as=seller')).rows).toEqual([]);
    expect((await simulator.api('GET', '/orders?order_as=buyer')).rows).toMatchObject([{ order_as: 'buyer', seller: { id: anyNumber, username: anyText } }]);
  });
});

describe('the week’s end', () => {
  test('one new order in paid with every line, the originals closed, no stock moved, lines name their first order', async () => {
    const simulator = await openSimulator();
    const { control, sellerId } = simulator;
    control.setQuantity(simulator.first().id, 9);
    const orders = [sell(simulator, { viaZero: true, quantity: 2 }), sell(simulator, { viaZero: true })];
    sell(simulator);
    const stock = simulator.first().quantity;
    const merged = control.mergeHub(sellerId)!;
    expect(merged).toMatchObject({ state: 'paid', viaZero: true });
    expect(orders.map(({ id }) => control.order(id)!.state)).toEqual(['closed', 'closed']);
    expect(simulator.first().quantity).toBe(stock);
    const { body } = await simulator.api('GET', `/orders/${merged.id}`);
    expect(body).toMatchObject({ state: 'paid', via_cardtrader_zero: true, size: 3, order_items: [{ quantity: 2, hub_pending_order_id: orders[0]!.id }, { quantity: 1, hub_pending_order_id: orders[1]!.id }] });
    expect(control.mergeHub(sellerId)).toBeUndefined();
  });

  test('what was sold is what the documented rule counts: direct paid, hub_pending; presales by their first order', async () => {
    const simulator = await openSimulator();
    const { control, sellerId } = simulator;
    const before = control.setQuantity(simulator.first().id, 20).quantity;
    sell(simulator, { quantity: 1 });
    sell(simulator, { quantity: 2, viaZero: true });
    const presale = sell(simulator, { quantity: 4, viaZero: true, presale: true });
    const counted = new Map<number, number>();
    const look = async (): Promise<void> => {
      for (const order of (await simulator.api('GET', '/orders?limit=100')).rows as unknown as { id: number; state: string; via_cardtrader_zero: boolean; order_items: { id: number; quantity: number; hub_pending_order_id: number | null }[] }[]) {
        for (const line of order.order_items) {
          const counts = order.state === 'hub_pending' ? order.via_cardtrader_zero && order.id === line.hub_pending_order_id : order.state === 'paid' && !order.via_cardtrader_zero;
          if (counts) counted.set(line.id, line.quantity);
        }
      }
    };
    await look();
    expect(control.mergeHub(sellerId)!.lines).toHaveLength(1);
    expect(control.order(presale.id)!.state).toBe('hub_pending');
    const ready = control.endPresale(presale.id)!;
    await look();
    expect([control.order(presale.id)!.state, ready.state, ready.lines[0]!.hubPendingOrderId]).toEqual(['closed', 'hub_pending', presale.id]);
    expect(control.endPresale(presale.id)).toBeUndefined();
    control.mergeHub(sellerId);
    await look();
    expect([...counted.values()].reduce((sum, quantity) => sum + quantity, 0)).toBe(before - simulator.first().quantity);
  });
});

describe('cancellation', () => {
  test('asked for by the seller with 50 characters or more, from paid or sent, confirmed; stock stays down unless relisted', async () => {
    const simulator = await openSimulator();
    const stock = simulator.control.setQuantity(simulator.first().id, 5).quantity;
    const { id } = sell(simulator, { quantity: 2 });
    expect((await simulator.api('PUT', `/orders/${id}/request-cancellation`, {})).body).toMatchObject({ error_code: 'missing_parameter' });
    expect((await simulator.api('PUT', `/orders/${id}/request-cancellation`, { cancel_explanation: 'x'.repeat(49) })).status).toBe(422);
    expect((await simulator.api('PUT', `/orders/${id}/request-cancellation`, { cancel_explanation: WHY })).body).toMatchObject({ state: 'request_for_cancel', cancel_requester: 'seller' });
    expect(simulator.first().quantity).toBe(stock - 2);
    expect((await simulator.api('PUT', `/orders/${id}/confirm-cancellation`)).body).toMatchObject({ state: 'canceled', cancelled_at: anyText });
    expect(simulator.first().quantity).toBe(stock - 2);
    expect((await simulator.api('PUT', `/orders/${id}/confirm-cancellation`)).status).toBe(422);
  });

  test.each([
    ['at the request', { relist_if_cancelled: true }, {}],
    ['at the confirmation', {}, { relist_if_cancelled: true }],
  ])('relisted as said %s: the goods are back, once', async (_when, asked, confirmed) => {
    const simulator = await openSimulator();
    const stock = simulator.control.setQuantity(simulator.first().id, 5).quantity;
    const { id } = sell(simulator, { quantity: 2 });
    await simulator.api('PUT', `/orders/${id}/request-cancellation`, { cancel_explanation: WHY, ...asked });
    expect(simulator.first().quantity).toBe(stock - 2);
    await simulator.api('PUT', `/orders/${id}/confirm-cancellation`, confirmed);
    expect(simulator.first().quantity).toBe(stock);
    expect(simulator.control.ledger().at(-1)).toMatchObject({ verb: 'relist', source: 'order', orderId: id, before: stock - 2, after: stock });
  });

  test('a listing that is gone comes back as it was, under another id', async () => {
    const simulator = await openSimulator();
    const before = simulator.control.setQuantity(simulator.first().id, 1);
    const { id } = sell(simulator);
    simulator.control.moveOrder(id, { event: 'cancel', relist: true });
    const back = simulator.control.products(simulator.sellerId).at(-1)!;
    expect(back).toEqual({ ...before, id: back.id });
    expect(back.id).not.toBe(before.id);
  });

  test('of one line: deleted_at and a negative cancelled_price, the order goes on, totals without it', async () => {
    const simulator = await openSimulator();
    const { control, sellerId } = simulator;
    const [a, b] = control.products(sellerId);
    const result = control.sell({ sellerId, lines: [{ productId: a!.id, quantity: 1 }, { productId: b!.id, quantity: 1 }] });
    if (!result.sold) throw new Error(result.reason);
    const [first, second] = result.order.lines;
    control.cancelLine(result.order.id, first!.id, { relist: true });
    expect(control.cancelLine(result.order.id, first!.id)).toBeUndefined();
    expect((await simulator.api('GET', `/orders/${result.order.id}`)).body).toMatchObject({
      state: 'paid',
      seller_subtotal: { cents: b!.priceCents },
      order_items: [{ id: first!.id, deleted_at: anyText, cancelled_price: [{ cents: -a!.priceCents }] }, { id: second!.id, deleted_at: null, cancelled_price: [] }],
    });
    expect(simulator.first().quantity).toBe(a!.quantity);
    // Canceled as a whole afterwards, only what is left comes back.
    control.moveOrder(result.order.id, { event: 'cancel', relist: true });
    expect(simulator.first().quantity).toBe(a!.quantity);
  });
});

describe('over the API', () => {
  test('ship and tracking code; what the state forbids is refused; another seller’s order is a 404', async () => {
    const simulator = await openSimulator();
    const { id } = sell(simulator);
    expect((await simulator.api('PUT', `/orders/${id}/tracking_code`, { tracking_code: 'RR1' })).body).toMatchObject({ order_shipping_method: { tracking_code: 'RR1' } });
    expect((await simulator.api('PUT', `/orders/${id}/tracking_code`, {})).status).toBe(422);
    expect((await simulator.api('PUT', `/orders/${id}/ship`)).body).toMatchObject({ state: 'sent', sent_at: anyText });
    expect((await simulator.api('PUT', `/orders/${id}/ship`)).status).toBe(422);
    expect((await simulator.api('GET', `/orders/${id}`, undefined, simulator.control.addSeller())).status).toBe(404);
    expect((await simulator.api('GET', '/orders/1')).status).toBe(404);
  });

  test('an order has every documented field, amounts as cents and currency, the fee as text', async () => {
    const simulator = await openSimulator();
    const { id } = sell(simulator, { quantity: 1 });
    const { body } = await simulator.api('GET', `/orders/${id}`);
    const fields = 'id code transaction_code via_cardtrader_zero buyer order_as state size paid_at credit_added_to_seller_at sent_at cancelled_at cancel_requester buyer_total seller_total presale_ended_at fee_percentage fee_amount seller_fee_amount seller_subtotal buyer_subtotal packing_number order_shipping_address order_billing_address order_shipping_method formatted_subtotal formatted_total presale order_items subtotal';
    expect(Object.keys(body as object)).toEqual(expect.arrayContaining(fields.split(' ')));
    const lineFields = 'id product_id blueprint_id category_id game_id name expansion properties quantity bundle_size description buyer_price seller_price cancelled_price repurchase_price tag graded formatted_price mkm_id user_data_field tcg_player_id scryfall_id deleted_at created_at hub_pending_order_id';
    expect(Object.keys((body as { order_items: object[] }).order_items[0]!)).toEqual(expect.arrayContaining(lineFields.split(' ')));
    expect(body).toMatchObject({ fee_percentage: '5.0', seller_subtotal: { cents: simulator.first().priceCents, currency: 'EUR' }, presale: null, buyer: { email: anyText, phone: anyText } });
  });

  test('pages, limit, ids, dates, state and sort of the list', async () => {
    const simulator = await openSimulator();
    const { control, clock } = simulator;
    control.setQuantity(simulator.first().id, 30);
    const made: number[] = [];
    for (let n = 0; n < 25; n += 1) {
      made.push(sell(simulator).id);
      await clock.advance(86_400_000 / 10);
    }
    control.moveOrder(made[3]!, { event: 'ship' });
    const ids = async (query: string): Promise<number[]> => (await simulator.api('GET', `/orders?${query}`)).rows.map((order) => order.id);
    const newestFirst = made.toReversed();
    expect(await ids('')).toEqual(newestFirst.slice(0, 20));
    expect(await ids('page=2')).toEqual(newestFirst.slice(20));
    expect(await ids('page=3&limit=10')).toEqual(newestFirst.slice(20));
    for (const limit of ['0', '101', '-1', 'x']) expect(await ids(`limit=${limit}`)).toHaveLength(20);
    expect(await ids('limit=100&sort=id.asc')).toEqual(made);
    expect(await ids('limit=3&sort=date.asc')).toEqual(made.slice(0, 3));
    expect(await ids('limit=3&sort=nonsense')).toEqual(newestFirst.slice(0, 3));
    expect(await ids(`sort=id.asc&from_id=${made[4]}&to_id=${made[7]}`)).toEqual(made.slice(5, 8));
    expect(await ids('sort=id.asc&from=2026-01-02&to=2026-01-02')).toEqual(made.slice(10, 20));
    expect(await ids('state=sent')).toEqual([made[3]]);
    expect(await ids('state=hub_pending')).toEqual([]);
  });
});

test('an observer hears of every order that is new or changed, and whether the API did it', async () => {
  const heard: unknown[] = [];
  const simulator = await openSimulator({ onOrder: ({ order, cause, byApi }) => heard.push([order.state, cause, byApi]) });
  const stop = simulator.control.onOrder(({ order }) => heard.push(order.id));
  const { id } = sell(simulator);
  stop();
  await simulator.api('PUT', `/orders/${id}/ship`);
  simulator.control.moveOrder(id, { event: 'arrive' });
  expect(heard).toEqual([['paid', 'create', false], id, ['sent', 'update', true], ['arrived', 'update', false]]);
});
