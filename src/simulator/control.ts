import { BrxError } from '../errors.ts';
import { addSeller, newToken } from './accounts.ts';
import type { FaultKind, FaultPlan, Injected, Injection } from './faults.ts';
import type { Guesses } from './guesses.ts';
import type { Effect, EffectFilter } from './ledger.ts';
import type { Bucket } from './limits.ts';
import type { Blueprint, Order, Product, Properties, Seller } from './model.ts';
import type { OrderMove } from './order-states.ts';
import type { OrderObserver } from './orders.ts';
import { densestWindow, type RequestCounts, type RequestRecord } from './requests.ts';
import { advance, cancelLine, endPresale, mergeHub, note, sell, type Sale, type SaleResult } from './sales.ts';
import { defaults, FIRST_SELLER_ID } from './stock.ts';
import type { Delivery, WebhookFault, WebhookInjection, WebhookPlan } from './webhooks.ts';
import type { World } from './world.ts';

/**
 * The hands of a test, a demo or a benchmark: what happens on the site and at CardTrader, what goes wrong, and what was seen.
 * Everything takes effect at once. Unknown ids throw BRX_USAGE: the caller made them up.
 */
export interface Control {
  readonly guesses: Guesses;
  sellers(): (Seller & { readonly token: string | null })[];
  addSeller(seller?: { id?: number | undefined; name?: string | undefined; token?: string | undefined; currency?: string | undefined }): Seller & { readonly token: string };
  /** The token that works now; undefined: none does. */
  token(sellerId: number): string | undefined;
  revokeToken(sellerId: number): void;
  regenerateToken(sellerId: number): string;
  blueprints(): Blueprint[];

  products(sellerId: number): Product[];
  product(productId: number): Product | undefined;
  /** The seller lists something on the site. Without `blueprintId` any card; properties left out take its defaults. */
  addProduct(sellerId: number, product?: NewProduct): Product;
  /** The seller changes a quantity on the site. */
  setQuantity(productId: number, quantity: number): Product;
  removeProduct(productId: number): void;

  /** A buyer takes copies; `lines`, or one product. */
  sell(sale: Omit<Sale, 'lines'> & ({ lines: Sale['lines'] } | { productId: number; quantity?: number | undefined })): SaleResult;
  orders(sellerId: number): Order[];
  order(orderId: number): Order | undefined;
  /** Undefined: the order's state forbids it. */
  moveOrder(orderId: number, move: Omit<OrderMove, 'at'>): Order | undefined;
  cancelLine(orderId: number, lineId: number, options?: { relist?: boolean }): Order | undefined;
  /** The week's end for one seller: the merged order, if anything waited. */
  mergeHub(sellerId: number): Order | undefined;
  endPresale(orderId: number): Order | undefined;
  /** Told of each order that is new or changed; returns how to stop that. */
  onOrder(observer: OrderObserver): () => void;

  /** Where the seller's app wants to be told of orders; null: nowhere. */
  setWebhook(sellerId: number, url: string | null): void;
  setWebhookFaults(plan: WebhookPlan): void;
  /** On the next webhook (of this seller). */
  injectWebhook(injection: WebhookInjection): void;
  /** Sends everything that was sent to a seller once more, byte for byte; answers how many. */
  replayWebhooks(sellerId: number): number;
  /** Webhooks as they were sent, or lost, oldest first. */
  webhooks(sellerId?: number): Delivery[];
  webhookFaults(): Readonly<Record<WebhookFault, number>>;

  /** Exactly once (or `times`), on the next request that fits. */
  inject(injection: Injection): Injected;
  setFaults(plan: FaultPlan): void;
  clearFaults(): void;
  /** How often each kind fired. */
  faults(): Readonly<Record<FaultKind, number>>;
  /** Injections that still wait. */
  waitingFaults(): readonly Injection[];

  /** How often an operation took effect: 0 or 1, if its client is careful. */
  effects(operationId: string): number;
  ledger(filter?: EffectFilter): Effect[];
  /** Operations with more than one effect. */
  repeated(): { operationId: string; times: number }[];
  /** Of one seller, or of all. */
  requests(sellerId?: number): RequestCounts;
  recentRequests(sellerId?: number): RequestRecord[];
  /** Times at which a seller's requests arrived, ascending, refused ones included. */
  arrivals(sellerId: number, bucket?: Bucket): readonly number[];
  /** Most of a seller's requests in any window of 10 s (or `windowMs`). */
  densestWindow(sellerId: number, options?: { bucket?: Bucket; windowMs?: number }): number;

  /** TCP connections of clients, of the control side too: now, and the most there were at once. */
  readonly connections: Connections;

  /** Late effects, slow answers and jobs that are not over. */
  readonly pending: number;
  /** Resolves when there are none; throws what failed in them. */
  idle(): Promise<void>;
  /** Everything as at the start, with the stock it began with. */
  reset(): Promise<void>;
}

export interface NewProduct {
  readonly id?: number | undefined;
  readonly blueprintId?: number | undefined;
  readonly quantity?: number | undefined;
  readonly priceCents?: number | undefined;
  readonly description?: string | null | undefined;
  readonly properties?: Properties | undefined;
  readonly graded?: boolean | null | undefined;
  readonly tag?: string | null | undefined;
  readonly userData?: string | null | undefined;
}

export interface Connections {
  readonly open: number;
  readonly most: number;
}

export interface ControlParts {
  readonly world: () => World;
  readonly connections: () => Connections;
  readonly orderObservers: Set<OrderObserver>;
  readonly reset: () => Promise<void>;
}

