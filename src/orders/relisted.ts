import { unresolved, type LineRecord } from './ledger.ts';

/**
 * Are copies of a cancelled order on sale again? An order does not say (`relist_if_cancelled` is not in it), so the product is counted:
 *
 *   confirmed ── sold since ──► fewer ── on sale again ──► found        on sale again = found − (confirmed − sold + known to be back)
 *
 * Only copies that are on sale again come back into stock here: a seller who calls a sale off without putting the card up again
 * does not have it, as a rule, and a copy too many is one sold twice. Pure.
 */
export interface Count {
  /** Copies on CardTrader: all products that are the item's. */
  readonly found: number;
  /** CardTrader's clock, milliseconds, when that was so. */
  readonly at: number;
  /** What the listing was confirmed as, when, and which lines were in it. */
  readonly confirmed: number;
  readonly confirmedAt: number;
  readonly soldLines: readonly number[];
  /** An operation is at work on it, or about to be. */
  readonly busy: boolean;
}

/** `wait`: something has changed too lately; `unclear`: the numbers do not say. */
export type Relisted = 'wait' | 'unclear' | 'all' | 'none';

/** CardTrader's `Date` has whole seconds. */
const DATE_SLACK_MS = 1_000;

/** `lines`: every line of this item lately. `settleMs`: how far an export may be behind. */
export function relistedOf(count: Count, lines: readonly LineRecord[], settleMs: number): Relisted {
  const { found, at, confirmed, confirmedAt, soldLines, busy } = count;
  const last = Math.max(confirmedAt, ...lines.flatMap(({ soldAt, cancelledAt }) => [soldAt ?? 0, cancelledAt ?? 0]));
  if (busy || last > at - settleMs - DATE_SLACK_MS) return 'wait';
  const open = lines.filter((line) => unresolved(line) > 0);
  const sales = lines.filter(({ counting, lineId }) => (counting === 'sold' || counting === 'before') && !soldLines.includes(lineId));
  const isNear = (time: number | null): boolean => time === null || Math.abs(time - confirmedAt) <= DATE_SLACK_MS;
  // What happened about when the listing was confirmed is in that number, or is not.
  if (sales.some(({ soldAt }) => isNear(soldAt)) || open.some(({ cancelledAt }) => isNear(cancelledAt) || (cancelledAt ?? 0) < confirmedAt)) return 'unclear';
  const sold = sum(sales.filter(({ soldAt }) => (soldAt ?? 0) > confirmedAt), ({ quantity }) => quantity);
  const back = sum(lines.filter(({ cancelledAt }) => (cancelledAt ?? 0) > confirmedAt), ({ relisted }) => relisted);
  const again = found - (confirmed - sold + back);
  if (again === 0) return 'none';
  return again === sum(open, unresolved) ? 'all' : 'unclear';
}

const sum = <T>(list: readonly T[], of: (value: T) => number): number => list.reduce((total, value) => total + of(value), 0);

/** The line with its open copies counted as on sale again, or as certainly not. */
export function resolve(line: LineRecord, answer: 'all' | 'none'): LineRecord {
  return answer === 'all' ? { ...line, relisted: line.relisted + unresolved(line) } : { ...line, kept: line.kept + unresolved(line) };
}
