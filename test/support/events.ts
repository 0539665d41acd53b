import { randomBytes } from 'node:crypto';
import type { InventoryChanged, PurchaseCancelled, PurchaseRequested } from '../../src/contract/index.ts';
import { StockFold } from '../../src/inventory/index.ts';
import { derivedUuid } from '../../src/platform/ids.ts';
import { PurchaseFold } from '../../src/purchase/index.ts';
import type { DeadEntry, EventEntry } from '../../src/records/index.ts';
import type { SourceRecord } from '../../src/platform/consumer/index.ts';

/** A uuid that can be read: version 4, the number at its end. */
export function uuid(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

export function randomUuid(): string {
  return asUuid(randomBytes(16), 4);
}

/** Made at `ms`. */
export function uuid7(ms: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(ms, 0, 6);
  return asUuid(bytes, 7);
}

function asUuid(bytes: Buffer, version: number): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | (version << 4);
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** An event that says nothing but what is given: SET to 1 of a new item of a new user, just now. */
export function change(given: Partial<InventoryChanged> = {}): InventoryChanged {
  const now = Date.now();
  return {
    event_id: uuid7(now),
    user_id: randomUuid(),
    item_id: randomUuid(),
    kind: 'SET',
    quantity: 1,
    price_cents: null,
    currency: null,
    blueprint_id: null,
    properties: null,
    version: null,
    source: 'test',
    occurred_at: now,
    ...given,
  };
}

/** A purchase of one copy of a new item of a new user, just now, unless something else is given. */
export function purchase(given: Partial<PurchaseRequested> = {}): PurchaseRequested {
  const now = Date.now();
  return { event_id: uuid7(now), purchase_id: randomUuid(), user_id: randomUuid(), buyer_id: null, lines: [line(randomUuid(), 1)], currency: 'EUR', expires_at: null, occurred_at: now, ...given };
}

export const line = (itemId: string, quantity: number): PurchaseRequested['lines'][number] => ({ item_id: itemId, quantity, unit_price_cents: 250 });

export function cancellation(of: Pick<PurchaseRequested, 'user_id' | 'purchase_id'>, given: Partial<PurchaseCancelled> = {}): PurchaseCancelled {
  const now = Date.now();
  return { event_id: uuid7(now), purchase_id: of.purchase_id, user_id: of.user_id, reason: 'changed their mind', occurred_at: now, ...given };
}

/** Changes of one item in order, e.g. `history(user, item, ['SET', 5], ['ADJUST', -2])`. */
export function history(userId: string, itemId: string, ...steps: [kind: InventoryChanged['kind'], quantity: number, more?: Partial<InventoryChanged>][]): InventoryChanged[] {
  return steps.map(([kind, quantity, more]) => change({ user_id: userId, item_id: itemId, kind, quantity, ...more }));
}

export function source(given: Partial<SourceRecord> = {}): SourceRecord {
  return { topic: 'brx.marketplace-events', partition: 0, offset: '0', timestamp: Date.now(), key: null, value: null, headers: {}, ...given };
}

export function entry(event: InventoryChanged, from: Partial<SourceRecord> = {}): EventEntry<'InventoryChanged'> {
  return { kind: 'event', type: 'InventoryChanged', event, source: source({ key: Buffer.from(event.user_id), ...from }) };
}

export function deadEntry(from: Partial<SourceRecord> = {}, more: Partial<DeadEntry> = {}): DeadEntry {
  return { kind: 'dead', source: source(from), reason: 'undecodable', detail: 'a test says so', userId: null, eventId: null, ...more };
}

/** Empty folds, as a chunk begins with. */
export function folds(stock = new StockFold(), now = Date.now()): { stock: StockFold; purchases: PurchaseFold } {
  return { stock, purchases: new PurchaseFold(stock, { now, holdMs: 900_000, derive: derivedUuid }) };
}