export function createControl({ world, connections, orderObservers, reset }: ControlParts): Control {
  const withToken = (seller: Seller) => ({ ...seller, token: world().store.tokenOf(seller.id) ?? null });
  const sellerOf = (id: number): Seller => must(world().store.seller(id), `seller ${id}`);
  const productOf = (id: number): Product => must(world().store.product(id), `product ${id}`);
  const orderOf = (id: number): Order => must(world().orders.get(id), `order ${id}`);
  return {
    get guesses() {
      return world().guesses;
    },
    sellers: () => world().store.sellers().map(withToken),
    addSeller({ id, name, token, currency = 'EUR' } = {}) {
      const newId = id ?? Math.max(FIRST_SELLER_ID - 1, ...world().store.sellers().map((seller) => seller.id)) + 1;
      if (world().store.seller(newId) !== undefined) throw taken(`seller ${newId}`);
      const seller = addSeller(world(), { id: newId, name: name ?? `seller-${newId}`, token, currency, products: [] });
      return { ...seller, token: world().store.tokenOf(newId) ?? '' };
    },
    token: (sellerId) => world().store.tokenOf(sellerOf(sellerId).id),
    revokeToken: (sellerId) => world().store.setToken(sellerOf(sellerId).id, undefined),
    regenerateToken(sellerId) {
      const token = newToken(world().random, sellerOf(sellerId), world().clock.now());
      world().store.setToken(sellerId, token);
      return token;
    },
    blueprints: () => [...world().store.blueprints.values()],

    products: (sellerId) => world().store.productsOf(sellerOf(sellerId).id),
    product: (productId) => world().store.product(productId),
    addProduct(sellerId, { id, blueprintId, quantity = 1, priceCents = 100, description = null, properties = {}, graded = false, tag = null, userData = null } = {}) {
      const { store, clock, random } = world();
      const cards = [...store.blueprints.values()];
      const blueprint = must(blueprintId === undefined ? cards[random.below(cards.length)] : store.blueprints.get(blueprintId), `blueprint ${blueprintId ?? ''}`);
      if (id !== undefined && store.product(id) !== undefined) throw taken(`product ${id}`);
      const product: Product = { id: id ?? store.nextProductId(), sellerId: sellerOf(sellerId).id, blueprint, quantity, priceCents, description, properties: { ...defaults(blueprint), ...properties }, graded, tag, userData };
      store.save(product, clock.now());
      note(world(), product, { verb: 'set', source: 'control', before: null, after: quantity });
      return product;
    },
    setQuantity(productId, quantity) {
      const product = productOf(productId);
      const changed = { ...product, quantity };
      world().store.save(changed, world().clock.now());
      note(world(), changed, { verb: 'set', source: 'control', before: product.quantity, after: quantity });
      return changed;
    },
    removeProduct(productId) {
      const product = productOf(productId);
      world().store.remove(productId, world().clock.now());
      note(world(), product, { verb: 'vanish', source: 'control', before: product.quantity, after: null });
    },

    sell(sale) {
      sellerOf(sale.sellerId);
      return sell(world(), 'lines' in sale ? sale : { ...sale, lines: [{ productId: sale.productId, quantity: sale.quantity ?? 1 }] });
    },
    orders: (sellerId) => world().orders.of(sellerOf(sellerId).id),
    order: (orderId) => world().orders.get(orderId),
    moveOrder: (orderId, move) => advance(world(), orderOf(orderId), move),
    cancelLine: (orderId, lineId, { relist = false } = {}) => cancelLine(world(), orderOf(orderId), lineId, relist),
    mergeHub: (sellerId) => mergeHub(world(), sellerOf(sellerId).id),
    endPresale: (orderId) => endPresale(world(), orderOf(orderId)),
    onOrder(observer) {
      orderObservers.add(observer);
      return () => void orderObservers.delete(observer);
    },

    setWebhook: (sellerId, url) => world().webhooks.setUrl(sellerOf(sellerId).id, url),
    setWebhookFaults: (plan) => world().webhooks.setPlan(plan),
    injectWebhook: (injection) => world().webhooks.inject(injection),
    replayWebhooks: (sellerId) => world().webhooks.replay(sellerOf(sellerId).id),
    webhooks: (sellerId) => world().webhooks.deliveries(sellerId),
    webhookFaults: () => world().webhooks.fired,

    inject: (injection) => world().faults.inject(injection),
    setFaults: (plan) => world().faults.setPlan(plan),
    clearFaults: () => world().faults.clear(),
    faults: () => world().faults.fired,
    waitingFaults: () => world().faults.waiting,

    effects: (operationId) => world().ledger.count(operationId),
    ledger: (filter) => world().ledger.list(filter),
    repeated: () => world().ledger.repeated(),
    requests: (sellerId) => world().requests.counts(sellerId),
    recentRequests: (sellerId) => world().requests.recent(sellerId),
    arrivals: (sellerId, bucket) => world().requests.arrivals(sellerId, bucket),
    densestWindow: (sellerId, { bucket = 'all', windowMs = 10_000 } = {}) => densestWindow(world().requests.arrivals(sellerId, bucket), windowMs),

    get connections() {
      return connections();
    },
    get pending() {
      return world().background.size;
    },
    idle: () => world().background.idle(),
    reset,
  };
}

function must<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new BrxError('BRX_USAGE', `there is no ${what}`);
  return value;
}

const taken = (what: string): BrxError => new BrxError('BRX_USAGE', `${what} is there already`);
