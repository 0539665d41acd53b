import type { Source, Verb } from './ledger.ts';
import type { Order, OrderLine, Product } from './model.ts';
import { moveOrder, type OrderMove } from './order-states.ts';
import type { World } from './world.ts';

/** What buyers and CardTrader itself do: orders, and what they do to stock. */
export interface Sale {
  readonly sellerId: number;
  readonly lines: readonly { readonly productId: number; readonly quantity: number }[];
  /** Through CT Zero: the order starts in `hub_pending`. */
  readonly viaZero?: boolean | undefined;
  /** With CT Zero only: the goods are not out yet. */
  readonly presale?: boolean | undefined;
  /** `buyer`: the account bought this; nothing of its own stock moves. */
  readonly as?: 'seller' | 'buyer' | undefined;
}
export type SaleResult = { readonly sold: true; readonly order: Order } | { readonly sold: false; readonly reason: 'unknown_product' | 'insufficient_stock' | 'bad_quantity' };

/** All lines or none; the listing is lower at once. */
export function sell(world: World, { sellerId, lines, viaZero = false, presale = false, as = 'seller' }: Sale): SaleResult {
  const now = world.clock.now();
  const wanted = new Map<number, number>();
  for (const { productId, quantity } of lines) {
    if (!Number.isInteger(quantity) || quantity < 1) return { sold: false, reason: 'bad_quantity' };
    wanted.set(productId, (wanted.get(productId) ?? 0) + quantity);
  }
  if (wanted.size === 0) return { sold: false, reason: 'bad_quantity' };
  const products = new Map<number, Product>();
  for (const [id, quantity] of wanted) {
    const product = as === 'seller' ? world.store.productOf(sellerId, id) : world.store.product(id);
    if (product === undefined) return { sold: false, reason: 'unknown_product' };
    if (as === 'seller' && product.quantity < quantity) return { sold: false, reason: 'insufficient_stock' };
    products.set(id, product);
  }
  const id = world.orders.nextId();
  const order: Order = {
    ...blankOrder(world, { id, sellerId, now }),
    as,
    state: viaZero ? 'hub_pending' : 'paid',
    viaZero,
    presale,
    lines: lines.flatMap(({ productId, quantity }) => {
      const product = products.get(productId);
      return product === undefined ? [] : [newLine(world, { product, quantity, hubPendingOrderId: viaZero ? id : null, now })];
    }),
  };
  if (as === 'seller') for (const [productId, quantity] of wanted) takeStock(world, productId, quantity, id);
  world.orders.save(order);
  return { sold: true, order };
}

/** Moves an order, and puts canceled goods back if they are to be relisted. Undefined: its state forbids it. */
export function advance(world: World, order: Order, move: Omit<OrderMove, 'at'>, byApi = false): Order | undefined {
  const moved = moveOrder(order, { ...move, at: world.clock.now() }, world.guesses);
  if (moved === undefined) return undefined;
  if (moved.state === 'canceled' && moved.relist && moved.as === 'seller') for (const line of moved.lines) if (line.deletedAt === null) giveBack(world, line, order.id);
  world.orders.save(moved, byApi);
  return moved;
}

/**
 * The week's end: one new order in `paid` with every line that waits in the hub; the originals are closed. Nothing of it moves
 * stock: each line was counted when it was sold. Undefined: nothing waits.
 */
export function mergeHub(world: World, sellerId: number): Order | undefined {
  const waiting = world.orders.of(sellerId).filter((order) => order.state === 'hub_pending' && (!order.presale || order.presaleEndedAt !== null));
  if (waiting.length === 0) return undefined;
  const now = world.clock.now();
  const lines = waiting.flatMap((order) => order.lines.filter((line) => line.deletedAt === null).map((line) => ({ ...line, id: world.orders.nextId(), createdAt: now })));
  for (const order of waiting) advance(world, order, { event: 'merge' });
  const merged: Order = { ...blankOrder(world, { id: world.orders.nextId(), sellerId, now }), viaZero: true, lines };
  world.orders.save(merged);
  return merged;
}

