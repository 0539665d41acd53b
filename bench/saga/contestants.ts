import type { DatabaseCosts } from './world.ts';
import type { Load, Loaded } from './load.ts';

/** Where a sale's time went, ms: the median of each stage. */
export type Stages = Readonly<Record<string, number>>;

/** Somebody who settles sales: takes the stock here and at CardTrader, and tells the outcome. */
export interface Contestant {
  readonly name: string;
  /** Requests to CardTrader's stand-in a sale. */
  readonly calls: number;
  /** A process of its own for each run. */
  run(load: Load, times: { readonly warmUpMs: number; readonly ms: number }): Promise<Loaded & { readonly costs: DatabaseCosts; readonly stages?: Stages }>;
  /** Compares all that was ever sold with what is stored, here and at CardTrader; throws what is not equal. Says what it has seen. */
  check(): Promise<string>;
  close(): Promise<void>;
}

/** What was sold, by the one who asked for it: the oracle. */
export class Oracle {
  readonly #sold = new Map<string, number>();
  sales = 0;

  sell(itemId: string): void {
    this.sales += 1;
    this.#sold.set(itemId, (this.#sold.get(itemId) ?? 0) + 1);
  }

  sold(itemId: string): number {
    return this.#sold.get(itemId) ?? 0;
  }
}

export function equal(what: string, found: unknown, expected: unknown): void {
  const [is, should] = [JSON.stringify(found), JSON.stringify(expected)];
  if (is !== should) throw new Error(`${what}: ${is}, and should be ${should}`);
}
