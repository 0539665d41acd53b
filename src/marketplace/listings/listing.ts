import type { PropertyValue, RemoteProduct } from '../client/index.ts';

/** An item's product on CardTrader, as it was confirmed last. */
export interface Listing {
  readonly userId: string;
  readonly itemId: string;
  readonly productId: number;
  readonly blueprintId: number;
  readonly quantity: number;
  readonly priceCents: number;
  readonly currency: string | null;
  /** CardTrader's clock, milliseconds, when that was so. */
  readonly confirmedAt: number;
  /** Whose marker the product carries. */
  readonly operationId: string | null;
  /** Not on CardTrader any more. */
  readonly gone: boolean;
  readonly product: Snapshot;
  /** Order lines that are in `quantity` already, newest last. */
  readonly soldLines: readonly number[];
  readonly mismatch: Mismatch | null;
  /**
   * Copies by which CardTrader's number changed of itself (sales there), less those our stock has heard of: negative where a copy sold
   * there is still on hand here, positive where the stock knows of a sale that was not seen in the product yet.
   */
  readonly unaccounted: number;
}

/** What it takes to list a product again, beside blueprint, price and quantity. */
export interface Snapshot {
  readonly name: string | null;
  readonly description: string | null;
  readonly userDataField: string | null;
  readonly graded: boolean | null;
  readonly properties: Readonly<Record<string, PropertyValue>>;
}

/** What CardTrader shows that nothing here explains; each is for people, and none is repaired blindly. */
export const MISMATCHES = {
  fewer: 'CardTrader had fewer copies than it had confirmed last: some were sold or taken off there',
  more: 'CardTrader had more copies than it had confirmed last: some were put up there',
  overwritten_sale: 'a copy was sold there between our read and our write; the write put it up again, and it was taken off once more',
  echo: 'the product showed an older state of ours: a stale export, or a write that took effect very late',
  other_quantity: 'the answer to a write spoke of another quantity than the one that was written',
  gone: 'the product is gone, and no order explains it',
  merged: 'what was listed anew was added to another product by CardTrader',
  late_effect: 'an operation that had been called off turned out to have taken effect',
} as const;
export type MismatchKind = keyof typeof MISMATCHES;

export interface Mismatch {
  readonly kind: MismatchKind;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly expected: number | null;
  readonly found: number | null;
  readonly operationId: string | null;
}

export const snapshotOf = ({ name, description, userDataField, graded, properties }: RemoteProduct, text: string | null = userDataField ?? null): Snapshot => ({ name, description, graded, properties, userDataField: text });

/** Enough for the sales of a minute of the busiest listing. */
const SOLD_LINES_KEPT = 50;

export const withSoldLines = (known: readonly number[], lines: readonly number[]): number[] => [...new Set([...known, ...lines])].slice(-SOLD_LINES_KEPT);
