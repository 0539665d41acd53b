import type { OrderLine, RemoteOrder } from '../marketplace/index.ts';
import { unresolved, type Counting, type LineRecord, type OrderRecord } from './ledger.ts';

/** What somebody saw of an order, and when. */
export interface View {
  readonly order: RemoteOrder;
  /** CardTrader's clock, milliseconds. */
  readonly at: number;
}

export interface Circumstances {
  /** When the account was taken on; what was sold before is in the stock that was reported then. */
  readonly since: number;
  /** The item a line belongs to; null: nothing here is tied to it. */
  readonly itemOf: (line: OrderLine) => string | null;
}

/** States after which nothing happens to stock any more. `sent` is not one: it can still be called off. */
const FINAL: readonly string[] = ['arrived', 'done', 'closed', 'canceled', 'lost', 'destroyed'];

/**
 * The record of an order with one more view of it. Pure.
 *
 * Views come in any order, some twice, some never: webhooks promise nothing, and two processes may read at once. So nothing
 * that matters to stock is taken back by another view: counted stays counted, called off stays called off, and the most copies ever seen are the
 * copies. Only the state that is shown, and a line that shrinks, go by whichever view is newer.
 */
export function see(before: OrderRecord | undefined, { order, at }: View, { since, itemOf }: Circumstances): OrderRecord {
  const newer = before === undefined || at >= before.seenAt;
  const known = new Map(before?.lines.map((line) => [line.lineId, line]));
  const seen = order.lines.map((line): LineRecord => seeLine(known.get(line.id), order, line, { at, newer, since, itemId: known.get(line.id)?.itemId ?? itemOf(line) }));
  const gone = (before?.lines ?? []).filter(({ lineId }) => !order.lines.some(({ id }) => id === lineId));
  const state = newer && !(before?.state === 'canceled') ? order.state : order.state === 'canceled' ? 'canceled' : before?.state ?? order.state;
  return {
    orderId: order.id,
    code: order.code ?? before?.code ?? null,
    state,
    viaZero: order.viaCardtraderZero ?? before?.viaZero ?? null,
    presale: order.presale ?? before?.presale ?? null,
    seenAt: Math.max(at, before?.seenAt ?? at),
    open: !FINAL.includes(state),
    lines: [...gone, ...seen].sort((a, b) => a.lineId - b.lineId),
  };
}

function seeLine(before: LineRecord | undefined, order: RemoteOrder, line: OrderLine, { at, newer, since, itemId }: { at: number; newer: boolean; since: number; itemId: string | null }): LineRecord {
  const soldAt = before?.soldAt ?? line.createdAt ?? order.paidAt;
  const quantity = Math.max(before?.quantity ?? 0, line.quantity);
  const resolved = (before?.relisted ?? 0) + (before?.kept ?? 0);
  const standing = standingOf(before, order, line, newer);
  const cancelled = Math.max(resolved, quantity - standing);
  const cancelledAt = cancelled > 0 ? (order.cancelledAt ?? line.deletedAt ?? before?.cancelledAt ?? at) : null;
  const counting = stronger(before?.counting, countingOf(order, line, soldAt, since));
  const merged: LineRecord = {
    lineId: line.id,
    productId: line.productId ?? before?.productId ?? null,
    blueprintId: line.blueprintId ?? before?.blueprintId ?? null,
    itemId,
    name: line.name ?? before?.name ?? null,
    counting,
    quantity,
    cancelled,
    relisted: before?.relisted ?? 0,
    kept: before?.kept ?? 0,
    taken: before?.taken ?? 0,
    returned: before?.returned ?? 0,
    soldAt,
    cancelledAt,
  };
  // Called off before the account was taken on: whatever came back is in the stock that was reported then.
  return cancelledAt !== null && cancelledAt < since ? { ...merged, kept: merged.kept + unresolved(merged) } : merged;
}

/** Copies of a line that are not called off. */
function standingOf(before: LineRecord | undefined, order: RemoteOrder, line: OrderLine, newer: boolean): number {
  if (order.state === 'canceled' || line.deletedAt !== null || line.priceCancelled) return 0;
  if (before === undefined) return line.quantity;
  const standing = before.quantity - before.cancelled;
  return standing === 0 || !newer ? standing : line.quantity;
}

const STRENGTH: Readonly<Record<Counting, number>> = { undecided: 0, merged: 1, before: 2, sold: 2 };
const stronger = (before: Counting | undefined, now: Counting): Counting => (before !== undefined && STRENGTH[before] >= STRENGTH[now] ? before : now);

/** Section 8 of cardtrader.md: stock is lowered where a line was first sold, once. */
function countingOf(order: RemoteOrder, line: OrderLine, soldAt: number | null, since: number): Counting {
  const counting = soldHere(order, line);
  return counting === 'sold' && soldAt !== null && soldAt < since ? 'before' : counting;
}

function soldHere(order: RemoteOrder, { hubPendingOrderId: hub }: OrderLine): Counting {
  const { id, state, presale, presaleEndedAt } = order;
  const viaZero = order.viaCardtraderZero ?? hub !== null;
  switch (state) {
    case 'hub_pending':
    case 'closed':
      // Sold, not to be shipped yet; once a week it is closed in favour of a merged order. A presale is sold in the order it names.
      if (presale !== true) return 'sold';
      if (hub !== null) return hub === id ? 'sold' : 'merged';
      return presaleEndedAt === null ? 'sold' : 'merged';
    case 'paid':
    case 'sent':
    case 'arrived':
    case 'done':
    case 'lost':
      return viaZero ? 'merged' : 'sold';
    case 'request_for_cancel':
      if (!viaZero) return 'sold';
      return hub === id ? 'sold' : 'merged';
    case 'canceled':
      if (!viaZero) return 'sold';
      if (hub === null) return 'undecided'; // one that waited in the hub, or the merged one: it does not say
      return hub === id ? 'sold' : 'merged';
    default:
      return 'undecided';
  }
}
