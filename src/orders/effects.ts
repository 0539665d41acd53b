import { CARDTRADER_SOURCE, type InventoryChanged } from '../contract/index.ts';
import { unresolved, type LineRecord, type OrderRecord } from './ledger.ts';

/** Copies to take out of stock now, or to put back: never both. */
export interface Effect {
  readonly take: number;
  readonly giveBack: number;
}

/**
 * What a line still has to do to stock. Copies that left with it are out, those that are on sale again are back; copies called off of
 * which nobody knows yet whether they are on sale again stay as they are, in or out. Pure.
 */
export function effectOf(line: LineRecord): Effect {
  const { itemId, counting, quantity, relisted, taken, returned } = line;
  if (itemId === null || counting === 'undecided') return { take: 0, giveBack: 0 };
  const most = (counting === 'sold' ? quantity : 0) - relisted;
  const least = counting === 'sold' ? most - unresolved(line) : most;
  const out = taken - returned;
  const wanted = Math.min(most, Math.max(least, out));
  return { take: Math.max(0, wanted - out), giveBack: Math.max(0, out - wanted) };
}

/** An order with its effects counted in, and the events that carry them out. */
export interface Carried {
  readonly record: OrderRecord;
  readonly events: readonly InventoryChanged[];
}

/** The id of the event by which a line has taken, or returned, as many copies as it has. */
export function stepId(userId: string, orderId: number, line: LineRecord, step: 'taken' | 'returned', derive: (ms: number, name: string) => string): string {
  return derive(line.soldAt ?? 0, `order/${userId}/${orderId}/${line.lineId}/${step}/${line[step]}`);
}

/**
 * One ADJUST a line that has something to do. Its id follows from the order, the line and how many copies it has taken, or given back, in all: decided
 * again, by whomever, it is the same event.
 */
export function carryOut(userId: string, record: OrderRecord, now: number, derive: (ms: number, name: string) => string): Carried {
  const events: InventoryChanged[] = [];
  const lines = record.lines.map((line): LineRecord => {
    const { take, giveBack } = effectOf(line);
    if (line.itemId === null || take + giveBack === 0) return line;
    const after = { ...line, taken: line.taken + take, returned: line.returned + giveBack };
    events.push({
      event_id: stepId(userId, record.orderId, after, take > 0 ? 'taken' : 'returned', derive),
      user_id: userId,
      item_id: line.itemId,
      kind: 'ADJUST',
      quantity: giveBack - take,
      price_cents: null,
      currency: null,
      blueprint_id: null,
      properties: null,
      version: null,
      source: CARDTRADER_SOURCE,
      occurred_at: now,
    });
    return after;
  });
  return { record: events.length === 0 ? record : { ...record, lines }, events };
}
