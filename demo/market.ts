import { addSeller, linkListings, openAccess, openToken } from '../src/marketplace/index.ts';
import type { GeneratedRecord } from '../src/operations/generate/index.ts';
import { systemClock } from '../src/platform/clock.ts';
import { silentLogger } from '../src/platform/log.ts';
import type { Postgres } from '../src/platform/postgres/index.ts';
import { createRandom, type Random } from '../src/platform/random.ts';
import { startSimulator, type FaultPlan, type Simulator } from '../src/simulator/index.ts';
import type { Run } from './run.ts';

/**
 * The run's own CardTrader: a stand-in that keeps the documented limits, answers badly about once in twelve requests, and writes down
 * what took effect; and the sellers who list there. Their stock changes by sales alone, so that it must be the same on both sides.
 */
export interface Market {
  readonly simulator: Simulator;
  readonly sellers: readonly MarketSeller[];
  /** Records that bring the sellers' stock here. */
  readonly opening: readonly GeneratedRecord[];
  /** What buyers do on the sellers' own marketplace, in order: more sales than there are copies of some cards, some called off. */
  readonly sales: readonly GeneratedRecord[];
}

export interface MarketSeller {
  readonly user: string;
  /** At CardTrader. */
  readonly sellerId: number;
  readonly token: string;
  readonly items: readonly { readonly id: string; readonly copies: number; readonly productId: number }[];
}

/** One request in twelve or so, of those it can happen to; nothing that needs a hand, and no sale of CardTrader's own. */
const FAULTS: FaultPlan = {
  response_lost: 0.015,
  error_after_apply: 0.01,
  applied_late: { chance: 0.01, delayMs: 500 },
  error_before_apply: 0.01,
  reset_before_apply: 0.01,
  reset_mid_body: 0.01,
  html_error: 0.01,
  truncated_export: 0.01,
  stale_export: { chance: 0.01, delayMs: 1_300 },
  slow_answer: { chance: 0.01, delayMs: 1_000 },
};
/** What the workers are told of it: as short as lets a lost answer be over within the run. */
export const MARKET_SETTINGS = { BRX_MARKETPLACE_CONNECT_TIMEOUT_MS: '1000', BRX_MARKETPLACE_READ_TIMEOUT_MS: '3000', BRX_MARKETPLACE_WRITE_TIMEOUT_MS: '2000', BRX_MARKETPLACE_EXPORT_TIMEOUT_MS: '10000', BRX_DISPATCHER_QUARANTINE_MS: '2500', BRX_DISPATCHER_LEASE_MS: '4000', BRX_RECONCILE_WINDOW: 'off' };

const EVENTS_A_SELLER = 10_000;
const MOST_SELLERS = 20;
const ITEMS_A_SELLER = 20;
/** A seller may make 200 requests in 10 s, and a sale takes three or four: more sales would only make the run longer. */
const SALES_A_SELLER = 40;
const CALLED_OFF = 0.1;

export async function openMarket({ events, seed }: { events: number; seed: number }): Promise<Market> {
  const simulator = await startSimulator({ seed, stock: { sellers: 0, products: 0 } });
  const random = createRandom(seed);
  const at = systemClock.now();
  const { control } = simulator;
  const sellers = Array.from({ length: Math.max(2, Math.min(MOST_SELLERS, Math.floor(events / EVENTS_A_SELLER))) }, (): MarketSeller => {
    const account = control.addSeller();
    const items = Array.from({ length: ITEMS_A_SELLER }, () => {
      const id = random.uuidV4();
      const copies = 1 + random.below(4);
      return { id, copies, productId: control.addProduct(account.id, { quantity: copies, priceCents: 50 + random.below(5_000), userData: id }).id };
    });
    return { user: random.uuidV4(), sellerId: account.id, token: account.token, items };
  });
  const opening = sellers.flatMap(({ user, items }) => items.map(({ id, copies }) => listed(random, at, user, id, copies)));
  return { simulator, sellers, opening, sales: makeSales(random, at, sellers) };
}

