import type { InventoryChanged, PurchaseCancelled, PurchaseRequested, PurchaseSettled } from '../../contract/index.ts';
import { createRandom, type Random } from '../../platform/random.ts';
import { workloadOptions, type WorkloadOptions } from './options.ts';
import { createPoison, type Poison } from './poison.ts';
import { createPurchases, type PurchaseIntent } from './purchases.ts';
import { createZipf } from './zipf.ts';

/**
 * The workload as a stream: nothing of it is kept but what producers themselves would know (the quantity and version of their
 * items) and a window of recent events to repeat, so that its length does not matter. 2.5 µs an event, 3.4 µs with encoding
 * (2-core VM, Node 20).
 */
export interface GeneratedRecord {
  /** Kafka key. */
  key: string;
  /** When its producer sends it, milliseconds since 1970. */
  timestamp: number;
  body: Body;
  /** What its producer meant it to be; what it leads to is for the oracle to say. */
  intent: 'new' | 'set' | 'adjust' | 'remove' | 'negative' | 'duplicate' | 'restamped' | 'stale' | PurchaseIntent | Poison;
}

export type Body =
  /** A record of the contract in Avro's shape, though not always valid. `cut`: so many bytes are missing at the end of what goes out. */
  | { record: 'InventoryChanged'; value: InventoryChanged; cut?: number }
  | { record: 'PurchaseRequested'; value: PurchaseRequested; cut?: number }
  | { record: 'PurchaseCancelled'; value: PurchaseCancelled; cut?: number }
  | { record: 'PurchaseSettled'; value: PurchaseSettled; cut?: number }
  /** These bytes as they are; null is Kafka's tombstone. */
  | { raw: Buffer | null };

/** Something good that was sent, to be sent again. */
interface Sent {
  key: string;
  body: Exclude<Body, { raw: unknown }>;
}

export interface Item {
  id: string;
  onHand: number;
  blueprint: number;
  /** Newest version sent; null when its producer sends none. */
  version: number | null;
}

export interface Seller {
  id: string;
  versioned: boolean;
  items: Item[];
}

const REPEATABLE = 32_768;
const STALE_POOL = 4_096;
const CURRENCIES = ['EUR', 'EUR', 'EUR', 'USD', 'GBP'] as const;
const CONDITIONS = ['Mint', 'Near Mint', 'Near Mint', 'Slightly Played', 'Moderately Played', 'Played', 'Poor'] as const;
const LANGUAGES = ['en', 'en', 'it', 'de', 'fr', 'jp'] as const;
const SOURCES = ['shop', 'shop', 'pos', 'import'] as const;

export function* generateEvents(given: Partial<WorkloadOptions> & { at: number }): Generator<GeneratedRecord, void, undefined> {
  const options = workloadOptions(given);
  const random = createRandom(options.seed);
  const sellers = createSellers(random, options);
  const nextSeller = createZipf(random, options.users, options.skew);
  const poison = createPoison(random, options);
  const { mix } = options;
  const mixTotal = mix.set + mix.adjust + mix.remove;
  const purchases = createPurchases(random, options);
  const sent: Sent[] = [];
  const versioned: { seller: Seller; item: Item }[] = [];
  let ordinary = 0;
  let versionedSeen = 0;

  // One draw decides: [0, 1) is cut into the shares, and what is left over is an ordinary change.
  const poisonTo = options.poison;
  const duplicateTo = poisonTo + options.duplicates;
  const staleTo = duplicateTo + options.stale;
  const newTo = staleTo + options.newItems;
  const negativeTo = newTo + options.negative;
  const purchaseTo = negativeTo + options.purchases;

  for (let index = 0; index < options.events; index += 1) {
    const timestamp = Math.round(options.at - (options.events - 1 - index) * options.intervalMs);
    const late = purchases.due(index, timestamp);
    if (late !== undefined) {
      remember(sent, REPEATABLE, ordinary, { key: late.key, body: late.body });
      ordinary += 1;
      yield late;
      continue;
    }
    const draw = random.unit();

    if (draw < poisonTo) {
      const seller = pick(sellers, nextSeller());
      const item = known(random, seller) ?? newItem(random, seller);
      yield poison({ timestamp, seller, other: pick(sellers, nextSeller()), ordinary: change(random, { seller, item, kind: 'SET', quantity: 1, timestamp, full: false }) });
      continue;
    }
    if (draw >= poisonTo && draw < duplicateTo && sent.length > 0) {
      yield repeat(random, sent, ordinary, timestamp);
      continue;
    }

    let seller = pick(sellers, nextSeller());
    let item = known(random, seller);
    if (item !== undefined && draw >= negativeTo && draw < purchaseTo) {
      const record = purchases.make({ index, timestamp, seller, item, another: () => known(random, seller) });
      remember(sent, REPEATABLE, ordinary, { key: record.key, body: record.body });
      ordinary += 1;
      yield record;
      continue;
    }
    let kind: InventoryChanged['kind'] = 'SET';
    let intent: GeneratedRecord['intent'];
    let quantity = 1 + random.below(12);
    let stale: number | undefined;
    const old = draw >= duplicateTo && draw < staleTo ? versioned[random.below(versioned.length)] : undefined;
    if (old !== undefined) {
      ({ seller, item } = old);
      stale = Math.max(0, (item.version ?? 0) - random.below(4));
      intent = 'stale';
    } else if (item === undefined || (draw >= staleTo && draw < newTo && seller.items.length < options.itemsPerUser)) {
      item = newItem(random, seller);
      seller.items.push(item);
      intent = 'new';
    } else if (draw >= newTo && draw < negativeTo) {
      kind = 'ADJUST';
      quantity = -(item.onHand + 1 + random.below(5));
      intent = 'negative';
    } else {
      const choice = random.unit() * mixTotal;
      if (choice < mix.set) intent = 'set';
      else if (choice < mix.set + mix.adjust) {
        kind = 'ADJUST';
        intent = 'adjust';
        // As sales and arrivals go: mostly a few down, sometimes a few up, never below what is there.
        quantity = item.onHand > 0 && random.chance(0.65) ? -Math.min(item.onHand, 1 + random.below(3)) : 1 + random.below(4);
      } else {
        kind = 'REMOVE';
        intent = 'remove';
        quantity = 0;
      }
    }

    const value = change(random, { seller, item, kind, quantity, timestamp, full: intent === 'new', stale });
    // A refused event moves neither quantity nor version, so that what is meant to be stale is.
    if (intent !== 'stale' && intent !== 'negative') {
      item.onHand = kind === 'ADJUST' ? item.onHand + quantity : quantity;
      if (value.version !== null) {
        item.version = value.version;
        remember(versioned, STALE_POOL, versionedSeen, { seller, item });
        versionedSeen += 1;
      }
    }
    const body = { record: 'InventoryChanged', value } as const;
    remember(sent, REPEATABLE, ordinary, { key: seller.id, body });
    ordinary += 1;
    yield { key: seller.id, timestamp, body, intent };
  }
}

