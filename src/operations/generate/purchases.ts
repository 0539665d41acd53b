import type { PurchaseRequested } from '../../contract/index.ts';
import type { Random } from '../../platform/random.ts';
import type { GeneratedRecord, Item, Seller } from './events.ts';
import type { WorkloadOptions } from './options.ts';

/** What the producer of a purchase meant; what comes of it depends on what the sagas before it have come to by then. */
export type PurchaseIntent = 'purchase' | 'purchase_too_much' | 'purchase_unknown_item' | 'purchase_again' | 'cancel' | 'cancel_early' | 'cancel_unknown';

export interface Purchases {
  /** A purchase; may plan its cancellation, and may come out as the cancellation itself, with the purchase to follow. */
  make(input: PurchaseInput): GeneratedRecord;
  /** What was planned for this place in the stream, if anything. Draws nothing when nothing was. */
  due(index: number, timestamp: number): GeneratedRecord | undefined;
}

export interface PurchaseInput {
  index: number;
  timestamp: number;
  seller: Seller;
  item: Item;
  /** Another of the seller's items, or the same. */
  another: () => Item | undefined;
}

/** Shares of the purchases that are odd in one way each; what is left over is ordinary. */
const ODD = { tooMuch: 0.1, unknownItem: 0.03, again: 0.03 } as const;
/** Of the cancellations: sent before their purchase, and for a purchase nobody ever sends. */
const EARLY = 0.05;
const UNKNOWN = 0.05;
/** Purchases whose upstream gives up waiting at some time. */
const EXPIRING = 0.2;
/** Within so many events a planned record follows, mostly in another chunk. */
const WITHIN = 2_000;
const PURCHASES_KEPT = 512;

/** Purchases as marketplaces see them: mostly one copy of one item, now and then up to three items, some called off. */
export function createPurchases(random: Random, { cancels, events }: WorkloadOptions): Purchases {
  const planned = new Map<number, (timestamp: number) => GeneratedRecord>();
  const recent: PurchaseRequested[] = [];
  let made = 0;

  /** Puts a record into a place that is still free; what would lie behind the end does not come. */
  const plan = (index: number, record: (timestamp: number) => GeneratedRecord): void => {
    let place = index + 1 + (random.chance(0.5) ? random.below(20) : random.below(WITHIN));
    while (planned.has(place)) place += 1;
    if (place < events) planned.set(place, record);
  };
  const request = (value: PurchaseRequested, timestamp: number, intent: PurchaseIntent): GeneratedRecord => ({
    key: value.user_id,
    timestamp,
    body: { record: 'PurchaseRequested', value: { ...value, event_id: random.uuidV7(timestamp), occurred_at: timestamp } },
    intent,
  });
  const cancel = ({ user_id, purchase_id }: Pick<PurchaseRequested, 'user_id' | 'purchase_id'>, timestamp: number, intent: PurchaseIntent): GeneratedRecord => ({
    key: user_id,
    timestamp,
    body: { record: 'PurchaseCancelled', value: { event_id: random.uuidV7(timestamp), purchase_id, user_id, reason: 'the buyer changed their mind', occurred_at: timestamp } },
    intent,
  });

  return {
    due(index, timestamp) {
      const record = planned.get(index);
      if (record === undefined) return undefined;
      planned.delete(index);
      return record(timestamp);
    },

    make({ index, timestamp, seller, item, another }) {
      const odd = random.unit();
      const again = odd < ODD.again ? recent[random.below(recent.length)] : undefined;
      if (again !== undefined) return request(again, timestamp, 'purchase_again');
      const tooMuch = odd >= ODD.again && odd < ODD.again + ODD.tooMuch;
      const unknownItem = odd >= ODD.again + ODD.tooMuch && odd < ODD.again + ODD.tooMuch + ODD.unknownItem;

      // Buyers see what there is: where nothing is left they look on, twice.
      const inStock = (first: Item): Item => [first, another(), another()].find((each) => each !== undefined && each.onHand > 0) ?? first;
      const items = [inStock(item)];
      for (let more = random.chance(0.3) ? 1 + random.below(2) : 0; more > 0; more -= 1) items.push(inStock(another() ?? item));
      const lines = items.map((each, line) => {
        const quantity = tooMuch && line === 0 ? each.onHand + 1 + random.below(5) : Math.max(1, Math.min(each.onHand, 1 + random.below(3)));
        return { item_id: unknownItem && line === 0 ? random.uuidV4() : each.id, quantity, unit_price_cents: 5 + Math.floor(20_000 * random.unit() ** 6) };
      });
      const value: PurchaseRequested = {
        event_id: '',
        purchase_id: random.uuidV4(),
        user_id: seller.id,
        buyer_id: random.chance(0.8) ? `buyer-${random.below(10_000)}` : null,
        lines,
        currency: 'EUR',
        expires_at: random.chance(EXPIRING) ? timestamp + 1_000 + random.below(900_000) : null,
        occurred_at: timestamp,
      };
      const sound = !tooMuch && !unknownItem;
      // The producer takes what it sold off its own number, so that its next adjustment fits. What comes back it does not hear of here.
      if (sound) items.forEach((each, line) => (each.onHand = Math.max(0, each.onHand - (lines[line]?.quantity ?? 0))));
      if (recent.length < PURCHASES_KEPT) recent.push(value);
      else recent[made % PURCHASES_KEPT] = value;
      made += 1;

      const intent = tooMuch ? 'purchase_too_much' : unknownItem ? 'purchase_unknown_item' : 'purchase';
      if (random.chance(cancels)) {
        const way = random.unit();
        if (way < EARLY) {
          plan(index, (at) => request(value, at, intent));
          return cancel(value, timestamp, 'cancel_early');
        }
        const stranger = way < EARLY + UNKNOWN ? { user_id: seller.id, purchase_id: random.uuidV4() } : undefined;
        plan(index, (at) => (stranger === undefined ? cancel(value, at, 'cancel') : cancel(stranger, at, 'cancel_unknown')));
      }
      return request(value, timestamp, intent);
    },
  };
}