/**
 * The goods of a presale are out: the order is closed and a new one waits in the hub, whose lines still name the first order.
 * That is why a line counts only where `order.id == hub_pending_order_id`. (How the two follow each other is inferred.)
 */
export function endPresale(world: World, order: Order): Order | undefined {
  const now = world.clock.now();
  if (!order.presale || order.presaleEndedAt !== null || advance(world, order, { event: 'merge' }) === undefined) return undefined;
  const ready: Order = {
    ...blankOrder(world, { id: world.orders.nextId(), sellerId: order.sellerId, now }),
    state: 'hub_pending',
    viaZero: true,
    presale: true,
    presaleEndedAt: now,
    lines: order.lines.map((line) => ({ ...line, id: world.orders.nextId() })),
  };
  world.orders.save(ready);
  return ready;
}

/** One line is taken out of an order that goes on. Undefined: there is no such line any more. */
export function cancelLine(world: World, order: Order, lineId: number, relist: boolean): Order | undefined {
  const line = order.lines.find((one) => one.id === lineId && one.deletedAt === null);
  if (line === undefined) return undefined;
  const now = world.clock.now();
  if (relist) giveBack(world, line, order.id);
  const changed = { ...order, changedAt: now, lines: order.lines.map((one) => (one === line ? { ...line, deletedAt: now } : one)) };
  world.orders.save(changed);
  return changed;
}

/** Takes stock as a sale does: the last copy takes the listing along, or leaves it at 0 (a guess). */
function takeStock(world: World, productId: number, quantity: number, orderId: number): void {
  const product = world.store.product(productId);
  if (product === undefined) return;
  const left = product.quantity - quantity;
  const gone = left === 0 && world.guesses.soldOut === 'vanish';
  if (gone) world.store.remove(productId, world.clock.now());
  else world.store.save({ ...product, quantity: left }, world.clock.now());
  note(world, product, { verb: 'sale', source: 'order', before: product.quantity, after: gone ? null : left, orderId });
}

function giveBack(world: World, line: OrderLine, orderId: number): void {
  const now = world.clock.now();
  const listed = world.store.product(line.product.id);
  if (listed !== undefined) {
    world.store.save({ ...listed, quantity: listed.quantity + line.quantity }, now);
    note(world, listed, { verb: 'relist', source: 'order', before: listed.quantity, after: listed.quantity + line.quantity, orderId });
    return;
  }
  const again = { ...line.product, id: world.guesses.relistedProduct === 'same' ? line.product.id : world.store.nextProductId(), quantity: line.quantity };
  world.store.save(again, now);
  note(world, again, { verb: 'relist', source: 'order', before: null, after: again.quantity, orderId });
}

/** A change of stock that no request asked for. */
export function note(world: World, product: Product, what: { verb: Verb; source: Source; before: number | null; after: number | null; orderId?: number }): void {
  world.ledger.add({ at: world.clock.now(), sellerId: product.sellerId, productId: product.id, operationId: null, marker: null, jobId: null, orderId: null, answered: null, ...what });
}

function newLine(world: World, { product, quantity, hubPendingOrderId, now }: { product: Product; quantity: number; hubPendingOrderId: number | null; now: number }): OrderLine {
  return { id: world.orders.nextId(), product, quantity, hubPendingOrderId, deletedAt: null, createdAt: now };
}

function blankOrder(world: World, { id, sellerId, now }: { id: number; sellerId: number; now: number }): Order {
  return {
    id,
    code: `${new Date(now).toISOString().slice(0, 10).replaceAll('-', '')}${world.random.uuidV4().slice(0, 6)}`,
    sellerId,
    as: 'seller',
    state: 'paid',
    stateBefore: null,
    viaZero: false,
    presale: false,
    presaleEndedAt: null,
    trackingCode: null,
    cancelRequester: null,
    relist: false,
    createdAt: now,
    changedAt: now,
    sentAt: null,
    cancelledAt: null,
    lines: [],
  };
}
