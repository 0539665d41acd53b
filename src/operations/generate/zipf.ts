import type { Random } from '../../platform/random.ts';

/**
 * Draws ranks 0 .. count-1 with probability proportional to 1 / (rank + 1)^exponent, each in O(1): Walker's alias method.
 * Exponent 0 is uniform. At 1,000 ranks the first has 4.2 % at 0.7 and 12.9 % at 0.99.
 */
export function createZipf(random: Random, count: number, exponent: number): () => number {
  const weights = Float64Array.from({ length: count }, (_, rank) => (rank + 1) ** -exponent);
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / count;
  const cut = weights.map((weight) => weight / mean);
  const alias = new Uint32Array(count);
  const small: number[] = [];
  const large: number[] = [];
  cut.forEach((weight, rank) => (weight < 1 ? small : large).push(rank));
  while (small.length > 0 && large.length > 0) {
    const poor = small.pop() ?? 0;
    const rich = large.at(-1) ?? 0;
    alias[poor] = rich;
    const left = (cut[rich] ?? 0) + (cut[poor] ?? 0) - 1;
    cut[rich] = left;
    if (left < 1) small.push(large.pop() ?? 0);
  }
  // What is left over is 1 but for rounding: it keeps its own rank.
  for (const rank of [...small, ...large]) cut[rank] = 1;
  return () => {
    const column = random.below(count);
    return random.unit() < (cut[column] ?? 1) ? column : (alias[column] ?? column);
  };
}
