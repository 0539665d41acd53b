import { faultPoint } from '../../platform/fault-points.ts';
import { markUserDataField, noticesText, readUserDataField, type Outcome, type RemoteProduct, type Written } from '../client/index.ts';
import { detailsToSend, fingerprintOf, needOf, type Details } from '../listing-sync/index.ts';
import { snapshotOf, type Listing } from '../listings/index.ts';
import type { Evidence } from '../operations/index.ts';
import { checkSales } from './check-sales.ts';
import { createAnew } from './create-anew.ts';
import { readOrders, readProduct, Record, type Desk } from './desk.ts';
import { copiesMoved, plan, type Plan } from './plan.ts';
import { reconcile } from './reconcile.ts';
import { soldLines, STALE_MS } from './remote-sales.ts';
import { again, applied, notAsked, patienceMs, reasonOf, refused, refusedProblem, stalled, unknown, withoutProduct } from './results.ts';
import { mismatch, type Intent, type Result, type Work } from './work.ts';

/** A reading that is older than what is known is tried again after so long. */
const STALE_AGAIN_MS = 5_000;

/** Null: nothing was sent and nothing is to be recorded, because the operation was called off, or the seller is somebody else's now. */
export interface CarriedOut {
  readonly result: Result | null;
  readonly evidence: readonly Evidence[];
}

/**
 * One operation from beginning to end:
 *
 *   read the product → decide (plan.ts) → write down what is about to be sent → send → look for sales that fell in between → result
 *
 * One that may have been sent before is looked into instead (reconcile.ts). Everything is decided from what CardTrader says; what
 * is not certain is a result of its own, never a guess.
 */
export async function carryOut(desk: Desk, given: Work): Promise<CarriedOut> {
  const record = new Record(desk.clock);
  const quantity = copiesMoved(given);
  const work = { ...given, quantity };
  const result = work.state === 'PENDING' ? await begin(desk, record, work) : await reconcile(desk, record, work);
  return { result: result !== null && work.kind === 'TAKE' && result.to === 'APPLIED' ? { ...result, taken: quantity } : result, evidence: record.evidence };
}

/** Not every operation concerns CardTrader. */
async function begin(desk: Desk, record: Record, work: Work): Promise<Result | null> {
  if ((work.kind === 'TAKE' || work.kind === 'RETURN') && work.quantity === 0) {
    record.note(work.kind === 'TAKE' ? 'as many copies are here that are not listed on CardTrader: none is taken there' : 'none was taken there');
    return notAsked();
  }
  const need = work.kind === 'SYNC' ? needOf(work.stock, work.listing, work.listed, work.problem) : 'update';
  if (need === 'nothing') return notAsked();
  return need === 'create' ? createAnew(desk, record, work) : execute(desk, record, work);
}

async function execute(desk: Desk, record: Record, work: Work): Promise<Result | null> {
  const { listing } = work;
  const read = await readProduct(desk, record, listing.productId, listing.blueprintId);
  if (read.outcome !== 'applied') return stalled(work, read, desk.backoffMs());
  const { product } = read.body;
  const readAt = read.serverDate ?? desk.clock.now();
  const next = freshPlan(desk, work, product);
  switch (next.plan) {
    case 'create':
      return createAnew(desk, record, work);
    case 'gone':
      return withoutCopies(desk, record, work);
    case 'too_few':
      return refused('remote_insufficient_stock', { listing: { ...listing, quantity: next.found, confirmedAt: readAt, mismatch: mismatch('fewer', desk.clock.now(), listing.quantity, next.found, work.id) } });
    case 'stale':
      record.note('what CardTrader shows is older than what it confirmed: a stale export');
      return again(STALE_AGAIN_MS);
    case 'done':
    case 'same':
    case 'write':
      break;
  }
  if (product === null) throw new Error('a plan for a product that is not there');
  if (next.plan === 'done') return alreadyDone(desk, record, work, product, readAt);
  if (next.plan === 'same') return applied({ listing: seenAs(desk, work, product, readAt, next) });
  return write(desk, record, work, product, readAt, next);
}

