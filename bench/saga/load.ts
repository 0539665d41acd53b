/** How sales come: so many at any time, each followed by the next, or so many a second whatever becomes of those before. */
export type Load = { readonly concurrency: number } | { readonly rate: number };

export interface Loaded {
  /** Sales that ended within the measured time. */
  readonly sales: number;
  readonly seconds: number;
  /** Milliseconds of each of them: from its request, or from when it was due, to its outcome in the hands of who asked. */
  readonly latencies: readonly number[];
}

/**
 * Sells for `warmUpMs`, then for `ms` that count; resolves when the last sale has ended. `begin` and `end` are awaited at the edges of what
 * counts, while sales go on. `sell` resolves at the outcome.
 */
export async function runLoad(load: Load, { warmUpMs, ms, sell, begin, end }: { warmUpMs: number; ms: number; sell: () => Promise<void>; begin: () => Promise<void>; end: () => Promise<void> }): Promise<Loaded> {
  const latencies: number[] = [];
  let counting = false;
  let selling = true;
  const one = async (since: number): Promise<void> => {
    await sell();
    if (counting) latencies.push(performance.now() - since);
  };
  const all = 'concurrency' in load ? closed(load.concurrency, one, () => selling) : open(load.rate, one, () => selling);
  all.catch(() => undefined); // awaited below
  await Promise.race([all, pause(warmUpMs)]);
  await begin();
  counting = true;
  const begun = performance.now();
  await Promise.race([all, pause(ms)]);
  counting = false;
  const seconds = (performance.now() - begun) / 1_000;
  await end();
  selling = false;
  await all;
  return { sales: latencies.length, seconds, latencies };
}

async function closed(concurrency: number, one: (since: number) => Promise<void>, selling: () => boolean): Promise<void> {
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (selling()) await one(performance.now());
    }),
  );
}

async function open(rate: number, one: (since: number) => Promise<void>, selling: () => boolean): Promise<void> {
  const under: Promise<void>[] = [];
  const started = performance.now();
  for (let number = 0; selling(); number += 1) {
    const due = started + (number * 1_000) / rate;
    await pause(due - performance.now());
    under.push(one(due));
  }
  await Promise.all(under);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
