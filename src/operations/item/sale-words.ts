import { PURCHASE_REASONS } from '../../contract/index.ts';
import { MISMATCHES, OPERATION_REASONS } from '../../marketplace/index.ts';
import type { HistoryRow, HoldRow, ListingRow, OperationRow } from './item.sql.ts';
import { signed, timeText } from './text.ts';

/** What sales do to an item, and how it stands on CardTrader, in words. Pure. */

/** One ledger row of a sale. */
export function saleWords({ kind, outcome, quantity, delta, on_hand: onHand, held_delta: held, cause, purchase_id: purchase }: HistoryRow): string {
  const of = `purchase ${purchase ?? '(none)'}`;
  if (outcome === 'dead-lettered') return `${kind === 'CANCEL' ? `the cancellation of ${of}` : of} was discarded by an operator while the user was parked (had ${onHand})`;
  switch (kind) {
    case 'PURCHASE':
      return outcome === 'rejected' ? `${of} wanted ${quantity}: rejected, ${wordOf(PURCHASE_REASONS, cause)}; still ${onHand}` : `${quantity} held for ${of}; still ${onHand} on hand`;
    case 'CANCEL':
      return outcome === 'stale' ? `${of} called off: it had not come about, or was undone already; still ${onHand}` : `${of} called off (${quantity} of this item)`;
    case 'TAKEN':
      return `${quantity} sold to ${of} (${signed(delta)}${delta === -quantity ? '' : ': fewer were left, for a SET had lowered it below what was held'}), now ${onHand}`;
    case 'GIVEN_BACK':
      return held === 0 ? `${quantity} of ${of} given back: ${wordOf(PURCHASE_REASONS, cause)} (${signed(delta)}), now ${onHand}` : `${quantity} not held for ${of} any longer: ${wordOf(PURCHASE_REASONS, cause)}; still ${onHand} on hand`;
    case 'SET':
    case 'ADJUST':
    case 'REMOVE':
      throw new RangeError(`${kind} is no step of a sale`);
  }
}

/** Which sales keep how many back, and until when. */
export function holdLines(holds: readonly HoldRow[]): string[] {
  return holds.map(({ purchase_id: purchase, quantity, since, state, deadline_at: deadline, buyer_id: buyer }) => {
    const until = state === 'RESERVED' || state === 'CALLING' ? `, given up at ${timeText(deadline)} unless it goes through` : state === 'NEEDS_OPERATOR' ? `, until an operator decides: brx-sync saga show ${purchase}` : ', until it is known what CardTrader did';
    return `${quantity} for purchase ${purchase}${buyer === null ? '' : ` of ${buyer}`} since ${timeText(since)}: ${state}${until}`;
  });
}

/** The product on CardTrader, a line a fact. */
export function listingLines(listing: ListingRow): string[] {
  const { product_id: product, name, quantity, price_cents: price, currency, confirmed_at: confirmed, gone, mismatch, seller_status: status, status_reason: why } = listing;
  const lines = [`product ${product}${name === null ? '' : ` (${name})`}: ${gone ? 'not there any more' : `${quantity} at ${(price / 100).toFixed(2)} ${currency ?? '(no currency)'}`}, confirmed ${timeText(confirmed)} UTC`];
  if (mismatch !== null) {
    const numbers = mismatch.expected === null && mismatch.found === null ? '' : ` (expected ${mismatch.expected ?? 'none'}, found ${mismatch.found ?? 'none'})`;
    lines.push(`mismatch since ${timeText(new Date(mismatch.at))}: ${wordOf(MISMATCHES, mismatch.kind)}${numbers}`);
  }
  if (status !== 'active') lines.push(`the account is ${status.replace('_', ' ')}${why === null ? '' : ` (${why})`}: nothing is sent to CardTrader`);
  return lines;
}

/** Changes on CardTrader that are wanted and not settled. */
export function operationLines(operations: readonly OperationRow[]): string[] {
  return operations.map(({ kind, quantity, state, reason, attempts, created_at: created, purchase_id: purchase }) => {
    const what = { TAKE: `take ${quantity} off`, RETURN: `put ${quantity} up again`, LOWER: `take ${quantity} off that were sold there` }[kind] ?? `${kind} ${quantity}`;
    const how = { PENDING: 'waits to be sent', SENT: 'is sent, the answer is out', UNKNOWN: 'its answer was lost: it is looked into', NEEDS_OPERATOR: 'needs an operator' }[state] ?? state;
    return `${what}${purchase === null ? '' : ` for purchase ${purchase}`}: ${how}${reason === null ? '' : ` (${wordOf(OPERATION_REASONS, reason)})`}, wanted since ${timeText(created)}${attempts === 0 ? '' : `, sent ${attempts} ${attempts === 1 ? 'time' : 'times'}`}`;
  });
}

const wordOf = (words: Readonly<Record<string, string>>, name: string): string => words[name] ?? name;