/** Nobody waits for a SYNC: what is stale is left for a while, as exports are. */
export function freshPlan({ clock }: Pick<Desk, 'clock'>, work: Work, product: RemoteProduct | null): Plan {
  const next = plan(work, product);
  return next.plan === 'stale' && clock.now() - work.createdAt >= STALE_MS ? next.otherwise : next;
}

/** The listing of a product that is as it should be. */
export function seenAs(desk: Pick<Desk, 'clock'>, { id, listing }: Work, product: RemoteProduct, readAt: number, { before, mismatch: surprise }: Pick<Extract<Plan, { plan: 'same' }>, 'before' | 'mismatch'>): Listing {
  const { ownText, operationId } = readUserDataField(product.userDataField);
  return {
    ...listing,
    quantity: before,
    confirmedAt: readAt,
    operationId,
    priceCents: product.priceCents,
    currency: product.currency,
    gone: false,
    product: snapshotOf(product, ownText),
    ...(surprise !== null && { mismatch: mismatch(surprise, desk.clock.now(), listing.quantity, product.quantity, id) }),
  };
}

/** What goes out: of a SYNC only what differs, so that a new price overwrites no sale. */
export const changeOf = ({ kind }: Pick<Work, 'kind'>, { before, target, details = {} }: Pick<Extract<Plan, { plan: 'write' }>, 'before' | 'target' | 'details'>): Details & { readonly quantity?: number } => ({ ...((kind !== 'SYNC' || target !== before) && { quantity: target }), ...details });

async function write(desk: Desk, record: Record, work: Work, product: RemoteProduct, readAt: number, planned: Extract<Plan, { plan: 'write' }>): Promise<Result | null> {
  const { before, target, mismatch: surprise } = planned;
  const { id, listing, kind, stock } = work;
  const change = changeOf(work, planned);
  const field = markUserDataField(product.userDataField, id, desk.dataFieldLength);
  const intent: Intent = { productId: product.id, readAt, before, target, marked: field !== null, siblings: null, eventId: kind === 'SYNC' ? (stock?.eventId ?? null) : null };
  if (!(await desk.intend(work, intent))) return null;
  faultPoint('dispatcher.before-send');
  const answer = await desk.client.updateProduct(desk.caller(id), product.id, { ...change, ...(field !== null && { userDataField: field }) });
  faultPoint('dispatcher.after-response');
  await desk.heard(answer);
  record.call('write', answer, { quantity: target });
  if (answer.outcome === 'refused' && answer.reason === 'validation' && target === 0) return takeOff(desk, record, work, intent);
  if (answer.outcome !== 'applied') return notApplied(desk, record, work, answer, planned.details ?? {});

  const now = desk.clock.now();
  const { product: after, warnings } = answer.body;
  const { quantity } = after;
  const as = kind === 'SYNC' ? after : product;
  const confirmed: Listing = {
    ...listing,
    quantity,
    confirmedAt: answer.serverDate ?? now,
    operationId: field === null ? readUserDataField(product.userDataField).operationId : id,
    priceCents: as.priceCents,
    currency: as.currency ?? product.currency,
    gone: false,
    product: { ...snapshotOf(product, readUserDataField(product.userDataField).ownText), properties: as.properties },
    ...(surprise !== null && { mismatch: mismatch(surprise, now, listing.quantity, product.quantity, id) }),
    ...(quantity !== target && change.quantity !== undefined && { mismatch: mismatch('other_quantity', now, target, quantity, id) }),
  };
  const result = change.quantity === undefined ? applied({ listing: confirmed }) : await checkSales(desk, record, work, intent, confirmed, null);
  if (kind !== 'SYNC' || stock === null || result.to !== 'APPLIED') return result;
  const said = noticesText(warnings);
  const ignored = Object.keys(detailsToSend(stock, confirmed, work.problem)).length > 0 && target > 0;
  if (said === '' && !ignored) return Object.keys(planned.details ?? {}).length > 0 ? { ...result, problem: null } : result;
  return { ...result, problem: { kind: 'warning', said: said === '' ? 'CardTrader shows another price or other properties than were sent' : said, wanted: fingerprintOf(stock) } };
}

