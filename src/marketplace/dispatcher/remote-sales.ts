import { readUserDataField, type OrderLine, type RemoteOrder } from '../client/index.ts';

/** Sales on CardTrader that may lie between what we read and what we wrote. Pure. */

/** A line of an order that took copies of a product. */
export interface SoldLine {
  readonly id: number;
  readonly quantity: number;
  /** CardTrader's clock, milliseconds; null: it does not say. */
  readonly at: number | null;
}

/**
 * Lines of `orders` that took copies of this product, except those that are accounted for. An order of CardTrader Zero counts where it
 * was sold (`hub_pending`), not again in the merged one of the week's end (cardtrader.md section 8); a cancelled one counts nowhere.
 */
export function soldLines(orders: readonly RemoteOrder[], { productId, itemId, soldLines: known }: { productId: number; itemId: string; soldLines: readonly number[] }): SoldLine[] {
  return countedLines(orders)
    .filter((line) => (line.productId === null ? readUserDataField(line.userDataField).itemId === itemId : line.productId === productId))
    .filter(({ id }) => !known.includes(id))
    .map(({ id, quantity, at }) => ({ id, quantity, at }));
}

/** A line with the product it took copies of. */
export interface CardLine extends SoldLine, Pick<OrderLine, 'productId' | 'userDataField'> {}

/** Lines of `orders` that took copies of other products of the card than this one, which is gone. */
export const cardLines = (orders: readonly RemoteOrder[], { blueprintId, productId: gone }: { blueprintId: number; productId: number }): CardLine[] =>
  countedLines(orders)
    .filter((line) => line.blueprintId === blueprintId && line.productId !== gone)
    .map(({ id, quantity, at, productId, userDataField }) => ({ id, quantity, at, productId, userDataField }));

function countedLines(orders: readonly RemoteOrder[]): (OrderLine & Pick<SoldLine, 'at'>)[] {
  return orders
    .filter(({ state }) => state !== 'canceled')
    .flatMap((order) => order.lines.filter((line) => line.deletedAt === null && !isMergedAgain(order, line.hubPendingOrderId)).map((line) => ({ ...line, at: line.createdAt ?? order.paidAt })));
}

function isMergedAgain({ id, viaCardtraderZero, state }: RemoteOrder, hubPendingOrderId: number | null): boolean {
  if (viaCardtraderZero !== true) return false;
  return hubPendingOrderId === null ? state === 'paid' || state === 'sent' || state === 'arrived' || state === 'done' : hubPendingOrderId !== id;
}

/** When an order came about, as far as it says; null: unknown. */
export function timeOf({ paidAt, lines }: RemoteOrder): number | null {
  const times = [paidAt, ...lines.map(({ createdAt }) => createdAt)].filter((time) => time !== null);
  return times.length === 0 ? null : Math.max(...times);
}

/** CardTrader's `Date` has whole seconds: what happened in the same one may have been before or after. */
export const DATE_SLACK_MS = 1_000;
/** How far behind an export may be, as far as we reckon with it. */
export const STALE_MS = 60_000;

export const soldSince = <Line extends SoldLine>(lines: readonly Line[], time: number): Line[] => lines.filter(({ at }) => at === null || at >= time);

export const copies = (lines: readonly SoldLine[]): number => lines.reduce((sum, { quantity }) => sum + quantity, 0);

export interface Reckoning {
  /** Copies sold that our write put up again. */
  readonly unseen: number;
  /** False: the numbers do not add up, so `unseen` is what it may be at most. */
  readonly certain: boolean;
}

/**
 * How many copies that were sold our write has put up again. With the listing confirmed as C at a time, and S copies sold since:
 *
 *   C ── sold, seen by our read ──► before ── sold, not seen: overwritten ──► (write: target) ── sold afterwards ──► now
 *
 * so S = (C − before) + unseen + (target − now). Where somebody also changes the quantity by hand this does not add up; then
 * everything sold since about the read counts, except what is seen to have gone afterwards.
 */
export function reckon({ confirmed, confirmedAt, before, readAt, target, now, lines }: { confirmed: number; confirmedAt: number; before: number; readAt: number; target: number; now: number | null; lines: readonly SoldLine[] }): Reckoning {
  const sold = copies(soldSince(lines, confirmedAt - DATE_SLACK_MS));
  const seen = confirmed - before;
  const afterwards = now === null ? 0 : target - now;
  if (now !== null && seen >= 0 && afterwards >= 0 && seen + afterwards <= sold) return { unseen: sold - seen - afterwards, certain: true };
  const recent = copies(soldSince(lines, readAt - DATE_SLACK_MS));
  return { unseen: Math.max(0, recent - Math.max(0, afterwards)), certain: recent === 0 };
}
