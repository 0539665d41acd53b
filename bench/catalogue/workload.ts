import type { Random } from '../../src/platform/random.ts';
import { createZipf } from '../../src/operations/generate/zipf.ts';

export interface Shape {
  readonly chunks: number;
  readonly itemsAChunk: number;
  /** Blueprints of the catalogue. */
  readonly blueprints: readonly number[];
  /** Popularity of cards over all sellers: 0 is uniform, 1 a few in every shop. */
  readonly skew: number;
  /** Share of items whose blueprint the catalogue does not have: new sets, other games. */
  readonly unknown: number;
}

/** What a bulk sync of many sellers asks for: each chunk the blueprint ids of its items, several items of a card among them. */
export function chunksOf(random: Random, { chunks, itemsAChunk, blueprints, skew, unknown }: Shape): Uint32Array[] {
  const order = Uint32Array.from(blueprints);
  for (let index = order.length - 1; index > 0; index -= 1) {
    const other = random.below(index + 1);
    [order[index], order[other]] = [order[other] ?? 0, order[index] ?? 0]; // popular cards lie anywhere
  }
  const rank = createZipf(random, order.length, skew);
  const strange = order.reduce((most, id) => Math.max(most, id), 0) + 1;
  return Array.from({ length: chunks }, () => Uint32Array.from({ length: itemsAChunk }, () => (random.chance(unknown) ? strange + random.below(2_000) : (order[rank()] ?? 0))));
}