function notApplied(desk: Desk, record: Record, work: Work, answer: Exclude<Outcome<Written>, { outcome: 'applied' }>, details: Details): Promise<Result> | Result {
  switch (answer.outcome) {
    case 'throttled':
      return again(patienceMs(answer), { answered: null });
    case 'unknown':
      return unknown(desk.quarantineMs);
    case 'refused':
      if (answer.reason === 'token_rejected') return again(0, { tokenRejected: true });
      // It went between our read and our write. What is to be put back is listed anew, after another read.
      if (answer.reason === 'not_found') return work.kind === 'RETURN' || work.kind === 'SYNC' ? again(1_000) : withoutCopies(desk, record, work);
      // The number of copies goes without what was refused; that is not sent again before something else is wanted.
      if (work.kind === 'SYNC') return Object.keys(details).length > 0 ? again(0, refusedProblem(work, answer.message)) : refused(reasonOf(answer), refusedProblem(work, answer.message));
      return refused(reasonOf(answer));
  }
}

/** An earlier attempt took effect after all, later than anybody waited for it. */
async function alreadyDone(desk: Desk, record: Record, work: Work, product: RemoteProduct, readAt: number): Promise<Result> {
  const { listing, intent, id } = work;
  record.note('its marker is there: an earlier attempt took effect');
  const confirmed = { ...listing, quantity: product.quantity, confirmedAt: readAt, operationId: id, gone: false, ...(work.kind === 'SYNC' && { priceCents: product.priceCents, product: { ...listing.product, properties: product.properties } }) };
  if (intent === null) return applied({ listing: confirmed, own: product.quantity - listing.quantity });
  const result = await checkSales(desk, record, work, intent, confirmed, product.quantity);
  return result.to === 'UNKNOWN' ? again(result.againMs ?? 0, { answered: result.answered }) : result; // nothing was sent now: it is read again
}

/** CardTrader takes no quantity of 0: then the product is taken off. Listing it again makes a new one. */
async function takeOff(desk: Desk, record: Record, work: Work, intent: Intent): Promise<Result> {
  const { listing } = work;
  record.note('CardTrader does not take a quantity of 0; the product is deleted instead');
  const answer = await desk.client.deleteProduct(desk.caller(work.id), listing.productId);
  await desk.heard(answer);
  record.call('write', answer, { quantity: 0 });
  if (answer.outcome === 'applied') return checkSales(desk, record, work, intent, { ...withoutProduct(listing), confirmedAt: answer.serverDate ?? desk.clock.now() }, 0);
  if (answer.outcome === 'throttled') return again(patienceMs(answer), { answered: null });
  if (answer.outcome === 'unknown') return unknown(desk.quarantineMs);
  if (answer.reason === 'token_rejected') return again(0, { tokenRejected: true });
  return answer.reason === 'not_found' ? withoutCopies(desk, record, work) : refused(reasonOf(answer));
}

/** The product is not there: sold out, if an order says so; else somebody took it off. */
async function withoutCopies(desk: Desk, record: Record, work: Work): Promise<Result> {
  const { listing, kind, id } = work;
  const now = desk.clock.now();
  const gone = { ...withoutProduct(listing), confirmedAt: now };
  if (kind === 'LOWER') return applied({ listing: gone });
  if (kind === 'SYNC' && (listing.quantity === 0 || listing.unaccounted === listing.quantity)) return applied({ listing: gone, look: true }); // sold out, as our stock knows
  const orders = await readOrders(desk, record, Math.min(listing.confirmedAt, now) - STALE_MS);
  if (orders.outcome !== 'applied') return stalled(work, orders, desk.backoffMs());
  const sales = soldLines(orders.body.items, { ...listing, soldLines: [] });
  if (kind === 'SYNC') return applied({ listing: { ...gone, mismatch: mismatch(sales.length > 0 ? 'fewer' : 'gone', now, listing.quantity, sales.length > 0 ? 0 : null, id) }, look: true });
  if (sales.length > 0) return refused('remote_insufficient_stock', { listing: { ...gone, mismatch: mismatch('fewer', now, listing.quantity, 0, id) } });
  return refused('remote_product_gone', { listing: { ...gone, mismatch: mismatch('gone', now, listing.quantity, null, id) } });
}
