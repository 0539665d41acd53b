import { Histogram, type Registry } from 'prom-client';

interface PromValue {
  metricName: string;
  labels: Record<string, string | number>;
  sharedLabels: Record<string, string>;
  value: number;
}

/**
 * A Prometheus histogram for hot paths. prom-client builds a string of the labels at every `observe`: 0.45 to 0.65 µs with two
 * labels and 15 buckets, also when `labels()` is kept (measured, 2-core VM, Node 20.20), 3 to 4 % of a core at 60,000 events a
 * second. Here the labels are resolved once, into a series that only counts: 0.015 to 0.025 µs, about 0.1 %.
 */
export class BucketHistogram<Label extends string> extends Histogram<Label> {
  readonly #name: string;
  readonly #help: string;
  /** Upper bounds of the buckets, ascending, without +Inf. */
  readonly bounds: readonly number[];
  readonly #series = new Map<string, { labels: Record<Label, string>; series: Series }>();

  constructor(options: { name: string; help: string; labelNames: readonly Label[]; buckets: readonly number[]; registers: Registry[] }) {
    super({ name: options.name, help: options.help, labelNames: [...options.labelNames], buckets: [...options.buckets], registers: options.registers });
    this.#name = options.name;
    this.#help = options.help;
    this.bounds = options.buckets;
  }

  /** The series of these labels; keep it and call `observe` on it. The same labels give the same series. */
  series(labels: Record<Label, string>): Series {
    const key = JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
    let entry = this.#series.get(key);
    if (entry === undefined) {
      entry = { labels: { ...labels }, series: new Series(this.bounds) };
      this.#series.set(key, entry);
    }
    return entry.series;
  }

  /** What prom-client's registry, and its own `get`, ask for; the type declarations leave it out. */
  getForPromString(): Promise<{ name: string; help: string; type: 'histogram'; aggregator: 'sum'; values: PromValue[] }> {
    const values = [...this.#series.values()].flatMap(({ labels: sharedLabels, series }) => {
      let upTo = 0;
      const buckets = [...this.bounds, '+Inf'].map((le, index): PromValue => {
        upTo += series.counts[index] ?? 0;
        return { metricName: `${this.#name}_bucket`, labels: { le }, sharedLabels, value: upTo };
      });
      const sum = { metricName: `${this.#name}_sum`, labels: {}, sharedLabels, value: series.sum };
      return [...buckets, sum, { metricName: `${this.#name}_count`, labels: {}, sharedLabels, value: upTo }];
    });
    return Promise.resolve({ name: this.#name, help: this.#help, type: 'histogram', aggregator: 'sum', values });
  }

  /** Also called by prom-client's constructor, before there is anything. Series that someone keeps go on counting from 0. */
  override reset(): void {
    if (!(#series in this)) return super.reset();
    for (const { series } of this.#series.values()) series.reset();
  }
}

/** The counts of one set of labels. */
export class Series {
  /** One count a bucket, not cumulative; the last is "above every bound". */
  readonly counts: number[];
  sum = 0;
  readonly #bounds: readonly number[];

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  /** `times` observations of `value`. A value below zero (a producer's clock ahead of ours) counts as zero. */
  observe(value: number, times = 1): void {
    const at = value > 0 ? value : 0;
    let bucket = 0;
    while (bucket < this.#bounds.length && at > (this.#bounds[bucket] as number)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] as number) + times;
    this.sum += at * times;
  }

  reset(): void {
    this.counts.fill(0);
    this.sum = 0;
  }
}
