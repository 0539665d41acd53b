import type { Random } from '../platform/random.ts';
import type { PrintTable } from './mapping.ts';

/** Prints for local use. Pure: the same chance, the same rows. */
export interface MadeUpPrint {
  readonly table: PrintTable;
  readonly id: number;
  /** Null: CardTrader does not sell it. */
  readonly cardtraderId: number | null;
}

/** The first id of the simulator's blueprints, so that what it sells is in the catalogue. */
export const FIRST_BLUEPRINT = 10_000;
/** Prints CardTrader does not have, hence blueprint ids in between that nobody knows. */
const NOT_ON_CARDTRADER = 0.02;
/** Blueprints that two tables claim, the second in passing: a mistake of whoever keeps the catalogue. */
const CLAIMED_TWICE = 0.000_5;
const SHARES: readonly (readonly [table: PrintTable, upTo: number])[] = [
  ['cards_prints', 0.7],
  ['pk_prints', 0.85],
  ['op_prints', 0.95],
  ['sealed_products', 1],
];

/** `rows` prints over the four tables; blueprint ids count from FIRST_BLUEPRINT, with gaps and a few named twice. */
export function* madeUpPrints(random: Random, rows: number): Generator<MadeUpPrint> {
  const next: Record<PrintTable, number> = { cards_prints: 1, op_prints: 1, pk_prints: 1, sealed_products: 1 };
  for (let index = 0; index < rows; index += 1) {
    const chance = random.unit();
    const table = SHARES.find(([, upTo]) => chance < upTo)?.[0] ?? 'sealed_products';
    const twice = index > 0 && random.chance(CLAIMED_TWICE);
    const cardtraderId = random.chance(NOT_ON_CARDTRADER) ? null : FIRST_BLUEPRINT + index - (twice ? 1 : 0);
    yield { table, id: next[table], cardtraderId };
    next[table] += 1;
  }
}
