import type { PropertyValue, RemoteProduct } from '../client/index.ts';
import type { Listing, MismatchKind } from '../listings/index.ts';

/** What is here of an item, and so what CardTrader should show of it. Pure. */
export interface Stock {
  /** Copies on hand, less those that sales under way have taken from CardTrader already, plus those they have given back. */
  readonly onHand: number;
  /** Copies of each item the seller keeps from CardTrader. */
  readonly buffer: number;
  readonly blueprintId: number | null;
  readonly priceCents: number | null;
  readonly currency: string | null;
  readonly properties: Readonly<Record<string, string>> | null;
  /** The item's newest ledger row: another one says that the stock has changed since. */
  readonly eventId: string;
}

/** What CardTrader does not take of an item, or took with a warning. */
export interface Problem {
  readonly kind: 'refused' | 'warning' | 'would_merge' | 'merged' | 'unclear';
  readonly said: string;
  /** What was wanted then (`fingerprintOf`): the same is not sent again. */
  readonly wanted: string;
}

/** Price and properties as they are to be sent; left out: they are right, or were refused. */
export interface Details {
  readonly priceCents?: number;
  readonly properties?: Readonly<Record<string, PropertyValue>>;
}

/** Mismatches after which nothing is done by itself: which product is the item's, or whether there is one, is for people to say. */
const FORBIDDING: readonly MismatchKind[] = ['merged', 'gone', 'late_effect'];

/**
 * Copies CardTrader should show. The stock alone would put up copies again that were sold there but are on hand here still, and
 * take off twice what CardTrader has taken off itself: so what is not accounted for between the two is added. A change of
 * either side is thus seen once, whichever of its two traces is seen first.
 */
export const copiesWanted = ({ onHand, buffer }: Stock, unaccounted: number): number => Math.max(0, onHand - buffer + unaccounted);

/** Copies that are here but not listed there: a sale takes these first. */
export const spareCopies = ({ onHand }: Stock, { quantity, unaccounted }: Pick<Listing, 'quantity' | 'unaccounted'>): number => Math.max(0, onHand + unaccounted - quantity);

/** What, beside the number of copies, decides what is sent. */
export function fingerprintOf({ blueprintId, priceCents, currency, properties }: Stock): string {
  const sorted = Object.entries(properties ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([blueprintId, priceCents, currency, sorted]);
}

/** Price and properties that differ from what CardTrader was seen to show, unless these very ones were refused. */
export function detailsToSend(stock: Stock, { priceCents, currency, product }: Pick<Listing, 'priceCents' | 'currency' | 'product'>, problem: Problem | null): Details {
  if (problem?.wanted === fingerprintOf(stock)) return {};
  const { priceCents: wanted } = stock;
  const sameCurrency = stock.currency === null || currency === null || stock.currency === currency;
  const properties = propertiesToSend(stock.properties ?? {}, product.properties);
  return { ...(wanted !== null && sameCurrency && wanted !== priceCents && { priceCents: wanted }), ...(properties !== undefined && { properties }) };
}

/**
 * Properties under the names the product has them by (`language` is `mtg_language` there). One the product does not have is left out:
 * whether CardTrader knows it at all is told when the item is listed, in strict mode.
 */
function propertiesToSend(wanted: Readonly<Record<string, string>>, there: Readonly<Record<string, PropertyValue>>): Record<string, PropertyValue> | undefined {
  const changed: Record<string, PropertyValue> = {};
  for (const [name, value] of Object.entries(wanted)) {
    const known = nameThere(name, there);
    if (known !== undefined && String(there[known]) !== value) changed[known] = typeof there[known] === 'boolean' ? value === 'true' : value;
  }
  return Object.keys(changed).length === 0 ? undefined : changed;
}

function nameThere(name: string, there: Readonly<Record<string, PropertyValue>>): string | undefined {
  if (Object.hasOwn(there, name)) return name;
  const ending = Object.keys(there).filter((known) => known.endsWith(`_${name}`));
  return ending.length === 1 ? ending[0] : undefined;
}

/** Properties of what is to be listed: flags as flags. */
export const typedProperties = (properties: Readonly<Record<string, string>> | null): Record<string, PropertyValue> =>
  Object.fromEntries(Object.entries(properties ?? {}).map(([name, value]) => [name, value === 'true' ? true : value === 'false' ? false : value]));

/** What there is to do about an item, before CardTrader is asked. */
export type Need = 'nothing' | 'update' | 'create';

export function needOf(stock: Stock | null, listing: Listing, listed: boolean, problem: Problem | null): Need {
  if (stock === null) return 'nothing';
  if (listing.mismatch !== null && FORBIDDING.includes(listing.mismatch.kind)) return 'nothing';
  const copies = copiesWanted(stock, listing.unaccounted);
  if (!listed || listing.gone) {
    const known = stock.blueprintId !== null && stock.priceCents !== null;
    return copies > 0 && known && problem?.wanted !== fingerprintOf(stock) ? 'create' : 'nothing';
  }
  return copies !== listing.quantity || Object.keys(detailsToSend(stock, listing, problem)).length > 0 ? 'update' : 'nothing';
}

/** Whether CardTrader would perhaps add what is to be listed to this product: the same card in the same state at the same price. */
export function mayMergeWith(stock: Stock, product: RemoteProduct): boolean {
  if (product.blueprintId !== stock.blueprintId || product.priceCents !== stock.priceCents || (product.graded ?? false)) return false;
  return propertiesToSend(stock.properties ?? {}, product.properties) === undefined;
}
