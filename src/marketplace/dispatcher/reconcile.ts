import { readUserDataField, type RemoteProduct } from '../client/index.ts';
import { snapshotOf, type Listing } from '../listings/index.ts';
import { checkSales } from './check-sales.ts';
import { listedResult } from './create-anew.ts';
import { readOrders, readProduct, readSiblings, type Desk, type Record } from './desk.ts';
import { fingerprintOf } from '../listing-sync/index.ts';
import { cardLines, DATE_SLACK_MS, soldLines, soldSince, STALE_MS } from './remote-sales.ts';
import { again, applied, needsOperator, refused, stalled, unknown, withoutProduct } from './results.ts';
import { judge, judgeCreate } from './verdict.ts';
import { mismatch, type Intent, type Result, type Work } from './work.ts';

/**
 * An operation that may have been sent: its answer was lost, or whoever sent it died. Nothing is sent before CardTrader's own state
 * says what became of it, and that is not asked before the quarantine is over, while the request may still be on its way.
 */
export async function reconcile(desk: Desk, record: Record, work: Work): Promise<Result> {
  const { intent } = work;
  if (intent === null) throw new Error(`operation ${work.id} is ${work.state} without an intent`);
  return intent.siblings === null ? reconcileWrite(desk, record, work, intent) : reconcileCreate(desk, record, work, intent);
}

async function reconcileWrite(desk: Desk, record: Record, work: Work, intent: Intent): Promise<Result> {
  const { id, kind, listing } = work;
  const read = await readProduct(desk, record, intent.productId ?? listing.productId, listing.blueprintId);
  if (read.outcome !== 'applied') return stalled(work, read, desk.backoffMs());
  const orders = await readOrders(desk, record, Math.min(intent.readAt, listing.confirmedAt) - STALE_MS - DATE_SLACK_MS);
  if (orders.outcome !== 'applied') return stalled(work, orders, desk.backoffMs());
  const { product } = read.body;
  const now = desk.clock.now();
  const readAt = read.serverDate ?? now;
  // Once it is known that it took effect, that stays known (check-sales.ts).
  const verdict = listing.operationId === id ? 'applied' : judge(id, intent, listing, { product, at: readAt }, soldLines(orders.body.items, listing));
  record.note(`looked into: ${verdict.replace('_', ' ')}`);
  if (verdict !== 'applied' && mayStillRun(desk, work)) return unknown(desk.quarantineMs, { answered: true });
  switch (verdict) {
    case 'applied':
      return checkSales(desk, record, work, intent, product === null ? { ...withoutProduct(listing), confirmedAt: readAt } : confirmedAs(listing, product, readAt, intent.marked ? id : null), product?.quantity ?? 0);
    case 'not_applied':
      return again(0);
    case 'gone': {
      const gone = { ...withoutProduct(listing), confirmedAt: readAt, mismatch: mismatch('gone', now, intent.target, null, id) };
      if (kind === 'RETURN' || kind === 'SYNC') return again(0, { listing: gone });
      return kind === 'LOWER' ? applied({ listing: gone }) : refused('remote_product_gone', { listing: gone });
    }
    case 'unclear':
      return kind === 'SYNC' && product !== null ? takenAsItIs(work, product, readAt, now) : needsOperator();
  }
}

/** The job it went with may be at work still. */
const mayStillRun = (desk: Desk, { jobId, sentAt }: Work): boolean => jobId !== null && sentAt !== null && desk.clock.now() - sentAt < desk.jobPatienceMs;

/**
 * No sale waits for a SYNC, and the next one writes what is right then: so what is there is believed. Fewer copies than were known may
 * have been sold; more are ours.
 */
function takenAsItIs({ listing, id, intent }: Work, product: RemoteProduct, readAt: number, now: number): Result {
  const known = { ...confirmedAs(listing, product, readAt, null), mismatch: mismatch('other_quantity', now, intent?.target ?? null, product.quantity, id) };
  return refused('unexplained', { listing: known, own: Math.max(0, product.quantity - listing.quantity), look: true });
}

function confirmedAs(listing: Listing, product: RemoteProduct, confirmedAt: number, marker: string | null): Listing {
  const { ownText, operationId } = readUserDataField(product.userDataField);
  return { ...listing, quantity: product.quantity, confirmedAt, operationId: marker ?? operationId, priceCents: product.priceCents, currency: product.currency, gone: false, product: snapshotOf(product, ownText) };
}

async function reconcileCreate(desk: Desk, record: Record, work: Work, intent: Intent): Promise<Result> {
  const blueprintId = intent.blueprintId ?? work.listing.blueprintId;
  const read = await readSiblings(desk, record, blueprintId);
  if (read.outcome !== 'applied') return stalled(work, read, desk.backoffMs());
  const { listing } = work;
  const since = intent.readAt - DATE_SLACK_MS;
  const orders = await readOrders(desk, record, since);
  if (orders.outcome !== 'applied') return stalled(work, orders, desk.backoffMs());
  const found = judgeCreate({ ...work, quantity: intent.target }, intent.siblings ?? [], read.body.items, soldSince(cardLines(orders.body.items, { ...listing, blueprintId }), since));
  const now = desk.clock.now();
  const readAt = read.serverDate ?? now;
  record.note(`looked into: ${found.verdict.replace('_', ' ')}`);
  if (found.verdict !== 'applied' && mayStillRun(desk, work)) return unknown(desk.quarantineMs, { answered: true });
  switch (found.verdict) {
    case 'applied':
      return { ...listedResult(work, intent, found.product, readAt, now, ''), look: true };
    case 'sold_out': {
      const productId = found.productId ?? listing.productId;
      if (productId === 0) return unclear(work); // there is nothing to keep it with
      return applied({ listing: { ...withoutProduct(listing), productId, blueprintId, confirmedAt: readAt, soldLines: [], mismatch: mismatch('fewer', now, intent.target, 0, work.id) }, own: intent.target, look: true });
    }
    case 'not_applied':
      return again(0);
    case 'unclear':
      return work.kind === 'SYNC' ? unclear(work) : needsOperator();
  }
}

/** It may be there under another name, or have been: nothing is listed twice for want of knowing. */
const unclear = ({ stock }: Work): Result => refused('unexplained', stock === null ? {} : { problem: { kind: 'unclear', said: 'whether CardTrader listed it cannot be told', wanted: fingerprintOf(stock) } });