function createSellers(random: Random, options: WorkloadOptions): Seller[] {
  return Array.from({ length: options.users }, () => ({ id: random.uuidV4(), versioned: random.chance(options.versioned), items: [] }));
}

/** One of the seller's items, earlier ones more often; nothing when it has none yet. */
function known(random: Random, seller: Seller): Item | undefined {
  const draw = random.unit();
  return seller.items[Math.floor(draw * draw * seller.items.length)];
}

interface Change {
  seller: Seller;
  item: Item;
  kind: InventoryChanged['kind'];
  quantity: number;
  timestamp: number;
  /** A first listing says everything. */
  full: boolean;
  /** A version already used; else the next one. */
  stale?: number | undefined;
}

function change(random: Random, { seller, item, kind, quantity, timestamp, full, stale }: Change): InventoryChanged {
  const priced = full || (kind === 'SET' && random.chance(0.6));
  return {
    event_id: random.uuidV7(timestamp),
    user_id: seller.id,
    item_id: item.id,
    kind,
    quantity,
    price_cents: priced ? 5 + Math.floor(20_000 * random.unit() ** 6) : null,
    currency: priced ? pick(CURRENCIES, random.below(CURRENCIES.length)) : null,
    // One listing in twenty does not know its blueprint yet; a later SET may say it.
    blueprint_id: (full ? random.chance(0.95) : kind === 'SET' && random.chance(0.05)) ? item.blueprint : null,
    properties: full || random.chance(0.1) ? properties(random) : null,
    version: stale ?? (item.version === null ? null : item.version + 1 + random.below(3)),
    source: pick(SOURCES, random.below(SOURCES.length)),
    occurred_at: timestamp,
  };
}

function newItem(random: Random, seller: Seller): Item {
  return { id: random.uuidV4(), onHand: 0, blueprint: 1 + random.below(400_000), version: seller.versioned ? 10 : null };
}

function properties(random: Random): Record<string, string> {
  const said: Record<string, string> = { condition: pick(CONDITIONS, random.below(CONDITIONS.length)), language: pick(LANGUAGES, random.below(LANGUAGES.length)) };
  if (random.chance(0.15)) said['foil'] = 'true';
  if (random.chance(0.02)) said['signed'] = 'true';
  return said;
}

/** Seven in ten within the last 500 events (one chunk), the others from further back (another chunk). */
function repeat(random: Random, sent: readonly Sent[], ordinary: number, timestamp: number): GeneratedRecord {
  const reach = random.chance(0.7) ? Math.min(500, sent.length) : sent.length;
  const original = pick(sent, (((ordinary - 1 - random.below(reach)) % REPEATABLE) + REPEATABLE) % REPEATABLE);
  const restamped = random.chance(0.2);
  const body = restamped ? ({ ...original.body, value: { ...original.body.value, occurred_at: timestamp } } as Sent['body']) : original.body;
  return { key: original.key, timestamp, body, intent: restamped ? 'restamped' : 'duplicate' };
}

function remember<T>(window: T[], size: number, position: number, entry: T): void {
  if (window.length < size) window.push(entry);
  else window[position % size] = entry;
}

function pick<T>(from: readonly T[], index: number): T {
  const one = from[index];
  if (one === undefined) throw new RangeError(`no entry ${index} among ${from.length}`);
  return one;
}
