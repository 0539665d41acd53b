import type { Blueprint, Expansion, Game, Product, Seller } from './model.ts';

export interface Catalogue {
  readonly games: readonly Game[];
  readonly expansions: readonly Expansion[];
  readonly blueprints: readonly Blueprint[];
}

/** One change of a product, to look back: what was there before it. */
interface Change {
  readonly at: number;
  readonly productId: number;
  readonly before: Product | undefined;
}

interface Account {
  readonly seller: Seller;
  readonly products: Map<number, Product>;
  /** Product ids by blueprint: an export by blueprint touches those products only. */
  readonly byBlueprint: Map<number, Set<number>>;
  /** Oldest first. */
  changes: Change[];
  token: string | undefined;
}

/** How far back a stale export may look, ms. */
export const HORIZON_MS = 120_000;
/** Old changes are dropped when so many have gathered since the last time. */
const PRUNE_EVERY = 512;

/** Sellers, their tokens and their products, in memory. Every change of a product goes through `save` or `remove`. */
export class Store {
  readonly games: readonly Game[];
  readonly expansions: ReadonlyMap<number, Expansion>;
  readonly blueprints: ReadonlyMap<number, Blueprint>;
  readonly #accounts = new Map<number, Account>();
  readonly #tokens = new Map<string, Account>();
  readonly #owners = new Map<number, Account>();
  /** Accounts that have something of a blueprint, for the search over all sellers. */
  readonly #offering = new Map<number, Set<Account>>();
  #lastProductId = 300_000_000;

  constructor(catalogue: Catalogue) {
    this.games = catalogue.games;
    this.expansions = new Map(catalogue.expansions.map((expansion) => [expansion.id, expansion]));
    this.blueprints = new Map(catalogue.blueprints.map((blueprint) => [blueprint.id, blueprint]));
  }

  get productCount(): number {
    return this.#owners.size;
  }

  /** By id. */
  sellers(): Seller[] {
    return [...this.#accounts.values()].map((account) => account.seller);
  }

  seller(id: number): Seller | undefined {
    return this.#accounts.get(id)?.seller;
  }

  addSeller(seller: Seller, token: string): void {
    this.#accounts.set(seller.id, { seller, products: new Map(), byBlueprint: new Map(), changes: [], token: undefined });
    this.setToken(seller.id, token);
  }

  byToken(token: string): Seller | undefined {
    return this.#tokens.get(token)?.seller;
  }

  tokenOf(sellerId: number): string | undefined {
    return this.#accounts.get(sellerId)?.token;
  }

  /** A new token kills the old one; undefined: no token works any more. */
  setToken(sellerId: number, token: string | undefined): void {
    const account = this.#account(sellerId);
    if (account.token !== undefined) this.#tokens.delete(account.token);
    account.token = token;
    if (token !== undefined) this.#tokens.set(token, account);
  }

  nextProductId(): number {
    return (this.#lastProductId += 1);
  }

  product(id: number): Product | undefined {
    return this.#owners.get(id)?.products.get(id);
  }

  /** Only if it is this seller's. */
  productOf(sellerId: number, id: number): Product | undefined {
    return this.#accounts.get(sellerId)?.products.get(id);
  }

  save(product: Product, at: number): void {
    const account = this.#account(product.sellerId);
    this.#remember(account, product.id, at);
    account.products.set(product.id, product);
    if (this.#owners.has(product.id)) return;
    this.#owners.set(product.id, account);
    this.#lastProductId = Math.max(this.#lastProductId, product.id);
    within(account.byBlueprint, product.blueprint.id).add(product.id);
    within(this.#offering, product.blueprint.id).add(account);
  }

  remove(id: number, at: number): void {
    const account = this.#owners.get(id);
    const product = account?.products.get(id);
    if (account === undefined || product === undefined) return;
    this.#remember(account, id, at);
    account.products.delete(id);
    this.#owners.delete(id);
    const siblings = account.byBlueprint.get(product.blueprint.id);
    siblings?.delete(id);
    if (siblings?.size === 0) {
      account.byBlueprint.delete(product.blueprint.id);
      this.#offering.get(product.blueprint.id)?.delete(account);
    }
  }

  /** A seller's products, oldest first; of one blueprint without looking at the others. */
  productsOf(sellerId: number, blueprintId?: number): Product[] {
    const account = this.#account(sellerId);
    if (blueprintId === undefined) return [...account.products.values()];
    return [...(account.byBlueprint.get(blueprintId) ?? [])].flatMap((id) => account.products.get(id) ?? []);
  }

  /** A seller's products as they were at a moment, at most `HORIZON_MS` ago: the changes since then undone, newest first. */
  productsAt(sellerId: number, at: number): Product[] {
    const account = this.#account(sellerId);
    const past = new Map(account.products);
    for (const change of account.changes.toReversed()) {
      if (change.at <= at) break;
      if (change.before === undefined) past.delete(change.productId);
      else past.set(change.productId, change.before);
    }
    return [...past.values()].sort((a, b) => a.id - b.id);
  }

  /** Everyone's products of a blueprint. */
  offers(blueprintId: number): Product[] {
    return [...(this.#offering.get(blueprintId) ?? [])].flatMap((account) => this.productsOf(account.seller.id, blueprintId));
  }

  #account(sellerId: number): Account {
    const account = this.#accounts.get(sellerId);
    if (account === undefined) throw new Error(`there is no seller ${sellerId}`);
    return account;
  }

  #remember(account: Account, productId: number, at: number): void {
    account.changes.push({ at, productId, before: account.products.get(productId) });
    if (account.changes.length % PRUNE_EVERY === 0) account.changes = account.changes.filter((change) => change.at > at - HORIZON_MS);
  }
}

function within<Key, Value>(map: Map<Key, Set<Value>>, key: Key): Set<Value> {
  let set = map.get(key);
  if (set === undefined) map.set(key, (set = new Set()));
  return set;
}
