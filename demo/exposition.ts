/** The little of Prometheus' text format the demo reads. */
export interface Sample {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

const LINE = /^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)$/i;
const LABEL = /([a-z_]\w*)="((?:[^"\\]|\\.)*)"/gi;

export function parseExposition(text: string): Sample[] {
  return text.split('\n').flatMap((line): Sample[] => {
    const [, name, labels, value] = LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) return []; // comments, blank lines
    return [{ name, labels: Object.fromEntries([...(labels ?? '').matchAll(LABEL)].map(([, label, text]) => [label ?? '', text ?? ''])), value: Number(value) }];
  });
}

export const total = (samples: readonly Sample[], name: string): number => samples.reduce((sum, sample) => (sample.name === name ? sum + sample.value : sum), 0);

/** A histogram's cumulative counts by upper bound, series of other labels added up. */
export type Buckets = ReadonlyMap<number, number>;

export function bucketsOf(samples: readonly Sample[], name: string): Buckets {
  const buckets = new Map<number, number>();
  for (const { name: found, labels, value } of samples) {
    if (found !== `${name}_bucket`) continue;
    const bound = labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels['le']);
    buckets.set(bound, (buckets.get(bound) ?? 0) + value);
  }
  return buckets;
}

export function addBuckets(all: readonly Buckets[]): Buckets {
  const sum = new Map<number, number>();
  for (const buckets of all) for (const [bound, count] of buckets) sum.set(bound, (sum.get(bound) ?? 0) + count);
  return sum;
}

/** As Prometheus' histogram_quantile: linear inside a bucket. Null for an empty histogram. */
export function quantile(buckets: Buckets, q: number): number | null {
  const bounds = [...buckets].sort(([a], [b]) => a - b);
  const count = bounds.at(-1)?.[1] ?? 0;
  if (count === 0) return null;
  let below = { bound: 0, count: 0 };
  for (const [bound, upTo] of bounds) {
    if (upTo >= q * count) return bound === Number.POSITIVE_INFINITY ? below.bound : below.bound + ((bound - below.bound) * (q * count - below.count)) / (upTo - below.count);
    below = { bound, count: upTo };
  }
  return null;
}
