import { TOPICS } from '../contract/index.ts';
import { readStock, StockFold } from '../inventory/index.ts';
import { derivedUuid } from '../platform/ids.ts';
import type { Transaction } from '../platform/postgres/index.ts';
import { stepId } from './effects.ts';
import { readTold } from './ledger.sql.ts';

/**
 * Items whose stock has not heard yet of a sale on CardTrader, or of copies that came back there, although the order is known: the ADJUST is in the outbox, on the topic, or
 * parked with its user. Their number here is about to change by it, so nobody may take CardTrader's, which has it already, in its place:
 *
 *   5 here, 2 sold there and told ─► an export says 3 ─► SET 3 here ─► the ADJUST: 1 here
 *
 * What a topic does not keep any more is not waited for. Needs the user's lane.
 */
export async function unheardItems(tx: Transaction, userId: string, itemIds: readonly string[]): Promise<ReadonlySet<string>> {
  const told = itemIds.length === 0 ? [] : await readTold(tx, userId, itemIds, TOPICS.marketplaceEvents.retentionMs / 1_000);
  const steps = told.flatMap(({ orderId, line }) => (['taken', 'returned'] as const).filter((step) => line[step] > 0).map((step) => ({ itemId: line.itemId, eventId: stepId(userId, orderId, line, step, derivedUuid) })));
  if (steps.length === 0) return new Set();
  const heard = await readStock(tx, new StockFold(), steps.map(({ eventId }) => eventId));
  return new Set(steps.flatMap(({ itemId }, index) => (itemId === null || heard.has(index) ? [] : [itemId])));
}
