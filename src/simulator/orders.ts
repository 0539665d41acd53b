import type { Guesses } from './guesses.ts';
import type { Order } from './model.ts';

/** Told of every order that is new or changed. `byApi`: the owner did it through the API, of which the real webhook says nothing. */
export type OrderObserver = (change: { readonly order: Order; readonly cause: 'create' | 'update'; readonly byApi: boolean }) => void;

/** Orders by account. Webhooks begin here. */
export class Orders {
  readonly #byId = new Map<number, Order>();
  /** Ids of an account, ascending. */
  readonly #bySeller = new Map<number, number[]>();
  readonly #observers: Set<OrderObserver>;
  readonly #webhooks: OrderObserver;
  #lastId = 31_000_000;

  constructor(observers: Set<OrderObserver>, webhooks: OrderObserver) {
    this.#observers = observers;
    this.#webhooks = webhooks;
  }

  get size(): number {
    return this.#byId.size;
  }

  nextId(): number {
    return (this.#lastId += 1);
  }

  get(id: number): Order | undefined {
    return this.#byId.get(id);
  }

  save(order: Order, byApi = false): void {
    const cause = this.#byId.has(order.id) ? 'update' : 'create';
    this.#byId.set(order.id, order);
    if (cause === 'create') {
      const ids = this.#bySeller.get(order.sellerId);
      if (ids === undefined) this.#bySeller.set(order.sellerId, [order.id]);
      else ids.push(order.id);
    }
    for (const observer of [...this.#observers, this.#webhooks]) observer({ order, cause, byApi });
  }

  /** Oldest first. */
  of(sellerId: number): Order[] {
    return (this.#bySeller.get(sellerId) ?? []).flatMap((id) => this.#byId.get(id) ?? []);
  }
}

const DAY_MS = 86_400_000;

/** `GET /orders`: what its parameters ask for, of one account's orders. What cannot be read falls back to the default. */
export function findOrders(orders: readonly Order[], query: URLSearchParams, guesses: Guesses): Order[] {
  const number = (name: string): number | undefined => (/^\d+$/.test(query.get(name) ?? '') ? Number(query.get(name)) : undefined);
  const day = (name: string): number | undefined => (/^\d{4}-\d\d-\d\d$/.test(query.get(name) ?? '') ? Date.parse(query.get(name) ?? '') : undefined);
  const dateOf = (order: Order): number => (guesses.orderDates === 'creation' ? order.createdAt : order.changedAt);
  const [from, to, fromId, toId] = [day('from'), day('to'), number('from_id'), number('to_id')];
  const state = query.get('state');
  const as = query.get('order_as') ?? (guesses.orderAsDefault === 'seller' ? 'seller' : null);
  const found = orders.filter(
    (order) =>
      (from === undefined || dateOf(order) >= from) &&
      (to === undefined || dateOf(order) < to + DAY_MS) &&
      (fromId === undefined || order.id > fromId) &&
      (toId === undefined || order.id <= toId) &&
      (state === null || order.state === state) &&
      (as === null || order.as === as),
  );
  const [key, direction] = /^(id|date)\.(asc|desc)$/.exec(query.get('sort') ?? '')?.slice(1) ?? ['date', 'desc'];
  const sign = direction === 'asc' ? 1 : -1;
  found.sort((a, b) => sign * ((key === 'date' ? dateOf(a) - dateOf(b) : 0) || a.id - b.id));
  const asked = number('limit') ?? 20;
  const limit = asked >= 1 && asked <= 100 ? asked : 20;
  const page = Math.max(1, number('page') ?? 1);
  return found.slice((page - 1) * limit, page * limit);
}
