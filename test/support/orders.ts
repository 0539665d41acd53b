import type { OrderLine, RemoteOrder } from '../../src/marketplace/index.ts';
import { see, type Circumstances } from '../../src/orders/decide.ts';
import { carryOut } from '../../src/orders/effects.ts';
import type { OrderRecord } from '../../src/orders/ledger.ts';
import { resolve } from '../../src/orders/relisted.ts';
import { derivedUuid } from '../../src/platform/ids.ts';
import { uuid } from './events.ts';

export const USER = uuid(1);
export const NOW = Date.UTC(2026, 10, 25, 12);
export const ITEM = uuid(100);

export const orderLine = (given: Partial<OrderLine> = {}): OrderLine => ({ id: 501, productId: 301, blueprintId: 10, quantity: 2, userDataField: null, name: 'Card', hubPendingOrderId: null, priceCents: 100, currency: 'EUR', createdAt: NOW, deletedAt: null, priceCancelled: false, ...given });

/** An order that was just paid, sold by us, of two copies. */
export const remoteOrder = (given: Partial<RemoteOrder> = {}): RemoteOrder => ({ id: 7, code: 'C', state: 'paid', viaCardtraderZero: false, orderAs: 'seller', presale: null, presaleEndedAt: null, paidAt: NOW, sentAt: null, cancelledAt: null, lines: [orderLine()], ...given });

/** Everything is tied to one item, and the account has been here for a day. */
export const CIRCUMSTANCES: Circumstances = { since: NOW - 86_400_000, itemOf: () => ITEM };

/** A ledger of orders in memory, and the stock its events leave. */
export class OrderBook {
  readonly records = new Map<number, OrderRecord>();
  /** Each event by its id, as often as it was made. */
  readonly events: { id: string; itemId: string; quantity: number }[] = [];
  readonly #circumstances: Circumstances;

  constructor(circumstances: Circumstances = CIRCUMSTANCES) {
    this.#circumstances = circumstances;
  }

  see(order: RemoteOrder, at: number): void {
    this.#save(see(this.records.get(order.id), { order, at }, this.#circumstances));
  }

  /** What a count, or an operator, says of a line. */
  resolve(orderId: number, lineId: number, answer: 'all' | 'none'): void {
    const record = this.records.get(orderId);
    if (record !== undefined) this.#save({ ...record, lines: record.lines.map((line) => (line.lineId === lineId ? resolve(line, answer) : line)) });
  }

  /** What became of stock: as ingest folds it, each event id once. */
  stock(itemId = ITEM): number {
    const seen = new Set<string>();
    return this.events.filter(({ id }) => !seen.has(id) && seen.add(id)).reduce((sum, event) => sum + (event.itemId === itemId ? event.quantity : 0), 0);
  }

  #save(record: OrderRecord): void {
    const carried = carryOut(USER, record, NOW, derivedUuid);
    this.records.set(record.orderId, carried.record);
    this.events.push(...carried.events.map(({ event_id: id, item_id: itemId, quantity }) => ({ id, itemId, quantity })));
  }
}
