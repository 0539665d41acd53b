import type { Mysql } from '../platform/mysql/index.ts';
import type { Catalogue } from './catalogue.ts';
import type { Mapping } from './mapping.ts';
import { countPrints, MOST_IDS, nextBlueprintIds } from './prints.sql.ts';

export type WarmCounts = Record<Mapping['kind'], number>;

export interface WarmOptions {
  readonly signal?: AbortSignal;
  /** After each 500; `total` is how many there will be at most, undefined if nobody knows. */
  readonly onProgress?: (done: number, total: number | undefined) => void;
}

/** Reads these blueprints from MySQL into Redis. What fails ends it; what was written stays. */
export async function warm(catalogue: Pick<Catalogue, 'refresh'>, ids: Iterable<number> | AsyncIterable<number>, { signal, onProgress }: WarmOptions = {}, total?: number): Promise<WarmCounts> {
  const counts: WarmCounts = { print: 0, unknown: 0, ambiguous: 0 };
  let batch: number[] = [];
  let done = 0;
  const flush = async (): Promise<void> => {
    signal?.throwIfAborted();
    for (const { kind } of (await catalogue.refresh(batch)).values()) counts[kind] += 1;
    done += batch.length;
    batch = [];
    onProgress?.(done, total);
  };
  for await (const id of ids) {
    batch.push(id);
    if (batch.length === MOST_IDS) await flush();
  }
  if (batch.length > 0) await flush();
  return counts;
}

/** The same for every blueprint the catalogue names. */
export async function warmAll(catalogue: Pick<Catalogue, 'refresh'>, mysql: Pick<Mysql, 'query'>, options: WarmOptions = {}): Promise<WarmCounts> {
  const total = Object.values(await countPrints(mysql.query)).reduce((sum, count) => sum + count, 0);
  return warm(catalogue, everyBlueprint(mysql), options, total);
}

async function* everyBlueprint(mysql: Pick<Mysql, 'query'>): AsyncGenerator<number> {
  let after = 0;
  for (;;) {
    const ids = await nextBlueprintIds(mysql.query, after, MOST_IDS);
    yield* ids;
    after = ids.at(-1) ?? after;
    if (ids.length < MOST_IDS) return;
  }
}