/** Takes the sellers' accounts and listings on, as `users add` and `listings link` do. From then on CardTrader misbehaves. */
export async function connectSellers({ simulator, sellers }: Market, run: Run, postgres: Postgres): Promise<void> {
  const access = openAccess(run.config, { clock: systemClock, logger: silentLogger, connectionName: 'brx-demo' });
  const by = { who: 'demo', reason: 'demo' };
  try {
    const accounts = { postgres, keyring: access.keyring, client: access.client };
    for (const { user, token } of sellers) {
      await addSeller(accounts, user, token, { ...by, otherAccount: false });
      await linkListings({ postgres, clock: systemClock, client: access.client }, { userId: user, token: await openToken(accounts, user) }, { who: by.who, force: false });
    }
  } finally {
    await access.close();
  }
  simulator.control.setFaults(FAULTS);
}

function listed(random: Random, at: number, user: string, item: string, quantity: number): GeneratedRecord {
  const value = { event_id: random.uuidV7(at), user_id: user, item_id: item, kind: 'SET' as const, quantity, price_cents: 100, currency: 'EUR', blueprint_id: 10_000, properties: null, version: null, source: 'demo', occurred_at: at };
  return { key: user, timestamp: at, intent: 'new', body: { record: 'InventoryChanged', value } };
}

function makeSales(random: Random, at: number, sellers: readonly MarketSeller[]): GeneratedRecord[] {
  const records: GeneratedRecord[] = [];
  for (const { user, items } of Array.from({ length: SALES_A_SELLER }, () => sellers).flat()) {
    const wanted = items.filter(() => random.chance(1.4 / items.length)).slice(0, 3);
    const lines = (wanted.length > 0 ? wanted : items.slice(0, 1)).map(({ id }) => ({ item_id: id, quantity: random.chance(0.8) ? 1 : 2, unit_price_cents: 100 }));
    const purchase_id = random.uuidV4();
    const common = { purchase_id, user_id: user, occurred_at: at };
    records.push({ key: user, timestamp: at, intent: 'purchase', body: { record: 'PurchaseRequested', value: { ...common, event_id: random.uuidV7(at), buyer_id: null, lines, currency: 'EUR', expires_at: null } } });
    if (random.chance(CALLED_OFF)) records.push({ key: user, timestamp: at, intent: 'cancel', body: { record: 'PurchaseCancelled', value: { ...common, event_id: random.uuidV7(at), reason: 'the buyer changed their mind' } } });
  }
  return records;
}

/** Both in their own order, the second spread evenly over the first. */
export function* interleave<T>(many: Iterable<T>, manyCount: number, few: readonly T[]): Generator<T, void, undefined> {
  let index = 0;
  let next = 0;
  for (const one of many) {
    yield one;
    index += 1;
    const until = Math.floor((index * few.length) / manyCount);
    yield* few.slice(next, until);
    next = Math.max(next, until);
  }
  yield* few.slice(next);
}

/** What CardTrader says at the end, against what is here. */
export interface MarketFacts {
  readonly requests: number;
  /** 429 for a limit that was not kept. */
  readonly throttled: number;
  /** Most requests of one seller in any 10 s. */
  readonly densest: number;
  /** Answers that were lost, late, wrong or an error. */
  readonly faults: number;
  /** Operations that took effect, and those that did so more than once. */
  readonly operations: number;
  readonly repeated: number;
  readonly items: number;
  /** Items whose number is another one there than here. */
  readonly unequal: readonly string[];
}

export function marketFacts({ simulator, sellers }: Market, onHand: ReadonlyMap<string, number>): MarketFacts {
  const { control } = simulator;
  const unequal = sellers.flatMap(({ sellerId, items }) => {
    const products = control.products(sellerId);
    return items.flatMap(({ id }) => {
      const there = products.filter(({ userData }) => userData?.includes(id) === true).reduce((sum, { quantity }) => sum + quantity, 0);
      return there === onHand.get(id) ? [] : [`item ${id}: ${onHand.get(id) ?? 'nothing'} here, ${there} there`];
    });
  });
  const { requests, throttled } = control.requests();
  return {
    requests,
    throttled,
    densest: Math.max(0, ...sellers.map(({ sellerId }) => control.densestWindow(sellerId))),
    faults: Object.values(control.faults()).reduce((sum, times) => sum + times, 0),
    operations: new Set(control.ledger().flatMap(({ operationId }) => operationId ?? [])).size,
    repeated: control.repeated().length,
    items: sellers.reduce((sum, { items }) => sum + items.length, 0),
    unequal,
  };
}
