/** Whether an export can be believed. Pure. */

export interface Taken {
  readonly products: number;
  readonly digest: string;
}

export interface Known {
  /** Products that are known to be listed, and those of the last export that was believed. */
  readonly listed: number;
  readonly lastProducts: number | null;
  /** Digests of the exports since then that were not believed because they had shrunk, newest first. */
  readonly shrunk: readonly string[];
}

/** An export that lacks this share of what there was, or more, and more than one product, is not believed at once (cardtrader.md section 10: stale, cut or empty ones). */
const SHRINK = 0.1;
/** So many exports in a row that have the same products are. */
const AGREEING = 3;

/** Undefined: believed; else what there was before. */
export function shrunkFrom({ products, digest }: Taken, { listed, lastProducts, shrunk }: Known): number | undefined {
  const before = Math.max(listed, lastProducts ?? 0);
  const missing = before - products;
  if (missing < 1 || missing < before * SHRINK || (missing === 1 && products > 0)) return undefined;
  const agreeing = shrunk.slice(0, AGREEING - 1);
  return agreeing.length === AGREEING - 1 && agreeing.every((other) => other === digest) ? undefined : before;
}
