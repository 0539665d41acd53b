import { withSoldLines, type Listing } from '../listings/index.ts';
import { readOrders, readProduct, type Desk, type Record } from './desk.ts';
import { DATE_SLACK_MS, reckon, soldLines, soldSince, STALE_MS, type SoldLine } from './remote-sales.ts';
import { applied, refused, unknown } from './results.ts';
import { mismatch, type Intent, type Result, type Work } from './work.ts';

/** How often the product is read anew because somebody bought it meanwhile. */
const LOOKS = 3;
/** The write stands, but nothing is said before it is checked. */
const UNCHECKED_MS = 2_000;

/**
 * After a write that took effect: was a copy sold between our read and our write? CardTrader has no version to write against
 * (cardtrader.md section 4), so an absolute quantity puts such a copy up again. One request says that there was no sale of this
 * product lately, as nearly always; else it is reckoned exactly (remote-sales.ts), and what was put up wrongly is lowered by an
 * operation of its own, before anything else happens to the product.
 *
 * Where the copies sold there leave too few for a TAKE, the sale there stands and ours is refused: never sold twice.
 *
 * `confirmed`: the listing after the write.
 */
export async function checkSales(desk: Desk, record: Record, work: Work, intent: Intent, confirmed: Listing, seen: number | null): Promise<Result> {
  const lately = intent.readAt - STALE_MS - DATE_SLACK_MS;
  const orders = await readOrders(desk, record, lately);
  // That the write took effect is kept with the listing: CardTrader may not show it any more once the product is sold out.
  const unchecked = (answered: false | null): Result => unknown(UNCHECKED_MS, { answered, listing: { ...work.listing, operationId: work.id } });
  if (orders.outcome !== 'applied') return unchecked(orders.outcome === 'unknown' ? false : null);
  if (soldSince(soldLines(orders.body.items, work.listing), lately).length === 0) return applied({ listing: confirmed, own: intent.target - intent.before });

  const look = await lookUntilStill(desk, record, work, intent);
  if (look === undefined) return unchecked(null);
  const { lines, now, readAt } = look;
  const { before, target } = intent;
  const { unseen, certain } = reckon({ confirmed: work.listing.quantity, confirmedAt: work.listing.confirmedAt, before, readAt: intent.readAt, target, now: now ?? seen, lines });
  const sold = lines.reduce((sum, { quantity }) => sum + quantity, 0);
  record.note(`${sold} sold on CardTrader lately, ${unseen} of them overwritten by this write${certain ? '' : ' (at most: the numbers do not add up)'}`);
  const own = target - before + unseen;
  const at = desk.clock.now();
  const listing: Listing = {
    ...confirmed,
    quantity: now ?? confirmed.quantity,
    confirmedAt: readAt,
    soldLines: withSoldLines(work.listing.soldLines, lines.map(({ id }) => id)),
    mismatch: unseen === 0 && before - work.listing.quantity === -work.listing.unaccounted ? confirmed.mismatch : unseen > 0 ? mismatch('overwritten_sale', at, before - unseen, before, work.id) : mismatch('fewer', at, work.listing.quantity, before, work.id),
  };
  if (work.kind === 'TAKE' && before - unseen < work.quantity) return refused('remote_insufficient_stock', { listing, own, lower: Math.max(0, unseen - work.quantity) });
  return applied({ listing, own, lower: unseen });
}

/** Sales and quantity of one and the same moment: the orders are the same before and after the product was read. */
async function lookUntilStill(desk: Desk, record: Record, work: Work, intent: Intent): Promise<{ lines: SoldLine[]; now: number | null; readAt: number } | undefined> {
  const { listing } = work;
  const since = Math.min(listing.confirmedAt, intent.readAt - STALE_MS) - DATE_SLACK_MS;
  const linesNow = async (): Promise<SoldLine[] | undefined> => {
    const orders = await readOrders(desk, record, since);
    return orders.outcome === 'applied' ? soldSince(soldLines(orders.body.items, listing), since) : undefined;
  };
  let before = await linesNow();
  for (let looks = 1; ; looks += 1) {
    const product = await readProduct(desk, record, intent.productId ?? listing.productId, listing.blueprintId);
    const after = await linesNow();
    if (product.outcome !== 'applied' || before === undefined || after === undefined) return undefined;
    const readAt = product.serverDate ?? desk.clock.now();
    const still = after.map(({ id }) => id).join() === before.map(({ id }) => id).join();
    if (still) return { lines: after, now: product.body.product?.quantity ?? 0, readAt };
    if (looks === LOOKS) return undefined; // it is looked at again in a while; there are only so many copies to be sold
    before = after;
  }
}
